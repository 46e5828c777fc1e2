// Our TURN client through stock proxies: tinyproxy for HTTP CONNECT, microsocks for SOCKS 5.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createSocket } from 'node:dgram';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { run } from './lib/process.mjs';
import { LOOPBACK, Server, accepts, driverExample, freePort, startJackfield } from './lib/server.mjs';
import { temporaryFolder } from './lib/temp.mjs';

const USER = Object.freeze({ name: 'ann', password: 'secret' });

/** Each proxy: the scheme of its URL, and how it is started with credentials. */
const PROXIES = { tinyproxy: ['http', startTinyproxy], microsocks: ['socks5h', startMicrosocks] };

let server;
let echo;
before(async () => {
  const tlsPort = await freePort();
  const tls = ['--listen-tls', `${LOOPBACK}:${tlsPort}`, '--tls-self-signed'];
  const user = ['--user', `${USER.name}:${USER.password}`, '--realm', 'interop.example'];
  const relays = ['--external-ip', LOOPBACK, '--allow-peer', '127.0.0.0/8'];
  server = Object.assign(await startJackfield([...user, ...relays, ...tls]), { tlsPort });
  echo = createSocket('udp4');
  echo.on('message', (data, { port, address }) => echo.send(data, port, address));
  echo.bind(0, LOOPBACK);
  await once(echo, 'listening');
});
after(async () => {
  echo?.close();
  await server?.stop();
});

for (const [name, [scheme, start]] of Object.entries(PROXIES)) {
  describe(name, () => {
    let proxy;
    before(async () => {
      proxy = await start();
    });
    after(() => proxy?.stop());

    /** Runs the client through the proxy; resolves with what it says. */
    const ask = async (user, transport, port) => {
      const url = `${scheme}://${user}${LOOPBACK}:${proxy.port}`;
      const args = ['--server', `${LOOPBACK}:${port}`, '--transport', transport, '--user', USER.name];
      args.push('--password', USER.password, '--peer', `${LOOPBACK}:${echo.address().port}`, '--proxy', url);
      const { output } = await run(driverExample('turn_echo'), args);
      const json = output.split('\n').find((line) => line.startsWith('{'));
      assert.ok(json, output);
      return JSON.parse(json);
    };

    for (const transport of ['tcp', 'tls']) {
      test(`carries an allocation over ${transport} without loss`, async () => {
        const port = transport === 'tls' ? server.tlsPort : server.port;
        const { sent, returned } = await ask('bob:swordfish@', transport, port);
        assert.ok(sent > 0);
        assert.equal(returned, sent);
      });
    }
    test('is told apart from the server when it wants credentials, or others', async () => {
      const refused = 'the proxy refused the name and the password';
      const required = 'the proxy requires a name and a password';
      assert.equal((await ask('bob:wrong@', 'tcp', server.port)).error, refused);
      assert.equal((await ask('', 'tcp', server.port)).error, required);
    });
    test('is told apart from a port where no program listens', async () => {
      const { error } = await ask('bob:swordfish@', 'tcp', await freePort());
      assert.match(error, /^the proxy |^the target /);
    });
  });
}

async function startTinyproxy() {
  const port = await freePort();
  const folder = temporaryFolder('tinyproxy');
  const file = join(folder.path, 'tinyproxy.conf');
  writeFileSync(file, `Port ${port}\nListen ${LOOPBACK}\nBasicAuth bob swordfish\nTimeout 60\n`);
  const proxy = await serve('tinyproxy', ['-d', '-c', file], port);
  return { port, stop: () => proxy.stop().then(() => folder.remove()) };
}

async function startMicrosocks() {
  const port = await freePort();
  const proxy = await serve('microsocks', ['-i', LOOPBACK, '-p', String(port), '-u', 'bob', '-P', 'swordfish'], port);
  return { port, stop: () => proxy.stop() };
}

const serve = (command, args, port) => Server.start({ command, args, isReady: () => accepts(port) });
