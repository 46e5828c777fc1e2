//! What the TURN driver counts.

use crate::stats::counters;
use crate::udp::UdpStats;
use std::sync::Arc;

/// What a shard's TURN driver counts; the core's own counters come by
/// [`TurnHandle::stats`](super::TurnHandle::stats).
#[derive(Debug, Default)]
pub struct TurnStats {
    /// Sockets that clients send to.
    pub listeners: Arc<UdpStats>,
    /// Sockets that peers send to.
    pub relays: Arc<UdpStats>,
    /// Connections of clients.
    pub streams: StreamStats,
    /// Everything else.
    pub driver: DriverStats,
}

counters! {
    /// What the TURN driver counts beside its sockets.
    pub struct DriverStats {
        /// Relay sockets bound at present.
        relay_sockets: Gauge,
        /// Relay sockets that could not be bound.
        bind_errors: Counter,
        /// Packets that went from relay to relay inside the shard, without the kernel.
        relay_to_relay: Counter,
        /// Packets for a socket or connection that was gone.
        dropped_no_socket: Counter,
        /// Datagrams dropped because they looked like DTLS.
        dropped_dtls: Counter,
        /// Datagrams dropped because they looked like QUIC.
        dropped_quic: Counter,
        /// Datagrams dropped because they looked like RTP, or like nothing with a name.
        dropped_other: Counter,
    }
}

counters! {
    /// What connections of TURN clients count.
    pub struct StreamStats {
        /// Connections at present.
        open: Gauge,
        /// Connections so far.
        opened: Counter,
        /// Connections refused because there were too many.
        refused: Counter,
        /// Connections ended because they carried something else than STUN and ChannelData.
        not_stun: Counter,
        /// Connections ended because they were silent without an allocation.
        idle: Counter,
        /// Connections ended because too much waited for them or for their network.
        evicted: Counter,
        /// Messages received.
        rx_messages: Counter,
        /// Bytes received.
        rx_bytes: Counter in Bytes,
        /// Messages queued for sending.
        tx_messages: Counter,
        /// Bytes sent.
        tx_bytes: Counter in Bytes,
        /// Data dropped because the client reads too slowly.
        tx_dropped_slow: Counter,
        /// Times that reading waited for a client that asks but does not read the answers.
        paused: Counter,
    }
}
