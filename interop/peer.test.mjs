// Our data-channel peer against browsers and libraries: either side offers, both open a channel, messages of all sizes come
// back as they were sent, and either side closes; then behind NATs and firewalls of `jackfield lab`.

import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { fileURLToPath } from 'node:url';

import { BrowserPeer } from './lib/browser_peer.mjs';
import { SERVER, USER, startIceLab } from './lib/ice_lab.mjs';
import { python } from './lib/python.mjs';
import { driverExample } from './lib/server.mjs';
import { StdioPeer } from './lib/stdio_peer.mjs';
import { until } from './lib/wait.mjs';
import { buildPion } from './stock/pion.mjs';

const stock = (name) => fileURLToPath(new URL(`stock/${name}`, import.meta.url));

/** An address of this machine that is not loopback, which ICE leaves out. */
const ADDRESS = Object.values(networkInterfaces())
  .flat()
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

/** Nothing, a byte or two, several packets, and the longest that browsers take. */
const SIZES = [0, 2, 1_000, 16_384, 100_000, 262_144];
const MEBIBYTE = 1 << 20;

let pion;
before(async () => {
  assert.ok(ADDRESS, 'this machine has an address beside loopback');
  pion = await buildPion();
});
after(() => pion?.remove());

const startOurs = () => new StdioPeer(driverExample('peer_stdio'), [ADDRESS]);

const PEERS = {
  'ourselves': { start: startOurs, sizes: [...SIZES, MEBIBYTE] },
  'Chromium': { start: () => BrowserPeer.start({ kind: 'chromium' }), sizes: SIZES },
  'Chromium with audio and video': { start: () => BrowserPeer.start({ kind: 'chromium', media: true }), sizes: [1_000] },
  'Firefox': { start: () => BrowserPeer.start({ kind: 'firefox' }), sizes: [...SIZES, MEBIBYTE] },
  'Firefox with audio and video': { start: () => BrowserPeer.start({ kind: 'firefox', media: true }), sizes: [1_000] },
  'libdatachannel': { start: () => new StdioPeer(process.execPath, [stock('datachannel_peer.mjs'), ADDRESS]), sizes: [...SIZES, MEBIBYTE] },
  'aiortc': { start: () => new StdioPeer(python('python3'), [stock('aiortc_peer.py')]), sizes: SIZES },
  // It announces no length, which is 64 KiB, and reads one byte less.
  'pion': { start: () => new StdioPeer(pion.program, []), sizes: [2, 1_000, 16_384, 65_534] },
};

for (const [name, { start, sizes }] of Object.entries(PEERS)) {
  describe(`our peer and ${name}`, () => {
    for (const offerer of ['us', 'them']) {
      it(`talk and close when ${offerer === 'us' ? 'we offer' : 'they offer'}`, async () => {
        const ours = startOurs();
        let theirs;
        try {
          theirs = await start();
          const [first, second] = offerer === 'us' ? [ours, theirs] : [theirs, ours];
          await first.accept(await second.answer(await first.offer()));
          await Promise.all([ours.exchange(sizes), theirs.exchange(sizes)]);
          await Promise.all([ours.close(), theirs.closed()]);
          await Promise.all([theirs.close(), ours.closed()]);
          const { state } = await ours.stats();
          assert.equal(state, 'connected');
        } finally {
          await theirs?.stop();
          await ours.stop();
        }
      });
    }
  });
}

/** By name, how a peer is started on a host of a lab, with its servers. */
const LAB_PEERS = {
  'Chromium': (lab, host, iceServers) => startBrowser('chromium', lab, host, iceServers),
  'Firefox': (lab, host, iceServers) => startBrowser('firefox', lab, host, iceServers),
  'libdatachannel': (lab, host, iceServers) => startProgram(lab, host, iceServers, process.execPath, stock('datachannel_peer.mjs')),
  'aiortc': (lab, host, iceServers) => startProgram(lab, host, iceServers, python('python3'), stock('aiortc_peer.py')),
  'pion': (lab, host, iceServers) => startProgram(lab, host, iceServers, pion.program),
};

function startProgram(lab, host, iceServers, command, ...args) {
  return new StdioPeer(...lab.inside(host, command, args, { ICE_SERVERS: JSON.stringify(iceServers) }));
}

function startBrowser(kind, lab, host, iceServers) {
  return BrowserPeer.start({ kind, namespace: lab.namespace(host), url: `http://${SERVER}/healthz`, iceServers });
}

const relay = (transport) => ({ urls: [`turn:${SERVER}?transport=${transport}`], username: USER.username, credential: USER.password });
const STUN = { urls: [`stun:${SERVER}`] };
const BY_UDP = [STUN, relay('udp')];
const BY_TCP = [relay('tcp')];

/** By name: where we are and they are, the servers of each, and whether a relay is needed. */
const NETWORKS = {
  'behind port-restricted NATs, directly': [['cone-a', 'cone-b'], [[STUN], [STUN]], false],
  'behind symmetric NATs, relayed': [['symmetric-a', 'symmetric-b'], [BY_UDP, BY_UDP], true],
  'when we cannot use UDP, relayed over TCP': [['walled', 'cone-b'], [BY_TCP, BY_UDP], true],
  'when they cannot use UDP, relayed over TCP': [['cone-a', 'walled'], [BY_UDP, BY_TCP], true],
};

describe('in a lab, our peer and', { concurrency: 3 }, () => {
  let lab;
  before(async () => {
    lab = await startIceLab('peers');
  });
  after(() => lab?.down());

  for (const [name, start] of Object.entries(LAB_PEERS)) {
    for (const [number, [what, network]] of Object.entries(NETWORKS).entries()) {
      // Its agent asks TURN servers by UDP alone.
      if (name === 'libdatachannel' && network[0][1] === 'walled') continue;
      const weOffer = number % 2 === 0;
      it(`${name} talk ${what}; ${weOffer ? 'we' : 'they'} offer`, async () => {
        const [[ourHost, theirHost], [ourServers, theirServers], isRelayed] = network;
        const ours = startProgram(lab, ourHost, ourServers, driverExample('peer_stdio'));
        let theirs;
        try {
          theirs = await start(lab, theirHost, theirServers);
          const [first, second] = weOffer ? [ours, theirs] : [theirs, ours];
          await first.accept(await second.answer(await first.offer()));
          await Promise.all([ours.exchange([2, 16_384]), theirs.exchange([2, 16_384])]);
          await until(async () => {
            const { path } = await ours.stats();
            assert.equal([path.local, path.remote].includes('relay'), isRelayed, JSON.stringify(path));
            return true;
          }, 'the path that the networks allow');
        } catch (error) {
          throw new Error(`${error.message}\nours: ${ours.output}\ntheirs: ${theirs?.output}`, { cause: error });
        } finally {
          await theirs?.stop();
          await ours.stop();
        }
      });
    }
  }
});
