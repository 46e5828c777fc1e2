// The Autobahn cases against our WebSocket codec.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { autobahn, surprises } from './lib/autobahn.mjs';
import { expected } from './lib/python.mjs';
import { LOOPBACK, example, startListener } from './lib/server.mjs';

/** How many cases the suite has without those on compression. */
const UNCOMPRESSED = 301;

// Every combination of the extension's parameters (13), on short messages (12.1) and on text in many frames (12.4). The rest
// of 12 repeats these with other texts, and takes two minutes: INTEROP_ALL_CASES=1 runs it too.
const COMPRESSED = process.env.INTEROP_ALL_CASES === '1' ? ['12.*', '13.*'] : ['12.1.*', '12.4.*', '13.*'];

describe('the WebSocket echo server', () => {
  test('passes every case without compression', async () => {
    const results = await resultsOf([], { exclude: ['12.*', '13.*'] });
    assert.equal(Object.keys(results).length, UNCOMPRESSED);
    assert.deepEqual(surprises(results, await expected('websocket')), []);
  });

  test('passes the cases on compression', async () => {
    const results = await resultsOf(['--deflate'], { include: COMPRESSED });
    assert.deepEqual(surprises(results, await expected('websocket-deflate')), []);
  });
});

async function resultsOf(flags, cases) {
  const server = await startListener(example('websocket_echo'), flags);
  try {
    return await autobahn(`${LOOPBACK}:${server.port}`, cases);
  } finally {
    await server.stop();
  }
}
