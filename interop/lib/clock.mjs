// Time that a test owns: timers fire in order, as fast as the machine can go.

/** Stands in for the timers and the clock of the process. */
export class Clock {
  now = 0;
  #timers = [];
  #ids = 0;
  #stock = {};

  /** Replaces the globals; `restore` brings the real ones back. */
  install() {
    const { setTimeout, clearTimeout } = globalThis;
    this.#stock = { setTimeout, clearTimeout, now: Date.now };
    globalThis.setTimeout = (run, ms = 0) => this.at(this.now + Math.max(0, ms), run);
    globalThis.clearTimeout = (id) => {
      this.#timers = this.#timers.filter((timer) => timer.id !== id);
    };
    Date.now = () => this.now;
  }

  restore() {
    const { setTimeout, clearTimeout, now } = this.#stock;
    Object.assign(globalThis, { setTimeout, clearTimeout });
    Date.now = now;
  }

  /** Has something run at a time; what is set for the same time runs in the order in which it was set. */
  at(time, run) {
    this.#ids += 1;
    const timer = { id: this.#ids, time, run };
    const index = this.#timers.findLastIndex((other) => other.time <= time);
    this.#timers.splice(index + 1, 0, timer);
    return timer.id;
  }

  /** Lets the time go on until `end`, and everything happen that is due by then. */
  async until(end) {
    for (;;) {
      await settled();
      const [next] = this.#timers;
      if (!next || next.time > end) break;
      this.#timers.shift();
      this.now = next.time;
      next.run();
    }
    this.now = end;
  }
}

/** Resolves when every promise that could go on has. */
function settled() {
  return new Promise((resolve) => setImmediate(resolve));
}
