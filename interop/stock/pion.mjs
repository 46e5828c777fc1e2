// Programs with pion, of Debian's packages, built once for a run of a suite.

import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { succeed } from '../lib/process.mjs';
import { temporaryFolder } from '../lib/temp.mjs';

/** What was compiled stays for the next suite: Go asks for a folder of its own for it. */
const CACHE = fileURLToPath(new URL('../../target/go', import.meta.url));

/** Builds the WebRTC peer, and resolves with its program and what removes it. */
export const buildPion = () => build('pion');

/** Builds the ICE agent. */
export const buildPionIce = () => build('pion_ice');

async function build(name) {
  const source = fileURLToPath(new URL(name, import.meta.url));
  const home = temporaryFolder('pion');
  // Debian has libraries as folders of GOPATH; Go looks for their second versions from inside one alone.
  const folder = join(home.path, 'src', name);
  mkdirSync(folder, { recursive: true });
  cpSync(source, folder, { recursive: true });
  const program = join(home.path, 'program');
  const env = { ...process.env, GO111MODULE: 'off', GOPATH: `${home.path}:/usr/share/gocode`, GOCACHE: CACHE };
  await succeed('go', ['build', '-o', program, '.'], { cwd: folder, env, timeout: 300_000 });
  return { program, remove: () => home.remove() };
}
