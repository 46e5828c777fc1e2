//! What an agent wants done, and what happened.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_sansio::{FiveTuple, Transmit, Transport};

use super::{Role, State};
use crate::attribute::OpaqueAttribute;
use crate::candidate::Candidate;
use crate::gather::GatheringError;

/// What an agent wants done; take them with [`Agent::poll_output`](crate::Agent::poll_output) until
/// [`Output::Wait`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes: one datagram, or one whole message of a stream.
    ///
    /// A stream towards a candidate is framed by RFC 4571 ([`framing`](crate::framing)); one
    /// towards a server is cut by `jackfield_stun::framing`.
    Transmit(Transmit),
    /// Open a connection, and answer with
    /// [`Agent::handle_connected`](crate::Agent::handle_connected) or [`Agent::handle_connect_failed`](crate::Agent::handle_connect_failed).
    Connect {
        /// Which one the answer is about.
        id: ConnectionId,
        /// TCP, or TLS over it; UDP for a new socket towards a server
        /// ([`RelaySockets::Own`](crate::gather::RelaySockets::Own)).
        transport: Transport,
        /// From where; port 0 leaves the port to the system.
        local: Option<SocketAddr>,
        /// Where to.
        remote: SocketAddr,
        /// Which server it is, by its place in
        /// [`GatherConfig::servers`](crate::gather::GatherConfig::servers); `None` for a candidate
        /// of the other side.
        server: Option<usize>,
        /// What name the certificate has to be for, if the server named another than its own.
        domain: Option<String>,
    },
    /// Close this connection; nothing has to be answered.
    Close(FiveTuple),
    /// Look up this mDNS name (`….local`), and answer with
    /// [`Agent::handle_resolved`](crate::Agent::handle_resolved).
    Resolve(String),
    /// Something the application wants to know.
    Event(Event),
    /// Nothing more to do before this instant, or before the next input: always the last output of
    /// a drain.
    ///
    /// Call [`Agent::handle_timeout`](crate::Agent::handle_timeout) when the instant has come.
    Wait(Option<Instant>),
}

/// A connection that an agent has asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u32);

/// What happened to an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A candidate for the other side, to be signaled now (trickle) or with the others.
    LocalCandidate(Candidate),
    /// A candidate that was signaled and works no longer.
    LocalCandidateRemoved(Candidate),
    /// Every server has answered or was given up: the end of candidates for the other side.
    GatheringComplete,
    /// A server gave no candidate.
    CandidateError(GatheringError),
    /// The state is another one.
    StateChanged(State),
    /// Data takes another path.
    SelectedPairChanged(Box<SelectedPair>),
    /// The pair that data takes is answered again, after two checks or more were not.
    SelectedPairRecovered,
    /// A role conflict with the other side was settled the other way.
    RoleChanged(Role),
    /// No pair works any more, and none can be found without the other side: new candidates have to
    /// be exchanged after [`Agent::restart`](crate::Agent::restart). It comes once in an ICE
    /// generation.
    RestartNeeded,
    /// A datagram of the other side came before its parameters, right behind its checks: what
    /// [`Agent::handle_datagram`](crate::Agent::handle_datagram) would return, were it to come now.
    EarlyData(Box<[u8]>),
    /// A check of the other side carried an attribute that this crate gives no meaning.
    RemoteAttribute(OpaqueAttribute),
}

/// The pair that data takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedPair {
    /// Our candidate as the other side sees it: behind a NAT, the reflexive one.
    pub local: Candidate,
    /// The other side's candidate. If it was signaled as an mDNS name, that is what it shows.
    pub remote: Candidate,
    /// Where packets leave from and go to: for a relayed local candidate, to the TURN server.
    pub path: FiveTuple,
    /// The smoothed round-trip time, once one was measured.
    pub rtt: Option<Duration>,
}
