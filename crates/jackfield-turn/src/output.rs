//! What a server wants done, and what happened.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_sansio::{FiveTuple, Transmit};

use crate::ChannelNumber;

/// What a server wants done; take them with [`Server::poll_output`](crate::Server::poll_output)
/// until [`Output::Wait`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes to a client: one datagram, or one message of a stream.
    Transmit(Transmit),
    /// Bind a UDP socket to `local` and answer with
    /// [`Server::handle_bound`](crate::Server::handle_bound), once.
    Bind {
        /// What to name in the answer.
        id: AllocationId,
        /// The address and port; the port is never zero.
        local: SocketAddr,
    },
    /// Close the socket bound to this address.
    Unbind(SocketAddr),
    /// Something that logs, metrics, dashboards or a fast path may want to know.
    Event(Event),
    /// Nothing more to do before this instant, or before the next input: always the last output of
    /// a drain.
    ///
    /// Call [`Server::handle_timeout`](crate::Server::handle_timeout) when the instant has come.
    Wait(Option<Instant>),
}

/// Names an allocation within one server; never used again for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AllocationId(pub(crate) u64);

impl AllocationId {
    /// Returns the number of the allocation's slot: small, so that a driver can index an array with
    /// it.
    ///
    /// An allocation that comes later may get the slot of one that has ended.
    #[must_use]
    pub fn slot(self) -> usize {
        // The lower half is the slot, the upper one tells its users apart.
        (self.0 & 0xFFFF_FFFF) as usize
    }
}

impl fmt::Display for AllocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// Why a relay socket could not be bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// Another socket has the port; the server tries another port.
    #[error("the port is in use")]
    InUse,
    /// The address is not ours, or is not up.
    #[error("the address is not available on this machine")]
    NotAvailable,
    /// The process has no file descriptors or memory left for a socket.
    #[error("no resources for another socket")]
    NoResources,
    /// Anything else.
    #[error("the socket could not be bound")]
    Other,
}

/// What happened to an allocation. Usernames and addresses in it belong into logs at debug level
/// only.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A client got an allocation.
    Allocated {
        /// Which allocation.
        id: AllocationId,
        /// The client's path.
        path: FiveTuple,
        /// Whose it is.
        username: Arc<str>,
        /// The relayed transport addresses as clients see them: one, or one of each family.
        relayed: Relayed,
        /// For how long, unless it is refreshed.
        lifetime: Duration,
    },
    /// A client prolonged its allocation.
    Refreshed {
        /// Which allocation.
        id: AllocationId,
        /// For how long from now.
        lifetime: Duration,
    },
    /// An allocation ended.
    Deallocated {
        /// Which allocation.
        id: AllocationId,
        /// The client's path.
        path: FiveTuple,
        /// Whose it was.
        username: Arc<str>,
        /// Why.
        reason: EndReason,
        /// What it had relayed.
        traffic: Traffic,
    },
    /// A channel was bound for the first time or prolonged; a fast path may relay it from here on.
    ChannelBound {
        /// Which allocation.
        id: AllocationId,
        /// The client's path.
        path: FiveTuple,
        /// The address the relay socket is bound to.
        relayed: SocketAddr,
        /// The channel.
        number: ChannelNumber,
        /// The peer that the client named.
        peer: SocketAddr,
        /// Until when, unless it is bound again.
        expires: Instant,
    },
    /// A channel's time is over, while its allocation lives on; a fast path must stop relaying it.
    ChannelUnbound {
        /// Which allocation.
        id: AllocationId,
        /// The channel.
        number: ChannelNumber,
    },
}

/// The relayed transport addresses of an allocation: at least one, at most one of each family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Relayed {
    /// The IPv4 one.
    pub v4: Option<SocketAddr>,
    /// The IPv6 one.
    pub v6: Option<SocketAddr>,
}

/// Why an allocation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// The client asked for it (Refresh with a lifetime of zero).
    Deleted,
    /// The client did not refresh it in time.
    Expired,
    /// The connection to the client ended.
    Disconnected,
    /// The operator ended it ([`Server::deallocate`](crate::Server::deallocate)).
    Revoked,
}

/// What an allocation has relayed so far, in packets and in bytes of payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Packets from the client to peers.
    pub packets_to_peers: u64,
    /// Bytes from the client to peers.
    pub bytes_to_peers: u64,
    /// Packets from peers to the client.
    pub packets_to_client: u64,
    /// Bytes from peers to the client.
    pub bytes_to_client: u64,
}
