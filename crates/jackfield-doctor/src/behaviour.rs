//! A report of behaviour discovery in plain words, and as JSON.

use std::fmt::Display;
use std::time::Duration;

use jackfield_stun::behaviour::{
    Filtering, Finding, Fragments, Lifetime, Mapping, PortAssignment, Reason, Report,
};
use serde_json::{Value, json};

use super::diagnosis::{Health, Line};

/// Says what was found out, a line for each kind of thing; what was not tested has none.
pub fn lines(report: &Report) -> Vec<Line> {
    let mut lines = vec![translation(report)];
    if report.mapped.known().is_some() {
        lines.extend([mapping(report), filtering(report)]);
        lines.extend(ports(report));
        lines.extend(hairpinning(report));
        lines.extend([alg(report)]);
        lines.extend(fragments(report));
        lines.extend(lifetime(report));
    }
    lines
}

fn translation(report: &Report) -> Line {
    let asked = match report.server {
        Some(server) => format!("Asked {server} from {} sockets.", report.sightings.len()),
        None => "No server was asked.".to_owned(),
    };
    let line = match (report.nat, report.local, report.mapped) {
        (Finding::Known(false), _, Finding::Known(mapped)) => Line::new(
            "NAT",
            Health::Ok,
            format!("none: {mapped} is seen as it is"),
        )
        .means("Addresses are not translated."),
        (Finding::Known(true), Finding::Known(local), Finding::Known(mapped)) => Line::new(
            "NAT",
            Health::Note,
            match report.label() {
                Some(label) => {
                    format!("yes, of the kind once called \"{label}\": {local} is seen as {mapped}")
                }
                None => format!("yes: {local} is seen as {mapped}"),
            },
        )
        .means(match report.externals.as_slice() {
            [_] | [] => "Addresses are translated.".to_owned(),
            all => format!("Addresses are translated to any of {}.", list(all)),
        }),
        _ => unknown("NAT", report.nat),
    };
    line.tried(asked)
}

fn mapping(report: &Report) -> Line {
    let line = match report.mapping {
        Finding::Known(mapping) => {
            let (health, means) = match mapping {
                Mapping::EndpointIndependent => (
                    Health::Ok,
                    "Peers reach this machine at the address that a server tells it.",
                ),
                Mapping::AddressDependent => (
                    Health::Degraded,
                    "Peers see another address than a server does, so what the server tells is of little use to them.",
                ),
                Mapping::AddressAndPortDependent => (
                    Health::Degraded,
                    "Each peer sees another address than a server does: what the server tells is of no use to them.",
                ),
            };
            let seen = match report.nat {
                Finding::Known(false) => "none".to_owned(),
                _ => with_rounds(mapping, report.mapping_stability),
            };
            Line::new("mapping", health, seen).means(match report.nat {
                Finding::Known(false) => "There is nothing to map.",
                _ => means,
            })
        }
        Finding::Unknown(_) => unknown("mapping", report.mapping),
    };
    line.tried(match report.other {
        Some(other) => format!("Asked the server, its other address and its other port ({other})."),
        None => "Asked the server; it names no other address to compare with.".to_owned(),
    })
}

fn filtering(report: &Report) -> Line {
    let line = match report.filtering {
        Finding::Known(filtering) => {
            let means = match filtering {
                Filtering::EndpointIndependent => {
                    "Everybody gets in once a socket has sent anything."
                }
                Filtering::AddressDependent => {
                    "Only addresses that were sent to get in, from any port of theirs."
                }
                Filtering::AddressAndPortDependent => {
                    "Only an address and port that was sent to gets in: both sides have to send first."
                }
            };
            let seen = with_rounds(filtering, report.filtering_stability);
            Line::new("filtering", Health::Ok, seen).means(means)
        }
        Finding::Unknown(_) => unknown("filtering", report.filtering),
    };
    line.tried("Had the server answer new sockets from its other address and its other port.")
}

fn ports(report: &Report) -> Option<Line> {
    let means = match report.ports {
        Finding::Known(PortAssignment::Preserved) => "The port inside is the port outside.",
        Finding::Known(PortAssignment::Sequential) => "The next port can be guessed.",
        Finding::Known(PortAssignment::Random) => "The next port cannot be guessed.",
        Finding::Unknown(Reason::NoNat) => return None,
        Finding::Unknown(_) => "",
    };
    let line = match report.ports {
        Finding::Known(ports) => Line::new("ports", Health::Note, ports.to_string()).means(means),
        Finding::Unknown(_) => unknown("ports", report.ports),
    };
    Some(line.tried(format!(
        "Compared the ports of {} sockets.",
        report.sightings.len()
    )))
}

fn hairpinning(report: &Report) -> Option<Line> {
    let line = match report.hairpinning {
        Finding::Known(true) => Line::new("hairpinning", Health::Ok, "yes")
            .means("Machines behind the same NAT reach each other by their outside addresses."),
        Finding::Known(false) => Line::new("hairpinning", Health::Note, "no").means(
            "Machines behind the same NAT reach each other by their inside addresses alone.",
        ),
        Finding::Unknown(Reason::NoNat | Reason::NotTested) => return None,
        Finding::Unknown(_) => unknown("hairpinning", report.hairpinning),
    };
    Some(line.tried("Sent from two sockets to each other's outside address."))
}

fn alg(report: &Report) -> Line {
    let line = match report.alg {
        Finding::Known(true) => Line::new("ALG", Health::Degraded, "yes: addresses inside messages are changed")
            .means("The router rewrites what programs say; that breaks more than it helps, so switch it off."),
        Finding::Known(false) => Line::new("ALG", Health::Ok, "no").means("What programs say arrives as it was said."),
        Finding::Unknown(_) => unknown("ALG", report.alg),
    };
    line.tried("Compared the address in the clear with the one that no router recognises.")
}

fn fragments(report: &Report) -> Option<Line> {
    let line = match report.fragments {
        Finding::Known(Fragments::BothWays) => Line::new("fragments", Health::Ok, "get through both ways")
            .means("Large datagrams arrive."),
        Finding::Known(Fragments::Outbound) => Line::new("fragments", Health::Note, "get out")
            .means("The server sent none back, so the other way is not known."),
        Finding::Known(Fragments::Dropped) => Line::new("fragments", Health::Note, "are dropped")
            .means("Datagrams above about 1,400 bytes get lost; browsers send none, other programs may."),
        Finding::Unknown(Reason::NotTested) => return None,
        Finding::Unknown(_) => unknown("fragments", report.fragments),
    };
    Some(line.tried("Sent a request of 1,500 bytes and asked for an answer as large."))
}

fn lifetime(report: &Report) -> Option<Line> {
    let line = match report.lifetime {
        Finding::Known(lifetime) => {
            let health = if shortest(lifetime) < FIFTEEN_SECONDS * 2 {
                Health::Degraded
            } else {
                Health::Ok
            };
            Line::new("lifetime", health, in_words(lifetime)).means(format!(
                "Idle mappings end then; a keepalive every {} s is safe.",
                (shortest(lifetime) / 2)
                    .min(FIFTEEN_SECONDS)
                    .as_secs()
                    .max(1)
            ))
        }
        Finding::Unknown(Reason::NotTested) => return None,
        Finding::Unknown(_) => unknown("lifetime", report.lifetime),
    };
    Some(line.tried("Left sockets idle for different times and had the server answer them then."))
}

const FIFTEEN_SECONDS: Duration = Duration::from_secs(15);

fn shortest(lifetime: Lifetime) -> Duration {
    lifetime.at_least
}

fn in_words(lifetime: Lifetime) -> String {
    let least = lifetime.at_least.as_secs();
    match lifetime.at_most {
        Some(most) => format!("{least} to {} s", most.as_secs().max(least)),
        None => format!("more than {least} s"),
    }
}

fn with_rounds(what: impl Display, stability: jackfield_stun::behaviour::Stability) -> String {
    if stability.agreeing == stability.rounds {
        format!("{what} ({stability} tries agree)")
    } else {
        format!("{what} (only {stability} tries agree)")
    }
}

fn unknown<T>(topic: &'static str, finding: Finding<T>) -> Line {
    let why = match finding {
        Finding::Unknown(reason) => reason,
        Finding::Known(_) => Reason::NotFinished,
    };
    Line::new(topic, Health::Note, format!("unknown: {why}"))
}

fn list(all: &[std::net::IpAddr]) -> String {
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    all.join(", ")
}

/// Returns the report for programs. Each finding is its value, or null with the reason under `unknown`.
pub fn as_json(report: &Report) -> Value {
    let mut unknown = serde_json::Map::new();
    let mut text = |name: &str, finding: Finding<String>| match finding {
        Finding::Known(text) => Value::from(text),
        Finding::Unknown(reason) => {
            unknown.insert(name.to_owned(), reason.to_string().into());
            Value::Null
        }
    };
    let mapping = text("mapping", report.mapping.map(|it| it.to_string()));
    let filtering = text("filtering", report.filtering.map(|it| it.to_string()));
    let ports = text("ports", report.ports.map(|it| it.to_string()));
    let local = text("local", report.local.map(|it| it.to_string()));
    let mapped = text("mapped", report.mapped.map(|it| it.to_string()));
    let fragments = text(
        "fragments",
        report.fragments.map(|it| {
            match it {
                Fragments::BothWays => "both-ways",
                Fragments::Outbound => "outbound",
                Fragments::Dropped => "dropped",
            }
            .to_owned()
        }),
    );
    let mut flag = |name: &str, finding: Finding<bool>| match finding {
        Finding::Known(flag) => Value::from(flag),
        Finding::Unknown(reason) => {
            unknown.insert(name.to_owned(), reason.to_string().into());
            Value::Null
        }
    };
    let nat = flag("nat", report.nat);
    let hairpinning = flag("hairpinning", report.hairpinning);
    let alg = flag("alg", report.alg);
    let lifetime = match report.lifetime {
        Finding::Known(lifetime) => json!({
            "at_least_s": lifetime.at_least.as_secs_f64(),
            "at_most_s": lifetime.at_most.map(|most| most.as_secs_f64()),
        }),
        Finding::Unknown(reason) => {
            unknown.insert("lifetime".to_owned(), reason.to_string().into());
            Value::Null
        }
    };
    json!({
        "server": report.server.map(|it| it.to_string()),
        "other": report.other.map(|it| it.to_string()),
        "round_trip_ms": report.round_trip.known().map(|it| it.as_secs_f64() * 1e3),
        "local": local,
        "mapped": mapped,
        "nat": nat,
        "label": report.label().map(|it| it.to_string()),
        "mapping": mapping,
        "mapping_stability": report.mapping_stability.to_string(),
        "filtering": filtering,
        "filtering_stability": report.filtering_stability.to_string(),
        "ports": ports,
        "externals": report.externals.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "hairpinning": hairpinning,
        "alg": alg,
        "fragments": fragments,
        "lifetime": lifetime,
        "unknown": unknown,
    })
}
