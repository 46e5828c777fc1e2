// How fast ICE agents of real programs connect, in network namespaces behind routers of `jackfield lab`.
//
//   node bench/ice/real.mjs [--rtt 20,100] [--runs 10] [--nats open,port-restricted,symmetric-open,relay]
//                           [--agents jackfield,libnice,aioice,pion,pion-fast] [--peers] [--json FILE]
//
// It needs what the suites `ice` and `peer` need, and root. Both sides are the same program. Candidates are gathered before;
// then each side is given those of the other at the same moment. With `--peers` they are WebRTC peers with a data channel.
// README.md says what is measured.

import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { BrowserPeer } from '../../interop/lib/browser_peer.mjs';
import { IceAgent } from '../../interop/lib/ice_agent.mjs';
import { Lab } from '../../interop/lib/lab.mjs';
import { python } from '../../interop/lib/python.mjs';
import { succeed } from '../../interop/lib/process.mjs';
import { example } from '../../interop/lib/server.mjs';
import { StdioPeer } from '../../interop/lib/stdio_peer.mjs';
import { buildPion, buildPionIce } from '../../interop/stock/pion.mjs';

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

const { values } = parseArgs({
  options: {
    rtt: { type: 'string', default: '20,100' },
    runs: { type: 'string', default: '10' },
    nats: { type: 'string', default: Object.keys(NATS).join() },
    agents: { type: 'string' },
    peers: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});

const pion = await (values.peers ? buildPion() : buildPionIce());
const AGENTS = {
  'jackfield': [example('ice_stdio'), []],
  'libnice': [python('python3'), [stock('libnice_agent.py')]],
  'aioice': [python('python3'), [stock('aioice_agent.py')]],
  'pion': [pion.program, []],
  'pion-fast': [pion.program, []],
};
const PEERS = {
  'jackfield': [example('peer_stdio'), []],
  'chromium': undefined,
  'libdatachannel': [process.execPath, [stock('datachannel_peer.mjs')]],
  'aiortc': [python('python3'), [stock('aiortc_peer.py')]],
  'pion': [pion.program, []],
};
const names = values.agents?.split(',') ?? Object.keys(values.peers ? PEERS : AGENTS);

/** A packet passes the link of either side on its way to the other side and back. */
const toml = (rtt) => [
  '[server]\nserve = true\nflags = ["--user", "ann:s3cret-of-the-lab", "--turn-max-allocations-per-user", "10000", "--turn-max-allocations-per-network", "10000"]',
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

/** Starts a WebRTC peer on a host. */
function startPeer(lab, name, host, iceServers) {
  if (name === 'chromium') {
    return BrowserPeer.start({ kind: name, namespace: lab.namespace(host), url: `http://${SERVER}/healthz`, iceServers });
  }
  return new StdioPeer(...lab.inside(host, ...PEERS[name], { ICE_SERVERS: JSON.stringify(iceServers) }));
}

/** Connects two WebRTC peers: from the answer's delivery until each has had a text and bytes echoed by the other. */
async function openChannels(lab, name, nats) {
  const relay = { urls: [`turn:${SERVER}?transport=udp`], username: TURN.username, credential: TURN.password };
  const stun = { urls: [`stun:${SERVER}`] };
  const iceServers = { relay: [stun, relay], open: [] }[nats] ?? [stun];
  const [first, second] = await Promise.all(NATS[nats].map((host) => startPeer(lab, name, host, iceServers)));
  try {
    const answer = await second.answer(await first.offer());
    const start = performance.now();
    await Promise.all([first.accept(answer), first.exchange([2]), second.exchange([2])]);
    return { time: performance.now() - start };
  } finally {
    await Promise.all([first.stop(), second.stop()]);
  }
}

/** The round trip between two hosts, in milliseconds. */
async function roundTrip(lab) {
  const [command, args, options] = lab.inside('open-a', 'ping', ['-q', '-c', '10', '-i', '0.2', 'open-b']);
  const output = await succeed(command, args, options);
  return Number(/min\/avg\/max\/mdev = [\d.]+\/([\d.]+)\//.exec(output)[1]);
}

const percentile = (sorted, percent) => sorted[Math.max(Math.ceil((sorted.length * percent) / 100) - 1, 0)];
const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

const rows = [];
const columns = values.peers ? [] : ['packets', 'bytes', 'cpu', 'memory'];
console.log(`| NATs | RTT, ms | agent | p50, ms | p50, RTT | p95, ms |${values.peers ? '' : ' packets | bytes | CPU, ms | memory, MiB |'}`);
console.log(`|${'---|'.repeat(6 + columns.length)}`);
for (const link of values.rtt.split(',').map(Number)) {
  const lab = await Lab.up('speed', toml(link));
  try {
    const rtt = await roundTrip(lab);
    for (const nats of values.nats.split(',')) await compare(lab, nats, rtt);
  } finally {
    await lab.down();
  }
}
pion.remove();
if (values.json) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);

async function compare(lab, nats, rtt) {
  const outcomes = Object.fromEntries(names.map((name) => [name, []]));
  // By turns, so that what else the machine does hits all of them.
  for (let run = 0; run < Number(values.runs); run += 1) {
    for (const name of names) outcomes[name].push(await (values.peers ? openChannels : connect)(lab, name, nats));
  }
  for (const name of names) {
    const times = outcomes[name].map(({ time }) => time).sort((a, b) => a - b);
    const row = { nats, rtt, agent: name, p50: percentile(times, 50), p95: percentile(times, 95) };
    for (const column of columns) row[column] = mean(outcomes[name].map((outcome) => outcome[column]));
    rows.push(row);
    const digits = { cpu: 1, memory: 1 };
    const costs = columns.map((column) => row[column].toFixed(digits[column] ?? 0));
    const cells = [nats, rtt.toFixed(0), name, row.p50.toFixed(0), (row.p50 / rtt).toFixed(1), row.p95.toFixed(0), ...costs];
    console.log(`| ${cells.join(' | ')} |`);
  }
}
