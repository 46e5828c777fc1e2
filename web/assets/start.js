import { Board } from "./ui-board.js";
import { action, html, one } from "./ui-dom.js";
import { memory } from "./ui-memory.js";
import { isAtAddress, randomRoom, readableRoom } from "./ui-words.js";

const form = one('[data-form="join"]');
const name = one('[data-field="name"]');
const room = one('[data-field="room"]');
const board = new Board(one("[data-board]"));
/** The name that is proposed: its secret goes into the link and is not shown. */
let proposed;
const plug = () => board.plug(name.value.trim(), room.value.trim());

name.value = memory.name;
propose();
requestAnimationFrame(() => requestAnimationFrame(plug));
form.addEventListener("input", plug);
action("new-room").addEventListener("click", () => {
  propose();
  plug();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const typed = room.value.trim();
  if (!typed) return room.focus();
  const wanted = typed === readableRoom(proposed) ? proposed : typed;
  memory.name = name.value.trim();
  location.href = `/r/${encodeURIComponent(wanted)}`;
});

showRecent();
showOffers();

function propose() {
  proposed = randomRoom();
  room.value = readableRoom(proposed);
}

function showRecent() {
  const { rooms } = memory;
  const list = one('[data-list="recent"]');
  list.hidden = rooms.length === 0;
  one("ul", list).append(...rooms.map((recent) =>
    html("li", {}, html("a", { class: "strip", href: `/r/${encodeURIComponent(recent)}`, "data-room": recent, title: recent }, readableRoom(recent)))));
}

/** Asks the server what it has: each line is what it answers, not what we hope. */
async function showOffers() {
  const says = (state, text) => {
    one("[data-server]").dataset.server = state;
    one("[data-server-text]").textContent = text;
  };
  let urls;
  try {
    const response = await fetch("/ice", { cache: "no-store" });
    if (!response.ok) throw new Error(response.statusText);
    const { iceServers } = await response.json();
    urls = iceServers.flatMap((server) => server.urls);
    says("up", "Server is up");
  } catch {
    urls = [];
    says("down", "Server does not answer");
  }
  const has = (test) => urls.some(test);
  const turn = (url) => url.startsWith("turn:");
  const tls = urls.filter((url) => url.startsWith("turns:"));
  const atAddress = tls.length > 0 && tls.every(isAtAddress) ? " (not in Firefox: it needs a host name)" : null;
  const offers = [
    ["stun", "Finding your address", has((url) => url.startsWith("stun:") || turn(url))],
    ["relay-udp", "Relay over UDP", has((url) => turn(url) && !url.includes("transport=tcp"))],
    ["relay-tcp", "Relay over TCP", has((url) => turn(url) && url.includes("transport=tcp"))],
    ["relay-tls", "Relay inside TLS", tls.length > 0, atAddress],
    ["secure", "Camera and microphone", isSecureContext],
  ];
  one('[data-list="offers"]').append(...offers.map(([offer, text, on, note = null]) =>
    html("li", { "data-offer": offer, "data-on": on ? "yes" : "no" },
      html("i", { class: on ? "lamp on" : "lamp", "aria-hidden": "true" }),
      html("span", {}, text, on && !note ? null : html("small", {}, on ? note : " (not here)")))));
}
