// The page of a room, as a test sees it: by its `data-` attributes, and by what the browser itself knows.

/**
 * Runs before the page's own scripts: every connection is kept where the test finds it, as what a page shows is compared with
 * what the browser knows; and every WebSocket, which a test can cut.
 */
export function keepConnections() {
  globalThis.webSockets = [];
  globalThis.WebSocket = class WebSocket extends globalThis.WebSocket {
    constructor(...args) {
      super(...args);
      globalThis.webSockets.push(this);
    }
  };
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
  // Whose connection to the server has died is back as `ann1` until the server has noticed that, too.
  const named = [...document.querySelectorAll('video[data-peer]')].filter(({ dataset }) => dataset.peer.replace(/\d+$/, '') === name);
  const video = named.at(-1);
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

/**
 * Runs in the page: measures the sound that comes from now on. Sound comes as a packet each 20 ms, so what is missing in a time
 * is that time less 20 ms for each packet: that does not depend on how often the page gets to look.
 */
export function listen() {
  const connection = globalThis.peerConnections.findLast(({ connectionState }) => connectionState === 'connected');
  const heard = { packets: 0, longestGap: 0 };
  globalThis.heard = heard;
  let before = null;
  const look = async () => {
    for (const { type, kind, packetsReceived, lastPacketReceivedTimestamp: at } of (await connection.getStats()).values()) {
      if (type !== 'inbound-rtp' || kind !== 'audio' || !at || at === before?.at) continue;
      if (before) {
        const packets = packetsReceived - before.packets;
        heard.packets += packets;
        heard.longestGap = Math.max(heard.longestGap, Math.round(at - before.at - 20 * packets));
      }
      before = { at, packets: packetsReceived };
    }
    if (globalThis.heard === heard) setTimeout(look, 50);
  };
  return look();
}

/** Runs in the page: how many packets of sound came since `listen`, and the longest time in milliseconds for which none did. */
export const heard = () => globalThis.heard;

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
