//! Measures how fast ICE agents connect: ours and three others, on hosts of the same virtual
//! internet.

mod agents;
mod args;
mod grid;
mod host;
mod idle;
mod instructions;
mod report;
mod run;
mod scene;
mod shared_port;
mod turn;

use clap::Parser;
use jackfield_testing::CountingAllocator;

use args::{Args, Mode};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() -> Result<(), String> {
    let args = Args::parse();
    match args.mode {
        Mode::Connect => grid::main(&args),
        Mode::Idle => idle::main(&args),
        Mode::Instructions => instructions::main(&args),
        Mode::SharedPort => shared_port::main(&args),
    }
}
