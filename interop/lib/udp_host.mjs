// UDP sockets inside a namespace, held by a process there that this module starts (`new UdpHost`) and is (run by itself).

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { within } from './wait.mjs';

const SELF = fileURLToPath(import.meta.url);

/** A process in a namespace that opens UDP sockets there, sends, and tells what they receive. */
export class UdpHost {
  #child;
  #waiting = new Map();
  #next = 0;

  constructor(namespace) {
    this.#child = namespace.start(process.execPath, [SELF], { stdin: 'pipe', onLine: (line) => this.#answer(line) });
  }

  /** Opens a socket, on a port of the system's choice unless one is given. */
  async open(address = '0.0.0.0', port = 0) {
    const { socket, port: bound } = await this.#ask({ op: 'open', address, port });
    return {
      port: bound,
      /** Sends a datagram to an endpoint written as `address:port`. */
      send: (to, text) => this.#ask({ op: 'send', socket, to, text }),
      /** Resolves with the oldest datagram that was not asked for before: `{ text, from }`. */
      next: () => this.#ask({ op: 'next', socket }),
    };
  }

  /** Ends the process and with it the sockets. */
  stop() {
    return this.#child.stop();
  }

  #ask(order) {
    const id = this.#next++;
    const answered = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#child.process.stdin.write(`${JSON.stringify({ id, ...order })}\n`);
    return within(answered, `an answer to ${JSON.stringify(order)}\n${this.#child.output}`);
  }

  #answer(line) {
    const { id, result, error } = JSON.parse(line);
    const { resolve, reject } = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) reject(new Error(error));
    else resolve(result);
  }
}

/** The process's part: orders in, answers out, a line of JSON each. */
async function obey() {
  const sockets = [];
  const ops = {
    async open({ address, port }) {
      const socket = createSocket('udp4');
      const state = { socket, received: [], wanted: [] };
      socket.on('message', (bytes, { address: from, port: fromPort }) => {
        state.received.push({ text: bytes.toString(), from: `${from}:${fromPort}` });
        deliver(state);
      });
      socket.bind(port, address);
      await once(socket, 'listening');
      return { socket: sockets.push(state) - 1, port: socket.address().port };
    },
    send({ socket, to, text }) {
      const [address, port] = to.split(':');
      return new Promise((resolve, reject) => {
        sockets[socket].socket.send(text, Number(port), address, (error) => (error ? reject(error) : resolve(true)));
      });
    },
    next({ socket }) {
      return new Promise((resolve) => {
        sockets[socket].wanted.push(resolve);
        deliver(sockets[socket]);
      });
    },
  };
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, op, ...rest } = JSON.parse(line);
    Promise.resolve(ops[op](rest)).then(
      (result) => console.log(JSON.stringify({ id, result })),
      (error) => console.log(JSON.stringify({ id, error: error.message })),
    );
  }
}

function deliver({ received, wanted }) {
  while (received.length > 0 && wanted.length > 0) wanted.shift()(received.shift());
}

if (process.argv[1] === SELF) await obey();
