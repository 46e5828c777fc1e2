use crate::stats::counters;
use crate::udp::UdpStats;
use std::sync::Arc;

/// What a shard's TURN driver counts; the core's own counters come by [`TurnHandle::stats`](super::TurnHandle::stats).
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
        relay_sockets,
        /// Relay sockets that could not be bound.
        bind_errors,
        /// Packets that went from relay to relay inside the shard, without the kernel.
        short_cuts,
        /// Packets for a socket or connection that was gone.
        no_way,
        /// Datagrams dropped because they looked like DTLS.
        dropped_dtls,
        /// Datagrams dropped because they looked like QUIC.
        dropped_quic,
        /// Datagrams dropped because they looked like RTP, or like nothing with a name.
        dropped_other,
    }
}

counters! {
    /// What connections of TURN clients count.
    pub struct StreamStats {
        /// Connections at present.
        open,
        /// Connections so far.
        opened,
        /// Connections refused because there were too many.
        refused,
        /// Connections ended because they carried something else than STUN and ChannelData.
        not_stun,
        /// Connections ended because they were silent without an allocation.
        idle,
        /// Messages received.
        rx_messages,
        /// Bytes received.
        rx_bytes,
        /// Messages queued for sending.
        tx_messages,
        /// Bytes sent.
        tx_bytes,
        /// Data dropped because the client reads too slowly.
        tx_dropped_slow,
        /// Times that reading waited for a client that asks but does not read the answers.
        paused,
    }
}
