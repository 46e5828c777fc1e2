//! Limits, times and counters of the connections of a server or client.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jackfield_websocket::Violation;
use jackfield_websocket::handshake::Options;

/// Limits, times and choices; connections share one through an [`Arc`].
#[derive(Debug, Clone)]
pub struct WsConfig {
    /// Limits on what the peer sends.
    pub limits: jackfield_websocket::WebSocketLimits,
    /// Subprotocols and compression.
    pub options: Options,
    /// Most bytes that wait to be written; [`Error::QueueFull`](crate::Error::QueueFull) above (16
    /// MiB).
    pub max_queued: usize,
    /// Above this many waiting bytes nothing more is read, so that a peer who does not listen
    /// cannot make us talk (1 MiB).
    pub pause_reading_above: usize,
    /// After this long without a byte from the peer it gets a Ping; `None` for protocols that
    /// watch the peer themselves (25 s).
    pub ping_interval: Option<Duration>,
    /// How long after a Ping the peer may stay silent (20 s).
    pub ping_timeout: Duration,
    /// How long bytes may wait with the peer taking none of them (30 s).
    pub write_timeout: Duration,
    /// How long the closing handshake may take (5 s).
    pub close_timeout: Duration,
    /// Most bytes of a peer that broke the protocol that are read and dropped, so that it gets our
    /// Close before a reset (4 MiB).
    pub max_linger: usize,
    /// How long a server may take to answer our opening handshake (10 s).
    pub handshake_timeout: Duration,
    /// What went wrong, counted over all connections that share it.
    pub counters: Arc<Counters>,
}

impl Default for WsConfig {
    fn default() -> Self {
        Self {
            limits: jackfield_websocket::WebSocketLimits::default(),
            options: Options::default(),
            max_queued: 16 << 20,
            pause_reading_above: 1 << 20,
            ping_interval: Some(Duration::from_secs(25)),
            ping_timeout: Duration::from_secs(20),
            write_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            max_linger: 4 << 20,
            handshake_timeout: Duration::from_secs(10),
            counters: Arc::default(),
        }
    }
}

/// What went wrong, counted since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests that opened no WebSocket.
    pub refused: AtomicU64,
    /// Connections failed for a broken protocol, limits apart.
    pub protocol_errors: AtomicU64,
    /// Connections failed for `limits.max_frame`.
    pub frames_too_large: AtomicU64,
    /// Connections failed for `limits.max_message`.
    pub messages_too_large: AtomicU64,
    /// Connections failed for `limits.max_fragments`.
    pub too_many_fragments: AtomicU64,
    /// Pings left unanswered for `limits.max_waiting_pongs`.
    pub pongs_skipped: AtomicU64,
    /// Times that reading stopped for `pause_reading_above`.
    pub reading_paused: AtomicU64,
    /// Messages refused for `max_queued`.
    pub queue_full: AtomicU64,
    /// Peers that fell silent for `ping_interval` and `ping_timeout`.
    pub silent: AtomicU64,
    /// Peers that took no bytes for `write_timeout`.
    pub stalled: AtomicU64,
    /// Peers that did not finish the closing handshake within `close_timeout`.
    pub close_timeouts: AtomicU64,
    /// Peers that sent more than `max_linger` after they were failed.
    pub lingered_too_much: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self, violation: Violation) {
        Self::add(match violation {
            Violation::FrameTooLarge => &self.frames_too_large,
            Violation::MessageTooLarge => &self.messages_too_large,
            Violation::TooManyFragments => &self.too_many_fragments,
            _ => &self.protocol_errors,
        });
    }
}
