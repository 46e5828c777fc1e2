//! Finds what is wrong.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::time::Duration;

use jackfield_driver::discovery::layers::Layers;
use jackfield_stun::behaviour::{Finding, Reason, Report};

use super::check::{FEW_DAYS, SECONDS_A_DAY, SKEW};
use super::problem::{Certified, Problem, RelayProblem};
use super::relay::{RelayFinding, RelayState};
use super::{Family, Reach};
use crate::facts::{
    Facts, Interception, InterfaceKind, NetworkError, PathMtu, ProxyError, RelayAttempt,
    RelayError, RelayTransport, StunPort, TlsError, Udp, Web, WebError,
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
    if facts.interception == Some(Interception::Proxy) {
        problems.push(Problem::HiddenProxy);
    }
    // A server that is not reached says nothing about the network.
    if problems.iter().any(Problem::is_fatal) && !facts.is_udp_answered() {
        return problems;
    }
    problems.extend(dns_problems(facts));
    problems.extend(proxy_problems(facts));
    problems.extend(udp_problems(facts));
    problems.extend(black_holes(facts));
    problems.extend(mtu_problems(facts));
    problems.extend(time_problems(facts));
    problems.extend(tunnel(facts));
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

/// Returns why the server has no address, or one that is none of its own.
fn unnamed(facts: &Facts) -> Option<Problem> {
    let dns = &facts.dns;
    let name = dns.name.clone()?;
    if facts.web.as_ref().is_some_and(|web| web.is_by_proxy) {
        return None;
    }
    let is_invented = |ip: &IpAddr| dns.invented.contains(ip);
    let is_answered = facts.web.as_ref().is_some_and(|web| web.ice.is_ok());
    match dns.addresses.first() {
        None if !facts.has_route => Some(Problem::Offline),
        None if dns.v4.error.is_some() && dns.v6.error.is_some() => {
            Some(Problem::ResolverSilent { name })
        }
        None => Some(Problem::NameNotFound { name }),
        Some(_) if is_answered || facts.is_udp_answered() => None,
        Some(address) if dns.addresses.iter().any(is_invented) => {
            // A portal's resolver does so, too, and then the portal is what matters.
            let is_portal = matches!(facts.interception, Some(Interception::Portal { .. }));
            (!is_portal).then(|| Problem::ResolverLies {
                name,
                invented: vec![*address],
                is_server: true,
            })
        }
        Some(address) => {
            let is_nowhere = address.is_unspecified() || address.is_loopback();
            let is_own = name == "localhost" || name.ends_with(".localhost");
            (is_nowhere && !is_own).then_some(Problem::NameBlocked {
                name,
                address: *address,
            })
        }
    }
}

fn dns_problems(facts: &Facts) -> Vec<Problem> {
    let dns = &facts.dns;
    let Some(name) = &dns.name else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    if !dns.invented.is_empty() {
        problems.push(Problem::ResolverLies {
            name: name.clone(),
            invented: dns.invented.clone(),
            is_server: false,
        });
    }
    for (family, lookup) in [(Family::V4, dns.v4), (Family::V6, dns.v6)] {
        if lookup.took >= SLOW_DNS {
            problems.push(Problem::SlowDns {
                family,
                seconds: lookup.took.as_secs(),
            });
        }
    }
    problems
}

fn proxy_problems(facts: &Facts) -> Option<Problem> {
    let proxy = facts.proxy.as_ref()?;
    if facts.web.as_ref().is_some_and(|web| web.is_by_proxy) {
        return Some(Problem::ProxyNeeded {
            proxy: proxy.authority.clone(),
            variable: proxy.variable,
            relay: proxy.relay.as_ref().map(Result::is_ok),
        });
    }
    if proxy.is_bypassed {
        return None;
    }
    let error = proxy.result.clone().err()?;
    // What is wrong with the server is said of the server.
    let is_servers = matches!(error, ProxyError::Behind(_));
    (!is_servers).then(|| Problem::ProxyFails {
        proxy: proxy.authority.clone(),
        variable: proxy.variable,
        error,
    })
}

/// Returns the families that have a route and lead nowhere, while the other one works.
fn black_holes(facts: &Facts) -> Vec<Problem> {
    let families = [
        (Family::V4, &facts.v4, &facts.tcp_v4, &facts.tcp_v6),
        (Family::V6, &facts.v6, &facts.tcp_v6, &facts.tcp_v4),
    ];
    let is_hole = |udp: &Udp, tcp: &Option<Result<Duration, NetworkError>>| {
        matches!(udp, Udp::Silent(_) | Udp::Failed(..))
            && matches!(
                tcp,
                Some(Err(NetworkError::TimedOut | NetworkError::NoRoute))
            )
    };
    families
        .into_iter()
        .filter(|(_, udp, tcp, other)| is_hole(udp, tcp) && matches!(other, Some(Ok(_))))
        .map(|(family, ..)| Problem::BlackHole(family))
        .collect()
}

fn mtu_problems(facts: &Facts) -> Vec<Problem> {
    let families = [(Family::V4, facts.mtu_v4), (Family::V6, facts.mtu_v6)];
    let measured = families
        .into_iter()
        .filter_map(|(family, mtu)| Some((family, mtu?)));
    let problem = |(family, mtu): (Family, PathMtu)| {
        let PathMtu {
            path,
            local,
            told_by,
        } = mtu;
        if path < SMALL_MTU {
            Some(Problem::MtuSmall { family, path })
        } else if path < local && told_by.is_none() {
            Some(Problem::MtuBlackHole {
                family,
                path,
                local,
            })
        } else {
            None
        }
    };
    measured.filter_map(problem).collect()
}

fn time_problems(facts: &Facts) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(clock) = facts.clock
        && clock.ahead.unsigned_abs() >= SKEW
    {
        problems.push(Problem::ClockSkew { ahead: clock.ahead });
    }
    for certificate in &facts.certificates {
        // One that has ended is a problem of its own.
        let Ok(left) = certificate.ends.duration_since(facts.at) else {
            continue;
        };
        let days = left.as_secs() / SECONDS_A_DAY;
        let is_known = problems
            .iter()
            .any(|known| matches!(known, Problem::CertificateEnds { days: it, .. } if *it == days));
        if days < FEW_DAYS && !is_known {
            problems.push(Problem::CertificateEnds {
                of: match &certificate.relay {
                    Some(url) => Certified::Relay(url.clone()),
                    None => Certified::Web(facts.server.clone()),
                },
                days,
            });
        }
    }
    problems
}

fn tunnel(facts: &Facts) -> Option<Problem> {
    let mut used = facts.interfaces.iter().filter(|it| it.is_used);
    let tunnel = used.find(|it| it.kind == InterfaceKind::Tunnel)?;
    Some(Problem::Tunnelled {
        interface: tunnel.name.clone(),
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
    if let Some(Interception::Portal { login }) = &facts.interception {
        return Problem::CaptivePortal {
            login: login.clone(),
        };
    }
    if let Some(right) = &web.https {
        return Problem::OnlyHttps {
            given: server,
            right: right.clone(),
        };
    }
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
        WebError::Status(_) | WebError::Page | WebError::Unexpected | WebError::Proxy(_) => {
            Problem::NotJackfield { server }
        }
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
    match &facts.web {
        // Nothing gets out but through the proxy: that says it all.
        None
        | Some(Web {
            is_by_proxy: true, ..
        }) => return Vec::new(),
        Some(_) => {}
    }
    // Silence on a port that was guessed means nothing.
    let is_named = matches!(facts.stun_port, StunPort::Named(_));
    let works_otherwise = facts.is_udp_answered();
    let holes = black_holes(facts);
    let families = [&facts.v4, &facts.v6].into_iter();
    let mut problems: Vec<Problem> = families
        .filter_map(|udp| match *udp {
            // A family that leads nowhere by TCP either is said to.
            Udp::Silent(server) if holes.contains(&Problem::BlackHole(family_of(server))) => None,
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

fn family_of(address: std::net::SocketAddr) -> Family {
    if address.is_ipv4() {
        Family::V4
    } else {
        Family::V6
    }
}

fn nat_problems(facts: &Facts, reach: &Reach) -> Vec<Problem> {
    let mut problems = Vec::new();
    let layers = facts.evidence.layers();
    if let Layers::Several(sign) = layers {
        problems.push(Problem::DoubleNat(sign));
    }
    if let Some(problem) = several_uplinks(facts, reach) {
        // Which address a NAT gives is not what makes the difference.
        problems.push(problem);
        return problems;
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

/// Returns whether peers see several addresses because there are several ways out, and not because
/// a NAT maps by destination.
fn several_uplinks(facts: &Facts, reach: &Reach) -> Option<Problem> {
    let report = facts.report.as_ref()?;
    if report.externals.len() < 2 || !matches!(reach, Reach::Few { .. }) {
        return None;
    }
    let mut interfaces: Vec<&str> = facts
        .uplinks
        .iter()
        .map(|uplink| uplink.interface.as_str())
        .collect();
    interfaces.dedup();
    Some(Problem::SeveralUplinks {
        is_machine: interfaces.len() > 1,
        externals: report.externals.clone(),
    })
}

fn relay_problems(facts: &Facts, reach: &Reach, relay: RelayState) -> Vec<Problem> {
    if relay == RelayState::NotOffered {
        let is_needed = *reach != Reach::All;
        return vec![Problem::NoRelayOffered { is_needed }];
    }
    let mut problems: Vec<Problem> = Vec::new();
    for attempt in &facts.relays {
        let finding = RelayFinding::of(attempt);
        if finding.is_usable() || is_reported_elsewhere(facts, attempt) {
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
        finding => {
            let relayed = attempt.result.as_ref().ok().map(|it| it.relayed);
            Problem::Relay(RelayProblem {
                url: attempt.url.clone(),
                transport: attempt.transport,
                relayed,
                server: server_address(facts, relayed.map(|it| it.ip())),
                finding,
            })
        }
    }
}

fn server_address(facts: &Facts, relayed: Option<IpAddr>) -> Option<IpAddr> {
    let mut addresses = facts.dns.addresses.iter().copied();
    let is_like = |ip: &IpAddr| relayed.is_none_or(|relayed| relayed.is_ipv4() == ip.is_ipv4());
    addresses.find(is_like)
}

/// Returns whether a relay fails only because UDP does, or because all but the proxy does, which
/// are problems of their own.
fn is_reported_elsewhere(facts: &Facts, attempt: &RelayAttempt) -> bool {
    let is_connection = matches!(
        attempt.result,
        Err(RelayError::Silent | RelayError::Unreachable(_))
    );
    if is_connection && facts.web.as_ref().is_some_and(|web| web.is_by_proxy) {
        return true;
    }
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

/// Look-ups that take longer are felt.
const SLOW_DNS: Duration = Duration::from_secs(2);

/// Browsers send packets of up to 1,200 bytes of data ([RFC 8831 §5]); UDP, IPv6 and a relay's
/// channel add 52.
///
/// [RFC 8831 §5]: https://www.rfc-editor.org/rfc/rfc8831#section-5
const SMALL_MTU: u16 = 1_252;
