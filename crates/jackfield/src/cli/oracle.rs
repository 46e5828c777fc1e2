//! `jackfield nat oracle`: who reaches whom behind given NATs.

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{say, wrong_use};
use jackfield_lab::nat::{NatChain, Reachability, ReachabilityTable};

/// Returns `jackfield nat oracle`.
pub(super) fn command() -> Command {
    Command::new("oracle")
        .about("Says whether hosts behind given NATs reach each other directly, and why")
        .long_about(
            "Says whether a direct UDP path between two hosts must exist, and why.\n\n\
             A NAT is a profile (`jackfield nat profiles`), or a mapping and a filtering such as `eim/apdf`; several in a \
             row are written from the host outwards with commas, and `public` is a host without any. With two, the \
             reason is told; with more, or none for the classical types, each is held against each.",
        )
        .after_help(
            "Examples:\n  \
             jackfield nat oracle symmetric port-restricted-cone\n  \
             jackfield nat oracle linux,cgn eim/adf --json\n  \
             jackfield nat oracle",
        )
        .arg(
            Arg::new("nat")
                .value_name("NAT[,NAT...]")
                .action(ArgAction::Append)
                .help("What stands between a host and the internet."),
        )
        .arg(super::json())
}

/// Answers.
pub(super) fn run(matches: &ArgMatches) -> ExitCode {
    let given: Vec<&String> = matches
        .get_many("nat")
        .map(Iterator::collect)
        .unwrap_or_default();
    let names: Vec<&str> = match given.is_empty() {
        true => CLASSICAL.to_vec(),
        false => given.into_iter().map(String::as_str).collect(),
    };
    let chains: Result<Vec<NatChain>, _> = names.iter().map(|name| name.parse()).collect();
    let chains = match chains {
        Ok(chains) => chains,
        Err(error) => return wrong_use(&error.to_string()),
    };
    match (chains.as_slice(), matches.get_flag("json")) {
        ([_], _) => {
            return wrong_use("one NAT is not enough: name who is to be reached, or none at all");
        }
        (chains, true) => say(&json(chains)),
        ([a, b], false) => {
            let verdict = Reachability::of(a, b);
            say(&format!("{}: {}", verdict.word(), verdict.why));
        }
        (chains, false) => say(&ReachabilityTable(chains.to_vec()).to_string()),
    }
    ExitCode::SUCCESS
}

/// Each pair once, as it was written.
fn json(chains: &[NatChain]) -> String {
    let mut pairs = Vec::new();
    for (index, a) in chains.iter().enumerate() {
        let others = match chains.len() {
            2 => chains.get(1..).filter(|_| index == 0).unwrap_or_default(),
            _ => chains.get(index..).unwrap_or_default(),
        };
        for b in others {
            let verdict = Reachability::of(a, b);
            pairs.push(serde_json::json!({
                "a": a.name(), "b": b.name(), "path": verdict.word(), "why": verdict.why,
            }));
        }
    }
    serde_json::Value::from(pairs).to_string()
}

/// What is compared when nothing was asked for.
const CLASSICAL: &[&str] = &[
    "public",
    "full-cone",
    "restricted-cone",
    "port-restricted-cone",
    "symmetric",
];
