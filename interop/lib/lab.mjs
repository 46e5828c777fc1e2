// `jackfield lab`: hosts behind NATs of ours, in which programs run.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Child, run, succeed } from './process.mjs';
import { JACKFIELD } from './server.mjs';
import { temporaryFolder } from './temp.mjs';

/** Where the lab's own server is, for programs on its hosts. */
export const LAB_SERVER = 'http://198.18.0.1:3478';

export class Lab {
  #folder = temporaryFolder('lab');

  /** Starts a lab that is written in TOML, in a folder of its own: labs of people are not touched. */
  static async up(name, toml) {
    const lab = new Lab(name);
    const file = join(lab.#folder.path, `${name}.toml`);
    writeFileSync(file, toml);
    try {
      await lab.#lab('up', '--name', name, file);
      return lab;
    } catch (error) {
      await lab.down();
      throw error;
    }
  }

  constructor(name) {
    this.name = name;
    this.env = { ...process.env, XDG_RUNTIME_DIR: this.#folder.path, NO_COLOR: '1' };
  }

  /** Returns the command, the arguments and the options that start a program on a host; `env` adds to its environment. */
  inside(host, command, args, env = {}) {
    return [JACKFIELD, ['lab', 'exec', '--lab', this.name, host, '--', command, ...args], { env: { ...this.env, ...env } }];
  }

  /** Starts a program on a host. */
  start(host, command, args, options) {
    const [program, words, { env }] = this.inside(host, command, args);
    return new Child(program, words, { ...options, env });
  }

  /** Runs a program on a host, and resolves with what it prints. */
  succeed(host, command, args) {
    const [program, words, options] = this.inside(host, command, args);
    return succeed(program, words, options);
  }

  /** Changes a site's router by the flags of `jackfield nat set`. */
  set(site, ...flags) {
    return this.#nat('set', site, flags);
  }

  /** Has a site's router forget every mapping. */
  reboot(site) {
    return this.#nat('reboot', site, []);
  }

  /** Gives a host another address in place of the one that it has, as another Wi-Fi would. */
  async changeAddress(host) {
    const [{ gateway }] = JSON.parse(await this.succeed(host, 'ip', ['-j', 'route', 'show', 'default']));
    const next = gateway.replace(/\d+$/, '77');
    const steps = ['ip address flush dev eth0', `ip address add ${next}/24 dev eth0`, `ip route add default via ${gateway}`];
    await this.succeed(host, 'sh', ['-c', steps.join(' && ')]);
  }

  /** Returns the host as a namespace that programs are started in. */
  namespace(host) {
    return { start: (...all) => this.start(host, ...all) };
  }

  /** Ends all that runs in it, and removes it. */
  async down() {
    await run(JACKFIELD, ['lab', 'down', this.name], { env: this.env });
    this.#folder.remove();
  }

  #nat(command, site, flags) {
    const state = join(this.#folder.path, 'jackfield-lab', this.name, 'state.json');
    const { control } = JSON.parse(readFileSync(state, 'utf8')).sites[site];
    return succeed(JACKFIELD, ['nat', command, '--control', control, ...flags]);
  }

  async #lab(...args) {
    const { code, output } = await run(JACKFIELD, ['lab', ...args], { env: this.env });
    if (code !== 0) throw new Error(`jackfield lab ${args.join(' ')} ended with ${code}:\n${output}`);
  }
}
