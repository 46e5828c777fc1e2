//! The events of connections.

use std::net::SocketAddr;

/// Identifies a connection of a [`Stack`](super::Stack); identifiers are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(crate) u64);

/// An event of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A connection is open in both directions.
    Connected {
        /// The connection.
        id: ConnectionId,
        /// The local end.
        local: SocketAddr,
        /// The remote end.
        remote: SocketAddr,
        /// Whether the peer opened it, by a SYN to a listening port.
        accepted: bool,
    },
    /// Data can be received; the event repeats after each [`recv`](super::Stack::recv) that leaves
    /// some.
    Data(ConnectionId),
    /// There is room again after a [`send`](super::Stack::send) that did not take everything.
    Writable(ConnectionId),
    /// The peer sends nothing more; received data can still be read.
    Finished(ConnectionId),
    /// Both sides have closed, and everything sent is acknowledged.
    Closed(ConnectionId),
    /// The connection has ended early, or was never opened.
    Reset(ConnectionId, ResetReason),
}

impl Event {
    /// Returns the connection of the event.
    #[must_use]
    pub fn connection(&self) -> ConnectionId {
        match self {
            Self::Connected { id, .. }
            | Self::Data(id)
            | Self::Writable(id)
            | Self::Finished(id)
            | Self::Closed(id)
            | Self::Reset(id, _) => *id,
        }
    }
}

/// Why a connection has ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResetReason {
    /// The peer has reset it.
    ByPeer,
    /// The peer answered our SYN with a reset, or a router with an ICMP error.
    Refused,
    /// The peer did not answer in time.
    TimedOut,
    /// Nothing happened on it for too long.
    Idle,
    /// It had too much input to be cloned; see
    /// [`StackLimits::journal`](super::StackLimits::journal).
    NotCloned,
}

/// Why a connection cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The stack has no address of the destination's family, or not the one asked for.
    #[error("no own address of the destination's family")]
    NoAddress,
    /// The destination is not an address and port of one host.
    #[error("the destination is not an address and port of one host")]
    Destination,
    /// Such a connection exists already, or no port is left.
    #[error("the local port is in use")]
    PortInUse,
    /// [`StackLimits::connections`](super::StackLimits::connections) is reached.
    #[error("as many connections as there may be")]
    Full,
}
