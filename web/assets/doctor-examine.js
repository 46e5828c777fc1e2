/** Tries everything, and collects what it saw: facts alone, without any opinion of them. */

import { callThrough } from "./doctor-call.js";

/** How long anything may take that answers at all, in milliseconds. */
const PATIENCE_MS = 8_000;

/** How long gathering may take: browsers give up a silent server after about ten seconds. */
const GATHERING_MS = 12_000;

/** Examines the way to the server that this page is from. `found(name, fact)` hears of each fact as soon as it is known. */
export async function examine(found) {
  const facts = {
    server: location.origin,
    at: new Date().toISOString(),
    browser: navigator.userAgent,
    isOnline: navigator.onLine,
    isSecure: isSecureContext,
    hasWebRtc: typeof RTCPeerConnection === "function",
  };
  const take = async (name, work) => {
    facts[name] = await work;
    found(name, facts[name]);
    return facts[name];
  };
  const ice = await take("ice", askForRelays());
  found("page", facts);
  const servers = ice.servers ?? [];
  const tests = [take("websocket", openWebSocket()), take("polling", openSession())];
  if (facts.hasWebRtc) {
    tests.push(take("gathering", gather(servers)));
    const relays = relayUrls(servers);
    facts.relays = [];
    tests.push(
      ...relays.map(async (relay) => {
        const result = await callThrough(relay, stunServers(servers));
        facts.relays.push(result);
        found("relay", result);
      }),
    );
  }
  await Promise.all(tests);
  facts.relays?.sort((a, b) => TRANSPORTS.indexOf(a.transport) - TRANSPORTS.indexOf(b.transport));
  // The credentials have done their work; a report is for others.
  ice.urls = servers.flatMap(({ urls }) => urls);
  delete ice.servers;
  return facts;
}

export const TRANSPORTS = ["udp", "tcp", "tls"];

/** Asks `/ice`, and compares clocks by the way. */
async function askForRelays() {
  const before = Date.now();
  try {
    const response = await fetch("/ice", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    const ms = Date.now() - before;
    if (!response.ok) return { error: "status", status: response.status, ms };
    const date = Date.parse(response.headers.get("date") ?? "");
    const { iceServers, ttl } = await response.json();
    return { ms, servers: iceServers, ttl, aheadSeconds: skew(date, before, before + ms) };
  } catch (error) {
    return { error: nameOf(error), ms: Date.now() - before };
  }
}

/** Seconds by which this machine's clock is ahead; the server's time has whole seconds. */
function skew(date, first, last) {
  if (Number.isNaN(date)) return null;
  if (date + 1000 < first) return Math.round((first - 1000 - date) / 1000);
  return date > last ? -Math.round((date - last) / 1000) : 0;
}

function nameOf(error) {
  if (error instanceof SyntaxError) return "unexpected";
  return error.name === "TimeoutError" ? "silent" : "unreachable";
}

/** Opens a WebSocket and waits for its first message. */
function openWebSocket() {
  const url = new URL("/signal", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const start = performance.now();
  return new Promise((resolve) => {
    const socket = new WebSocket(url);
    const end = (fact) => {
      clearTimeout(late);
      socket.onclose = null;
      socket.close();
      resolve(fact);
    };
    const late = setTimeout(() => end({ error: "silent" }), PATIENCE_MS);
    socket.onmessage = () => end({ ms: Math.round(performance.now() - start) });
    socket.onclose = () => end({ error: "closed" });
  });
}

/** Opens an Engine.IO session by polling, and closes it. */
async function openSession() {
  const start = performance.now();
  const url = "/socket.io/?EIO=4&transport=polling";
  try {
    const response = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!response.ok) return { error: "status", status: response.status };
    const opened = await response.text();
    if (!opened.startsWith("0{")) return { error: "unexpected" };
    const ms = Math.round(performance.now() - start);
    const { sid } = JSON.parse(opened.slice(1));
    await fetch(`${url}&sid=${encodeURIComponent(sid)}`, { method: "POST", body: "1" }).catch(() => {});
    return { ms };
  } catch (error) {
    return { error: nameOf(error) };
  }
}

/** Gathers candidates from all servers at once, as a call does. */
async function gather(iceServers) {
  const connection = new RTCPeerConnection({ iceServers });
  const start = performance.now();
  const since = () => Math.round(performance.now() - start);
  const candidates = [];
  const errors = [];
  const isComplete = await new Promise((resolve) => {
    connection.onicecandidate = ({ candidate }) => {
      if (candidate?.candidate) candidates.push({ ...read(candidate), ms: since() });
    };
    connection.onicecandidateerror = ({ url, errorCode, errorText }) => errors.push({ url, errorCode, errorText, ms: since() });
    connection.onicegatheringstatechange = () => {
      if (connection.iceGatheringState === "complete") resolve(true);
    };
    setTimeout(() => resolve(false), GATHERING_MS);
    connection.createDataChannel("gathering");
    connection.setLocalDescription();
  });
  const ms = since();
  connection.close();
  return { ms, isComplete, candidates, errors };
}

function read({ type, protocol, address, port, relatedPort, tcpType, url, relayProtocol }) {
  return { type, protocol, address, port, relatedPort, tcpType, url, relayProtocol };
}

function relayUrls(servers) {
  return servers.flatMap(({ urls, username, credential }) =>
    [urls].flat().filter((url) => /^turns?:/.test(url)).map((url) => ({ url, username, credential, transport: transportOf(url) })));
}

function stunServers(servers) {
  const urls = servers.flatMap((server) => [server.urls].flat()).filter((url) => url.startsWith("stun:"));
  return urls.length > 0 ? [{ urls }] : [];
}

function transportOf(url) {
  if (url.startsWith("turns:")) return "tls";
  return url.includes("transport=tcp") ? "tcp" : "udp";
}
