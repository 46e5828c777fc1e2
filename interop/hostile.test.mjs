// Malformed input at every entry: the server counts it, says nothing of it in its log, and goes on serving.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import * as hostile from './lib/hostile.mjs';
import { startJackfield } from './lib/server.mjs';
import { Clients } from './lib/sockets.mjs';

/** The silent are given up after five seconds: these tests are full of them, and clients may be stalled for less. */
const IMPATIENT = ['--first-bytes-timeout', '5s', '--turn-connection-idle', '5s'];

/** A connection that is kept alive would be closed by the server at about the time of the next request. */
const ALONE = { headers: { connection: 'close' } };

/** How much memory the server may have taken for all of it, in KiB. */
const MEMORY = 64 * 1024;

describe('hostile input', () => {
  let server;
  let memory;
  before(async () => {
    server = await startJackfield(IMPATIENT);
    memory = residentKilobytes(server);
  });
  after(() => server?.stop());

  const entries = {
    'datagrams that are not STUN, or bad STUN': () => hostile.datagrams(server.port),
    'TCP streams of no protocol': () => hostile.streams(server.port),
    'malformed HTTP': () => hostile.requests(server.port),
    'broken WebSocket handshakes and frames': () => hostile.frames(server.port),
    'Engine.IO requests that make no sense': () => hostile.polls(server.url),
    'Socket.IO packets that are none': () => hostile.packets(server.url),
    'signaling messages that make no sense': () => hostile.messages(server.url),
  };
  for (const [name, attack] of Object.entries(entries)) {
    test(`${name}: are counted, and the server goes on`, async () => {
      const before = await metrics(server);
      await attack();
      await isWell(server);
      const after = await metrics(server);
      const grown = Object.keys(after).filter((metric) => after[metric] > (before[metric] ?? 0));
      assert.ok(grown.some((metric) => COMPLAINT.test(metric)), `none of these is a complaint: ${grown.join(' ')}`);
    });
  }

  test('nothing of it is in the log or in the metrics', async () => {
    assert.ok(!server.output.includes(hostile.CANARY), server.output);
    assert.ok(!(await (await fetch(`${server.url}/metrics`, ALONE)).text()).includes(hostile.CANARY));
  });

  test('none of it is kept in memory', () => {
    const grown = residentKilobytes(server) - memory;
    assert.ok(grown < MEMORY, `the server has grown by ${grown} KiB`);
  });
});

/** What the metrics call bytes that were refused, dropped or not understood. */
const COMPLAINT = /bad|drop|error|fail|invalid|malformed|refus|reject|timeout|too_|unknown|unexpected|over/i;

/** The server still answers, and lets somebody in. */
async function isWell(server) {
  assert.ok(server.isRunning);
  assert.equal((await fetch(`${server.url}/readyz`, ALONE)).status, 200);
  const clients = new Clients();
  try {
    await clients.connect(server.url);
  } finally {
    clients.close();
  }
}

async function metrics(server) {
  const text = await (await fetch(`${server.url}/metrics`, ALONE)).text();
  const samples = text.split('\n').filter((line) => line && !line.startsWith('#'));
  return Object.fromEntries(samples.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').pop())]));
}

function residentKilobytes(server) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]);
}
