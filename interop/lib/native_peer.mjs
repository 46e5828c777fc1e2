// `jackfield send`, `receive` and `connect` as a program that reads their JSON sees them.

import { readFileSync } from 'node:fs';

import { JACKFIELD } from './server.mjs';
import { until, within } from './wait.mjs';

/** The longest that a transfer of a suite may take, in milliseconds. */
export const PATIENCE = 60_000 + 500 * Number(process.env.INTEROP_TRANSFER_MIB ?? 0);

/** A native peer on a host of a lab, started with `--json`. */
export class NativePeer {
  /** What it has said, each with the time `at` in milliseconds. */
  events = [];

  constructor(lab, host, args, options) {
    const onLine = (line) => this.events.push({ ...JSON.parse(line), at: Date.now() });
    this.child = lab.start(host, JACKFIELD, args, { onLine, ...options });
  }

  /** Resolves with the first event of a name that a condition holds for. */
  async event(name, condition = () => true) {
    const gone = new AbortController();
    this.child.ended.then((code) => gone.abort(new Error(`it ended with ${code}:\n${this.child.output}`)));
    const found = () => this.all(name).find(condition);
    try {
      return await until(found, `the event ${name}`, { timeout: PATIENCE, signal: gone.signal });
    } catch (error) {
      // Its last words may come with its end.
      const last = found();
      if (last) return last;
      throw new Error(`${error.message}\n${this.child.output}`);
    }
  }

  /** The events of a name so far. */
  all(name) {
    return this.events.filter(({ event }) => event === name);
  }

  /** Resolves with the exit code. */
  ended(timeout = PATIENCE) {
    return within(this.child.ended, `the end of ${this.child.line}`, timeout).catch((error) => {
      throw new Error(`${error.message}\n${this.child.output}`);
    });
  }

  /** Ends the program the way that no program can prevent. */
  async kill() {
    await this.child.stop('SIGKILL');
  }

  stop() {
    return this.child.stop();
  }

  /** The process of the program itself, below the one that entered the lab. */
  get pid() {
    const { pid } = this.child;
    return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim());
  }
}
