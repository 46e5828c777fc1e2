// Two people in a room, each with a browser behind a router of their own.

import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';

import { Browser } from './browser.mjs';
import { Internet } from './internet.mjs';
import { heard, listen, look, ownPath, worst } from './room_page.mjs';
import { startPublicJackfield } from './server.mjs';
import { until } from './wait.mjs';

const PROXY = fileURLToPath(new URL('proxy.mjs', import.meta.url));
const PROXY_PORT = 8080;

/** How many frames a video has to go on by to count as moving. */
const MOVING = 10;

/** How long a call may take to connect and to show a moving picture, in milliseconds. */
const CONNECTED = 90_000;

/** A call between Ann and Bob. */
export class Call {
  /** By name: the router, the host, the browser and its page. */
  people = {};

  /**
   * Sets up a call between two networks, has `check` look at it, and takes everything down. With `secure` the page is
   * served over TLS on port 443.
   */
  static async between(ann, bob, ...rest) {
    const check = rest.pop();
    const call = new Call();
    try {
      await call.#setUp({ ann, bob }, rest[0] ?? {});
      await check(call);
    } catch (error) {
      console.error(await call.#story());
      throw error;
    } finally {
      await call.#takeDown();
    }
  }

  /**
   * Has two people who are at home already, each with a `browser`, meet at a room's address; has `check` look at their
   * call, and closes their pages.
   */
  static async inRoom(address, homes, check) {
    const call = new Call();
    try {
      await Promise.all(
        Object.entries(homes).map(async ([name, home]) => {
          const page = await home.browser.open(`${address}?name=${name}&auto=1`);
          call.people[name] = { name, page };
        }),
      );
      await check(call);
    } catch (error) {
      console.error(await call.#story());
      throw error;
    } finally {
      await Promise.all(Object.values(call.people).map(({ page }) => page.close()));
    }
  }

  /** Waits until both see each other move. */
  async showsVideo() {
    await Promise.all(this.#sides().map((side) => this.#moves(side)));
  }

  /**
   * What both badges say, which is held against what the browsers know of their own ends. Either may change while a
   * call finds a better way, so they are given the time to agree; and, where it is known which way they must `reach`, the
   * time to find it: a browser may begin with a relay and move.
   */
  async path(reach, timeout) {
    let seen;
    const agree = async () => {
      const all = await Promise.all(this.#sides().map(({ page, other }) => page.evaluate(look, other)));
      seen = { badges: all.map(({ path }) => path), truth: worst(all.map(ownPath)), states: all.map(({ state }) => state) };
      return seen.badges.every((badge) => badge === seen.truth) && (reach ?? seen.truth) === seen.truth;
    };
    try {
      await until(agree, 'the badges to say how the call is connected', { timeout });
    } catch (error) {
      throw new Error(`${error.message}: ${JSON.stringify(seen)}`, { cause: error });
    }
    assert.deepEqual(seen.states, ['connected', 'connected']);
    return seen.truth;
  }

  /** Has both routers become others. */
  routersBecome(network) {
    return Promise.all(this.#sides().map(({ router }) => router.become(network)));
  }

  /** Does something, and resolves with the longest gap in the sound that each side heard meanwhile, in milliseconds. */
  async gaps(doing) {
    await Promise.all(this.#sides().map(({ page }) => page.evaluate(listen)));
    await doing();
    const all = this.#sides().map(async ({ name, page }) => [name, (await page.evaluate(heard)).longestGap]);
    return Object.fromEntries(await Promise.all(all));
  }

  /**
   * The packets that each router lets out to each kind of destination from now on, once they go `as` they should; what little
   * goes elsewhere, such as checks and refreshes, is soon outweighed by the videos.
   */
  async traffic(as, what) {
    const before = await this.#counters();
    await this.showsVideo();
    let seen;
    const goes = async () => {
      const after = await this.#counters();
      const grown = (name) =>
        Object.entries(after[name]).map(([counter, { packets }]) => [counter, packets - before[name][counter].packets]);
      seen = Object.fromEntries(Object.keys(after).map((name) => [name, Object.fromEntries(grown(name))]));
      return as(seen);
    };
    try {
      await until(goes, what);
    } catch (error) {
      throw new Error(`${error.message}: ${JSON.stringify(seen)}`, { cause: error });
    }
    return seen;
  }

  /** The transport that one side's page says its signaling goes by. */
  signalingOf(name) {
    return this.people[name].page.evaluate(() => document.body.dataset.transport);
  }

  /** What the proxy of one side has printed. */
  proxyLog(name) {
    return this.people[name].proxy.output;
  }

  /** Takes a picture of one side's page. */
  screenshot(name, path) {
    return this.people[name].page.screenshot(path);
  }

  async #setUp(networks, { secure = false }) {
    this.internet = await Internet.create();
    const tls = secure ? ['--listen-tls', '0.0.0.0:443', '--tls-self-signed'] : [];
    this.server = await startPublicJackfield(this.internet, tls);
    const address = secure ? this.server.secureUrl : this.server.url;
    await Promise.all(
      Object.entries(networks).map(([name, network], index) => this.#enter(name, network, index + 1, address)),
    );
  }

  async #enter(name, { proxy, browser = 'chromium', ...network }, site, address) {
    const person = { name, ...(await this.internet.home(name, { site, ...network })) };
    this.people[name] = person;
    if (proxy) person.proxy = await startProxy(person.router);
    person.browser = await Browser.start({
      kind: browser,
      namespace: person.host,
      origin: address,
      proxy: proxy && `${person.router.inside}:${PROXY_PORT}`,
    });
    person.page = await person.browser.open(`${address}/r/attic?name=${name}&auto=1`);
  }

  async #moves({ name, page, other }) {
    const first = await page.until(look, other, `${name} to see ${other}`, { timeout: CONNECTED, accept: hasPicture });
    const accept = ({ video }) => video.frames > first.video.frames + MOVING;
    await page.until(look, other, `${name} to see ${other} move`, { accept });
  }

  #sides() {
    const [one, another] = Object.values(this.people);
    return [
      { ...one, other: another.name },
      { ...another, other: one.name },
    ];
  }

  async #counters() {
    const all = Object.values(this.people).map(async ({ name, router }) => [name, await router.counters()]);
    return Object.fromEntries(await Promise.all(all));
  }

  /** What there is to know when something went wrong. */
  async #story() {
    const parts = this.server ? [`server:\n${this.server.output}`] : [];
    for (const { name, page, router, other } of Object.keys(this.people).length === 2 ? this.#sides() : []) {
      const ask = (what) => what.catch((error) => error.message);
      parts.push(`${name} sees: ${JSON.stringify(await ask(page?.evaluate(look, other) ?? Promise.resolve()), null, 1)}`);
      parts.push(`${name}'s page logged:\n${await ask(page?.log() ?? Promise.resolve())}`);
      if (router) parts.push(`${name}'s router: ${JSON.stringify(await ask(router.counters()))}`);
    }
    return parts.join('\n');
  }

  async #takeDown() {
    await Promise.all(Object.values(this.people).map(({ browser }) => browser?.stop()));
    await Promise.all(Object.values(this.people).map(({ proxy }) => proxy?.stop()));
    await this.server?.stop();
    this.internet?.remove();
  }
}

async function startProxy({ namespace, inside }) {
  const proxy = namespace.start(process.execPath, [PROXY, inside, String(PROXY_PORT)]);
  await until(() => proxy.output.includes('ready'), 'the proxy');
  return proxy;
}

const hasPicture = (shown) => shown?.video.width > 0 && shown.video.frames > 0;
