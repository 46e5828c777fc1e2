// The process beside a browser: takes orders as lines of JSON on standard input, and answers on standard output. It runs
// where the browser runs, so that a browser in a namespace needs no way out of it to be driven.

import { createInterface } from 'node:readline';

import { chromium } from 'playwright-core';

import { keepConnections } from './room_page.mjs';

const FLAGS = [
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-features=WebRtcHideLocalIpsWithMdns',
  '--disable-gpu',
  '--disable-sync',
  '--no-first-run',
  '--no-sandbox',
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
];

const pages = [];
let context;

const orders = {
  async launch({ origin, proxy, size, film, profile }) {
    context = await chromium.launchPersistentContext(profile, {
      executablePath: '/usr/bin/chromium',
      args: [
        ...FLAGS,
        ...(origin ? [`--unsafely-treat-insecure-origin-as-secure=${origin}`] : []),
        ...(film ? [`--use-file-for-fake-video-capture=${film}`] : []),
        ...(proxy ? [`--proxy-server=${proxy}`] : []),
        '--ignore-certificate-errors',
      ],
      ignoreHTTPSErrors: true,
      viewport: size,
    });
    await context.addInitScript(keepConnections);
  },

  async open({ url }) {
    const page = await context.newPage();
    const log = [];
    page.on('console', (message) => log.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => log.push(`error: ${error.stack ?? error}`));
    page.on('requestfailed', (request) => log.push(`failed: ${request.url()} ${request.failure()?.errorText}`));
    await page.goto(url, { waitUntil: 'load' });
    return pages.push({ page, log }) - 1;
  },

  evaluate: ({ page, source, argument }) =>
    // The function comes as its text: it was written in another process.
    pages[page].page.evaluate(`(${source})(${JSON.stringify(argument)})`),

  log: async ({ page }) => pages[page].log.join('\n'),

  screenshot: async ({ page, path }) => {
    await pages[page].page.screenshot({ path });
  },

  close: ({ page }) => pages[page].page.close(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, name, params } = JSON.parse(line);
  carryOut(name, params).then(
    (result) => answer({ id, result: result ?? null }),
    (error) => answer({ id, error: String(error.stack ?? error) }),
  );
}
// The test has gone: so does the browser.
await context?.close();
process.exit();

async function carryOut(name, params) {
  return orders[name](params);
}

function answer(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
