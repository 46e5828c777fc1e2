use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::{block_on, failed, say, wrong_use};
use jackfield_doctor::{
    Diagnosis, Health, Options, Style, Target, Trust, examine, local_server, render,
};

/// Returns `jackfield doctor`.
pub(super) fn command() -> Command {
    Command::new("doctor")
        .about("Says what this machine's network allows, why not more, and what to do")
        .long_about(
            "Says in plain words what this machine's network allows, why not more, and what to do.\n\n\
             It asks one server, the one that you name, and this machine's gateway; nobody else. Without --server it asks \
             the one at http://localhost:3478, if there is one. It exits with 0 when all is well, with 1 when it found a \
             problem, and with 2 when it was wrongly used.",
        )
        .after_help(
            "Examples:\n  \
             jackfield doctor --server https://call.example.org\n  \
             jackfield doctor --server 192.0.2.1 --slow\n  \
             jackfield doctor --json | jq .verdict",
        )
        .args([
            Arg::new("server")
                .long("server")
                .value_name("URL")
                .value_parser(value_parser!(Target))
                .help("The server to ask: an http: or https: URL, HOST[:PORT], or a stun: URI for STUN alone."),
            Arg::new("slow")
                .long("slow")
                .action(ArgAction::SetTrue)
                .help("Finds out how long an idle mapping lives too; takes up to six minutes."),
            Arg::new("tls-ca")
                .long("tls-ca")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("A PEM file with the certificates to believe, in place of the system's."),
            Arg::new("insecure")
                .long("insecure")
                .action(ArgAction::SetTrue)
                .conflicts_with("tls-ca")
                .help("Believes any certificate."),
            super::json(),
        ])
}

/// Examines, and prints the diagnosis.
pub(super) fn run(matches: &ArgMatches) -> ExitCode {
    match block_on(diagnose(matches)) {
        Ok(Some(health)) if health >= Health::Degraded => ExitCode::from(1),
        Ok(Some(_)) => ExitCode::SUCCESS,
        Ok(None) => wrong_use(
            "--server is needed: no server answers at http://localhost:3478, and strangers' servers are not asked",
        ),
        Err(error) => failed(&error),
    }
}

/// Returns how it is; nothing without a server.
async fn diagnose(matches: &ArgMatches) -> Result<Option<Health>> {
    let trust = if matches.get_flag("insecure") {
        Trust::anyone()
    } else {
        Trust::new(matches.get_one::<PathBuf>("tls-ca").map(PathBuf::as_path))?
    };
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
    let diagnosis = Diagnosis::new(&examine(&options).await);
    if matches.get_flag("json") {
        say(&serde_json::to_string(&diagnosis)?);
    } else {
        say(render(&diagnosis, Style::of_stdout()).trim_end());
    }
    Ok(Some(diagnosis.verdict.health))
}
