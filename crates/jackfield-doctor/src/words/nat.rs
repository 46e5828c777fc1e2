//! What was found of a NAT, as lines.

use std::fmt::Display;
use std::net::IpAddr;
use std::time::Duration;

use jackfield_stun::behaviour::{
    Filtering, Finding, Fragments, Lifetime, Mapping, PortAssignment, Reason, Report, Stability,
};

use super::line::Draft;

pub(super) fn translation(report: &Report) -> Draft {
    let asked = match report.server {
        Some(server) => format!("Asked {server} from {} sockets.", report.observations.len()),
        None => "No server was asked.".to_owned(),
    };
    let draft = match (report.nat, report.local, report.mapped) {
        (Finding::Known(false), _, Finding::Known(mapped)) => {
            Draft::new("NAT", format!("none: {mapped} is seen as it is"))
                .means("Addresses are not translated.")
        }
        (Finding::Known(true), Finding::Known(local), Finding::Known(mapped)) => {
            let kind = match report.label() {
                Some(label) => format!("yes, of the kind once called \"{label}\""),
                None => "yes".to_owned(),
            };
            let means = match report.externals.as_slice() {
                [_] | [] => "Addresses are translated.".to_owned(),
                all => format!("Addresses are translated to any of {}.", list(all)),
            };
            Draft::new("NAT", format!("{kind}: {local} is seen as {mapped}")).means(means)
        }
        _ => unknown("NAT", report.nat),
    };
    draft.tried(asked)
}

pub(super) fn mapping(report: &Report) -> Draft {
    let draft = match report.mapping {
        Finding::Known(_) if report.nat == Finding::Known(false) => {
            Draft::new("mapping", "none").means("There is nothing to map.")
        }
        Finding::Known(mapping) => {
            let seen = with_rounds(mapping, report.mapping_stability);
            Draft::new("mapping", seen).means(meaning(mapping, report.filtering))
        }
        Finding::Unknown(_) => unknown("mapping", report.mapping),
    };
    draft.tried(match report.other {
        Some(other) => {
            format!("Asked the server, its other address and its other port ({other}).")
        }
        None => "Asked the server; it names no other address to compare with.".to_owned(),
    })
}

fn meaning(mapping: Mapping, filtering: Finding<Filtering>) -> &'static str {
    let is_open = filtering == Finding::Known(Filtering::EndpointIndependent);
    match mapping {
        Mapping::EndpointIndependent => {
            "Peers reach this machine at the address that a server tells it."
        }
        Mapping::AddressDependent | Mapping::AddressAndPortDependent if is_open => {
            "Peers see another address than a server does, and get in at that one all the same."
        }
        Mapping::AddressDependent => {
            "Peers see another address than a server does, so what the server tells is of little \
             use to them."
        }
        Mapping::AddressAndPortDependent => {
            "Each peer sees another address than a server does: what the server tells is of no \
             use to them."
        }
    }
}

pub(super) fn filtering(report: &Report) -> Draft {
    let draft = match report.filtering {
        Finding::Known(filtering) => {
            let means = match filtering {
                Filtering::EndpointIndependent => {
                    "Everybody gets in once a socket has sent anything."
                }
                Filtering::AddressDependent => {
                    "Only addresses that were sent to get in, from any port of theirs."
                }
                Filtering::AddressAndPortDependent => {
                    "Only an address and port that was sent to gets in: both sides have to send \
                     first."
                }
            };
            let seen = with_rounds(filtering, report.filtering_stability);
            Draft::new("filtering", seen).means(means)
        }
        Finding::Unknown(_) => unknown("filtering", report.filtering),
    };
    draft.tried("Had the server answer new sockets from its other address and its other port.")
}

pub(super) fn ports(report: &Report) -> Draft {
    let draft = match report.ports {
        Finding::Known(ports) => Draft::new("ports", ports.to_string()).means(match ports {
            PortAssignment::Preserved => "The port inside is the port outside.",
            PortAssignment::Sequential => "The next port can be guessed.",
            PortAssignment::Random => "The next port cannot be guessed.",
        }),
        Finding::Unknown(_) => unknown("ports", report.ports),
    };
    draft.tried(format!(
        "Compared the ports of {} sockets.",
        report.observations.len()
    ))
}

pub(super) fn hairpinning(finding: Finding<bool>) -> Draft {
    let draft = match finding {
        Finding::Known(true) => Draft::new("hairpinning", "yes")
            .means("Machines behind the same NAT reach each other by their outside addresses."),
        Finding::Known(false) => Draft::new("hairpinning", "no").means(
            "Machines behind the same NAT reach each other by their inside addresses alone.",
        ),
        Finding::Unknown(_) => unknown("hairpinning", finding),
    };
    draft.tried("Sent from two sockets to each other's outside address.")
}

pub(super) fn alg(finding: Finding<bool>) -> Draft {
    let draft = match finding {
        Finding::Known(true) => Draft::new("ALG", "yes: addresses inside messages are changed")
            .means(
                "The router rewrites what programs say; that breaks more than it helps, so switch \
                 it off.",
            ),
        Finding::Known(false) => {
            Draft::new("ALG", "no").means("What programs say arrives as it was said.")
        }
        Finding::Unknown(_) => unknown("ALG", finding),
    };
    draft.tried("Compared the address in the clear with the one that no router recognises.")
}

pub(super) fn fragments(finding: Finding<Fragments>) -> Draft {
    let draft = match finding {
        Finding::Known(Fragments::BothWays) => {
            Draft::new("fragments", "get through both ways").means("Large datagrams arrive.")
        }
        Finding::Known(Fragments::Outbound) => Draft::new("fragments", "get out")
            .means("The server sent none back, so the other way is not known."),
        Finding::Known(Fragments::Dropped) => Draft::new("fragments", "are dropped").means(
            "Datagrams above about 1,400 bytes get lost; browsers send none, other programs may.",
        ),
        Finding::Unknown(_) => unknown("fragments", finding),
    };
    draft.tried("Sent a request of 1,500 bytes and asked for an answer as large.")
}

pub(super) fn lifetime(finding: Finding<Lifetime>) -> Draft {
    let draft = match finding {
        Finding::Known(lifetime) => {
            // Half of it, so that one keepalive may get lost; RFC 8445 §11 sends one every 15 s.
            let safe = (lifetime.at_least / 2).min(KEEPALIVE).as_secs().max(1);
            Draft::new("lifetime", in_words(lifetime)).means(format!(
                "Idle mappings end then; a keepalive every {safe} s is safe."
            ))
        }
        Finding::Unknown(_) => unknown("lifetime", finding),
    };
    draft.tried("Left sockets idle for different times and had the server answer them then.")
}

fn in_words(lifetime: Lifetime) -> String {
    let least = lifetime.at_least.as_secs();
    match lifetime.at_most {
        Some(most) => format!("{least} to {} s", most.as_secs().max(least)),
        None => format!("more than {least} s"),
    }
}

fn with_rounds(what: impl Display, stability: Stability) -> String {
    if stability.agreeing == stability.rounds {
        format!("{what} ({stability} tries agree)")
    } else {
        format!("{what} (only {stability} tries agree)")
    }
}

fn unknown<T>(topic: &'static str, finding: Finding<T>) -> Draft {
    let why = match finding {
        Finding::Unknown(reason) => reason,
        Finding::Known(_) => Reason::NotFinished,
    };
    Draft::new(topic, format!("unknown: {why}"))
}

fn list(all: &[IpAddr]) -> String {
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    all.join(", ")
}

/// The time between keepalives that programs have by default.
const KEEPALIVE: Duration = Duration::from_secs(15);
