/** Something that others listen to. */
export class Emitter {
  #listeners = new Map();

  /** Calls `listener` at each `event`; returns a function that stops it. */
  on(event, listener) {
    const listeners = this.#listeners.get(event) ?? new Set();
    listeners.add(listener);
    this.#listeners.set(event, listeners);
    return () => listeners.delete(listener);
  }

  /** Resolves with what the next `event` carries. */
  next(event) {
    return new Promise((resolve) => {
      const stop = this.on(event, (value) => {
        stop();
        resolve(value);
      });
    });
  }

  /** Tells the listeners. One that throws does not keep the others from hearing. */
  emit(event, ...values) {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        listener(...values);
      } catch (error) {
        reportError(error);
      }
    }
  }
}
