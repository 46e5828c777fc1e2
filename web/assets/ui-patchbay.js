import { svg } from "./ui-dom.js";
import { PATHS } from "./ui-words.js";

/** From one jack to the next, in pixels. */
const PITCH = 54;
const WIDEST_STEP = 230;

/** Returns a jack socket seen from the front. */
export function jack(x, y, size = 1) {
  const ring = (name, radius) => svg("circle", { class: name, cx: x, cy: y, r: radius * size });
  return svg("g", {}, ring("jack-ring", 15), ring("jack-bevel", 12), ring("jack-lip", 10), ring("jack-hole", 6.5));
}

/** The strip above the call: a jack for each person, and a cord to each as the call really goes. */
export class Patchbay {
  constructor(element) {
    this.element = element;
    new ResizeObserver(() => this.draw()).observe(element);
  }

  /** Shows these people: `{ name, path, state }`. */
  show(people) {
    this.people = people;
    this.draw();
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.element;
    const people = this.people ?? [];
    if (!width) return;
    this.element.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const y = height * 0.3;
    const count = Math.max(people.length + 1, Math.floor((width - PITCH / 2) / PITCH));
    const pitch = width / count;
    const step = stepFor(people.length, count, pitch);
    const first = Math.floor((count - 1 - step * people.length) / 2);
    const x = (index) => pitch * (index + 0.5);
    // Oneself sits in the middle, so that no cord is longer than it must be.
    const middle = Math.floor(people.length / 2);
    const seats = [...people.slice(0, middle), null, ...people.slice(middle)].map((person, seat) => ({ person, index: first + step * seat, x: x(first + step * seat) }));
    const own = seats[middle];
    const others = seats.filter(({ person }) => person);
    const taken = new Set(seats.map(({ index }) => index));
    this.element.replaceChildren(
      ...Array.from({ length: count }, (_, index) => svg("g", { class: taken.has(index) ? null : "pb-free" }, jack(x(index), y, Math.min(0.85, pitch / 36)))),
      ...others.map((seat) => cordBetween(own.x, seat, y, height)),
      ...others.flatMap((seat) => plugs(own.x, seat, y)),
      ...seats.map((seat) => caption(seat, y, pitch * Math.max(step, 1))),
    );
  }
}

/** How many jacks apart people sit: cords hang as cords do, and names have room. */
function stepFor(people, count, pitch) {
  if (people === 0) return 0;
  const most = Math.max(2, Math.round(WIDEST_STEP / pitch));
  return Math.max(1, Math.min(most, Math.floor((count - 1) / people)));
}

/** Returns the path of a person who is connected, or nothing. */
function pathOf({ path, state }) {
  return state === "connected" && PATHS[path] ? path : null;
}

function cordBetween(from, { person, x: to }, y, height) {
  const path = pathOf(person);
  const low = Math.min(height * 1.16, y + 34 + Math.abs(to - from) * 0.17);
  const curve = `M${from} ${y}C${from} ${low} ${to} ${low} ${to} ${y}`;
  return svg("g", { class: path ? null : "pb-waiting" },
    svg("path", { class: "pb-shade", d: curve }),
    svg("path", { class: path ? `pb-cord to-${path}` : "pb-cord", d: curve }));
}

function plugs(from, { person, x: to }, y) {
  const path = pathOf(person);
  return path ? [from, to].map((x) => svg("circle", { class: `plug on-${path}`, cx: x, cy: y, r: 7.5 })) : [];
}

/** The name below a jack, and below that how the call goes. */
function caption({ person, x }, y, width) {
  const name = svg("text", { class: person ? "pb-name" : "pb-name pb-you", x, y: y + 33 }, shortened(person?.name ?? "You", width));
  const path = person && pathOf(person);
  if (!path) return svg("g", {}, name);
  const { short } = PATHS[path];
  const wide = 15 + short.length * 7;
  return svg("g", {}, name,
    svg("rect", { class: `pb-tag on-${path}`, x: x - wide / 2, y: y + 40, width: wide, height: 17, rx: path === "direct" ? 8.5 : 4 }),
    svg("text", { class: "pb-how", x, y: y + 52 }, short));
}

function shortened(name, width) {
  const letters = [...name];
  const fit = Math.max(3, Math.floor(width / 8));
  return letters.length > fit ? `${letters.slice(0, fit - 1).join("")}…` : name;
}
