// The process beside a Firefox: takes orders as lines of JSON on standard input, and answers on standard output, like
// `browser_driver.mjs` beside a Chromium. It speaks WebDriver BiDi, which Debian's Firefox has built in.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import WebSocket from 'ws';

import { keepConnections } from './room_page.mjs';

const PREFERENCES = {
  'app.update.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'media.autoplay.blocking_policy': 0,
  'media.autoplay.default': 0,
  'media.navigator.permission.disabled': true,
  'media.navigator.streams.fake': true,
  // Addresses of hosts as they are, instead of names that need multicast DNS.
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
};

const pages = new Map();
let firefox;
let session;

const orders = {
  async launch({ origin, proxy, size, profile, preferences }) {
    const [proxyHost, proxyPort] = proxy?.split(':') ?? [];
    writePreferences(profile, {
      ...PREFERENCES,
      ...(origin && { 'dom.securecontext.allowlist': new URL(origin).hostname, 'media.devices.insecure.enabled': true, 'media.getusermedia.insecure.enabled': true }),
      ...(proxy && {
        'network.proxy.type': 1,
        ...Object.fromEntries(['http', 'ssl'].flatMap((kind) => [[`network.proxy.${kind}`, proxyHost], [`network.proxy.${kind}_port`, Number(proxyPort)]])),
      }),
      ...preferences,
    });
    firefox = spawn('firefox-esr', ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0'], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, HOME: profile, MOZ_HEADLESS_WIDTH: String(size.width), MOZ_HEADLESS_HEIGHT: String(size.height) },
    });
    session = await Session.connect(firefox);
    session.size = size;
    await session.send('script.addPreloadScript', { functionDeclaration: String(keepConnections) });
    await session.send('session.subscribe', { events: ['log.entryAdded', 'network.fetchError'] });
  },

  async open({ url }) {
    const { context } = await session.send('browsingContext.create', { type: 'tab' });
    pages.set(context, []);
    await session.send('browsingContext.setViewport', { context, viewport: session.size });
    await session.send('browsingContext.navigate', { context, url, wait: 'complete' });
    return context;
  },

  async evaluate({ page, source, argument }) {
    // The function comes as its text, and its value goes as its text: both were written in another process.
    const expression = `(async () => JSON.stringify((await (${source})(${JSON.stringify(argument)})) ?? null))()`;
    const target = { context: page };
    const { result, exceptionDetails } = await session.send('script.evaluate', { expression, target, awaitPromise: true, userActivation: true });
    if (exceptionDetails) throw new Error(exceptionDetails.text);
    return JSON.parse(result.value);
  },

  log: async ({ page }) => pages.get(page).join('\n'),

  async screenshot({ page, path }) {
    const { data } = await session.send('browsingContext.captureScreenshot', { context: page });
    writeFileSync(path, Buffer.from(data, 'base64'));
  },

  close: ({ page }) => session.send('browsingContext.close', { context: page }),
};

/** A WebDriver BiDi session. */
class Session {
  #socket;
  #waiting = new Map();
  #commands = 0;

  static async connect(browser) {
    const session = new Session();
    session.#socket = new WebSocket(`${await listening(browser)}/session`, { maxPayload: 2 ** 28 });
    await once(session.#socket, 'open');
    session.#socket.on('message', (text) => session.#receive(JSON.parse(text)));
    await session.send('session.new', { capabilities: { alwaysMatch: { acceptInsecureCerts: true } } });
    return session;
  }

  send(method, params) {
    this.#commands += 1;
    const id = this.#commands;
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#socket.send(JSON.stringify({ id, method, params }));
    return answer;
  }

  #receive({ type, id, result, error, message, method, params }) {
    if (type === 'event') return this.#happened(method, params);
    const { resolve, reject } = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (type === 'success') resolve(result);
    else reject(new Error(`${error}: ${message}`));
  }

  #happened(method, { source, level, text, context, request, errorText }) {
    const log = pages.get(source?.context ?? context);
    log?.push(method === 'log.entryAdded' ? `${level}: ${text}` : `failed: ${request.url} ${errorText}`);
  }
}

/** Resolves with the address at which a browser takes commands. */
async function listening(browser) {
  let printed = '';
  browser.stderr.setEncoding('utf8');
  return new Promise((resolve, reject) => {
    browser.stderr.on('data', (text) => {
      printed = (printed + text).slice(-4096);
      const address = /WebDriver BiDi listening on (ws:\S+)/.exec(printed)?.[1];
      if (address) resolve(address);
    });
    browser.once('error', reject);
    browser.once('exit', (code) => reject(new Error(`Firefox ended: ${code}\n${printed}`)));
  });
}

function writePreferences(profile, preferences) {
  const lines = Object.entries(preferences).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`);
  writeFileSync(join(profile, 'user.js'), lines.join(''));
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, name, params } = JSON.parse(line);
  carryOut(name, params).then(
    (result) => answer({ id, result: result ?? null }),
    (error) => answer({ id, error: String(error.stack ?? error) }),
  );
}
// The test has gone: so does the browser.
firefox?.kill();
process.exit();

async function carryOut(name, params) {
  return orders[name](params);
}

function answer(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
