// What coturn's test programs and aioice expect of a TURN server.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createSocket } from 'node:dgram';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';

import { run, succeed } from './process.mjs';
import { python } from './python.mjs';
import { LOOPBACK, driverExample } from './server.mjs';

export const SECRET = 'a secret that both share';
export const REALM = 'interop.example';
export const USER = Object.freeze({ name: 'ann', password: 'a static password' });

/** How uclient gives its credentials. */
const REST = ['-u', 'ann', '-W', SECRET];
const STATIC = ['-u', USER.name, '-w', USER.password];

/** How many messages a session sends, and at which interval in milliseconds. */
const MESSAGES = ['-n', '30', '-z', '5'];

/** What uclient says in the end when every message came back. */
const LOST_NONE = /Total lost packets 0 \(0\.0+%\)/;

/** How data goes through the server: the options of uclient. */
const WAYS = Object.freeze({
  'channels over UDP': ['-X', '-g'],
  'Send and Data indications over UDP': ['-X', '-s'],
  'channels over TCP': ['-X', '-t'],
  'Send and Data indications over TCP': ['-X', '-t', '-s'],
  'several clients at once': ['-X', '-m', '5'],
  'padded ChannelData over UDP': ['-X', '-D'],
  'extra requests in between': ['-X', '-G'],
});

/**
 * Tests a TURN server inside TLS; `start` resolves with one that has a `tlsPort`.
 *
 * coturn's client is not asked: it takes what is in one TLS record for one message, so it loses those that share one.
 */
export function tlsContract(start) {
  let server;
  before(async () => {
    server = await start();
  });
  after(() => server?.stop());

  test('between two ICE agents over TLS', () => relaysBetweenAgents(server.tlsPort, 'tls'));
}

/** Tests a TURN server; `start({ kind, allowPeers })` resolves with one that takes credentials of that kind. */
export function turnContract(start) {
  const servers = {};
  const echoes = [];
  before(async () => {
    for (const kind of ['rest', 'static']) servers[kind] = await start({ kind });
    for (const address of [LOOPBACK, '::1']) echoes.push(await echoPeer(address));
  });
  after(async () => {
    echoes.forEach((echo) => echo.close());
    for (const server of Object.values(servers)) await server.stop();
  });

  describe('relays without loss', { concurrency: true }, () => {
    for (const [name, way] of Object.entries(WAYS)) {
      test(`to a peer: ${name}`, () => losesNothing(servers.rest, REST, [...way, ...peer(LOOPBACK, echoes)]));
      test(`to a peer, static credentials: ${name}`, () =>
        losesNothing(servers.static, STATIC, [...way, ...peer(LOOPBACK, echoes)]));
    }
    test('between two clients', () => losesNothing(servers.rest, REST, ['-y']));
    test('between two clients over TCP', () => losesNothing(servers.rest, REST, ['-y', '-t']));
    test('between two clients by indications', () => losesNothing(servers.rest, REST, ['-y', '-s']));
    test('from an IPv6 relayed address to an IPv6 peer', () =>
      losesNothing(servers.rest, REST, ['-x', '-c', ...peer('::1', echoes)]));

    for (const transport of ['udp', 'tcp']) {
      test(`between two ICE agents over ${transport}`, () => relaysBetweenAgents(servers.static.port, transport));
    }
  });

  test('tells a client its address', async () => {
    const output = await succeed('turnutils_stunclient', ['-p', String(servers.rest.port), LOOPBACK]);
    assert.match(output, /UDP reflexive addr: 127\.0\.0\.1:\d+/);
  });

  test('refuses a wrong password and a wrong secret', async () => {
    await isRefused(servers.static, ['-u', USER.name, '-w', 'wrong', '-y'], /Cannot complete Allocation/);
    await isRefused(servers.static, ['-u', 'nobody', '-w', USER.password, '-y'], /Cannot complete Allocation/);
    await isRefused(servers.rest, ['-u', 'ann', '-W', 'wrong', '-y'], /Cannot complete Allocation/);
  });

  test('refuses a peer on this machine unless it was told to allow it', async () => {
    const strict = await start({ kind: 'rest', allowPeers: false });
    try {
      await isRefused(strict, [...REST, ...peer(LOOPBACK, echoes)], /(channel bind|create permission): error 403/i);
    } finally {
      await strict.stop();
    }
  });
}

/**
 * Tests our TURN client against a server; `start({ kind })` resolves with one that takes static users over UDP, TCP and, on
 * its `tlsPort`, inside TLS with a certificate that nobody has signed.
 */
export function clientContract(start) {
  let server;
  const echoes = [];
  before(async () => {
    server = await start({ kind: 'static' });
    for (const address of [LOOPBACK, '::1']) echoes.push(await echoPeer(address));
  });
  after(async () => {
    echoes.forEach((echo) => echo.close());
    await server?.stop();
  });

  /** Runs the client; resolves with what it says. */
  const ask = async (transport, { user = USER, peer: at = LOOPBACK, options = [] } = {}) => {
    const port = transport === 'tls' ? server.tlsPort : server.port;
    const echo = echoes.find((candidate) => candidate.at === at);
    const host = at.includes(':') ? `[${at}]` : at;
    const args = ['--server', `${LOOPBACK}:${port}`, '--transport', transport, '--user', user.name];
    args.push('--password', user.password, '--peer', `${host}:${echo.port}`, ...options);
    const { output } = await run(driverExample('turn_echo'), args);
    const json = output.split('\n').find((line) => line.startsWith('{'));
    assert.ok(json, output);
    return JSON.parse(json);
  };

  for (const transport of ['udp', 'tcp', 'tls']) {
    for (const [way, options] of [['channels', []], ['Send and Data indications', ['--no-channels']]]) {
      test(`${way} over ${transport} lose nothing`, async () => {
        const { relayed, mapped, sent, returned } = await ask(transport, { options });
        assert.equal(returned, sent);
        assert.ok(sent > 0);
        assert.match(relayed[0], /^127\.0\.0\.1:\d+$/);
        assert.match(mapped, /^127\.0\.0\.1:\d+$/);
      });
    }
    test(`a wrong password over ${transport} is the caller's fault`, async () => {
      const { code, fault } = await ask(transport, { user: { ...USER, password: 'wrong' } });
      assert.deepEqual({ code, fault }, { code: 401, fault: 'Caller' });
    });
  }

  test('an IPv6 relayed address reaches an IPv6 peer', async () => {
    const { relayed, sent, returned } = await ask('udp', { peer: '::1', options: ['--family', '6'] });
    assert.match(relayed[0], /^\[::1\]:\d+$/);
    assert.equal(returned, sent);
  });
}

/** uclient itself loses datagrams where the machine stalls it, so the best of a few runs counts. */
async function losesNothing(server, credentials, options) {
  let output;
  let runs = 0;
  do {
    output = await succeed('turnutils_uclient', uclient(server, [...credentials, ...options]));
    runs += 1;
  } while (!LOST_NONE.test(output) && runs < 4);
  assert.match(output, LOST_NONE);
  const [, sent, received] = /tot_send_msgs=(\d+), tot_recv_msgs=(\d+)/g.exec(last(output)) ?? [];
  assert.ok(Number(sent) > 0, output);
  assert.equal(received, sent);
}

async function relaysBetweenAgents(port, transport) {
  const script = fileURLToPath(new URL('aioice_relay.py', import.meta.url));
  const args = [script, LOOPBACK, String(port), USER.name, USER.password, transport];
  assert.match(await succeed(python('python3'), args), /relayed both ways/);
}

async function isRefused(server, options, why) {
  const { code, output } = await run('turnutils_uclient', uclient(server, options));
  assert.notEqual(code, 0);
  assert.match(output, why);
}

function uclient(server, options) {
  return [...MESSAGES, ...options, '-p', String(server.port), LOOPBACK];
}

function peer(address, echoes) {
  const { port } = echoes.find((echo) => echo.at === address);
  return ['-e', address, '-r', String(port)];
}

/** The last line that counts messages. */
function last(output) {
  return output.slice(output.lastIndexOf('tot_send_msgs'));
}

/** A peer that sends every datagram back, on two ports in a row: uclient's second flow goes to the next port. */
async function echoPeer(at) {
  for (;;) {
    const first = await echoSocket(at, 0);
    const { port } = first.address();
    try {
      const second = await echoSocket(at, port + 1);
      return { at, port, close: () => [first, second].forEach((socket) => socket.close()) };
    } catch {
      first.close();
    }
  }
}

async function echoSocket(address, port) {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (bytes, from) => socket.send(bytes, from.port, from.address));
  socket.bind(port, address);
  await once(socket, 'listening');
  return socket;
}
