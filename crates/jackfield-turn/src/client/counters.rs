//! What a client counts.

/// Counters of one client, all since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ClientCounters {
    /// Requests made, without repetitions.
    pub requests: u64,
    /// Requests sent, with repetitions.
    pub transmissions: u64,
    /// Binding indications sent to keep NATs open.
    pub keepalives: u64,
    /// Packets given out for peers.
    pub packets_to_peers: u64,
    /// Packets taken from peers.
    pub packets_from_peers: u64,
    /// Bytes from the server that are no message.
    pub malformed: u64,
    /// Messages that answer nothing, or are none that a server sends.
    pub unexpected: u64,
    /// Answers that were not signed as they should be.
    pub untrusted: u64,
    /// Data from peers that we have let in neither by a channel nor by a permission.
    pub dropped_unpermitted: u64,
    /// Packets that waited for their peer to be let in, and were dropped: too many, or the peer was
    /// refused.
    pub dropped_waiting: u64,
}
