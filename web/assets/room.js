import { Client } from "./sdk-client.js";
import { Chat } from "./ui-chat.js";
import { bindDevices } from "./ui-devices.js";
import { action, all, html, icon, one, setIcon } from "./ui-dom.js";
import { Door } from "./ui-door.js";
import { Files } from "./ui-files.js";
import { Grid } from "./ui-grid.js";
import { LocalMedia } from "./ui-media.js";
import { memory } from "./ui-memory.js";
import { meter } from "./ui-meter.js";
import { onFirstClick, openedByPerson } from "./ui-opened.js";
import { Patchbay } from "./ui-patchbay.js";
import { PeerTile, SelfTile } from "./ui-tile.js";
import { clearToasts, toast } from "./ui-toast.js";
import { FROM_ELSEWHERE, explainMissingRelay, explainRetry, readableRoom, roomProblem } from "./ui-words.js";

/** How long joining may take before the page gives up and says why. */
const JOIN_WITHIN_MS = 20_000;
/** What the server's refusals mean to the person. */
const PROBLEMS = {
  "room-full": "The room is full.",
  "server-full": "The server is full. Try again in a while.",
  "room-locked": "The room is locked: nobody new comes in. Ask somebody in it to open it.",
  "not-admitted": "Somebody in the room did not let you in.",
  "knock-timeout": "Nobody answered. Knock again, or tell them that you are waiting.",
  "too-many-waiting": "Too many people wait to be let in. Try again in a while.",
};
/** Why somebody who was in the room is not let in again. */
const SHUT_OUT = ["room-locked", "room-full", "not-admitted", "knock-timeout", "too-many-waiting"];

const query = new URLSearchParams(location.search);
const roomName = decodeRoom();
/** Asked before this page sends itself on: the page that follows is opened by this one. */
const isOpenedByPerson = openedByPerson();
const link = new URL(`/r/${encodeURIComponent(roomName)}`, location.href).href;
const nameField = one('[data-field="name"]');
const relayField = one('[data-field="relay"]');
const media = new LocalMedia();
const self = new SelfTile();
const tiles = new Map();
const patchbay = new Patchbay(one("[data-patchbay]"));
const nobody = makeNobody();
const grid = one("[data-grid]");
const files = new Files({ people: () => [...tiles.keys()] });
const chat = new Chat({ onsend: (text) => room?.send(text) });
const door = new Door({ onnews: tellAll });
let client = null;
let room = null;
let joinBy = 0;
let toldMissingRelay = false;
let waiting = null;

start();

function start() {
  // A space at an end is one that a message or a mail has put there: the server takes none.
  if (roomName !== roomName.trim() && !roomProblem(roomName)) return location.replace(`/r/${encodeURIComponent(roomName.trim())}${location.search}`);
  document.title = `${readableRoom(roomName)} · Jackfield`;
  one("[data-room-name]").textContent = readableRoom(roomName);
  one("[data-room-name]").title = roomName;
  nameField.value = query.get("name") ?? memory.name;
  relayField.checked = query.get("relay") === "1";
  new Grid(grid);
  grid.append(self.element, nobody);
  bindButtons();
  bindDevices(media, setSpeakers);
  media.on("change", showMedia);
  media.on("trouble", (text) => {
    if (document.body.dataset.view === "call") toast(text);
  });
  // A page that comes back from the browser's cache has lost its connections.
  addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
  // For scripts that drive the page.
  window.jackfield = { media, get room() { return room; }, get client() { return client; } };
  const wrong = roomProblem(roomName);
  if (wrong) {
    problem(wrong);
    action("join").disabled = true;
    return;
  }
  const auto = query.get("auto") === "1";
  // Without devices to open there is nothing to keep from anybody.
  if (isOpenedByPerson || !media.allowed) {
    const opened = openMedia();
    if (auto) opened.then(join);
  } else openedFromElsewhere(auto);
}

/** Another site's page may bring a person here, but neither see nor hear them, nor learn their name, before they click. */
async function openedFromElsewhere(auto) {
  one("[data-preview-note]").textContent = FROM_ELSEWHERE;
  if (!auto) {
    return onFirstClick((event) => {
      if (event.target.closest("a")) return;
      // A button of the preview would open a device that is being opened.
      if (event.target.closest(".preview-buttons")) event.stopPropagation();
      openMedia();
    });
  }
  onFirstClick();
  media.wants = { mic: false, cam: false };
  nameField.value = query.get("name") ?? "";
  await join({ isAsked: false });
  nameField.value = query.get("name") ?? memory.name;
  if (room) toast(FROM_ELSEWHERE);
}

async function openMedia() {
  await media.open();
  showMedia();
  meter(media, one("[data-meter]"), () => document.body.dataset.view === "prejoin");
}

async function join({ isAsked = true } = {}) {
  const button = action("join");
  if (button.disabled) return;
  button.disabled = true;
  problem("");
  progress("Connecting…");
  joinBy = Date.now() + JOIN_WITHIN_MS;
  const name = nameField.value.trim();
  if (isAsked && !query.has("name")) memory.name = name;
  if (isAsked) memory.remember(roomName);
  client ??= connectClient();
  try {
    const token = query.get("token") ?? undefined;
    waiting = new AbortController();
    const options = { name, relay: relayField.checked, token, within: JOIN_WITHIN_MS, signal: waiting.signal, onwaiting };
    room = await client.join(roomName, options);
  } catch (error) {
    client.close();
    client = null;
    if (waiting.signal.aborted) view("prejoin");
    else problem(PROBLEMS[error.code] ?? `That did not work: ${error.message}`);
    return;
  } finally {
    button.disabled = false;
    progress("");
    action("stop-waiting").hidden = true;
  }
  listen(room);
  self.setName(room.self.name);
  showMedia();
  view("call");
  one('[data-section="call"]').focus({ preventScroll: true });
  if (matchMedia("(min-width: 1100px)").matches && !chat.open && query.get("chat") === "1") chat.toggle(true);
}

/** Somebody in the room has to let us in. */
function onwaiting() {
  progress("You have knocked. Somebody in the room has to let you in…");
  action("stop-waiting").hidden = false;
}

function connectClient() {
  const transports = query.get("transport")?.split(",");
  const made = new Client(undefined, transports && { transports });
  made.on("state", (state) => showSignaling(state, made.transport));
  made.on("retry", (retry) => {
    if (room) one("[data-signaling-text]").textContent = `Reconnecting… (${retry.attempt})`;
    else progress(explainRetry(retry, joinBy - Date.now()));
  });
  showSignaling(made.state, made.transport);
  return made;
}

function listen(joined) {
  joined.on("self", ({ name }) => self.setName(name));
  joined.on("peer", (peer) => {
    addPeer(peer);
    if (peer.wasHere) return;
    toast(`${peer.name} is here`);
    chat.note(`${peer.name} came in`);
  });
  joined.on("peer-left", (peer) => {
    removePeer(peer);
    toast(`${peer.name} left`);
    chat.note(`${peer.name} left`);
  });
  door.follow(joined);
  joined.on("waiting", () => toast("The room has newcomers knock: somebody has to let you in again."));
  // That somebody left while a candidate was on its way is no news.
  joined.on("refused", ({ re, code, message }) => {
    if (re === "join" && SHUT_OUT.includes(code)) {
      leave();
      problem(PROBLEMS[code]);
      openMedia();
    } else if (["join", "message", "username", "access", "admit"].includes(re)) toast(message);
  });
  joined.on("message", (message) => {
    if (typeof message.text !== "string") return;
    chat.say(message);
    if (!message.own && !chat.open) toast(`${message.name}: ${message.text}`);
  });
}

function addPeer(peer) {
  if (tiles.has(peer)) return;
  peer.on("error", (error) => console.error(`the call with ${peer.name}:`, error));
  const tile = new PeerTile(peer, { onpath: showPatchbay, onblocked, speaker: media.chosen("audiooutput") || undefined });
  peer.on("state", (state) => state === "failed" && tellMissingRelay());
  tiles.set(peer, tile);
  files.follow(peer);
  // Oneself comes last.
  grid.insertBefore(tile.element, self.element);
  nobody.remove();
  showPatchbay();
}

/** Says what those who have the chat closed should see, too. */
function tellAll(words) {
  toast(words);
  chat.note(words);
}

/** A call that fails may lack the relay that this browser does not use: once a page says so. */
function tellMissingRelay() {
  const words = room ? explainMissingRelay(room.iceServers) : "";
  if (!words || toldMissingRelay) return;
  toldMissingRelay = true;
  tellAll(words);
}

function removePeer(peer) {
  tiles.get(peer)?.element.remove();
  tiles.delete(peer);
  if (tiles.size === 0) grid.append(nobody);
  showPatchbay();
}

/** The browser keeps quiet until the person has touched the page. */
function onblocked() {
  const button = action("hear");
  button.hidden = false;
  button.onclick = () => {
    button.hidden = true;
    for (const tile of tiles.values()) tile.hear().catch(() => {});
  };
}

function leave() {
  room?.leave();
  room = null;
  client?.close();
  client = null;
  door.follow(null);
  for (const peer of [...tiles.keys()]) removePeer(peer);
  media.close();
  chat.toggle(false);
  clearToasts();
  view("left");
  showSignaling("idle");
  action("rejoin").focus();
}

async function rejoin() {
  await openMedia();
  await join();
  if (!room) view("prejoin");
}

function showMedia() {
  const preview = one("[data-preview]");
  if (preview.srcObject?.getVideoTracks()[0] !== media.camera) preview.srcObject = media.camera ? new MediaStream([media.camera]) : null;
  one('[data-tile="preview"]').dataset.cam = media.camera ? "on" : "off";
  showTroubles();
  self.show(media);
  for (const [names, on, shown, hidden] of [
    [["mute", "preview-mic"], media.micOn, "mic", "mic-off"],
    [["camera", "preview-cam"], !!media.camera, "cam", "cam-off"],
  ]) {
    for (const button of names.map((name) => action(name))) {
      button.setAttribute("aria-pressed", String(on));
      setIcon(button, on ? shown : hidden);
    }
  }
  action("screen").setAttribute("aria-pressed", String(!!media.screen));
  room?.setMedia({ audio: media.audio, video: media.video }, { screen: !!media.screen });
}

/** Says what is missing; what the person has switched off is not. */
function showTroubles() {
  const note = one("[data-preview-note]");
  note.textContent = media.explanation;
  for (const [mark, kind] of [["data-mic-trouble", "audioinput"], ["data-cam-trouble", "videoinput"]]) {
    const trouble = media.allowed ? media.troubles[kind] : "insecure";
    if (trouble) note.setAttribute(mark, trouble);
    else note.removeAttribute(mark);
  }
}

function showPatchbay() {
  patchbay.show([...tiles.keys()].map(({ name, path, state }) => ({ name, path, state })));
}

function showSignaling(state, transport) {
  const { dataset } = document.body;
  const words = { idle: "", closed: "", connecting: dataset.signaling === "open" ? "Reconnecting…" : "Connecting…" };
  const before = dataset.signaling;
  if (state !== "connecting" || before !== "connecting") {
    one("[data-signaling-text]").textContent = words[state] ?? (transport === "polling" ? "Connected by polling" : "Connected");
  }
  dataset.signaling = state === "closed" ? "idle" : state;
  if (transport) dataset.transport = transport;
  else delete dataset.transport;
}

function bindButtons() {
  const on = (name, run) => action(name).addEventListener("click", run);
  one('.prejoin [data-form="join"]').addEventListener("submit", (event) => {
    event.preventDefault();
    join();
  });
  for (const name of ["mute", "preview-mic"]) on(name, () => media.setMic(!media.micOn));
  for (const name of ["camera", "preview-cam"]) on(name, () => media.setCam(!media.camera));
  on("screen", toggleScreen);
  on("leave", leave);
  on("rejoin", rejoin);
  on("stop-waiting", () => waiting?.abort());
  for (const button of all('[data-action="copy-link"]')) button.addEventListener("click", () => copyLink(button));
  action("copy-link", nobody).addEventListener("click", ({ currentTarget }) => copyLink(currentTarget));
  if (!navigator.mediaDevices?.getDisplayMedia) action("screen").hidden = true;
  addEventListener("keydown", shortcut);
}

/** Ctrl+D and Ctrl+E, as people know them from other calls. */
function shortcut(event) {
  if (document.body.dataset.view !== "call" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
  const run = { d: () => media.setMic(!media.micOn), e: () => media.setCam(!media.camera) }[event.key.toLowerCase()];
  if (!run) return;
  event.preventDefault();
  run();
}

async function toggleScreen() {
  if (media.screen) return media.stopScreen();
  try {
    await media.shareScreen();
  } catch (error) {
    if (error.name !== "NotAllowedError") toast("The screen could not be shared.");
  }
}

async function copyLink(button) {
  try {
    await navigator.clipboard.writeText(link);
  } catch {
    // Without HTTPS there is no clipboard; the person can copy by hand.
    prompt("Copy this link:", link);
    return;
  }
  toast("Link copied");
  setIcon(button, "check");
  setTimeout(() => setIcon(button, "link"), 2000);
}

function setSpeakers(deviceId) {
  for (const tile of tiles.values()) tile.setSpeaker(deviceId);
}

function makeNobody() {
  const copy = html("button", { class: "quiet", type: "button", "data-action": "copy-link" }, icon("link"), html("span", {}, "Copy link"));
  return html("li", {}, html("section", { class: "nobody", "data-nobody": true },
    html("h2", {}, "Nobody else yet"),
    html("p", {}, "Send this link to whom you want to talk to."),
    html("code", {}, link), copy));
}

function problem(text) {
  const line = one("[data-problem]");
  line.textContent = text;
  line.hidden = !text;
  if (!text) return;
  view("prejoin");
  action("join").focus();
}

function progress(text) {
  const line = one("[data-progress]");
  line.textContent = text;
  line.hidden = !text;
}

function view(name) {
  document.body.dataset.view = name;
}

function decodeRoom() {
  const raw = location.pathname.replace(/^.*\/r\//, "").replace(/\/$/, "");
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw;
  }
}
