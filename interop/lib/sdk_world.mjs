// Two pages with the SDK, a server between them that loses what a cut line loses, and time that the test owns.

import assert from 'node:assert/strict';
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { Clock } from './clock.mjs';
import { Air } from './fake_webrtc.mjs';
import { temporaryFolder } from './temp.mjs';

const WEB = fileURLToPath(new URL('../../web', import.meta.url));

/** Loads the SDK into this process. */
export async function loadSdk() {
  const folder = temporaryFolder('sdk');
  cpSync(WEB, folder.path, { recursive: true });
  writeFileSync(join(folder.path, 'package.json'), '{"type":"module"}');
  const load = (name) => import(pathToFileURL(join(folder.path, 'assets', name)));
  const [{ Room }, { Emitter }] = await Promise.all([load('sdk-room.js'), load('sdk-emitter.js')]);
  folder.remove();
  return { Room, Emitter };
}

/** Numbers from 0 to 1 by a seed (SplitMix32). */
export function randomBy(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** Two people and everything between them. */
export class SdkWorld {
  clock = new Clock();
  /** Offers that each person has sent. */
  offers = { ann: 0, bob: 0 };
  /** Errors that a peer or a listener has raised. */
  errors = [];
  people = {};
  #sdk;
  #stock = {};
  #members = [];
  #ids = 0;

  constructor(sdk, seed) {
    this.#sdk = sdk;
    this.random = randomBy(seed);
    this.air = new Air(this.clock, this.random);
  }

  /** Runs `story` in this world, with its clock and its connections in place of the process's own. */
  async run(story) {
    const { RTCPeerConnection, MediaStream, reportError, crypto } = globalThis;
    this.#stock = { RTCPeerConnection, MediaStream, reportError };
    this.clock.install();
    globalThis.RTCPeerConnection = this.air.PeerConnection;
    globalThis.MediaStream = Tracks;
    globalThis.reportError = (error) => this.errors.push(error);
    const getRandomValues = crypto.getRandomValues;
    crypto.getRandomValues = (array) => array.map(() => Math.floor(this.random() * 2 ** 32));
    try {
      await story(this);
    } finally {
      for (const { room } of Object.values(this.people)) room.leave();
      crypto.getRandomValues = getRandomValues;
      Object.assign(globalThis, this.#stock);
      this.clock.restore();
    }
  }

  /** Has somebody come in, with a microphone or without. */
  enter(name, { mic = true } = {}) {
    const client = new Client(this, this.#sdk.Emitter, name);
    const room = new this.#sdk.Room(client, 'attic', { name });
    room.media.audio = mic ? { kind: 'audio', enabled: true } : null;
    client.rooms.add(room);
    const person = { name, client, room, peersSeen: [] };
    this.people[name] = person;
    room.on('peer', (peer) => {
      person.peersSeen.push(peer);
      peer.on('error', (error) => this.errors.push(error));
    });
    room.enter().catch((error) => this.errors.push(error));
    client.open();
    return person;
  }

  /** The one peer that somebody has. */
  peerOf(name) {
    const peers = [...this.people[name].room.peers.values()];
    assert.equal(peers.length, 1, `${name} has ${peers.length} peers`);
    return peers[0];
  }

  connectionsOf(name) {
    return [...this.people[name].room.peers.values()].map(({ connection }) => connection).filter(Boolean);
  }

  // What the server does.

  /** A client is there under a new number. */
  connected(client) {
    this.#ids += 1;
    return this.#ids;
  }

  /** A client's line has ended, as the server sees it. */
  gone(client, id) {
    const member = this.#members.find((one) => one.id === id);
    this.#members = this.#members.filter((one) => one !== member);
    if (member) this.#tell(member, { type: 'user-left', room: 'attic', user: { name: member.name, id } });
  }

  /** Ends the server; it starts with nothing. */
  restart() {
    this.#members = [];
  }

  received(client, id, { type, ...fields }) {
    const sender = this.#members.find((one) => one.id === id);
    if (type === 'join' && !sender) return this.#joined(client, id, fields.name);
    if (!sender) return;
    if (type === 'leave') return this.gone(client, id);
    if (type === 'username') return this.#renamed(sender, fields.name);
    if (type === 'userlist') return this.#list(sender);
    const target = this.#members.find(({ id: other }) => other === fields.target && other !== id);
    if (type === 'video-offer') this.offers[client.name] += 1;
    if (target) target.client.arrive(target.id, { ...fields, type, id, name: sender.name });
    else if (fields.target) client.arrive(id, { type: 'error', code: 'no-such-user', message: '', re: type });
  }

  #joined(client, id, wanted) {
    const isTaken = (name) => this.#members.some((member) => member.name === name);
    const name = isTaken(wanted) ? `${wanted}-2` : wanted;
    const users = this.#members.map((member) => ({ name: member.name, id: member.id, polite: true }));
    const member = { client, id, name };
    this.#members.push(member);
    client.arrive(id, { type: 'joined', room: 'attic', self: { name, id }, users, iceServers: [], ttl: 0 });
    this.#tell(member, { type: 'user-joined', room: 'attic', user: { name, id, polite: false } });
  }

  #renamed(member, name) {
    if (this.#members.some((other) => other.name === name)) return;
    member.name = name;
    this.#tell(member, { type: 'user-renamed', room: 'attic', user: { name, id: member.id } });
  }

  /** Those whose lines the server believes to work. */
  #list(asker) {
    const place = this.#members.indexOf(asker);
    const users = this.#members.map(({ name, id }, index) => ({ name, id, polite: index < place }));
    asker.client.arrive(asker.id, { type: 'userlist', room: 'attic', users: users.filter(({ id }) => id !== asker.id) });
  }

  #tell(about, message) {
    for (const member of this.#members) if (member !== about) member.client.arrive(member.id, message);
  }
}

/** Stands in for the SDK's `Client`: a line to the server that is slow, and can be cut. */
function Client(world, Emitter, name) {
  const client = new Emitter();
  let id = null;
  /** When the last message of each direction arrives: a line keeps the order. */
  const arrival = { up: 0, down: 0 };
  const travel = (direction, run) => {
    const at = Math.max(arrival[direction], world.clock.now + 1 + world.random() * 80);
    arrival[direction] = at;
    const line = id;
    world.clock.at(at, () => line === id && run());
  };
  return Object.assign(client, {
    name,
    state: 'connecting',
    rooms: new Set(),
    send(type, fields) {
      if (client.state !== 'open') return false;
      const line = id;
      travel('up', () => world.received(client, line, { ...fields, type }));
      return true;
    },
    arrive(to, message) {
      if (to !== id) return;
      travel('down', () => {
        if (client.state !== 'open') return;
        client.emit('*', message);
        client.emit(message.type, message);
      });
    },
    open() {
      id = world.connected(client);
      client.state = 'open';
      client.emit('state', 'open');
    },
    /** Loses the line, and what is on its way; the server notices after a while. */
    cut(noticedAfter) {
      const line = id;
      id = null;
      client.state = 'connecting';
      client.emit('state', 'connecting');
      world.clock.at(world.clock.now + noticedAfter, () => world.gone(client, line));
    },
    /** Nothing that is sent from here on arrives before the time has passed. */
    stall(ms) {
      arrival.up = Math.max(arrival.up, world.clock.now + ms);
    },
    check: () => {},
    unreachable: () => new Error('unreachable'),
  });
}

/** Stands in for `MediaStream`. */
class Tracks {
  #tracks = new Set();
  getTracks = () => [...this.#tracks];
  getAudioTracks = () => this.getTracks().filter(({ kind }) => kind === 'audio');
  getVideoTracks = () => this.getTracks().filter(({ kind }) => kind === 'video');
  addTrack = (track) => this.#tracks.add(track);
  removeTrack = (track) => this.#tracks.delete(track);
}
