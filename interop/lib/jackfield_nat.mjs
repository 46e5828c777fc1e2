// `jackfield nat run` between a host of its own and the made-up internet.

import { join } from 'node:path';

import { Namespace } from './netns.mjs';
import { Child, run, succeed } from './process.mjs';
import { JACKFIELD } from './server.mjs';
import { temporaryFolder } from './temp.mjs';
import { until } from './wait.mjs';

/** A running router, and the host behind it. */
export class JackfieldNat {
  #child;
  #folder = temporaryFolder('nat');
  #control = join(this.#folder.path, 'nat.sock');

  /** Starts one with the outside address `external`, and the host with the address `inside` behind it. */
  static async start(internet, { site, external = `198.18.${site}.1`, inside = `10.${site}.0.2`, args = [] }) {
    const host = await Namespace.create(`nat${site}`);
    const nat = new JackfieldNat(internet, host, { site, external, inside, args });
    try {
      await until(() => nat.list(), 'the router', { signal: nat.#gone.signal });
      return nat;
    } catch (error) {
      const { output } = nat;
      await nat.stop();
      throw new Error(`${error.message}\n${output}`);
    }
  }

  #gone = new AbortController();

  constructor(internet, host, { site, external, inside, args }) {
    this.host = host;
    this.external = external;
    this.#child = new Child(JACKFIELD, [
      ...['nat', 'run', '--inside', `tun0=${inside}/24@${host.name}`, '--default-route'],
      ...['--outside', `nat${site}@${internet.server.name}`, '--external', this.external],
      ...['--control', this.#control, '--json', ...args],
    ]);
    this.#child.ended.then((code) => this.#gone.abort(new Error(`the router ended by itself: ${code}`)));
  }

  /** What it has printed. */
  get output() {
    return this.#child.output;
  }

  /** What `nat list --json` says. */
  async list() {
    return JSON.parse(await this.#ask('list', '--json'));
  }

  /** Changes it by the flags of `nat set`. */
  set(...flags) {
    return this.#ask('set', ...flags);
  }

  /** Has it forget all mappings. */
  reboot() {
    return this.#ask('reboot');
  }

  /** Ends the router and resolves with its exit code. */
  async halt() {
    await this.#child.stop();
    return this.#child.ended;
  }

  /** Ends the router and removes the host behind it. */
  async stop() {
    await this.#child.stop();
    this.host.remove();
    this.#folder.remove();
  }

  #ask(command, ...args) {
    return succeed(JACKFIELD, ['nat', command, '--control', this.#control, ...args]);
  }
}

/** Runs `jackfield nat` to its end. */
export const nat = (args, options) => run(JACKFIELD, ['nat', ...args], options);
