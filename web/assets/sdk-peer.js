import { Emitter } from "./sdk-emitter.js";
import { Negotiation } from "./sdk-negotiation.js";
import { bitrate, readPath, worseOf } from "./sdk-path.js";

const READ_EVERY_MS = 1000;
/** After such a silence a byte is asked for, and the path read more often. */
const QUIET_MS = 800;
const READ_QUIET_EVERY_MS = 250;
/** After such a silence the path is taken for dead. */
const SILENT_MS = 2000;
/** How long to wait for the other end's word on its relay before its candidates alone decide. */
const WORD_WITHIN_MS = 4000;
/** Who came earlier waits this long for the newcomer's offer. */
const OFFER_WITHIN_MS = 6000;
/** From one attempt to mend the connection to the next; each takes that much longer than the one before. */
const MEND_WITHIN_MS = 3000;
/** The polite end leaves the first attempt to the other: two restarts that cross cost a round trip. */
const LEAVE_FIRST_MS = 3000;
/** After so many fruitless ICE restarts the connection is made anew. */
const RESTARTS = 2;
/** How long after a silence a connection still counts as troubled. */
const TROUBLED_MS = 10_000;
/** How long a restart may take before a connection that was there counts as gone; Firefox says "connecting" meanwhile. */
const RESTART_WITHIN_MS = 5000;
/** How long after a relay was chosen a better path is looked for, first and at most; the time doubles in between. */
const SEEK_FIRST_MS = 5000;
const SEEK_LAST_MS = 300_000;

/**
 * One other person in a room, and the call with them.
 *
 * Events: `state` (an `RTCPeerConnectionState`), `path` (`"direct"`, `"relay-udp"`, `"relay-tcp"`, `"relay-tls"`, or `null` while it is
 * not known), `stats`, `media` (`{ mic, cam, screen }`), `name`, `stream`, `channel` (an `RTCDataChannel` that they opened), `error`.
 */
export class Peer extends Emitter {
  state = "new";
  path = null;
  /** `{ rtt, bitrateIn, bitrateOut, local, remote, protocol }`: seconds, bits a second, candidate types. */
  stats = {};
  media = { mic: true, cam: true, screen: false };
  /** What they send. */
  stream = new MediaStream();
  gone = false;
  /** Whether they were in the room before us. */
  wasHere;
  #room;
  #pc = null;
  #negotiation = null;
  /** The transceivers that carry what the room sends: one of audio, one of video. */
  #sections = {};
  #channel = null;
  #restarts = 0;
  #timers = {};
  #said = undefined;
  #heard = undefined;
  #connectedAt = 0;
  #reading = null;
  #silent = false;
  #suspected = false;
  /** When we last heard that nothing comes. */
  #quietAt = -Infinity;
  #seekAfter = SEEK_FIRST_MS;

  constructor(room, user, { wasHere = false } = {}) {
    super();
    this.#room = room;
    this.wasHere = wasHere;
    this.become(user);
  }

  /** Takes over what the server says of this person. */
  become({ id, name, polite }) {
    const renamed = this.name !== undefined && this.name !== name;
    Object.assign(this, { id, name, polite });
    if (renamed) this.emit("name", name);
  }

  /** Takes over another name. */
  rename(name) {
    this.become({ id: this.id, name, polite: this.polite });
  }

  /** Their mark of the connection that we talk to; the same after they come back on a new connection to the server. */
  get remote() {
    return this.#negotiation?.remote ?? null;
  }

  /** Makes the connection; `offers` says whether we offer first. */
  begin(offers) {
    this.#make(offers);
    if (!offers) this.#timer("offer", OFFER_WITHIN_MS, () => this.#negotiation?.offerFirst(() => this.#prepare()));
  }

  /**
   * The signaling is back, perhaps with messages lost. The one who was away offers, by which the other learns whose call this is;
   * and who waits for an answer asks for it again.
   */
  resume(user, { wasAway }) {
    this.become(user);
    if (this.#negotiation.resend()) return;
    if (this.#pc.remoteDescription && this.state !== "connected") this.#restart();
    if (wasAway) this.#negotiation.negotiate();
  }

  /** Takes a message of the call. */
  handle(message) {
    if (message.type !== "hang-up") this.#negotiation?.handle(message);
    else if (!message.anew) this.#room.drop(this);
    else if (message.to === this.#negotiation?.mark) this.#remake(true);
  }

  /** Says something over the data channel, if it is open. */
  tell(message) {
    if (this.#channel?.readyState === "open") this.#channel.send(JSON.stringify(message));
  }

  /** Sends the room's tracks from here on. */
  attach() {
    for (const kind of ["audio", "video"]) {
      const transceiver = this.#section(kind);
      if (!transceiver) continue;
      const track = this.#room.media[kind];
      if (transceiver.sender.track !== track) {
        transceiver.sender.replaceTrack(track).catch((error) => this.#complain(error));
      }
      if (track && transceiver.direction !== "sendrecv") transceiver.direction = "sendrecv";
    }
  }

  /** The network may be another one: finds a way through it, as the old one may be dead long before anybody notices. */
  networkChanged() {
    this.#seekAfter = SEEK_FIRST_MS;
    if (this.#pc?.remoteDescription) this.#restart();
  }

  /** Uses new credentials; a relay of ours is allocated anew before the old ones expire. */
  refresh() {
    this.#pc?.setConfiguration(this.#configuration());
    if (this.#said) this.#restart();
  }

  /** Uses relays only, or every path again, as the room says. The call goes on meanwhile. */
  choosePaths() {
    if (this.#pc?.remoteDescription) this.#restart();
    else this.#pc?.setConfiguration(this.#configuration());
  }

  /** Returns the statistics of the connection in one object. */
  async getStats() {
    await this.#read();
    return { path: this.path, ...this.stats };
  }

  /** Returns the connection itself, for what this class does not offer. */
  get connection() {
    return this.#pc;
  }

  close() {
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    clearTimeout(this.lingering);
    this.#unmake();
    this.#become("closed");
  }

  #make(offers) {
    const pc = new RTCPeerConnection(this.#configuration());
    this.#pc = pc;
    this.#sections = {};
    this.#said = this.#heard = undefined;
    this.#reading = null;
    this.#silent = this.#suspected = false;
    const only = (listener) => (event) => this.#pc === pc && listener(event);
    this.#negotiation = new Negotiation(pc, {
      send: (type, fields) => this.#room.signal(type, this, fields),
      isPolite: () => this.polite,
      isTroubled: () => ["disconnected", "failed"].includes(pc.connectionState) || Date.now() - this.#quietAt < TROUBLED_MS,
      adopt: () => this.#adopt(),
      replace: (message, negotiation) => this.#replace(message, negotiation),
      complain: (error) => this.#complain(error),
      mayOffer: offers,
    });
    pc.ontrack = only(({ track, transceiver }) => transceiver === this.#section(track.kind) && this.#receive(track));
    pc.ondatachannel = only(({ channel }) => this.emit("channel", channel));
    pc.onconnectionstatechange = only(() => this.#stated(pc.connectionState));
    pc.oniceconnectionstatechange = only(() => this.#watch(pc.iceConnectionState));
    this.#channel = pc.createDataChannel("jackfield", { negotiated: true, id: 0 });
    this.#channel.onopen = only(() => this.#greet());
    this.#channel.onmessage = only(({ data }) => this.#hear(data));
    if (offers) this.#prepare();
  }

  #unmake() {
    const pc = this.#pc;
    this.#negotiation?.close();
    this.#pc = this.#negotiation = null;
    pc?.close();
    for (const track of this.stream.getTracks()) this.stream.removeTrack(track);
  }

  /** Begins again with a new connection. */
  #remake(offers) {
    this.#unmake();
    this.#become("new");
    this.#setPath(null);
    this.#make(offers);
  }

  /** Hands on a message that came to a connection which cannot take it. */
  #replace(message, negotiation) {
    if (this.#negotiation === negotiation) this.#remake(false);
    this.#negotiation?.handle(message);
  }

  #configuration() {
    const { iceServers, relay } = this.#room;
    // One transport for everything: Firefox, whose data channel is laid out before the media, else keeps two, and after a
    // restart sends the media into the one that is gone.
    return { iceServers, iceTransportPolicy: relay ? "relay" : "all", bundlePolicy: "max-bundle" };
  }

  /** The offering side lays out one audio and one video section, so that sending later needs no new ones. */
  #prepare() {
    for (const kind of ["audio", "video"]) {
      const track = this.#room.media[kind];
      const direction = track ? "sendrecv" : "recvonly";
      this.#sections[kind] = this.#pc.addTransceiver(track ?? kind, { direction, streams: [this.#room.outgoing] });
    }
  }

  /** Returns our transceiver of a kind; on the answering side the first that an offer brought. */
  #section(kind) {
    const isLive = ({ stopped, currentDirection }) => !stopped && currentDirection !== "stopped";
    const known = this.#sections[kind];
    if (known && isLive(known)) return known;
    const brought = this.#pc?.getTransceivers().find((one) => one.mid !== null && one.receiver.track.kind === kind && isLive(one));
    if (brought) this.#sections[kind] = brought;
    return brought;
  }

  /** Sends our tracks in the sections that an offer brought. */
  #adopt() {
    for (const kind of ["audio", "video"]) {
      const { sender } = this.#section(kind) ?? {};
      if (sender && !sender.track) sender.setStreams?.(this.#room.outgoing);
    }
    this.attach();
  }

  #receive(track) {
    for (const old of this.stream.getTracks()) {
      if (old.kind === track.kind) this.stream.removeTrack(old);
    }
    this.stream.addTrack(track);
    this.emit("stream", this.stream);
  }

  /** A restart leaves the old path in use until the new one works: what was connected stays so unless it takes too long. */
  #stated(state) {
    clearTimeout(this.#timers.restart);
    if (state !== "connecting" || this.state !== "connected") return this.#become(state);
    this.#timer("restart", RESTART_WITHIN_MS, () => this.#pc && this.#become(this.#pc.connectionState));
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    if (state === "connected") {
      this.#restarts = 0;
      this.#connectedAt = Date.now();
      this.#followPairs();
      this.#readOn();
    }
    this.emit("state", state);
  }

  #watch(state) {
    if (state === "failed") this.#mend();
    else if (state === "disconnected") this.#timer("mend", this.#negotiation.polite ? LEAVE_FIRST_MS : 0, () => this.#mend());
    else if (state === "connected" || state === "completed") {
      clearTimeout(this.#timers.mend);
      this.#readOn();
    }
  }

  /** Restarts ICE, each time with more patience; when that does not help, makes the connection anew. */
  #mend() {
    if (!this.#pc || ["connected", "completed"].includes(this.#pc.iceConnectionState)) return;
    this.#timer("mend", MEND_WITHIN_MS * (2 + this.#restarts), () => this.#mend());
    this.#room.client.check();
    // Without signaling nothing can be agreed on, and the old path may still come back.
    if (!this.#room.reachable) return;
    this.#restarts += 1;
    if (this.#restarts > RESTARTS) {
      this.#restarts = 0;
      this.#remake(true);
    } else this.#restart();
  }

  #restart() {
    this.#pc.setConfiguration(this.#configuration());
    this.#pc.restartIce();
  }

  /** Browsers take four seconds and more to notice that a path is dead; a byte that does not come says so earlier. */
  #listenForSilence({ idle }) {
    if (this.state !== "connected" || !(idle > QUIET_MS)) {
      if (this.#silent) this.#refreshPicture();
      this.#silent = this.#suspected = false;
      return;
    }
    this.#silent = true;
    this.#quietAt = Date.now();
    // Whatever is sent over the channel is acknowledged, which is a byte.
    this.tell({ t: "there?" });
    if (idle < SILENT_MS) return;
    this.#room.client.check();
    if (this.#suspected || idle < SILENT_MS + (this.#negotiation.polite ? LEAVE_FIRST_MS : 0)) return;
    this.#suspected = true;
    this.#restart();
  }

  /** After a gap the other end waits for what was lost, unless a picture comes that needs nothing before it. */
  #refreshPicture() {
    const { sender } = this.#section("video") ?? {};
    if (!sender?.track) return;
    sender.setParameters(sender.getParameters(), { encodingOptions: [{ keyFrame: true }] }).catch((error) => this.#complain(error));
  }

  /** A browser does not say when a better path would be there: as long as a relay is in use, one end looks for it. */
  #seek() {
    clearTimeout(this.#timers.seek);
    if (!this.path?.startsWith("relay") || this.#room.relay) return;
    this.#timer("seek", this.#seekAfter, () => {
      this.#seekAfter = Math.min(2 * this.#seekAfter, SEEK_LAST_MS);
      if (this.state === "connected" && !this.#negotiation.polite) this.#restart();
      this.#seek();
    });
  }

  /** Reads the path again as soon as the browser uses another one. */
  #followPairs() {
    const transport = this.#pc.sctp?.transport?.iceTransport;
    if (transport) transport.onselectedcandidatepairchange = () => this.#read().catch((error) => this.#complain(error));
  }

  #greet() {
    this.tell({ t: "media", ...this.#room.facts });
    if (this.#said !== undefined) this.tell({ t: "path", relay: this.#said });
  }

  #hear(data) {
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    if (message?.t === "path") {
      this.#heard = ["udp", "tcp", "tls"].includes(message.relay) ? message.relay : null;
      this.#read().catch((error) => this.#complain(error));
    } else if (message?.t === "media") {
      const { mic, cam, screen } = message;
      this.media = { mic: !!mic, cam: !!cam, screen: !!screen };
      this.emit("media", this.media);
    } else if (message) this.#room.heardDirectly(this, message);
  }

  #readOn() {
    clearTimeout(this.#timers.read);
    this.#read().catch((error) => this.#complain(error)).then(() => {
      const known = this.#silent ? READ_QUIET_EVERY_MS : READ_EVERY_MS;
      const soon = this.path === null ? READ_EVERY_MS / 8 : known;
      if (this.#pc && this.state !== "closed") this.#timer("read", soon, () => this.#readOn());
    });
  }

  async #read() {
    const pc = this.#pc;
    if (!pc) return;
    const reading = readPath(await pc.getStats());
    if (!reading || this.#pc !== pc) return;
    if (this.#said !== reading.relay) {
      this.#said = reading.relay;
      this.tell({ t: "path", relay: reading.relay });
    }
    this.#decide(reading);
    const before = this.#reading ?? reading;
    this.#reading = reading;
    this.#listenForSilence(reading);
    const { rtt, local, remote, protocol } = reading;
    const rates = { bitrateIn: bitrate(before, reading, "bytesReceived"), bitrateOut: bitrate(before, reading, "bytesSent") };
    this.stats = { ...this.stats, rtt, local, remote, protocol, ...(before !== reading && rates) };
    this.emit("stats", this.stats);
  }

  #decide({ relay, remoteRelays }) {
    const theirWord = this.#heard;
    const waited = Date.now() - this.#connectedAt > WORD_WITHIN_MS;
    if (this.state !== "connected" || (theirWord === undefined && !waited)) return;
    // A relay by TCP shows as a relay by UDP until its owner says more.
    this.#setPath(worseOf(relay, theirWord ?? (remoteRelays ? "udp" : null)));
  }

  #setPath(path) {
    if (this.path === path) return;
    if (path === "direct") this.#seekAfter = SEEK_FIRST_MS;
    this.path = path;
    this.emit("path", path);
    this.#seek();
  }

  #timer(name, ms, then) {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = setTimeout(then, ms);
  }

  #complain(error) {
    if (this.#pc) this.emit("error", error);
  }
}
