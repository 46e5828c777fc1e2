// The Python programs of the virtual environment.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { succeed } from './process.mjs';

const BIN = fileURLToPath(new URL('../.venv/bin', import.meta.url));

/** The path of a program of the virtual environment. */
export const python = (name) => join(BIN, name);

/** Reads a table of `expected.toml`: by case, what is expected and why. */
export async function expected(table) {
  const script = 'import json, sys, tomllib; print(json.dumps(tomllib.load(open(sys.argv[1], "rb"))))';
  const file = fileURLToPath(new URL('../expected.toml', import.meta.url));
  const tables = JSON.parse(await succeed(python('python3'), ['-c', script, file]));
  return tables[table] ?? {};
}
