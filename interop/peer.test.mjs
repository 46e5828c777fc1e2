// Our data-channel peer against browsers and libraries: either side offers, both open a channel, messages of all sizes come
// back as they were sent, and either side closes.

import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { fileURLToPath } from 'node:url';

import { BrowserPeer } from './lib/browser_peer.mjs';
import { python } from './lib/python.mjs';
import { example } from './lib/server.mjs';
import { StdioPeer } from './lib/stdio_peer.mjs';
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

const startOurs = () => new StdioPeer(example('peer_stdio'), [ADDRESS]);

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
