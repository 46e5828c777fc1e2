//! Candidates: what they are, and how SDP writes them ([RFC 8839 §5.1]).
//!
//! [RFC 8839 §5.1]: https://www.rfc-editor.org/rfc/rfc8839#section-5.1

mod address;
mod foundation;
pub mod priority;
mod text;

use std::fmt;
use std::net::SocketAddr;

pub use address::{CandidateAddress, MdnsName, MdnsNameError};
pub use foundation::Foundation;
pub(crate) use foundation::ICE_CHARS;
pub use text::CandidateError;

/// A transport address that connectivity checks can be sent to or from.
///
/// It is read from and written as the text of an `a=candidate` line:
///
/// ```
/// use jackfield_ice::candidate::{Candidate, CandidateTransport};
///
/// let line = "candidate:7 1 tcp 1518214911 2001:db8::1 9 typ host tcptype active ufrag 8hhY";
/// let candidate: Candidate = line.parse().unwrap();
/// assert_eq!(candidate.transport, CandidateTransport::TcpActive);
/// assert_eq!(candidate.ufrag.as_deref(), Some("8hhY"));
/// assert_eq!(candidate.to_string(), line);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// The same for candidates of one type, base, server and transport.
    pub foundation: Foundation,
    /// The component of the data stream, 1 to 256: 1 where there is one alone.
    pub component: u16,
    /// How packets travel.
    pub transport: CandidateTransport,
    /// The higher, the better the pairs with it; from 1 to 2^31 - 1 in what we send.
    pub priority: u32,
    /// Where checks go. An active TCP candidate has port 9 and cannot be connected to.
    pub address: CandidateAddress,
    /// Where the address was learned.
    pub kind: CandidateKind,
    /// The base of a reflexive candidate, the mapped address of a relayed one; the unspecified
    /// address where it is kept private.
    pub related: Option<SocketAddr>,
    /// The username fragment of the generation that the candidate belongs to.
    pub ufrag: Option<Box<str>>,
    /// How many ICE restarts came before, as libwebrtc counts them.
    pub generation: Option<u32>,
    /// The cost of the network, as libwebrtc states it: 0 is free, 999 the most.
    pub network_cost: Option<u16>,
    /// All other extensions, name and value, in their order.
    pub extensions: Vec<(Box<str>, Box<str>)>,
}

/// Where the address of a candidate was learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CandidateKind {
    /// From an interface of the host.
    Host,
    /// From a STUN or TURN server, which saw packets come from it.
    ServerReflexive,
    /// From the other agent, which saw a check come from it.
    PeerReflexive,
    /// From a TURN server, which relays what comes to it.
    Relayed,
}

/// How packets travel to and from a candidate ([RFC 6544 §4.5] for TCP).
///
/// [RFC 6544 §4.5]: https://www.rfc-editor.org/rfc/rfc6544#section-4.5
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CandidateTransport {
    /// Datagrams.
    Udp,
    /// A TCP connection that this side opens.
    TcpActive,
    /// A TCP connection that this side listens for.
    TcpPassive,
    /// A TCP connection that both sides open at once.
    TcpSimultaneousOpen,
}

impl CandidateKind {
    /// Returns the word of RFC 8839: `host`, `srflx`, `prflx` or `relay`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
        }
    }
}

impl fmt::Display for CandidateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl CandidateTransport {
    /// Returns whether packets travel over TCP.
    #[must_use]
    pub fn is_tcp(self) -> bool {
        self != Self::Udp
    }

    /// Returns whether this side opens the connections of such a candidate.
    #[must_use]
    pub fn dials(self) -> bool {
        matches!(self, Self::TcpActive | Self::TcpSimultaneousOpen)
    }

    /// Returns the value of `tcptype`, or `None` for UDP.
    #[must_use]
    pub fn tcp_type(self) -> Option<&'static str> {
        match self {
            Self::Udp => None,
            Self::TcpActive => Some("active"),
            Self::TcpPassive => Some("passive"),
            Self::TcpSimultaneousOpen => Some("so"),
        }
    }

    /// Returns whether a local candidate of this transport and a remote one of `remote` make a
    /// pair ([RFC 6544 §6.2]).
    ///
    /// [RFC 6544 §6.2]: https://www.rfc-editor.org/rfc/rfc6544#section-6.2
    #[must_use]
    pub fn pairs_with(self, remote: Self) -> bool {
        matches!(
            (self, remote),
            (Self::Udp, Self::Udp)
                | (Self::TcpActive, Self::TcpPassive)
                | (Self::TcpPassive, Self::TcpActive)
                | (Self::TcpSimultaneousOpen, Self::TcpSimultaneousOpen)
        )
    }
}

impl fmt::Display for CandidateTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_tcp() { "tcp" } else { "udp" })
    }
}
