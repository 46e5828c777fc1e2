//! `jackfield doctor`.

mod peer;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use jackfield_sansio::parse_duration;
use serde_json::{Value, json};

use super::{block_on, failed, say, wrong_use};
use jackfield_doctor::{
    Change, Conclusions, Facts, Options, Recorder, Style, Target, TraceFiles, Trust, TrustError,
    Words, changes, examine, json as doctor_json, local_server, words,
};

/// Returns `jackfield doctor`.
pub(super) fn command() -> Command {
    Command::new("doctor")
        .about("Says what this machine's network allows, why not more, and what to do")
        .long_about(
            "Says in plain words what this machine's network allows, why not more, and what to \
             do.\n\n\
             It asks one server, the one that you name, this machine's gateway and resolver, and \
             the proxy of --proxy or of the environment; no other host. Where the server does not \
             answer as it should, it also asks 192.0.2.1, an address of no host, to see what \
             answers in its place. Without --server it asks the one at http://localhost:3478, if \
             there is one.\n\n\
             With --peer, two machines run it with the same server and room: each examines its own \
             network, and the two find out which path packets take between them and how good it \
             is.\n\n\
             It exits with 0 when all is well, with 1 when it found a problem, and \
             with 2 when it was wrongly used.",
        )
        .after_help(
            "Examples:\n  \
             jackfield doctor --server https://call.example.org\n  \
             jackfield doctor --server 192.0.2.1 --slow\n  \
             jackfield doctor --server turn.example.org --insecure\n  \
             jackfield doctor --server call.example.org --trace report\n  \
             jackfield doctor --server call.example.org --watch 10s --count 60\n  \
             jackfield doctor --server call.example.org --peer demo-7f3a9c   # here and there\n  \
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
            Arg::new("trace")
                .long("trace")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help(
                    "Writes what a bug report needs: FILE.pcapng, all that was sent and received, \
                     for Wireshark, and FILE.json, all that was seen and concluded. Passwords and \
                     credentials are left out; your addresses are in it. With --watch, of the last \
                     time that something changed.",
                ),
            Arg::new("watch")
                .long("watch")
                .value_name("INTERVAL")
                .num_args(0..=1)
                .default_missing_value("30s")
                .value_parser(|text: &str| {
                    parse_duration(text, Duration::from_secs(1), Duration::from_secs(86_400))
                        .ok_or("accepted is a time from 1 s to 1 d such as 10s or 5m")
                })
                .help(
                    "Examines again and again, with such pauses between (30s if none is given), \
                     and says what has changed; the exit code is the last one's.",
                ),
            Arg::new("count")
                .long("count")
                .value_name("N")
                .requires("watch")
                .value_parser(value_parser!(u64).range(1..))
                .help("Ends after so many examinations; without it, Ctrl-C ends the watch."),
            super::json(),
        ])
        .args(peer::arguments())
}

/// Examines, and prints the conclusions.
pub(super) fn run(matches: &ArgMatches) -> ExitCode {
    let trust = match trust(matches) {
        Ok(trust) => trust,
        Err(error) => return wrong_use(&error.to_string()),
    };
    if matches.contains_id("peer") {
        return peer::run(matches, trust);
    }
    match block_on(conclude(matches, trust)) {
        Ok(Some(conclusions)) if conclusions.is_problem_found() => ExitCode::from(1),
        Ok(Some(_)) => ExitCode::SUCCESS,
        Ok(None) => wrong_use(NO_SERVER),
        Err(error) => failed(&error),
    }
}

fn trust(matches: &ArgMatches) -> Result<Trust, TrustError> {
    if matches.get_flag("insecure") {
        return Ok(Trust::anyone());
    }
    Trust::new(matches.get_one::<PathBuf>("tls-ca").map(PathBuf::as_path))
}

/// Returns the server to ask: the named one, or the one on this machine.
async fn target(matches: &ArgMatches, trust: &Trust) -> Option<Target> {
    match matches.get_one::<Target>("server") {
        Some(target) => Some(target.clone()),
        None => local_server(trust).await,
    }
}

/// Examines, once or until the watch ends; returns the last conclusions, nothing without a server.
async fn conclude(matches: &ArgMatches, trust: Trust) -> Result<Option<Conclusions>> {
    let Some(target) = target(matches, &trust).await else {
        return Ok(None);
    };
    let trace = matches.get_one::<PathBuf>("trace");
    let doctor = Doctor {
        options: Options {
            target,
            trust,
            proxy: matches.get_one("proxy").cloned(),
            slow: matches.get_flag("slow"),
            recorder: trace.map(|_| Recorder::default()),
        },
        files: trace.map(|path| TraceFiles::of(path)),
        is_json: matches.get_flag("json"),
    };
    let (facts, mut last) = doctor.examine().await;
    doctor.write_trace(&facts, &last)?;
    let Some(pause) = matches.get_one::<Duration>("watch").copied() else {
        doctor.print(&last);
        return Ok(Some(last));
    };
    doctor.print_watched(&last, None);
    let count = matches.get_one::<u64>("count").copied();
    for _ in 1..count.unwrap_or(u64::MAX) {
        // An interrupt ends the watch, and the exit code is that of what was seen last.
        let next = async {
            tokio::time::sleep(pause).await;
            doctor.examine().await
        };
        let (facts, next) = tokio::select! {
            next = next => next,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.context("no signals")?;
                break;
            }
        };
        let changes = changes(&last, &next);
        if !changes.is_empty() {
            doctor.write_trace(&facts, &next)?;
        }
        doctor.print_watched(&next, Some(&changes));
        last = next;
    }
    Ok(Some(last))
}

/// What is the same in each examination.
struct Doctor {
    options: Options,
    files: Option<TraceFiles>,
    is_json: bool,
}

impl Doctor {
    async fn examine(&self) -> (Facts, Conclusions) {
        if let Some(recorder) = &self.options.recorder {
            recorder.clear();
        }
        let facts = examine(&self.options).await;
        let conclusions = Conclusions::of(&facts);
        (facts, conclusions)
    }

    fn write_trace(&self, facts: &Facts, conclusions: &Conclusions) -> Result<()> {
        let (Some(files), Some(recorder)) = (&self.files, &self.options.recorder) else {
            return Ok(());
        };
        let shown = |path: &Path| path.display().to_string();
        files
            .write(recorder, facts, conclusions)
            .with_context(|| format!("cannot write {}", shown(&files.pcapng)))
    }

    fn print(&self, conclusions: &Conclusions) {
        if self.is_json {
            say(&doctor_json::of_conclusions(conclusions).to_string());
            return;
        }
        let text = words::render(&Words::of(conclusions), Style::of_stdout());
        say(text.trim_end());
        if let Some(files) = &self.files {
            say(&format!(
                "\nTRACE    {} and {}",
                files.pcapng.display(),
                files.json.display()
            ));
        }
    }

    /// Prints one examination of a watch: the first one whole, and of each other one what changed.
    fn print_watched(&self, conclusions: &Conclusions, changes: Option<&[Change]>) {
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let at = at.map_or(0, |since| since.as_secs());
        if self.is_json {
            let mut line = doctor_json::of_conclusions(conclusions);
            if let Value::Object(members) = &mut line {
                members.insert("at".to_owned(), at.into());
                members.insert("changes".to_owned(), changes.map_or(Value::Null, changed));
            }
            say(&line.to_string());
            return;
        }
        let Some(changes) = changes else {
            self.print(conclusions);
            say("");
            return;
        };
        let (hour, minute, second) = (at / 3600 % 24, at / 60 % 60, at % 60);
        let clock = format!("{hour:02}:{minute:02}:{second:02} UTC");
        if changes.is_empty() {
            say(&format!("{clock}  no change"));
            return;
        }
        say(&format!(
            "{clock}  {}",
            words::render_verdict(&Words::of(conclusions), Style::of_stdout())
        ));
        for change in changes {
            let after = match (&change.before, &change.after) {
                (Some(before), Some(after)) => format!("{} -> {}", before.seen, after.seen),
                (None, Some(after)) => after.seen.clone(),
                (_, None) => continue,
            };
            say(&format!("              {}: {after}", change.topic));
        }
        let gone = changes.iter().filter(|change| change.after.is_none());
        let gone: Vec<&str> = gone.map(|change| change.topic).collect();
        if !gone.is_empty() {
            say(&format!(
                "              No longer seen: {}",
                gone.join(", ")
            ));
        }
    }
}

fn changed(changes: &[Change]) -> Value {
    let all = changes.iter().map(
        |change| json!({ "topic": change.topic, "before": change.before, "after": change.after }),
    );
    Value::Array(all.collect())
}

const NO_SERVER: &str = "--server is needed: no server answers at http://localhost:3478, and \
                         strangers' servers are not asked";
