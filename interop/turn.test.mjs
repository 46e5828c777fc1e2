// coturn's test programs and aioice against our TURN server, and against coturn's: both have to pass. So has our client.

import { describe } from 'node:test';

import { LOOPBACK, freePort, startJackfield } from './lib/server.mjs';
import { REALM, SECRET, USER, clientContract, tlsContract, turnContract } from './lib/turn_contract.mjs';
import { startCoturn } from './stock/coturn.mjs';

const CREDENTIALS = {
  rest: ['--secret', SECRET],
  static: ['--user', `${USER.name}:${USER.password}`],
};

describe("coturn's tools and aioice against coturn's server", () => {
  turnContract(startCoturn);
});

describe("coturn's tools and aioice against our server", () => {
  turnContract(({ kind, allowPeers = true }) => {
    // Relays of both families for clients that come by either: by default a client gets the address that it came to.
    const relays = ['--external-ip', LOOPBACK, '--external-ip', '::1'];
    const peers = allowPeers ? ['--allow-peer', '127.0.0.0/8', '--allow-peer', '::1/128'] : [];
    return startJackfield(['--realm', REALM, ...CREDENTIALS[kind], ...relays, ...peers]);
  });
});

/** Starts our server with TLS beside it. */
const startWithTls = async () => {
  const tlsPort = await freePort();
  const tls = ['--listen-tls', `${LOOPBACK}:${tlsPort}`, '--tls-self-signed'];
  const relays = ['--external-ip', LOOPBACK, '--external-ip', '::1'];
  const peers = ['--allow-peer', '127.0.0.0/8', '--allow-peer', '::1/128'];
  const server = await startJackfield(['--realm', REALM, ...CREDENTIALS.static, ...relays, ...peers, ...tls]);
  return Object.assign(server, { tlsPort });
};

describe('aioice against our server inside TLS', () => {
  tlsContract(startWithTls);
});

describe("our client against coturn's server", () => {
  clientContract(({ kind }) => startCoturn({ kind, tls: true }));
});

describe('our client against our server', () => {
  clientContract(startWithTls);
});
