// What has to be undone when the test process ends, however it ends.

const undoing = new Map();

/** Has `undo` called, synchronously, when this process exits. Returns a function that takes this back. */
export function atExit(undo) {
  const key = Symbol('undo');
  undoing.set(key, undo);
  return () => undoing.delete(key);
}

/** Whether a process is there: what belongs to one that is not may be removed. */
export function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

process.on('exit', () => {
  // The latest first: a process dies before the namespace it is in.
  for (const undo of [...undoing.values()].reverse()) {
    try {
      undo();
    } catch (error) {
      console.error('cleaning up:', error.message);
    }
  }
});

// Without a handler these signals end the process with no `exit` event.
for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]]) {
  process.once(signal, () => process.exit(code));
}
