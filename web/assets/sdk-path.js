/**
 * By which way a call goes, and how well: read from the statistics of the connection, never guessed.
 *
 * Each end knows for certain only whether it uses a relay itself, and by what: it tells the other. The whole path is as good as
 * the worse of both ends.
 */

const WORSE = ["direct", "relay-udp", "relay-tcp", "relay-tls"];

/** Returns what the statistics say of this end: the selected pair, and the counters of its way. */
export function readPath(report) {
  const pair = selectedPair(report);
  if (!pair) return null;
  const local = report.get(pair.localCandidateId);
  const remote = report.get(pair.remoteCandidateId);
  return {
    relay: local?.candidateType === "relay" ? relayProtocol(local) : null,
    remoteRelays: remote?.candidateType === "relay",
    local: local?.candidateType,
    remote: remote?.candidateType,
    protocol: local?.protocol,
    rtt: pair.currentRoundTripTime,
    bytesReceived: pair.bytesReceived,
    bytesSent: pair.bytesSent,
    at: pair.timestamp,
    /** How long nothing has come, in milliseconds. */
    idle: pair.timestamp - pair.lastPacketReceivedTimestamp,
  };
}

/** Returns the path as `direct`, `relay-udp`, `relay-tcp` or `relay-tls`, of both ends' relays (`null`: none). */
export function worseOf(own, theirs) {
  const word = (relay) => (relay ? `relay-${relay}` : "direct");
  return WORSE[Math.max(WORSE.indexOf(word(own)), WORSE.indexOf(word(theirs)))];
}

/** Returns bits a second between two readings. */
export function bitrate(before, now, counter) {
  const seconds = (now.at - before.at) / 1000;
  const bytes = now[counter] - before[counter];
  return seconds > 0 && bytes >= 0 ? (bytes * 8) / seconds : 0;
}

function selectedPair(report) {
  let chosen = null;
  report.forEach((stat) => {
    if (stat.type === "transport" && stat.selectedCandidatePairId) {
      chosen = report.get(stat.selectedCandidatePairId) ?? chosen;
    }
  });
  // Firefox marks the pair itself.
  if (!chosen) {
    report.forEach((stat) => {
      if (stat.type === "candidate-pair" && (stat.selected || (stat.nominated && stat.state === "succeeded"))) chosen = stat;
    });
  }
  return chosen;
}

/** Some browsers name the way to the relay only in the URL of the server. */
function relayProtocol({ relayProtocol: known, url = "" }) {
  if (["udp", "tcp", "tls"].includes(known)) return known;
  if (url.startsWith("turns:")) return "tls";
  return url.includes("transport=tcp") ? "tcp" : "udp";
}
