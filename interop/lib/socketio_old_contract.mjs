// What socket.io-client 2 (Engine.IO protocol 3) expects of a server that lets it in, and of one that does not.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import io from 'socket.io-client-2';

import { TRANSPORTS, transportOf, upgraded } from './sockets.mjs';
import { event } from './wait.mjs';

/** Tests a server that echoes; `start` resolves with it, given its flags. */
export function oldClientContract(start) {
  let sockets = [];
  let server;
  before(async () => {
    server = await start(['--eio3']);
  });
  afterEach(() => {
    sockets.forEach((socket) => socket.close());
    sockets = [];
  });
  after(() => server?.stop());

  const open = (url, options) => {
    const socket = io(url, { forceNew: true, ...options });
    sockets.push(socket);
    return socket;
  };

  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    test(`connects, echoes and answers acks: ${name}`, async () => {
      const socket = open(server.url, { transports });
      await event(socket, 'connect');
      const back = event(socket, 'message-back');
      socket.emit('message', 'héllo', { n: 1 });
      assert.deepEqual(await back, ['héllo', { n: 1 }]);
      const answer = await new Promise((resolve) => socket.emit('message-with-ack', 'one', resolve));
      assert.equal(answer, 'one');
    });

    test(`carries binary attachments: ${name}`, async () => {
      const socket = open(server.url, { transports });
      await event(socket, 'connect');
      const back = event(socket, 'message-back');
      socket.emit('message', Buffer.from([0, 1, 255]), { nested: Buffer.from('x') });
      const [bytes, { nested }] = await back;
      assert.deepEqual(Buffer.from(bytes), Buffer.from([0, 1, 255]));
      assert.deepEqual(Buffer.from(nested), Buffer.from('x'));
    });
  }

  test('upgrades to WebSocket', async () => {
    const socket = open(server.url);
    await event(socket, 'connect');
    await upgraded(socket);
    assert.equal(transportOf(socket), 'websocket');
  });

  test('keeps a silent connection up: the client pings, the server answers', async () => {
    const socket = open(server.url);
    await event(socket, 'connect');
    for (let i = 0; i < 3; i += 1) await event(socket, 'pong');
    assert.equal(socket.connected, true);
  });

  test('joins a namespace', async () => {
    const socket = open(`${server.url}/custom`);
    await event(socket, 'connect');
    const back = event(socket, 'message-back');
    socket.emit('message', 'there');
    assert.equal(await back, 'there');
  });

  test('is refused where the server was not told to let it in', async () => {
    const strict = await start([]);
    try {
      const socket = open(strict.url, { reconnection: false });
      assert.ok(await event(socket, 'connect_error'));
    } finally {
      await strict.stop();
    }
  });
}
