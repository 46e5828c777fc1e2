// What `/metrics` says, judged by Prometheus's own checker, after every part of the server has counted something.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';

import { io } from 'socket.io-client';

import { MdnClient } from './lib/mdn_client.mjs';
import { startJackfield } from './lib/server.mjs';

describe('The metrics', () => {
  let server;
  before(async () => {
    server = await startJackfield();
    const client = await MdnClient.connect(`ws://127.0.0.1:${server.port}/signal`, []);
    await client.register('ann');
    const socket = io(server.url, { transports: ['websocket'] });
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject));
    await client.close();
    socket.close();
  });
  after(() => server?.stop());

  const metrics = async (headers = {}) => {
    const response = await fetch(`${server.url}/metrics`, { headers });
    return { type: response.headers.get('content-type'), text: await response.text() };
  };

  test('pass `promtool check metrics`', async () => {
    const { type, text } = await metrics();
    assert.match(type, /^text\/plain; version=0\.0\.4/);
    assert.ok(text.split('\n').length > 100, text);
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.equal(`${stdout}${stderr}`.trim(), '');
  });

  test('are OpenMetrics for who asks for it, with the same numbers', async () => {
    const { type, text } = await metrics({ accept: 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5' });
    assert.match(type, /^application\/openmetrics-text; version=1\.0\.0/);
    assert.ok(text.endsWith('# EOF\n'), text.slice(-100));
    for (const line of ['# TYPE jackfield_socketio_handshakes counter', 'jackfield_socketio_handshakes_total 1']) {
      assert.ok(text.includes(`${line}\n`), `${line} is not in:\n${text}`);
    }
    assert.ok((await metrics()).text.includes('# TYPE jackfield_socketio_handshakes_total counter\n'));
  });

  test('say what is there at present as gauges', async () => {
    const { text } = await metrics();
    for (const name of ['connections', 'socketio_sessions', 'signal_members', 'turn_allocations', 'shard_tasks']) {
      assert.ok(text.includes(`# TYPE jackfield_${name} gauge\n`), `${name} in:\n${text}`);
    }
  });

  test('count packets and bytes in families of their own', async () => {
    const { text } = await metrics();
    for (const unit of ['packets', 'bytes']) {
      assert.match(text, new RegExp(`^jackfield_turn_relayed_${unit}_total\\{direction="to_peers"\\} 0$`, 'm'));
    }
  });
});
