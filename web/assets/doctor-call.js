/**
 * A call from this page to itself through one relay: one end has the relay alone, the other one every way it has. So packets
 * come in at the relay from outside, as those of most peers do, unless nothing but the relay gets out from here.
 */

import { readPath } from "./sdk-path.js";

/** How long a call may take to come about, in milliseconds. */
const PATIENCE_MS = 12_000;

/** Messages that are sent through the call, and bytes of each: about what a voice packet has. */
const MESSAGES = 10;
const LENGTH = 100;

/** After how long a message counts as lost, and how far the messages are apart. */
const LOST_AFTER_MS = 1_500;
const APART_MS = 20;

/** How long the second call may take, which is made only where UDP works: its packets come from outside or not at all. */
const OUTSIDE_MS = 5_000;

/** Calls through a relay. `stun` are servers that tell the other end its address. */
export async function callThrough({ url, username, credential, transport }, stun) {
  const relay = { urls: [url], username, credential };
  const { isSeenOutside, ...fact } = { url, transport, ...(await call([relay], [...stun, relay], PATIENCE_MS)) };
  if (fact.isFromOutside !== false || !isSeenOutside) return fact;
  // The other end took the relay too, although it has UDP. Without one it shows whether it could have done without.
  const again = await call([relay], stun, OUTSIDE_MS);
  return again.returned > 0 ? { ...fact, ...again, isSeenOutside: undefined } : { ...fact, isClosed: true };
}

/** Calls from an end that has relays alone to one with these servers. */
async function call(relays, servers, patience) {
  const near = new RTCPeerConnection({ iceServers: relays, iceTransportPolicy: "relay" });
  const far = new RTCPeerConnection({ iceServers: servers });
  const start = performance.now();
  const since = () => Math.round(performance.now() - start);
  const fact = { errors: [], isSeenOutside: false };
  try {
    near.onicecandidateerror = ({ errorCode, errorText }) => fact.errors.push({ errorCode, errorText });
    far.addEventListener("icecandidate", ({ candidate }) => {
      fact.isSeenOutside ||= candidate?.type === "srflx";
    });
    const gathered = watchAllocation(near, fact, since);
    exchangeCandidates(near, far);
    const channel = near.createDataChannel("doctor", { ordered: false, maxRetransmits: 0 });
    far.ondatachannel = ({ channel: theirs }) => {
      theirs.onmessage = ({ data }) => theirs.send(data);
    };
    await describe(near, far);
    const isHopeless = gathered.then((has) => (has ? new Promise(() => {}) : false));
    const isOpen = await Promise.race([opened(channel), isHopeless, late(patience)]);
    if (!isOpen) return { ...fact, error: fact.allocatedMs === undefined ? "no-allocation" : "no-call" };
    fact.connectedMs = since();
    return { ...fact, ...(await measure(channel)), ...(await ways(near, far)) };
  } catch (error) {
    return { ...fact, error: "no-call", text: String(error) };
  } finally {
    near.close();
    far.close();
  }
}

/** Resolves with whether there was an allocation, once that is known. */
function watchAllocation(connection, fact, since) {
  return new Promise((resolve) => {
    connection.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate?.type === "relay") {
        fact.allocatedMs ??= since();
        fact.relayed ??= `${candidate.address}:${candidate.port}`;
        resolve(true);
      }
    });
    connection.addEventListener("icegatheringstatechange", () => {
      if (connection.iceGatheringState === "complete") resolve(fact.allocatedMs !== undefined);
    });
  });
}

function exchangeCandidates(one, other) {
  for (const [from, to] of [[one, other], [other, one]]) {
    from.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate) to.addIceCandidate(candidate).catch(() => {});
    });
  }
}

async function describe(one, other) {
  await one.setLocalDescription();
  await other.setRemoteDescription(one.localDescription);
  await other.setLocalDescription();
  await one.setRemoteDescription(other.localDescription);
}

function opened(channel) {
  return new Promise((resolve) => {
    channel.onopen = () => resolve(true);
  });
}

function late(ms) {
  return new Promise((resolve) => {
    setTimeout(() => resolve(false), ms);
  });
}

/** Has messages echoed: how many came back, and after how long. */
async function measure(channel) {
  const sentAt = new Map();
  const trips = [];
  const all = new Promise((resolve) => {
    channel.onmessage = ({ data }) => {
      const [number] = new Uint8Array(data);
      trips.push(performance.now() - sentAt.get(number));
      if (trips.length === MESSAGES) resolve();
    };
  });
  channel.binaryType = "arraybuffer";
  for (let number = 0; number < MESSAGES; number += 1) {
    sentAt.set(number, performance.now());
    channel.send(new Uint8Array(LENGTH).fill(number));
    await late(APART_MS);
  }
  await Promise.race([all, late(LOST_AFTER_MS)]);
  trips.sort((a, b) => a - b);
  const middle = trips[Math.floor(trips.length / 2)];
  return { sent: MESSAGES, returned: trips.length, rttMs: middle === undefined ? null : Math.round(middle * 10) / 10 };
}

/** By what the far end came to the relay, and what the relay saw of it. */
async function ways(near, far) {
  const [own, theirs] = [readPath(await near.getStats()), readPath(await far.getStats())];
  return { isFromOutside: theirs?.local !== "relay", seenAs: own?.remote ?? null };
}
