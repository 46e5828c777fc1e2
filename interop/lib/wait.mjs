// Waiting for conditions, never for a time to pass.

/** The longest that a condition is waited for unless the caller says otherwise, in milliseconds. */
export const PATIENCE = 60_000;

/**
 * Resolves with the first truthy value that `condition` gives; rejects with what it waited for, and with the error
 * of the last try if that threw. An aborted `signal` rejects with its reason, at once.
 */
export async function until(condition, what, { timeout = PATIENCE, every = 50, signal } = {}) {
  const deadline = Date.now() + timeout;
  let last;
  for (;;) {
    signal?.throwIfAborted();
    try {
      const value = await condition();
      if (value) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) {
      throw new Error(`waited ${timeout} ms in vain: ${what}`, { cause: last });
    }
    await pause(every);
  }
}

/** Resolves as `promise` does, or rejects after `timeout` milliseconds with what it waited for. */
export async function within(promise, what, timeout = PATIENCE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${timeout} ms in vain: ${what}`)), timeout);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves with the arguments of the next `name` event of `emitter`; of one argument, with that one. */
export function event(emitter, name, timeout = PATIENCE) {
  const fired = new Promise((resolve) => {
    emitter.once(name, (...args) => resolve(args.length > 1 ? args : args[0]));
  });
  return within(fired, `the event ${name}`, timeout);
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
