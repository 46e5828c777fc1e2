import { svg } from "./ui-dom.js";
import { PATHS } from "./ui-words.js";

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
    const y = height * 0.34;
    const spread = Math.min(width / (people.length + 1), 230);
    const left = (width - spread * people.length) / 2;
    const at = (index) => left + spread * index;
    const label = (x, name, style) => svg("text", { class: style, x, y: 13 + y + 22 }, shortened(name, spread));
    this.element.replaceChildren(
      ...people.map((person, index) => this.#cord(at(0), at(index + 1), y, height, person)).reverse(),
      jack(at(0), y, 0.85),
      label(at(0), "You", "pb-name pb-you"),
      ...people.flatMap(({ name }, index) => [jack(at(index + 1), y, 0.85), label(at(index + 1), name, "pb-name")]),
      ...(people.length ? [] : [svg("text", { class: "pb-empty", x: at(0) + 34, y: y + 5 }, "Nobody else is plugged in")]),
      ...people.map((person, index) => this.#plugs(at(0), at(index + 1), y, person)),
    );
  }

  #cord(from, to, y, height, { path, state }) {
    const known = state === "connected" && PATHS[path];
    const sag = Math.min(height - 12, y + 24 + (to - from) * 0.13);
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

function shortened(name, width) {
  const letters = [...name];
  const fit = Math.max(3, Math.floor(width / 8));
  return letters.length > fit ? `${letters.slice(0, fit - 1).join("")}…` : name;
}
