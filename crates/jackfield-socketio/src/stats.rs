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
    /// WebSockets that did not complete an upgrade within [`Config::upgrade_timeout`](crate::Config::upgrade_timeout).
    upgrade_timeouts,
    /// Requests refused because their session is unknown.
    unknown_sid,
    /// Requests refused for another error of the client.
    bad_requests,
    /// Handshakes refused by [`Config::allow_request`](crate::Config::allow_request).
    forbidden,
    /// Handshakes refused because [`Config::allow_eio3`](crate::Config::allow_eio3) is off.
    unsupported_version,
    /// Handshakes refused by [`Config::max_connections`](crate::Config::max_connections), or while closing.
    too_many_connections,
    /// Handshakes refused by [`Config::handshake_rate`](crate::Config::handshake_rate).
    too_many_handshakes,
    /// POST bodies and WebSocket messages above [`Config::max_payload`](crate::Config::max_payload).
    payload_too_large,
    /// POST bodies that took longer than [`Config::body_timeout`](crate::Config::body_timeout).
    body_timeouts,
    /// Sessions that ended because no heartbeat came within [`Config::ping_timeout`](crate::Config::ping_timeout).
    ping_timeouts,
    /// Sessions that joined no namespace within [`Config::connect_timeout`](crate::Config::connect_timeout).
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
    /// Packets that did not fit into a client's buffer ([`Config::max_buffered`](crate::Config::max_buffered)).
    buffer_full,
    /// Clients that were disconnected because of that.
    slow_consumers,
    /// Times that reading from a client paused because of [`Config::max_inbound`](crate::Config::max_inbound).
    inbound_paused,
    /// Acknowledgements that did not come in time.
    ack_timeouts,
    /// Acknowledgements that nobody waits for.
    unknown_acks,
    /// Handlers that panicked.
    handler_panics,
}
