//! What an endpoint counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one endpoint, all since it was bound.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct EndpointCounters {
    /// Sessions above [`EndpointLimits::sessions`](super::EndpointLimits::sessions).
    pub refused_sessions: Count,
    /// Sockets above [`EndpointLimits::own_sockets`](super::EndpointLimits::own_sockets).
    pub refused_own_sockets: Count,
    /// Datagrams that are for no session.
    pub unknown_datagrams: Count,
    /// Accepted connections that did not say in time that they are for a session.
    pub unknown_streams: Count,
    /// Connections above [`EndpointLimits::strangers`](super::EndpointLimits::strangers).
    pub refused_strangers: Count,
    /// Packets that the application of a session did not take in time.
    pub dropped_packets: Count,
    /// Events that the application of a session did not take in time.
    pub dropped_events: Count,
    /// Packets of cores that neither the system nor a connection took.
    pub dropped_transmits: Count,
    /// Times that a STUN server gave no address.
    pub stun_errors: Count,
    /// Addresses whose names nobody answers for, as multicast DNS cannot be listened to.
    pub mdns_errors: Count,
}

/// A number that only grows; any thread adds to it.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the present value.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
