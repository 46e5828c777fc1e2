//! Permissions: the IP addresses that may send through the relay ([RFC 8656 §9]).
//!
//! [RFC 8656 §9]: https://www.rfc-editor.org/rfc/rfc8656#section-9

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::allocation::ahead;
use super::request::{Operation, RETRY};
use super::{Client, Event, Failure, SendError, Timer};

/// Every peer address that was asked for.
#[derive(Debug, Default)]
pub(super) struct Permissions(BTreeMap<IpAddr, Permission>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Permission {
    /// The server was asked, by CreatePermission or ChannelBind.
    Asked,
    /// The server lets it through until then.
    Granted(Instant),
    /// The server does not.
    Refused(Failure),
}

impl Permissions {
    /// Returns whether packets of this address may pass at `now`.
    pub(super) fn allows(&self, peer: IpAddr, now: Instant) -> bool {
        matches!(self.0.get(&peer), Some(Permission::Granted(until)) if *until > now)
    }

    fn refusal(&self, peer: IpAddr) -> Option<Failure> {
        match self.0.get(&peer) {
            Some(Permission::Refused(why)) => Some(*why),
            Some(Permission::Asked | Permission::Granted(_)) | None => None,
        }
    }

    /// Remembers a success; returns whether it is news.
    pub(super) fn grant(&mut self, peer: IpAddr, now: Instant) -> bool {
        let was_allowed = self.allows(peer, now);
        self.0
            .insert(peer, Permission::Granted(now + PERMISSION_LIFETIME));
        !was_allowed
    }

    #[cfg(any(test, feature = "internals"))]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Client {
    /// Asks the server to let packets of this address through, and keeps asking ahead of time; a
    /// second call after [`Event::PeerRefused`] tries again.
    ///
    /// # Errors
    /// When there is no allocation, none of this family, or no room for another peer.
    pub fn permit(&mut self, now: Instant, peer: IpAddr) -> Result<(), SendError> {
        self.check_peer(peer)?;
        if self.permissions.refusal(peer).is_some() {
            self.permissions.0.remove(&peer);
        }
        if !self.permissions.allows(peer, now) {
            self.note_asked(peer)?;
            self.ask(now, Operation::Permit(peer));
        }
        Ok(())
    }

    /// Stops keeping permission and channels of this address alive; data from there is dropped from
    /// here on.
    pub fn forget(&mut self, peer: IpAddr) {
        self.permissions.0.remove(&peer);
        self.timers.cancel(&Timer::Permission(peer));
        self.abandon(|operation| operation == Operation::Permit(peer));
        self.forget_channels(peer);
        self.counters.dropped_waiting += self.waiting.discard(peer);
    }

    /// Returns whether packets to and from this address pass.
    #[must_use]
    pub fn is_permitted(&self, now: Instant, peer: IpAddr) -> bool {
        self.permissions.allows(peer, now)
    }

    /// Returns why the server does not let this address through, if it has said so.
    #[must_use]
    pub fn refusal(&self, peer: IpAddr) -> Option<Failure> {
        self.permissions.refusal(peer)
    }

    /// Checks that a peer can be reached by this allocation.
    pub(super) fn check_peer(&self, peer: IpAddr) -> Result<(), SendError> {
        let relayed = self.relayed().ok_or(SendError::NotAllocated)?;
        let reachable = match peer {
            IpAddr::V4(_) => relayed.v4.is_some(),
            IpAddr::V6(_) => relayed.v6.is_some(),
        };
        if reachable {
            Ok(())
        } else {
            Err(SendError::FamilyMismatch)
        }
    }

    /// Checks that the server has not refused a peer.
    pub(super) fn check_refused(&self, peer: IpAddr) -> Result<(), SendError> {
        match self.permissions.refusal(peer) {
            Some(why) => Err(SendError::PeerRefused(why)),
            None => Ok(()),
        }
    }

    /// Makes room for a peer that is about to be asked for.
    pub(super) fn note_asked(&mut self, peer: IpAddr) -> Result<(), SendError> {
        let peers = &mut self.permissions.0;
        if !peers.contains_key(&peer) && peers.len() >= self.config.limits.peers {
            return Err(SendError::TooManyPeers);
        }
        peers.entry(peer).or_insert(Permission::Asked);
        Ok(())
    }

    pub(super) fn refresh_permission(&mut self, now: Instant, peer: IpAddr) {
        if self.permissions.0.contains_key(&peer) {
            self.ask(now, Operation::Permit(peer));
        }
    }

    /// Takes a success response to CreatePermission, or to ChannelBind, which permits as well.
    pub(super) fn permitted(&mut self, now: Instant, peer: IpAddr) {
        // A peer that was removed since stays removed; its permission at the server runs out.
        if !self.permissions.0.contains_key(&peer) {
            return;
        }
        let is_news = self.permissions.grant(peer, now);
        self.timers
            .set(Timer::Permission(peer), now + ahead(PERMISSION_LIFETIME));
        if is_news {
            self.event(Event::Permitted(peer));
        }
        self.send_waiting(now, peer);
    }

    /// Takes a refusal: what the server has once granted lasts as long as it said.
    pub(super) fn permission_refused(&mut self, now: Instant, peer: IpAddr, why: Failure) {
        if !self.permissions.0.contains_key(&peer) {
            return;
        }
        let is_passing = why.is_passing();
        if is_passing && self.permissions.allows(peer, now) {
            self.timers.set(Timer::Permission(peer), now + RETRY);
            return;
        }
        self.timers.cancel(&Timer::Permission(peer));
        // The server may have bound what it has not answered.
        if !why.is_silence() {
            self.forget_channels(peer);
        }
        self.permissions.0.insert(peer, Permission::Refused(why));
        self.counters.dropped_waiting += self.waiting.discard(peer);
        self.event(Event::PeerRefused { peer, why });
    }
}

//= https://www.rfc-editor.org/rfc/rfc8656#section-9
//# The Permission Lifetime MUST be 300 seconds (= 5 minutes).
const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
