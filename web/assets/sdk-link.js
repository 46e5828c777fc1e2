/**
 * The two ways to the server. Each link has `send(type, fields)`, `close()` and `leave()` (a close that reaches the server even
 * while the page goes away), and calls `onmessage(object)` and, once, `onclose()`.
 */

const OPEN_WITHIN_MS = 3000;
const POLL_WITHIN_MS = 5000;
/** Separates the packets of an Engine.IO payload. */
const SEPARATOR = "\x1e";

/** Keeps what comes before somebody listens. */
class Link {
  onclose = () => {};
  #early = [];
  #listener = null;

  set onmessage(listener) {
    this.#listener = listener;
    for (const message of this.#early.splice(0)) listener(message);
  }

  deliver(message) {
    if (this.#listener) this.#listener(message);
    else this.#early.push(message);
  }
}

/** A WebSocket to `/signal`: each message is a JSON object with its `type`. */
export class WebSocketLink extends Link {
  transport = "websocket";
  #socket;

  /** Resolves with an open link, or rejects when it does not open in time. */
  static open(base, timeout = OPEN_WITHIN_MS) {
    return new Promise((resolve, reject) => {
      const url = new URL("signal", base);
      url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
      const socket = new WebSocket(url);
      const late = setTimeout(() => socket.close(), timeout);
      socket.onopen = () => {
        clearTimeout(late);
        resolve(new WebSocketLink(socket));
      };
      socket.onclose = () => {
        clearTimeout(late);
        reject(new Error("no WebSocket gets through"));
      };
    });
  }

  constructor(socket) {
    super();
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.deliver(JSON.parse(data));
    socket.onclose = () => this.onclose();
  }

  send(type, fields) {
    this.#socket.send(JSON.stringify({ ...fields, type }));
  }

  close() {
    this.#socket.onclose = null;
    this.#socket.close();
    return Promise.resolve();
  }

  leave() {
    this.close();
  }
}

/** Engine.IO long-polling that carries Socket.IO packets: an event is named by the type and has one argument. */
export class PollingLink extends Link {
  transport = "polling";
  #url;
  #maxPayload = 1e6;
  #silenceMs = 45_000;
  #outbox = [];
  #sending = null;
  #abort = new AbortController();
  #closed = false;
  #onconnect = () => {};
  #failure = null;

  /** Resolves with a link whose Socket.IO handshake is done, or rejects when it is not in time. */
  static async open(base, timeout = POLL_WITHIN_MS) {
    const link = new PollingLink(new URL("socket.io/?EIO=4&transport=polling", base));
    const late = setTimeout(() => link.#end(false, new Error("polling gets no answer")), timeout);
    try {
      await link.#handshake();
    } catch (error) {
      link.#end(false, error);
      throw new Error(link.#failure?.message ?? error.message, { cause: error });
    } finally {
      clearTimeout(late);
    }
    return link;
  }

  constructor(url) {
    super();
    this.#url = url;
  }

  send(type, fields) {
    this.#post(`42${JSON.stringify([type, fields])}`);
  }

  async close() {
    this.#end(false);
    const bye = ["41", "1"].join(SEPARATOR);
    await fetch(this.#url, { method: "POST", body: bye }).catch(() => {});
  }

  leave() {
    const packets = [...this.#outbox, "41", "1"];
    this.#end(false);
    // A beacon is sent even while the page goes away.
    navigator.sendBeacon?.(this.#url, new Blob([packets.join(SEPARATOR)], { type: "text/plain;charset=UTF-8" }));
  }

  async #handshake() {
    const [packet, ...more] = await this.#get();
    if (packet?.[0] !== "0") throw new Error("not an Engine.IO server");
    const { sid, pingInterval, pingTimeout, maxPayload } = JSON.parse(packet.slice(1));
    this.#url.searchParams.set("sid", sid);
    this.#silenceMs = pingInterval + pingTimeout;
    this.#maxPayload = maxPayload ?? this.#maxPayload;
    const connected = new Promise((resolve, reject) => {
      this.#onconnect = (error) => (error ? reject(error) : resolve());
    });
    this.#post("40");
    this.#poll(more);
    await connected;
  }

  async #get() {
    const late = AbortSignal.timeout(this.#silenceMs);
    const signal = AbortSignal.any ? AbortSignal.any([late, this.#abort.signal]) : this.#abort.signal;
    const response = await fetch(this.#url, { cache: "no-store", signal }).catch((error) => {
      // Each browser words it differently, and none says more.
      throw error instanceof TypeError ? new Error("polling finds no server", { cause: error }) : error;
    });
    if (!response.ok) throw new Error(`polling answered ${response.status}`);
    return (await response.text()).split(SEPARATOR);
  }

  async #poll(packets) {
    try {
      for (const packet of packets) this.#receive(packet);
      while (!this.#closed) {
        for (const packet of await this.#get()) this.#receive(packet);
      }
    } catch (error) {
      this.#end(true, error);
    }
  }

  #receive(packet) {
    if (packet === "2") this.#post("3");
    else if (packet === "1" || packet.startsWith("41")) this.#end(true);
    else if (packet.startsWith("44")) this.#end(true, new Error("the server refused the connection"));
    else if (packet.startsWith("40")) this.#onconnect();
    else if (packet.startsWith("42")) {
      const [type, fields] = JSON.parse(packet.slice(2).replace(/^\d+/, ""));
      this.deliver({ ...fields, type });
    }
  }

  #post(packet) {
    if (this.#closed) return;
    this.#outbox.push(packet);
    this.#sending ??= this.#flush();
  }

  /** One POST at a time: the server takes no second one, and order matters. */
  async #flush() {
    // What is sent in one go travels in one request.
    await null;
    while (this.#outbox.length > 0 && !this.#closed) {
      const response = await fetch(this.#url, { method: "POST", body: this.#payload() }).catch(() => null);
      if (!response?.ok) return this.#end(true, new Error("a message did not reach the server"));
    }
    this.#sending = null;
  }

  #payload() {
    let body = this.#outbox.shift();
    // A character takes at most three bytes for each of its UTF-16 units.
    const fits = (next) => (body.length + 1 + next.length) * 3 <= this.#maxPayload;
    while (this.#outbox.length > 0 && fits(this.#outbox[0])) body += SEPARATOR + this.#outbox.shift();
    return body;
  }

  #end(tell, error) {
    if (this.#closed) return;
    this.#closed = true;
    this.#failure = error;
    this.#abort.abort();
    this.#onconnect(error ?? new Error("the connection was closed"));
    if (tell) this.onclose();
  }
}
