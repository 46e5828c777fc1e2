/** The page: starts an examination, shows each line as soon as it is known, and hands out the report. */

import { conclude, lineOf } from "./doctor-conclude.js";
import { examine } from "./doctor-examine.js";
import { json, text } from "./doctor-report.js";
import { action, all, html, one } from "./ui-dom.js";

const MARKS = { ok: "OK", note: "note", degraded: "limits", broken: "fails" };

let report;

one("[data-command]").textContent = `jackfield doctor --server ${location.origin}`;
action("again").addEventListener("click", run);
action("copy-text").addEventListener("click", () => copy(text(report)));
action("copy-json").addEventListener("click", () => copy(json(report)));
run();

async function run() {
  show("running");
  one('[data-list="checks"]').replaceChildren();
  const facts = await examine((name, fact) => showLine(lineOf(name, fact)));
  report = { ...conclude(facts), facts };
  globalThis.jackfield = { report };
  showReport();
}

function showLine({ topic, health, seen, tried, means }) {
  const detail = [tried, means].filter(Boolean).join(" ");
  one('[data-list="checks"]').append(
    html("li", { "data-check": topic, "data-health": health },
      html("span", { class: "mark" }, MARKS[health]),
      html("span", { class: "topic" }, topic),
      html("span", { class: "seen" }, seen),
      detail ? html("span", { class: "detail" }, detail) : null));
}

function showReport() {
  const { verdict, lines } = report;
  // What came in as it was found is put into the order of the way out.
  one('[data-list="checks"]').replaceChildren();
  lines.forEach(showLine);
  one("[data-verdict]").textContent = verdict.text;
  one("[data-verdict]").dataset.verdict = verdict.kind;
  list("why", verdict.why_not);
  list("do", verdict.do);
  show("done", verdict.health);
}

function list(name, items) {
  one(`[data-section="${name}"]`).hidden = items.length === 0;
  one(`[data-list="${name}"]`).replaceChildren(...items.map((item) => html("li", {}, item)));
}

function show(state, health = state) {
  document.body.dataset.state = state;
  one(".verdict").dataset.health = health;
  for (const button of all(".actions button")) button.disabled = state === "running";
  if (state !== "running") return;
  one("[data-verdict]").textContent = "Trying every way. Silence is an answer to some questions, so this takes some ten seconds.";
  list("why", []);
  list("do", []);
}

async function copy(content) {
  one("[data-copied]").textContent = (await isCopied(content)) ? "Copied." : "This browser does not let a page copy.";
}

async function isCopied(content) {
  try {
    await navigator.clipboard.writeText(content);
    return true;
  } catch {
    return isCopiedByHand(content);
  }
}

/** Pages that are not secure have no clipboard; a selection can be copied all the same. */
function isCopiedByHand(content) {
  const area = html("textarea", { readonly: true, "aria-hidden": "true" });
  area.value = content;
  document.body.append(area);
  area.select();
  const isDone = document.execCommand("copy");
  area.remove();
  return isDone;
}
