/**
 * What follows from the facts: a line for each thing that was tried, the verdict, and problems with their side and advice. The
 * kinds and most words are those of `jackfield doctor`.
 */

import { explainMissingRelay } from "./ui-words.js";

const TLS_LISTENER = "`jackfield serve --listen-tls 0.0.0.0:443 --tls-cert FILE --tls-key FILE`";
const PASS_ON = "If a proxy is in front of Jackfield, have it pass on /ice, /signal and /socket.io/.";

/** Seconds by which clocks may differ without harm. */
const SKEW = 60;

/** Gathering that takes longer keeps people waiting, in milliseconds. */
const SLOW_GATHERING = 5_000;

const WORST = ["ok", "note", "degraded", "broken"];

/** Returns the verdict, the problems and all lines, as `jackfield doctor --json` has them. */
export function conclude(facts) {
  const problems = problemsOf(facts);
  problems.sort((a, b) => WORST.indexOf(b.health) - WORST.indexOf(a.health));
  const { kind, text, health } = verdictOf(facts, problems);
  // What is only worth a note does not spoil a verdict.
  const worst = [health, ...problems.map((problem) => problem.health)].filter((it) => it !== "note");
  return {
    server: facts.server,
    verdict: {
      health: worst.reduce((a, b) => (WORST.indexOf(b) > WORST.indexOf(a) ? b : a), "ok"),
      kind,
      text,
      why_not: problems.map(({ why }) => why),
      do: [...new Set(problems.flatMap((problem) => problem.do))],
    },
    relay: relayState(facts),
    problems: problems.map(({ verdict: _, ...rest }) => rest),
    lines: linesOf(facts),
  };
}

/** Returns the line about one fact, as soon as it is known. */
export function lineOf(name, fact) {
  return LINES[name](fact);
}

function linesOf(facts) {
  const lines = [lineOf("page", facts), lineOf("ice", facts.ice)];
  if (Number.isFinite(facts.ice.aheadSeconds)) lines.push(clock(facts.ice.aheadSeconds));
  lines.push(lineOf("websocket", facts.websocket), lineOf("polling", facts.polling));
  if (!facts.hasWebRtc) return lines;
  lines.push(lineOf("gathering", facts.gathering), udp(facts));
  const mapping = mappingOf(facts);
  if (mapping) lines.push(mappingLine(mapping));
  return [...lines, ...facts.relays.map((relay) => lineOf("relay", relay))];
}

const LINES = {
  page: ({ isSecure, hasWebRtc }) => ({
    topic: "Page",
    health: isSecure && hasWebRtc ? "ok" : "degraded",
    seen: `${isSecure ? "secure" : "not secure"}, ${hasWebRtc ? "with" : "without"} WebRTC`,
    tried: "Looked at what the browser lets this page do.",
    means: isSecure ? "" : "Browsers give a camera and a microphone to secure pages alone.",
  }),
  ice: (ice) => ({
    topic: "Server",
    health: ice.error ? "broken" : "ok",
    seen: ice.error ? failure(ice) : `answered in ${ice.ms} ms`,
    tried: "Asked /ice for relays and credentials.",
    means: ice.error ? "Without credentials no relay can be tried." : "",
  }),
  websocket: (fact) => ({
    topic: "Signaling",
    health: fact.error ? "broken" : "ok",
    seen: fact.error ? failure(fact) : `the server said hello after ${fact.ms} ms`,
    tried: "Opened a WebSocket to /signal.",
    means: fact.error ? "People cannot find each other by WebSocket." : "",
  }),
  polling: (fact) => ({
    topic: "Polling",
    health: fact.error ? "broken" : "ok",
    seen: fact.error ? failure(fact) : `a session after ${fact.ms} ms`,
    tried: "Asked /socket.io/ for a session by polling.",
    means: fact.error ? "Socket.IO cannot connect by polling." : "",
  }),
  gathering: (fact) => {
    const hosts = distinct(fact, "host");
    const hidden = hosts.filter(isHidden).length;
    const outside = distinct(fact, "srflx");
    const seen = outside.length > 0 ? `; seen from outside as ${outside.join(", ")}` : "";
    return {
      topic: "Addresses",
      health: hosts.length === 0 ? "broken" : fact.ms > SLOW_GATHERING ? "note" : "ok",
      seen: `${hosts.length} of this machine${hidden ? " (hidden by the browser)" : ""}${seen}; all known after ${fact.ms} ms`,
      tried: "Gathered candidates as a call does.",
      means: hidden
        ? "The browser hides this machine's own addresses behind names (mDNS). Peers in the same network find it all the same if the network passes multicast on."
        : "",
    };
  },
  relay: (relay) => ({
    topic: `Relay ${relay.transport.toUpperCase()}`,
    health: isUsable(relay) ? (relay.returned < relay.sent || isClosed(relay) ? "degraded" : "ok") : "broken",
    seen: relaySeen(relay),
    tried: `Called itself through ${relay.url}.`,
    means: relayMeans(relay),
  }),
};

function relaySeen(relay) {
  if (relay.error === "no-allocation") return `no allocation: ${allocationError(relay)}`;
  const allocated = `${relay.relayed} after ${relay.allocatedMs} ms`;
  if (relay.error) return `${allocated}; no call came about`;
  const trip = relay.rttMs === null ? "" : `, ${relay.rttMs} ms there and back`;
  return `${allocated}; connected after ${relay.connectedMs} ms; ${relay.returned} of ${relay.sent} messages came back${trip}`;
}

function relayMeans(relay) {
  if (!isUsable(relay)) return "Calls do not get through by this relay.";
  if (relay.isFromOutside) return "Calls get through by this relay; packets came in from outside.";
  if (isClosed(relay)) return "Two clients of this relay reach each other; packets from outside do not come in.";
  return "Calls get through by this relay. Whether packets come in from outside could not be tried.";
}

function clock(ahead) {
  return {
    topic: "Clock",
    health: Math.abs(ahead) < SKEW ? "ok" : "degraded",
    seen: ahead === 0 ? "agrees with the server's" : skewInWords(ahead),
    tried: "Compared this machine's clock with the time of the server's answer.",
    means: "",
  };
}

function udp(facts) {
  const works = isUdpAnswered(facts);
  return {
    topic: "UDP",
    health: works ? "ok" : "broken",
    seen: works ? "gets out and back" : "no answer",
    tried: "Looked for answers by UDP among all of the above and below.",
    means: works ? "" : "Something drops UDP on the way, or the server has no UDP port.",
  };
}

function mappingLine(mapping) {
  const [health, seen, means] = {
    host: ["ok", "none: the relay saw this machine's own address", "Addresses are not translated on the way to this server."],
    srflx: ["ok", "the relay saw the port that the STUN server told", "Peers reach this machine at the address that a server tells it."],
    prflx: ["degraded", "the relay saw another port than the STUN server told", "Each peer sees another port than a server does (a \"symmetric\" NAT)."],
  }[mapping];
  return { topic: "Mapping", health, seen, tried: "Compared what the STUN server and the relay saw of one socket.", means };
}

function verdictOf(facts, problems) {
  const fatal = problems.find(({ health }) => health === "broken");
  if (fatal) return { kind: fatal.kind, text: fatal.verdict, health: "broken" };
  if (isUdpAnswered(facts)) return direct(facts);
  const working = facts.relays.filter(isUsable).map(({ transport }) => transport);
  if (working.includes("tcp")) return { kind: "relay-over-tcp-only", health: "degraded", text: "UDP is blocked: calls work through a relay over TCP alone, with more delay." };
  if (working.includes("tls")) return { kind: "relay-over-tls-only", health: "degraded", text: "UDP is blocked: calls work through a relay inside TLS alone, with more delay." };
  return { kind: "no-calls", health: "broken", text: "UDP is blocked and no relay can be reached: no call gets through." };
}

function direct(facts) {
  const rest = {
    works: "the others are reached through the relay, which works.",
    broken: "the others are not reached at all, for no relay works.",
    "not-offered": "the others are not reached, for the server names no relay.",
  }[relayState(facts)];
  switch (mappingOf(facts)) {
    case "host":
      return { kind: "most-peers", health: "ok", text: `Direct connections to most peers: there is no NAT on the way to this server; ${rest}` };
    case "srflx":
      return { kind: "most-peers", health: "ok", text: `Direct connections to most peers are likely. Those behind symmetric NATs are the exception; ${rest}` };
    case "prflx":
      return { kind: "few-peers", health: "ok", text: `Direct connections to few peers, as this NAT gives each of them another port; ${rest}` };
    default:
      return { kind: "unknown-peers", health: "ok", text: `UDP works; how many peers are reached directly is not known; ${rest}` };
  }
}

function problemsOf(facts) {
  const fatal = unreachable(facts);
  if (fatal) return [fatal];
  const problems = [];
  if (facts.websocket.error && facts.polling.error) {
    problems.push(problem("no-signaling", "server", "broken", "Neither a WebSocket to /signal nor a session by polling comes about.", [PASS_ON], "The server answers, but people cannot find each other on it."));
  } else if (facts.websocket.error) {
    problems.push(problem("no-websocket", "server", "degraded", "WebSockets to /signal do not open, although pages are served.", ["If a proxy is in front of Jackfield, have it pass on WebSockets (nginx: `proxy_http_version 1.1`, and the headers Upgrade and Connection)."]));
  } else if (facts.polling.error) {
    problems.push(problem("no-polling", "server", "degraded", "Socket.IO gets no session by polling.", ["If a proxy is in front of Jackfield, have it pass on /socket.io/ too."]));
  }
  if (distinct(facts.gathering, "host").length === 0 && facts.gathering.candidates.length === 0) {
    problems.push(problem("webrtc-off", "machine", "broken", "The browser gives no address at all to this page.", ["Switch off what hides addresses: an extension, or a setting of a VPN or of the browser, that forbids WebRTC."], "The browser lets no call out: something forbids WebRTC."));
  }
  problems.push(...udpProblems(facts), ...relayProblems(facts), ...networkProblems(facts));
  return problems;
}

/** Returns what keeps everything else from being tried. */
function unreachable({ ice, websocket, isOnline, hasWebRtc }) {
  if (!hasWebRtc) {
    return problem("webrtc-off", "machine", "broken", "This browser has no WebRTC, or an extension hides it.", ["Take another browser, or switch off the extension that hides WebRTC."], "This browser cannot call: it has no WebRTC.");
  }
  if (!ice.error) return null;
  if (!isOnline) return problem("offline", "machine", "broken", "This machine is not connected to any network.", ["Connect this machine to a network, and try again."], "This machine is not connected to the internet, so nothing can be tried.");
  if (ice.error === "unreachable" || ice.error === "silent") {
    return problem("nothing-answers", "server-or-network", "broken", "The server gave this page and does not answer any more.", ["Check that the server runs, and that this machine is still in the same network."], "The server does not answer any more.");
  }
  if (websocket.error) return problem("not-jackfield", "server", "broken", "What answers has no list of relays at /ice, and opens no WebSocket at /signal, as Jackfield does.", [PASS_ON], "What answers here is a web server, but not Jackfield.");
  return problem("no-ice-servers", "server", "broken", "The server does not say where its relays are: /ice does not answer as it should.", ["If a proxy is in front of Jackfield, have it pass on /ice too."], "The server does not say where its relays are: most calls will not get through.");
}

function udpProblems(facts) {
  if (isUdpAnswered(facts)) return [];
  const advice = ["Have the firewall let out UDP to the server's port, and its answers back in.", "If UDP fails from everywhere, have the server's firewall, or its cloud's security group, let in its UDP port."];
  if (!facts.relays.some(isUsable)) {
    const tls = facts.relays.find(({ transport }) => transport === "tls");
    advice.push(tls
      ? `The server has a TLS listener (${tls.url}), and it is not reached from here either: have the firewall let that out, or put it on port 443.`
      : `Give the server a TLS listener on port 443, which few firewalls block: ${TLS_LISTENER}.`);
  }
  return [problem("udp-silent", "server-or-network", "degraded", "UDP to the server is not answered, although its pages are.", advice)];
}

function relayProblems(facts) {
  if (facts.relays.length === 0) return [problem("no-relay-offered", "server", "degraded", "The server names no relay.", ["On the server: have /ice name a `turn:` URL, as `jackfield serve` does by itself."])];
  const isUdp = isUdpAnswered(facts);
  return facts.relays.flatMap((relay) => {
    // Without UDP it says nothing of a relay that is reached by UDP.
    if (relay.transport === "udp" && !isUdp && relay.error) return [];
    return relayProblem(relay) ?? [];
  });
}

function relayProblem(relay) {
  const { url, error } = relay;
  if (error === "no-allocation") {
    const code = relay.errors.find(({ errorCode }) => errorCode !== 701)?.errorCode;
    if (code === 401 || code === 441) return problem("relay-refuses", "server", "degraded", `The relay ${url} does not accept the credentials of /ice.`, ["On the server: give every Jackfield of this site the same --secret, and check its clock."]);
    if (code) return problem("relay-refuses", "server", "degraded", `The relay ${url} refuses: ${allocationError(relay)}.`, ["On the server: it may have no more room for relays; see the limits in `jackfield config explain`."]);
    const missing = relay.transport === "tls" && explainMissingRelay([{ urls: [url] }]);
    if (missing) return problem("relay-unreachable", "server", "degraded", `The relay ${url} is not reached.`, [missing, "On the server: name it by --public-host HOST, with a certificate for that name."]);
    const advice = relay.transport === "tls"
      ? `Check that the firewall lets that out, that the server listens there, and that its certificate is one that browsers trust: \`jackfield doctor --server ${location.origin}\` tells these apart.`
      : `On the server: check that it listens where ${url} says, and have its firewall let that in.`;
    return problem("relay-unreachable", "server-or-network", "degraded", `The relay ${url} is not reached.`, [advice]);
  }
  if (!isUsable(relay)) return problem("relay-carries-nothing", "server", "degraded", `The relay ${url} gives an address, and carries no call.`, ["On the server: look at its log, and have its firewall let in UDP to the relays' ports, 49152 to 65535 unless --relay-ports says otherwise."]);
  if (isClosed(relay)) {
    return problem("relay-ports-closed", "server-or-network", "degraded", `Packets from this machine do not come in at the relay's ${relay.relayed}: a firewall drops them, the server's or one on this side.`, ["On the server: have its firewall, or its cloud's security group, let in UDP to the relays' ports, 49152 to 65535 unless --relay-ports says otherwise."]);
  }
  return null;
}

function networkProblems(facts) {
  const problems = [];
  const ahead = facts.ice.aheadSeconds;
  if (Number.isFinite(ahead) && Math.abs(ahead) >= SKEW) {
    problems.push(problem("clock-skew", "machine", "degraded", `This machine's clock is ${skewInWords(ahead)}: certificates and time-limited credentials may seem to have ended.`, ["Set this machine's clock by the network.", "If it is right, set the server's."]));
  }
  if (!facts.isSecure) {
    problems.push(problem("page-not-secure", "server", "degraded", "This page is not secure, and browsers give a camera and a microphone to secure pages alone.", [`Serve it by https: ${TLS_LISTENER}.`]));
  }
  if (mappingOf(facts) === "prflx") {
    problems.push(problem("nat-maps-by-destination", "router", "degraded", "The NAT maps by destination (\"symmetric\"): the port that a server tells is not the one that peers see.", ["Set the router's NAT to \"full cone\", \"open\" or endpoint-independent, if it has such a switch."]));
  }
  const outside = new Set(facts.gathering.candidates.filter(({ type, address }) => type === "srflx" && address?.includes(".")).map(({ address }) => address));
  if (outside.size > 1) {
    problems.push(problem("several-uplinks", "machine", "note", `This machine is seen at several outside addresses (${[...outside].join(", ")}): it has several uplinks, or a VPN beside its own network.`, []));
  }
  if (facts.gathering.ms > SLOW_GATHERING && isUdpAnswered(facts)) {
    problems.push(problem("gathering-slow", "machine", "note", `It took ${Math.round(facts.gathering.ms / 1000)} s until all addresses were known: a server or an interface keeps silent.`, []));
  }
  return problems;
}

function problem(kind, side, health, why, advice, verdict = why) {
  return { kind, side, health, why, do: advice, verdict };
}

function relayState({ ice, relays = [] }) {
  if (ice.error) return "not-tried";
  if (relays.length === 0) return "not-offered";
  return relays.some(isUsable) ? "works" : "broken";
}

function isUsable({ returned }) {
  return returned > 0;
}

/** Whether packets from outside do not come in, although this machine sends some. */
function isClosed({ isClosed: closed, relayed }) {
  return closed === true && !isPrivate(relayed);
}

/** Whether anything was answered by UDP. */
function isUdpAnswered({ gathering, relays = [] }) {
  const isByUdp = ({ type, relayProtocol, protocol }) => type === "srflx" && protocol === "udp" || type === "relay" && relayProtocol === "udp";
  const isRelayed = (relay) => relay.transport === "udp" && relay.allocatedMs !== undefined || relay.isFromOutside === true;
  return Boolean(gathering?.candidates.some(isByUdp)) || relays.some(isRelayed);
}

/** What the relays saw of this machine: its own address, the one that a STUN server told, or another one. */
function mappingOf({ relays = [] }) {
  const seen = relays.filter(({ isFromOutside }) => isFromOutside).map(({ seenAs }) => seenAs);
  return ["prflx", "srflx", "host"].find((type) => seen.includes(type)) ?? null;
}

function allocationError({ errors }) {
  const worst = errors.find(({ errorCode }) => errorCode !== 701) ?? errors[0];
  return worst ? `${worst.errorCode} ${worst.errorText}`.trim() : "no answer";
}

function failure({ error, status }) {
  switch (error) {
    case "status": return `it answers with status ${status}`;
    case "silent": return "no answer";
    case "closed": return "it closes the connection";
    case "unexpected": return "it answers, but not as Jackfield does";
    default: return "no connection";
  }
}

function distinct({ candidates }, wanted) {
  return [...new Set(candidates.filter(({ type, protocol }) => type === wanted && protocol === "udp").map(({ address }) => address))];
}

function isHidden(address) {
  return address.endsWith(".local");
}

/** Whether an address and port are of a private network, or of this machine. */
function isPrivate(address = "") {
  return /^(10\.|127\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|\[?(::1|f[cd]))/i.test(address);
}

function skewInWords(ahead) {
  const by = Math.abs(ahead);
  const amount = by < 120 ? `${by} s` : by < 7_200 ? `${Math.floor(by / 60)} min` : by < 172_800 ? `${Math.floor(by / 3_600)} h` : `${Math.floor(by / 86_400)} days`;
  return `${amount} ${ahead > 0 ? "ahead of" : "behind"} the server's`;
}

