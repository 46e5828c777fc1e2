//! What a server has counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows, or a level that goes up and down.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Returns the value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, amount: usize) {
        self.0.fetch_add(amount as u64, Ordering::Relaxed);
    }

    pub(crate) fn increment(&self) {
        self.add(1);
    }

    /// Adds one unless the level is at `limit`.
    pub(crate) fn add_below(&self, limit: usize) -> bool {
        let limit = limit as u64;
        let add = |level: u64| (level < limit).then_some(level + 1);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, add)
            .is_ok()
    }

    pub(crate) fn decrement(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a server has counted since its start; levels are named so.
        #[derive(Debug, Default)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $name: Counter,)*
        }

        impl Stats {
            /// Returns every name and value, for a metrics endpoint.
            #[must_use]
            pub fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.get()),)*]
            }
        }
    };
}

stats! {
    /// Level: sessions that are open.
    sessions,
    /// Level: WebSocket connections that are open, probes included.
    websockets,
    /// Level: sockets that are in a namespace.
    sockets,
    /// Sessions that were opened.
    handshakes,
    /// Sessions that moved from polling to WebSocket.
    upgrades,
    /// WebSockets that did not complete an upgrade within [`IoConfig::upgrade_timeout`](crate::IoConfig::upgrade_timeout).
    upgrade_timeouts,
    /// Requests refused because their session is unknown.
    unknown_sid,
    /// Requests refused for another error of the client.
    bad_requests,
    /// Handshakes refused by [`IoConfig::allow_request`](crate::IoConfig::allow_request).
    forbidden,
    /// Handshakes refused because [`IoConfig::allow_eio3`](crate::IoConfig::allow_eio3) is off.
    unsupported_version,
    /// Handshakes refused by [`IoConfig::max_connections`](crate::IoConfig::max_connections), or while closing.
    too_many_connections,
    /// Handshakes refused by [`IoConfig::handshake_rate`](crate::IoConfig::handshake_rate).
    too_many_handshakes,
    /// POST bodies and WebSocket messages above [`IoConfig::max_payload`](crate::IoConfig::max_payload).
    payload_too_large,
    /// POST bodies that took longer than [`IoConfig::body_timeout`](crate::IoConfig::body_timeout).
    body_timeouts,
    /// Sessions that ended because no heartbeat came within [`IoConfig::ping_timeout`](crate::IoConfig::ping_timeout).
    ping_timeouts,
    /// Sessions that joined no namespace within [`IoConfig::connect_timeout`](crate::IoConfig::connect_timeout).
    connect_timeouts,
    /// Sessions that ended because what the client sent is not the protocol.
    protocol_errors,
    /// Clients that asked for a namespace that does not exist.
    invalid_namespaces,
    /// Clients that a middleware refused.
    connects_refused,
    /// Messages that came from clients.
    messages_in,
    /// Bytes of the messages that came from clients.
    bytes_in,
    /// Packets that were queued for clients, attachments included.
    packets_out,
    /// Volatile packets that were dropped because the client was not ready.
    volatile_dropped,
    /// Packets that did not fit into a client's buffer ([`IoConfig::max_buffered`](crate::IoConfig::max_buffered)).
    buffer_full,
    /// Clients that were disconnected because of that.
    slow_consumers,
    /// Times that reading from a client paused because of [`IoConfig::max_inbound`](crate::IoConfig::max_inbound).
    inbound_paused,
    /// Acknowledgements that did not come in time.
    ack_timeouts,
    /// Acknowledgements that nobody waits for.
    unknown_acks,
    /// Handlers that panicked.
    handler_panics,
}
