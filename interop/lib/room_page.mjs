// The page of a room, as a test sees it: by its `data-` attributes, and by what the browser itself knows.

/**
 * Runs before the page's own scripts: every connection is kept where the test finds it, as what a page shows is compared with
 * what the browser knows.
 */
export function keepConnections() {
  globalThis.peerConnections = [];
  const Stock = globalThis.RTCPeerConnection;
  if (!Stock) return;
  globalThis.RTCPeerConnection = class RTCPeerConnection extends Stock {
    constructor(...args) {
      super(...args);
      globalThis.peerConnections.push(this);
    }
  };
}

/** Runs in the page: everything the test asks about one remote person, or null while there is no such person. */
export async function look(name) {
  const video = document.querySelector(`video[data-peer="${name}"]`);
  const shown = video?.closest('[data-state]');
  if (!shown) return null;
  const { state, path } = shown.dataset;
  const connections = [];
  for (const connection of globalThis.peerConnections) {
    if (connection.connectionState === 'closed') continue;
    const stats = new Map(await connection.getStats());
    const all = [...stats.values()];
    const transport = all.find(({ type }) => type === 'transport');
    const pair = stats.get(transport?.selectedCandidatePairId);
    const inbound = (kind) => all.find((entry) => entry.type === 'inbound-rtp' && entry.kind === kind);
    const candidate = (id) => {
      const { candidateType, address, port, protocol, relayProtocol, url } = stats.get(id) ?? {};
      return { candidateType, address, port, protocol, relayProtocol, url };
    };
    connections.push({
      state: connection.connectionState,
      pair: pair && { local: candidate(pair.localCandidateId), remote: candidate(pair.remoteCandidateId) },
      framesDecoded: inbound('video')?.framesDecoded ?? 0,
      audioPackets: inbound('audio')?.packetsReceived ?? 0,
      audioEnergy: inbound('audio')?.totalAudioEnergy ?? 0,
    });
  }
  return {
    state,
    path,
    // Firefox does not count the frames of a stream as it counts those of a file.
    video: { width: video.videoWidth, frames: video.getVideoPlaybackQuality().totalVideoFrames || video.mozPaintedFrames || 0 },
    connections,
  };
}

/** From the best way to the worst. */
const PATHS = ['direct', 'relay-udp', 'relay-tcp', 'relay-tls'];

/** The way by which one end sends, by its own candidate pair: it knows of no relay but its own. */
export function ownPath({ connections }) {
  const { local } = connections.at(-1).pair;
  return local.candidateType === 'relay' ? `relay-${local.relayProtocol}` : 'direct';
}

/** The way of a call as a whole: the worse of its ends' ways. */
export function worst(paths) {
  return PATHS[Math.max(...paths.map((path) => PATHS.indexOf(path)))];
}
