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

/// One number of [`Stats`], and what an exporter has to know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The field's name; it ends in the unit, if there is one.
    pub name: &'static str,
    /// The field's documentation.
    pub help: &'static str,
    /// Whether the number only grows.
    pub kind: StatKind,
    /// The value.
    pub value: u64,
}

/// Whether a number of [`Stats`] only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatKind {
    /// The number rises and falls with what there is at present.
    Level,
    /// The number only grows, from 0 at the start of the server.
    Total,
}

macro_rules! stats {
    ($($(#[doc = $doc:literal])* $name:ident: $kind:ident,)*) => {
        /// What a server has counted since its start, and levels, which go up and down.
        #[derive(Debug, Default)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[doc = $doc])* pub $name: Counter,)*
        }

        impl Stats {
            /// Calls `visit` with each number, for a metrics endpoint.
            pub fn visit(&self, mut visit: impl FnMut(Stat)) {
                $(visit(Stat {
                    name: stringify!($name),
                    help: concat!($($doc),*),
                    kind: StatKind::$kind,
                    value: self.$name.get(),
                });)*
            }
        }
    };
}

stats! {
    /// Sessions that are open.
    sessions: Level,
    /// WebSocket connections that are open, probes included.
    websockets: Level,
    /// Sockets that are in a namespace.
    sockets: Level,
    /// Sessions that were opened.
    handshakes: Total,
    /// Sessions that moved from polling to WebSocket.
    upgrades: Total,
    /// WebSockets that did not complete an upgrade within
    /// [`IoConfig::upgrade_timeout`](crate::IoConfig::upgrade_timeout).
    upgrade_timeouts: Total,
    /// Requests refused because their session is unknown.
    unknown_sid: Total,
    /// Requests refused for another error of the client.
    bad_requests: Total,
    /// Handshakes refused by [`IoConfig::allow_request`](crate::IoConfig::allow_request).
    forbidden: Total,
    /// Handshakes refused because [`IoConfig::allow_eio3`](crate::IoConfig::allow_eio3) is off.
    unsupported_version: Total,
    /// Handshakes refused by [`IoConfig::max_connections`](crate::IoConfig::max_connections) or
    /// [`IoConfig::max_connections_per_network`](crate::IoConfig::max_connections_per_network), or
    /// while closing.
    too_many_connections: Total,
    /// Handshakes refused by [`IoConfig::budget`](crate::IoConfig::budget).
    out_of_budget: Total,
    /// Sessions that asked for nothing after their handshake and yielded to a newcomer.
    yielded: Total,
    /// Handshakes refused by [`IoConfig::handshake_rate`](crate::IoConfig::handshake_rate).
    too_many_handshakes: Total,
    /// POST bodies and WebSocket messages above
    /// [`IoConfig::max_payload`](crate::IoConfig::max_payload).
    payload_too_large: Total,
    /// POST bodies that took longer than [`IoConfig::body_timeout`](crate::IoConfig::body_timeout).
    body_timeouts: Total,
    /// Sessions that ended because no heartbeat came within
    /// [`IoConfig::ping_timeout`](crate::IoConfig::ping_timeout).
    ping_timeouts: Total,
    /// Sessions that joined no namespace within
    /// [`IoConfig::connect_timeout`](crate::IoConfig::connect_timeout).
    connect_timeouts: Total,
    /// Sessions that ended because what the client sent is not the protocol.
    protocol_errors: Total,
    /// Clients that asked for a namespace that does not exist.
    invalid_namespaces: Total,
    /// Clients that a middleware refused.
    connects_refused: Total,
    /// Messages that came from clients.
    received_messages: Total,
    /// Bytes of the messages that came from clients.
    received_bytes: Total,
    /// Packets that were queued for clients, attachments included.
    sent_packets: Total,
    /// Volatile packets that were dropped because the client was not ready.
    volatile_dropped: Total,
    /// Packets that did not fit into a client's buffer
    /// ([`IoConfig::max_buffered`](crate::IoConfig::max_buffered)).
    buffer_full: Total,
    /// Clients that were disconnected because of that, or by
    /// [`IoConfig::budget`](crate::IoConfig::budget).
    slow_consumers: Total,
    /// Times that reading from a client paused because of
    /// [`IoConfig::max_inbound`](crate::IoConfig::max_inbound).
    inbound_paused: Total,
    /// Acknowledgements that did not come in time.
    ack_timeouts: Total,
    /// Acknowledgements that came with an unknown id, or after their time.
    unknown_acks: Total,
    /// Handlers that panicked.
    handler_panics: Total,
}
