//! Each thing that was tried, and how well it does.

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_driver::discovery::layers::{Evidence, Layers};
use jackfield_driver::portmap::Probe;
use jackfield_stun::behaviour::{Finding, Fragments, Lifetime, Mapping, Reason, Report};

use super::relay::RelayFinding;
use super::{Health, Reach};
use crate::facts::{
    Dns, Facts, Interface, NetworkError, RelayAttempt, RelayTransport, StunPort, Udp, WebError,
};

/// A thing that was tried, with what was seen.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// This machine's addresses.
    Interfaces(Vec<Interface>),
    /// The look-up of the server's name.
    Dns(Dns),
    /// A STUN request by UDP.
    Udp {
        /// The family.
        family: Family,
        /// What became of it.
        result: Udp,
        /// Whether the port was a guess.
        is_guess: bool,
    },
    /// Whether addresses are translated.
    Nat(Report),
    /// When two packets leave from one outside address and port.
    Mapping(Report),
    /// Who may send to that address and port.
    Filtering(Report),
    /// How outside ports are chosen.
    Ports(Report),
    /// Whether machines behind the NAT reach each other by its outside address.
    Hairpinning(Finding<bool>),
    /// Whether the router changes addresses inside messages.
    Alg(Finding<bool>),
    /// What becomes of large datagrams.
    Fragments(Finding<Fragments>),
    /// How long an idle mapping lives.
    Lifetime(Finding<Lifetime>),
    /// How many NATs there are.
    Layers(Evidence),
    /// Whether the gateway opens ports for programs.
    PortMapping(Result<Probe, NetworkError>),
    /// A WebSocket to `/signal`.
    Signaling(Result<Duration, WebError>),
    /// A session by polling.
    Polling(Result<Duration, WebError>),
    /// The question for relays.
    Ice {
        /// The URLs that were named.
        urls: Result<Vec<String>, WebError>,
    },
    /// An attempt to relay.
    Relay {
        /// How the relay is reached.
        transport: RelayTransport,
        /// Its URL.
        url: String,
        /// Minutes that the credentials last.
        minutes: u64,
        /// How long the allocation took, and the relayed address.
        allocated: Option<(Duration, SocketAddr)>,
        /// What it comes to.
        finding: RelayFinding,
    },
}

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Returns what a discovery has found, a check for each thing that was tested.
#[must_use]
pub fn checks_of(report: &Report) -> Vec<Check> {
    let mut checks = vec![Check::Nat(report.clone())];
    if report.mapped.known().is_none() {
        return checks;
    }
    checks.push(Check::Mapping(report.clone()));
    checks.push(Check::Filtering(report.clone()));
    if report.ports != Finding::Unknown(Reason::NoNat) {
        checks.push(Check::Ports(report.clone()));
    }
    let untested = |reason| matches!(reason, Reason::NoNat | Reason::NotTested);
    if !matches!(report.hairpinning, Finding::Unknown(reason) if untested(reason)) {
        checks.push(Check::Hairpinning(report.hairpinning));
    }
    checks.push(Check::Alg(report.alg));
    if report.fragments != Finding::Unknown(Reason::NotTested) {
        checks.push(Check::Fragments(report.fragments));
    }
    if report.lifetime != Finding::Unknown(Reason::NotTested) {
        checks.push(Check::Lifetime(report.lifetime));
    }
    checks
}

/// Returns the checks of an examination, in the order of the way out.
pub(super) fn all(facts: &Facts) -> Vec<Check> {
    let mut checks = vec![Check::Interfaces(facts.interfaces.clone())];
    if facts.dns.name.is_some() {
        checks.push(Check::Dns(facts.dns.clone()));
    }
    for (family, result) in [(Family::V4, &facts.v4), (Family::V6, &facts.v6)] {
        checks.push(Check::Udp {
            family,
            result: result.clone(),
            is_guess: matches!(facts.stun_port, StunPort::Guessed(_)),
        });
    }
    checks.extend(facts.report.iter().flat_map(checks_of));
    if !matches!(facts.evidence.layers(), Layers::None | Layers::Unknown) {
        checks.push(Check::Layers(facts.evidence.clone()));
    }
    checks.push(Check::PortMapping(facts.gateway));
    if let Some(web) = &facts.web {
        checks.push(Check::Signaling(web.websocket.clone()));
        checks.push(Check::Polling(web.polling.clone()));
        match &web.ice {
            Ok(ice) if !facts.relays.is_empty() => {
                let relays = facts.relays.iter();
                checks.extend(relays.map(|attempt| relay(attempt, ice.ttl / 60)));
            }
            ice => checks.push(Check::Ice {
                urls: ice.clone().map(|ice| ice.urls),
            }),
        }
    }
    checks
}

fn relay(attempt: &RelayAttempt, minutes: u64) -> Check {
    let allocated = attempt.result.as_ref().ok();
    Check::Relay {
        transport: attempt.transport,
        url: attempt.url.clone(),
        minutes,
        allocated: allocated.map(|it| (it.took, it.relayed)),
        finding: RelayFinding::of(attempt),
    }
}

impl Check {
    /// Returns how well it does.
    #[must_use]
    pub fn health(&self) -> Health {
        match self {
            Self::Interfaces(all) if all.is_empty() => Health::Broken,
            Self::Interfaces(_) => Health::Ok,
            Self::Dns(dns) if dns.addresses.is_empty() => Health::Broken,
            Self::Dns(_) => Health::Ok,
            Self::Udp {
                result, is_guess, ..
            } => match result {
                Udp::Answered(..) => Health::Ok,
                Udp::NoAddress | Udp::NoRoute => Health::Note,
                _ if *is_guess => Health::Note,
                Udp::Silent(_) | Udp::Refused(_) | Udp::NotStun(_) | Udp::Failed(..) => {
                    Health::Broken
                }
            },
            Self::Nat(report) => match report.nat {
                Finding::Known(false) => Health::Ok,
                Finding::Known(true) | Finding::Unknown(_) => Health::Note,
            },
            Self::Mapping(report) => match report.mapping {
                Finding::Known(Mapping::EndpointIndependent) => Health::Ok,
                // One filter that lets everybody in makes up for it.
                Finding::Known(_) if Reach::of(Some(report)) == Reach::All => Health::Note,
                Finding::Known(_) => Health::Degraded,
                Finding::Unknown(_) => Health::Note,
            },
            Self::Filtering(report) => match report.filtering {
                Finding::Known(_) => Health::Ok,
                Finding::Unknown(_) => Health::Note,
            },
            Self::Ports(_) => Health::Note,
            Self::Hairpinning(Finding::Known(true)) => Health::Ok,
            Self::Hairpinning(_) => Health::Note,
            Self::Alg(Finding::Known(true)) => Health::Degraded,
            Self::Alg(Finding::Known(false)) => Health::Ok,
            Self::Alg(Finding::Unknown(_)) => Health::Note,
            Self::Fragments(Finding::Known(Fragments::BothWays)) => Health::Ok,
            Self::Fragments(_) => Health::Note,
            Self::Lifetime(Finding::Known(lifetime)) if lifetime.at_least < SHORT_LIFETIME => {
                Health::Degraded
            }
            Self::Lifetime(Finding::Known(_)) => Health::Ok,
            Self::Lifetime(Finding::Unknown(_)) => Health::Note,
            Self::Layers(evidence) => match evidence.layers() {
                Layers::One => Health::Ok,
                Layers::Several(_) => Health::Degraded,
                _ => Health::Note,
            },
            Self::PortMapping(Ok(probe)) if probe.is_any_present() => Health::Ok,
            Self::PortMapping(_) => Health::Note,
            Self::Signaling(result) | Self::Polling(result) => match result {
                Ok(_) => Health::Ok,
                Err(_) => Health::Broken,
            },
            Self::Ice { urls: Ok(_) } => Health::Note,
            Self::Ice { urls: Err(_) } => Health::Broken,
            Self::Relay { finding, .. } => relay_health(finding),
        }
    }
}

fn relay_health(finding: &RelayFinding) -> Health {
    match finding {
        RelayFinding::Works(delivery) if delivery.returned < delivery.sent => Health::Degraded,
        RelayFinding::WorksInside(delivery, _) if delivery.arrived < delivery.sent => {
            Health::Degraded
        }
        RelayFinding::Works(_) | RelayFinding::WorksInside(..) => Health::Ok,
        RelayFinding::Untested(_) => Health::Note,
        RelayFinding::PrivateAddress
        | RelayFinding::Unreachable
        | RelayFinding::NoWayBack
        | RelayFinding::Dead
        | RelayFinding::Failed(_) => Health::Broken,
    }
}

/// Mappings that live shorter make programs send keepalives more often than every 15 s.
pub(crate) const SHORT_LIFETIME: Duration = Duration::from_secs(30);
