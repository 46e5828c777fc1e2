//! `jackfield doctor`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::{block_on, failed, say, wrong_use};
use jackfield_doctor::{
    Conclusions, Options, Style, Target, Trust, TrustError, Words, examine, json, local_server,
    words,
};

/// Returns `jackfield doctor`.
pub(super) fn command() -> Command {
    Command::new("doctor")
        .about("Says what this machine's network allows, why not more, and what to do")
        .long_about(
            "Says in plain words what this machine's network allows, why not more, and what to \
             do.\n\n\
             It asks one server, the one that you name, and this machine's gateway; nobody else. \
             Without --server it asks the one at http://localhost:3478, if there is one. It exits \
             with 0 when all is well, with 1 when it found a problem, and with 2 when it was \
             wrongly used.",
        )
        .after_help(
            "Examples:\n  \
             jackfield doctor --server https://call.example.org\n  \
             jackfield doctor --server 192.0.2.1 --slow\n  \
             jackfield doctor --server turn.example.org --insecure\n  \
             jackfield doctor --json | jq -r '.problems[].kind'",
        )
        .args([
            Arg::new("server")
                .long("server")
                .value_name("URL")
                .value_parser(value_parser!(Target))
                .help(
                    "The server to ask: an http: or https: URL, HOST[:PORT], or a stun: URI for \
                     STUN alone.",
                ),
            Arg::new("slow")
                .long("slow")
                .action(ArgAction::SetTrue)
                .help("Finds out how long an idle mapping lives too; takes up to six minutes."),
            Arg::new("tls-ca")
                .long("tls-ca")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("A PEM file with the certificates to trust, in place of the system's."),
            Arg::new("insecure")
                .long("insecure")
                .action(ArgAction::SetTrue)
                .conflicts_with("tls-ca")
                .help("Trusts any certificate."),
            super::json(),
        ])
}

/// Examines, and prints the conclusions.
pub(super) fn run(matches: &ArgMatches) -> ExitCode {
    let trust = match trust(matches) {
        Ok(trust) => trust,
        Err(error) => return wrong_use(&error.to_string()),
    };
    match block_on(conclude(matches, trust)) {
        Ok(Some(conclusions)) => print(&conclusions, matches.get_flag("json")),
        Ok(None) => wrong_use(
            "--server is needed: no server answers at http://localhost:3478, and strangers' \
             servers are not asked",
        ),
        Err(error) => failed(&error),
    }
}

fn print(conclusions: &Conclusions, is_json: bool) -> ExitCode {
    if is_json {
        say(&json::of_conclusions(conclusions).to_string());
    } else {
        let text = words::render(&Words::of(conclusions), Style::of_stdout());
        say(text.trim_end());
    }
    if conclusions.is_problem_found() {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    }
}

fn trust(matches: &ArgMatches) -> Result<Trust, TrustError> {
    if matches.get_flag("insecure") {
        return Ok(Trust::anyone());
    }
    Trust::new(matches.get_one::<PathBuf>("tls-ca").map(PathBuf::as_path))
}

/// Returns the conclusions; nothing without a server.
async fn conclude(matches: &ArgMatches, trust: Trust) -> anyhow::Result<Option<Conclusions>> {
    let target = match matches.get_one::<Target>("server") {
        Some(target) => Some(target.clone()),
        None => local_server(&trust).await,
    };
    let Some(target) = target else {
        return Ok(None);
    };
    let options = Options {
        target,
        trust,
        slow: matches.get_flag("slow"),
    };
    Ok(Some(Conclusions::of(&examine(&options).await)))
}
