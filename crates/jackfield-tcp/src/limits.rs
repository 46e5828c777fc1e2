//! The limits and counters of a stack.

use std::time::Duration;

/// The limits of a [`Stack`](super::Stack); each has a counter in [`StackCounters`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackLimits {
    /// All connections. A SYN beyond the limit is ignored, so that its sender tries again later.
    pub connections: usize,
    /// Connections that a peer has begun and not finished opening.
    pub half_open: usize,
    /// Connections of one remote address.
    pub connections_per_address: usize,
    /// Received bytes that wait to be read, for each connection: the window that its peer is
    /// offered. At most 1 GiB.
    pub receive_buffer: usize,
    /// Bytes that wait to be sent or acknowledged, for each connection.
    pub send_buffer: usize,
    /// Packets that wait to be polled. Further packets are dropped, and TCP retransmits them.
    pub packets: usize,
    /// The largest packet, in bytes; at least 576.
    pub mtu: usize,
    /// How long a connection may take to open.
    pub handshake: Duration,
    /// How long sent data may stay unacknowledged (R2 of RFC 9293 §3.8.3).
    pub timeout: Duration,
    /// How long a connection may be silent in both directions.
    pub idle: Duration,
    /// Bytes of input that each connection records so that it can be cloned. A connection with
    /// more is missing in a clone, where it ends with
    /// [`ResetReason::NotCloned`](super::ResetReason::NotCloned); 0 is for stacks that are never
    /// cloned.
    pub journal: usize,
}

impl Default for StackLimits {
    fn default() -> Self {
        Self {
            connections: 256,
            half_open: 64,
            connections_per_address: 64,
            receive_buffer: 65_535,
            send_buffer: 65_535,
            packets: 4096,
            mtu: 1500,
            handshake: Duration::from_secs(60),
            timeout: Duration::from_secs(120),
            idle: Duration::from_secs(2 * 3600 + 240),
            journal: 4 << 20,
        }
    }
}

/// The counters of a [`Stack`](super::Stack).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StackCounters {
    /// Packets taken.
    pub packets_in: u64,
    /// Packets that were queued to be polled.
    pub packets_out: u64,
    /// Packets that are not TCP segments, or have a wrong checksum.
    pub malformed: u64,
    /// Packets for other addresses.
    pub not_ours: u64,
    /// Segments that belong to no connection, answered with a reset.
    pub refused: u64,
    /// SYNs ignored for [`StackLimits::connections`].
    pub too_many_connections: u64,
    /// SYNs ignored for [`StackLimits::half_open`].
    pub too_many_half_open: u64,
    /// SYNs ignored for [`StackLimits::connections_per_address`].
    pub too_many_per_address: u64,
    /// Packets dropped for [`StackLimits::packets`].
    pub packets_dropped: u64,
    /// Connections ended for [`StackLimits::handshake`].
    pub handshake_timeouts: u64,
    /// Connections ended for [`StackLimits::timeout`].
    pub timeouts: u64,
    /// Connections ended for [`StackLimits::idle`].
    pub idle_timeouts: u64,
    /// Connections missing in a clone for [`StackLimits::journal`].
    pub not_cloned: u64,
    /// Connections that opened.
    pub connected: u64,
    /// Connections that were reset by their peer or refused by an ICMP error.
    pub reset: u64,
}
