// Empty folders that vanish with the test.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { atExit } from './cleanup.mjs';

/** Makes an empty folder. Returns its path and a function that removes it. */
export function temporaryFolder(name) {
  const path = mkdtempSync(join(tmpdir(), `jackfield-${name}-`));
  const remove = () => rmSync(path, { recursive: true, force: true, maxRetries: 3 });
  const forget = atExit(remove);
  return {
    path,
    remove() {
      remove();
      forget();
    },
  };
}
