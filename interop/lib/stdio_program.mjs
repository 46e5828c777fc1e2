// A program that takes orders as lines of JSON, `{ id, name, params }`, and answers each with `{ id, result }` or
// `{ id, error }`.

import { Child } from './process.mjs';
import { PATIENCE, within } from './wait.mjs';

export class StdioProgram {
  #child;
  #waiting = new Map();
  #orders = 0;

  constructor(command, args, options = {}) {
    this.#child = new Child(command, args, { ...options, stdin: 'pipe', onLine: (line) => this.#answered(line) });
    this.#child.ended.then(() => this.#fail(`${this.#child.line} ended:\n${this.#child.output}`));
  }

  /** What it has printed. */
  get output() {
    return this.#child.output;
  }

  /** Gives an order, and resolves with its result. */
  order(name, params = {}) {
    this.#orders += 1;
    const id = this.#orders;
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#child.process.stdin.write(`${JSON.stringify({ id, name, params })}\n`);
    return within(answer, `${this.#child.line} to ${name}`, 2 * PATIENCE);
  }

  stop() {
    return this.#child.stop();
  }

  #answered(line) {
    const { id, result, error } = JSON.parse(line);
    const { resolve, reject } = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) resolve(result);
    else reject(new Error(error));
  }

  #fail(why) {
    for (const { reject } of this.#waiting.values()) reject(new Error(why));
    this.#waiting.clear();
  }
}
