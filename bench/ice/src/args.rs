//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::agents::Kind;
use crate::scene::Nats;

/// Measures how fast ICE agents connect, in virtual time; prints a Markdown table.
///
/// Two hosts of a virtual internet run the same agent. Its candidates are gathered before; then
/// signaling delivers the parameters and candidates of each to the other, and the clock runs from
/// the later delivery to the later of the two first datagrams of application data.
#[derive(Debug, Parser)]
pub struct Args {
    /// What is measured.
    #[arg(value_enum, default_value = "connect")]
    pub mode: Mode,
    /// The agents, with commas between them; all of them by default.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub agents: Vec<Kind>,
    /// What is between the hosts and the internet; all four by default.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub nats: Vec<Nats>,
    /// Round-trip times between the hosts in milliseconds.
    #[arg(long, value_delimiter = ',', default_value = "0,20,100,300")]
    pub rtt: Vec<u64>,
    /// How many of a hundred packets get lost on their way from one host to the other.
    #[arg(long, value_delimiter = ',', default_value = "0,1,5")]
    pub loss: Vec<u32>,
    /// Host candidates on each side; only one of them leads to the internet.
    #[arg(long, value_delimiter = ',', default_value = "1,4,20")]
    pub candidates: Vec<u8>,
    /// Connections for each cell of the grid, at most 10,000.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub seeds: u64,
    /// The seed of the first connection.
    #[arg(long, default_value_t = 1)]
    pub first_seed: u64,
    /// By how many milliseconds one delivery may be later than the other, at most.
    #[arg(long, default_value_t = 5)]
    pub skew: u64,
    /// Milliseconds between the candidates of a side; 0 delivers all of them at once.
    #[arg(long, default_value_t = 0)]
    pub trickle: u64,
    /// Threads, at most 64.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub jobs: u64,
    /// Agents on one port, in mode shared-port; at most 20,000.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=20_000))]
    pub shared: u64,
    /// Writes everything that was measured as JSON.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Runs in the process that is measured; set by mode instructions.
    #[arg(long, hide = true)]
    pub measured: bool,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Time, packets and bytes until data has arrived on both sides.
    Connect,
    /// Bytes of memory that an idle agent holds.
    Idle,
    /// Instructions of an agent until data has arrived on both sides, by valgrind.
    Instructions,
    /// Ten thousand agents of ours on one UDP port.
    SharedPort,
}

impl Args {
    /// Returns the agents that were asked for.
    pub fn agents(&self) -> Vec<Kind> {
        if self.agents.is_empty() {
            Kind::value_variants().to_vec()
        } else {
            self.agents.clone()
        }
    }

    /// Returns the NATs that were asked for.
    pub fn nats(&self) -> Vec<Nats> {
        if self.nats.is_empty() {
            Nats::value_variants().to_vec()
        } else {
            self.nats.clone()
        }
    }
}
