//! Tables and JSON.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::agents::Kind;
use crate::args::Args;
use crate::grid::{Results, Sample, cells};
use crate::scene::Cell;

/// Returns the table: a row for each cell, and one for the whole grid.
pub fn table(args: &Args, results: &Results) -> String {
    let agents = args.agents();
    let mut text = String::from("| NATs | candidates | RTT, ms | loss, % |");
    for kind in &agents {
        text += &format!(" {} |", kind.name());
    }
    text += "\n|---|---|---|---|";
    text += &"---|".repeat(agents.len());
    text.push('\n');
    for cell in cells(args) {
        let Cell {
            nats,
            candidates,
            rtt,
            loss,
        } = cell;
        let _ = write!(text, "| {} | {candidates} | {rtt} | {loss} |", nats.name());
        for kind in &agents {
            let sample = results.get(&(cell, *kind));
            text += &format!(" {} |", sample.map_or_else(|| "-".into(), entry));
        }
        text.push('\n');
    }
    text += "| all | | | |";
    for kind in &agents {
        text += &format!(" {} |", entry(&merged(results, *kind)));
    }
    text.push('\n');
    text
}

/// Returns p50, p95 and p99 in milliseconds, and the packets of both sides.
fn entry(sample: &Sample) -> String {
    let [p50, p95, p99] = [50, 95, 99].map(|percent| millis(sample.percentile(percent)));
    let mut text = format!("{p50} {p95} {p99} ({:.0})", sample.packets);
    if sample.failures > 0 {
        text += &format!(", {} failed", sample.failures);
    }
    text
}

fn millis(time: Option<Duration>) -> String {
    time.map_or_else(
        || "-".to_owned(),
        |time| format!("{:.0}", time.as_secs_f64() * 1e3),
    )
}

/// Returns all connections of an agent.
fn merged(results: &Results, kind: Kind) -> Sample {
    let mut all = Sample::default();
    let mut cells = 0.0;
    for ((_, of), sample) in results {
        if *of == kind {
            all.times.extend(&sample.times);
            all.failures += sample.failures;
            all.packets += sample.packets;
            all.bytes += sample.bytes;
            all.most_packets = all.most_packets.max(sample.most_packets);
            cells += 1.0;
        }
    }
    all.packets /= f64::max(cells, 1.0);
    all.bytes /= f64::max(cells, 1.0);
    all.times.sort();
    all
}

/// Returns everything as JSON: times in milliseconds, packets and bytes of both sides together.
pub fn json(args: &Args, results: &Results) -> String {
    let rows: Vec<Value> = results
        .iter()
        .map(|((cell, kind), sample)| row(cell, *kind, sample))
        .collect();
    let all = json!({
        "seeds": args.seeds,
        "first_seed": args.first_seed,
        "skew_ms": args.skew,
        "trickle_ms": args.trickle,
        "rows": rows,
    });
    format!("{all:#}\n")
}

fn row(cell: &Cell, kind: Kind, sample: &Sample) -> Value {
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let percentile = |percent| sample.percentile(percent).map(millis);
    json!({
        "nats": cell.nats.name(),
        "candidates": cell.candidates,
        "rtt_ms": cell.rtt,
        "loss_percent": cell.loss,
        "agent": kind.name(),
        "p50_ms": percentile(50),
        "p95_ms": percentile(95),
        "p99_ms": percentile(99),
        "failures": sample.failures,
        "packets": sample.packets,
        "most_packets": sample.most_packets,
        "bytes": sample.bytes,
    })
}
