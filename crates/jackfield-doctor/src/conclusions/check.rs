//! Each thing that was tried, and how well it does.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use jackfield_driver::discovery::layers::{Evidence, Layers};
use jackfield_driver::portmap::Probe;
use jackfield_stun::behaviour::{Finding, Fragments, Lifetime, Mapping, Reason, Report};

use super::relay::RelayFinding;
use super::{Health, Reach};
use crate::facts::{
    CertificateEnd, Clock, Dns, Facts, Interception, Interface, NetworkError, PathMtu, Proxy,
    RelayAttempt, RelayTransport, StunPort, Udp, Uplink, WebError,
};

/// A thing that was tried, with what was seen.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// This machine's addresses.
    Interfaces(Vec<Interface>),
    /// The ways out, where there are several.
    Uplinks(Vec<Uplink>),
    /// The look-up of the server's name.
    Dns(Dns),
    /// A TCP connection over a family that UDP is not answered over.
    Tcp {
        /// The family.
        family: Family,
        /// How long it took, or why there is none.
        result: Result<Duration, NetworkError>,
    },
    /// How large packets may be.
    Mtu {
        /// Over which family.
        family: Family,
        /// What was measured.
        mtu: PathMtu,
    },
    /// The proxy that the environment names.
    Proxy(Proxy),
    /// What answers in place of others.
    Interception(Interception),
    /// How far this machine's clock is from the server's.
    Clock(Clock),
    /// When a certificate ends.
    Certificate {
        /// The certificate.
        end: CertificateEnd,
        /// When the server was examined.
        at: SystemTime,
    },
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
    /// Which peers may send to that address and port.
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

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
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
    if facts.uplinks.len() > 1 {
        checks.push(Check::Uplinks(facts.uplinks.clone()));
    }
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
    for (family, udp, tcp) in [
        (Family::V4, &facts.v4, facts.tcp_v4),
        (Family::V6, &facts.v6, facts.tcp_v6),
    ] {
        // Where UDP works, the checks that run over TCP show that TCP works.
        let is_known = matches!(udp, Udp::Answered(..) | Udp::NoRoute);
        if let Some(result) = tcp.filter(|result| !is_known || result.is_err()) {
            checks.push(Check::Tcp { family, result });
        }
    }
    for (family, mtu) in [(Family::V4, facts.mtu_v4), (Family::V6, facts.mtu_v6)] {
        checks.extend(mtu.map(|mtu| Check::Mtu { family, mtu }));
    }
    checks.extend(facts.report.iter().flat_map(checks_of));
    if !matches!(facts.evidence.layers(), Layers::None | Layers::Unknown) {
        checks.push(Check::Layers(facts.evidence.clone()));
    }
    checks.push(Check::PortMapping(facts.gateway));
    checks.extend(facts.proxy.clone().map(Check::Proxy));
    checks.extend(facts.interception.clone().map(Check::Interception));
    checks.extend(facts.clock.map(Check::Clock));
    checks.extend(facts.certificates.iter().map(|end| Check::Certificate {
        end: end.clone(),
        at: facts.at,
    }));
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
            Self::Uplinks(_) => Health::Note,
            Self::Dns(dns) if dns.addresses.is_empty() => Health::Broken,
            Self::Dns(dns) if !dns.invented.is_empty() => Health::Note,
            Self::Dns(_) => Health::Ok,
            Self::Tcp { result: Ok(_), .. } => Health::Ok,
            Self::Tcp { .. } => Health::Broken,
            Self::Mtu { mtu, .. } if mtu.path < mtu.local && mtu.told_by.is_none() => {
                Health::Degraded
            }
            Self::Mtu { .. } => Health::Ok,
            Self::Proxy(proxy) => match &proxy.result {
                Ok(_) => Health::Ok,
                Err(_) if proxy.is_bypassed => Health::Note,
                Err(_) => Health::Broken,
            },
            Self::Interception(Interception::Portal { .. }) => Health::Broken,
            Self::Interception(Interception::Proxy) => Health::Note,
            Self::Clock(clock) if clock.ahead.unsigned_abs() < SKEW => Health::Ok,
            Self::Clock(_) => Health::Degraded,
            Self::Certificate { end, at } => match end.ends.duration_since(*at) {
                Ok(left) if left.as_secs() / SECONDS_A_DAY < FEW_DAYS => Health::Degraded,
                Ok(_) => Health::Ok,
                Err(_) => Health::Broken,
            },
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
                // One filter that lets all peers in makes up for it.
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

/// Seconds by which clocks may differ without harm.
pub(super) const SKEW: u64 = 60;

/// A certificate with fewer days was not renewed when it should have been: authorities' programs
/// renew with 30 days left, or with a third of the time.
pub(super) const FEW_DAYS: u64 = 14;

/// Seconds that a day has.
pub(crate) const SECONDS_A_DAY: u64 = 86_400;
