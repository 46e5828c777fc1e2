// Other programs: run to their end, or started and ended by their process group.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { atExit } from './cleanup.mjs';
import { within } from './wait.mjs';

/** How much of a program's output is kept for the message of a failure, in characters. */
const KEPT = 64 * 1024;

/** How long a program may take to end after SIGTERM, in milliseconds. */
const GRACE = 30_000;

/** How long a program that ends by itself may take to do so, in milliseconds. */
const RUN = 180_000;

/** Runs a program to its end and resolves with `{ code, output }`, standard output and error in one. */
export async function run(command, args, { timeout = RUN, ...options } = {}) {
  const child = new Child(command, args, options);
  try {
    const code = await within(child.ended, `${child.line} to end`, timeout);
    return { code, output: child.output };
  } catch (error) {
    throw new Error(`${error.message}\n${child.output}`);
  } finally {
    await child.stop();
  }
}

/** Runs a program to its end, and rejects with its output unless that was a success. */
export async function succeed(command, args, options) {
  const { code, output } = await run(command, args, options);
  if (code !== 0) throw new Error(`${[command, ...args].join(' ')} ended with ${code}:\n${output}`);
  return output;
}

/** A program that runs beside the test, in a process group of its own. */
export class Child {
  /** Everything it has printed, or the last part of it. */
  output = '';

  constructor(command, args, { stdin = 'ignore', onLine, ...options } = {}) {
    this.line = [command, ...args].join(' ');
    this.process = spawn(command, args, { ...options, stdio: [stdin, 'pipe', 'pipe'], detached: true });
    this.forget = atExit(() => this.#signal('SIGKILL'));
    this.ended = this.#watch();
    this.#collect(this.process.stdout, onLine);
    this.#collect(this.process.stderr);
  }

  /** The process's id, which is its group's as well. */
  get pid() {
    return this.process.pid;
  }

  /** Whether it has not ended yet. */
  get isRunning() {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  /** Ends the program and all that it started, the hard way if it does not listen. Resolves when it is gone. */
  async stop(signal = 'SIGTERM') {
    if (this.pid === undefined) return;
    this.#signal(signal);
    try {
      await within(this.ended, `${this.line} to end`, GRACE);
    } catch {
      // Ended below.
    }
    this.#signal('SIGKILL');
    await this.ended;
    this.forget();
  }

  async #watch() {
    try {
      const [code, signal] = await once(this.process, 'close');
      return code ?? signal;
    } catch (error) {
      this.output += `${this.line}: ${error.message}\n`;
      return error.code;
    }
  }

  #collect(stream, onLine) {
    let rest = '';
    stream.setEncoding('utf8');
    stream.on('data', (text) => {
      this.output = (this.output + text).slice(-KEPT);
      if (!onLine) return;
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      lines.forEach((line) => onLine(line));
    });
  }

  #signal(signal) {
    if (this.pid === undefined) return;
    try {
      process.kill(-this.pid, signal);
    } catch (error) {
      if (error.code !== 'ESRCH') throw error;
    }
  }
}
