// How fast ICE agents of real programs connect, in network namespaces behind routers of `jackfield lab`.
//
//   node bench/ice/real.mjs [--rtt 20,100] [--runs 10] [--nats open,port-restricted,symmetric-open,relay]
//                           [--agents jackfield,libnice,aioice,pion,pion-fast] [--json FILE]
//
// It needs what the suite `ice` needs, and root. Both sides are the same program. Candidates are gathered before; then
// each side is given those of the other at the same moment. README.md says what is measured.

import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { IceAgent } from '../../interop/lib/ice_agent.mjs';
import { Lab } from '../../interop/lib/lab.mjs';
import { python } from '../../interop/lib/python.mjs';
import { example } from '../../interop/lib/server.mjs';
import { buildPionIce } from '../../interop/stock/pion.mjs';

const stock = (name) => fileURLToPath(new URL(`../../interop/stock/${name}`, import.meta.url));

const NATS = {
  'open': ['open-a', 'open-b'],
  'port-restricted': ['cone-a', 'cone-b'],
  'symmetric-open': ['symmetric', 'open-b'],
  'relay': ['symmetric', 'cone-b'],
};
const SITES = { 'open-a': 'public', 'open-b': 'public', 'cone-a': 'port-restricted-cone', 'cone-b': 'port-restricted-cone', 'symmetric': 'symmetric' };
const SERVER = '198.18.0.1:3478';
const TURN = { address: SERVER, transport: 'udp', username: 'ann', password: 's3cret-of-the-lab' };

const pion = await buildPionIce();
const AGENTS = {
  'jackfield': [example('ice_stdio'), []],
  'libnice': [python('python3'), [stock('libnice_agent.py')]],
  'aioice': [python('python3'), [stock('aioice_agent.py')]],
  'pion': [pion.program, []],
  'pion-fast': [pion.program, []],
};

const { values } = parseArgs({
  options: {
    rtt: { type: 'string', default: '20,100' },
    runs: { type: 'string', default: '10' },
    nats: { type: 'string', default: Object.keys(NATS).join() },
    agents: { type: 'string', default: Object.keys(AGENTS).join() },
    json: { type: 'string' },
  },
});
const list = (text) => text.split(',');

/** A packet passes the link of either side on its way to the other side and back. */
const toml = (rtt) => [
  '[server]\nserve = true\nflags = ["--user", "ann:s3cret-of-the-lab", "--turn-max-allocations-per-user", "10000"]',
  ...Object.entries(SITES).map(([name, nat]) => `[site.${name}]\nnat = "${nat}"\nlatency = "${rtt / 4}ms"\n[host.${name}]\nsite = "${name}"`),
].join('\n');

async function connect(lab, name, nats) {
  const sides = NATS[nats].map((host) => new IceAgent(...lab.inside(host, ...AGENTS[name])));
  const servers = { relay: { stun: SERVER, turn: TURN }, open: {} }[nats] ?? { stun: SERVER };
  const fast = name.endsWith('-fast') ? { fast: true } : {};
  try {
    const descriptions = await Promise.all(sides.map((side, index) => side.gather({ controlling: index === 0, ...servers, ...fast })));
    const before = await Promise.all(sides.map((side) => side.times()));
    // Both wait for a path, and use it as soon as it is there.
    const data = sides.map((side, index) => side.meet(descriptions[1 - index]).then(() => side.exchange(1, 36)));
    await Promise.all(data);
    const times = await Promise.all(sides.map((side) => side.times()));
    return {
      time: (Math.max(...times.map(({ first }) => first)) - Math.max(...times.map(({ met }) => met))) / 1e3,
      packets: times.reduce((sum, { sent }) => sum + sent.packets, 0),
      bytes: times.reduce((sum, { sent }) => sum + sent.bytes, 0),
      cpu: times.reduce((sum, { cpu }, index) => sum + cpu - before[index].cpu, 0) / 2e3,
      memory: Math.max(...times.map(({ memory }) => memory)) / 1024,
    };
  } catch (error) {
    throw new Error(`${name}, ${nats}: ${error.message}\n${sides.map(({ output }) => output).join('\n')}`, { cause: error });
  } finally {
    await Promise.all(sides.map((side) => side.stop()));
  }
}

const percentile = (sorted, percent) => sorted[Math.max(Math.ceil((sorted.length * percent) / 100) - 1, 0)];
const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

const rows = [];
console.log('| NATs | RTT, ms | agent | p50, ms | RTT | p95, ms | packets | bytes | CPU, ms | memory, MiB |');
console.log('|---|---|---|---|---|---|---|---|---|---|');
for (const rtt of list(values.rtt).map(Number)) {
  const lab = await Lab.up('speed', toml(rtt));
  try {
    for (const nats of list(values.nats)) {
      const names = list(values.agents);
      const outcomes = Object.fromEntries(names.map((name) => [name, []]));
      // By turns, so that what else the machine does hits all of them.
      for (let run = 0; run < Number(values.runs); run += 1) {
        for (const name of names) outcomes[name].push(await connect(lab, name, nats));
      }
      for (const name of names) {
        const times = outcomes[name].map(({ time }) => time).sort((a, b) => a - b);
        const of = (what) => mean(outcomes[name].map((outcome) => outcome[what]));
        const row = { nats, rtt, agent: name, p50: percentile(times, 50), p95: percentile(times, 95), packets: of('packets'), bytes: of('bytes'), cpu: of('cpu'), memory: of('memory') };
        rows.push(row);
        console.log(`| ${nats} | ${rtt} | ${name} | ${row.p50.toFixed(0)} | ${(row.p50 / rtt).toFixed(1)} | ${row.p95.toFixed(0)} | ${row.packets.toFixed(0)} | ${row.bytes.toFixed(0)} | ${row.cpu.toFixed(1)} | ${row.memory.toFixed(1)} |`);
      }
    }
  } finally {
    await lab.down();
  }
}
pion.remove();
if (values.json) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
