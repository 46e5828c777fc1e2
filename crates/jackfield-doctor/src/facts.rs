//! What an examination has seen: facts alone, without any opinion of them.

mod error;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jackfield_driver::discovery::Binding;
use jackfield_driver::discovery::layers::Evidence;
use jackfield_driver::portmap::Probe;
use jackfield_stun::behaviour::Report;

pub use error::{CertificateError, NetworkError, RelayError, TlsError, WebError};

use crate::target::Target;

/// Everything that an examination has seen.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The server, as it was named.
    pub server: Target,
    /// This machine's interfaces.
    pub interfaces: Vec<Interface>,
    /// Whether this machine has a route to the internet at large, by IPv4 or by IPv6.
    pub has_route: bool,
    /// The addresses that the server's name stands for.
    pub dns: Dns,
    /// The UDP port that was asked.
    pub stun_port: StunPort,
    /// A STUN request by UDP over IPv4.
    pub v4: Udp,
    /// The same over IPv6.
    pub v6: Udp,
    /// What kind of NAT is on the way; nothing if no STUN server answered.
    pub report: Option<Report>,
    /// What bears on how many NATs there are.
    pub evidence: Evidence,
    /// What the gateway offers, or why that is not known.
    pub gateway: Result<Probe, NetworkError>,
    /// The web server; nothing if a `stun:` URI named the server.
    pub web: Option<Web>,
    /// Attempts to relay, one for each URL that the server names for it.
    pub relays: Vec<RelayAttempt>,
}

/// One of this machine's addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The interface's name.
    pub name: String,
    /// The address.
    pub ip: IpAddr,
    /// Whether packets to the server leave from it.
    pub is_used: bool,
}

/// The look-up of the server's name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dns {
    /// The name; nothing if the server was given by its address.
    pub name: Option<String>,
    /// The addresses; none if the look-up failed.
    pub addresses: Vec<IpAddr>,
    /// How long the look-up took.
    pub took: Duration,
}

/// A UDP port of the server, and how it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StunPort {
    /// The server, or the user, named it: silence there means something.
    Named(u16),
    /// It is the usual one; the server did not say.
    Guessed(u16),
}

/// The outcome of a STUN request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Udp {
    /// The server has no address of this family.
    NoAddress,
    /// This machine has no route to addresses of this family.
    NoRoute,
    /// The server answered.
    Answered(SocketAddr, Binding),
    /// No answer came.
    Silent(SocketAddr),
    /// The server's machine says that no program listens there.
    Refused(SocketAddr),
    /// The answer was not one to a STUN request.
    NotStun(SocketAddr),
    /// The request could not be sent.
    Failed(SocketAddr, NetworkError),
}

/// What the web server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    /// The ICE servers of `/ice`.
    pub ice: Result<Ice, WebError>,
    /// The time to the first message of a WebSocket to `/signal`.
    pub websocket: Result<Duration, WebError>,
    /// The time to a session by Engine.IO's polling.
    pub polling: Result<Duration, WebError>,
    /// Whether the same port speaks the other one of `http:` and `https:`; nothing if that was
    /// not tried, because the one in the URL worked.
    pub other_scheme: Option<bool>,
}

/// The ICE servers that the server names.
#[derive(Clone, PartialEq, Eq)]
pub struct Ice {
    /// Their URLs.
    pub urls: Vec<String>,
    /// The user name of the relay's credentials.
    pub username: String,
    /// The password.
    pub credential: String,
    /// Seconds that the credentials last.
    pub ttl: u64,
}

/// A transport to a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RelayTransport {
    /// Datagrams.
    Udp,
    /// A stream in the clear.
    Tcp,
    /// A stream inside TLS.
    Tls,
}

/// An attempt to relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayAttempt {
    /// The URL of the relay.
    pub url: String,
    /// How it is reached.
    pub transport: RelayTransport,
    /// The allocation, or why there is none.
    pub result: Result<Allocation, RelayError>,
}

/// An allocation that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    /// How long it took.
    pub took: Duration,
    /// The relayed address: where peers send to.
    pub relayed: SocketAddr,
    /// Datagrams between a plain socket of this machine and the relayed address. They come to the
    /// relay from outside, as those of most peers do.
    pub outside: Result<Delivery, NotTested>,
    /// Datagrams from this allocation to a second one of the same server, which may never leave
    /// that server; nothing if that was not tried.
    pub between: Option<Result<Delivery, NotTested>>,
}

/// Why no datagrams were sent to a relayed address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTested {
    /// The address is private: on this machine's own network it may belong to somebody else.
    PrivateAddress,
    /// Without UDP this machine cannot be a peer.
    NoUdp,
    /// The server is on this machine, or behind the same address, so the datagrams would not come
    /// from outside.
    SameMachine,
    /// The server does not relay to this peer.
    PeerRefused,
    /// There was no second allocation, or the first one ended.
    NoAllocation,
}

/// What became of datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delivery {
    /// Datagrams that were sent.
    pub sent: usize,
    /// Those that came out of the relay.
    pub arrived: usize,
    /// Those whose answer came back; without answers, as between two allocations, none.
    pub returned: usize,
}

impl Facts {
    /// Returns whether a STUN server answered by UDP.
    #[must_use]
    pub fn is_udp_answered(&self) -> bool {
        self.v4.binding().is_some() || self.v6.binding().is_some()
    }
}

impl StunPort {
    /// Returns the number.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::Named(port) | Self::Guessed(port) => port,
        }
    }
}

impl Udp {
    /// Returns what the server said.
    #[must_use]
    pub fn binding(&self) -> Option<&Binding> {
        match self {
            Self::Answered(_, binding) => Some(binding),
            _ => None,
        }
    }
}

impl fmt::Debug for Ice {
    // The password stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ice")
            .field("urls", &self.urls)
            .field("username", &self.username)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}
