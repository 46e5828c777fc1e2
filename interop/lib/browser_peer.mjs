// A WebRTC peer in a page, with the same orders as those in processes of their own.

import { createServer } from 'node:http';
import { once } from 'node:events';

import { Browser } from './browser.mjs';

/** What runs in the page: a peer connection, its own channel `ours`, and an echo for the other side's channels. */
function install({ media, iceServers }) {
  const connection = new RTCPeerConnection({ iceServers });
  if (media) {
    connection.addTransceiver('audio');
    connection.addTransceiver('video');
  }
  const once = (target, name) => new Promise((resolve) => target.addEventListener(name, resolve, { once: true }));
  const open = () => {
    globalThis.ours = connection.createDataChannel('ours');
    globalThis.ours.binaryType = 'arraybuffer';
    globalThis.opened = once(globalThis.ours, 'open');
  };
  const gathered = async () => {
    while (connection.iceGatheringState !== 'complete') await once(connection, 'icegatheringstatechange');
    return connection.localDescription.sdp;
  };
  globalThis.ended = new Promise((resolve) => {
    connection.addEventListener('datachannel', ({ channel }) => {
      channel.binaryType = 'arraybuffer';
      channel.onmessage = ({ data }) => channel.send(data);
      channel.onclose = resolve;
    });
  });
  const equal = (one, other) => {
    if (typeof one === 'string' || typeof other === 'string') return one === other;
    const [left, right] = [new Uint8Array(one), new Uint8Array(other)];
    return left.length === right.length && left.every((byte, index) => byte === right[index]);
  };
  globalThis.orders = {
    async offer() {
      open();
      await connection.setLocalDescription();
      return gathered();
    },
    async answer(sdp) {
      open();
      await connection.setRemoteDescription({ type: 'offer', sdp });
      await connection.setLocalDescription();
      return gathered();
    },
    accept: (sdp) => connection.setRemoteDescription({ type: 'answer', sdp }),
    async exchange(sizes) {
      await globalThis.opened;
      for (const size of sizes) {
        const bytes = Uint8Array.from({ length: size }, (_, index) => index % 251);
        for (const message of ['ä'.repeat(size / 2), bytes.buffer]) {
          const echo = once(globalThis.ours, 'message');
          globalThis.ours.send(message);
          if (!equal((await echo).data, message)) throw new Error(`a message of ${size} bytes came back as another`);
        }
      }
    },
    async close() {
      const closed = once(globalThis.ours, 'close');
      globalThis.ours.close();
      await closed;
    },
    closed: () => globalThis.ended.then(() => null),
    stats: async () => ({ state: connection.connectionState }),
  };
}

export class BrowserPeer {
  #browser;
  #page;
  #server;

  /**
   * Starts a browser, `chromium` or `firefox`; with `media` its offers have audio and video as well. In a `namespace` it opens
   * `url`, the page of a server that it can reach there.
   */
  static async start({ kind, media = false, namespace, url, iceServers = [] }) {
    const peer = new BrowserPeer();
    try {
      peer.#browser = await Browser.start({ kind, namespace });
      peer.#page = await peer.#browser.open(url ?? (await peer.#serve()));
      await peer.#page.evaluate(install, { media, iceServers });
    } catch (error) {
      await peer.stop();
      throw error;
    }
    return peer;
  }

  offer = () => this.#order('offer');
  answer = (sdp) => this.#order('answer', sdp);
  accept = (sdp) => this.#order('accept', sdp);
  exchange = (sizes) => this.#order('exchange', sizes);
  close = () => this.#order('close');
  closed = () => this.#order('closed');

  async stop() {
    await this.#browser?.stop();
    this.#server?.close();
  }

  /** A page of no server has no secure context in Firefox, and no network to gather on. */
  async #serve() {
    this.#server = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html><title>peer</title>'));
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${this.#server.address().port}/`;
  }

  #order(name, argument) {
    return this.#page.evaluate(async ([name, argument]) => (await globalThis.orders[name](argument)) ?? null, [name, argument]);
  }
}
