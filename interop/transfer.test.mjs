// Files between `jackfield send` or `receive` and a browser with the page of the room.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { Browser } from './lib/browser.mjs';
import { Child } from './lib/process.mjs';
import { JACKFIELD, startJackfield } from './lib/server.mjs';
import { temporaryFolder } from './lib/temp.mjs';
import { until, within } from './lib/wait.mjs';

/** More than what may be on the way without an acknowledgement. */
const SIZE = 24 * 1024 * 1024;
const PATIENCE = 120_000;

let server;
let browser;
let folder;

before(async () => {
  server = await startJackfield();
  browser = await Browser.start();
  folder = temporaryFolder('transfer');
});

after(async () => {
  await browser?.stop();
  await server?.stop();
  folder?.remove();
});

test('a browser receives what `jackfield send` sends, checked', async () => {
  const file = join(folder.path, 'sent.bin');
  const bytes = randomBytes(SIZE);
  writeFileSync(file, bytes);
  const sender = new Child(JACKFIELD, ['send', '--server', server.url, '--room', 'to-browser', '--json', file]);
  try {
    const page = await browser.open(`${server.url}/r/to-browser?name=Ann&auto=1`);
    await page.until(watchDownloads, null, 'the page to be there');
    await page.until(clickSave, null, 'the offer to be shown', { timeout: PATIENCE });
    const sum = await page.until(() => globalThis.downloaded, null, 'the file to be downloaded', { timeout: PATIENCE });
    assert.deepEqual(sum, { name: 'sent.bin', size: SIZE, sha256: sha256(bytes) });
    assert.equal(await within(sender.ended, 'the sender to end', PATIENCE), 0, sender.output);
    assert.match(sender.output, /"event":"done"/);
    await page.close();
  } finally {
    await sender.stop();
  }
});

test('`jackfield receive` gets what a browser sends, checked', async () => {
  const into = join(folder.path, 'into');
  const receiver = new Child(JACKFIELD, ['receive', '--server', server.url, 'from-browser', '--json', '--into', into]);
  try {
    const page = await browser.open(`${server.url}/r/from-browser?name=Ann&auto=1`);
    await page.until(isConnected, null, 'the receiver to be connected', { timeout: PATIENCE });
    const sum = await page.evaluate(sendMade, SIZE);
    const code = await within(receiver.ended, 'the receiver to end', PATIENCE);
    assert.equal(code, 0, receiver.output);
    const bytes = readFileSync(join(into, 'made.bin'));
    assert.equal(bytes.length, SIZE);
    assert.equal(sha256(bytes), sum);
    await page.close();
  } finally {
    await receiver.stop();
  }
});

test('somebody who says no in a browser ends the sender with a word', async () => {
  const file = join(folder.path, 'unwanted.bin');
  writeFileSync(file, 'nothing');
  const sender = new Child(JACKFIELD, ['send', '--server', server.url, '--room', 'unwanted', file]);
  try {
    const page = await browser.open(`${server.url}/r/unwanted?name=Ann&auto=1`);
    const decline = () => {
      const button = document.querySelector('[data-action="decline-files"]');
      button?.click();
      return Boolean(button);
    };
    await page.until(decline, null, 'the offer to be shown', { timeout: PATIENCE });
    assert.equal(await within(sender.ended, 'the sender to end', PATIENCE), 1);
    assert.match(sender.output, /Ann declined/);
    await page.close();
  } finally {
    await sender.stop();
  }
});

test('a page that is slow keeps no more than what may be on the way', async () => {
  const { FileReceiver, sendFiles } = await sdkFiles();
  const offer = [
    { t: 'offer', version: 1, entries: 1, bytes: 2 ** 40 },
    { t: 'entries', entries: [{ path: 'endless', size: 2 ** 40 }] },
  ];
  const channel = new FakeChannel();
  let decide;
  // Nobody has decided yet, and the sender does not wait for that.
  const receiver = new FileReceiver({ decide: () => new Promise((resolve) => (decide = resolve)) });
  const received = receiver.receive(channel).catch((error) => error);
  for (const message of offer) channel.hear(JSON.stringify(message));
  await until(() => decide, 'the offer to be there');
  const bytes = new ArrayBuffer(65_536);
  let sent = 0;
  while (channel.readyState === 'open' && sent < 2 ** 30) {
    channel.hear(bytes);
    sent += bytes.byteLength;
  }
  assert.equal(channel.readyState, 'closed');
  assert.ok(sent > 16 * 2 ** 20 && sent < 20 * 2 ** 20, `${sent} bytes were kept`);
  decide(async () => ({ write: async () => {}, clear: async () => {}, close: async () => {} }));
  assert.deepEqual([(await received).name, (await received).reason], ['Refused', 'protocol']);
  assert.deepEqual(channel.said.filter(({ t }) => t === 'refuse'), [{ t: 'refuse', reason: 'protocol' }]);

  // A receiver that asks for more than the sender has to keep in mind is refused, too.
  const greedy = new FakeChannel();
  const file = { name: 'a', size: 1, lastModified: 0, slice: () => new Blob(['a']) };
  const sending = sendFiles(greedy, [file]).catch((error) => error);
  for (let count = 0; count < 100_000; count += 1) greedy.hear(JSON.stringify({ t: 'get', file: 0, offset: 0, prefix: '' }));
  greedy.end();
  assert.equal((await sending).name, 'Refused');
});

/** Loads the part of the SDK that sends and receives files. */
async function sdkFiles() {
  const assets = fileURLToPath(new URL('../web/assets', import.meta.url));
  for (const name of ['sdk-files.js', 'sdk-sha256.js']) cpSync(join(assets, name), join(folder.path, name));
  writeFileSync(join(folder.path, 'package.json'), '{"type":"module"}');
  return import(pathToFileURL(join(folder.path, 'sdk-files.js')));
}

/** An end of a data channel whose other end is the test. */
class FakeChannel extends EventTarget {
  readyState = 'open';
  bufferedAmount = 0;
  said = [];

  send(data) {
    if (typeof data === 'string') this.said.push(JSON.parse(data));
  }

  hear(data) {
    this.dispatchEvent(Object.assign(new Event('message'), { data }));
  }

  end() {
    this.dispatchEvent(new Event('close'));
  }

  close() {
    this.readyState = 'closed';
    this.end();
  }
}

/** Runs in the page: has downloads end in `downloaded`, as name, size and checksum. */
function watchDownloads() {
  if (document.body.dataset.view !== 'call') return false;
  // The page's policy lets nobody fetch a blob, so what is in it is kept when it gets its URL.
  let blob;
  URL.createObjectURL = (made) => {
    blob = made;
    return 'blob:kept';
  };
  globalThis.HTMLAnchorElement.prototype.click = async function click() {
    const bytes = await blob.arrayBuffer();
    const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    const sha256 = [...sum].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    globalThis.downloaded = { name: this.download, size: bytes.byteLength, sha256 };
  };
  return true;
}

/** Runs in the page. */
function clickSave() {
  const button = document.querySelector('[data-action="save-files"]');
  button?.click();
  return Boolean(button);
}

/** Runs in the page. */
function isConnected() {
  return document.querySelector('[data-tile]:not([data-tile="self"])[data-state="connected"]') !== null;
}

/** Runs in the page: chooses a file of `size` bytes as a person would, and returns its checksum. */
async function sendMade(size) {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  const chosen = new DataTransfer();
  chosen.items.add(new File([bytes], 'made.bin'));
  const field = document.querySelector('[data-field="files"]');
  field.files = chosen.files;
  field.dispatchEvent(new Event('change'));
  return [...sum].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}
