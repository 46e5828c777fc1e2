use std::net::SocketAddr;

/// A connection of a [`Stack`](super::Stack), for as long as it lives and never again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(crate) u64);

/// Something a program has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A connection is open in both directions.
    Connected {
        /// Which one.
        id: ConnectionId,
        /// Our end.
        local: SocketAddr,
        /// The other end.
        remote: SocketAddr,
        /// Whether the peer began it, by a SYN to a port that is listened on.
        accepted: bool,
    },
    /// There is something to receive; said again after each [`recv`](super::Stack::recv) that leaves something.
    Data(ConnectionId),
    /// There is room again after a [`send`](super::Stack::send) that did not take everything.
    Writable(ConnectionId),
    /// The peer will send nothing more; what it has sent can still be received.
    Finished(ConnectionId),
    /// Both sides have closed, and everything sent has been acknowledged.
    Closed(ConnectionId),
    /// The connection has ended before its time, or never came to be.
    Reset(ConnectionId, ResetReason),
}

impl Event {
    /// Returns which connection it is about.
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

/// Why a connection has ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResetReason {
    /// The peer reset it.
    ByPeer,
    /// The peer answered our SYN with a reset, or a router with an ICMP error.
    Refused,
    /// The peer did not answer in time.
    TimedOut,
    /// Nothing happened on it for too long.
    Idle,
    /// It had too much input to be in a clone; see [`StackLimits::journal`](super::StackLimits::journal).
    NotCloned,
}

/// Why a connection cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The stack has no address of the destination's family, or not the one asked for.
    #[error("no own address of the destination's family")]
    NoAddress,
    /// The destination is no address and port of one host.
    #[error("the destination is not an address and port of one host")]
    Destination,
    /// There is such a connection already, or no port is left.
    #[error("the local port is in use")]
    PortInUse,
    /// [`StackLimits::connections`](super::StackLimits::connections) is reached.
    #[error("as many connections as there may be")]
    Full,
}
