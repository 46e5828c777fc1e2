import { svg } from "./ui-dom.js";
import { jack } from "./ui-patchbay.js";

const COLUMNS = [84, 182, 280, 378, 476];
const ROWS = [146, 248, 350, 452, 554];
const LABELS = ["north", "harbor", "library", "lab", "attic", "studio", "bridge", "garden", "depot", "annex", "lantern", "canteen", "workshop", "pier", "tower", "orchard", "cellar", "office", "gallery", "mill", "lounge", "quay", "observatory", "print", "south"];
/** Which jacks are connected, by column and row, and by which colour. */
const CORDS = [
  [[0, 1], [3, 3], "#2f9e86"],
  [[4, 0], [2, 2], "#4d6fc4"],
  [[1, 3], [4, 3], "#d9a23a"],
];
const YOURS = [[1, 0], [3, 1], "#e2694a"];
/** No cord hangs below the board. */
const LOWEST = 640;

/** The switchboard of the start page. The cord between the visitor and the room is in once the room has a name. */
export class Board {
  constructor(element) {
    const place = ([column, row]) => [COLUMNS[column], ROWS[row]];
    const cords = CORDS.map(([from, to, colour]) => cord(place(from), place(to), colour));
    this.yours = cord(place(YOURS[0]), place(YOURS[1]), YOURS[2]);
    this.yours.classList.add("yours");
    const lit = new Set([...CORDS, YOURS].flatMap(([from, to]) => [String(from), String(to)]));
    const jacks = ROWS.flatMap((_, row) => COLUMNS.map((_, column) => [column, row]));
    this.labels = new Map(jacks.map((at) => [String(at), svg("text", { class: "board-label-text", x: place(at)[0], y: place(at)[1] - 27 }, LABELS[at[1] * 5 + at[0]])]));
    this.lamps = new Map(jacks.map((at) => [String(at), svg("circle", { class: lit.has(String(at)) ? "board-lamp on" : "board-lamp", cx: place(at)[0] + 33, cy: place(at)[1], r: 4.5 })]));
    element.append(
      svg("rect", { class: "board-face", x: 12, y: 12, width: 536, height: 596, rx: 22 }),
      svg("rect", { class: "board-rim", x: 23, y: 23, width: 514, height: 574, rx: 14 }),
      ...[[38, 38], [522, 38], [38, 582], [522, 582]].map(([x, y]) => screw(x, y)),
      svg("text", { class: "board-title", x: 70, y: 72 }, "JACKFIELD"),
      ...this.lamps.values(),
      ...jacks.map((at) => svg("rect", { class: "board-label", x: place(at)[0] - 42, y: place(at)[1] - 41, width: 84, height: 20, rx: 3 })),
      ...this.labels.values(),
      ...jacks.map((at) => jack(...place(at), 1.05)),
      ...cords,
      this.yours,
    );
    this.plug("", "");
  }

  /** Labels the two jacks of the visitor, and connects them. */
  plug(name, room) {
    const [from, to] = [String(YOURS[0]), String(YOURS[1])];
    this.labels.get(from).textContent = shortened(name || "you");
    this.labels.get(to).textContent = shortened(room || "room");
    this.yours.classList.toggle("in", !!room);
    for (const at of [from, to]) this.lamps.get(at).classList.toggle("on", !!room);
  }
}

function cord([x1, y1], [x2, y2], colour) {
  const deep = Math.min(Math.max(y1, y2) + 62 + Math.abs(x1 - x2) * 0.2, LOWEST);
  const curve = `M${x1} ${y1}C${x1} ${deep} ${x2} ${deep} ${x2} ${y2}`;
  const line = (name, shift = 0, stroke = null) => svg("path", { class: name, d: curve, pathLength: 1, stroke, transform: shift ? `translate(${shift} ${Math.abs(shift)})` : null });
  const plug = (x, y) => svg("g", { class: "plug-end" }, svg("circle", { class: "plug", cx: x, cy: y, r: 10.5, fill: colour }), svg("circle", { class: "plug-tip", cx: x - 2.5, cy: y - 3, r: 3.2 }));
  return svg("g", {}, line("cord-shade", 3), line("cord", 0, colour), line("cord-shine", -1.5), plug(x1, y1), plug(x2, y2));
}

function screw(x, y) {
  return svg("g", {}, svg("circle", { class: "board-screw", cx: x, cy: y, r: 5.5 }), svg("path", { class: "board-screw-slot", d: `M${x - 3} ${y - 2}l6 4` }));
}

function shortened(text) {
  const letters = [...text];
  return letters.length > 11 ? `${letters.slice(0, 10).join("")}…` : text;
}
