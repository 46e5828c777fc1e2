// Network namespaces: hosts of a made-up internet on one machine.

import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

import { atExit, isRunning } from './cleanup.mjs';
import { Child, run, succeed } from './process.mjs';

/** Every namespace of ours is called `jfPID-NAME`, by the id of the process that made it. */
const PREFIX = `jf${process.pid}-`;
const OURS = /^jf(\d+)-/;

/** One host, router or server: a network namespace with its own addresses, routes and firewall. */
export class Namespace {
  #forget;

  /** Makes an empty namespace with IPv6 off and the loopback interface up. */
  static async create(name) {
    removeLeftOvers();
    const namespace = new Namespace(PREFIX + name);
    await succeed('ip', ['netns', 'add', namespace.name]);
    namespace.#forget = atExit(() => removeNow(namespace.name));
    await namespace.succeed('sysctl', ['-qw', 'net.ipv6.conf.all.disable_ipv6=1']);
    await namespace.ip('link', 'set', 'lo', 'up');
    return namespace;
  }

  constructor(name) {
    this.name = name;
  }

  /** Runs `ip` on this namespace. */
  ip(...args) {
    return succeed('ip', ['-n', this.name, ...args]);
  }

  /** Gives `device` an address, with the length of its prefix, and brings it up. */
  async address(device, address) {
    await this.ip('address', 'add', address, 'dev', device);
    await this.ip('link', 'set', device, 'up');
  }

  /** Lays a cable from `device` here to `theirDevice` in another namespace. */
  cable(device, other, theirDevice) {
    return this.ip('link', 'add', device, 'type', 'veth', 'peer', 'name', theirDevice, 'netns', other.name);
  }

  /** Runs a program inside to its end. */
  run(command, args, options) {
    return run('ip', this.#inside(command, args), options);
  }

  /** Runs a program inside to its end, and rejects unless it succeeds. */
  succeed(command, args, options) {
    return succeed('ip', this.#inside(command, args), options);
  }

  /** Starts a program inside that runs beside the test. */
  start(command, args, options) {
    return new Child('ip', this.#inside(command, args), options);
  }

  /** Ends what runs inside and removes the namespace, its interfaces with it. */
  remove() {
    removeNow(this.name);
    this.#forget?.();
  }

  #inside(command, args) {
    return ['netns', 'exec', this.name, command, ...args];
  }
}

/** Removes the namespaces of test processes that ended without doing so themselves. */
function removeLeftOvers() {
  for (const name of namespaces()) {
    const maker = Number(OURS.exec(name)?.[1]);
    if (maker && maker !== process.pid && !isRunning(maker)) removeNow(name);
  }
}

function removeNow(name) {
  if (!namespaces().includes(name)) return;
  const pids = ip('netns', 'pids', name).split('\n').filter(Boolean).map(Number);
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if (error.code !== 'ESRCH') throw error;
    }
  }
  ip('netns', 'delete', name);
}

function namespaces() {
  try {
    return readdirSync('/run/netns');
  } catch {
    return [];
  }
}

function ip(...args) {
  return execFileSync('ip', args, { encoding: 'utf8' });
}
