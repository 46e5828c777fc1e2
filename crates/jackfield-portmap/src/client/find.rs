use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::{Client, Due, Event};
use crate::{Dialect, nat_pmp, pcp};

/// Whether a gateway speaks a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// It does.
    Present {
        /// Our address outside, if it told.
        external: Option<IpAddr>,
    },
    /// It does not.
    Absent(Absence),
}

/// How it is known that a gateway does not speak a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Absence {
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
pub(super) struct Service {
    /// What was found, once it is known.
    pub(super) finding: Option<Finding>,
    attempt: u32,
    /// It answers, and more is being learned.
    pub(super) learning: bool,
}

impl Service {
    fn looked_for() -> Self {
        Self {
            finding: None,
            attempt: 0,
            learning: false,
        }
    }
}

impl Client {
    /// Returns what is known of a dialect; `None` while it is looked for.
    #[must_use]
    pub fn finding(&self, dialect: Dialect) -> Option<Finding> {
        match self.services.get(&dialect) {
            Some(service) => service.finding,
            None => Some(Finding::Absent(Absence::Off)),
        }
    }

    /// Returns whether it is known of every dialect whether the gateway speaks it.
    #[must_use]
    pub fn has_looked_everywhere(&self) -> bool {
        self.services
            .values()
            .all(|service| service.finding.is_some())
    }

    /// Looks for the dialects that are not known to be there.
    pub(super) fn look_for_all(&mut self, now: Instant) {
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
                known.is_some_and(|it| matches!(it.finding, Some(Finding::Present { .. })));
            if wanted && !present {
                self.services.insert(dialect, Service::looked_for());
                self.timers.set(Due::Find(dialect), now);
            }
        }
    }

    pub(super) fn is_looking_for(&self, dialect: Dialect) -> bool {
        self.services
            .get(&dialect)
            .is_some_and(|service| service.finding.is_none())
    }

    /// Asks whether a dialect is spoken, or gives up.
    pub(super) fn look_for(&mut self, now: Instant, dialect: Dialect) {
        let attempts = self.config.attempts;
        let Some(service) = self.services.get_mut(&dialect) else {
            return;
        };
        if service.finding.is_some() {
            return;
        }
        if service.attempt >= attempts {
            let finding = match service.learning {
                true if dialect != Dialect::Upnp => Finding::Present { external: None },
                _ => Finding::Absent(Absence::Silent),
            };
            self.conclude(now, dialect, finding);
            return;
        }
        service.attempt += 1;
        let (attempt, learning) = (service.attempt, service.learning);
        let pause = self.pause(attempt);
        self.timers.set(Due::Find(dialect), now + pause);
        match dialect {
            Dialect::Pcp if learning => self.ask_pcp_for_address(),
            Dialect::Pcp => self.ask_pcp_presence(),
            Dialect::NatPmp => self.ask_nat_pmp_address(),
            Dialect::Upnp if learning => {}
            Dialect::Upnp => self.search(),
        }
    }

    /// Notes what was found, and goes on with what waits for it.
    pub(super) fn conclude(&mut self, now: Instant, dialect: Dialect, finding: Finding) {
        let Some(service) = self.services.get_mut(&dialect) else {
            return;
        };
        let news = service.finding != Some(finding);
        service.finding = Some(finding);
        service.learning = false;
        self.timers.cancel(&Due::Find(dialect));
        if news {
            self.tell(Event::Found(dialect, finding));
        }
        self.settle(now);
    }

    /// PCP answers; goes on to learn the outside address if that is wanted.
    pub(super) fn pcp_is_there(&mut self, now: Instant) {
        if !self.is_looking_for(Dialect::Pcp) {
            return;
        }
        if self.config.learn_external.is_none() {
            self.conclude(now, Dialect::Pcp, Finding::Present { external: None });
        } else if self.begin_learning(now, Dialect::Pcp, Duration::ZERO) {
            self.look_for(now, Dialect::Pcp);
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
        if service.learning || service.finding.is_some() {
            return false;
        }
        service.learning = true;
        // What is asked over HTTP is asked once.
        service.attempt = match dialect {
            Dialect::Upnp => self.config.attempts,
            Dialect::Pcp | Dialect::NatPmp => 0,
        };
        self.timers.set(Due::Find(dialect), now + time);
        true
    }

    /// Notes that a dialect has fallen silent, so that it is looked for again.
    pub(super) fn has_fallen_silent(&mut self, dialect: Dialect) {
        if let Some(service) = self.services.get_mut(&dialect) {
            service.finding = Some(Finding::Absent(Absence::Silent));
        }
    }
}
