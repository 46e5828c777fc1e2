// The programs under test: started on free ports, ready when they serve, ended by their process.

import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { NETWORK, SERVER as PUBLIC } from './internet.mjs';
import { Child } from './process.mjs';
import { temporaryFolder } from './temp.mjs';
import { until } from './wait.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The programs of the release build. */
export const JACKFIELD = join(ROOT, 'target/release/jackfield');
export const example = (name) => join(ROOT, 'target/release/examples', name);

/** The examples of the driver, with the checks of a debug build. The tests of Rust build the same files. */
export const driverExample = (name) => join(ROOT, 'target/debug/examples', name);

/** The port that `jackfield serve` uses unless told otherwise. */
export const DEFAULT_PORT = 3478;

/** The address that everything on this machine itself is served on. */
export const LOOPBACK = '127.0.0.1';

/**
 * The ports that servers under test are given. The system chooses others for sockets without a port of their own, so that
 * none of those takes a port between the look and the start of its server, or while a server is restarted.
 */
const PORTS = { first: 16_384, end: 32_768 };

/** A port that is free for both TCP and UDP on loopback. */
export async function freePort() {
  for (;;) {
    const port = randomInt(PORTS.first, PORTS.end);
    if ((await canListen(port)) && (await canBindUdp(port))) return port;
  }
}

/** A server in a process of its own, which can be stopped and started again where it was. */
export class Server {
  #command;
  #isReady;
  #child;
  #home = temporaryFolder('home');

  /** Starts `command` with `args`; it serves when `isReady()` resolves to something truthy. */
  static async start(options) {
    const server = new Server(options);
    await server.start();
    return server;
  }

  constructor({ command, args, isReady, startChild = (...all) => new Child(...all) }) {
    this.#command = [command, args];
    this.#isReady = isReady;
    this.startChild = startChild;
  }

  async start() {
    const [command, args] = this.#command;
    const { path } = this.#home;
    this.#child = this.startChild(command, args, { cwd: path, env: environment(path) });
    const gone = new AbortController();
    this.#child.ended.then((code) => gone.abort(new Error(`${this.#child.line} ended by itself: ${code}`)));
    try {
      await until(() => this.#isReady(), `${command} to serve`, { signal: gone.signal });
    } catch (error) {
      await this.stop();
      throw new Error(`${error.message}\n${error.cause?.message ?? ''}\n${this.output}`);
    }
  }

  /** What it has printed. */
  get output() {
    return this.#child.output;
  }

  /** The process's id. */
  get pid() {
    return this.#child.pid;
  }

  /** Whether the process is there. */
  get isRunning() {
    return this.#child.isRunning;
  }

  /** Ends the process and leaves its folder, for `start` to go on with. */
  async halt(signal) {
    await this.#child.stop(signal);
  }

  /** Ends the process and removes its folder. */
  async stop() {
    await this.#child?.stop();
    this.#home.remove();
  }
}

/** Starts an example of our Socket.IO crate, or its stock counterpart, on a free loopback port. */
export async function startListener(command, args = []) {
  const port = await freePort();
  const server = await Server.start({
    command,
    args: [...args, '--listen', `${LOOPBACK}:${port}`],
    isReady: () => accepts(port),
  });
  server.port = port;
  server.url = `http://${LOOPBACK}:${port}`;
  return server;
}

/** Starts `jackfield serve` on a free loopback port. */
export async function startJackfield(args = []) {
  const port = await freePort();
  const url = `http://${LOOPBACK}:${port}`;
  const server = await Server.start({
    command: JACKFIELD,
    args: ['serve', '--listen', `${LOOPBACK}:${port}`, ...args],
    isReady: async () => (await fetch(`${url}/readyz`)).status === 200,
  });
  server.port = port;
  server.url = url;
  return server;
}

/** Starts `jackfield serve` on the public address of a made-up internet. */
export async function startPublicJackfield(internet, args = []) {
  const { server: namespace } = internet;
  const url = `http://${PUBLIC}:${DEFAULT_PORT}`;
  const ready = `fetch('${url}/readyz').then(({ status }) => process.exit(status === 200 ? 0 : 1), () => process.exit(1))`;
  const server = await Server.start({
    command: JACKFIELD,
    args: ['serve', '--listen', `${PUBLIC}:${DEFAULT_PORT}`, '--allow-peer', NETWORK, ...args],
    isReady: async () => (await namespace.run(process.execPath, ['-e', ready])).code === 0,
    startChild: (...all) => namespace.start(...all),
  });
  server.url = url;
  server.secureUrl = `https://${PUBLIC}`;
  return server;
}

/** Whether something accepts TCP connections on a loopback port. */
export async function accepts(port) {
  const socket = connect(port, LOOPBACK);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** The environment of a newcomer: nothing of the reader's own configuration gets in. */
function environment(home) {
  const kept = Object.entries(process.env).filter(([name]) => !/^(JACKFIELD_|XDG_)/.test(name));
  return { ...Object.fromEntries(kept), HOME: home };
}

async function canListen(port) {
  const server = createServer();
  server.listen(port, LOOPBACK);
  try {
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

async function canBindUdp(port) {
  const socket = createSocket('udp4');
  socket.bind(port, LOOPBACK);
  try {
    await once(socket, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    socket.close();
  }
}
