//! Finds out which protocols a gateway supports.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::{Client, Event, Timeout};
use crate::{Dialect, nat_pmp, pcp};

/// Whether a gateway supports a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// The gateway supports it.
    Present {
        /// The outside address, if the gateway stated it.
        external: Option<IpAddr>,
    },
    /// The gateway does not support it.
    Absent(AbsenceReason),
}

/// Why a gateway counts as not supporting a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AbsenceReason {
    /// The protocol was not tried.
    #[error("not tried")]
    Off,
    /// No answer came.
    #[error("no answer")]
    Silent,
    /// The gateway says that nothing listens on the port.
    #[error("nothing listens there")]
    Unreachable,
    /// The gateway supports another version of the protocol.
    #[error("the gateway speaks version {0}")]
    Version(u8),
    /// The UPnP gateway has no connection whose ports could be mapped.
    #[error("it has no connection whose ports could be mapped")]
    NoConnection,
    /// The gateway refuses this host.
    #[error("the gateway refuses: {}", .0.name())]
    Pcp(pcp::ResultCode),
    /// The gateway refuses this host.
    #[error("the gateway refuses: {0:?}")]
    NatPmp(nat_pmp::ResultCode),
}

/// What is known about the support of a protocol.
#[derive(Debug, Clone, Copy)]
pub(super) struct DialectState {
    /// The result, once it is known.
    pub(super) support: Option<Support>,
    attempt: u32,
    /// The gateway answers, and the client is learning more.
    pub(super) learning: bool,
}

impl DialectState {
    fn unknown() -> Self {
        Self {
            support: None,
            attempt: 0,
            learning: false,
        }
    }
}

impl Client {
    /// Returns whether the gateway supports a protocol; `None` while that is unknown.
    #[must_use]
    pub fn support(&self, dialect: Dialect) -> Option<Support> {
        match self.services.get(&dialect) {
            Some(service) => service.support,
            None => Some(Support::Absent(AbsenceReason::Off)),
        }
    }

    /// Returns whether the support of every protocol is known.
    #[must_use]
    pub fn has_probed_all(&self) -> bool {
        self.services
            .values()
            .all(|service| service.support.is_some())
    }

    /// Probes the protocols that the gateway is not known to support.
    pub(super) fn probe_all(&mut self, now: Instant) {
        // NAT-PMP has no IPv6 addresses. UPnP maps IPv4 ports; for IPv6 it has another service,
        // which is left out.
        let v4 = self.config.gateway.is_ipv4();
        let dialects = self.config.dialects;
        let wanted = [
            (Dialect::Pcp, dialects.pcp),
            (Dialect::NatPmp, dialects.nat_pmp && v4),
            (Dialect::Upnp, dialects.upnp && v4),
        ];
        for (dialect, wanted) in wanted {
            let known = self.services.get(&dialect);
            let present =
                known.is_some_and(|it| matches!(it.support, Some(Support::Present { .. })));
            if wanted && !present {
                self.services.insert(dialect, DialectState::unknown());
                self.timers.set(Timeout::Find(dialect), now);
            }
        }
    }

    pub(super) fn is_probing(&self, dialect: Dialect) -> bool {
        self.services
            .get(&dialect)
            .is_some_and(|service| service.support.is_none())
    }

    /// Probes a protocol, or gives up.
    pub(super) fn probe(&mut self, now: Instant, dialect: Dialect) {
        let attempts = self.config.attempts;
        let Some(service) = self.services.get_mut(&dialect) else {
            return;
        };
        if service.support.is_some() {
            return;
        }
        if service.attempt >= attempts {
            let support = match service.learning {
                // The gateway has answered before and only does not say its address. UPnP without
                // a description cannot be used at all.
                true if dialect != Dialect::Upnp => Support::Present { external: None },
                _ => Support::Absent(AbsenceReason::Silent),
            };
            self.conclude(now, dialect, support);
            return;
        }
        service.attempt += 1;
        let (attempt, learning) = (service.attempt, service.learning);
        let pause = self.pause(attempt);
        self.timers.set(Timeout::Find(dialect), now + pause);
        match dialect {
            Dialect::Pcp if learning => self.ask_pcp_for_address(),
            Dialect::Pcp => self.ask_pcp_presence(),
            Dialect::NatPmp => self.ask_nat_pmp_address(),
            // The HTTP request is under way, and this is its deadline.
            Dialect::Upnp if learning => {}
            Dialect::Upnp => self.search(),
        }
    }

    /// Records the result of a probe, and continues with the mappings that wait for it.
    pub(super) fn conclude(&mut self, now: Instant, dialect: Dialect, support: Support) {
        let Some(service) = self.services.get_mut(&dialect) else {
            return;
        };
        let news = service.support != Some(support);
        service.support = Some(support);
        service.learning = false;
        self.timers.cancel(&Timeout::Find(dialect));
        if news {
            self.emit(Event::Probed(dialect, support));
        }
        self.assign_dialects(now);
    }

    /// Handles the first PCP answer: the client goes on to learn the outside address if
    /// configured.
    pub(super) fn pcp_answered_probe(&mut self, now: Instant) {
        if !self.is_probing(Dialect::Pcp) {
            return;
        }
        if self.config.learn_external.is_none() {
            self.conclude(now, Dialect::Pcp, Support::Present { external: None });
        } else if self.begin_learning(now, Dialect::Pcp, Duration::ZERO) {
            self.probe(now, Dialect::Pcp);
        }
    }

    /// Notes that the gateway answers and that the client learns more, for which it has `time`
    /// until the next attempt. Returns `false` when it is learning already, or has finished.
    pub(super) fn begin_learning(
        &mut self,
        now: Instant,
        dialect: Dialect,
        time: Duration,
    ) -> bool {
        let Some(service) = self.services.get_mut(&dialect) else {
            return false;
        };
        if service.learning || service.support.is_some() {
            return false;
        }
        service.learning = true;
        // HTTP requests are not repeated: TCP retransmits.
        service.attempt = match dialect {
            Dialect::Upnp => self.config.attempts,
            Dialect::Pcp | Dialect::NatPmp => 0,
        };
        self.timers.set(Timeout::Find(dialect), now + time);
        true
    }

    /// Notes that the gateway has stopped to answer in a protocol, so that the client probes
    /// again.
    pub(super) fn mark_silent(&mut self, dialect: Dialect) {
        if let Some(service) = self.services.get_mut(&dialect) {
            service.support = Some(Support::Absent(AbsenceReason::Silent));
        }
    }
}
