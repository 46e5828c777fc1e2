// What socket.io-client 4 expects of a server, on the profile that the protocol's documents describe for testing one.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { Clients, TRANSPORTS, transportOf, upgraded } from './sockets.mjs';
import { PATIENCE, event, within } from './wait.mjs';

/** More bytes than the fixture's limit for one payload. */
const TOO_LARGE = 1_100_000;

/** Tests a server that echoes; `start` resolves with it. */
export function fixtureContract(start) {
  const clients = new Clients();
  let server;
  before(async () => {
    server = await start();
  });
  afterEach(() => clients.close());
  after(() => server?.stop());

  test('begins with polling and upgrades to WebSocket', async () => {
    const socket = await clients.connect(server.url);
    await upgraded(socket);
    assert.equal(transportOf(socket), 'websocket');
    assert.deepEqual(await echo(socket, 'after the upgrade'), ['after the upgrade']);
  });

  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    test(`echoes text, JSON and several arguments: ${name}`, async () => {
      const socket = await clients.connect(server.url, { transports });
      for (const args of [['héllo ✓ 😀'], [1, null, true, { a: [1.5, 'b'] }], [[], {}], ['\u2028 "\\\n'], []]) {
        assert.deepEqual(await echo(socket, ...args), args);
      }
      if (transports.length === 1) assert.equal(transportOf(socket), transports[0]);
    });

    test(`carries binary attachments: ${name}`, async () => {
      const socket = await clients.connect(server.url, { transports });
      const large = Buffer.alloc(300_000, 'jackfield');
      const [back, nested] = await echo(socket, large, { parts: [Buffer.from([0, 255]), Buffer.alloc(0)], n: 1 });
      assert.ok(large.equals(back));
      assert.deepEqual(nested, { parts: [Buffer.from([0, 255]), Buffer.alloc(0)], n: 1 });
    });

    test(`answers acks, with binary too: ${name}`, async () => {
      const socket = await clients.connect(server.url, { transports });
      const answer = await socket.timeout(PATIENCE).emitWithAck('message-with-ack', 'one');
      assert.equal(answer, 'one');
      const bytes = await socket.timeout(PATIENCE).emitWithAck('message-with-ack', Buffer.from([1, 2, 3]));
      assert.deepEqual(bytes, Buffer.from([1, 2, 3]));
    });

    test(`keeps a silent connection up by heartbeats: ${name}`, async () => {
      const socket = await clients.connect(server.url, { transports });
      for (let i = 0; i < 3; i += 1) await event(socket.io, 'ping');
      assert.deepEqual(await echo(socket, 'still here'), ['still here']);
    });
  }

  test('lets an ack that the server never answers time out', async () => {
    const socket = await clients.connect(server.url);
    await assert.rejects(socket.timeout(100).emitWithAck('nobody-listens', 1), /timed out/);
    assert.equal(await socket.timeout(PATIENCE).emitWithAck('message-with-ack', 'later'), 'later');
  });

  test('keeps the order of many messages across the upgrade', async () => {
    const socket = clients.open(server.url);
    const numbers = [];
    const all = new Promise((resolve) => {
      socket.on('message-back', (number) => {
        numbers.push(number);
        if (numbers.length === 1_000) resolve();
      });
    });
    await event(socket, 'connect');
    for (let i = 0; i < 500; i += 1) socket.emit('message', i);
    await upgraded(socket);
    for (let i = 500; i < 1_000; i += 1) socket.emit('message', i);
    await within(all, 'all messages to come back');
    assert.deepEqual(numbers, Array.from({ length: 1_000 }, (_, i) => i));
  });

  test('hands the auth of the handshake to the namespace', async () => {
    const socket = clients.open(server.url, { auth: { token: 'abc', n: [1] } });
    assert.deepEqual(await event(socket, 'auth'), { token: 'abc', n: [1] });
  });

  test('serves two namespaces over one connection', async () => {
    const main = await clients.connect(server.url, { forceNew: false });
    const custom = clients.open(`${server.url}/custom`, { forceNew: false, auth: { of: 'custom' } });
    assert.deepEqual(await event(custom, 'auth'), { of: 'custom' });
    assert.equal(main.io, custom.io);
    assert.notEqual(main.id, custom.id);
    assert.deepEqual(await echo(custom, 'there'), ['there']);
    custom.disconnect();
    assert.deepEqual(await echo(main, 'here'), ['here']);
  });

  test('refuses a namespace that it does not have', async () => {
    const socket = clients.open(`${server.url}/nowhere`);
    const error = await event(socket, 'connect_error');
    assert.equal(error.message, 'Invalid namespace');
  });

  test('closes a connection that sends too much, and goes on serving', async () => {
    const socket = await clients.connect(server.url, { transports: ['websocket'], reconnection: false });
    socket.emit('message', 'x'.repeat(TOO_LARGE));
    await event(socket, 'disconnect');
    assert.deepEqual(await echo(await clients.connect(server.url), 'next'), ['next']);
  });

  test('is found again by the client after it was away', async () => {
    for (const transports of Object.values(TRANSPORTS)) {
      const socket = await clients.connect(server.url, { transports, reconnectionDelay: 50, reconnectionDelayMax: 100 });
      const before = socket.id;
      const away = event(socket, 'disconnect');
      await server.halt('SIGKILL');
      assert.match(await reasonOf(away), /^(transport (close|error)|ping timeout)$/);
      const back = event(socket, 'connect');
      await server.start();
      await back;
      assert.notEqual(socket.id, before);
      assert.deepEqual(await echo(socket, 'again'), ['again']);
      socket.disconnect();
    }
  });
}

/** Tests a server with rooms; `start` resolves with it. */
export function roomsContract(start) {
  const clients = new Clients();
  let server;
  before(async () => {
    server = await start();
  });
  afterEach(() => clients.close());
  after(() => server?.stop());

  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    test(`a broadcast reaches the room and nobody else: ${name}`, async () => {
      const [member, other, outsider] = await Promise.all(
        [1, 2, 3].map(() => clients.connect(server.url, { transports })),
      );
      const heard = new Map([member, other, outsider].map((socket) => [socket, []]));
      heard.forEach((list, socket) => socket.on('msg', (data) => list.push(data)));
      await member.timeout(PATIENCE).emitWithAck('join', 'attic');
      await other.timeout(PATIENCE).emitWithAck('join', 'attic');
      await outsider.timeout(PATIENCE).emitWithAck('join', 'cellar');

      outsider.emit('bcast', 'attic', { n: 1 });
      outsider.emit('bcast', 'attic', Buffer.from('two'));
      // What was asked for after the broadcasts is answered after them.
      await outsider.timeout(PATIENCE).emitWithAck('ack', 'a fence');
      await Promise.all([member, other].map((socket) => socket.timeout(PATIENCE).emitWithAck('ack', 'a fence')));

      assert.deepEqual(heard.get(member), [{ n: 1 }, Buffer.from('two')]);
      assert.deepEqual(heard.get(other), [{ n: 1 }, Buffer.from('two')]);
      assert.deepEqual(heard.get(outsider), []);
    });
  }

  test('a member that has gone gets nothing, and the rest do', async () => {
    const [member, gone] = await Promise.all([clients.connect(server.url), clients.connect(server.url)]);
    await member.timeout(PATIENCE).emitWithAck('join', 'hall');
    await gone.timeout(PATIENCE).emitWithAck('join', 'hall');
    gone.disconnect();
    const heard = event(member, 'msg');
    member.emit('bcast', 'hall', 'hello');
    assert.equal(await heard, 'hello');
  });
}

async function echo(socket, ...args) {
  const back = event(socket, 'message-back');
  socket.emit('message', ...args);
  const got = await back;
  // One argument arrives bare, none as undefined.
  if (args.length === 0) return got === undefined ? [] : [got];
  return args.length === 1 ? [got] : got;
}

async function reasonOf(disconnected) {
  const args = await disconnected;
  return Array.isArray(args) ? args[0] : args;
}
