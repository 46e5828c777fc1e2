// `jackfield lab`: hosts behind NATs of ours, in which programs run.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Child, run } from './process.mjs';
import { JACKFIELD } from './server.mjs';
import { temporaryFolder } from './temp.mjs';

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

  /** Returns the host as a namespace that programs are started in. */
  namespace(host) {
    return {
      start: (command, args, options) => {
        const [program, words, { env }] = this.inside(host, command, args);
        return new Child(program, words, { ...options, env });
      },
    };
  }

  /** Ends all that runs in it, and removes it. */
  async down() {
    await run(JACKFIELD, ['lab', 'down', this.name], { env: this.env });
    this.#folder.remove();
  }

  async #lab(...args) {
    const { code, output } = await run(JACKFIELD, ['lab', ...args], { env: this.env });
    if (code !== 0) throw new Error(`jackfield lab ${args.join(' ')} ended with ${code}:\n${output}`);
  }
}
