//! The life of a mapping, in any protocol.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::entry::{Lease, MapError, MapId, Phase};
use super::find::Support;
use super::{Client, Event, Timeout};
use crate::Dialect;

/// The protocol to use.
enum DialectChoice {
    Use(Dialect),
    /// A better protocol may still be found.
    Wait,
    None,
}

impl Client {
    /// Chooses a protocol for the mappings that wait for one.
    pub(super) fn assign_dialects(&mut self, now: Instant) {
        let waiting: Vec<MapId> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.phase == Phase::Waiting)
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            self.choose_dialect(now, id);
        }
    }

    fn choose_dialect(&mut self, now: Instant, id: MapId) {
        let Some(entry) = self.entries.get(&id) else {
            return;
        };
        match self.choice(&entry.tried) {
            DialectChoice::Wait => {}
            DialectChoice::Use(dialect) => {
                if let Some(entry) = self.entries.get_mut(&id) {
                    entry.dialect = Some(dialect);
                    entry.phase = Phase::Asking;
                    entry.attempt = 0;
                }
                self.map_due(now, id);
            }
            DialectChoice::None => {
                let error = entry.error.unwrap_or(MapError::NoService);
                self.fail(now, id, error);
            }
        }
    }

    /// Returns the best protocol that is supported and has not refused.
    fn choice(&self, tried: &[Dialect]) -> DialectChoice {
        for dialect in Dialect::ALL {
            match self.support(dialect) {
                Some(Support::Present { .. }) if !tried.contains(&dialect) => {
                    return DialectChoice::Use(dialect);
                }
                Some(_) => {}
                // A mapping does not move from one protocol to another, so a worse one is not used
                // while a better one may still answer.
                None => return DialectChoice::Wait,
            }
        }
        DialectChoice::None
    }

    /// Does what is due for a mapping: requests it, repeats the request, or renews it.
    pub(super) fn map_due(&mut self, now: Instant, id: MapId) {
        let attempts = self.config.attempts;
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        match entry.phase {
            Phase::Active => {
                entry.phase = Phase::Asking;
                entry.attempt = 0;
            }
            Phase::Failed => {
                entry.phase = Phase::Waiting;
                // A gateway that was updated or restarted may grant what it has refused.
                entry.tried.clear();
                entry.error = None;
                self.probe_all(now);
                self.assign_dialects(now);
                return;
            }
            Phase::Waiting => return,
            Phase::Asking | Phase::Ending => {}
        }
        if entry.attempt >= attempts {
            match entry.phase {
                // A request to end a mapping is advice: without it the lease expires (RFC 6886
                // §3.1).
                Phase::Ending => self.forget(id, false),
                _ => self.unanswered(now, id),
            }
            return;
        }
        entry.attempt += 1;
        let (attempt, dialect) = (entry.attempt, entry.dialect);
        let pause = self.pause(attempt);
        self.timers.set(Timeout::Map(id), now + pause);
        match dialect {
            Some(Dialect::Pcp) => self.ask_pcp(id),
            Some(Dialect::NatPmp) => self.ask_nat_pmp(id),
            Some(Dialect::Upnp) => self.ask_upnp(now, id),
            None => {}
        }
    }

    /// Handles a request without an answer. As long as the mapping lives, the client asks again
    /// later; afterwards the gateway may have become another one, so it probes again.
    fn unanswered(&mut self, now: Instant, id: MapId) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let left = entry
            .mapping
            .map(|mapping| mapping.expires.saturating_duration_since(now));
        match left.filter(|left| *left > SHORTEST_RENEWAL) {
            Some(left) => {
                entry.phase = Phase::Active;
                // The next renewal is then due at three quarters of the lifetime, then at seven
                // eighths, and so on (RFC 6887 §11.2.1).
                self.timers.set(Timeout::Map(id), now + left / 2);
            }
            None => {
                if let Some(dialect) = entry.dialect {
                    self.mark_silent(dialect);
                }
                self.refused(now, id, MapError::Silent, None);
            }
        }
    }

    /// Handles the end of a mapping that could not be renewed.
    pub(super) fn expired(&mut self, now: Instant, id: MapId) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let ended = entry.mapping.is_some_and(|mapping| mapping.expires <= now);
        if !ended || entry.phase == Phase::Ending {
            return;
        }
        entry.mapping = None;
        let idle = entry.phase == Phase::Active;
        self.emit(Event::Lost(id));
        if idle {
            self.map_due(now, id);
        }
    }

    /// Handles a granted mapping.
    pub(super) fn granted(
        &mut self,
        now: Instant,
        id: MapId,
        dialect: Dialect,
        external: SocketAddr,
        lifetime: Duration,
    ) {
        // Whatever a gateway promises, a mapping is looked after once in a while.
        let lifetime = match dialect {
            Dialect::Pcp | Dialect::NatPmp => lifetime.min(LONGEST_LIFETIME),
            // The client named this lifetime itself; the answer of UPnP states none.
            Dialect::Upnp => lifetime,
        };
        let renewal = self.renewal(lifetime);
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let mapping = Lease {
            protocol: entry.request.protocol,
            internal_port: entry.request.internal_port,
            external,
            lifetime,
            expires: now + lifetime,
            dialect,
        };
        let before = entry.mapping.replace(mapping);
        entry.phase = Phase::Active;
        entry.tried.clear();
        entry.error = None;
        self.timers.set(Timeout::Map(id), now + renewal);
        self.timers.set(Timeout::Expire(id), mapping.expires);
        // A renewal that moved the mapping is news for the program: its peers know the old
        // endpoint.
        let same = before.is_some_and(|it| it.external == external && it.dialect == dialect);
        self.emit(match same {
            true => Event::Renewed(id, mapping),
            false => Event::Mapped(id, mapping),
        });
    }

    /// Reports that mappings have moved to another outside address.
    pub(super) fn move_mappings(&mut self, now: Instant, dialect: Dialect, ip: IpAddr) {
        let moved: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.phase == Phase::Active)
            .filter_map(|(id, entry)| Some((*id, entry.mapping?)))
            .filter(|(_, mapping)| mapping.dialect == dialect && mapping.external.ip() != ip)
            .collect();
        for (id, mapping) in moved {
            let external = SocketAddr::new(ip, mapping.external.port());
            let left = mapping.expires.saturating_duration_since(now);
            self.granted(now, id, dialect, external, left);
        }
    }

    /// Handles a refusal in a protocol: the next protocol is tried. `again` says when another
    /// attempt may help.
    pub(super) fn refused(
        &mut self,
        now: Instant,
        id: MapId,
        error: MapError,
        again: Option<Duration>,
    ) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        entry.tried.extend(entry.dialect.take());
        // The first refusal comes from the best protocol and says most.
        entry.error.get_or_insert(error);
        entry.phase = Phase::Waiting;
        match self.entries.get(&id).map(|entry| self.choice(&entry.tried)) {
            Some(DialectChoice::None) => {
                let first = self.entries.get(&id).and_then(|entry| entry.error);
                self.fail(now, id, first.unwrap_or(error));
                if let Some(again) = again {
                    self.timers
                        .set(Timeout::Map(id), now + again.max(self.config.retry));
                }
            }
            _ => self.choose_dialect(now, id),
        }
    }

    fn fail(&mut self, now: Instant, id: MapId, error: MapError) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.phase = Phase::Failed;
            entry.mapping = None;
            self.timers.set(Timeout::Map(id), now + self.config.retry);
            self.timers.cancel(&Timeout::Expire(id));
            self.emit(Event::Failed(id, error));
        }
    }

    pub(super) fn begin_to_unmap(&mut self, now: Instant, id: MapId) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        if entry.phase == Phase::Ending {
            return;
        }
        // A request under way may have been granted already, so it is ended too.
        let asked = entry.mapping.is_some() || entry.phase == Phase::Asking;
        if entry.dialect.is_none() || !asked {
            self.forget(id, true);
            return;
        }
        entry.phase = Phase::Ending;
        entry.attempt = 0;
        self.timers.cancel(&Timeout::Expire(id));
        self.map_due(now, id);
    }

    /// Removes a mapping and reports its end.
    pub(super) fn forget(&mut self, id: MapId, confirmed: bool) {
        if self.entries.remove(&id).is_some() {
            self.timers.cancel(&Timeout::Map(id));
            self.timers.cancel(&Timeout::Expire(id));
            self.emit(Event::Unmapped(id, confirmed));
        }
    }
}

/// No lifetime is believed that is longer: a day is what
/// [RFC 6887 §15](https://www.rfc-editor.org/rfc/rfc6887#section-15) takes for sane.
const LONGEST_LIFETIME: Duration = Duration::from_secs(86_400);
/// The shortest time to a renewal ([RFC 6887 §11.2.1](https://www.rfc-editor.org/rfc/rfc6887#section-11.2.1)).
const SHORTEST_RENEWAL: Duration = Duration::from_secs(4);
