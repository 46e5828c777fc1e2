import { Sha256 } from "./sdk-sha256.js";

/** The protocol of a data channel that carries files: what `jackfield send` and `jackfield receive` speak. */
export const FILES_PROTOCOL = "jackfield.files";

const VERSION = 1;
const CHUNK = 16 * 1024;
/** Bytes on the way without an acknowledgement. */
const WINDOW = 16 * 2 ** 20;
const ACK_EVERY = 2 ** 20;
const MOST_ENTRIES = 100_000;
/** Files that a receiver may ask for before the first of them is sent. */
const MOST_REQUESTED = 32;
/**
 * Bytes that may wait for us: what is on the way without an acknowledgement, and control messages. A browser takes what comes however slow
 * the disk is, so this is what bounds the memory of the page.
 */
const MOST_WAITING = WINDOW + 2 * 2 ** 20;
/** Bytes that a message takes beside its content. */
const MESSAGE_BYTES = 128;
/** Above this the channel is left to drain before it gets more. */
const BUFFERED = 2 ** 20;
const HASHED_AT_ONCE = 4 * 2 ** 20;

/** The messages of a channel, one after the other. */
class Inbox {
  #messages = [];
  #waiting = 0;
  #wake = () => {};
  #ended = false;
  #flooded = false;

  constructor(channel) {
    channel.binaryType = "arraybuffer";
    channel.addEventListener("message", ({ data }) => {
      if (this.#flooded) return;
      this.#waiting += sizeOf(data);
      this.#messages.push(data);
      if (this.#waiting > MOST_WAITING) {
        this.#flooded = true;
        this.#messages = [];
        say(channel, { t: "refuse", reason: "protocol" });
        channel.close();
      }
      this.#wake();
    });
    channel.addEventListener("close", () => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** Returns the next message, if it is there. */
  take() {
    if (this.#flooded) throw new Refused("protocol");
    const data = this.#messages.shift();
    if (data !== undefined) this.#waiting -= sizeOf(data);
    return data;
  }

  async next() {
    for (;;) {
      const data = this.take();
      if (data !== undefined) return data;
      if (this.#ended) throw new Interrupted();
      await new Promise((resolve) => (this.#wake = resolve));
    }
  }
}

const sizeOf = (data) => MESSAGE_BYTES + (typeof data === "string" ? 2 * data.length : data.byteLength);

/** The channel ended; the transfer goes on over the next one. */
export class Interrupted extends Error {
  name = "Interrupted";
  message = "the connection was interrupted";
}

/** The other end refused, for good; `reason` is its word for it. */
export class Refused extends Error {
  name = "Refused";

  constructor(reason, path) {
    super(path ? `${reason}: ${path}` : reason);
    this.reason = reason;
  }
}

const say = (channel, message) => channel.readyState === "open" && channel.send(JSON.stringify(message));

function read(data) {
  if (typeof data !== "string") throw new Refused("protocol");
  const message = JSON.parse(data);
  if (message?.t === "refuse") throw new Refused(message.reason, message.path);
  return message;
}

/**
 * Sends `files` (of an `<input type="file">` or a drop) over a channel; resolves when the other end has all of them, checked. `onprogress`
 * is called with the bytes that are there.
 */
export async function sendFiles(channel, files, { onprogress = () => {} } = {}) {
  const inbox = new Inbox(channel);
  await opened(channel);
  const entries = [...files].map((file) => ({ path: file.webkitRelativePath || file.name, size: file.size, mtime: file.lastModified }));
  const bytes = entries.reduce((sum, { size }) => sum + size, 0);
  say(channel, { t: "offer", version: VERSION, entries: entries.length, bytes });
  for (let at = 0; at < entries.length; at += 20) say(channel, { t: "entries", entries: entries.slice(at, at + 20) });
  const state = { sent: 0, acked: 0, kept: 0, requests: [], finished: false };
  const hear = (data) => {
    const message = read(data);
    if (message.t === "get") {
      if (state.requests.length >= MOST_REQUESTED) throw new Refused("protocol");
      state.requests.push(message);
    } else if (message.t === "ack") state.acked = message.bytes;
    else if (message.t === "finished") state.finished = true;
    onprogress(state.kept + state.acked, bytes);
  };
  while (!state.finished) {
    const request = state.requests.shift();
    if (request) await serve(channel, inbox, files[request.file], request, state, hear);
    else hear(await inbox.next());
  }
  say(channel, { t: "bye" });
}

async function serve(channel, inbox, file, { file: index, offset, prefix }, state, hear) {
  let hash = new Sha256();
  for (let at = 0; at < offset; at += HASHED_AT_ONCE) hash.update(await bytesOf(file, at, Math.min(offset, at + HASHED_AT_ONCE)));
  if (hash.hex() !== prefix) [hash, offset] = [new Sha256(), 0];
  state.kept += offset;
  say(channel, { t: "file", file: index, offset });
  for (let at = offset; at < file.size; ) {
    const part = await bytesOf(file, at, Math.min(file.size, at + 2 ** 20));
    for (let inside = 0; inside < part.length; inside += CHUNK) {
      for (let message = inbox.take(); message !== undefined; message = inbox.take()) hear(message);
      while (state.sent - state.acked >= WINDOW) hear(await inbox.next());
      await drained(channel);
      const chunk = part.subarray(inside, inside + CHUNK);
      channel.send(chunk);
      state.sent += chunk.length;
    }
    hash.update(part);
    at += part.length;
  }
  say(channel, { t: "done", file: index, sha256: hash.hex() });
}

async function bytesOf(file, from, to) {
  return new Uint8Array(await file.slice(from, to).arrayBuffer());
}

async function opened(channel) {
  if (channel.readyState === "connecting") await new Promise((resolve) => channel.addEventListener("open", resolve, { once: true }));
}

async function drained(channel) {
  if (channel.readyState !== "open") throw new Interrupted();
  if (channel.bufferedAmount <= BUFFERED) return;
  channel.bufferedAmountLowThreshold = BUFFERED / 2;
  await new Promise((resolve) => {
    channel.addEventListener("bufferedamountlow", resolve, { once: true });
    channel.addEventListener("close", resolve, { once: true });
  });
}

/**
 * What one sender sends, over one channel after the other: what has arrived is not asked for again.
 *
 * `decide(offer)` is asked once, with `{ entries, bytes }`, and resolves with a function that makes a place for an entry, or with `null`
 * to decline. A place has `write(bytes)`, `clear()`, which empties it, and `close()`.
 */
export class FileReceiver {
  /** The checksums of the files that are there, by their paths. */
  checksums = new Map();
  #decide;
  #onprogress;
  #place = null;
  #offer = null;
  #kept = new Map();
  #there = 0;

  constructor({ decide, onprogress = () => {} }) {
    this.#decide = decide;
    this.#onprogress = onprogress;
  }

  /** Receives over a channel; resolves when everything is there, checked. */
  async receive(channel) {
    const inbox = new Inbox(channel);
    try {
      await this.#receive(channel, inbox);
    } catch (error) {
      if (!(error instanceof Interrupted || error instanceof Refused)) say(channel, { t: "refuse", reason: "disk-error" });
      throw error;
    }
  }

  async #receive(channel, inbox) {
    const offer = await takeOffer(inbox);
    const same = JSON.stringify(offer) === JSON.stringify(this.#offer);
    if (!same) {
      this.#place = await this.#decide(offer);
      this.#offer = offer;
    }
    if (!this.#place) {
      say(channel, { t: "refuse", reason: "declined" });
      throw new Refused("declined");
    }
    say(channel, { t: "accept" });
    const progress = { taken: 0, acked: 0 };
    for (const [index, entry] of offer.entries.entries()) {
      if (!entry.folder && !this.checksums.has(entry.path)) await this.#file(channel, inbox, index, entry, progress);
    }
    say(channel, { t: "finished" });
  }

  async #file(channel, inbox, index, entry, progress) {
    const kept = this.#kept.get(entry.path) ?? { place: await this.#place(entry), hash: new Sha256(), size: 0 };
    this.#kept.set(entry.path, kept);
    for (let tries = 0; tries < 2; tries += 1) {
      say(channel, { t: "get", file: index, offset: kept.size, prefix: kept.hash.hex() });
      const { t, offset } = read(await inbox.next());
      if (t !== "file" || (offset !== 0 && offset !== kept.size)) throw new Refused("protocol");
      if (offset !== kept.size) await this.#clear(kept);
      const sha256 = await this.#content(channel, inbox, entry, kept, progress);
      if (sha256 === kept.hash.hex()) {
        await kept.place.close();
        this.#kept.delete(entry.path);
        this.checksums.set(entry.path, sha256);
        return;
      }
      await this.#clear(kept);
    }
    say(channel, { t: "refuse", reason: "checksum", path: entry.path });
    throw new Refused("checksum", entry.path);
  }

  async #content(channel, inbox, entry, kept, progress) {
    for (;;) {
      const data = await inbox.next();
      if (typeof data === "string") {
        const { t, sha256 } = read(data);
        if (t !== "done" || kept.size !== entry.size) throw new Refused("protocol");
        return sha256;
      }
      const bytes = new Uint8Array(data);
      if (kept.size + bytes.length > entry.size) throw new Refused("protocol");
      await kept.place.write(bytes);
      kept.hash.update(bytes);
      kept.size += bytes.length;
      this.#there += bytes.length;
      progress.taken += bytes.length;
      if (progress.taken - progress.acked >= ACK_EVERY || kept.size === entry.size) {
        progress.acked = progress.taken;
        say(channel, { t: "ack", bytes: progress.taken });
        this.#onprogress(this.#there, this.#offer.bytes);
      }
    }
  }

  async #clear(kept) {
    await kept.place.clear();
    this.#there -= kept.size;
    kept.size = 0;
    kept.hash = new Sha256();
  }
}

async function takeOffer(inbox) {
  const { t, version, entries: count, bytes } = read(await inbox.next());
  if (t !== "offer" || version !== VERSION) throw new Refused("version");
  if (!(count <= MOST_ENTRIES)) throw new Refused("too-many");
  const entries = [];
  while (entries.length < count) {
    const message = read(await inbox.next());
    if (message.t !== "entries" || message.entries.length === 0) throw new Refused("protocol");
    entries.push(...message.entries);
  }
  return { entries, bytes };
}
