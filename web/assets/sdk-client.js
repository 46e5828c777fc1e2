import { Emitter } from "./sdk-emitter.js";
import { PollingLink, WebSocketLink } from "./sdk-link.js";
import { Room } from "./sdk-room.js";

const CONNECT_WITHIN_MS = 20_000;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;
/** How long a silent connection may stay silent when it is asked something. */
const ANSWER_WITHIN_MS = 3000;
const ASK_AFTER_SILENCE_MS = 25_000;
const WEBSOCKET_AGAIN_MS = 30_000;

/**
 * Connects to the server at `url` (by default the one this module came from) and resolves with a `Client` once it is open. It
 * tries again and again for `within` milliseconds (default 20,000), and then rejects with the reason.
 *
 * Options: `within`; `transports` (default `["websocket", "polling"]`, tried in this order).
 */
export async function connect(url, { within = CONNECT_WITHIN_MS, ...options } = {}) {
  const client = new Client(url, options);
  try {
    await client.opened({ within });
  } catch (error) {
    client.close();
    throw error;
  }
  return client;
}

/**
 * The connection to the server. It opens by itself, and again whenever it is lost.
 *
 * Events: `state` (`"connecting"`, `"open"`, `"closed"`); `retry` (`{ attempt, after, error }`: it did not open, and is tried again
 * after so many milliseconds); each object that the server sends, under its `type` and under `*`; `network` when the machine's
 * network may have changed.
 */
export class Client extends Emitter {
  state = "connecting";
  /** `"websocket"` or `"polling"`; `null` while there is no connection. */
  transport = null;
  /** The number the server gave this connection. */
  id = null;
  rooms = new Set();
  /** Why it did not open when it was last tried, an `Error`; `null` once it is open. */
  trouble = null;
  #base;
  #transports;
  #link = null;
  #attempt = 0;
  #asking = false;
  #timers = {};
  #stop = new AbortController();

  constructor(url, { transports = ["websocket", "polling"] } = {}) {
    super();
    this.#base = url ? new URL(url, location.href) : new URL("../", import.meta.url);
    this.#transports = transports;
    this.#watchNetwork();
    this.#open();
  }

  /** Resolves when the connection is open; rejects when it is not within so many milliseconds, by default never. */
  async opened({ within = Infinity } = {}) {
    let timer;
    const late = new Promise((_, reject) => {
      if (within !== Infinity) timer = setTimeout(() => reject(this.unreachable(within)), within);
    });
    try {
      while (this.state !== "open") {
        if (this.state === "closed") throw new Error("the client is closed");
        await Promise.race([this.next("state"), late]);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Returns the error of whoever has waited for so many milliseconds in vain. */
  unreachable(within) {
    const seconds = Math.round(within / 1000);
    const why = this.state === "open" ? "it does not answer" : this.trouble?.message ?? "nothing answers";
    const error = new Error(`the server could not be reached within ${seconds} s: ${why}`, { cause: this.trouble });
    return Object.assign(error, { code: "unreachable" });
  }

  /** Sends a message of the vocabulary; returns whether there was a connection to send it on. */
  send(type, fields = {}) {
    if (this.state !== "open") return false;
    try {
      this.#link.send(type, fields);
      return true;
    } catch {
      this.#lost();
      return false;
    }
  }

  /**
   * Joins a room and resolves with the `Room`.
   *
   * Options: `name`; `token` for servers that ask for one; `relay: true` to use relays only; `within`, after how many
   * milliseconds to give up (default 20,000); `signal`, an `AbortSignal` that gives up earlier; `onwaiting`, called when somebody
   * in the room has to let us in, with the milliseconds that this takes at most: `within` counts no longer then.
   */
  async join(name, options = {}) {
    const room = new Room(this, name, options);
    this.rooms.add(room);
    try {
      await room.enter();
    } catch (error) {
      this.rooms.delete(room);
      throw error;
    }
    return room;
  }

  /** Asks the server for a sign of life, and connects anew when none comes. Something has gone dead, perhaps this as well. */
  check() {
    if (this.state === "open" && !this.#asking) this.#ask();
  }

  /** Leaves every room and closes for good. */
  close() {
    if (this.state === "closed") return;
    for (const room of [...this.rooms]) room.leave();
    this.#stop.abort();
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.#link?.leave();
    this.#link = null;
    this.#become("closed");
  }

  async #open() {
    this.#become("connecting");
    try {
      this.#use(await this.#firstThatOpens());
    } catch (error) {
      this.#retry(error);
    }
  }

  async #firstThatOpens() {
    const failures = [];
    for (const transport of this.#transports) {
      try {
        return await (transport === "websocket" ? WebSocketLink : PollingLink).open(this.#base);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length === 0) throw new Error("no transport is allowed");
    throw new Error(failures.map(({ message }) => message).join(", "), { cause: failures.at(-1) });
  }

  #use(link) {
    if (this.state === "closed") return link.leave();
    this.#link = link;
    this.transport = link.transport;
    this.trouble = null;
    link.onmessage = (message) => this.#receive(message);
    link.onclose = () => this.#lost(link);
    this.#heard();
    if (link.transport === "polling" && this.#transports.includes("websocket")) this.#tryWebSocketLater();
    this.#become("open");
  }

  #receive(message) {
    this.#heard();
    if (message.type === "id") {
      this.id = message.id;
      this.#attempt = 0;
    }
    this.emit("*", message);
    this.emit(message.type, message);
  }

  #lost(link = this.#link) {
    if (link !== this.#link || this.state === "closed") return;
    this.#drop();
    this.#retry(new Error("the connection was lost"));
  }

  #drop() {
    const link = this.#link;
    this.#link = null;
    this.#asking = false;
    this.transport = null;
    clearTimeout(this.#timers.silence);
    clearTimeout(this.#timers.websocket);
    return link?.close();
  }

  #retry(error) {
    if (this.state === "closed") return;
    this.trouble = error;
    this.#become("connecting");
    const longest = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#attempt++);
    // Spread, so that a server that comes back is not met by everybody at once.
    const after = longest * (0.5 + Math.random() / 2);
    this.#timers.retry = setTimeout(() => this.#retryNow(), after);
    this.emit("retry", { attempt: this.#attempt, after, error });
  }

  #retryNow() {
    clearTimeout(this.#timers.retry);
    delete this.#timers.retry;
    this.#open();
  }

  /** A WebSocket that opens while we poll takes over; the rooms are joined again on it. */
  #tryWebSocketLater(after = WEBSOCKET_AGAIN_MS) {
    this.#timers.websocket = setTimeout(async () => {
      const polling = this.#link;
      const link = await WebSocketLink.open(this.#base).catch(() => null);
      if (this.#link !== polling || this.state !== "open") return link?.close();
      if (!link) return this.#tryWebSocketLater(after * 2);
      this.#become("connecting");
      // The old connection ends first, so that our names are free again.
      await this.#drop();
      this.#use(link);
    }, after);
  }

  /** A connection that is silent for long is asked something: any answer will do. */
  #heard() {
    this.#asking = false;
    clearTimeout(this.#timers.silence);
    this.#timers.silence = setTimeout(() => this.#ask(), ASK_AFTER_SILENCE_MS);
  }

  #ask() {
    const link = this.#link;
    if (!this.send("userlist", this.rooms.size > 0 ? { room: [...this.rooms][0].name } : {})) return;
    this.#asking = true;
    clearTimeout(this.#timers.silence);
    this.#timers.silence = setTimeout(() => this.#lost(link), ANSWER_WITHIN_MS);
  }

  #watchNetwork() {
    const { signal } = this.#stop;
    const changed = () => {
      if (this.state === "open") this.check();
      else if (this.#timers.retry) {
        this.#attempt = 0;
        this.#retryNow();
      }
      this.emit("network");
    };
    addEventListener("online", changed, { signal });
    // The event also tells of every new estimate of the speed; only another kind of network is another network.
    const { connection } = navigator;
    let kind = connection?.type;
    const compare = () => kind !== connection.type && ((kind = connection.type), changed());
    connection?.addEventListener?.("change", compare, { signal });
    addEventListener("pagehide", () => this.close(), { signal });
  }

  #become(state) {
    if (this.state === state && state !== "open") return;
    this.state = state;
    this.emit("state", state);
  }
}
