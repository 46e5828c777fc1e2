//! Instructions of an agent, by valgrind.

use std::process::Command;

use crate::agents::Kind;
use crate::args::Args;
use crate::grid::cells;
use crate::run::{Signaling, connect};
use crate::scene::Cell;

/// Prints the instructions that one agent takes from its start until data has arrived on both
/// sides; the virtual internet and the harness do not count.
pub fn main(args: &Args) -> Result<(), String> {
    if args.measured {
        for kind in args.agents() {
            for cell in cells(args) {
                for seed in 0..args.seeds {
                    connect(kind, cell, args.first_seed + seed, Signaling::new(args));
                }
            }
        }
        return Ok(());
    }
    println!("| agent | NATs | candidates | RTT, ms | loss, % | thousand instructions an agent |");
    println!("|---|---|---|---|---|---|");
    for kind in args.agents() {
        for cell in cells(args) {
            let count = measure(args, kind, cell)? / (2 * args.seeds) / 1_000;
            let Cell {
                nats,
                candidates,
                rtt,
                loss,
            } = cell;
            let (name, nats) = (kind.name(), nats.name());
            println!("| {name} | {nats} | {candidates} | {rtt} | {loss} | {count} |");
        }
    }
    Ok(())
}

fn measure(args: &Args, kind: Kind, cell: Cell) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let name = |name: Option<clap::builder::PossibleValue>| {
        name.map(|it| it.get_name().to_owned()).unwrap_or_default()
    };
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args(["--collect-atstart=no", "--toggle-collect=*::counted*"])
        .arg(program)
        .args(["instructions", "--measured"])
        .args(["--agents", &name(clap::ValueEnum::to_possible_value(&kind))])
        .args([
            "--nats",
            &name(clap::ValueEnum::to_possible_value(&cell.nats)),
        ])
        .args(["--candidates", &cell.candidates.to_string()])
        .args(["--rtt", &cell.rtt.to_string()])
        .args(["--loss", &cell.loss.to_string()])
        .args(["--seeds", &args.seeds.to_string()])
        .args(["--first-seed", &args.first_seed.to_string()])
        .args(["--skew", &args.skew.to_string()])
        .args(["--trickle", &args.trickle.to_string()])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text
        .lines()
        .find_map(|line| line.split("Collected :").nth(1));
    let count = collected.and_then(|count| count.trim().parse().ok());
    count.ok_or_else(|| format!("valgrind says:\n{text}"))
}
