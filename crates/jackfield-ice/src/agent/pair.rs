//! A candidate pair: one of our bases and one remote candidate.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_sansio::FiveTuple;
use jackfield_stun::TransactionId;

use super::Role;
use super::local::LocalId;
use super::remote::RemoteId;

/// A pair's number, never used again in its ICE generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PairId(pub(super) u32);

/// How far a pair is ([RFC 8445 §6.1.2.6], in W3C's words).
///
/// No pair is ever frozen: with one component there is nothing to learn from another pair of the
/// same foundation.
///
/// [RFC 8445 §6.1.2.6]: https://www.rfc-editor.org/rfc/rfc8445#section-6.1.2.6
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PairState {
    /// The pair was not checked yet.
    Waiting,
    /// A check is under way.
    InProgress,
    /// A check was answered.
    Succeeded,
    /// The checks were not answered, or with an error.
    Failed,
}

/// One of our bases and one remote candidate.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) id: PairId,
    /// The base that checks leave from.
    pub(super) local: LocalId,
    pub(super) remote: RemoteId,
    /// The remote candidate's address.
    pub(super) address: SocketAddr,
    /// The connection, of a TCP pair that has one.
    pub(super) connection: Option<FiveTuple>,
    /// The local candidate that the other side sees, once it said so.
    pub(super) mapped: Option<LocalId>,
    pub(super) priority: u64,
    /// How likely the pair is to work; less is likelier.
    pub(super) promise: u8,
    pub(super) state: PairState,
    /// Whether a check is to go out as soon as the bucket of triggered checks allows.
    pub(super) is_triggered: bool,
    /// How many checks were sent since the pair was last put into the checklist.
    pub(super) transmissions: u8,
    /// When to repeat an unanswered check, or to give it up.
    pub(super) due: Option<Instant>,
    /// The requests that may still be answered, oldest first.
    pub(super) sent: Vec<Sent>,
    /// Whether a request with the right credentials came by this pair.
    pub(super) is_authenticated: bool,
    /// The smoothed round-trip time.
    pub(super) rtt: Option<Duration>,
    /// When any packet last came by this pair.
    pub(super) heard: Option<Instant>,
    /// When a check was last answered: since then there is consent to send.
    pub(super) answered: Option<Instant>,
    /// When the next consent check, probe or keepalive goes out.
    pub(super) upkeep: Option<Instant>,
    /// How many requests in a row have met no answer in their time.
    pub(super) unanswered: u32,
    /// Whether so many were unanswered that the pair no longer counts as working.
    pub(super) is_lost: bool,
    /// How often it was lost, and since when it works again.
    pub(super) losses: u32,
    pub(super) recovered: Option<Instant>,
    /// Whether the check that is under way is one of those that ask whether a lost pair is back.
    pub(super) is_retried: bool,
    /// The nomination of this pair, as far as it has come.
    pub(super) nomination: Nominated,
    /// Consent is gone, and these credentials give it no more (RFC 7675 §5.1).
    pub(super) is_revoked: bool,
    pub(super) counters: PairCounters,
}

/// How far the nomination of a pair is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nominated {
    No,
    /// It was asked for, by us or by the other side, and the pair has to work first.
    Asked(Nomination),
    Yes(Nomination),
}

/// One nomination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nomination {
    /// NOMINATION's value; zero without that attribute.
    pub(super) value: u32,
    pub(super) at: Instant,
}

/// A request that may still be answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) id: TransactionId,
    pub(super) at: Instant,
    /// The role that the request claimed.
    pub(super) role: Role,
    /// Whether it carried USE-CANDIDATE.
    pub(super) nominates: bool,
}

/// What a pair counts; the names are W3C's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PairCounters {
    /// Datagrams of the application that were sent.
    pub packets_sent: u64,
    /// Datagrams of the application that came.
    pub packets_received: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Checks that came.
    pub requests_received: u64,
    /// Checks that were sent, repetitions included.
    pub requests_sent: u64,
    /// Answers to our checks.
    pub responses_received: u64,
    /// Answers that were sent.
    pub responses_sent: u64,
    /// Of the checks that were sent, those for consent alone.
    pub consent_requests_sent: u64,
    /// The sum of all measured round-trip times.
    pub total_round_trip_time: Duration,
}

impl Pair {
    pub(super) fn new(id: PairId, local: LocalId, remote: RemoteId, address: SocketAddr) -> Self {
        Self {
            id,
            local,
            remote,
            address,
            connection: None,
            mapped: None,
            priority: 0,
            promise: 0,
            state: PairState::Waiting,
            is_triggered: false,
            transmissions: 0,
            due: None,
            sent: Vec::new(),
            is_authenticated: false,
            rtt: None,
            heard: None,
            answered: None,
            upkeep: None,
            unanswered: 0,
            is_lost: false,
            losses: 0,
            recovered: None,
            is_retried: false,
            nomination: Nominated::No,
            is_revoked: false,
            counters: PairCounters::default(),
        }
    }

    /// Returns whether checks of this pair may be sent.
    pub(super) fn is_alive(&self) -> bool {
        self.state != PairState::Failed && !self.is_revoked
    }

    /// Remembers a request; the oldest is forgotten when there are too many.
    pub(super) fn note_sent(&mut self, sent: Sent) {
        if self.sent.len() >= MAX_SENT {
            self.sent.remove(0);
        }
        self.sent.push(sent);
        self.counters.requests_sent += 1;
    }

    /// Takes the request with this transaction, and forgets the earlier ones.
    ///
    /// A lost answer to an earlier one says nothing any more; one that is late would give a
    /// round-trip time of the past.
    pub(super) fn take_sent(&mut self, id: TransactionId) -> Option<Sent> {
        let at = self.sent.iter().position(|sent| sent.id == id)?;
        let sent = self.sent.get(at).copied();
        self.sent.drain(..=at);
        sent
    }

    /// Adds a measured round-trip time, smoothed as in RFC 6298.
    pub(super) fn add_rtt(&mut self, rtt: Duration) {
        self.rtt = Some(match self.rtt {
            Some(smoothed) => (smoothed * 7 + rtt) / 8,
            None => rtt,
        });
        self.counters.total_round_trip_time += rtt;
    }

    /// Puts the pair back into the checklist.
    pub(super) fn reset(&mut self) {
        self.is_retried = false;
        self.state = PairState::Waiting;
        self.transmissions = 0;
        self.due = None;
    }

    /// Ends the pair's checks without success.
    pub(super) fn fail(&mut self) {
        self.state = PairState::Failed;
        self.is_triggered = false;
        self.due = None;
        self.upkeep = None;
        self.sent = Vec::new();
    }
}

/// The most requests of one pair that are remembered: as many as a check has repetitions, and one
/// that was triggered.
pub(super) const MAX_SENT: usize = 8;
