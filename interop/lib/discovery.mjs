// `jackfield serve` with NAT discovery, and `jackfield stun` and `jackfield doctor` behind NATs.

import { NETWORK, SERVER, SERVER_SECOND } from './internet.mjs';
import { Namespace } from './netns.mjs';
import { DEFAULT_PORT, JACKFIELD, Server, startPublicJackfield } from './server.mjs';

const SECRET = ['--secret', 'a secret that two servers share'];
/** Metrics are not for public networks by default, and the test's own is one. */
const COMMON = [...SECRET, '--metrics-from', NETWORK];

/** Starts our server on both public addresses of a made-up internet. */
export const startTwoAddressJackfield = (internet, args = []) =>
  startPublicJackfield(internet, ['--nat-discovery', SERVER_SECOND, ...SECRET, ...args]);

/** Starts our server on one public address, and a second one on the other that helps it. */
export async function startJackfieldWithHelper(internet) {
  const helper = await Server.start({
    command: JACKFIELD,
    args: ['serve', '--listen', `${SERVER_SECOND}:${DEFAULT_PORT}`, '--nat-discovery-help', ...COMMON],
    isReady: async () => (await internet.server.run(JACKFIELD, ['stun', SERVER_SECOND])).code === 0,
    startChild: (...all) => internet.server.start(...all),
  });
  try {
    const server = await startPublicJackfield(internet, ['--nat-discovery-helper', SERVER_SECOND, ...COMMON]);
    return { stop: () => Promise.all([server.stop(), helper.stop()]) };
  } catch (error) {
    await helper.stop();
    throw error;
  }
}

/** The server's own address behind a 1:1 NAT. */
export const BEHIND_ONE_TO_ONE = '10.9.0.2';

/**
 * Starts our server as clouds have them: it has a private address alone, and a router in front of it translates its
 * public one. `firewall` are rules of the router for packets to the server.
 */
export async function startJackfieldBehindOneToOneNat(internet, { site, args = [], firewall = '' }) {
  const external = `198.18.${site}.1`;
  const router = await Namespace.create(`cloud${site}`);
  const host = await Namespace.create(`instance${site}`);
  const remove = () => [host, router].forEach((each) => each.remove());
  try {
    await internet.server.cable(`cloud${site}`, router, 'wan');
    await internet.server.ip('link', 'set', `cloud${site}`, 'master', 'net', 'up');
    await router.address('wan', `${external}/15`);
    await router.cable('lan', host, 'eth0');
    await router.address('lan', '10.9.0.1/24');
    await host.address('eth0', `${BEHIND_ONE_TO_ONE}/24`);
    await host.ip('route', 'add', 'default', 'via', '10.9.0.1');
    await router.succeed('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
    await router.succeed('nft', [oneToOne(external, firewall)]);
    const server = await Server.start({
      command: JACKFIELD,
      args: ['serve', '--listen', `${BEHIND_ONE_TO_ONE}:${DEFAULT_PORT}`, '--allow-peer', NETWORK, ...SECRET, ...args],
      isReady: async () => (await internet.server.run(JACKFIELD, ['stun', external])).code === 0,
      startChild: (...all) => host.start(...all),
    });
    return { external, stop: () => server.stop().finally(remove) };
  } catch (error) {
    remove();
    throw error;
  }
}

const oneToOne = (external, firewall) => `
  table ip cloud {
    chain in { type nat hook prerouting priority dstnat; ip daddr ${external} dnat to ${BEHIND_ONE_TO_ONE}; }
    chain out { type nat hook postrouting priority srcnat; ip saddr ${BEHIND_ONE_TO_ONE} snat to ${external}; }
    chain between { type filter hook forward priority filter; ${firewall} }
  }`;

/** Runs `jackfield stun --behaviour` in a namespace. */
export async function behaviour(namespace, ...args) {
  return JSON.parse(await namespace.succeed(JACKFIELD, ['stun', SERVER, '--behaviour', '--json', ...args]));
}

/** Runs `jackfield doctor` in a namespace; resolves with its exit code, and what it prints as JSON and as text. */
export async function doctor(namespace, { server = SERVER } = {}) {
  const command = ['doctor', '--server', server];
  const [json, text] = await Promise.all([
    namespace.run(JACKFIELD, [...command, '--json']),
    namespace.run(JACKFIELD, command, { env: { ...process.env, COLUMNS: '90' } }),
  ]);
  return { code: json.code, diagnosis: JSON.parse(json.output), text: text.output };
}
