// Empty folders that vanish with the test.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { atExit, isRunning } from './cleanup.mjs';

/** Every folder of ours is called `jackfield-test-PID-NAME-...`, by the id of the process that made it. */
const PREFIX = `jackfield-test-${process.pid}-`;
const OURS = /^jackfield-test-(\d+)-/;

/** Makes an empty folder. Returns its path and a function that removes it. */
export function temporaryFolder(name) {
  removeLeftOvers();
  const path = mkdtempSync(join(tmpdir(), `${PREFIX}${name}-`));
  const forget = atExit(() => removeNow(path));
  return {
    path,
    remove() {
      removeNow(path);
      forget();
    },
  };
}

/** Removes the folders of test processes that ended without doing so themselves. */
function removeLeftOvers() {
  for (const name of readdirSync(tmpdir())) {
    const maker = Number(OURS.exec(name)?.[1]);
    if (maker && !isRunning(maker)) removeNow(join(tmpdir(), name));
  }
}

// A browser that was just ended may still be writing.
function removeNow(path) {
  rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}
