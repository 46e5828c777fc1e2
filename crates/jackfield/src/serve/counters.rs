//! What the server counts beside its parts.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the server itself counts, beside what its parts count.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// HTTP requests.
    pub(super) http_requests: Counter,
    /// HTTP requests refused because they named no host, or two.
    pub(super) http_bad_host: Counter,
    /// HTTP requests refused because a page of another origin made them.
    pub(super) http_foreign_origins: Counter,
    /// HTTP requests refused because a browser named a host that may be anyone's.
    pub(super) http_unknown_hosts: Counter,
    /// Requests for the metrics refused to clients that may not read them.
    pub(super) http_metrics_refused: Counter,
    /// HTTP connections that ended in an error: a malformed request, a broken connection.
    pub(super) http_errors: Counter,
    /// Connections that ended before their first bytes or TLS handshake were complete.
    pub(super) connection_failures: Counter,
    /// Connections that took too long for that.
    pub(super) connection_timeouts: Counter,
    /// TLS handshakes refused to a network above its rate.
    pub(super) tls_handshakes_refused: Counter,
    /// Connections that began with bytes of no protocol of ours.
    pub(super) unknown_protocols: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn inc(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
