//! The grid: every agent in every cell.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::agents::Kind;
use crate::args::Args;
use crate::report;
use crate::run::{Outcome, Signaling, connect};
use crate::scene::Cell;

/// What the connections of one agent in one cell have cost.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// In ascending order; failures are left out.
    pub times: Vec<Duration>,
    pub failures: usize,
    /// Of both sides together, a connection.
    pub packets: f64,
    /// Of both sides together, a connection.
    pub bytes: f64,
    /// The most packets of one connection.
    pub most_packets: u64,
}

/// The results by cell and agent.
pub type Results = BTreeMap<(Cell, Kind), Sample>;

/// Measures the grid and prints the table.
pub fn main(args: &Args) -> Result<(), String> {
    let results = measure(args);
    print!("{}", report::table(args, &results));
    if let Some(path) = &args.json {
        let text = report::json(args, &results);
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// Returns the cells that were asked for.
pub fn cells(args: &Args) -> Vec<Cell> {
    let mut cells = Vec::new();
    for nats in args.nats() {
        for &candidates in &args.candidates {
            for &rtt in &args.rtt {
                for &loss in &args.loss {
                    cells.push(Cell {
                        nats,
                        candidates: candidates.clamp(1, 100),
                        rtt: rtt.min(2_000),
                        loss: loss.min(50),
                    });
                }
            }
        }
    }
    cells
}

fn measure(args: &Args) -> Results {
    let agents = args.agents();
    let signaling = Signaling::new(args);
    let of_cell = |cell| agents.iter().map(move |kind| (cell, *kind));
    let jobs: Vec<(Cell, Kind)> = cells(args).into_iter().flat_map(of_cell).collect();
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Results::new());
    let work = || {
        while let Some(&(cell, kind)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let seeds = args.first_seed..args.first_seed.saturating_add(args.seeds);
            let outcomes = seeds.map(|seed| connect(kind, cell, seed, signaling));
            let sample = Sample::of(outcomes);
            let mut results = results.lock().expect("no thread panics");
            results.insert((cell, kind), sample);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..args.jobs {
            scope.spawn(work);
        }
        work();
    });
    results.into_inner().expect("no thread panics")
}

impl Sample {
    fn of(outcomes: impl Iterator<Item = Outcome>) -> Self {
        let mut sample = Self::default();
        for outcome in outcomes {
            match outcome.time {
                Some(time) => sample.times.push(time),
                None => sample.failures += 1,
            }
            sample.packets += outcome.packets as f64;
            sample.bytes += outcome.bytes as f64;
            sample.most_packets = sample.most_packets.max(outcome.packets);
        }
        let count = (sample.times.len() + sample.failures).max(1) as f64;
        sample.packets /= count;
        sample.bytes /= count;
        sample.times.sort();
        sample
    }

    /// Returns the time that a share of the connections do not take longer than; `None` if so many
    /// have failed.
    pub fn percentile(&self, percent: usize) -> Option<Duration> {
        let count = self.times.len() + self.failures;
        let rank = (count * percent).div_ceil(100).max(1);
        self.times.get(rank - 1).copied()
    }
}
