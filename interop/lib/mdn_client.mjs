// A client that does what MDN's `webrtc-from-chat` page does, on the W3C WebSocket of npm's `websocket`.

import websocket from 'websocket';

import { until, within } from './wait.mjs';

/** One user of the chat. */
export class MdnClient {
  /** The messages that came and that nobody has asked for yet, in their order. */
  received = [];

  /** Connects to `url`, and waits for the id that the server sends first. */
  static async connect(url, protocols = ['json']) {
    const client = new MdnClient(url, protocols);
    await within(client.opened, `a connection to ${url}`);
    const { id } = await client.next('id');
    client.id = id;
    return client;
  }

  constructor(url, protocols) {
    this.socket = new websocket.w3cwebsocket(url, protocols);
    this.opened = new Promise((resolve, reject) => {
      this.socket.onopen = resolve;
      this.socket.onerror = () => reject(new Error(`no connection to ${url}`));
    });
    this.closed = new Promise((resolve) => {
      this.socket.onclose = resolve;
    });
    this.socket.onmessage = ({ data }) => this.received.push({ ...JSON.parse(data), raw: data });
  }

  /** Sends a message, as JSON. */
  send(message) {
    this.socket.send(JSON.stringify(message));
  }

  /** Takes a name, and resolves with the one that the server gave. */
  async register(name) {
    this.send({ name, date: Date.now(), id: this.id, type: 'username' });
    const answer = await this.first((message) => ['rejectusername', 'userlist'].includes(message.type));
    this.name = answer.type === 'rejectusername' ? answer.name : name;
    if (answer.type === 'rejectusername') await this.next('userlist');
    return this.name;
  }

  /** Takes the next message of a type out of those received, with all before it. */
  next(type) {
    return this.first((message) => message.type === type);
  }

  /** Takes the first message that a condition holds for out of those received, with all before it. */
  first(condition) {
    return until(() => {
      const index = this.received.findIndex(condition);
      return index >= 0 && this.received.splice(0, index + 1).pop();
    }, `a message; there are ${JSON.stringify(this.received)}`, { every: 5 });
  }

  /** Hangs up on the server. */
  async close() {
    this.socket.close();
    await within(this.closed, 'the connection to close');
  }
}
