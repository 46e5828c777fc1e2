// Our ICE agent against libnice, aioice and pion, and against itself, behind NATs and firewalls of `jackfield lab`:
// either role, data both ways, and the path that each pair of networks allows.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { IceAgent } from './lib/ice_agent.mjs';
import { SERVER, USER, startIceLab } from './lib/ice_lab.mjs';
import { python } from './lib/python.mjs';
import { driverExample } from './lib/server.mjs';
import { until } from './lib/wait.mjs';
import { buildPionIce } from './stock/pion.mjs';

const stock = (name) => fileURLToPath(new URL(`stock/${name}`, import.meta.url));

const turn = (transport) => ({ address: SERVER, transport, ...USER });
const BY_STUN = { stun: SERVER };
const BY_UDP = { stun: SERVER, turn: turn('udp') };
const BY_TCP = { stun: SERVER, turn: turn('tcp') };
const NONE = {};
const BY_STUN_AND_TCP = { ...BY_STUN, tcp: true };

let lab;
let pion;
before(async () => {
  pion = await buildPionIce();
  lab = await startIceLab('ice');
});
after(async () => {
  await lab?.down();
  pion?.remove();
});

const OURS = { command: () => [driverExample('ice_stdio'), []] };
const PEERS = {
  'ourselves': { ...OURS, renominates: true, active: true, conflicts: true, restarts: true, lite: true },
  'libnice': { command: () => [python('python3'), [stock('libnice_agent.py')]], active: true, conflicts: true, restarts: true, lite: true },
  'aioice': { command: () => [python('python3'), [stock('aioice_agent.py')]], conflicts: true },
  // It drops checks of an agent with the role that it has itself.
  'pion': { command: () => [pion.program, []], passive: true, restarts: true, lite: true },
};

/** What of each side's selected pair makes a path of this kind. */
const PATHS = {
  direct: ({ local, remote, transport }) => local !== 'relay' && remote !== 'relay' && transport !== 'tcp',
  tcp: ({ local, remote, transport }) => local !== 'relay' && remote !== 'relay' && transport === 'tcp',
  relay: ({ local, remote }) => local === 'relay' || remote === 'relay',
  /** A relay of ours that is reached by TCP. */
  relayByTcp: ({ local, transport }) => local === 'relay' && transport === 'tcp',
};

/** Starts both agents, and ends them after `doing`. */
async function agents(peer, [ourHost, theirHost], doing) {
  const start = ({ command }, host) => new IceAgent(...lab.inside(host, ...command()));
  const ours = start(OURS, ourHost);
  const theirs = start(peer, theirHost);
  try {
    return await doing(ours, theirs);
  } catch (error) {
    throw new Error(`${error.message}\nours: ${ours.output}\ntheirs: ${theirs.output}`, { cause: error });
  } finally {
    await Promise.all([ours.stop(), theirs.stop()]);
  }
}

const gather = (ours, theirs, we, they) => Promise.all([ours.gather(we), theirs.gather(they)]);

/** Sends datagrams both ways at once. */
const talk = (ours, theirs) => Promise.all([ours.exchange(5, 1_000), theirs.exchange(5, 1_000)]);

/** Has both sides meet and talk, and waits until ours says that the path is of that kind. */
async function connect(ours, theirs, [we, they], path) {
  const [ourSide, theirSide] = await gather(ours, theirs, we, they);
  await Promise.all([ours.meet(theirSide), theirs.meet(ourSide)]);
  await talk(ours, theirs);
  await takes(ours, path);
}

const takes = (agent, path) =>
  until(async () => {
    const pair = await agent.connected();
    assert.ok(PATHS[path](pair), `${JSON.stringify(pair)} is not ${path}`);
    return true;
  }, `a path that is ${path}`);

/** By name: where we are and they are, how each side gathers, and the path. */
const CASES = {
  'on open hosts': [['open-a', 'open-b'], [NONE, NONE], 'direct'],
  'behind port-restricted NATs, directly': [['cone-a', 'cone-b'], [BY_STUN, BY_STUN], 'direct'],
  'behind a symmetric and a port-restricted NAT, relayed': [['symmetric-a', 'cone-b'], [BY_UDP, BY_UDP], 'relay'],
  'behind symmetric NATs, relayed': [['symmetric-a', 'symmetric-b'], [BY_UDP, BY_UDP], 'relay'],
  'when we cannot use UDP, relayed over TCP': [['walled', 'cone-b'], [BY_TCP, BY_UDP], 'relayByTcp'],
  'when they cannot use UDP, relayed over TCP': [['cone-a', 'walled'], [BY_UDP, BY_TCP], 'relay'],
  'by relays alone': [['open-a', 'open-b'], [{ ...BY_UDP, relay: true }, { ...BY_UDP, relay: true }], 'relay'],
};

for (const [name, peer] of Object.entries(PEERS)) {
  describe(`our agent and ${name}`, { concurrency: 8 }, () => {
    const roles = { 'controlling': [true, false], 'controlled': [false, true] };
    for (const [role, [we, they]] of Object.entries(roles)) {
      for (const [what, [hosts, [ourWay, theirWay], path]] of Object.entries(CASES)) {
        test(`${what}; we are ${role}`, () =>
          agents(peer, hosts, (ours, theirs) =>
            connect(ours, theirs, [{ ...ourWay, controlling: we }, { ...theirWay, controlling: they }], path)));
      }

      if (peer.active || peer.passive) {
        test(`over TCP when we cannot use UDP; we are ${role}`, () =>
          agents(peer, ['walled', 'open-b'], (ours, theirs) =>
            connect(ours, theirs, [{ ...BY_STUN_AND_TCP, controlling: we }, { ...BY_STUN_AND_TCP, controlling: they }], 'tcp')));
      }
      if (peer.active) {
        test(`over TCP when they cannot use UDP; we are ${role}`, () =>
          agents(peer, ['open-a', 'walled'], (ours, theirs) =>
            connect(ours, theirs, [{ ...BY_STUN_AND_TCP, controlling: we }, { ...BY_STUN_AND_TCP, controlling: they }], 'tcp')));
      }

      if (peer.restarts) {
        test(`restart; we are ${role}`, () =>
          agents(peer, ['cone-a', 'cone-b'], async (ours, theirs) => {
            const ways = [{ ...BY_STUN, controlling: we }, { ...BY_STUN, controlling: they }];
            await connect(ours, theirs, ways, 'direct');
            const [ourSide, theirSide] = await Promise.all([ours.restart(), theirs.restart()]);
            await Promise.all([ours.meet(theirSide), theirs.meet(ourSide)]);
            await talk(ours, theirs);
            await takes(ours, 'direct');
          }));
      }
    }

    test('take candidates one by one, the best ones last', () =>
      agents(peer, ['cone-a', 'cone-b'], async (ours, theirs) => {
        const ways = [{ ...BY_UDP, controlling: true }, { ...BY_UDP, controlling: false }];
        const [ourSide, theirSide] = await gather(ours, theirs, ...ways);
        await Promise.all([ours.meet({ ...theirSide, candidates: [] }), theirs.meet({ ...ourSide, candidates: [] })]);
        await Promise.all([trickle(ours, theirSide), trickle(theirs, ourSide)]);
        await talk(ours, theirs);
        // Without renomination the first pair that works stays, and that may be a relay's (RFC 8445 §8.1.1).
        if (peer.renominates) await takes(ours, 'direct');
      }));

    for (const both of peer.conflicts ? [true, false] : []) {
      test(`settle who is controlling when both are ${both ? 'controlling' : 'controlled'}`, () =>
        agents(peer, ['cone-a', 'cone-b'], (ours, theirs) =>
          connect(ours, theirs, [{ ...BY_STUN, controlling: both }, { ...BY_STUN, controlling: both }], 'direct')));
    }

    test('when we only answer checks', () =>
      agents(peer, ['open-a', 'cone-b'], (ours, theirs) =>
        connect(ours, theirs, [{ lite: true, controlling: false }, { ...BY_STUN, controlling: true }], 'direct')));

    if (peer.lite) {
      test('when they only answer checks', () =>
        agents(peer, ['cone-a', 'open-b'], (ours, theirs) =>
          connect(ours, theirs, [{ ...BY_STUN, controlling: true }, { lite: true, controlling: false }], 'direct')));
    }
  });
}

async function trickle(agent, { candidates }) {
  for (const candidate of candidates.toReversed()) await agent.candidate(candidate);
}
