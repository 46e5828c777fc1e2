//! `jackfield stun`.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use jackfield_driver::discovery::{Binding, ask_first, discover};
use jackfield_sansio::parse_duration;
use jackfield_stun::behaviour::{DiscoveryConfig, LifetimeSearch};
use serde_json::json;

use super::{block_on, failed, say};
use jackfield_doctor::conclusions::checks_of;
use jackfield_doctor::words::{Line, render_lines};
use jackfield_doctor::{Style, Target, json as doctor_json};

/// Returns `jackfield stun`.
pub(super) fn command() -> Command {
    Command::new("stun")
        .about("Says what address this machine has outside, as a STUN server sees it")
        .after_help(
            "Without a second address, a server tells of a NAT but not of its kind; name a second \
             server then.\n\n\
             Examples:\n  \
             jackfield stun stun.example.org\n  \
             jackfield stun 192.0.2.1:3478 --json\n  \
             jackfield stun stun:stun.example.org --behaviour\n  \
             jackfield stun one.example.org two.example.org --behaviour --lifetime=5m",
        )
        .args([
            Arg::new("server")
                .value_name("SERVER")
                .required(true)
                .num_args(1..=8)
                .value_parser(value_parser!(Target))
                .help(
                    "HOST, HOST:PORT or a stun: URI; the first is asked, the others tell more of \
                     mapping.",
                ),
            Arg::new("behaviour")
                .long("behaviour")
                .visible_alias("behavior")
                .action(ArgAction::SetTrue)
                .help("Finds out what kind of NAT is on the way (RFC 5780); takes some seconds."),
            Arg::new("lifetime")
                .long("lifetime")
                .value_name("TIME")
                .requires("behaviour")
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("3m")
                .value_parser(|text: &str| {
                    parse_duration(text, Duration::from_secs(5), Duration::from_secs(3600))
                        .ok_or("accepted is a time from 5 s to 1 h such as 90s or 5m")
                })
                .help(
                    "Finds out how long an idle mapping lives, up to this time (3m if none is \
                     given); takes up to twice as long.",
                ),
            Arg::new("ipv4")
                .short('4')
                .long("ipv4")
                .action(ArgAction::SetTrue)
                .conflicts_with("ipv6")
                .help("Asks over IPv4 alone."),
            Arg::new("ipv6")
                .short('6')
                .long("ipv6")
                .action(ArgAction::SetTrue)
                .help("Asks over IPv6 alone."),
            super::json(),
        ])
}

/// Asks, and prints what was answered.
pub(super) fn run(matches: &ArgMatches) -> ExitCode {
    match block_on(answer(matches)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

async fn answer(matches: &ArgMatches) -> Result<()> {
    let mut targets = matches.get_many::<Target>("server").into_iter().flatten();
    let family = match (matches.get_flag("ipv4"), matches.get_flag("ipv6")) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    let target = targets.next().context("a server is needed")?;
    let addresses = resolve(target, family).await?;
    let is_behaviour = matches.get_flag("behaviour");
    // One family may lead nowhere: whichever answers first is taken.
    let how = DiscoveryConfig::new(Vec::new()).first;
    let (first, binding) = match (addresses.as_slice(), is_behaviour) {
        // A discovery asks a single address itself, and says more of its silence.
        ([only], true) => (*only, None),
        (addresses, _) => match ask_first(addresses, how).await {
            Ok((server, binding)) => (server, Some(binding)),
            Err(error) => bail!("{} {}", list(addresses), why(&error)),
        },
    };
    let json = matches.get_flag("json");
    if let (Some(binding), false) = (binding, is_behaviour) {
        say(&plain(first, &binding, json));
        return Ok(());
    }
    let mut servers = vec![first];
    for target in targets {
        // Mappings are compared between servers, which takes one socket, and so one family.
        let addresses = resolve(target, Some(first.is_ipv4())).await?;
        servers.extend(addresses.first());
    }
    let limit = matches.get_one::<Duration>("lifetime").copied();
    behaviour(servers, limit, json).await
}

fn list(addresses: &[SocketAddr]) -> String {
    let all: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
    all.join(" and ")
}

fn plain(server: SocketAddr, binding: &Binding, json: bool) -> String {
    if json {
        json!({
            "server": server.to_string(),
            "mapped": binding.mapped.to_string(),
            "local": binding.local.to_string(),
            "nat": binding.mapped != binding.local,
            "round_trip_ms": binding.round_trip.as_secs_f64() * 1e3,
        })
        .to_string()
    } else {
        binding.mapped.to_string()
    }
}

async fn behaviour(servers: Vec<SocketAddr>, limit: Option<Duration>, json: bool) -> Result<()> {
    let first = servers.first().copied();
    let config = DiscoveryConfig {
        lifetime: limit.map(|limit| LifetimeSearch {
            limit,
            ..LifetimeSearch::default()
        }),
        ..DiscoveryConfig::new(servers)
    };
    let report = discover(config)
        .await
        .context("no route leads to the server")?;
    if json {
        say(&doctor_json::of_report(&report).to_string());
    } else {
        let lines: Vec<Line> = checks_of(&report).iter().map(Line::of).collect();
        say(render_lines(&lines, Style::of_stdout()).trim_end());
    }
    match (report.mapped.known(), first) {
        (None, Some(first)) => bail!("{first} does not answer"),
        _ => Ok(()),
    }
}

/// Returns the addresses of a server, of one family if that is wanted; at least one.
async fn resolve(target: &Target, v4: Option<bool>) -> Result<Vec<SocketAddr>> {
    let found = tokio::net::lookup_host((target.host.as_str(), target.port))
        .await
        .with_context(|| format!("{} is not found", target.host))?;
    let all: Vec<SocketAddr> = found
        .filter(|address| v4.is_none_or(|v4| address.is_ipv4() == v4))
        .collect();
    if all.is_empty() {
        bail!("{} has no address of the wanted family", target.host);
    }
    Ok(all)
}

fn why(error: &std::io::Error) -> String {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        Kind::TimedOut => {
            "does not answer: UDP is blocked on the way, or no server is there".to_owned()
        }
        Kind::ConnectionRefused => "is there, but nothing listens on that port".to_owned(),
        Kind::InvalidData => "answers, but not with an address".to_owned(),
        Kind::NetworkUnreachable | Kind::HostUnreachable => {
            "cannot be reached: no route leads there".to_owned()
        }
        _ => format!("cannot be asked: {error}"),
    }
}
