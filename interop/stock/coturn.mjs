// Debian's turnserver in the role of ours: what the suite asks of our server it asks of this one too.

import { join } from 'node:path';

import { succeed } from '../lib/process.mjs';
import { LOOPBACK, Server, accepts, freePort } from '../lib/server.mjs';
import { temporaryFolder } from '../lib/temp.mjs';
import { REALM, SECRET, USER } from '../lib/turn_contract.mjs';

/**
 * Starts it on a free loopback port. It takes time-limited credentials or static users, not both: `kind` is `rest` or
 * `static`. Peers on loopback are refused unless `allowPeers`. With `tls` it serves that too, on `tlsPort`, with a certificate
 * that nobody has signed.
 */
export async function startCoturn({ kind, allowPeers = true, tls = false }) {
  const port = await freePort();
  const secure = tls ? await certificate() : { args: ['--no-tls', '--no-dtls'], stop: () => {} };
  const users = {
    rest: ['--use-auth-secret', `--static-auth-secret=${SECRET}`],
    static: ['--lt-cred-mech', `--user=${USER.name}:${USER.password}`],
  };
  const server = await Server.start({
    command: 'turnserver',
    args: [
      ...['-n', '--log-file=stdout', '--pidfile=pid', '--userdb=users', '--no-cli', '--no-rfc5780'],
      ...secure.args,
      ...[`--listening-ip=${LOOPBACK}`, '--listening-ip=::1', `--listening-port=${port}`, `--realm=${REALM}`],
      ...(allowPeers ? ['--allow-loopback-peers'] : []),
      ...users[kind],
    ],
    isReady: async () => (await accepts(port)) && (!tls || (await accepts(secure.port))),
  });
  server.port = port;
  server.tlsPort = secure.port;
  const stop = server.stop.bind(server);
  server.stop = async () => {
    await stop();
    secure.stop();
  };
  return server;
}

/** Makes a certificate, and says how turnserver is told of it. */
async function certificate() {
  const port = await freePort();
  const folder = temporaryFolder('tls');
  const [key, chain] = ['key.pem', 'chain.pem'].map((name) => join(folder.path, name));
  const subject = ['-subj', '/CN=localhost', '-days', '2'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await succeed('openssl', ['req', '-x509', ...kind, '-keyout', key, '-out', chain, ...subject]);
  const args = ['--no-dtls', `--tls-listening-port=${port}`, `--cert=${chain}`, `--pkey=${key}`];
  return { port, args, stop: () => folder.remove() };
}
