use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::{Client, Event, Timeout};
use crate::{Dialect, nat_pmp, pcp};

/// Whether a gateway speaks a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It does.
    Present {
        /// Our address outside, if it told.
        external: Option<IpAddr>,
    },
    /// It does not.
    Absent(AbsenceReason),
}

/// How it is known that a gateway does not speak a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AbsenceReason {
    /// It was not tried.
    #[error("not tried")]
    Off,
    /// No answer came.
    #[error("no answer")]
    Silent,
    /// The gateway says that nothing listens there.
    #[error("nothing listens there")]
    Unreachable,
    /// The gateway speaks another version of the protocol.
    #[error("the gateway speaks version {0}")]
    Version(u8),
    /// There is a UPnP gateway, but without a connection whose ports could be mapped.
    #[error("it has no connection whose ports could be mapped")]
    NoConnection,
    /// The gateway answers, but not us.
    #[error("the gateway refuses: {}", .0.name())]
    Pcp(pcp::ResultCode),
    /// The gateway answers, but not us.
    #[error("the gateway refuses: {0:?}")]
    NatPmp(nat_pmp::ResultCode),
}

/// What is known of a dialect.
#[derive(Debug, Clone, Copy)]
pub(super) struct DialectState {
    /// What was found, once it is known.
    pub(super) support: Option<Support>,
    attempt: u32,
    /// It answers, and more is being learned.
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
    /// Returns what is known of a dialect; `None` while it is looked for.
    #[must_use]
    pub fn support(&self, dialect: Dialect) -> Option<Support> {
        match self.services.get(&dialect) {
            Some(service) => service.support,
            None => Some(Support::Absent(AbsenceReason::Off)),
        }
    }

    /// Returns whether it is known of every dialect whether the gateway speaks it.
    #[must_use]
    pub fn has_probed_all(&self) -> bool {
        self.services
            .values()
            .all(|service| service.support.is_some())
    }

    /// Looks for the dialects that are not known to be there.
    pub(super) fn probe_all(&mut self, now: Instant) {
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

    /// Asks whether a dialect is spoken, or gives up.
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
            Dialect::Upnp if learning => {}
            Dialect::Upnp => self.search(),
        }
    }

    /// Notes what was found, and goes on with what waits for it.
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

    /// PCP answers; goes on to learn the outside address if that is wanted.
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

    /// Notes that a dialect answers and that more is to be learned, for which there is so much time until the next
    /// attempt; `false` when that is so already, or is no longer needed.
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
        // What is asked over HTTP is asked once.
        service.attempt = match dialect {
            Dialect::Upnp => self.config.attempts,
            Dialect::Pcp | Dialect::NatPmp => 0,
        };
        self.timers.set(Timeout::Find(dialect), now + time);
        true
    }

    /// Notes that a dialect has fallen silent, so that it is looked for again.
    pub(super) fn mark_silent(&mut self, dialect: Dialect) {
        if let Some(service) = self.services.get_mut(&dialect) {
            service.support = Some(Support::Absent(AbsenceReason::Silent));
        }
    }
}
