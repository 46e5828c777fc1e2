//! Finds what is wrong.

use std::cmp::Reverse;
use std::net::IpAddr;

use jackfield_driver::discovery::layers::Layers;
use jackfield_stun::behaviour::{Finding, Reason, Report};

use super::problem::{Certified, Problem, RelayProblem};
use super::relay::{RelayFinding, RelayState};
use super::{Family, Reach};
use crate::facts::{
    Facts, NetworkError, RelayAttempt, RelayError, RelayTransport, StunPort, TlsError, Udp, Web,
    WebError,
};
use crate::target::{Target, TargetScheme};

/// Returns all problems, the most important first.
pub(super) fn problems(facts: &Facts, reach: &Reach, relay: RelayState) -> Vec<Problem> {
    if let Some(problem) = unnamed(facts) {
        return vec![problem];
    }
    let mut problems: Vec<Problem> = match &facts.web {
        Some(web) => web_problems(facts, web),
        None => stun_alone(facts).into_iter().collect(),
    };
    // A server that is not reached says nothing about the network.
    if problems.iter().any(Problem::is_fatal) && !facts.is_udp_answered() {
        return problems;
    }
    problems.extend(udp_problems(facts));
    problems.extend(nat_problems(facts, reach));
    problems.extend(relay_problems(facts, reach, relay));
    if let Some(report) = &facts.report {
        problems.extend(kind_unknown(report, reach));
        if report.alg == Finding::Known(true) {
            problems.push(Problem::Alg);
        }
    }
    // What costs most comes first; within that, what is nearest.
    problems.sort_by_key(|problem| Reverse(problem.severity()));
    problems
}

/// Returns why the server has no address.
fn unnamed(facts: &Facts) -> Option<Problem> {
    let name = facts.dns.name.as_ref()?;
    if !facts.dns.addresses.is_empty() {
        return None;
    }
    Some(if facts.has_route {
        Problem::NameNotFound { name: name.clone() }
    } else {
        Problem::Offline
    })
}

fn web_problems(facts: &Facts, web: &Web) -> Vec<Problem> {
    let problem = match (&web.ice, &web.websocket, &web.polling) {
        (Ok(_), Ok(_), Ok(_)) => return Vec::new(),
        (Ok(_), Err(_), Err(_)) => Problem::NoSignaling,
        (Ok(_), Err(_), Ok(_)) => Problem::NoWebSocket,
        (Ok(_), Ok(_), Err(_)) => Problem::NoPolling,
        (Err(_), Ok(_), _) => Problem::NoIce,
        (Err(error), Err(_), _) => web_problem(facts, web, error),
    };
    vec![problem]
}

/// Returns what keeps the web server from answering.
fn web_problem(facts: &Facts, web: &Web, error: &WebError) -> Problem {
    let server = facts.server.clone();
    match error {
        WebError::Unreachable(error) => unreachable(facts, *error),
        WebError::Redirected(right) => Problem::WrongUrl {
            given: server,
            right: right.clone(),
            is_redirect: true,
        },
        _ if web.other_scheme == Some(true) => Problem::WrongUrl {
            right: with_other_scheme(&server),
            given: server,
            is_redirect: false,
        },
        WebError::Tls(TlsError::Certificate(error)) => Problem::Certificate {
            of: Certified::Web(server),
            error: error.clone(),
        },
        WebError::Tls(error) => Problem::Tls {
            of: Certified::Web(server),
            error: error.clone(),
        },
        WebError::Silent | WebError::Closed | WebError::NotHttp => Problem::NotHttp {
            is_silent: *error == WebError::Silent,
            server,
        },
        WebError::Status(status @ 502..=504) => Problem::ProxyWithoutServer {
            server,
            status: *status,
        },
        WebError::Status(_) | WebError::Unexpected => Problem::NotJackfield { server },
    }
}

fn with_other_scheme(server: &Target) -> Target {
    Target {
        scheme: match server.scheme {
            TargetScheme::Http => TargetScheme::Https,
            TargetScheme::Https | TargetScheme::Stun => TargetScheme::Http,
        },
        ..server.clone()
    }
}

/// Returns what keeps TCP from the server.
fn unreachable(facts: &Facts, error: NetworkError) -> Problem {
    let server = facts.server.clone();
    if facts.is_udp_answered() {
        return Problem::TcpFails { server, error };
    }
    match error {
        NetworkError::Refused => Problem::NothingListens { server },
        NetworkError::NoRoute if !facts.has_route => Problem::Offline,
        error => Problem::NothingAnswers {
            server,
            tcp: Some(error),
        },
    }
}

/// Returns what is wrong with a server that only UDP was tried with.
fn stun_alone(facts: &Facts) -> Option<Problem> {
    if facts.is_udp_answered() {
        return None;
    }
    let server = facts.server.clone();
    let is_refused = |udp: &Udp| matches!(udp, Udp::Refused(_));
    Some(if !facts.has_route && facts.v4 == Udp::NoRoute {
        Problem::Offline
    } else if is_refused(&facts.v4) || is_refused(&facts.v6) {
        Problem::NothingListens { server }
    } else {
        Problem::NothingAnswers { server, tcp: None }
    })
}

fn udp_problems(facts: &Facts) -> Vec<Problem> {
    if facts.web.is_none() {
        return Vec::new();
    }
    // Silence on a port that was guessed means nothing.
    let is_named = matches!(facts.stun_port, StunPort::Named(_));
    let works_otherwise = facts.is_udp_answered();
    let families = [&facts.v4, &facts.v6].into_iter();
    let mut problems: Vec<Problem> = families
        .filter_map(|udp| match *udp {
            Udp::Silent(server) if is_named || works_otherwise => Some(Problem::UdpSilent {
                server,
                works_otherwise,
            }),
            Udp::Refused(server) if is_named && !works_otherwise => {
                Some(Problem::UdpRefused { server })
            }
            Udp::NotStun(server) if !works_otherwise => Some(Problem::NotStun { server }),
            Udp::Failed(server, error) if !works_otherwise => {
                Some(Problem::UdpNotSent { server, error })
            }
            _ => None,
        })
        .collect();
    // Both families fail for one reason, and one mention of it is enough.
    if !works_otherwise {
        problems.truncate(1);
    }
    problems
}

fn nat_problems(facts: &Facts, reach: &Reach) -> Vec<Problem> {
    let mut problems = Vec::new();
    let layers = facts.evidence.layers();
    if let Layers::Several(sign) = layers {
        problems.push(Problem::DoubleNat(sign));
    }
    match reach {
        Reach::Few { .. } => problems.push(Problem::MapsByDestination {
            is_carriers: matches!(layers, Layers::Several(sign) if sign.is_carriers()),
        }),
        Reach::Most { .. } => problems.push(Problem::StrictFilter),
        Reach::All | Reach::Unknown => return problems,
    }
    let report = facts.report.as_ref();
    let is_natted = report.is_some_and(|report| report.nat == Finding::Known(true));
    let may_map = matches!(&facts.gateway, Ok(probe) if probe.is_any_present());
    // Ports that the inner of two NATs opens are no use.
    if is_natted && !may_map && !matches!(layers, Layers::Several(_)) {
        problems.push(Problem::NoPortMapping);
    }
    if is_natted && facts.v6 == Udp::NoRoute {
        problems.push(Problem::NoRoute(Family::V6));
    }
    problems
}

fn relay_problems(facts: &Facts, reach: &Reach, relay: RelayState) -> Vec<Problem> {
    if relay == RelayState::NotOffered {
        let is_needed = *reach != Reach::All;
        return vec![Problem::NoRelayOffered { is_needed }];
    }
    let mut problems: Vec<Problem> = Vec::new();
    for attempt in &facts.relays {
        let finding = RelayFinding::of(attempt);
        if finding.is_usable() || is_told_by_udp(facts, attempt) {
            continue;
        }
        let problem = relay_problem(facts, attempt, finding);
        // What is wrong with the relayed address is wrong whichever way the relay is reached.
        let is_told = |told: &Problem| match (told, &problem) {
            (Problem::Relay(told), Problem::Relay(new)) => {
                told.finding == new.finding && new.relayed.is_some()
            }
            _ => false,
        };
        if !problems.iter().any(is_told) {
            problems.push(problem);
        }
    }
    problems
}

fn relay_problem(facts: &Facts, attempt: &RelayAttempt, finding: RelayFinding) -> Problem {
    let of = || Certified::Relay(attempt.url.clone());
    match finding {
        RelayFinding::Failed(RelayError::Tls(TlsError::Certificate(error))) => {
            Problem::Certificate { of: of(), error }
        }
        RelayFinding::Failed(RelayError::Tls(error)) => Problem::Tls { of: of(), error },
        finding => Problem::Relay(RelayProblem {
            url: attempt.url.clone(),
            transport: attempt.transport,
            relayed: attempt.result.as_ref().ok().map(|it| it.relayed),
            server: server_address(facts),
            finding,
        }),
    }
}

fn server_address(facts: &Facts) -> Option<IpAddr> {
    facts.dns.addresses.first().copied()
}

/// Returns whether a relay by UDP fails only because UDP does, which is a problem of its own.
fn is_told_by_udp(facts: &Facts, attempt: &RelayAttempt) -> bool {
    let is_connection = matches!(
        attempt.result,
        Err(RelayError::Silent | RelayError::Unreachable(_))
    );
    attempt.transport == RelayTransport::Udp && is_connection && !facts.is_udp_answered()
}

/// Returns why the kind of NAT is not known, where it matters.
fn kind_unknown(report: &Report, reach: &Reach) -> Option<Problem> {
    if report.nat != Finding::Known(true) || *reach != Reach::Unknown {
        return None;
    }
    let reason: Option<Reason> = match (report.mapping, report.filtering) {
        (Finding::Unknown(reason), _) | (_, Finding::Unknown(reason)) => Some(reason),
        _ => None,
    };
    reason.map(Problem::KindUnknown)
}
