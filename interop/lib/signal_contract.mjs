// Signaling over Socket.IO, as a stock client sees it: the message's type is the event's name, an ack is the answer.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { doorContract } from './door_contract.mjs';
import { Clients, TRANSPORTS, transportOf, upgraded } from './sockets.mjs';
import { PATIENCE, event, until } from './wait.mjs';

/** Tests a server that signals; `start` resolves with it. */
export function signalContract(start) {
  const clients = new Clients();
  let server;
  before(async () => {
    server = await start();
  });
  afterEach(() => clients.close());
  after(() => server?.stop());

  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    test(`lets two meet in a room and exchange offer, answer and candidate: ${name}`, async () => {
      const [ann, bob] = [await clients.connect(server.url, { transports }), await clients.connect(server.url, { transports })];
      const room = `room-${name}`;
      const joined = await join(ann, room, 'ann');
      assert.equal(joined.self.name, 'ann');
      assert.ok(joined.iceServers.some(({ urls, credential }) => credential && urls.some((url) => url.startsWith('turn:'))));

      const arrival = event(ann, 'user-joined');
      const { users } = await join(bob, room, 'bob');
      assert.deepEqual(users.map((user) => user.name), ['ann']);
      const { user } = await arrival;
      assert.equal(user.name, 'bob');
      assert.notEqual(user.polite, users[0].polite, 'one of the two is polite');

      const sdp = { type: 'offer', sdp: 'v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n' };
      await relays(ann, bob, 'video-offer', { room, target: 'bob', sdp });
      await relays(bob, ann, 'video-answer', { room, target: 'ann', sdp: { ...sdp, type: 'answer' } });
      await relays(ann, bob, 'new-ice-candidate', { room, target: 'bob', candidate: { candidate: 'candidate:1', sdpMid: '0' } });
      if (transports.length === 1) assert.equal(transportOf(ann), transports[0]);
      else await upgraded(ann);

      const farewell = event(ann, 'user-left');
      bob.disconnect();
      assert.equal((await farewell).user.name, 'bob');
    });
  }

  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    doorContract(name, async () => new Member(await clients.connect(server.url, { transports, reconnection: false })));
  }

  test('answers nonsense with an error that names what was wrong', async () => {
    const socket = await clients.connect(server.url);
    const answer = await socket.timeout(PATIENCE).emitWithAck('join', { room: 7 });
    assert.equal(answer.type, 'error');
    assert.equal(answer.re, 'join');
    assert.ok(answer.code && answer.message);
  });
}

/** A member as the contract of doors has one. */
class Member {
  #received = [];

  constructor(socket) {
    this.socket = socket;
    this.ended = event(socket, 'disconnect');
    // That it never ends is not what every test waits for.
    this.ended.catch(() => {});
    socket.onAny((_, message) => this.#received.push(message));
  }

  ask = (type, fields) => this.socket.timeout(PATIENCE).emitWithAck(type, fields);

  heard(type) {
    return until(() => {
      const index = this.#received.findIndex((message) => message.type === type);
      return index >= 0 && this.#received.splice(index, 1)[0];
    }, `a message ${type}`, { every: 5 });
  }

  async cut() {
    this.socket.io.engine.close();
    await this.ended;
  }
}

async function join(socket, room, name) {
  const answer = await socket.timeout(PATIENCE).emitWithAck('join', { room, name });
  assert.equal(answer.type, 'joined', JSON.stringify(answer));
  return answer;
}

/** Sends a message and sees it arrive with its sender's name and everything else as it was sent. */
async function relays(from, to, type, fields) {
  const arrival = event(to, type);
  from.emit(type, fields);
  const { name, ...rest } = await arrival;
  assert.ok(name);
  for (const [field, value] of Object.entries(fields)) assert.deepEqual(rest[field], value, field);
}
