// Debian's turnserver in the role of ours: what the suite asks of our server it asks of this one too.

import { LOOPBACK, Server, accepts, freePort } from '../lib/server.mjs';
import { REALM, SECRET, USER } from '../lib/turn_contract.mjs';

/**
 * Starts it on a free loopback port. It takes time-limited credentials or static users, not both: `kind` is `rest` or
 * `static`. Peers on loopback are refused unless `allowPeers`.
 */
export async function startCoturn({ kind, allowPeers = true }) {
  const port = await freePort();
  const users = {
    rest: ['--use-auth-secret', `--static-auth-secret=${SECRET}`],
    static: ['--lt-cred-mech', `--user=${USER.name}:${USER.password}`],
  };
  const server = await Server.start({
    command: 'turnserver',
    args: [
      ...['-n', '--log-file=stdout', '--pidfile=pid', '--userdb=users', '--no-tls', '--no-dtls', '--no-cli', '--no-rfc5780'],
      ...[`--listening-ip=${LOOPBACK}`, '--listening-ip=::1', `--listening-port=${port}`, `--realm=${REALM}`],
      ...(allowPeers ? ['--allow-loopback-peers'] : []),
      ...users[kind],
    ],
    isReady: () => accepts(port),
  });
  server.port = port;
  return server;
}
