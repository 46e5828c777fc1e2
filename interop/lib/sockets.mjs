// Stock socket.io-client, with what the suites do with it again and again.

import { io } from 'socket.io-client';

import { event, within } from './wait.mjs';

/** The ways to begin, by the `transports` option of the client. */
export const TRANSPORTS = Object.freeze({
  'polling, then an upgrade': ['polling', 'websocket'],
  'WebSocket only': ['websocket'],
  'polling only': ['polling'],
});

/** The clients of one test, each with a connection of its own. */
export class Clients {
  #sockets = [];

  /** Connects and resolves with the socket; rejects with the server's error if it refuses. */
  async connect(url, options = {}) {
    const socket = this.open(url, options);
    const refused = new Promise((_, reject) => socket.once('connect_error', reject));
    const connected = new Promise((resolve) => socket.once('connect', resolve));
    await within(Promise.race([connected, refused]), `a connection to ${url}`);
    return socket;
  }

  /** Begins to connect. Listeners added before the caller awaits anything see every event. */
  open(url, options = {}) {
    const socket = io(url, { forceNew: true, ...options });
    this.#sockets.push(socket);
    return socket;
  }

  /** Closes every connection. */
  close() {
    for (const socket of this.#sockets) socket.disconnect();
    this.#sockets = [];
  }
}

/** The name of the transport that a socket uses. */
export function transportOf(socket) {
  return socket.io.engine.transport.name;
}

/** Resolves when a socket that began with polling uses WebSocket. */
export async function upgraded(socket) {
  if (transportOf(socket) !== 'websocket') await event(socket.io.engine, 'upgrade');
}
