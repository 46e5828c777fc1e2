// `jackfield serve` with NAT discovery, and `jackfield stun` and `jackfield doctor` behind NATs.

import { SERVER, SERVER_SECOND } from './internet.mjs';
import { DEFAULT_PORT, JACKFIELD, Server, startPublicJackfield } from './server.mjs';

const SECRET = ['--secret', 'a secret that two servers share'];

/** Starts our server on both public addresses of a made-up internet. */
export const startTwoAddressJackfield = (internet, args = []) =>
  startPublicJackfield(internet, ['--nat-discovery', SERVER_SECOND, ...SECRET, ...args]);

/** Starts our server on one public address, and a second one on the other that helps it. */
export async function startJackfieldWithHelper(internet) {
  const helper = await Server.start({
    command: JACKFIELD,
    args: ['serve', '--listen', `${SERVER_SECOND}:${DEFAULT_PORT}`, '--nat-discovery-help', ...SECRET],
    isReady: async () => (await internet.server.run(JACKFIELD, ['stun', SERVER_SECOND])).code === 0,
    startChild: (...all) => internet.server.start(...all),
  });
  try {
    const server = await startPublicJackfield(internet, ['--nat-discovery-helper', SERVER_SECOND, ...SECRET]);
    return { stop: () => Promise.all([server.stop(), helper.stop()]) };
  } catch (error) {
    await helper.stop();
    throw error;
  }
}

/** Runs `jackfield stun --behaviour` in a namespace. */
export async function behaviour(namespace, ...args) {
  return JSON.parse(await namespace.succeed(JACKFIELD, ['stun', SERVER, '--behaviour', '--json', ...args]));
}

/** Runs `jackfield doctor` in a namespace; resolves with its exit code, and what it prints as JSON and as text. */
export async function doctor(namespace, ...args) {
  const command = ['doctor', '--server', SERVER, ...args];
  const [json, text] = await Promise.all([
    namespace.run(JACKFIELD, [...command, '--json']),
    namespace.run(JACKFIELD, command, { env: { ...process.env, COLUMNS: '90' } }),
  ]);
  return { code: json.code, diagnosis: JSON.parse(json.output), text: text.output };
}
