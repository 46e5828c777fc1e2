// Debian's turnserver with two addresses, and turnutils_natdiscovery, which asks it what kind of NAT is on the way.

import { SERVER, SERVER_SECOND } from '../lib/internet.mjs';
import { Server } from '../lib/server.mjs';

/** Starts turnserver on both public addresses of a made-up internet, each on two ports, for RFC 5780. */
export async function startTwoAddressCoturn(internet) {
  const { server: namespace } = internet;
  return Server.start({
    command: 'turnserver',
    args: [
      ...['-n', '--log-file=stdout', '--pidfile=pid', '--userdb=users', '--no-tls', '--no-dtls', '--no-cli', '--no-tcp'],
      ...['-L', SERVER, '-L', SERVER_SECOND, '--listening-port=3478', '--alt-listening-port=3479', '--no-auth'],
    ],
    isReady: async () => (await namespace.run('turnutils_stunclient', [SERVER], { timeout: 5_000 })).code === 0,
    startChild: (...all) => namespace.start(...all),
  });
}

/** Runs turnutils_natdiscovery in a namespace; resolves with the mapping and the filtering that it names. */
export async function discover(namespace) {
  const output = await namespace.succeed('turnutils_natdiscovery', ['-m', '-f', SERVER]);
  const named = (what) => new RegExp(`NAT with (.*) ${what}!`).exec(output)?.[1];
  return { mapping: named('Mapping'), filtering: named('Filtering') };
}
