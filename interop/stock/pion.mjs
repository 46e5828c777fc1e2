// pion, of Debian's packages, built once for a run of the suite.

import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { succeed } from '../lib/process.mjs';
import { temporaryFolder } from '../lib/temp.mjs';

const SOURCE = fileURLToPath(new URL('pion', import.meta.url));

/** Builds the peer, and resolves with its program and what removes it. */
export async function buildPion() {
  const home = temporaryFolder('pion');
  // Debian has libraries as folders of GOPATH; Go looks for their second versions from inside one alone.
  const folder = join(home.path, 'src', 'pion');
  mkdirSync(folder, { recursive: true });
  cpSync(SOURCE, folder, { recursive: true });
  const program = join(home.path, 'pion-peer');
  const env = { ...process.env, GO111MODULE: 'off', GOPATH: `${home.path}:/usr/share/gocode`, GOCACHE: join(home.path, 'cache') };
  await succeed('go', ['build', '-o', program, '.'], { cwd: folder, env, timeout: 300_000 });
  return { program, remove: () => home.remove() };
}
