//! What a client wants done, and what happened.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_sansio::Transmit;

use super::Failure;
use crate::{ChannelNumber, Relayed};

/// What a client wants done; take them with [`Client::poll_output`](super::Client::poll_output)
/// until [`Output::Wait`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes to the server: one datagram, or one message of a stream.
    Transmit(Transmit),
    /// Close the connection, open another one from another local port to `server` over the same
    /// transport, and answer with [`Client::handle_connected`](super::Client::handle_connected), or
    /// [`Client::handle_closed`](super::Client::handle_closed) if that fails.
    Connect {
        /// Where to: another server (300), or the same one (437).
        server: SocketAddr,
        /// What name its certificate has to be for, if not the first one's (ALTERNATE-DOMAIN). As
        /// the server wrote it.
        domain: Option<String>,
    },
    /// Something the owner of the allocation wants to know.
    Event(Event),
    /// Nothing more to do before this instant, or before the next input: always the last output of
    /// a drain.
    ///
    /// Call [`Client::handle_timeout`](super::Client::handle_timeout) when the instant has come.
    Wait(Option<Instant>),
}

/// What happened to an allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The server made the allocation.
    Allocated {
        /// The relayed transport addresses that peers may send to: one, or one of each family.
        relayed: Relayed,
        /// Where the server sees us.
        mapped: SocketAddr,
        /// For how long, unless it is refreshed, which happens by itself.
        lifetime: Duration,
    },
    /// The server prolonged the allocation.
    Refreshed {
        /// For how long from now.
        lifetime: Duration,
    },
    /// The server lets packets of this peer's address through, in both directions.
    Permitted(IpAddr),
    /// The server does not, or no more; what waited for it is dropped.
    PeerRefused {
        /// Which peer address.
        peer: IpAddr,
        /// Why.
        why: Failure,
    },
    /// A channel carries data to and from this peer.
    ChannelBound {
        /// The channel.
        number: ChannelNumber,
        /// The peer.
        peer: SocketAddr,
    },
    /// The allocation ended because we asked for it; nothing comes after.
    Closed,
    /// There is no allocation, or no more; nothing comes after.
    Failed(Failure),
}
