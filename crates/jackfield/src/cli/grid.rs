//! `jackfield lab grid`: its flags, how far it is, and what it shows.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::{complain, failed, json, note, say, wrong_use};
use jackfield_lab::grid::{
    ALL_TYPES, DEFAULT_TYPES, Grid, GridOptions, NetworkType, lab, page, run as run_grid, table,
};
use jackfield_lab::world::World;
use jackfield_lab::{Event, LabOptions, Observer, Plan, run_with};

/// Returns `jackfield lab grid`.
pub(super) fn command() -> Command {
    Command::new("grid")
        .about("Tries every pair of NATs, firewalls and proxies, and shows who reaches whom and how")
        .long_about(
            "Builds a host behind each kind of NAT, firewall and proxy, has an ICE agent on each look for a path to that \
             of every other, with real sockets and a real `jackfield serve` for STUN and TURN over UDP, TCP and TLS, and \
             shows which path each pair took. Every path is held against theory; the exit code is 1 when one is \
             otherwise than it must be.",
        )
        .after_help(
            "Examples:\n  \
             jackfield lab grid\n  \
             jackfield lab grid --html grid.html\n  \
             jackfield lab grid --all\n  \
             jackfield lab grid --types open,linux,linux+cgn,nat64,symmetric+no-udp,socks-proxy --json",
        )
        .args([
            Arg::new("types")
                .long("types")
                .value_name("TYPE,...")
                .value_delimiter(',')
                .conflicts_with("all")
                .help(
                    "Lines and columns: profiles (see `jackfield nat profiles`), MAPPING/FILTERING, firewalls (no-udp, \
                     no-udp-no-incoming-tcp, only-https), http-proxy, socks-proxy, `open`; several in a row with `+`.",
                ),
            Arg::new("all")
                .long("all")
                .action(ArgAction::SetTrue)
                .help("All nine combinations of mapping and filtering."),
            Arg::new("html")
                .long("html")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Writes the grid as a page of its own to this file."),
            Arg::new("parallel")
                .long("parallel")
                .value_name("N")
                .value_parser(value_parser!(u16).range(1..))
                .default_value("8")
                .help("How many pairs are tried at the same time."),
            Arg::new("seed")
                .long("seed")
                .value_name("NUMBER")
                .value_parser(value_parser!(u64))
                .help("Makes random ports the same every time."),
            json(),
        ])
}

/// Runs it.
pub(super) fn run(matches: &ArgMatches) -> ExitCode {
    let types = match types(matches) {
        Ok(types) => types,
        Err(text) => return wrong_use(&text),
    };
    let spec = lab(&types);
    let plan = match Plan::new(&spec) {
        Ok(plan) => plan,
        Err(error) => return wrong_use(&error.to_string()),
    };
    let html = matches.get_one::<PathBuf>("html").cloned();
    if let Some(path) = &html
        && let Err(error) = writable(path)
    {
        return failed(&error);
    }
    let options = LabOptions {
        name: "grid".to_owned(),
        seed: matches.get_one("seed").copied(),
        observer: observer(),
        ..LabOptions::default()
    };
    let grid = GridOptions {
        types,
        parallel: matches
            .get_one("parallel")
            .map_or(1, |n: &u16| usize::from(*n)),
    };
    let json = matches.get_flag("json");
    let work = async |world: &World| {
        let found = run_grid(&grid, &plan, world, progress).await?;
        wipe();
        show(&found, json, html.as_deref())
    };
    match run_with(&spec, &plan, &options, work) {
        Ok(code) => ExitCode::from(code),
        Err(error) => failed(&error.into()),
    }
}

/// Shows what is wrong with the lab, and not what its server prints.
fn observer() -> Observer {
    Observer::new(|event| match event {
        Event::Ended { program, code } => note(&format!("{program} ended with {code}")),
        Event::Failed(error) => complain(&error.to_string()),
        _ => {}
    })
}

fn types(matches: &ArgMatches) -> Result<Vec<NetworkType>, String> {
    let names: Vec<&str> = match matches.get_many::<String>("types") {
        Some(names) => names.map(String::as_str).collect(),
        None if matches.get_flag("all") => ALL_TYPES.to_vec(),
        None => DEFAULT_TYPES.to_vec(),
    };
    let types: Result<Vec<NetworkType>, _> =
        names.iter().map(|name| NetworkType::parse(name)).collect();
    types.map_err(|error| error.to_string())
}

/// Finds out before minutes of work whether the result can be written.
fn writable(path: &Path) -> Result<()> {
    let mut options = std::fs::File::options();
    options.write(true).create(true).truncate(false);
    let opened = options.open(path);
    opened.with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(())
}

fn show(grid: &Grid, json: bool, html: Option<&Path>) -> Result<u8> {
    if let Some(path) = html {
        std::fs::write(path, page(grid))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    if json {
        say(&serde_json::to_string(grid)?);
    } else {
        say(&table(grid, super::has_colours()));
    }
    Ok(u8::from(!grid.agrees))
}

/// Shows on a terminal how many pairs are over.
fn progress(done: usize, total: usize) {
    let mut out = std::io::stderr();
    if out.is_terminal() {
        // A progress line that cannot be written is no reason to stop.
        let _ = write!(out, "\r  {done} of {total} pairs ");
    }
}

/// Removes the line that [`progress`] wrote.
fn wipe() {
    let mut out = std::io::stderr();
    if out.is_terminal() {
        // A progress line that cannot be written is no reason to stop.
        let _ = write!(out, "\r\x1b[K");
    }
}
