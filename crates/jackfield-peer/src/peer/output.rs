//! What a peer wants done, and what happened.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_ice::{CandidateError, ConnectionId, RemoteCandidateError, SelectedPair, Stats};
use jackfield_sansio::{FiveTuple, Transmit, Transport};

use crate::association::{Counters, Event};

/// What a peer wants done: what its [`Agent`](jackfield_ice::Agent) does, and its own events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerOutput {
    /// Send these bytes: one datagram, or one whole message of a stream.
    Transmit(Transmit),
    /// Open a connection; see [`jackfield_ice::Output::Connect`].
    Connect {
        /// Which one the answer is about.
        id: ConnectionId,
        /// TCP, or TLS over it.
        transport: Transport,
        /// From where; port 0 leaves the port to the system.
        local: Option<SocketAddr>,
        /// Where to.
        remote: SocketAddr,
        /// Which server of the configuration it is.
        server: Option<usize>,
        /// What name the certificate has to be for, if the server named another than its own.
        domain: Option<String>,
    },
    /// Close this connection.
    Close(FiveTuple),
    /// Look up this mDNS name; see [`jackfield_ice::Output::Resolve`].
    Resolve(String),
    /// Something the program wants to know.
    Event(PeerEvent),
    /// Nothing until the next input, or until this instant.
    Wait(Option<Instant>),
}

/// What happened to a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerEvent {
    /// A candidate for the other side, as `RTCIceCandidate.candidate` has it.
    LocalCandidate(String),
    /// A candidate that was signaled and works no longer.
    LocalCandidateRemoved(String),
    /// There are no more candidates for now.
    GatheringComplete,
    /// The state is another one.
    StateChanged(ConnectionState),
    /// Data takes another path.
    PathChanged(Box<SelectedPair>),
    /// The path is lost for good: call [`Peer::restart`](crate::Peer::restart) and make an offer.
    RestartNeeded,
    /// Something happened to the channels.
    Association(Event),
}

/// How far a peer is: [`RTCPeerConnectionState`].
///
/// [`RTCPeerConnectionState`]: https://www.w3.org/TR/webrtc/#rtcpeerconnectionstate-enum
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// Nothing has begun.
    New,
    /// ICE, DTLS or SCTP is on its way.
    Connecting,
    /// Channels can be used.
    Connected,
    /// The path does not answer at the moment.
    Disconnected,
    /// There is no path, or DTLS failed.
    Failed,
    /// The peer is over.
    Closed,
}

impl ConnectionState {
    /// Returns W3C's name, such as `connected`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Failed => "failed",
            Self::Closed => "closed",
        }
    }
}

/// Why a candidate of the other side was not taken. The peer goes on without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CandidateRefused {
    /// It cannot be read.
    #[error(transparent)]
    Text(#[from] CandidateError),
    /// It is of no use, or not allowed.
    #[error(transparent)]
    Refused(#[from] RemoteCandidateError),
}

/// Counters of a peer. None of them ever falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PeerCounters {
    /// Packets of validated addresses that were no DTLS.
    pub packets_dropped: u64,
    /// Datagrams of the association that no path took; DTLS and SCTP send them again.
    pub datagrams_unsent: u64,
    /// Candidates that were refused.
    pub candidates_refused: u64,
}

/// A picture of a peer at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStats {
    /// `connectionState`.
    pub state: ConnectionState,
    /// ICE's.
    pub ice: Stats,
    /// `tlsVersion`, in words.
    pub dtls_version: Option<&'static str>,
    /// `smoothedRoundTripTime` of `RTCSctpTransport`.
    pub sctp_round_trip: Option<Duration>,
    /// The largest packet that passed the selected path in both directions, in bytes of the whole
    /// IP packet between this machine and the next one that speaks ICE or TURN. Nothing before
    /// [`PeerConfig::probe_path`](crate::PeerConfig::probe_path) has found any, and on a stream.
    pub path_mtu: Option<usize>,
    /// The association's counters.
    pub association: Counters,
    /// The peer's counters.
    pub peer: PeerCounters,
}
