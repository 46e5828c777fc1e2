// Two ends that negotiate always come to an end: stable, connected, each with one audio and one video section, after a
// bounded number of offers; whatever the way between them delays, loses and cuts.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { SdkWorld, loadSdk, randomBy } from './lib/sdk_world.mjs';

/** How many made-up stories are lived through; `NEGOTIATION_SEED=N` lives through one. */
const STORIES = Number(process.env.NEGOTIATION_STORIES ?? 500);

/** When the last thing happens, and how long the ends then have, in milliseconds of their time. */
const QUIET = 40_000;
const PEACE = 90_000;

/** What both ends may send in a story of thirty troubled seconds: a flood has hundreds. */
const MOST_OFFERS = 60;

let sdk;
before(async () => {
  sdk = await loadSdk();
});

const world = (seed, story) => new SdkWorld(sdk, seed).run(story);

/** Checks that both ends have come to an end, and to the same one. */
function agreed({ offers, errors, air, ...rest }, { sections = 2, mostOffers = MOST_OFFERS } = {}) {
  const world = { ...rest };
  const ends = ['ann', 'bob'].map((name) => {
    const peers = [...world.people[name].room.peers.values()];
    assert.equal(peers.length, 1, `${name} has one peer`);
    return peers[0];
  });
  const of = (what) => ends.map(({ connection }) => what(connection));
  assert.deepEqual(of(({ signalingState }) => signalingState), ['stable', 'stable']);
  assert.deepEqual(ends.map(({ state }) => state), ['connected', 'connected']);
  const [ours, theirs] = of(({ credentials }) => credentials);
  assert.deepEqual([ours.local, ours.remote], [theirs.remote, theirs.local], 'each has applied what the other is');
  for (const connection of of((one) => one)) {
    const mids = connection.getTransceivers().map(({ mid }) => mid);
    assert.equal(mids.length, sections, `sections: ${mids}`);
    assert.ok(!mids.includes(null), `all of them are agreed on: ${mids}`);
  }
  for (const { stream } of ends) assert.deepEqual(stream.getTracks().map(({ kind }) => kind).sort(), ['audio', 'video']);
  assert.ok(offers.ann + offers.bob <= mostOffers, `${offers.ann} and ${offers.bob} offers`);
  assert.deepEqual(errors.map((error) => String(error.stack ?? error)), []);
}

describe('two ends come to an end', () => {
  test('of a call that nothing disturbs, with one offer', () =>
    world(1, async (w) => {
      w.enter('ann');
      w.enter('bob');
      await w.clock.until(PEACE);
      agreed(w, { mostOffers: 1 });
    }));

  for (const stalled of [5500, 6000, 6050, 6100, 6150, 6500, 8000]) {
    test(`when the newcomer's first offer comes ${stalled} ms late`, async () => {
      for (let seed = 0; seed < 20; seed += 1) {
        await world(seed, async (w) => {
          w.enter('ann');
          await w.clock.until(1000);
          const { client } = w.enter('bob');
          // The request to join is on its way; what follows it has to wait.
          client.stall(stalled);
          await w.clock.until(PEACE);
          agreed(w, { mostOffers: 8 });
        });
      }
    });
  }

  test('when both add a section at once', async () => {
    for (let seed = 0; seed < 50; seed += 1) {
      await world(seed, async (w) => {
        w.enter('ann');
        w.enter('bob');
        await w.clock.until(5000);
        for (const name of ['ann', 'bob']) w.peerOf(name).connection.addTransceiver('video');
        await w.clock.until(PEACE);
        agreed(w, { sections: 4, mostOffers: 6 });
      });
    }
  });

  test('when media finds no way for 25 s', async () => {
    for (let seed = 0; seed < 50; seed += 1) {
      await world(seed, async (w) => {
        w.enter('ann');
        w.enter('bob');
        await w.clock.until(5000);
        w.air.setUp(false);
        await w.clock.until(30_000);
        w.air.setUp(true);
        await w.clock.until(30_000 + PEACE);
        agreed(w, { mostOffers: 30 });
      });
    }
  });

  for (const noticedAfter of [0, 1500, 10_000]) {
    test(`when one end's signaling is lost for 3 s while the other restarts ICE, and the server notices after ${noticedAfter} ms`, async () => {
      for (let seed = 0; seed < 50; seed += 1) {
        await world(seed, async (w) => {
          const { client } = w.enter('ann');
          w.enter('bob');
          await w.clock.until(5000);
          client.cut(noticedAfter);
          w.peerOf('bob').networkChanged();
          await w.clock.until(8000);
          client.open();
          await w.clock.until(10_000);
          // The list may have both of ann's lines, one of them dead.
          w.people.bob.client.send('userlist', {});
          await w.clock.until(14_000);
          w.peerOf('bob');
          await w.clock.until(8000 + PEACE);
          agreed(w, { mostOffers: 10 });
          assert.equal(w.peerOf('bob').name, 'ann');
        });
      }
    });
  }

  test(`in ${STORIES} stories of delays, cuts, restarts and changes`, async (t) => {
    const only = process.env.NEGOTIATION_SEED;
    const seeds = only === undefined ? Array.from({ length: STORIES }, (_, seed) => seed) : [Number(only)];
    let most = 0;
    for (const seed of seeds) {
      const told = [];
      try {
        await world(seed, async (w) => {
          const sections = await live(w, seed, told);
          agreed(w, { sections });
          most = Math.max(most, w.offers.ann + w.offers.bob);
        });
      } catch (error) {
        throw new Error(`NEGOTIATION_SEED=${seed}: ${error.message}\n${told.join('\n')}`, { cause: error });
      }
    }
    t.diagnostic(`at most ${most} offers in a story`);
  });
});

/** Lives through the story of a seed; returns how many sections each end has in the end. */
async function live(w, seed, told) {
  const random = randomBy(seed ^ 0x5eed);
  const between = (low, high) => low + random() * (high - low);
  const someone = () => w.people[random() < 0.5 ? 'ann' : 'bob'];
  const later = (ms, run) => w.clock.at(w.clock.now + ms, run);
  let extra = 0;
  const reopen = ({ client }, ms) => later(ms, () => client.state === 'connecting' && client.open());
  const happenings = {
    stall: () => someone().client.stall(between(100, 8000)),
    cut: () => {
      const person = someone();
      if (person.client.state !== 'open') return;
      person.client.cut(random() < 0.5 ? 0 : between(0, 4000));
      reopen(person, between(200, 6000));
    },
    'restart the server': () => {
      w.restart();
      for (const person of Object.values(w.people)) {
        if (person.client.state !== 'open') continue;
        person.client.cut(0);
        reopen(person, between(200, 3000));
      }
    },
    'cut the media': () => {
      w.air.setUp(false);
      later(between(500, 20_000), () => w.air.setUp(true));
    },
    'another network': () => someone().room.peers.forEach((peer) => peer.networkChanged()),
    'another network at both': () => Object.values(w.people).forEach(({ room }) => room.peers.forEach((peer) => peer.networkChanged())),
    'a list': () => someone().client.send('userlist', {}),
    'new credentials': () => Object.values(w.people).forEach(({ room }) => room.peers.forEach((peer) => peer.refresh())),
    'a camera': () => someone().room.setMedia({ video: { kind: 'video', enabled: true } }),
    'no microphone': () => someone().room.setMedia({ audio: null }),
  };
  w.enter('ann', { mic: random() < 0.7 });
  await w.clock.until(between(0, 2000));
  const { client } = w.enter('bob', { mic: random() < 0.7 });
  if (random() < 0.2) client.stall(between(5500, 7000));
  const names = Object.keys(happenings);
  for (let count = Math.floor(between(1, 9)); count > 0; count -= 1) {
    const name = names[Math.floor(random() * names.length)];
    const at = w.clock.now + between(0, 5000);
    if (at > 30_000) break;
    await w.clock.until(at);
    told.push(`${Math.round(at)} ms: ${name}`);
    happenings[name]();
  }
  await w.clock.until(QUIET);
  w.air.setUp(true);
  if (random() < 0.3) {
    await w.clock.until(QUIET + PEACE);
    for (const name of ['ann', 'bob']) w.peerOf(name).connection.addTransceiver('audio');
    extra = 2;
    told.push('both add a section');
  }
  await w.clock.until(w.clock.now + PEACE);
  return 2 + extra;
}
