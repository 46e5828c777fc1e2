//! What two machines concluded, in plain English.

use jackfield_connect::Relay;
use jackfield_nat::Mapping;
use jackfield_nat::oracle::{self, why};

use super::{Cause, PeerConclusions, PeerFacts, PeerProblem, PeerVerdict, Sight, Who};
use crate::conclusions::Health;
use crate::words::{Line, Words};

/// Puts conclusions into words.
#[must_use]
pub fn words_of(conclusions: &PeerConclusions) -> Words {
    let mut why_not: Vec<String> = Vec::new();
    let mut advice: Vec<String> = Vec::new();
    if let Some(cause) = conclusions.cause {
        why_not.push(reason(cause, &conclusions.facts));
        advise(cause, &conclusions.facts, &mut advice);
    }
    for problem in &conclusions.problems {
        let (why, step) = describe(*problem, &conclusions.facts.peer);
        why_not.push(why);
        advice.push(step);
    }
    Words {
        health: conclusions.health,
        verdict: verdict(conclusions),
        lines: lines(conclusions),
        why_not,
        advice,
    }
}

fn verdict(conclusions: &PeerConclusions) -> String {
    let peer = &conclusions.facts.peer;
    match conclusions.verdict {
        PeerVerdict::Direct => format!("Packets go directly between this machine and {peer}."),
        PeerVerdict::Relayed(relay) => format!(
            "Packets between this machine and {peer} take the detour by a relay, which is reached \
             by {}.",
            name_of(relay)
        ),
        PeerVerdict::NoPath => {
            format!("There is no path between this machine and {peer}: no call comes about.")
        }
    }
}

fn name_of(relay: Relay) -> &'static str {
    match relay {
        Relay::Udp => "UDP",
        Relay::Tcp => "TCP",
        Relay::Tls => "TLS",
    }
}

/// Says why there is no better path.
fn reason(cause: Cause, facts: &PeerFacts) -> String {
    let peer = &facts.peer;
    match cause {
        Cause::UdpBlocked(who) => match who {
            Who::Here => "No UDP leaves this machine's network.".to_owned(),
            Who::There => format!("No UDP leaves {peer}'s network."),
            Who::Both => format!("No UDP leaves this machine's network, nor {peer}'s."),
        },
        Cause::Nats | Cause::Chance => {
            let here = facts.here.chain().unwrap_or_default();
            let there = facts.there.as_ref().and_then(Sight::chain);
            let text = why("this machine", &here, peer, &there.unwrap_or_default());
            capitalized(&text)
        }
        Cause::Unexpected => format!(
            "Both NATs would let packets through directly, and none came: a firewall on this \
             machine, on {peer}, or between the two keeps them out."
        ),
        Cause::Unknown(who) => {
            let whose = match who {
                Who::Here => "this machine's network".to_owned(),
                Who::There => format!("{peer}'s network"),
                Who::Both => "either network".to_owned(),
            };
            format!("Too little is known of {whose} to say why there is no direct path.")
        }
    }
}

/// Returns a text whose first letter is a capital: a sentence may begin with a machine's name.
fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters.as_str().chars()).collect()
}

fn advise(cause: Cause, facts: &PeerFacts, advice: &mut Vec<String>) {
    let peer = &facts.peer;
    match cause {
        Cause::UdpBlocked(who) => {
            let whose = match who {
                Who::Here => "this network".to_owned(),
                Who::There => format!("{peer}'s network"),
                Who::Both => "both networks".to_owned(),
            };
            advice.push(format!(
                "Let UDP out of {whose}: to port {} of the server, and to any port of peers.",
                facts.server.port
            ));
        }
        Cause::Nats | Cause::Chance => {
            let is_here = is_strict(Some(&facts.here));
            let is_there = is_strict(facts.there.as_ref());
            let routers = match (is_here, is_there) {
                (true, false) => "this network's router".to_owned(),
                (false, true) => format!("{peer}'s router"),
                _ => "one of the two routers".to_owned(),
            };
            advice.push(format!(
                "Switch port mapping (UPnP, NAT-PMP or PCP) on at {routers}, or have it keep one \
                 outside port for each inside port."
            ));
            advice.push("Use IPv6 on both sides: it needs no NAT.".to_owned());
        }
        Cause::Unexpected => advice.push(format!(
            "Let jackfield receive UDP through the firewalls of this machine and of {peer}, then \
             try again."
        )),
        Cause::Unknown(_) => advice.push(
            "Give the server a second address (`jackfield serve --nat-discovery`), so that it can \
             tell what kind of NAT is on the way."
                .to_owned(),
        ),
    }
}

fn is_strict(sight: Option<&Sight>) -> bool {
    let mapping = sight.and_then(|sight| sight.nat.as_ref()?.mapping.parse().ok());
    mapping.is_some_and(|mapping: Mapping| mapping != Mapping::EndpointIndependent)
}

/// Says what is wrong with a path, and what to do about it.
fn describe(problem: PeerProblem, peer: &str) -> (String, String) {
    match problem {
        PeerProblem::NoRelay(who) => {
            let who = match who {
                Who::Here => "this machine".to_owned(),
                Who::There => peer.to_owned(),
                Who::Both => "either machine".to_owned(),
            };
            (
                format!("No relay works from {who}, and without a direct path one is needed."),
                "Have the server relay by TLS on port 443 too, which strict networks let out."
                    .to_owned(),
            )
        }
        PeerProblem::Loss(per_mille) => (
            format!(
                "{}.{} % of the messages, or their answers, were lost.",
                per_mille / 10,
                per_mille % 10
            ),
            "Use a cable in place of Wi-Fi, or end what else fills the line.".to_owned(),
        ),
        PeerProblem::Slow(median) => (
            format!("A round trip takes {} ms.", median.as_millis()),
            "Use a relay that is nearer to both, or end what else fills the line.".to_owned(),
        ),
        PeerProblem::Narrow(bytes) => (
            format!("No more than {} get through.", in_bits(bytes)),
            "End what else fills the line, on both sides.".to_owned(),
        ),
        PeerProblem::SmallPackets(mtu) => (
            format!("Packets above {mtu} bytes do not get through."),
            "Look at the MTU of tunnels and VPNs on the way: WebRTC sends packets of up to 1,248 \
             bytes."
                .to_owned(),
        ),
    }
}

fn lines(conclusions: &PeerConclusions) -> Vec<Line> {
    let facts = &conclusions.facts;
    let mut lines = vec![
        network("here", Some(&facts.here)),
        network("there", facts.there.as_ref()),
    ];
    lines.push(path(conclusions));
    let health_of = |is_it: fn(&PeerProblem) -> bool| {
        let problem = conclusions.problems.iter().find(|problem| is_it(problem));
        problem.map_or(Health::Ok, |problem| problem.health())
    };
    if let Some(delay) = facts.delay {
        let ms = |time: std::time::Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
        lines.push(Line {
            topic: "round trip",
            health: health_of(|it| matches!(it, PeerProblem::Slow(_))),
            seen: format!(
                "{} ms, from {} to {} ms",
                ms(delay.median),
                ms(delay.min),
                ms(delay.max)
            ),
            tried: "Sent small messages that are not sent again, and had them answered.".to_owned(),
            means: String::new(),
        });
    }
    if let Some(loss) = facts.loss {
        lines.push(Line {
            topic: "loss",
            health: health_of(|it| matches!(it, PeerProblem::Loss(_))),
            seen: format!(
                "{} of {} were not answered",
                loss.sent.saturating_sub(loss.answered),
                loss.sent
            ),
            tried: String::new(),
            means: String::new(),
        });
    }
    if !facts.throughput.is_unknown() {
        let rate = |rate: Option<u64>| rate.map_or_else(|| "unknown".to_owned(), in_bits);
        lines.push(Line {
            topic: "throughput",
            health: health_of(|it| matches!(it, PeerProblem::Narrow(_))),
            seen: format!(
                "{} there, {} back",
                rate(facts.throughput.to_peer),
                rate(facts.throughput.from_peer)
            ),
            tried: "Filled a reliable channel for a moment, one direction after the other."
                .to_owned(),
            means: String::new(),
        });
    }
    if let Some(mtu) = facts.mtu {
        lines.push(Line {
            topic: "path MTU",
            health: health_of(|it| matches!(it, PeerProblem::SmallPackets(_))),
            seen: format!("packets of {mtu} bytes get through"),
            tried: "Sent packets of growing size along the path.".to_owned(),
            means: String::new(),
        });
    }
    lines
}

fn network(topic: &'static str, sight: Option<&Sight>) -> Line {
    let (health, seen) = match sight {
        None => (Health::Degraded, "said nothing of its network".to_owned()),
        Some(sight) if !sight.udp => (Health::Degraded, "no UDP gets out".to_owned()),
        Some(sight) => match &sight.nat {
            None => (Health::Note, "the NAT on the way is not known".to_owned()),
            Some(nat) if !nat.translates => (Health::Ok, "no NAT on the way".to_owned()),
            // What the other side says is not repeated unless it is a name that is known.
            Some(nat) => match (
                nat.mapping.parse::<Mapping>(),
                nat.filtering.parse::<jackfield_nat::Filtering>(),
            ) {
                (Ok(mapping), Ok(filtering)) => (
                    Health::Ok,
                    format!("a NAT with {mapping} mapping and {filtering} filtering"),
                ),
                _ => (Health::Note, "the NAT on the way is not known".to_owned()),
            },
        },
    };
    Line {
        topic,
        health,
        seen,
        tried: String::new(),
        means: String::new(),
    }
}

fn path(conclusions: &PeerConclusions) -> Line {
    let seen = match &conclusions.facts.route {
        None => "none".to_owned(),
        Some(route) => format!(
            "{}, from a {} to a {} candidate by {}",
            conclusions.verdict.kind(),
            route.local,
            route.remote,
            route.protocol
        ),
    };
    let means = match (conclusions.verdict, conclusions.expected) {
        (PeerVerdict::Direct, Some(oracle::Path::Relay)) => {
            "The two NATs alone would not allow it: the machines share a network, or a port is \
             mapped."
        }
        _ => "",
    };
    Line {
        topic: "path",
        health: match conclusions.verdict {
            PeerVerdict::Direct => Health::Ok,
            PeerVerdict::Relayed(_) => Health::Degraded,
            PeerVerdict::NoPath => Health::Broken,
        },
        seen,
        tried: "Connected the two by ICE, as a call does.".to_owned(),
        means: means.to_owned(),
    }
}

fn in_bits(bytes: u64) -> String {
    let bits = bytes as f64 * 8.0;
    if bits >= 1e6 {
        format!("{:.1} Mbit/s", bits / 1e6)
    } else {
        format!("{:.0} kbit/s", bits / 1e3)
    }
}
