// The signaling half of WebRTC as JSEP (RFC 8829) and the WebRTC specification have it, without media: enough for thousands of
// schedules a minute. Descriptions, rollback, sections, ICE credentials and their restarts, and whether two ends that have
// agreed can reach each other.

/** What the connections of one test share: the network between them, and chance. */
export class Air {
  /** Whether packets get through. */
  isUp = true;
  #connections = new Set();
  #ufrags = 0;

  constructor(clock, random) {
    this.clock = clock;
    this.random = random;
  }

  /** The class for `globalThis.RTCPeerConnection`. */
  get PeerConnection() {
    const air = this;
    return class RTCPeerConnection extends FakePeerConnection {
      constructor(configuration) {
        super(air, configuration);
      }
    };
  }

  setUp(isUp) {
    this.isUp = isUp;
    this.evaluate();
  }

  add(connection) {
    this.#connections.add(connection);
  }

  ufrag() {
    this.#ufrags += 1;
    return `u${this.#ufrags}`;
  }

  /** Finds out who can reach whom. */
  evaluate() {
    for (const one of this.#connections) {
      const other = [...this.#connections].find((candidate) => candidate !== one && agree(one, candidate));
      if (other && this.isUp) one.partner = other;
    }
    for (const one of this.#connections) one.noticePath();
  }
}

/** Whether each end has applied what the other end is: only then do their checks succeed. */
function agree(one, other) {
  const [ours, theirs] = [one.credentials, other.credentials];
  return ours && theirs && ours.local === theirs.remote && ours.remote === theirs.local;
}

class FakePeerConnection extends EventTarget {
  signalingState = 'stable';
  connectionState = 'new';
  iceConnectionState = 'new';
  currentLocalDescription = null;
  currentRemoteDescription = null;
  pendingLocalDescription = null;
  pendingRemoteDescription = null;
  partner = null;
  sctp = null;
  #air;
  #transceivers = [];
  #channel = null;
  #bundlePolicy;
  #operations = Promise.resolve();
  #busy = 0;
  #ufrag;
  #restart = false;
  #undo = null;
  #mids = 0;
  #bytes = 0;
  #losing = [];

  constructor(air, { bundlePolicy = 'balanced' } = {}) {
    super();
    this.#bundlePolicy = bundlePolicy;
    this.#air = air;
    this.#ufrag = air.ufrag();
    air.add(this);
    for (const event of ['negotiationneeded', 'icecandidate', 'track', 'connectionstatechange', 'iceconnectionstatechange']) {
      this.addEventListener(event, (fired) => this[`on${event}`]?.(fired));
    }
  }

  get localDescription() {
    return this.pendingLocalDescription ?? this.currentLocalDescription;
  }

  get remoteDescription() {
    return this.pendingRemoteDescription ?? this.currentRemoteDescription;
  }

  /** The credentials that both sides of the last complete exchange named. */
  get credentials() {
    if (this.#isClosed || !this.currentLocalDescription || !this.currentRemoteDescription) return null;
    return { local: ufragOf(this.currentLocalDescription), remote: ufragOf(this.currentRemoteDescription) };
  }

  get canReach() {
    return !this.#isClosed && this.#air.isUp && this.partner !== null && !this.partner.#isClosed && this.partner.partner === this;
  }

  setConfiguration({ bundlePolicy = 'balanced' }) {
    if (bundlePolicy !== this.#bundlePolicy) throw new DOMException('it cannot be changed', 'InvalidModificationError');
  }

  createDataChannel() {
    const channel = { readyState: 'connecting', send: (data) => this.#deliver(data) };
    this.#channel = channel;
    this.#update();
    return channel;
  }

  addTransceiver(trackOrKind, { direction = 'sendrecv' } = {}) {
    const track = typeof trackOrKind === 'string' ? null : trackOrKind;
    const added = this.#transceiver(track?.kind ?? trackOrKind, direction, track);
    this.#update();
    return added;
  }

  getTransceivers() {
    return this.#transceivers.filter(({ stopped }) => !stopped);
  }

  restartIce() {
    this.#restart = true;
    this.#update();
  }

  async getStats() {
    if (this.canReach) this.#bytes += 1;
    const at = this.#air.clock.now;
    const pair = { id: 'pair', type: 'candidate-pair', localCandidateId: 'host', remoteCandidateId: 'host', bytesReceived: this.#bytes, bytesSent: 0, timestamp: at };
    const host = { id: 'host', type: 'candidate', candidateType: 'host', protocol: 'udp' };
    const transport = { id: 'transport', type: 'transport', selectedCandidatePairId: this.partner ? 'pair' : undefined };
    return new Map([pair, host, transport].map((entry) => [entry.id, entry]));
  }

  setLocalDescription(description) {
    return this.#operate(() => {
      if (description?.type === 'rollback') return this.#rollback();
      if (this.signalingState === 'stable') return this.#offer();
      if (this.signalingState === 'have-remote-offer') return this.#answer();
      throw new DOMException('there is an offer already', 'InvalidStateError');
    });
  }

  setRemoteDescription(description) {
    return this.#operate(() => {
      if (description.type === 'offer') return this.#takeOffer(description);
      if (this.signalingState !== 'have-local-offer') throw new DOMException('nobody asked', 'InvalidStateError');
      return this.#takeAnswer(description);
    });
  }

  addIceCandidate({ usernameFragment }) {
    return this.#operate(() => {
      if (!this.remoteDescription) throw new DOMException('no remote description', 'InvalidStateError');
      const known = [this.currentRemoteDescription, this.pendingRemoteDescription].filter(Boolean).map(ufragOf);
      if (usernameFragment && !known.includes(usernameFragment)) throw new DOMException('unknown ufrag', 'OperationError');
    });
  }

  close() {
    this.signalingState = 'closed';
    this.connectionState = this.iceConnectionState = 'closed';
    this.#air.evaluate();
  }

  /** Follows what the network does: browsers take their time to notice. */
  noticePath() {
    for (const timer of this.#losing.splice(0)) clearTimeout(timer);
    if (this.#isClosed || !this.credentials) return;
    const after = (ms, state) => this.#losing.push(setTimeout(() => this.#become(state), ms));
    if (this.canReach) after(20, 'connected');
    else if (this.connectionState === 'new') after(15_000, 'failed');
    else if (this.connectionState === 'connected') {
      after(5000, 'disconnected');
      after(15_000, 'failed');
    } else if (this.connectionState === 'disconnected') after(10_000, 'failed');
  }

  get #isClosed() {
    return this.signalingState === 'closed';
  }

  #become(state) {
    if (this.#isClosed || this.connectionState === state) return;
    this.connectionState = this.iceConnectionState = state;
    if (state === 'connected' && this.#channel.readyState !== 'open') {
      this.#channel.readyState = 'open';
      this.#channel.onopen?.();
    }
    this.dispatchEvent(new Event('iceconnectionstatechange'));
    this.dispatchEvent(new Event('connectionstatechange'));
  }

  #deliver(data) {
    const { partner } = this;
    if (!this.canReach) return;
    setTimeout(() => partner.canReach && partner.#channel?.onmessage?.({ data }), 10);
  }

  /** Operations run one after the other; what a closed connection was asked never settles. */
  #operate(work) {
    this.#busy += 1;
    const done = this.#operations.then(async () => {
      await this.#pause();
      if (this.#isClosed) return new Promise(() => {});
      return work();
    });
    this.#operations = done.then(() => {}, () => {});
    const end = () => {
      this.#busy -= 1;
      this.#update();
    };
    done.then(end, end);
    return done;
  }

  #pause() {
    return new Promise((resolve) => setTimeout(resolve, this.#air.random() * 15));
  }

  #offer() {
    const before = this.#transceivers.map((transceiver) => ({ transceiver, mid: transceiver.mid }));
    const [ufrag, restart] = [this.#ufrag, this.#restart];
    for (const transceiver of this.#transceivers) if (!transceiver.stopping) transceiver.mid ??= this.#mid();
    if (restart && this.currentLocalDescription) this.#ufrag = this.#air.ufrag();
    this.#restart = false;
    this.#undo = () => {
      for (const { transceiver, mid } of before) transceiver.mid = mid;
      // Sections added since then keep what they have: nothing.
      this.#ufrag = ufrag;
      this.#restart ||= restart;
    };
    this.pendingLocalDescription = this.#describe('offer');
    this.#signal('have-local-offer');
    this.#gather();
  }

  #answer() {
    const [was, is] = [this.currentRemoteDescription, this.pendingRemoteDescription];
    if (was && ufragOf(was) !== ufragOf(is)) {
      this.#ufrag = this.#air.ufrag();
      this.#restart = false;
    }
    for (const transceiver of this.#transceivers) if (transceiver.mid !== null) transceiver.currentDirection = transceiver.direction;
    this.currentLocalDescription = this.#describe('answer');
    this.currentRemoteDescription = is;
    this.#settle();
    this.#gather();
  }

  #takeOffer(description) {
    if (this.signalingState === 'have-local-offer') this.#rollback();
    const known = new Map(this.#transceivers.map((transceiver) => [transceiver.mid, transceiver]));
    for (const { mid, kind } of sectionsOf(description)) {
      if (known.has(mid)) continue;
      // Only what `addTrack` has made is taken over by a section of the other end, and the SDK does not use it.
      const transceiver = this.#transceiver(kind, 'recvonly', null);
      transceiver.mid = mid;
      this.dispatchEvent(Object.assign(new Event('track'), { track: transceiver.receiver.track, transceiver }));
    }
    this.pendingRemoteDescription = description;
    this.#signal('have-remote-offer');
  }

  #takeAnswer(description) {
    for (const transceiver of this.#transceivers) {
      const isNew = transceiver.currentDirection === null && transceiver.mid !== null;
      if (transceiver.mid !== null) transceiver.currentDirection = transceiver.direction;
      if (isNew) this.dispatchEvent(Object.assign(new Event('track'), { track: transceiver.receiver.track, transceiver }));
    }
    const expected = sectionsOf(this.pendingLocalDescription).map(({ mid }) => mid);
    const answered = sectionsOf(description).map(({ mid }) => mid);
    if (String(expected) !== String(answered)) throw new DOMException(`${answered} answers ${expected}`, 'OperationError');
    this.currentLocalDescription = this.pendingLocalDescription;
    this.currentRemoteDescription = description;
    this.#settle();
  }

  #rollback() {
    this.#undo();
    this.pendingLocalDescription = null;
    this.#signal('stable');
  }

  #settle() {
    this.pendingLocalDescription = this.pendingRemoteDescription = this.#undo = null;
    this.#signal('stable');
    this.#air.evaluate();
  }

  #signal(state) {
    this.signalingState = state;
  }

  #transceiver(kind, direction, track) {
    const pc = this;
    const transceiver = {
      mid: null,
      currentDirection: null,
      stopping: false,
      stopped: false,
      receiver: { track: { kind } },
      sender: {
        track,
        setStreams() {},
        async replaceTrack(other) {
          this.track = other;
        },
      },
      get direction() {
        return direction;
      },
      set direction(wanted) {
        direction = wanted;
        pc.#update();
      },
      stop() {
        this.stopping = true;
        pc.#update();
      },
    };
    this.#transceivers.push(transceiver);
    return transceiver;
  }

  #mid() {
    const taken = new Set([...this.#transceivers.map(({ mid }) => mid), ...sectionsOf(this.remoteDescription).map(({ mid }) => mid)]);
    do this.#mids += 1;
    while (taken.has(`m${this.#mids}`));
    return `m${this.#mids}`;
  }

  #describe(type) {
    const inOrder = this.#transceivers.filter(({ mid }) => mid !== null);
    const remote = sectionsOf(type === 'answer' ? this.pendingRemoteDescription : this.currentRemoteDescription ?? this.currentLocalDescription);
    const place = ({ mid }) => {
      const index = remote.findIndex((section) => section.mid === mid);
      return index < 0 ? Infinity : index;
    };
    const sorted = inOrder.map((transceiver, index) => ({ transceiver, index })).sort((a, b) => place(a.transceiver) - place(b.transceiver) || a.index - b.index);
    const wanted = type === 'answer' ? sorted.filter(({ transceiver }) => place(transceiver) !== Infinity) : sorted;
    const lines = wanted.flatMap(({ transceiver: { receiver, mid, direction } }) => [`m=${receiver.track.kind}`, `a=mid:${mid}`, `a=${direction}`]);
    return { type, sdp: ['v=0', `a=ice-ufrag:${this.#ufrag}`, ...lines, 'm=application', ''].join('\r\n') };
  }

  #gather() {
    const ufrag = this.#ufrag;
    const tell = (candidate) => !this.#isClosed && this.dispatchEvent(Object.assign(new Event('icecandidate'), { candidate }));
    const candidate = { candidate: 'candidate:1', sdpMid: 'm1', usernameFragment: ufrag };
    setTimeout(() => tell({ ...candidate, toJSON: () => candidate }), 1 + this.#air.random() * 30);
    setTimeout(() => tell(null), 40);
  }

  /** "Update the negotiation-needed flag": the event fires once the connection is stable and idle, if it is still true then. */
  #update() {
    if (this.#busy > 0 || this.signalingState !== 'stable') return;
    setTimeout(() => {
      if (this.#busy > 0 || this.signalingState !== 'stable' || !this.#isNegotiationNeeded()) return;
      this.dispatchEvent(new Event('negotiationneeded'));
    }, 0);
  }

  #isNegotiationNeeded() {
    const agreed = this.currentLocalDescription;
    if (!agreed) return this.#channel !== null || this.#transceivers.length > 0;
    // One that is stopped before it was ever offered makes this true for ever, by the letter of the specification.
    return this.#restart || this.#transceivers.some(({ mid, direction, currentDirection, stopping, stopped }) =>
      (stopping && !stopped) || mid === null || direction !== currentDirection);
  }
}

const ufragOf = ({ sdp }) => /a=ice-ufrag:(\S+)/.exec(sdp)[1];

function sectionsOf(description) {
  const found = description?.sdp.matchAll(/m=(audio|video)\r\na=mid:(\S+)/g) ?? [];
  return [...found].map(([, kind, mid]) => ({ kind, mid }));
}
