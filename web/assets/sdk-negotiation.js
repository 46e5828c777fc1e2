const RESEND_FIRST_MS = 3000;
const RESEND_LAST_MS = 24_000;
/** So many offers can follow each other at once; then there is one in each `OFFER_EVERY_MS`. */
const OFFERS_AT_ONCE = 4;
const OFFER_EVERY_MS = 1000;
/** An offer that was sent so long ago has not merely crossed the one that comes: it may be lost. */
const CROSSING_MS = 1000;
const MOST_CANDIDATES_WAITING = 200;
const OTHER_ROLE = { active: "passive", passive: "active" };

/**
 * The offers, answers and candidates of one `RTCPeerConnection`: perfect negotiation, over signaling that may lose any message.
 *
 * Each end has a random `mark`, which travels as `from` and `to`. Of two ends the one with the greater mark is polite: both know
 * that as soon as an offer has arrived, and no change of who is in the room turns it over in the middle of a call.
 *
 * Offers are numbered. One that is not answered is sent again; one that was answered already is answered again, the same; an
 * answer to an offer that has been withdrawn is dropped. An offer says as `answered` which of the other end's offers has been
 * applied: then an offer that crosses our own while only the answer is lost makes nobody withdraw what the other end has applied.
 */
export class Negotiation {
  mark = crypto.getRandomValues(new Uint32Array(2)).join("-");
  /** The mark of the other end, once it has said something that counts. */
  remote = null;
  #pc;
  #send;
  #isPolite;
  #isTroubled;
  #complain;
  #adopt;
  #replace;
  #mayOffer;
  #queue = Promise.resolve();
  #closed = false;
  /** The number of our latest offer. */
  #offer = 0;
  /** The number of the other end's offer that was applied last. */
  #answered = 0;
  #sentAt = 0;
  #early = [];
  #ended = null;
  #timers = {};
  #resendAfter = RESEND_FIRST_MS;
  #tokens = OFFERS_AT_ONCE;
  #filledAt = Date.now();

  /**
   * `send(type, fields)` sends a message of the call; `isPolite()` says which part we play towards an end without marks;
   * `isTroubled()` whether media has stopped of late;
   * `adopt()` is called between an offer and our answer; `replace(message)` makes a new connection and hands it a message that
   * only that one can take; `complain(error)` hears what went wrong. Without `mayOffer` the first offer is the other end's.
   */
  constructor(pc, { send, isPolite, isTroubled, adopt, replace, complain, mayOffer }) {
    this.#pc = pc;
    this.#send = send;
    this.#isPolite = isPolite;
    this.#isTroubled = isTroubled;
    this.#adopt = adopt;
    this.#replace = replace;
    this.#complain = complain;
    this.#mayOffer = mayOffer;
    pc.addEventListener("negotiationneeded", () => this.negotiate());
    pc.addEventListener("icecandidate", ({ candidate }) => this.#gathered(candidate));
  }

  /** Whether this end gives way when two offers cross. */
  get polite() {
    return this.#isPoliteTowards(this.remote);
  }

  /** Offers what `prepare()` lays out, unless the other end has offered by now. */
  offerFirst(prepare) {
    this.#enqueue(() => {
      if (this.#mayOffer) return;
      prepare();
      this.#mayOffer = true;
      return this.#makeOffer();
    });
  }

  /** Makes an offer as soon as the connection is stable. */
  negotiate() {
    this.#enqueue(() => this.#makeOffer());
  }

  /** Sends a pending offer again. Returns whether there was one. */
  resend() {
    if (this.#pc.signalingState !== "have-local-offer") return false;
    this.#resendAfter = RESEND_FIRST_MS;
    this.#sendOffer();
    return true;
  }

  /** Takes a `video-offer`, a `video-answer` or a `new-ice-candidate`, after those that came before. */
  handle(message) {
    // Messages that wait while a new connection is made are meant for that one.
    this.#queue = this.#queue
      .then(() => (this.#closed ? this.#replace(message, this) : this.#handle(message)))
      .catch((error) => !this.#closed && this.#complain(error));
  }

  close() {
    this.#closed = true;
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
  }

  #isPoliteTowards(mark) {
    return mark ? this.mark > mark : this.#isPolite();
  }

  #enqueue(work) {
    this.#queue = this.#queue
      .then(() => !this.#closed && work())
      .catch((error) => !this.#closed && this.#complain(error));
  }

  #handle(message) {
    const { type, from, to } = message;
    if (to && to !== this.mark) {
      // They talk to a connection that we no longer have.
      if (type !== "new-ice-candidate") this.#say("hang-up", { anew: true, to: from });
      return;
    }
    if (type === "video-offer") return this.#offered(message);
    if (this.remote && from && from !== this.remote) return;
    return type === "video-answer" ? this.#wasAnswered(message) : this.#candidate(message);
  }

  async #makeOffer() {
    // An event that asks for an offer comes again when the connection is stable, if one is still wanted.
    if (!this.#mayOffer || this.#pc.signalingState !== "stable") return;
    const wait = this.#wait();
    if (wait > 0) return this.#timer("pace", wait, () => this.negotiate());
    await this.#pc.setLocalDescription();
    if (this.#closed || this.#pc.localDescription?.type !== "offer") return;
    this.#offer += 1;
    this.#resendAfter = RESEND_FIRST_MS;
    this.#sendOffer();
  }

  /** Takes a token for an offer, and returns zero; or returns how long it takes until there is one, in milliseconds. */
  #wait() {
    const now = Date.now();
    this.#tokens = Math.min(OFFERS_AT_ONCE, this.#tokens + (now - this.#filledAt) / OFFER_EVERY_MS);
    this.#filledAt = now;
    if (this.#tokens < 1) return Math.ceil((1 - this.#tokens) * OFFER_EVERY_MS);
    this.#tokens -= 1;
    return 0;
  }

  #sendOffer() {
    this.#sentAt = Date.now();
    const { type, sdp } = this.#pc.localDescription;
    this.#describe("video-offer", { type, sdp: withRole(sdp, this.#role) }, { offer: this.#offer, answered: this.#answered });
    this.#timer("resend", this.#resendAfter, () => {
      this.#resendAfter = Math.min(2 * this.#resendAfter, RESEND_LAST_MS);
      if (this.#pc.signalingState === "have-local-offer") this.#sendOffer();
    });
  }

  #describe(type, { type: kind, sdp }, fields) {
    this.#say(type, { sdp: { type: kind, sdp }, ...fields });
  }

  #say(type, fields) {
    this.#send(type, { from: this.mark, to: this.remote, ...fields });
  }

  /** Our part in DTLS, `active` or `passive`, once the first answer has settled it. */
  get #role() {
    const { currentLocalDescription: local, currentRemoteDescription: remote } = this.#pc;
    const said = ({ sdp }) => /^a=setup:(active|passive)/m.exec(sdp)?.[1];
    if (local?.type === "answer") return said(local);
    return remote?.type === "answer" ? OTHER_ROLE[said(remote)] : undefined;
  }

  async #offered(message) {
    const { sdp, from, offer, answered } = message;
    const pc = this.#pc;
    if (this.remote && from && from !== this.remote) return this.#replace(message, this);
    if (offer !== undefined && offer <= this.#answered) return this.#answerAgain(offer);
    if (pc.signalingState === "have-local-offer") {
      // They have applied our offer, and only the answer is lost: ours goes first, theirs will come again.
      if (answered !== undefined && answered === this.#offer) return void this.resend();
      if (!this.#isPoliteTowards(from)) {
        if (Date.now() - this.#sentAt > CROSSING_MS) this.resend();
        return;
      }
    }
    // What was laid out for a first offer is left behind beside theirs, rolled back or not: a new connection has laid out nothing.
    if (!pc.remoteDescription && this.#mayOffer) return this.#replace(message, this);
    if (pc.signalingState === "have-local-offer") {
      // Chromium gives no pictures any more (it decodes them, and its track stays empty) after the rollback that an offer
      // implies, and sometimes after one that was asked for when media had stopped for a while.
      if (this.#isTroubled()) {
        clearTimeout(this.#timers.resend);
        return this.#say("hang-up", { anew: true, to: from });
      }
      await pc.setLocalDescription({ type: "rollback" });
    }
    await pc.setRemoteDescription(sdp);
    this.#met(from);
    this.#answered = offer ?? 0;
    this.#adopt();
    await this.#flush();
    await pc.setLocalDescription();
    this.#describe("video-answer", pc.localDescription, { offer });
  }

  /** The other end has not heard our answer: it gets the same one, whatever we have offered since. */
  #answerAgain(offer) {
    const current = this.#pc.currentLocalDescription;
    if (offer === this.#answered && current?.type === "answer") this.#describe("video-answer", current, { offer });
  }

  async #wasAnswered({ sdp, from, offer }) {
    const stale = offer !== undefined && offer !== this.#offer;
    if (stale || this.#pc.signalingState !== "have-local-offer") return;
    clearTimeout(this.#timers.resend);
    try {
      await this.#pc.setRemoteDescription(sdp);
    } catch (error) {
      // The same answer would come again, and fail again.
      await this.#pc.setLocalDescription({ type: "rollback" });
      throw error;
    }
    this.#met(from);
    await this.#flush();
  }

  #met(from) {
    this.remote = from ?? this.remote;
    this.#mayOffer = true;
    clearTimeout(this.#timers.resend);
  }

  async #candidate(message) {
    const { candidate, from } = message;
    const { remoteDescription } = this.#pc;
    if (!remoteDescription) {
      if (this.#early.length < MOST_CANDIDATES_WAITING) this.#early.push(message);
      return;
    }
    if (from && this.remote && from !== this.remote) return;
    // A candidate of an offer that was not applied, or of credentials before a restart, belongs to nothing.
    const { usernameFragment: ufrag } = candidate ?? {};
    if (ufrag && !remoteDescription.sdp.split(/\r?\n/).includes(`a=ice-ufrag:${ufrag}`)) return;
    await this.#pc.addIceCandidate(candidate);
  }

  async #flush() {
    for (const message of this.#early.splice(0)) await this.#candidate(message);
  }

  /** Passes a candidate on, and once for each generation that there will be no more: browsers say so in one or two ways. */
  #gathered(candidate) {
    if (this.#closed) return;
    if (candidate?.candidate) {
      this.#say("new-ice-candidate", { candidate: candidate.toJSON() });
      return;
    }
    const { sdp = "" } = this.#pc.localDescription ?? {};
    const ufrag = candidate?.usernameFragment ?? /^a=ice-ufrag:(\S+)/m.exec(sdp)?.[1] ?? null;
    if (this.#ended === ufrag) return;
    this.#ended = ufrag;
    const sdpMid = candidate?.sdpMid ?? /^a=mid:(\S+)/m.exec(sdp)?.[1] ?? "0";
    this.#say("new-ice-candidate", { candidate: { candidate: "", sdpMid, sdpMLineIndex: 0, usernameFragment: ufrag } });
  }

  #timer(name, ms, then) {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = setTimeout(() => !this.#closed && then(), ms);
  }
}

/**
 * Firefox answers `active` to an offer that leaves the role open, also when it is the passive end of a DTLS association that goes
 * on; the offering browser then refuses the answer. So an offer within an association names the role (RFC 8842).
 */
function withRole(sdp, role) {
  return role ? sdp.replaceAll("a=setup:actpass", `a=setup:${role}`) : sdp;
}
