// The Autobahn WebSocket cases, run by kosoku.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { run } from './process.mjs';
import { python } from './python.mjs';
import { temporaryFolder } from './temp.mjs';

/** How long a run may take, in milliseconds. */
const LIMIT = 400_000;

/** Runs cases against the echo server at a loopback port, and resolves with how it did in each, by the case's number. */
export async function autobahn(address, { include = [], exclude = [] }) {
  const reports = temporaryFolder('autobahn');
  try {
    const options = [
      ...include.flatMap((pattern) => ['-i', pattern]),
      ...exclude.flatMap((pattern) => ['-x', pattern]),
    ];
    const { output } = await run(python('kosoku'), ['-p', '2', ...options, '-o', reports.path, address], {
      timeout: LIMIT,
    });
    return read(join(reports.path, 'index.json'), output);
  } finally {
    reports.remove();
  }
}

/**
 * The cases that are not as they should be, one line each: one that neither passed nor is only informational must be
 * in `expected` as it is, and one that passed must not.
 */
export function surprises(results, expected) {
  const lines = [];
  for (const [name, { behavior, behaviorClose }] of Object.entries(results)) {
    const passed = [behavior, behaviorClose].every((is) => is === 'OK' || is === 'INFORMATIONAL');
    const listed = expected[name];
    if (passed && listed) lines.push(`${name} passes: take it off the list`);
    if (!passed && listed?.behavior !== behavior) lines.push(`${name}: ${behavior}, its close ${behaviorClose}`);
  }
  for (const name of Object.keys(expected)) {
    if (!(name in results)) lines.push(`${name} is listed and was not run`);
  }
  return lines;
}

function read(file, output) {
  try {
    const [results] = Object.values(JSON.parse(readFileSync(file, 'utf8')));
    return results;
  } catch (error) {
    throw new Error(`no report:\n${output}`, { cause: error });
  }
}
