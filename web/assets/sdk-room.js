import { Emitter } from "./sdk-emitter.js";
import { Peer } from "./sdk-peer.js";

/** How long the call with somebody outlives their place in the room: time enough to reconnect to the server. */
const LINGER_MS = 15_000;
const ANSWER_WITHIN_MS = 10_000;
const AGAIN_MS = 2000;
const JOIN_WITHIN_MS = 20_000;
/** What is said before the page listens. */
const MOST_KEPT = 100;
const CALL_TYPES = ["video-offer", "video-answer", "new-ice-candidate", "hang-up"];

/**
 * A room one is in: the people, a call with each of them, and the chat.
 *
 * Events: `self` (one's own name is known or has changed), `peer` (somebody is there), `peer-left`, `message`
 * (`{ name, own, text, data }`), `access` (who may come in has changed: `{ access, user }`), `knock` and `knock-ended` (somebody
 * waits to be let in, or no longer: `{ name, id }`), `waiting` (we do, in milliseconds at most), `refused` (the server's `error`),
 * `left` (we did: nothing comes after it).
 *
 * A page may take its time between joining and listening: who listens for `peer` hears of everybody who is there already, and
 * the first who listens for `message` hears what was said in the meantime, if that is not much.
 */
export class Room extends Emitter {
  /** One's own `name` and `id` in this room. */
  self = null;
  /** The people, by their `id`. */
  peers = new Map();
  /** What is sent to everybody: `audio` and `video` tracks, or `null`. */
  media = { audio: null, video: null };
  /** What others are told of what is sent. */
  facts = { mic: false, cam: false, screen: false };
  iceServers = [];
  /** Who may come in: everybody (`open`), those who are let in (`knock`), or nobody new (`locked`). */
  access = "open";
  /** Those who wait to be let in, by their `id`. */
  waiting = new Map();
  /** Groups our tracks for the receiver. */
  outgoing = new MediaStream();
  #stops = [];
  #entering = null;
  #left = false;
  /** Those who are back on another connection: the server may list the dead one for a while. */
  #replaced = new Set();
  /** Whether we have asked to be let in and are not yet. */
  #asked = false;
  #late = null;
  #givingUp = null;
  #unheard = [];
  /** The ids that we have had here. */
  #own = new Set();
  /** By this we come back as who we were, into a room that is locked, too. */
  #session = null;

  constructor(client, name, { name: person, token, relay = false, within = JOIN_WITHIN_MS, signal, onwaiting } = {}) {
    super();
    this.client = client;
    this.name = name;
    this.wanted = person;
    this.token = token;
    this.relay = relay;
    this.within = within;
    this.cancelled = signal;
    this.onwaiting = onwaiting;
    const on = (event, listener) => this.#stops.push(client.on(event, listener));
    const here = (listener) => (message) => message.room === this.name && listener(message);
    on("joined", here((message) => this.#joined(message)));
    on("user-joined", here(({ user }) => this.#userJoined(user)));
    on("user-left", here(({ user }) => this.#userLeft(user)));
    on("userlist", here((list) => this.#listed(list)));
    on("user-renamed", here(({ user }) => this.peers.get(user.id)?.rename(user.name)));
    on("rejectusername", here(({ name }) => this.#named(name)));
    on("message", here((message) => this.#heard(message)));
    on("access", here((message) => this.#accessChanged(message)));
    on("waiting", here(({ timeout }) => this.#wait(timeout * 1000)));
    on("knock", here(({ user }) => this.#knocked(user)));
    on("knock-ended", here(({ user }) => this.#knockEnded(user)));
    for (const type of CALL_TYPES) on(type, here((message) => this.#call(message)));
    on("ice-servers", ({ iceServers }) => this.#refresh(iceServers));
    on("error", (error) => this.#refused(error));
    on("state", (state) => state === "open" && this.#ask());
    on("network", () => this.#eachPeer((peer) => peer.networkChanged()));
  }

  /** Whether the server can be reached at the moment. */
  get reachable() {
    return this.client.state === "open";
  }

  on(event, listener) {
    const stop = super.on(event, listener);
    // Later, as the caller may need what `on` returns.
    if (event === "peer") for (const peer of this.peers.values()) queueMicrotask(() => this.peers.get(peer.id) === peer && listener(peer));
    if (event === "message") {
      const unheard = this.#unheard ?? [];
      this.#unheard = null;
      for (const message of unheard) queueMicrotask(() => listener(message));
    }
    return stop;
  }

  /** Asks to be let in; resolves when we are, rejects when we are not within the time that was given. `Client.join` calls it. */
  enter() {
    return new Promise((resolve, reject) => {
      this.#entering = { resolve, reject };
      this.#givingUp = setTimeout(() => this.#give(this.client.unreachable(this.within)), this.within);
      if (this.cancelled?.aborted) return this.#give(this.cancelled.reason);
      this.cancelled?.addEventListener("abort", () => this.#entering && this.#give(this.cancelled.reason), { once: true });
      this.#ask();
    });
  }

  /** Uses relays only, or (the default) every path. Calls go on meanwhile. */
  setRelay(only) {
    if (this.relay === only) return;
    this.relay = only;
    this.#eachPeer((peer) => peer.choosePaths());
  }

  /** Sends chat text, or any JSON value as `data`, to everybody, or to the one called `target`. */
  send(text, { data, target } = {}) {
    const message = { ...(data === undefined ? { text } : { data }), ...(target && { target }) };
    const to = [...this.peers.values()].find(({ name, gone }) => name === target && !gone);
    if (this.client.send("message", { ...message, ...(to && { target: to.id }), room: this.name })) {
      if (target) this.#say({ ...message, name: this.self?.name, own: true });
      return;
    }
    // The server is out of reach; those we have a call with are not.
    this.#eachPeer((peer) => (!target || peer.name === target) && peer.tell({ t: "chat", ...message }));
    this.#say({ ...message, name: this.self?.name, own: true });
  }

  /** Sends the tracks of a stream, or of `{ audio, video }`; `screen` says that the video is a screen. */
  setMedia(media, { screen = false } = {}) {
    const tracks = media instanceof MediaStream
      ? { audio: media.getAudioTracks()[0] ?? null, video: media.getVideoTracks()[0] ?? null }
      : media;
    this.media = { ...this.media, ...tracks };
    this.announce({ cam: !!this.media.video && !screen, screen: !!this.media.video && screen });
    this.#eachPeer((peer) => peer.attach());
  }

  /** Tells everybody what is sent: `{ mic, cam, screen }`. */
  announce(facts = {}) {
    const mic = this.media.audio?.enabled ?? false;
    this.facts = { ...this.facts, mic, ...facts };
    this.#eachPeer((peer) => peer.tell({ t: "media", ...this.facts }));
  }

  /** Says who may come in: `open`, `knock` or `locked`. Everybody in the room may; the lock ends with the room. */
  setAccess(access) {
    this.client.send("access", { room: this.name, access });
  }

  /** Lets somebody in who waits. */
  admit({ id }) {
    this.client.send("admit", { room: this.name, target: id });
  }

  /** Sends somebody away who waits. */
  refuse({ id }) {
    this.client.send("refuse", { room: this.name, target: id });
  }

  /** Ends every call and leaves. */
  leave() {
    if (this.#left) return;
    this.#left = true;
    this.#eachPeer((peer) => peer.tell({ t: "bye" }));
    this.client.send("hang-up", { room: this.name });
    this.client.send("leave", { room: this.name });
    for (const stop of this.#stops) stop();
    for (const peer of this.peers.values()) peer.close();
    this.peers.clear();
    this.client.rooms.delete(this);
    this.emit("left");
  }

  /** Sends a message of a call. */
  signal(type, peer, fields) {
    const to = { target: peer.id, room: this.name };
    return this.client.send(type, { ...to, ...fields });
  }

  /** What a peer says over its data channel about the room rather than the call. */
  heardDirectly(peer, message) {
    if (message.t === "chat") this.#say({ text: message.text, data: message.data, name: peer.name });
    if (message.t === "bye") this.drop(peer);
  }

  drop(peer) {
    if (this.peers.get(peer.id) !== peer) return;
    this.peers.delete(peer.id);
    peer.close();
    this.emit("peer-left", peer);
  }

  #ask() {
    if (this.#left) return;
    const { name: room, wanted: name, token } = this;
    const session = this.#session;
    const asked = this.#asked = this.client.send("join", { room, session, ...(name && { name }), ...(token && { token }) });
    clearTimeout(this.#late);
    if (asked && this.#entering) {
      this.#late = setTimeout(() => this.#give(new Error("the server did not answer")), ANSWER_WITHIN_MS);
    }
  }

  #joined({ self, users, iceServers, session = null, ...door }) {
    this.#asked = false;
    this.#session = session;
    this.iceServers = iceServers;
    this.self = self;
    this.#own.add(self.id);
    this.wanted ??= self.name;
    this.emit("self", self);
    this.#seeDoor(door);
    const there = new Map(users.map((user) => [user.id, user]));
    // The server may not know yet that our earlier connections are gone.
    for (const id of [...this.#own, ...this.#replaced]) there.delete(id);
    for (const peer of [...this.peers.values()]) {
      const user = there.get(peer.id);
      if (user) peer.resume(user, { wasAway: true });
      else this.#linger(peer);
      there.delete(peer.id);
    }
    for (const user of there.values()) this.#meet(user, true);
    this.#give();
  }

  #give(error) {
    clearTimeout(this.#late);
    clearTimeout(this.#givingUp);
    const entering = this.#entering;
    this.#entering = null;
    if (error && entering) {
      this.#left = true;
      for (const stop of this.#stops) stop();
      // Our request may still be on its way.
      this.client.send("leave", { room: this.name });
      entering.reject(error);
    } else entering?.resolve(this);
  }

  /** We wait until somebody in the room lets us in: the server says when that is over. */
  #wait(longest) {
    clearTimeout(this.#late);
    if (this.#entering) {
      clearTimeout(this.#givingUp);
      this.#givingUp = setTimeout(() => this.#give(this.client.unreachable(longest)), longest + ANSWER_WITHIN_MS);
    }
    this.onwaiting?.(longest);
    this.emit("waiting", longest);
  }

  #accessChanged({ access, user }) {
    if (access === this.access) return;
    this.access = access;
    this.emit("access", { access, user });
  }

  #knocked(user) {
    this.waiting.set(user.id, user);
    this.emit("knock", user);
  }

  #knockEnded(user) {
    if (this.waiting.delete(user.id)) this.emit("knock-ended", user);
  }

  /** Takes who may come in and who waits; of a room that is open the server says nothing. */
  #seeDoor({ access = "open", waiting = [] }) {
    this.#accessChanged({ access });
    const there = new Set(waiting.map(({ id }) => id));
    for (const user of [...this.waiting.values()]) if (!there.has(user.id)) this.#knockEnded(user);
    for (const user of waiting) if (!this.waiting.has(user.id)) this.#knocked(user);
  }

  #refused(error) {
    if (error.room !== undefined && error.room !== this.name) return;
    if (error.re === "join" && error.code === "rate-limited" && this.#asked) {
      // Too many of our network joined of late.
      clearTimeout(this.#late);
      this.#late = setTimeout(() => this.#asked && this.#ask(), AGAIN_MS * (1 + Math.random()));
    } else if (error.re === "join" && this.#entering) {
      this.#give(Object.assign(new Error(error.message), { code: error.code }));
    } else this.emit("refused", error);
  }

  #userJoined(user) {
    if (this.#own.has(user.id)) return;
    this.#meet(user, false);
  }

  /** The one who came later offers first. */
  #meet(user, offers) {
    const earlier = [...this.peers.values()].find(({ gone, name }) => gone && name === user.name);
    if (earlier) {
      this.#welcomeBack(earlier, user);
      earlier.resume(user, { wasAway: offers });
      return;
    }
    const peer = new Peer(this, user, { wasHere: offers });
    this.peers.set(user.id, peer);
    this.emit("peer", peer);
    peer.begin(offers);
  }

  /** Somebody is back on a new connection to the server, and the call with them never ended. */
  #welcomeBack(peer, user) {
    clearTimeout(peer.lingering);
    peer.gone = false;
    this.#replaced.add(peer.id);
    this.#replaced.delete(user.id);
    this.peers.delete(peer.id);
    peer.become(user);
    this.peers.set(user.id, peer);
  }

  #userLeft(user) {
    this.#replaced.delete(user.id);
    const peer = this.peers.get(user.id);
    if (peer) this.#linger(peer);
    // The name we asked for may be free now: it was held by our own earlier connection.
    if (user.name === this.wanted && this.self && this.self.name !== this.wanted) {
      this.client.send("username", { name: this.wanted });
      this.#named(this.wanted);
    }
  }

  /** A call that works goes on for a while: perhaps only the way to the server is lost. */
  #linger(peer) {
    if (peer.state !== "connected") return this.drop(peer);
    peer.gone = true;
    peer.lingering = setTimeout(() => peer.gone && this.drop(peer), LINGER_MS);
    peer.on("state", (state) => peer.gone && state !== "connected" && this.drop(peer));
  }

  /** Takes who is there; we may have missed who came and who left. */
  #listed({ users, ...door }) {
    if (!this.self) return;
    this.#seeDoor(door);
    const there = new Map(users.map((user) => [user.id, user]));
    for (const id of [...this.#own, ...this.#replaced]) there.delete(id);
    for (const peer of [...this.peers.values()]) {
      const user = there.get(peer.id);
      if (user) peer.become(user);
      else if (!peer.gone) this.#linger(peer);
      there.delete(peer.id);
    }
    for (const user of there.values()) this.#meet(user, user.polite);
  }

  #named(name) {
    if (!this.self) return;
    this.self = { ...this.self, name };
    this.emit("self", this.self);
  }

  #heard(message) {
    if (message.type === "message") this.#say({ ...message, own: this.#own.has(message.id) });
  }

  #say({ name, own = false, text, data }) {
    const message = { name, own, text, data };
    if (!this.#unheard) return this.emit("message", message);
    if (this.#unheard.length < MOST_KEPT) this.#unheard.push(message);
  }

  #call(message) {
    let peer = this.peers.get(message.id);
    if (peer?.gone) peer = undefined;
    const earlier = [...this.peers.values()].find((other) => other !== peer && other.remote && other.remote === message.from);
    if (peer && earlier && message.type === "video-offer") {
      // Back under another name: the old one was not free yet, and perhaps the server has not noticed that it is dead.
      const { id, name, polite } = peer;
      this.drop(peer);
      this.#welcomeBack(earlier, { id, name, polite });
      peer = earlier;
    }
    peer?.handle(message);
  }

  #refresh(iceServers) {
    this.iceServers = iceServers;
    this.#eachPeer((peer) => peer.refresh());
  }

  #eachPeer(visit) {
    for (const peer of this.peers.values()) visit(peer);
  }
}
