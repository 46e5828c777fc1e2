//! One allocation on one server, from one local address: how it is asked for, and what becomes of
//! it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_sansio::{FiveTuple, Transport};
use jackfield_turn::Relayed;
use jackfield_turn::client::{Client, Failure};

/// An allocation, or the wish for one.
#[derive(Debug)]
pub(super) struct Relay {
    /// The local address that it is asked for from.
    pub(super) base: SocketAddr,
    /// The server's place in the configuration.
    pub(super) server: usize,
    /// How the server is reached.
    pub(super) transport: Transport,
    pub(super) state: RelayState,
    /// What the server relays, while it does.
    pub(super) relayed: Relayed,
    /// Where the server sees the base, while it relays and was asked from there: a socket of the
    /// allocation's own has another NAT binding.
    pub(super) mapped: Option<SocketAddr>,
    /// When the stream to the server counts as stalled, unless it brings something before: a
    /// request waits for its answer.
    pub(super) patience: Option<Instant>,
    /// The number of the connection that takes the place of the stalled stream once it is open.
    pub(super) spare: Option<u32>,
    /// How many tries in a row have failed; an allocation that lasted for less than [`MAX_PAUSE`]
    /// is one of them.
    pub(super) failures: u32,
    /// Since when the server relays, while it does.
    pub(super) since: Option<Instant>,
    /// Whether there was an allocation, so that it is asked for until it is there again.
    pub(super) is_retried: bool,
}

#[derive(Debug)]
pub(super) enum RelayState {
    /// It waits for faster ways to succeed: until this instant, or, as `None`, until all that have
    /// succeeded are lost.
    Held(Option<Instant>),
    /// It waits for its turn.
    Waiting,
    /// A connection was asked for, and is given up at the deadline. A client that was redirected
    /// waits for it.
    Connecting {
        id: u32,
        deadline: Instant,
        client: Option<Box<Client>>,
    },
    /// The server is asked, or relays; the client has to be woken at this instant.
    Active(Box<Client>, Option<Instant>),
    /// An allocation has ended; another one is tried at this instant.
    Retry(Instant),
    /// The server gave none.
    Failed,
}

impl Relay {
    /// Returns whether the server relays.
    pub(super) fn is_allocated(&self) -> bool {
        self.relayed != Relayed::default()
    }

    /// Returns whether gathering waits for it.
    pub(super) fn is_pending(&self) -> bool {
        match self.state {
            RelayState::Waiting | RelayState::Connecting { .. } => self.failures == 0,
            RelayState::Active(..) => !self.is_allocated() && self.failures == 0,
            RelayState::Held(_) | RelayState::Retry(_) | RelayState::Failed => false,
        }
    }

    /// Returns whether it may still succeed by itself.
    pub(super) fn may_succeed(&self) -> bool {
        match self.state {
            RelayState::Failed => false,
            RelayState::Held(_)
            | RelayState::Waiting
            | RelayState::Connecting { .. }
            | RelayState::Active(..)
            | RelayState::Retry(_) => true,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            RelayState::Held(until) => *until,
            RelayState::Retry(until) => Some(*until),
            RelayState::Connecting { deadline, .. } => Some(*deadline),
            RelayState::Active(_, wake) => [*wake, self.patience].into_iter().flatten().min(),
            RelayState::Waiting | RelayState::Failed => None,
        }
    }

    /// Returns the path to the server, once there is one.
    pub(super) fn path(&self) -> Option<FiveTuple> {
        match &self.state {
            RelayState::Active(client, _) => Some(client.path()),
            RelayState::Held(_)
            | RelayState::Waiting
            | RelayState::Connecting { .. }
            | RelayState::Retry(_)
            | RelayState::Failed => None,
        }
    }

    /// Returns the relayed addresses, at most one of each family.
    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        [self.relayed.v4, self.relayed.v6].into_iter().flatten()
    }

    /// Returns whether it relays what comes to `address`.
    pub(super) fn relays(&self, address: SocketAddr) -> bool {
        [self.relayed.v4, self.relayed.v6].contains(&Some(address))
    }
}

/// The longest time before a server is asked again that asks for none itself.
pub(super) const MAX_PAUSE: Duration = Duration::from_secs(120);

/// Returns how good a way to a server is: the lower, the better.
pub(super) fn rank(transport: Transport) -> u32 {
    match transport {
        Transport::Udp | Transport::Dtls => 0,
        Transport::Tcp => 1,
        Transport::Tls => 2,
    }
}

/// Returns how long to wait before an allocation that has ended is asked for again: what the
/// failure asks for, twice as long after each further failure; `None` if that is in vain.
pub(super) fn pause(why: Failure, failures: u32) -> Option<Duration> {
    let first = why.retry_after()?;
    let doubled = first.saturating_mul(2_u32.saturating_pow(failures.min(16)));
    Some(doubled.min(MAX_PAUSE.max(first)))
}
