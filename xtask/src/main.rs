//! Sets up what Jackfield's tests need, and runs them all.
//!
//! `cargo xtask test` is what a developer and CI run; `cargo xtask test --only calls` runs a part
//! of it, and `cargo xtask setup` only installs. `cargo xtask check` holds the dependencies to
//! `deny.toml` and compiles every feature. `cargo xtask --help` lists the parts.
//!
//! Two parts run side by side, at most one of them with browsers; `--one-by-one` shows the output
//! of one part after the other as it comes.
//!
//! A part whose needs this machine cannot meet is skipped and loudly said to be; with `CI=true` in
//! the environment a skipped part is a failure, so a green CI means that everything ran.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a build tool talks to the terminal"
)]

mod apt;
mod args;
mod check;
mod command;
mod log;
mod need;
mod part;
mod report;
mod schedule;
mod workspace;

use std::process::ExitCode;

use args::{Args, Job};
use schedule::Order;

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(message) => {
            eprintln!("xtask: {message}\n\n{}", args::help());
            return ExitCode::from(2);
        }
    };
    match args.job {
        Job::Help => {
            println!("{}", args::help());
            ExitCode::SUCCESS
        }
        Job::Check => ExitCode::from(u8::from(!check::run())),
        Job::Setup => setup(&args),
        Job::Test => test(&args),
    }
}

fn setup(args: &Args) -> ExitCode {
    let mut missing = false;
    for need in need::of_all(&args.parts) {
        if let Err(why) = need.meet() {
            eprintln!("xtask: {need} is missing: {why}");
            missing = true;
        }
    }
    ExitCode::from(u8::from(missing))
}

fn test(args: &Args) -> ExitCode {
    let report = schedule::run(
        &args.parts,
        Order {
            is_side_by_side: !args.one_by_one,
            keeps_going: args.keep_going,
            skips_fail: std::env::var("CI").is_ok_and(|ci| ci == "true"),
        },
    );
    report.print();
    if report.has_failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
