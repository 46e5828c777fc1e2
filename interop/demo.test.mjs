// What README promises: started with no flags and no file, the server lets two browser windows see and hear each other.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Browser } from './lib/browser.mjs';
import { PEOPLE } from './lib/camera.mjs';
import { look, ownPath } from './lib/room_page.mjs';
import { DEFAULT_PORT, JACKFIELD, Server, accepts } from './lib/server.mjs';

const PICTURE = fileURLToPath(new URL('../docs/call.png', import.meta.url));

/** Whether the documentation's picture is to be taken; the browser's test picture would not do it justice. */
const IS_PICTURED = process.env.INTEROP_SCREENSHOT === '1';

test('two windows at /r/demo see and hear each other', async (t) => {
  assert.equal(await accepts(DEFAULT_PORT), false, `port ${DEFAULT_PORT} is taken: what a newcomer would start fails`);
  const url = `http://localhost:${DEFAULT_PORT}`;
  const server = await Server.start({
    command: JACKFIELD,
    args: [],
    isReady: async () => (await fetch(`${url}/readyz`)).status === 200,
  });
  t.after(() => server.stop());
  const printed = server.output.split(/\s+/).filter((word) => URL.canParse(word) && word.startsWith('http'));
  assert.ok(
    printed.some((address) => new URL(address).port === String(DEFAULT_PORT)),
    `it prints where it serves: ${server.output}`,
  );

  const enter = async (name) => {
    const browser = await Browser.start({ camera: IS_PICTURED && PEOPLE[name.toLowerCase()] });
    t.after(() => browser.stop());
    return browser.open(`${url}/r/demo?name=${name}&auto=1`);
  };
  const [ann, bob] = [await enter('Ann'), await enter('Bob')];
  for (const [page, other] of [[ann, 'Bob'], [bob, 'Ann']]) {
    const isThere = (shown) => shown?.video.width > 0 && shown.video.frames > 0 && shown.path;
    const first = await page.until(look, other, `to see ${other}`, { accept: isThere });
    assert.equal(first.state, 'connected');
    assert.equal(first.path, ownPath(first));
    const [{ audioPackets, audioEnergy }] = first.connections;
    const accept = ({ video, connections: [connection] }) =>
      video.frames > first.video.frames + 10 &&
      connection.audioPackets > audioPackets + 10 &&
      connection.audioEnergy > audioEnergy;
    await page.until(look, other, `to see ${other} move and to hear them`, { accept });
  }
  if (IS_PICTURED) {
    mkdirSync(dirname(PICTURE), { recursive: true });
    // What is said in passing would hide a badge.
    await ann.until(() => !document.querySelector('[data-toast]'), null, 'the page to have said all');
    await ann.screenshot(PICTURE);
  }
});
