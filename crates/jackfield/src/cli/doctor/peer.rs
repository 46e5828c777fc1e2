//! `jackfield doctor --peer`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Arg, ArgMatches, value_parser};
use jackfield_connect::{RoomAddress, RoomOptions, Server, Stop, Trust as RoomTrust, WebRtc};
use jackfield_doctor::peer::{
    MeetingOptions, PeerConclusions, meet, of_peer_conclusions, words_of,
};
use jackfield_doctor::{Conclusions, Options, Style, Target, Trust, json as doctor_json, words};
use jackfield_sansio::parse_duration;
use serde_json::Value;

use super::super::peer::{proxies, proxy, random, user_name};
use super::super::signal::until_stopped;
use super::super::{block_on, complain, failed, say, wrong_use};
use super::{NO_SERVER, target};

/// Returns the arguments that are about another machine.
pub(super) fn arguments() -> [Arg; 4] {
    [
        Arg::new("peer")
            .long("peer")
            .value_name("ROOM")
            .value_parser(value_parser!(RoomAddress))
            .conflicts_with_all(["watch", "trace"])
            .help(
                "Meets another machine that runs the same with the same room, and examines the \
                 path between the two; ROOM is a name that both choose, or the link of its page.",
            ),
        proxy(),
        Arg::new("name")
            .long("name")
            .value_name("NAME")
            .requires("peer")
            .help("What the other machine calls this one; by default your user name."),
        Arg::new("wait")
            .long("wait")
            .value_name("TIME")
            .requires("peer")
            .default_value("10m")
            .value_parser(|text: &str| {
                parse_duration(text, Duration::from_secs(1), Duration::from_secs(86_400))
                    .ok_or("accepted is a time from 1 s to 1 d such as 30s or 2h")
            })
            .help("How long to wait for the other machine."),
    ]
}

/// Meets, and prints the conclusions.
pub(super) fn run(matches: &ArgMatches, trust: Trust) -> ExitCode {
    let stop = Stop::default();
    let met =
        block_on(async { Ok(until_stopped(&stop, conclude(matches, trust, stop.clone())).await) });
    let met = match met {
        Ok((Some(Ok(met)), _)) => Ok(met),
        Ok((_, Some(signal))) => {
            complain(&format!("stopped by {}", signal.name()));
            return signal.exit_code();
        }
        Ok((Some(Err(error)), None)) | Err(error) => Err(error),
        Ok((None, None)) => return ExitCode::from(1),
    };
    match met {
        Ok(Met::Conclusions(own, peer)) => {
            print(matches, &own, &peer);
            if own.is_problem_found() || peer.is_problem_found() {
                ExitCode::from(1)
            } else {
                ExitCode::SUCCESS
            }
        }
        Ok(Met::NoServer) => wrong_use(NO_SERVER),
        Ok(Met::NoRooms(target)) => wrong_use(&format!(
            "--peer needs a server with rooms, an http: or https: URL: {target} is asked for STUN \
             alone"
        )),
        Err(error) => failed(&error),
    }
}

enum Met {
    Conclusions(Box<Conclusions>, Box<PeerConclusions>),
    NoServer,
    NoRooms(Target),
}

async fn conclude(matches: &ArgMatches, trust: Trust, stop: Stop) -> Result<Met> {
    let address = matches.get_one::<RoomAddress>("peer").context("no room")?;
    let linked = address
        .server
        .as_ref()
        .filter(|_| !matches.contains_id("server"));
    let target = match linked {
        Some(server) => Some(server.to_string().parse::<Target>()?),
        None => target(matches, &trust).await,
    };
    let Some(target) = target else {
        return Ok(Met::NoServer);
    };
    let Ok(server) = target.to_string().parse::<Server>() else {
        return Ok(Met::NoRooms(target));
    };
    let wait = matches.get_one::<Duration>("wait").copied();
    let named = matches.get_one::<String>("name").cloned();
    complain(&format!(
        "Examines this machine's network, and waits for the other machine in the room {}.",
        address.room
    ));
    let room = RoomOptions {
        server,
        trust: RoomTrust::of_config(Arc::clone(trust.config())),
        proxies: proxies(matches)?,
        room: address.room.clone(),
        name: named.unwrap_or_else(user_name),
        token: None,
        purpose: "doctor",
        seed: random().to_be_bytes(),
    };
    let options = MeetingOptions {
        webrtc: WebRtc::near(&room.server)
            .trusting(&room.trust)
            .proxied(room.proxies.clone()),
        room,
        examine: Options {
            target,
            trust,
            proxy: matches.get_one("proxy").cloned(),
            slow: matches.get_flag("slow"),
            recorder: None,
        },
        wait: wait.context("no time to wait")?,
        stop,
    };
    let (own, peer) = meet(options).await?;
    Ok(Met::Conclusions(
        Box::new(Conclusions::of(&own)),
        Box::new(PeerConclusions::of(peer)),
    ))
}

fn print(matches: &ArgMatches, own: &Conclusions, peer: &PeerConclusions) {
    if matches.get_flag("json") {
        let mut json = of_peer_conclusions(peer);
        if let Value::Object(members) = &mut json {
            members.insert("own".to_owned(), doctor_json::of_conclusions(own));
        }
        say(&json.to_string());
        return;
    }
    let style = Style::of_stdout();
    let text = words::render(&words_of(peer), style);
    say(text.trim_end());
    say(&format!(
        "\nBy itself, this machine: {}",
        words::render_verdict(&words::Words::of(own), style)
    ));
}
