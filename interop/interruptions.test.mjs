// Files between `jackfield send` and `receive` behind two NATs: directly, and on across whatever breaks in the middle.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { after, before, describe, test } from 'node:test';

import { LAB_SERVER, Lab } from './lib/lab.mjs';
import { NativePeer, PATIENCE } from './lib/native_peer.mjs';
import { run, succeed } from './lib/process.mjs';
import { JACKFIELD } from './lib/server.mjs';
import { temporaryFolder } from './lib/temp.mjs';
import { until, within } from './lib/wait.mjs';

const MEBIBYTE = 1 << 20;
/** What each test sends; more than may be on the way without an acknowledgement. */
const SIZE = Number(process.env.INTEROP_TRANSFER_MIB ?? 20) * MEBIBYTE;
/** How much has arrived when something breaks. */
const BROKEN_AT = SIZE / 5;
/** How long a receiver stays stopped after its sender has noticed. */
const STOPPED_MS = Number(process.env.INTEROP_STOPPED_S ?? 0) * 1000;
/** The links carry a file in some seconds, so that there is a middle. */
const RATE = process.env.INTEROP_TRANSFER_RATE ?? '40mbit';

/** Each has two hosts, behind a NAT each, and a folder. */
const SCENARIOS = [
  'direct', 'relay', 'address', 'reboot', 'reboots', 'udp', 'stopped', 'receiver', 'sender', 'server', 'full', 'pipe', 'missed',
];
/** Where there has to be time for two changes. */
const SLOWER = { udp: '16mbit' };
/** What a sender may take of memory while nobody takes what it sends, in bytes. */
const BOUND = 96 * MEBIBYTE;
/** The server that is restarted, beside the one of the lab. */
const OTHER_SERVER = '198.18.0.1:4000';

let lab;
let folder;
let file;
let sum;

before(async () => {
  folder = temporaryFolder('interruptions');
  file = join(folder.path, 'sent.bin');
  for (let left = SIZE; left > 0; left -= MEBIBYTE) writeFileSync(file, randomBytes(Math.min(left, MEBIBYTE)), { flag: 'a' });
  sum = await sha256(file);
  const smallDisk = join(folder.path, 'full');
  mkdirSync(smallDisk);
  await succeed('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'small', smallDisk]);
  const sites = SCENARIOS.flatMap((name) => ['a', 'b'].map((side) => `
    [site.${name}-${side}]
    nat = "port-restricted-cone"
    rate = "${SLOWER[name] ?? RATE}"
    queue = "256KiB"
    latency = "5ms"
    [host.${name}-${side}]
    site = "${name}-${side}"
  `));
  lab = await Lab.up('interruptions', `[server]\nserve = true\n${sites.join('')}`);
});

after(async () => {
  await lab?.down();
  await run('umount', [join(folder.path, 'full')]);
  folder?.remove();
});

describe('a file between two NATs', { concurrency: 3 }, () => {
  test('goes directly', async (context) => {
    const { into, sender, receiver } = begin('direct');
    try {
      await whole(into, sender, receiver);
      for (const peer of [sender, receiver]) {
        // A relay may be found a moment before the better way is.
        assert.equal(peer.all('path').at(-1).path, 'direct');
        assert.equal(peer.all('paused').length, 0);
      }
      const [{ at: began }] = receiver.all('offer');
      const seconds = (receiver.all('file')[0].at - began) / 1000;
      context.diagnostic(`${SIZE / MEBIBYTE} MiB in ${seconds} s: ${((SIZE * 8) / seconds / 1e6).toFixed(1)} Mbit/s`);
    } finally {
      await stop(sender, receiver);
    }
  });

  test('goes by the relay alone when one side asks for that', async () => {
    const { into, sender, receiver } = begin('relay', { sending: ['--relay'] });
    try {
      await whole(into, sender, receiver);
      for (const peer of [sender, receiver]) {
        assert.ok(peer.all('path').length > 0);
        for (const { path } of peer.all('path')) assert.match(path, /^relay-/);
      }
      for (const { local } of sender.all('path')) assert.equal(local, 'relay');
    } finally {
      await stop(sender, receiver);
    }
  });

  test('goes on when the address of the sender changes', (context) => survives(context, 'address', () => lab.changeAddress('address-a')));

  test('goes on when the NAT of the sender forgets everything', (context) => survives(context, 'reboot', () => lab.reboot('reboot-a')));

  test('goes on when both NATs forget everything', (context) =>
    survives(context, 'reboots', () => Promise.all([lab.reboot('reboots-a'), lab.reboot('reboots-b')])));

  test('goes on over TCP when UDP is blocked, and directly when it no longer is', async (context) => {
    await survives(context, 'udp', async ({ receiver }) => {
      await lab.set('udp-a', '--block-udp');
      await receiver.event('path', ({ path }) => path === 'relay-tcp');
      await lab.set('udp-a', '--block-udp=false');
    });
  });

  test('waits for a receiver that is stopped, in little memory', (context) =>
    survives(context, 'stopped', async ({ sender, receiver }) => {
      process.kill(receiver.pid, 'SIGSTOP');
      try {
        await sender.event('interrupted');
        await new Promise((resolve) => setTimeout(resolve, STOPPED_MS));
        const memory = resident(sender.pid);
        context.diagnostic(`the sender has ${Math.round(memory / MEBIBYTE)} MiB of memory`);
        assert.ok(memory < BOUND);
      } finally {
        process.kill(receiver.pid, 'SIGCONT');
      }
    }));

  test('goes on while the server is restarted', async (context) => {
    const server = await serve();
    try {
      const { receiver } = await survives(context, 'server', () => server.restart(), { server: `http://${OTHER_SERVER}` });
      assert.equal(receiver.all('server-lost').length > 0, true);
      for (const name of ['interrupted', 'paused']) assert.deepEqual(receiver.all(name), []);
    } finally {
      await server.stop();
    }
  });
});

describe('a side that was killed', { concurrency: 2 }, () => {
  test('goes on with what it has received', (context) => isStartedAgain(context, 'receiver'));

  test('sends only what is missing', (context) => isStartedAgain(context, 'sender'));
});

describe('what cannot go on', { concurrency: 3 }, () => {
  test('a full disk ends both sides with a word', async () => {
    const { sender, receiver } = begin('full');
    try {
      assert.deepEqual(await Promise.all([sender.ended(), receiver.ended()]), [1, 1]);
      assert.match(receiver.all('error')[0].message, /the disk is full/);
      assert.match(sender.all('error')[0].message, /bob has no room on its disk/);
    } finally {
      await stop(sender, receiver);
    }
  });

  test('a reader that has read enough ends both ends of a pipe', async () => {
    const connect = `${JACKFIELD} connect --server ${LAB_SERVER} pipe`;
    const writing = lab.start('pipe-a', 'sh', ['-c', `yes | ${connect}`]);
    const reading = lab.start('pipe-b', 'bash', ['-c', `${connect} | head -n 1; exit \${PIPESTATUS[0]}`]);
    try {
      assert.equal(await within(reading.ended, 'the end of the reader', PATIENCE), 1, reading.output);
      assert.match(reading.output, /^y$/m);
      assert.match(reading.output, /no program reads what arrives/);
      assert.equal(await within(writing.ended, 'the end of the writer', PATIENCE), 1, writing.output);
      assert.match(writing.output, /the other side reads no more/);
    } finally {
      await stop(reading, writing);
    }
  });

  test('a sender that vanished is missed for as long as told', async () => {
    const { into, sender, receiver } = begin('missed', { receiving: ['--wait', '3s'] });
    const growth = new Growth(into);
    try {
      await growth.reaches(BROKEN_AT);
      await sender.kill();
      assert.equal(await receiver.ended(), 1, receiver.child.output);
      assert.match(receiver.all('error')[0].message, /ann is gone, and did not come back for 3 seconds/);
    } finally {
      growth.stop();
      await stop(sender, receiver);
    }
  });
});

/** Starts both sides. */
function begin(scenario, { server = LAB_SERVER, sending = [], receiving = [] } = {}) {
  const into = join(folder.path, scenario);
  const common = ['--json', '--server', server];
  const start = {
    sender: () => new NativePeer(lab, `${scenario}-a`, ['send', ...common, ...sending, '--name', 'ann', '--room', scenario, file]),
    receiver: () => new NativePeer(lab, `${scenario}-b`, ['receive', ...common, ...receiving, '--name', 'bob', '--into', into, scenario]),
  };
  return { into, start, sender: start.sender(), receiver: start.receiver() };
}

/** Resolves when both sides have ended, and the file is there. */
async function whole(into, sender, receiver) {
  const codes = await Promise.all([sender.ended(), receiver.ended()]);
  assert.deepEqual(codes, [0, 0], `${sender.child.output}\n${receiver.child.output}`);
  assert.equal(await sha256(join(into, 'sent.bin')), sum);
  assert.deepEqual(readdirSync(into), ['sent.bin'], 'nothing else is left');
}

/** Breaks something in the middle of a transfer, which has to end well nevertheless. */
async function survives(context, scenario, disturb, options) {
  const { into, sender, receiver } = begin(scenario, options);
  const growth = new Growth(into);
  try {
    await growth.reaches(BROKEN_AT);
    growth.mark();
    await disturb({ sender, receiver });
    await whole(into, sender, receiver);
    context.diagnostic(`nothing arrived for ${growth.pause()} ms`);
    if (process.env.INTEROP_EVENTS) tell(context, { sender, receiver }, growth.marked);
    assert.equal(receiver.all('path').at(-1).path, 'direct');
    return { sender, receiver };
  } finally {
    growth.stop();
    await stop(sender, receiver);
  }
}

/** Kills one side in the middle of a transfer, and starts it again. */
async function isStartedAgain(context, side) {
  const { into, start, ...peers } = begin(side);
  const growth = new Growth(into);
  try {
    await growth.reaches(BROKEN_AT);
    growth.mark();
    await peers[side].kill();
    const arrived = side === 'receiver' ? unfinished(into) : BROKEN_AT;
    peers[side] = start[side]();
    await whole(into, peers.sender, peers.receiver);
    context.diagnostic(`nothing arrived for ${growth.pause()} ms`);
    for (const peer of Object.values(peers)) {
      const { kept, bytes } = peer.all('done')[0];
      assert.equal(bytes, SIZE);
      assert.ok(kept >= arrived, `${kept} of ${arrived} bytes did not travel again`);
    }
  } finally {
    growth.stop();
    await stop(...Object.values(peers));
  }
}

/** Tells what both sides said, with the time since something broke. */
function tell(context, peers, since) {
  for (const [side, peer] of Object.entries(peers)) {
    for (const { event, at, ...fields } of peer.events) {
      if (event !== 'progress') context.diagnostic(`${at - since} ms ${side} ${event} ${JSON.stringify(fields)}`);
    }
  }
}

/** Starts a server beside the lab's own, which can be restarted. */
async function serve() {
  const home = join(folder.path, 'server-home');
  mkdirSync(home);
  const args = ['serve', '--listen', OTHER_SERVER, '--allow-peer', '198.18.0.0/15', '--data-dir', home];
  const start = async () => {
    const child = lab.start('server', JACKFIELD, args);
    await until(() => child.output.includes(OTHER_SERVER), 'the server');
    return child;
  };
  let child = await start();
  return {
    async restart() {
      await child.stop();
      child = await start();
    },
    stop: () => child.stop(),
  };
}

/** Watches an unfinished file grow. */
class Growth {
  #samples = [];
  #timer;

  constructor(into) {
    this.#timer = setInterval(() => this.#samples.push({ at: Date.now(), size: unfinished(into) }), 10);
  }

  async reaches(size) {
    await until(() => (this.#samples.at(-1)?.size ?? 0) >= size, `${size} bytes`, { every: 10, timeout: PATIENCE });
  }

  mark() {
    this.marked = Date.now();
  }

  /** The longest time after the mark that nothing arrived in, before something did. */
  pause() {
    let longest = 0;
    let last;
    for (const { at, size } of this.#samples) {
      if (at < this.marked || size === last?.size) continue;
      longest = Math.max(longest, at - (last ?? { at }).at);
      last = { at, size };
    }
    return longest;
  }

  stop() {
    clearInterval(this.#timer);
  }
}

/** The bytes of the unfinished file in a folder, or of the finished one. */
function unfinished(into) {
  try {
    const [name] = readdirSync(into);
    return statSync(join(into, name)).size;
  } catch {
    return 0;
  }
}

/** The resident memory of a process, in bytes. */
function resident(pid) {
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return kibibytes * 1024;
}

async function stop(...peers) {
  await Promise.all(peers.map((peer) => peer.stop()));
}

async function sha256(path) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
