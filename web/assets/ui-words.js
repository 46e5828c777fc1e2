/** Words: room names that can be read aloud, initials, colours for people, and what a path means. */

const QUALITIES = ["amber", "brisk", "calm", "clear", "copper", "crisp", "early", "gentle", "golden", "green", "hazel", "idle", "jolly", "keen", "lucky", "mellow", "misty", "noble", "olive", "plain", "quiet", "rapid", "silver", "sunny", "tidy", "velvet", "warm", "witty"];
const THINGS = ["alder", "badger", "beacon", "bridge", "cedar", "comet", "crane", "ember", "falcon", "fern", "harbor", "heron", "island", "juniper", "lantern", "maple", "meadow", "otter", "pebble", "plover", "quarry", "raven", "river", "sparrow", "summit", "thicket", "walnut", "willow"];

/** Returns a room name that is easy to read aloud and hard to guess: 28 x 28 x 9000 of them. */
export function randomRoom() {
  const [a, b, c] = crypto.getRandomValues(new Uint32Array(3));
  return `${QUALITIES[a % QUALITIES.length]}-${THINGS[b % THINGS.length]}-${1000 + (c % 9000)}`;
}

export function initials(name) {
  const words = name.trim().split(/\s+/);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : [words[0]];
  return letters.map((word) => [...word][0] ?? "?").join("").toUpperCase();
}

/** Returns a hue for a name, always the same. */
export function hue(name) {
  let sum = 7;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 360;
  return sum;
}

export const PATHS = {
  direct: { label: "Direct", icon: "direct", short: "direct" },
  "relay-udp": { label: "Relay · UDP", icon: "relay", short: "UDP" },
  "relay-tcp": { label: "Relay · TCP", icon: "relay", short: "TCP" },
  "relay-tls": { label: "Relay · TLS", icon: "relay", short: "TLS" },
};

/** Says in plain words which way the call with somebody goes. */
export function explainPath(path, name) {
  switch (path) {
    case "direct":
      return `You and ${name} are connected directly. Nothing in between carries the call.`;
    case "relay-udp":
      return `No direct line to ${name} was found, so a relay passes the call on, over UDP. What it carries is encrypted.`;
    case "relay-tcp":
      return `A network on the way lets no UDP through, so a relay passes the call with ${name} on, over TCP. It may lag when the line is poor.`;
    case "relay-tls":
      return `A network on the way lets only web traffic through, so a relay passes the call with ${name} on, inside TLS. It may lag when the line is poor.`;
    default:
      return `Looking for the best way to ${name}.`;
  }
}

export const STATES = {
  new: "Waiting for an answer…",
  connecting: "Connecting…",
  disconnected: "The line is breaking up…",
  failed: "Trying another line…",
};

export function milliseconds(seconds) {
  return Number.isFinite(seconds) ? `${Math.max(1, Math.round(seconds * 1000))} ms` : "not known yet";
}

export function rate(bits) {
  if (!Number.isFinite(bits)) return "not known yet";
  return bits >= 1e6 ? `${(bits / 1e6).toFixed(1)} Mb/s` : `${Math.round(bits / 1e3)} kb/s`;
}
