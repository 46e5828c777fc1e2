import { Emitter } from "./sdk-emitter.js";
import { bitrate, readPath, worseOf } from "./sdk-path.js";

const READ_EVERY_MS = 2000;
/** How long to wait for the other end's word on its relay before its candidates alone decide. */
const WORD_WITHIN_MS = 4000;
/** Who came earlier waits this long for the newcomer's offer. */
const OFFER_WITHIN_MS = 6000;
/** A pause in connectivity often mends itself. */
const MEND_WITHIN_MS = 3000;
/** After so many fruitless ICE restarts the connection is made anew. */
const RESTARTS = 2;

/**
 * One other person in a room, and the call with them.
 *
 * Events: `state` (an `RTCPeerConnectionState`), `path` (`"direct"`, `"relay-udp"`, `"relay-tcp"`, `"relay-tls"`, or `null` while it is
 * not known), `stats`, `media` (`{ mic, cam, screen }`), `name`, `stream`.
 */
export class Peer extends Emitter {
  state = "new";
  path = null;
  /** `{ rtt, bitrateIn, bitrateOut, local, remote, protocol }`: seconds, bits a second, candidate types. */
  stats = {};
  media = { mic: true, cam: true, screen: false };
  /** What they send. */
  stream = new MediaStream();
  /** Their mark of the connection we talk to; the same after they come back on a new connection to the server. */
  remote = null;
  gone = false;
  #room;
  #pc = null;
  #mark = "";
  #channel = null;
  #offers = false;
  #making = false;
  #ignoring = false;
  #candidates = [];
  #queue = Promise.resolve();
  #restarts = 0;
  #timers = {};
  #said = undefined;
  #heard = undefined;
  #connectedAt = 0;
  #reading = null;

  constructor(room, user) {
    super();
    this.#room = room;
    this.become(user);
  }

  /** Takes over what the server says of this person. */
  become({ id, name, polite }) {
    const renamed = this.name !== undefined && this.name !== name;
    Object.assign(this, { id, name, polite });
    if (renamed) this.emit("name", name);
  }

  /** Makes the connection; `offers` says whether we offer first. */
  begin(offers) {
    this.#make(offers);
    if (!offers) {
      this.#timer("offer", OFFER_WITHIN_MS, () => {
        if (this.#pc.remoteDescription) return;
        this.#offers = true;
        this.#prepare();
        this.#negotiate();
      });
    }
  }

  /** The signaling is back, perhaps with other messages lost: says again where we are. */
  async resume(user) {
    this.become(user);
    if (this.#pc.signalingState === "have-local-offer") return this.#sendDescription("video-offer");
    if (this.state !== "connected") this.#pc.restartIce();
    await this.#negotiate();
  }

  /** Takes a message of the call, one after the other. */
  handle(message) {
    this.#queue = this.#queue.then(() => this.#handle(message)).catch((error) => this.#complain(error));
  }

  /** Says something over the data channel, if it is open. */
  tell(message) {
    if (this.#channel?.readyState === "open") this.#channel.send(JSON.stringify(message));
  }

  /** Sends the room's tracks from here on. */
  attach() {
    for (const kind of ["audio", "video"]) {
      const transceiver = this.#transceiver(kind);
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
    if (this.#pc?.remoteDescription) this.#restart();
  }

  /** Uses new credentials; a relay of ours is allocated anew before the old ones expire. */
  refresh() {
    this.#pc?.setConfiguration(this.#configuration());
    if (this.#said) this.#restart();
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
    this.#mark = crypto.getRandomValues(new Uint32Array(2)).join("-");
    this.#offers = offers;
    this.remote = null;
    this.#candidates = [];
    this.#said = this.#heard = undefined;
    this.#reading = null;
    const only = (listener) => (event) => this.#pc === pc && listener(event);
    pc.onnegotiationneeded = only(() => this.#negotiate());
    pc.onicecandidate = only(({ candidate }) => candidate && this.#signal("new-ice-candidate", { candidate: candidate.toJSON() }));
    pc.ontrack = only(({ track }) => this.#receive(track));
    pc.onconnectionstatechange = only(() => this.#become(pc.connectionState));
    pc.oniceconnectionstatechange = only(() => this.#watch(pc.iceConnectionState));
    this.#channel = pc.createDataChannel("jackfield", { negotiated: true, id: 0 });
    this.#channel.onopen = only(() => this.#greet());
    this.#channel.onmessage = only(({ data }) => this.#hear(data));
    if (offers) this.#prepare();
  }

  #unmake() {
    const pc = this.#pc;
    this.#pc = null;
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

  #configuration() {
    return { iceServers: this.#room.iceServers, iceTransportPolicy: this.#room.relay ? "relay" : "all" };
  }

  /** The offering side lays out one audio and one video section, so that sending later needs no new ones. */
  #prepare() {
    for (const kind of ["audio", "video"]) {
      const track = this.#room.media[kind];
      const direction = track ? "sendrecv" : "recvonly";
      this.#pc.addTransceiver(track ?? kind, { direction, streams: [this.#room.outgoing] });
    }
  }

  #transceiver(kind) {
    const all = this.#pc?.getTransceivers() ?? [];
    const live = all.filter(({ receiver, stopped, currentDirection }) => receiver.track.kind === kind && !stopped && currentDirection !== "stopped");
    return live.find(({ mid }) => mid !== null) ?? live[0];
  }

  async #negotiate() {
    const pc = this.#pc;
    // The newcomer offers first: then both do not offer at once.
    if (!pc || (!this.#offers && !pc.remoteDescription)) return;
    try {
      this.#making = true;
      await pc.setLocalDescription();
      if (this.#pc === pc && pc.localDescription.type === "offer") this.#sendDescription("video-offer");
    } catch (error) {
      this.#complain(error);
    } finally {
      this.#making = false;
    }
  }

  #sendDescription(type) {
    const { type: kind, sdp } = this.#pc.localDescription;
    this.#signal(type, { sdp: { type: kind, sdp } });
  }

  #signal(type, fields) {
    return this.#room.signal(type, this, { from: this.#mark, to: this.remote, ...fields });
  }

  async #handle(message) {
    if (!this.#pc) return;
    const { type, from, to } = message;
    if (type === "hang-up") return this.#hangUp(message);
    if (to && to !== this.#mark) {
      // They talk to a connection we no longer have.
      if (type === "video-offer") this.#signal("hang-up", { anew: true, to: from });
      return;
    }
    if (type === "video-offer") return this.#offered(message);
    if (this.remote && from && from !== this.remote) return;
    if (type === "video-answer") return this.#answered(message);
    await this.#candidate(message.candidate);
  }

  async #offered({ sdp, from }) {
    // They made theirs anew, so must we.
    if (this.remote && from && from !== this.remote) this.#remake(false);
    const pc = this.#pc;
    const collides = this.#making || pc.signalingState !== "stable";
    this.#ignoring = !this.polite && collides;
    if (this.#ignoring) return;
    await pc.setRemoteDescription(sdp);
    this.remote = from ?? this.remote;
    this.#adopt();
    await this.#flush();
    await pc.setLocalDescription();
    this.#sendDescription("video-answer");
  }

  async #answered({ sdp, from }) {
    if (this.#pc.signalingState !== "have-local-offer") return;
    await this.#pc.setRemoteDescription(sdp);
    this.remote = from ?? this.remote;
    await this.#flush();
  }

  async #candidate(candidate) {
    if (!this.#pc.remoteDescription) {
      this.#candidates.push(candidate);
      return;
    }
    try {
      await this.#pc.addIceCandidate(candidate);
    } catch (error) {
      // Candidates of an offer that we ignored belong to nothing.
      if (!this.#ignoring) throw error;
    }
  }

  async #flush() {
    for (const candidate of this.#candidates.splice(0)) await this.#candidate(candidate);
  }

  /** Sends our tracks in the sections that the offer brought, and drops those we had laid out in vain. */
  #adopt() {
    for (const transceiver of this.#pc.getTransceivers()) {
      const { mid, receiver, sender } = transceiver;
      const twin = this.#transceiver(receiver.track.kind);
      if (mid === null && twin !== transceiver) transceiver.stop();
      else if (twin === transceiver && !sender.track) sender.setStreams?.(this.#room.outgoing);
    }
    this.attach();
  }

  #hangUp({ anew, to }) {
    if (!anew) return this.#room.drop(this);
    if (to === this.#mark) this.#remake(true);
  }

  #receive(track) {
    for (const old of this.stream.getTracks()) {
      if (old.kind === track.kind) this.stream.removeTrack(old);
    }
    this.stream.addTrack(track);
    this.emit("stream", this.stream);
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    if (state === "connected") {
      this.#restarts = 0;
      this.#connectedAt = Date.now();
      this.#readOn();
    }
    this.emit("state", state);
  }

  #watch(state) {
    clearTimeout(this.#timers.mend);
    if (state === "failed") this.#mend();
    else if (state === "disconnected") this.#timer("mend", MEND_WITHIN_MS, () => this.#mend());
    else if (state === "connected" || state === "completed") this.#readOn();
  }

  /** Restarts ICE, each time with more patience; when that does not help, makes the connection anew. */
  #mend() {
    if (!this.#pc || this.#pc.iceConnectionState === "connected") return;
    this.#restarts += 1;
    if (this.#restarts > RESTARTS) {
      this.#restarts = 0;
      this.#remake(true);
    } else this.#restart();
    this.#timer("mend", MEND_WITHIN_MS * (1 + this.#restarts), () => this.#mend());
  }

  #restart() {
    this.#pc.setConfiguration(this.#configuration());
    this.#pc.restartIce();
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
      this.#read();
    } else if (message?.t === "media") {
      const { mic, cam, screen } = message;
      this.media = { mic: !!mic, cam: !!cam, screen: !!screen };
      this.emit("media", this.media);
    } else if (message) this.#room.heardDirectly(this, message);
  }

  #readOn() {
    clearTimeout(this.#timers.read);
    this.#read().finally(() => {
      const soon = this.path === null ? READ_EVERY_MS / 8 : READ_EVERY_MS;
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
    this.path = path;
    this.emit("path", path);
  }

  #timer(name, ms, then) {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = setTimeout(then, ms);
  }

  #complain(error) {
    if (this.#pc) this.emit("error", error);
  }
}
