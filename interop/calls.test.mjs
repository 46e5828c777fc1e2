// Calls between two browsers, each in a network of its own behind a NAT of its own: they connect as well as those
// networks allow, pictures move on both sides, and the page says truly how it is connected.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Call } from './lib/call.mjs';
import { CUT, FIREWALL, NAT } from './lib/nat.mjs';

const restricted = { nat: NAT.portRestricted };
const symmetric = { nat: NAT.symmetric };
const firefox = { browser: 'firefox' };

/** The longest silence while a call changes to a better path, in milliseconds. */
const SEAMLESS = 200;

/** How long a relayed call may take to find a better path that has appeared, in milliseconds: it looks after 5, 15 and 35 s. */
const FOUND = 90_000;

/** Whether the media of a side goes past the server, by the packets of its router. */
const goesPast = (side) => side.udp_elsewhere > 10 * side.udp_server;

/** Whether it goes through the server, over UDP. */
const goesThrough = (side) => side.udp_server > 10 * side.udp_elsewhere;

/** Has Ann's line lose UDP, and no longer: the call goes on both times. */
async function cutAndBack(t, call) {
  const { router } = call.people.ann;
  const gaps = await call.gaps(async () => {
    await router.become({ ...restricted, cut: CUT.udp });
    await call.path('relay-tcp');
    await call.showsVideo();
  });
  t.diagnostic(`longest gaps after the cut, in ms: ${JSON.stringify(gaps)}`);
  await router.become(restricted);
  await call.path('direct', FOUND);
  await call.showsVideo();
}

describe('a call', () => {
  test('between port-restricted NATs is direct', async () => {
    await Call.between(restricted, restricted, async (call) => {
      await call.showsVideo();
      await call.path('direct');
      await call.traffic(({ ann, bob }) => goesPast(ann) && goesPast(bob), 'the media to go past the server');
    });
  });

  test('between symmetric NATs is relayed over UDP', async () => {
    await Call.between(symmetric, { ...symmetric, ...firefox }, async (call) => {
      await call.showsVideo();
      await call.path('relay-udp');
      await call.traffic(({ ann, bob }) => goesThrough(ann) && goesThrough(bob), 'the media to go through the server');
    });
  });

  test('with UDP blocked on one side is relayed over TCP', async () => {
    const office = { ...restricted, ...firefox, firewall: FIREWALL.noUdp };
    await Call.between(office, restricted, async (call) => {
      await call.showsVideo();
      await call.path('relay-tcp');
      const isRelayed = ({ ann, bob }) => ann.tcp_server > 0 && goesThrough(bob);
      const { ann } = await call.traffic(isRelayed, 'the media to go through the server');
      assert.equal(ann.udp_server + ann.udp_elsewhere, 0);
    });
  });

  test('with only TCP 443 open on one side is relayed over TLS', async () => {
    const bank = { ...restricted, firewall: FIREWALL.onlyTcp443 };
    await Call.between(bank, restricted, { secure: true }, async (call) => {
      await call.showsVideo();
      await call.path('relay-tls');
      const isRelayed = ({ ann, bob }) => ann.tcp_server > 0 && goesThrough(bob);
      const { ann } = await call.traffic(isRelayed, 'the media to go through the server');
      assert.equal(ann.udp_server + ann.udp_elsewhere + ann.tcp_elsewhere, 0);
    });
  });

  test('moves from a relay to a direct path without a gap, and is over TCP while UDP is cut', async (t) => {
    const all = [];
    const isSeamless = () => all.some((gaps) => Object.values(gaps).every((gap) => gap <= SEAMLESS));
    // A machine with much else to do makes gaps of its own, so a call that has one is followed by another.
    while (!isSeamless() && all.length < 4) {
      await Call.between(symmetric, symmetric, async (call) => {
        await call.showsVideo();
        await call.path('relay-udp');
        const better = await call.gaps(async () => {
          await call.routersBecome(restricted);
          await call.path('direct', FOUND);
        });
        t.diagnostic(`longest gaps on the way to a direct path, in ms: ${JSON.stringify(better)}`);
        all.push(better);
        if (isSeamless()) await cutAndBack(t, call);
      });
    }
    assert.ok(isSeamless(), `nothing was heard for so many ms: ${JSON.stringify(all)}`);
  });

  test('of Firefox is over TCP while UDP is cut', async (t) => {
    await Call.between({ ...restricted, ...firefox }, restricted, async (call) => {
      await call.showsVideo();
      await call.path('direct');
      await cutAndBack(t, call);
    });
  });

  test('is set up by polling alone where WebSockets are refused', async () => {
    const school = { ...restricted, firewall: FIREWALL.noTcp, proxy: true };
    await Call.between(school, restricted, async (call) => {
      await call.showsVideo();
      await call.path('direct');
      const proxied = call.proxyLog('ann');
      assert.match(proxied, /polling GET/);
      assert.match(proxied, /polling POST/);
      assert.match(proxied, /refused (CONNECT|upgrade)/);
      assert.equal(await call.signalingOf('ann'), 'polling');
      assert.equal(await call.signalingOf('bob'), 'websocket');
      assert.equal((await call.traffic(({ ann }) => goesPast(ann), 'the media to go past the server')).ann.tcp_server, 0);
    });
  });
});
