// Headless Chromium or Firefox, in a namespace or on this machine, driven from the test.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { writeCamera } from './camera.mjs';
import { Child } from './process.mjs';
import { temporaryFolder } from './temp.mjs';
import { PATIENCE, until, within } from './wait.mjs';

const driver = (name) => fileURLToPath(new URL(name, import.meta.url));
const DRIVERS = { chromium: driver('browser_driver.mjs'), firefox: driver('firefox_driver.mjs') };

/** How long a browser may take to close before it is ended, in milliseconds. */
const CLOSING = 20_000;

/** A running browser. The driver beside it, a process of its own, takes orders as lines of JSON. */
export class Browser {
  #driver;
  #profile;
  #waiting = new Map();
  #orders = 0;

  /**
   * Starts a browser, `chromium` or `firefox`, in `namespace` if one is given. `origin` is a plain-http origin to treat as secure, and `proxy` the
   * HTTP proxy that everything but WebRTC's UDP has to go through; `camera` is somebody to see instead of a test picture.
   */
  static async start({ kind = 'chromium', namespace, origin, proxy, camera, size = { width: 1280, height: 800 }, ...rest } = {}) {
    const browser = new Browser(kind, namespace);
    try {
      const { path } = browser.#profile;
      const film = camera && join(path, 'camera.y4m');
      if (camera) writeCamera(film, camera);
      await browser.order('launch', { origin, proxy, size, film, profile: path, ...rest });
      return browser;
    } catch (error) {
      await browser.stop();
      throw error;
    }
  }

  constructor(kind, namespace) {
    this.kind = kind;
    this.#profile = temporaryFolder(kind);
    const options = { stdin: 'pipe', onLine: (line) => this.#answered(line) };
    this.#driver = namespace
      ? namespace.start(process.execPath, [DRIVERS[kind]], options)
      : new Child(process.execPath, [DRIVERS[kind]], options);
    this.#driver.ended.then(() => this.#fail(`the browser's driver ended:\n${this.#driver.output}`));
  }

  /** Opens a page. */
  async open(url) {
    return new Page(this, await this.order('open', { url }));
  }

  /** Ends the browser and its driver, which closes the browser when it gets no more orders. */
  async stop() {
    this.#driver.process.stdin.end();
    try {
      await within(this.#driver.ended, 'the browser to close', CLOSING);
    } catch {
      // Ended below.
    }
    await this.#driver.stop();
    this.#profile.remove();
  }

  /** Has the driver do something, and resolves with what comes of it. */
  order(name, params) {
    this.#orders += 1;
    const id = this.#orders;
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#driver.process.stdin.write(`${JSON.stringify({ id, name, params })}\n`);
    return within(answer, `the browser to ${name}`, 2 * PATIENCE);
  }

  #answered(line) {
    const { id, result, error } = JSON.parse(line);
    const { resolve, reject } = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) resolve(result);
    else reject(new Error(error));
  }

  #fail(why) {
    for (const { reject } of this.#waiting.values()) reject(new Error(why));
    this.#waiting.clear();
  }
}

/** One page of a browser. */
export class Page {
  #browser;
  #id;

  constructor(browser, id) {
    this.#browser = browser;
    this.#id = id;
  }

  /** Runs a function in the page with one argument, both plain data, and resolves with what it returns. */
  evaluate(run, argument = null) {
    return this.#browser.order('evaluate', { page: this.#id, source: String(run), argument });
  }

  /** Waits until a function in the page gives something that `accept` says yes to, and resolves with that. */
  until(run, argument, what, { accept = Boolean, ...options } = {}) {
    const look = async () => {
      const value = await this.evaluate(run, argument);
      return accept(value) && value;
    };
    return until(look, what, { every: 200, ...options });
  }

  /** What the page has logged, for the message of a failure. */
  log() {
    return this.#browser.order('log', { page: this.#id });
  }

  /** Takes a picture of the page into a PNG file. */
  screenshot(path) {
    return this.#browser.order('screenshot', { page: this.#id, path });
  }

  /** Closes the page. */
  close() {
    return this.#browser.order('close', { page: this.#id });
  }
}
