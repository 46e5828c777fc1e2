/** A report to hand on: as text, laid out as `jackfield doctor` prints it, and as JSON. */

const MARKS = { ok: " ok ", note: "  - ", degraded: "  ! ", broken: " no " };
const WORDS = { ok: "OK", note: "OK", degraded: "DEGRADED", broken: "BROKEN" };

/** Returns a report as text. */
export function text({ server, verdict, lines, facts }) {
  const tried = lines.flatMap(({ topic, health, seen, tried: how, means }) => {
    const below = [how, means].filter(Boolean).join(" ");
    return [`${MARKS[health]} ${topic.padEnd(13)}${seen}`, ...(below ? [`${" ".repeat(18)}${below}`] : [])];
  });
  const why = verdict.why_not.map((line, index) => `${index ? " ".repeat(9) : "WHY NOT  "}${line}`);
  const steps = verdict.do.map((line, index) => `${index ? " ".repeat(9) : "DO       "}${index + 1}) ${line}`);
  const parts = [[`VERDICT  [${WORDS[verdict.health]}] ${verdict.text}`], tried, why, steps, [`${server}, ${facts.at}`, facts.browser]];
  return parts.filter((part) => part.length > 0).map((part) => part.join("\n")).join("\n\n");
}

/** Returns a report as JSON; `verdict`, `problems`, `lines` and `relay` are as in `jackfield doctor --json`. */
export function json(report) {
  return JSON.stringify(report, null, 2);
}
