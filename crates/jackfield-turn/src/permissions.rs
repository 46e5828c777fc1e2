//! The permissions of one allocation.

use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The peers' addresses that may send, and until when ([RFC 8656 §9]).
///
/// [RFC 8656 §9]: https://www.rfc-editor.org/rfc/rfc8656#section-9
#[derive(Debug, Default)]
pub(crate) struct Permissions {
    /// Sorted by address.
    entries: Vec<(IpAddr, Instant)>,
}

impl Permissions {
    /// Makes or prolongs one.
    pub(crate) fn grant(&mut self, ip: IpAddr, now: Instant) {
        let expires = now + LIFETIME;
        match self.find(ip) {
            Ok(index) => {
                if let Some((_, until)) = self.entries.get_mut(index) {
                    *until = expires;
                }
            }
            Err(index) => self.entries.insert(index, (ip, expires)),
        }
    }

    /// Returns whether there is one for `ip` at `now`.
    pub(crate) fn has(&self, ip: IpAddr, now: Instant) -> bool {
        self.find(ip)
            .ok()
            .and_then(|index| self.entries.get(index))
            .is_some_and(|(_, expires)| *expires > now)
    }

    /// Returns whether granting all of `ips` keeps within `max`.
    pub(crate) fn has_room_for(&self, ips: &[IpAddr], max: usize) -> bool {
        let mut new: Vec<IpAddr> = ips
            .iter()
            .copied()
            .filter(|ip| self.find(*ip).is_err())
            .collect();
        // A request may name an address twice, with two ports: that is one permission.
        new.sort_unstable();
        new.dedup();
        self.entries.len() + new.len() <= max
    }

    /// Forgets the permissions of addresses for which `matches` holds.
    pub(crate) fn remove(&mut self, matches: impl Fn(IpAddr) -> bool) {
        self.entries.retain(|(ip, _)| !matches(*ip));
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        self.entries.retain(|(_, expires)| *expires > now);
    }

    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.entries.iter().map(|(_, expires)| *expires).min()
    }

    fn find(&self, ip: IpAddr) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&ip, |(known, _)| *known)
    }
}

//= https://www.rfc-editor.org/rfc/rfc8656#section-9
//# The Permission Lifetime MUST be 300 seconds (= 5 minutes).
pub(crate) const LIFETIME: Duration = Duration::from_secs(300);
