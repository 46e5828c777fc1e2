//! `jackfield connect`, `send` and `receive`: a native WebRTC peer in the terminal.

mod stdout;
mod words;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use jackfield_connect::files::{Destination, Source};
use jackfield_connect::{
    Ends, Forward, Forwarding, RoomAddress, RoomName, RoomOptions, Server, Stay, Stop, TcpTarget,
    Trust, WebRtc, forward, pipe, receive, send, stream::StreamId,
};
use jackfield_proxy::{ProxyRules, ProxyUrl, RulesError};

use super::signal::until_stopped;
use super::{complain, failed, wrong_use};
use stdout::ClosingStdout;
use words::{OtherSide, Output, Reporter};

/// Returns `jackfield connect`.
pub(super) fn connect_command() -> Command {
    Command::new("connect")
        .about("Joins stdin and stdout, or a TCP port, to another program or a browser")
        .long_about(
            "Joins stdin and stdout, or a TCP port, to another program or a browser.\n\n\
             Both sides name the same room. The first two programs in it are joined: what one \
             reads from stdin, the other writes to stdout. With a browser that has the room's page \
             open, lines are messages of its chat. With --forward or --allow, TCP connections are \
             carried instead, for these two programs alone: a third one in the room is refused until \
             one of them leaves.\n\n\
             Packets go directly from one to the other, encrypted; stderr says which way they \
             take. Where no direct path exists, the server relays, over UDP, TCP or TLS, whichever \
             gets through. The server, and its relay over TCP and TLS, are reached by the proxy of \
             https_proxy or all_proxy, if one is set.",
        )
        .after_help(
            "Examples:\n  \
             jackfield connect demo-7f3a9c                          # type here, read there\n  \
             tar c photos | jackfield connect demo-7f3a9c           # and there: | tar x\n  \
             jackfield connect demo-7f3a9c --allow 22               # the machine with sshd\n  \
             jackfield connect demo-7f3a9c --forward 2222:localhost:22   # then: ssh -p 2222 localhost\n  \
             jackfield connect https://call.example.org/r/demo-7f3a9c\n\n\
             Exit code: 0 when both sides have ended, 1 when something failed, 2 for wrong use; 130 \
             after\nCtrl+C and 143 after SIGTERM, and then the other side is told.",
        )
        .arg(room())
        .args([
            Arg::new("forward")
                .long("forward")
                .short('L')
                .value_name("[[BIND:]LOCAL:HOST:]PORT")
                .action(ArgAction::Append)
                .value_parser(value_parser!(Forward))
                .help(
                    "Listens on LOCAL here; connections come out at HOST:PORT as the other side \
                     sees it. The other side has to --allow that.",
                ),
            Arg::new("allow")
                .long("allow")
                .value_name("[HOST:]PORT")
                .action(ArgAction::Append)
                .value_parser(value_parser!(TcpTarget))
                .help(
                    "Lets the other side connect to HOST:PORT from this machine; localhost unless \
                     named. The other side is the first program in the room that forwards, and no \
                     other.",
                ),
        ])
        .args(common())
}

/// Returns `jackfield send`.
pub(super) fn send_command() -> Command {
    Command::new("send")
        .about("Sends files and folders to another program or a browser")
        .long_about(
            "Sends files and folders to another program or a browser.\n\n\
             It prints a room and waits there. The other side runs `jackfield receive ROOM`, or \
             opens the room's page. The first who takes the files gets them; then it ends.\n\n\
             Whatever breaks in the middle, the network or either program, the same two commands \
             go on where it broke; also after Ctrl+C, which the other side is told of. Each file's SHA-256 checksum is compared at the end.",
        )
        .after_help(
            "Examples:\n  \
             jackfield send photo.jpg                      # prints the room to receive from\n  \
             jackfield send --server https://call.example.org photos/ notes.txt\n  \
             jackfield send --room demo-7f3a9c big.iso     # a room of your own\n\n\
             Exit code: 0 when the other side has everything, checked, 1 when it has not, 2 for \
             wrong use,\n130 after Ctrl+C and 143 after SIGTERM.",
        )
        .arg(
            Arg::new("paths")
                .value_name("FILE|FOLDER")
                .required(true)
                .action(ArgAction::Append)
                .value_parser(value_parser!(PathBuf))
                .help("What to send; folders with all that is in them."),
        )
        .arg(
            Arg::new("room")
                .long("room")
                .value_name("ROOM")
                .value_parser(value_parser!(RoomAddress))
                .help(
                    "The room, or the link of its page; by default a new one that is not guessed.",
                ),
        )
        .args(common())
}

/// Returns `jackfield receive`.
pub(super) fn receive_command() -> Command {
    Command::new("receive")
        .about("Receives files and folders that another program or a browser sends")
        .long_about(
            "Receives files and folders that another program or a browser sends.\n\n\
             It takes the first files that somebody sends in the room, and ends when they are all \
             there. No file is overwritten, nothing is written outside the folder, and names that \
             some system cannot store are refused.\n\n\
             What arrived of a file is kept as NAME.XXXXXXXX.part, so that the same command goes \
             on where it broke.",
        )
        .after_help(
            "Examples:\n  \
             jackfield receive demo-7f3a9c\n  \
             jackfield receive demo-7f3a9c --into ~/Downloads\n  \
             jackfield receive https://call.example.org/r/demo-7f3a9c --json\n\n\
             Exit code: 0 when everything is there, checked, 1 when it is not, 2 for wrong use, 130 \
             after\nCtrl+C and 143 after SIGTERM: the sender then waits for this command again.",
        )
        .arg(room())
        .args([
            Arg::new("into")
                .long("into")
                .value_name("DIR")
                .default_value(".")
                .value_parser(value_parser!(PathBuf))
                .help("The folder to receive into; it is made if it is not there."),
            Arg::new("overwrite")
                .long("overwrite")
                .action(ArgAction::SetTrue)
                .help("Replaces files of the same name and other content."),
        ])
        .args(common())
}

/// Runs `jackfield connect`.
pub(super) fn connect(matches: &ArgMatches) -> ExitCode {
    let forwarding = Forwarding {
        forwards: matches
            .get_many("forward")
            .into_iter()
            .flatten()
            .cloned()
            .collect(),
        allowed: matches
            .get_many("allow")
            .into_iter()
            .flatten()
            .cloned()
            .collect(),
        seed: random(),
    };
    let is_pipe = forwarding.forwards.is_empty() && forwarding.allowed.is_empty();
    let address = room_of(matches);
    let reporter = Reporter::new(output(matches, !is_pipe), OtherSide::Expected);
    run(
        matches,
        address,
        reporter,
        async |stay, connector, reporter| {
            if !is_pipe {
                return forward(stay, connector, forwarding, reporter).await;
            }
            let ends = Ends {
                ends_with_other: std::io::stdin().is_terminal(),
                reader: tokio::io::stdin(),
                writer: ClosingStdout(tokio::io::stdout()),
            };
            pipe(stay, connector, ends, StreamId::new(random()), reporter).await
        },
    )
}

/// Runs `jackfield send`.
pub(super) fn send_files(matches: &ArgMatches) -> ExitCode {
    let paths: Vec<&PathBuf> = matches.get_many("paths").into_iter().flatten().collect();
    let source = match Source::gather(&paths) {
        Ok(source) => source,
        Err(error) => return failed(&error.into()),
    };
    for skipped in source.skipped() {
        complain(&format!(
            "{} is a link or no plain file, and is not sent",
            skipped.display()
        ));
    }
    let address = room_of(matches);
    let other_side = command_there(matches, &address, "receive");
    let reporter = Reporter::new(output(matches, true), other_side);
    run(
        matches,
        address,
        reporter,
        async |stay, connector, reporter| {
            let progress = reporter.progress();
            send(stay, connector, Arc::new(source), progress, reporter).await
        },
    )
}

/// Runs `jackfield receive`.
pub(super) fn receive_files(matches: &ArgMatches) -> ExitCode {
    let into = matches
        .get_one::<PathBuf>("into")
        .cloned()
        .unwrap_or_default();
    let destination = Destination::new(into, matches.get_flag("overwrite"));
    let reporter = Reporter::new(output(matches, true), OtherSide::Expected);
    run(
        matches,
        room_of(matches),
        reporter,
        async |stay, connector, reporter| {
            let progress = reporter.progress();
            let destination = Arc::new(destination);
            let received = receive(stay, connector, destination, progress, reporter).await;
            received.map(|_| ())
        },
    )
}

fn room() -> Arg {
    Arg::new("room")
        .value_name("ROOM")
        .required(true)
        .value_parser(value_parser!(RoomAddress))
        .help("The room that both sides name, or the link of its page. Who knows it can enter.")
}

fn common() -> Vec<Arg> {
    vec![
        Arg::new("server")
            .long("server")
            .value_name("URL")
            .env("JACKFIELD_SERVER")
            .value_parser(value_parser!(Server))
            .help("The Jackfield server where the two find each other [default: http://localhost:3478]."),
        Arg::new("name")
            .long("name")
            .value_name("NAME")
            .help("What others in the room see; by default your user name."),
        Arg::new("token")
            .long("token")
            .value_name("TOKEN")
            .env("JACKFIELD_TOKEN")
            .hide_env_values(true)
            .help("What a server that asks for one lets you in by."),
        Arg::new("wait")
            .long("wait")
            .value_name("TIME")
            .default_value("10m")
            .value_parser(duration)
            .help("How long to wait while no one is connected, such as 30s or 2h."),
        Arg::new("tls-ca")
            .long("tls-ca")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("A PEM file with the certificates to trust, in place of the system's."),
        proxy(),
        Arg::new("port-mapping")
            .long("port-mapping")
            .action(ArgAction::SetTrue)
            .help(
                "Asks the router to keep a UDP port open (PCP, NAT-PMP or UPnP), for a direct path \
                 where its NAT allows none otherwise.",
            ),
        Arg::new("relay")
            .long("relay")
            .action(ArgAction::SetTrue)
            .help("Uses the server's relay even where a direct path exists, so that the other side learns no address of this machine."),
        Arg::new("no-udp")
            .long("no-udp")
            .action(ArgAction::SetTrue)
            .conflicts_with("port-mapping")
            .help(
                "Sends no datagram: data goes over TCP to the other side, or over TCP or TLS to the \
                 server's relay, where a network punishes or breaks UDP.",
            ),
        super::json().help("Prints what happens as JSON, an object a line."),
    ]
}

/// Does what `work` does in a room, and says how it ended.
fn run(
    matches: &ArgMatches,
    address: RoomAddress,
    reporter: Reporter,
    work: impl AsyncFnOnce(Stay, WebRtc, Arc<Reporter>) -> Result<(), jackfield_connect::Error>,
) -> ExitCode {
    let trust = match Trust::new(matches.get_one::<PathBuf>("tls-ca").map(PathBuf::as_path)) {
        Ok(trust) => trust,
        Err(error) => return wrong_use(&error.to_string()),
    };
    let proxies = match proxies(matches) {
        Ok(proxies) => proxies,
        Err(error) => return wrong_use(&error.to_string()),
    };
    let room = RoomOptions {
        server: server(matches, &address),
        trust,
        proxies,
        room: address.room,
        name: matches
            .get_one::<String>("name")
            .cloned()
            .unwrap_or_else(user_name),
        token: matches.get_one::<String>("token").cloned(),
        purpose: "pipe",
        seed: random().to_be_bytes(),
    };
    let mut connector = WebRtc::near(&room.server)
        .trusting(&room.trust)
        .proxied(room.proxies.clone())
        .udp(!matches.get_flag("no-udp"))
        .relay_only(matches.get_flag("relay"));
    if matches.get_flag("port-mapping") {
        connector = connector.mapped();
    }
    let wait = matches
        .get_one::<Duration>("wait")
        .copied()
        .unwrap_or(DEFAULT_WAIT);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = match builder
        .worker_threads(2)
        .enable_all()
        .build()
        .context("no event queue")
    {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let reporter = Arc::new(reporter);
    let code = runtime.block_on(async {
        let following = reporter.follow();
        let stop = Stop::default();
        let stay = Stay {
            room,
            wait,
            stop: stop.clone(),
        };
        let work = work(stay, connector, Arc::clone(&reporter));
        let (result, signal) = until_stopped(&stop, work).await;
        following.abort();
        match (result, signal) {
            (Some(Ok(())), _) => ExitCode::SUCCESS,
            (None | Some(Err(jackfield_connect::Error::Stopped)), Some(signal)) => {
                reporter.fail(&format!("stopped by {}", signal.name()));
                signal.exit_code()
            }
            (Some(Err(error)), _) => {
                // The whole chain: what the system said is the last of it.
                reporter.fail(&format!("{:#}", anyhow::Error::from(error)));
                ExitCode::from(1)
            }
            (None, None) => ExitCode::from(1),
        }
    });
    // A thread that waits for standard input waits for ever.
    runtime.shutdown_background();
    code
}

/// Returns by which proxy servers are reached: the one of `--proxy`, or that of the environment.
///
/// # Errors
/// When a variable does not hold the URL of a proxy.
pub(super) fn proxies(matches: &ArgMatches) -> Result<ProxyRules, RulesError> {
    let named = matches.get_one::<ProxyUrl>("proxy").cloned();
    // A proxy that is named makes it irrelevant which one a variable names.
    let is_named = named.is_some();
    let mut rules = ProxyRules::from_environment(|name| {
        let is_exemption = name.eq_ignore_ascii_case("no_proxy");
        std::env::var(name)
            .ok()
            .filter(|_| is_exemption || !is_named)
    })?;
    if is_named {
        rules.proxy = named;
    }
    Ok(rules)
}

/// Returns `--proxy`.
pub(super) fn proxy() -> Arg {
    Arg::new("proxy")
        .long("proxy")
        .value_name("URL")
        .value_parser(value_parser!(ProxyUrl))
        .help(
            "The proxy for connections to the server and its relay over TCP: http, https, socks5 \
             or socks5h; in place of https_proxy or all_proxy. The hosts of no_proxy are reached \
             directly.",
        )
}

fn server(matches: &ArgMatches, address: &RoomAddress) -> Server {
    let named = matches.get_one::<Server>("server").cloned();
    // A link names its server; a flag on the command line still wins over it.
    let is_flag = matches.value_source("server") == Some(clap::parser::ValueSource::CommandLine);
    match (named, &address.server) {
        (Some(server), None) => server,
        (Some(server), Some(_)) if is_flag => server,
        (_, Some(server)) => server.clone(),
        (None, None) => Server::local(),
    }
}

/// Returns the room to use: the named one, or one that is not guessed.
fn room_of(matches: &ArgMatches) -> RoomAddress {
    let named = matches.get_one::<RoomAddress>("room").cloned();
    named.unwrap_or_else(|| RoomAddress {
        server: None,
        room: RoomName::random(random()),
    })
}

/// Returns the command of the other side.
fn command_there(matches: &ArgMatches, address: &RoomAddress, program: &str) -> OtherSide {
    let server = server(matches, address);
    let server = if server == Server::local() {
        String::new()
    } else {
        format!("--server {server} ")
    };
    let room = address.room.to_string();
    let is_plain = room
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let room = if is_plain {
        room
    } else {
        format!("'{}'", room.replace('\'', "'\\''"))
    };
    OtherSide::Command(format!("jackfield {program} {server}{room}"))
}

fn output(matches: &ArgMatches, is_stdout_free: bool) -> Output {
    match (matches.get_flag("json"), is_stdout_free) {
        (false, _) => Output::Words,
        (true, true) => Output::JsonOnStdout,
        (true, false) => Output::JsonOnStderr,
    }
}

pub(super) fn user_name() -> String {
    let named = ["USER", "USERNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok());
    named
        .filter(|name| !name.trim().is_empty())
        .unwrap_or_else(|| "jackfield".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    let accepted = || format!("`{text}` is refused; accepted is a time such as 30s, 10m or 2h");
    jackfield_sansio::parse_duration(text, Duration::from_secs(1), LONGEST_WAIT)
        .ok_or_else(accepted)
}

pub(super) fn random() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    u128::from_be_bytes(bytes)
}

/// A month: who wants longer restarts it.
const LONGEST_WAIT: Duration = Duration::from_secs(30 * 24 * 3600);
const DEFAULT_WAIT: Duration = Duration::from_secs(600);
