// What README promises: started with no flags and no file, the server lets two browser windows see and hear each other.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { before, after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Browser } from './lib/browser.mjs';
import { PEOPLE } from './lib/camera.mjs';
import { look, ownPath } from './lib/room_page.mjs';
import { sampleOfSdk, samplesOfReadme, servePage } from './lib/sdk_samples.mjs';
import { DEFAULT_PORT, JACKFIELD, Server, accepts, startJackfield } from './lib/server.mjs';
import { until } from './lib/wait.mjs';

const PICTURE = fileURLToPath(new URL('../docs/call.png', import.meta.url));

/** Whether the documentation's picture is to be taken; the browser's test picture would not do it justice. */
const IS_PICTURED = process.env.INTEROP_SCREENSHOT === '1';

for (const kinds of [['chromium', 'chromium'], ['firefox', 'chromium']]) test(`two windows (${kinds.join(', ')}) at /r/demo see and hear each other`, async (t) => {
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

  const enter = async (name, kind) => {
    const browser = await Browser.start({ kind, camera: IS_PICTURED && PEOPLE[name.toLowerCase()] });
    t.after(() => browser.stop());
    return browser.open(`${url}/r/demo?name=${name}&auto=1`);
  };
  const [ann, bob] = [await enter('Ann', kinds[0]), await enter('Bob', kinds[1])];
  for (const [page, other] of [[ann, 'Bob'], [bob, 'Ann']]) {
    // The badge may be a moment behind the browser, which may find a better way.
    const isThere = (shown) =>
      shown?.video.width > 0 && shown.video.frames > 0 && shown.state === 'connected' &&
      shown.connections.at(-1)?.pair && shown.path === ownPath(shown);
    const first = await page.until(look, other, `to see ${other}, and the true way to them`, { accept: isThere });
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

describe('the page', () => {
  let server;
  before(async () => {
    server = await startJackfield();
  });
  after(() => server.stop());

  const at = async (size, run) => {
    const browser = await Browser.start({ size });
    try {
      await run(browser);
    } finally {
      await browser.stop();
    }
  };

  for (const [size, people] of [[{ width: 320, height: 568 }, 3], [{ width: 390, height: 844 }, 9]]) {
    test(`lets each of ${people} tiles be scrolled into view at ${size.width}x${size.height}`, () =>
      at(size, async (browser) => {
        const page = await browser.open(`${server.url}/r/phone-${people}?name=me&auto=1`);
        await page.until(() => document.body.dataset.view === 'call', null, 'to be in the call');
        const [hidden, focused] = await page.evaluate(async (count) => {
          const grid = document.querySelector('[data-grid]');
          const own = document.querySelector('[data-tile="self"]').parentElement;
          while (document.querySelectorAll('[data-grid] [data-tile]').length < count) own.after(own.cloneNode(true));
          await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
          const unreachable = [...grid.children].filter((item) => {
            item.scrollIntoView({ block: 'nearest' });
            const [tile, view] = [item.getBoundingClientRect(), grid.getBoundingClientRect()];
            return tile.top < view.top - 1 || tile.bottom > view.bottom + 1;
          });
          return [unreachable.length, document.activeElement.dataset.section];
        }, people);
        assert.equal(hidden, 0);
        assert.equal(focused, 'call', 'the focus goes into the call');
      }));
  }

  test('goes to the room that a link with a space means, and says at once when no room can be called so', () =>
    at(undefined, async (browser) => {
      const spaced = await browser.open(`${server.url}/r/demo%20`);
      await spaced.until(() => location.pathname === '/r/demo' && document.body.dataset.page === 'room', null, 'the room without a space');
      const page = await browser.open(`${server.url}/r/${'x'.repeat(129)}`);
      const said = () => [document.querySelector('[data-problem]').textContent, document.querySelector('[data-action="join"]').disabled];
      const [text, isDisabled] = await page.until(said, null, 'to be told', { accept: ([words]) => words });
      assert.match(text, /at most 128/);
      assert.ok(isDisabled);
    }));

  for (const kind of ['chromium', 'firefox']) {
    test(`keeps camera, microphone and name from a page that brings somebody here, until they click (${kind})`, async (t) => {
      const browser = await Browser.start({ kind });
      t.after(() => browser.stop());
      const bring = async (path) => {
        const elsewhere = await servePage(`location.href = ${JSON.stringify(server.url + path)};`, '');
        t.after(() => elsewhere.stop());
        return browser.open(elsewhere.url);
      };
      const inCall = () => document.body.dataset.view === 'call' && globalThis.jackfield.room.self.name;
      const devices = () => [globalThis.jackfield.media.audio, globalThis.jackfield.media.camera].map(Boolean);
      const press = (action) => document.querySelector(`[data-action="${action}"]`).click();

      const own = await browser.open(`${server.url}/`);
      await own.evaluate(() => localStorage.setItem('jackfield:name', '"Ann Secret"'));
      const page = await bring('/r/trap?auto=1');
      assert.notEqual(await page.until(inCall, null, 'to be in the call'), 'Ann Secret');
      assert.deepEqual(await page.evaluate(devices), [false, false]);
      await page.evaluate(() => {
        document.body.dataset.view = 'old';
        location.reload();
      });
      await page.until(inCall, null, 'to be in the call again');
      assert.deepEqual(await page.evaluate(devices), [false, false], 'a reload is no click');
      await page.evaluate(press, 'camera');
      await page.until(devices, null, 'the camera alone', { accept: ([mic, cam]) => cam && !mic });

      const invited = await bring('/r/%20invitation');
      const note = () => document.querySelector('[data-preview-note]').textContent;
      await invited.until(note, null, 'to be told', { accept: (text) => /brought you here/.test(text) });
      assert.deepEqual(await invited.evaluate(devices), [false, false]);
      await invited.evaluate(press, 'preview-cam');
      await invited.until(devices, null, 'the preview', { accept: ([mic, cam]) => mic && cam });
    });
  }

  test('has newcomers knock, lets a keyboard admit and refuse them, and locks the room', (t) =>
    at(undefined, async (browser) => {
      const room = `${server.url}/r/door`;
      const view = () => document.body.dataset.view;
      const isIn = (page, what) => page.until(view, null, what, { accept: (shown) => shown === 'call' });
      const ann = await browser.open(`${room}?name=Ann&auto=1`);
      await isIn(ann, 'to be in the call');
      const choose = (access) => ann.evaluate((value) => {
        document.querySelector('[data-action="access"]').click();
        document.querySelector(`[data-dialog="access"] [value="${value}"]`).click();
        document.querySelector('[data-action="close-access"]').click();
      }, access);
      const shown = () => document.querySelector('[data-action="access"]').dataset.access;
      await choose('knock');
      await ann.until(shown, null, 'newcomers to knock', { accept: (access) => access === 'knock' });

      const knock = async (name) => {
        const page = await browser.open(`${room}?name=${name}&auto=1`);
        await page.until(() => !document.querySelector('[data-action="stop-waiting"]').hidden, null, 'to wait');
        assert.match(await page.evaluate(() => document.querySelector('[data-progress]').textContent), /knocked/);
        const asked = () => [...document.querySelectorAll('[data-knock]')].map(({ dataset, textContent }) => [dataset.knock, textContent]);
        const seen = await ann.until(asked, null, 'to be asked', { accept: (all) => all.some(([who]) => who === name) });
        assert.match(seen.find(([who]) => who === name)[1], new RegExp(`^${name} wants to come in`));
        return page;
      };
      // As a keyboard does it: what has the focus is pressed, and the focus goes on.
      const press = (name, kind) => ann.evaluate(([who, action]) => {
        const list = document.querySelector('[data-list="knocks"]');
        const button = list.querySelector(`[data-knock="${who}"] [data-action="${action}-knock"]`);
        button.focus();
        button.click();
        return [list.getAttribute('aria-live'), button.getAttribute('aria-label')];
      }, [name, kind]);
      const problem = () => document.querySelector('[data-problem]').textContent;

      const bob = await knock('Bob');
      assert.equal(await ann.evaluate(() => document.activeElement.closest('[data-knock]')), null, 'a knock takes no focus');
      const eve = await knock('Eve');
      assert.deepEqual(await press('Bob', 'admit'), ['assertive', 'Admit Bob']);
      await isIn(bob, 'to be let in');
      await ann.until(() => document.activeElement.getAttribute('aria-label'), null, 'the focus on the next one', { accept: (label) => label === 'Admit Eve' });
      assert.deepEqual(await press('Eve', 'refuse'), ['assertive', 'Refuse Eve']);
      assert.match(await eve.until(problem, null, 'to be refused'), /did not let you in/);
      await ann.until(() => document.activeElement.dataset.section, null, 'the focus in the call', { accept: (section) => section === 'call' });

      const zoe = await knock('Zoe');
      await zoe.evaluate(() => document.querySelector('[data-action="stop-waiting"]').click());
      await ann.until(() => !document.querySelector('[data-knock]'), null, 'nobody to wait');
      await zoe.until(() => document.querySelector('[data-action="stop-waiting"]').hidden, null, 'to stop waiting');
      assert.equal(await zoe.evaluate(problem), '');

      await choose('locked');
      await bob.until(shown, null, 'the room to be locked for all', { accept: (access) => access === 'locked' });
      await zoe.evaluate(() => document.querySelector('.prejoin [data-action="join"]').click());
      assert.match(await zoe.until(problem, null, 'to be told'), /locked: nobody new comes in/);

      // Who loses the connection is no newcomer.
      const before = await bob.evaluate(() => globalThis.jackfield.room.self.id);
      await bob.evaluate(() => {
        const { client } = globalThis.jackfield;
        client.on('state', (state) => state === 'open' && (globalThis.isBack = true));
        globalThis.webSockets.at(-1).close();
      });
      const back = () => globalThis.isBack && globalThis.jackfield.room.self;
      const self = await bob.until(back, null, 'to be back', { accept: (own) => own && own.id !== before });
      assert.equal(self.name, 'Bob');
      assert.equal(await bob.evaluate(view), 'call');
      assert.deepEqual(await ann.evaluate(() => [...document.querySelectorAll('video[data-peer]')].map(({ dataset }) => dataset.peer)), ['Bob']);
    }));

  test('proposes a room that cannot be guessed, by a name that can be read', () =>
    at(undefined, async (browser) => {
      const page = await browser.open(`${server.url}/`);
      const shown = await page.until(() => document.querySelector('[data-field="room"]').value, null, 'a name');
      assert.match(shown, /^[a-z]+-[a-z]+$/);
      await page.evaluate(() => setTimeout(() => document.querySelector('[data-action="join"]').click()));
      const there = () => document.body.dataset.page === 'room' && [location.pathname, document.querySelector('[data-room-name]').textContent, document.querySelector('[data-nobody] code')?.textContent];
      const [path, name, link] = await page.until(there, null, 'the room', { accept: (seen) => seen && seen[2] });
      assert.equal(name, shown);
      assert.match(path, new RegExp(`^/r/${shown}-[a-z2-7]{13}$`));
      assert.equal(link, server.url + path);
    }));

  test('says that the server is away, tries again, and gives up with a reason', () =>
    at(undefined, async (browser) => {
      const other = await startJackfield();
      const page = await browser.open(`${other.url}/r/away?name=me`);
      await page.until(() => globalThis.jackfield, null, 'the page');
      await other.stop();
      await page.evaluate(() => document.querySelector('.prejoin [data-action="join"]').click());
      await page.until(() => /Trying again in \d+ s/.test(document.querySelector('[data-progress]').textContent), null, 'a retry to be shown');
      const text = await page.until(() => document.querySelector('[data-problem]').textContent, null, 'the reason', { timeout: 40_000 });
      assert.match(text, /could not be reached within 20 s: no WebSocket gets through, polling finds no server/);
      assert.equal(await page.evaluate(() => document.querySelector('.prejoin [data-action="join"]').disabled), false);
    }));

  for (const people of [2, 3]) {
    test(`the samples work as they are printed, with ${people} people and one who only listens`, (t) =>
      at(undefined, async (browser) => {
        // Each sample is served by somebody else, at a port of its own.
        const own = await startJackfield(['--cors-origin', '*']);
        t.after(() => own.stop());
        const open = async (sample) => {
          const served = await servePage(sample, `${own.url}/sdk.js`);
          t.after(() => served.stop());
          return browser.open(served.url);
        };
        const [readme] = samplesOfReadme();
        const listener = await open(readme);
        const pages = [];
        for (let person = 0; person < people; person += 1) pages.push(await open(sampleOfSdk()));
        for (const page of pages) {
          const seen = () => [...document.querySelectorAll('video')].filter((video) => video.videoWidth > 0).length;
          await page.until(seen, null, 'to see everybody', { accept: (count) => count === people - 1 });
          const connected = async () => (await page.log()).match(/ is connected direct$/gm)?.length >= people;
          await until(connected, 'everybody to be connected, the one who listens too');
        }
        assert.doesNotMatch(await listener.log(), /^error/m);
      }));
  }
});
