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
    const y = height * 0.36;
    const count = Math.max(people.length + 1, Math.floor((width - PITCH / 2) / PITCH));
    const pitch = width / count;
    const x = (index) => pitch * (index + 0.5);
    const { first, step } = spread(people.length, count, pitch);
    const taken = new Map([[first, "You"], ...people.map(({ name }, index) => [first + step * (index + 1), name])]);
    const ends = people.map((person, index) => [x(first), x(first + step * (index + 1)), y, person]);
    const size = Math.min(0.85, pitch / 36);
    this.element.replaceChildren(
      ...Array.from({ length: count }, (_, index) => svg("g", { class: taken.has(index) ? null : "pb-free" }, jack(x(index), y, size))),
      ...ends.map((end) => this.#cord(...end, height)).reverse(),
      ...ends.map((end) => this.#plugs(...end)),
      ...[...taken].map(([index, name]) =>
        svg("text", { class: name === "You" ? "pb-name pb-you" : "pb-name", x: x(index), y: y + 34 }, shortened(name, pitch * Math.max(step, 1)))),
    );
  }

  #cord(from, to, y, { path, state }, height) {
    const known = state === "connected" && PATHS[path];
    const sag = Math.min(height - 14, y + 24 + (to - from) * 0.13);
    const curve = `M${from} ${y}C${from + (to - from) * 0.2} ${sag + 12} ${to - (to - from) * 0.2} ${sag + 12} ${to} ${y}`;
    const group = svg("g", { class: known ? null : "pb-waiting" },
      svg("path", { class: "pb-shade", d: curve }),
      svg("path", { class: known ? `pb-cord to-${path}` : "pb-cord", d: curve }));
    if (known) {
      const wide = 13 + known.short.length * 7.6;
      const [x, middle] = [(from + to) / 2 , y * 0.25 + (sag + 12) * 0.75];
      group.append(
        svg("rect", { class: `pb-tag on-${path}`, x: x - wide / 2, y: middle - 9, width: wide, height: 18, rx: path === "direct" ? 9 : 4 }),
        svg("text", { class: "pb-how", x, y: middle + 3.5 }, known.short));
    }
    return group;
  }

  #plugs(from, to, y, { path, state }) {
    if (state !== "connected" || !PATHS[path]) return svg("g");
    const plug = (x) => svg("circle", { class: `plug on-${path}`, cx: x, cy: y, r: 7.5 });
    return svg("g", {}, plug(from), plug(to));
  }
}

/** Seats everybody around the middle, at most some places apart, so that cords hang as cords do. */
function spread(people, count, pitch) {
  const most = Math.max(2, Math.round(WIDEST_STEP / pitch));
  const step = people === 0 ? 0 : Math.max(1, Math.min(most, Math.floor((count - 1) / people)));
  return { first: Math.floor((count - 1 - step * people) / 2), step };
}

function shortened(name, width) {
  const letters = [...name];
  const fit = Math.max(3, Math.floor(width / 8));
  return letters.length > fit ? `${letters.slice(0, fit - 1).join("")}…` : name;
}
