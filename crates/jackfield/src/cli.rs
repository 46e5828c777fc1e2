//! The command line: which subcommand, with what, and the exit code.

mod args;
mod credentials;
mod doctor;
mod explain;
mod generate;
#[cfg(target_os = "linux")]
mod grid;
#[cfg(target_os = "linux")]
mod lab;
#[cfg(target_os = "linux")]
mod nat;
#[cfg(target_os = "linux")]
mod oracle;
mod peer;
mod signal;
mod stun;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Arg, ArgAction, ArgMatches};

pub use args::command;

use crate::config::{Config, ConfigError, Low};

/// Runs a command line; returns 0 when it did what was asked, 1 when it ran and failed, 2 when it
/// was wrongly used.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let matches = match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => {
            let wrong = error.use_stderr();
            // A closed pipe behind `--help` is no failure.
            let _ = error.print();
            return ExitCode::from(if wrong { 2 } else { 0 });
        }
    };
    match matches.subcommand() {
        None => serve(&matches),
        Some(("serve", matches)) => serve(matches),
        Some(("credentials", matches)) => credentials::run(matches),
        Some(("completions", matches)) => generate::completions(matches),
        Some(("man", matches)) => generate::man(matches),
        Some(("doctor", matches)) => doctor::run(matches),
        Some(("connect", matches)) => peer::connect(matches),
        Some(("send", matches)) => peer::send_files(matches),
        Some(("receive", matches)) => peer::receive_files(matches),
        Some(("stun", matches)) => stun::run(matches),
        Some(("config", matches)) => match matches.subcommand() {
            Some(("check", matches)) => check(matches),
            Some(("explain", matches)) => explain::run(matches),
            _ => wrong_use("config needs a subcommand"),
        },
        #[cfg(target_os = "linux")]
        Some(("lab", matches)) => lab::run(matches),
        #[cfg(target_os = "linux")]
        Some(("nat", matches)) => nat::run(matches),
        Some((name, _)) => wrong_use(&format!("unknown subcommand {name}")),
    }
}

fn serve(matches: &ArgMatches) -> ExitCode {
    let config = match load(matches) {
        Ok(config) => config,
        Err(error) => return wrong_use(&error.to_string()),
    };
    match crate::serve::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn check(matches: &ArgMatches) -> ExitCode {
    match load(matches) {
        Ok(config) => match crate::serve::check(&config) {
            Ok(()) => {
                say("the configuration is accepted");
                ExitCode::SUCCESS
            }
            Err(error) => failed(&error),
        },
        Err(error) => {
            complain(&error.to_string());
            ExitCode::from(1)
        }
    }
}

/// Merges file, systemd's credentials, environment and flags, and resolves them.
fn load(matches: &ArgMatches) -> Result<Config, ConfigError> {
    let mut low = Low::default();
    if let Some(path) = matches.get_one::<String>("config") {
        let path = Path::new(path);
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
            path: path.to_owned(),
            error,
        })?;
        low.read_file(path, &text)?;
    }
    if let Some(dir) = std::env::var_os("CREDENTIALS_DIRECTORY") {
        low.read_credentials(Path::new(&dir))?;
    }
    low.read_environment(
        std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }),
    )?;
    args::read_flags(matches, &mut low);
    Config::resolve(&low)
}

/// The flag of whatever prints results.
fn json() -> Arg {
    Arg::new("json")
        .long("json")
        .action(ArgAction::SetTrue)
        .help("Prints JSON.")
}

/// Runs what has to wait for the network to its end.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().context("no event queue")?;
    runtime.block_on(work)
}

fn failed(error: &anyhow::Error) -> ExitCode {
    complain(&format!("{error:#}"));
    ExitCode::from(1)
}

fn wrong_use(text: &str) -> ExitCode {
    complain(text);
    ExitCode::from(2)
}

#[expect(
    clippy::print_stderr,
    reason = "a command line speaks to its user there"
)]
fn complain(text: &str) {
    eprintln!("jackfield: {text}");
}

/// Returns whether results may have colours: on a terminal whose user did not refuse them
/// (NO_COLOR).
#[cfg(target_os = "linux")]
fn has_colours() -> bool {
    use std::io::IsTerminal;
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Prints a notice on stderr; a closed stderr is no failure.
#[cfg(target_os = "linux")]
fn note(text: &str) {
    use std::io::Write;
    let _closed = writeln!(std::io::stderr(), "{text}");
}

/// Prints a result that has lines of its own.
fn say_bytes(bytes: &[u8]) {
    use std::io::Write;
    let _closed = std::io::stdout().write_all(bytes);
}

/// Prints a result. Who closed the other end of a pipe has read enough.
fn say(text: &str) {
    use std::io::Write;
    let _closed = writeln!(std::io::stdout(), "{text}");
}
