/** Words: room names that can be read, initials, colours for people, and what a path means. */

const QUALITIES = ["amber", "brisk", "calm", "clear", "copper", "crisp", "early", "gentle", "golden", "green", "hazel", "idle", "jolly", "keen", "lucky", "mellow", "misty", "noble", "olive", "plain", "quiet", "rapid", "silver", "sunny", "tidy", "velvet", "warm", "witty"];
const THINGS = ["alder", "badger", "beacon", "bridge", "cedar", "comet", "crane", "ember", "falcon", "fern", "harbor", "heron", "island", "juniper", "lantern", "maple", "meadow", "otter", "pebble", "plover", "quarry", "raven", "river", "sparrow", "summit", "thicket", "walnut", "willow"];

const LETTERS = "abcdefghijklmnopqrstuvwxyz234567";
const SECRET_LETTERS = 13;
const PROPOSED = new RegExp(`^([a-z]+-[a-z]+)-[${LETTERS}]{${SECRET_LETTERS}}$`);

/** Returns a room name to read, and behind it a secret of 65 bits: whoever guesses the name of a room is in it. */
export function randomRoom() {
  const secret = Array.from(crypto.getRandomValues(new Uint8Array(SECRET_LETTERS)), (byte) => LETTERS[byte % LETTERS.length]);
  return `${oneOf(QUALITIES)}-${oneOf(THINGS)}-${secret.join("")}`;
}

/** Returns what people read of a room's name: all of it but the secret of `randomRoom`. */
export function readableRoom(name) {
  return PROPOSED.exec(name)?.[1] ?? name;
}

/** Each of the words is as likely as the others: numbers above the last multiple of their count are drawn again. */
function oneOf(words) {
  const limit = 2 ** 32 - (2 ** 32 % words.length);
  for (;;) {
    const [number] = crypto.getRandomValues(new Uint32Array(1));
    if (number < limit) return words[number % words.length];
  }
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

/** Whether a `turns:` URL names its relay by an IP address, at which Firefox does not try it. */
export function isAtAddress(url) {
  return /^turns:(\[|\d{1,3}(\.\d{1,3}){3}(:|\?|$))/.test(url);
}

/** Says why this browser lacks the relay inside TLS that the server offers, or an empty string. */
export function explainMissingRelay(iceServers, userAgent = navigator.userAgent) {
  const relays = iceServers.flatMap(({ urls }) => urls).filter((url) => url.startsWith("turns:"));
  const isMissing = userAgent.includes("Firefox/") && relays.length > 0 && relays.every(isAtAddress);
  return isMissing
    ? "Firefox does not use the relay inside TLS of this server, because it is at an IP address. If the call does not connect, open this page by the server's host name, or in another browser."
    : "";
}

export function milliseconds(seconds) {
  return Number.isFinite(seconds) ? `${Math.max(1, Math.round(seconds * 1000))} ms` : "not known yet";
}

export function rate(bits) {
  if (!Number.isFinite(bits)) return "not known yet";
  return bits >= 1e6 ? `${(bits / 1e6).toFixed(1)} Mb/s` : `${Math.round(bits / 1e3)} kb/s`;
}

export const NO_DEVICES =
  "The browser gives camera and microphone only to pages over HTTPS. You can still watch, listen and chat; to be seen and heard, open this page by its https: address.";

export const FROM_ELSEWHERE =
  "Another site's page has brought you here. Your camera and microphone are off until you press a button.";

/** What keeps a device away, and what to do: by the device's name and its button's. */
const TROUBLES = {
  refused: (device, button) => `The ${device} is blocked for this page: allow it in the site settings beside the address, then press ${button}.`,
  unanswered: (device, button) => `The browser's question about the ${device} was not answered: press ${button} to be asked again.`,
  system: (device, button) => `The system keeps the ${device} from this browser: allow it in the system's privacy settings, then press ${button}.`,
  missing: (device) => `No ${device} was found: plug one in, and it is used at once.`,
  busy: (device, button) => `The ${device} is in use by another program: close that one, then press ${button}.`,
  failed: (device, button) => `The ${device} could not be opened: choose another one, or press ${button} to try again.`,
};

/** Says why there is no sound or picture of one's own (see `LocalMedia.troubles`), and what the others get. */
export function explainTrouble({ audioinput, videoinput }) {
  const sentences = [
    audioinput && TROUBLES[audioinput]("microphone", "Mic"),
    videoinput && TROUBLES[videoinput]("camera", "Camera"),
  ].filter(Boolean);
  if (audioinput && videoinput) sentences.push("You can still watch, listen and chat.");
  else if (audioinput) sentences.push("The others cannot hear you.");
  else if (videoinput) sentences.push("The others cannot see you.");
  return sentences.join(" ");
}

const LONGEST_ROOM = 128;
const HIDDEN = /[\p{Cc}\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/u;

/** Returns why no room can be called so, as the server would, or an empty string. */
export function roomProblem(name) {
  if (name.trim() === "") return "This link names no room.";
  if ([...name].length > LONGEST_ROOM) return `The name of a room has at most ${LONGEST_ROOM} characters; this one has ${[...name].length}.`;
  return HIDDEN.test(name) ? "The name of this room has characters that cannot be seen. Ask for the link again." : "";
}

/** Says that the server does not answer, and what happens next. */
export function explainRetry({ after, error }, leftMs) {
  const wait = Math.max(1, Math.round(after / 1000));
  return `No connection to the server (${error.message}). Trying again in ${wait} s, for another ${Math.max(0, Math.round(leftMs / 1000))} s.`;
}
