// A WebRTC peer in a process of its own, which takes orders as lines of JSON: `examples/peer_stdio.rs` says which.

import { Child } from './process.mjs';
import { PATIENCE, within } from './wait.mjs';

export class StdioPeer {
  #child;
  #waiting = new Map();
  #orders = 0;

  constructor(command, args, options = {}) {
    this.#child = new Child(command, args, { ...options, stdin: 'pipe', onLine: (line) => this.#answered(line) });
    this.#child.ended.then(() => this.#fail(`${this.#child.line} ended:\n${this.#child.output}`));
  }

  offer = () => this.#order('offer');
  answer = (sdp) => this.#order('answer', { sdp });
  accept = (sdp) => this.#order('accept', { sdp });
  exchange = (sizes) => this.#order('exchange', { sizes });
  close = () => this.#order('close');
  closed = () => this.#order('closed');
  stats = () => this.#order('stats');

  stop() {
    return this.#child.stop();
  }

  #order(name, params = {}) {
    this.#orders += 1;
    const id = this.#orders;
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#child.process.stdin.write(`${JSON.stringify({ id, name, params })}\n`);
    return within(answer, `a peer to ${name}`, 2 * PATIENCE);
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
