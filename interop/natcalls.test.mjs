// Calls between two browsers behind `jackfield nat run` routers of the four classical types: a call is direct exactly
// where the oracle says that it can be, and relayed where it cannot.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Browser } from './lib/browser.mjs';
import { Call } from './lib/call.mjs';
import { Internet } from './lib/internet.mjs';
import { JackfieldNat, nat } from './lib/jackfield_nat.mjs';
import { startPublicJackfield } from './lib/server.mjs';
import { until } from './lib/wait.mjs';

const CLASSICAL = ['full-cone', 'restricted-cone', 'port-restricted-cone', 'symmetric'];

/** How long a call may take to find its best path, in milliseconds: a relayed one looks after 5, 15 and 35 s. */
const FOUND = 90_000;

/** Which browser is behind which type, so that each meets each in both roles. */
const BROWSERS = {
  ann: ['chromium', 'firefox', 'chromium', 'firefox'],
  bob: ['chromium', 'chromium', 'firefox', 'firefox'],
};

const oracle = async (a, b) => {
  const { code, output } = await nat(['oracle', a, b, '--json']);
  assert.equal(code, 0, output);
  return JSON.parse(output)[0].path;
};

describe('two browsers behind routers of ours', () => {
  let internet;
  let server;
  let sites = 0;
  /** By type: a home of each side's, with its router and its browser. */
  const homes = { ann: {}, bob: {} };

  before(async () => {
    internet = await Internet.create();
    // The namespace of the server is also what joins the routers, so it sees what goes past the server.
    await internet.server.succeed('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
    await internet.server.succeed('nft', [COUNTERS]);
    server = await startPublicJackfield(internet);
    for (const [index, profile] of CLASSICAL.entries()) {
      await Promise.all(['ann', 'bob'].map((name) => moveIn(homes[name], profile, profile, BROWSERS[name][index])));
    }
  });
  after(async () => {
    const all = Object.values(homes).flatMap((side) => Object.values(side));
    await Promise.all(all.map(({ browser }) => browser?.stop()));
    await Promise.all(all.map(({ router }) => router?.stop()));
    await server?.stop();
    internet?.remove();
  });

  /** Starts a router and a browser behind it, and puts both into `street` at `number`. */
  const moveIn = async (street, number, profile, kind) => {
    sites += 1;
    const home = {};
    street[number] = home;
    home.router = await JackfieldNat.start(internet, { site: sites, args: ['--profile', profile] });
    home.browser = await Browser.start({ kind, namespace: home.router.host, origin: server.url });
  };

  /**
   * Waits until the UDP packets that cross from now on go past the server, or through it; what little goes the other way, such
   * as checks and refreshes, is soon outweighed by the videos.
   */
  const crosses = async (way) => {
    const before = await counters();
    let seen;
    const isMost = async () => {
      const now = await counters();
      seen = { past: now.past - before.past, through: now.through - before.through };
      const { [way]: right, ...rest } = seen;
      return right > 10 * Object.values(rest)[0];
    };
    try {
      await until(isMost, `the packets to go ${way} the server`);
    } catch (error) {
      throw new Error(`${error.message}: ${JSON.stringify(seen)}`, { cause: error });
    }
  };

  const counters = async () => {
    const { nftables } = JSON.parse(await internet.server.succeed('nft', ['-j', 'list', 'counters']));
    return Object.fromEntries(nftables.flatMap(({ counter }) => (counter ? [[counter.name, counter.packets]] : [])));
  };

  for (const ann of CLASSICAL) {
    for (const bob of CLASSICAL) {
      const browser = (name, profile) => BROWSERS[name][CLASSICAL.indexOf(profile)];
      test(`${ann} (${browser('ann', ann)}) calls ${bob} (${browser('bob', bob)})`, async () => {
        const wanted = await oracle(ann, bob);
        const room = `${server.url}/r/${ann}-${bob}`;
        await Call.inRoom(room, { ann: homes.ann[ann], bob: homes.bob[bob] }, async (call) => {
          await call.showsVideo();
          await call.path(wanted === 'relay' ? 'relay-udp' : 'direct', FOUND);
          await crosses(wanted === 'relay' ? 'through' : 'past');
          await call.showsVideo();
        });
      });
    }
  }

  for (const [what, change] of [
    ['forgets all it knows', (router) => router.reboot()],
    ['becomes a symmetric one', (router) => router.set('--profile', 'symmetric')],
  ]) {
    test(`a call goes on after a router ${what}`, async () => {
      // A router of its own: the browsers' other connections suffer from what happens to it, too.
      await moveIn(homes.ann, what, 'port-restricted-cone', 'chromium');
      const people = { ann: homes.ann[what], bob: homes.bob['port-restricted-cone'] };
      await Call.inRoom(`${server.url}/r/${what.replaceAll(' ', '-')}`, people, async (call) => {
        await call.showsVideo();
        await change(people.ann.router);
        await call.showsVideo();
        await call.path();
      });
    });
  }
});

const COUNTERS = `
  table inet calls {
    counter past { }
    counter through { }
    chain forward {
      type filter hook forward priority filter
      meta l4proto udp counter name past
    }
    chain input {
      type filter hook input priority filter
      meta l4proto udp counter name through
    }
  }`;
