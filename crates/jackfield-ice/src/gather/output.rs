//! What a gatherer wants done, and what it found.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use jackfield_sansio::{FiveTuple, Transmit, Transport};

/// What a gatherer wants done; take them with
/// [`Gatherer::poll_output`](super::Gatherer::poll_output) until [`Output::Wait`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes: one datagram, or one STUN or ChannelData message of a stream.
    Transmit(Transmit),
    /// Open a connection to a server, and answer with
    /// [`Gatherer::handle_connected`](super::Gatherer::handle_connected) or
    /// [`Gatherer::handle_connect_failed`](super::Gatherer::handle_connect_failed).
    Connect {
        /// Which one the answer is about; numbers go down from `u32::MAX`.
        id: u32,
        /// TCP or TLS; UDP for a new socket, which is connected to the server.
        transport: Transport,
        /// From which address; the port is the system's choice.
        local: IpAddr,
        /// Where to: the server's address, or one that it named.
        remote: SocketAddr,
        /// Which server, by its place in [`GatherConfig::servers`](super::GatherConfig::servers).
        server: usize,
        /// What name the certificate has to be for, if the server named another than its own.
        domain: Option<String>,
    },
    /// Close this connection; nothing has to be answered.
    Close(FiveTuple),
    /// Something the owner wants to know.
    Event(Event),
    /// Nothing more to do before this instant, or before the next input: always the last output of
    /// a drain.
    Wait(Option<Instant>),
}

/// What a gatherer found, or lost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A server sees packets from `base` come from `address`, which is another one. The event comes
    /// once for each pair of them.
    Reflexive {
        /// The local address.
        base: SocketAddr,
        /// The address that the server sees.
        address: SocketAddr,
        /// Which server.
        server: SocketAddr,
    },
    /// No server sees `base` at `address` any more.
    ReflexiveLost {
        /// The local address.
        base: SocketAddr,
        /// The address where it was seen.
        address: SocketAddr,
    },
    /// A server relays what comes to `address`.
    Relayed {
        /// The relayed address.
        address: SocketAddr,
        /// Where the server sees us: the related address of the candidate.
        mapped: SocketAddr,
        /// The local address that was added; with port 0 where it has no UDP socket.
        base: SocketAddr,
        /// Which server.
        server: SocketAddr,
        /// How the server is reached.
        transport: Transport,
    },
    /// The server relays it no longer, or cannot be reached; another allocation may follow.
    RelayedLost {
        /// The relayed address.
        address: SocketAddr,
    },
    /// A server does not let this peer send to a relayed address, nor us to the peer.
    PeerRefused {
        /// The relayed address.
        relayed: SocketAddr,
        /// The peer.
        peer: IpAddr,
    },
    /// A server gave nothing.
    Error(GatheringError),
    /// Every server has answered or was given up, and no more local addresses are awaited. It is
    /// said again after [`Gatherer::restart`](super::Gatherer::restart).
    Complete,
}

/// Why a server gave nothing, in the terms of W3C's `icecandidateerror`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatheringError {
    /// The local address that it was asked from.
    pub local: SocketAddr,
    /// Which server, by its place in the configuration.
    pub server: usize,
    /// The server's URI.
    pub url: String,
    /// The server's STUN error code, 300 to 699; 701 where there is no answer that says why.
    pub code: u16,
    /// The reason, in words of ours.
    pub text: String,
}
