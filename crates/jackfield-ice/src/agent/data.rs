//! Application data; nothing here allocates.

use std::time::Instant;

use jackfield_sansio::FiveTuple;
use jackfield_turn::Header;

use super::pair::{Pair, PairState};
use super::respond::Arrival;
use super::session::Session;
use super::{Agent, State};

/// A packet on its way: what the driver sends at once, as one message, before it asks for outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing<'b> {
    /// Along which path.
    pub path: FiveTuple,
    /// What goes before the payload: a TURN header, if the pair is relayed.
    pub header: Option<Header>,
    /// What the other side gets.
    pub payload: &'b [u8],
    /// How many zero bytes follow, 0 to 3.
    pub padding: u8,
}

/// Why a packet cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// No pair works: none yet, or none any more. Where there was one, the other side has not
    /// answered for so long that there is no consent to send to it (RFC 7675).
    #[error("no candidate pair works")]
    NotConnected,
    /// The relay does not take the packet now: its server has to let the peer in first. It may
    /// still go out then.
    #[error("the relay does not take the packet now")]
    Relay,
    /// The packet is longer than its length field can say.
    #[error("{0} bytes are more than one packet carries")]
    TooLong(usize),
    /// The packet would be taken for a connectivity check at the other end.
    #[error("the packet looks like a STUN message")]
    LooksLikeStun,
}

impl Agent {
    /// Sends a packet along the selected pair, or, before a restart has found one, along the old
    /// one.
    ///
    /// # Errors
    /// When it cannot be sent; see [`SendError`].
    pub fn send<'b>(&mut self, now: Instant, payload: &'b [u8]) -> Result<Outgoing<'b>, SendError> {
        if self.state == State::Closed {
            return Err(SendError::NotConnected);
        }
        if payload.len() > MAX_PAYLOAD {
            return Err(SendError::TooLong(payload.len()));
        }
        if jackfield_stun::looks_like_stun(payload) {
            return Err(SendError::LooksLikeStun);
        }
        let is_current = self.session.selected.is_some();
        let session = match &mut self.previous {
            Some(previous) if !is_current => &mut previous.session,
            _ => &mut self.session,
        };
        let probe = session.note_data(&self.context, now);
        let are_lite = session.are_both_lite(&self.context);
        let selected = session.selected;
        let pair = selected.and_then(|id| session.pair_mut(id));
        let expiry = self.context.config.timing.consent_expiry;
        let pair = pair.filter(|pair| are_lite || pair.has_consent(now, expiry));
        let pair = pair.ok_or(SendError::NotConnected)?;
        let outgoing = self.context.outgoing(now, pair, payload)?;
        pair.counters.packets_sent += 1;
        pair.counters.bytes_sent += payload.len() as u64;
        if let Some(at) = probe {
            self.deadline = Some(self.deadline.map_or(at, |deadline| deadline.min(at)));
        }
        Ok(outgoing)
    }

    /// Takes a packet of the application, if its sender has shown that it is the other side.
    pub(super) fn take_data<'b>(
        &mut self,
        now: Instant,
        arrival: Arrival,
        bytes: &'b [u8],
    ) -> Option<&'b [u8]> {
        let previous = self.previous.as_mut().map(|previous| &mut previous.session);
        for session in std::iter::once(&mut self.session).chain(previous) {
            if let Some(pair) = session.pair_from(arrival) {
                pair.note_data(now, bytes.len());
                return Some(bytes);
            }
        }
        let context = &mut self.context;
        if self.session.keep_early_data(context, arrival, bytes) {
            return None;
        }
        self.context.counters.dropped_unverified += 1;
        None
    }
}

impl Pair {
    /// Counts a datagram of the application that came by the pair.
    pub(super) fn note_data(&mut self, now: Instant, length: usize) {
        self.heard = Some(now);
        self.counters.packets_received += 1;
        self.counters.bytes_received += length as u64;
    }

    /// Returns whether the other side has consented to packets by this pair lately.
    fn has_consent(&self, now: Instant, expiry: std::time::Duration) -> bool {
        let age = self.answered.map(|at| now.saturating_duration_since(at));
        age.is_some_and(|age| age < expiry)
    }
}

impl Session {
    /// Returns the pair that a packet came by, if a check has shown who sends by it.
    pub(super) fn pair_from(&mut self, arrival: Arrival) -> Option<&mut Pair> {
        let is_it = |pair: &Pair| {
            pair.local == arrival.local
                && pair.address == arrival.source
                && pair.connection == arrival.connection
                && (pair.is_authenticated || pair.state == PairState::Succeeded)
        };
        self.pairs.iter_mut().find(|pair| is_it(pair))
    }

    /// Has the selected pair probed soon, if data goes out by it and nothing comes back; returns
    /// when.
    fn note_data(&mut self, context: &super::context::Context, now: Instant) -> Option<Instant> {
        let silence = context.config.timing.silence;
        let pair = self.selected.and_then(|id| self.pair_mut(id))?;
        let is_silent =
            |at: Option<Instant>| at.is_some_and(|at| now.saturating_duration_since(at) >= silence);
        let is_asked = pair.unanswered > 0;
        if is_asked || !is_silent(pair.heard.max(pair.answered)) {
            return None;
        }
        pair.upkeep = pair.upkeep.map(|at| at.min(now));
        pair.upkeep
    }
}

/// The most bytes of a packet: what RFC 4571 and UDP carry beside a TURN header.
const MAX_PAYLOAD: usize = 65_000;
