//! What an examination has seen: facts alone, without any opinion of them.

mod error;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use jackfield_driver::discovery::Binding;
use jackfield_driver::discovery::layers::Evidence;
use jackfield_driver::portmap::Probe;
use jackfield_stun::behaviour::Report;

pub use error::{CertificateError, NetworkError, ProxyError, RelayError, TlsError, WebError};

use crate::target::Target;

/// Everything that an examination has seen.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The server, as it was named.
    pub server: Target,
    /// When it was examined, by this machine's clock.
    pub at: SystemTime,
    /// This machine's interfaces.
    pub interfaces: Vec<Interface>,
    /// The default routes of this machine, the preferred one first.
    pub uplinks: Vec<Uplink>,
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
    /// A TCP connection over IPv4; nothing if the server has no such address, or was not asked for
    /// pages.
    pub tcp_v4: Option<Result<Duration, NetworkError>>,
    /// The same over IPv6.
    pub tcp_v6: Option<Result<Duration, NetworkError>>,
    /// How large packets to the server may be over IPv4; nothing if it answered none by UDP.
    pub mtu_v4: Option<PathMtu>,
    /// The same over IPv6.
    pub mtu_v6: Option<PathMtu>,
    /// What kind of NAT is on the way; nothing if no STUN server answered.
    pub report: Option<Report>,
    /// What bears on how many NATs there are.
    pub evidence: Evidence,
    /// What the gateway offers, or why that is not known.
    pub gateway: Result<Probe, NetworkError>,
    /// The proxy that was asked for, or that the environment names, and whether it leads to the
    /// server.
    pub proxy: Option<Proxy>,
    /// What answers in place of others; looked for where the web server did not answer as it
    /// should.
    pub interception: Option<Interception>,
    /// How far this machine's clock is from the server's; nothing if the server did not tell.
    pub clock: Option<Clock>,
    /// The certificates that were shown, with their last moments.
    pub certificates: Vec<CertificateEnd>,
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
    /// What is behind it.
    pub kind: InterfaceKind,
}

/// What is behind an interface, as far as the system or its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InterfaceKind {
    /// A network, by cable or by radio.
    Network,
    /// A tunnel, as those of VPNs.
    Tunnel,
    /// Containers or virtual machines on this machine.
    Containers,
    /// This machine itself.
    Loopback,
}

/// A default route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// The interface's name.
    pub interface: String,
    /// The next router.
    pub gateway: IpAddr,
    /// The lowest is preferred.
    pub metric: u32,
}

/// The look-up of the server's name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dns {
    /// The name; nothing if the server was given by its address.
    pub name: Option<String>,
    /// The addresses; none if the look-up failed.
    pub addresses: Vec<IpAddr>,
    /// The look-up of IPv4 addresses (A).
    pub v4: Lookup,
    /// The look-up of IPv6 addresses (AAAA).
    pub v6: Lookup,
    /// The addresses that the resolver gave for a name that cannot exist ([RFC 6761 §6.4]).
    ///
    /// [RFC 6761 §6.4]: https://www.rfc-editor.org/rfc/rfc6761#section-6.4
    pub invented: Vec<IpAddr>,
}

/// The look-up of one kind of address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lookup {
    /// How long it took.
    pub took: Duration,
    /// Why there was no answer; a name without an address is an answer.
    pub error: Option<NetworkError>,
}

/// How large packets to the server may be, in bytes of whole IP packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathMtu {
    /// The largest that this machine sends, up to 1,500.
    pub local: u16,
    /// The largest that was answered.
    pub path: u16,
    /// The router that said of a packet that it was too large.
    pub told_by: Option<IpAddr>,
}

/// A proxy, and what became of asking the server through it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// The environment variable that names it; `--proxy` for one that was asked for.
    pub variable: &'static str,
    /// Its host and port; a user name and password in the variable are left out.
    pub authority: String,
    /// Whether `no_proxy` exempts the server.
    pub is_bypassed: bool,
    /// How long `/ice` took through it.
    pub result: Result<Duration, ProxyError>,
    /// How long TLS with the first `turns:` relay took through it; nothing if there is none, or
    /// nothing came through for a page either.
    pub relay: Option<Result<Duration, ProxyError>>,
}

/// What answers in place of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interception {
    /// A captive portal: it wants people to log in before anything gets through.
    Portal {
        /// The page where they do.
        login: Option<String>,
    },
    /// A proxy that takes all connections to port 80.
    Proxy,
}

/// Two clocks that were compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Seconds that this machine's clock is ahead of the server's.
    pub ahead: i64,
    /// Seconds by which that may be wrong.
    pub error: u64,
}

/// The last moment of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateEnd {
    /// The relay's URL; nothing if the web server showed it.
    pub relay: Option<String>,
    /// The moment.
    pub ends: SystemTime,
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
    /// The same server at HTTPS's own port, found where the `http:` URL leads nowhere.
    pub https: Option<Target>,
    /// Whether all of this went through the proxy, because nothing came back without it.
    pub is_by_proxy: bool,
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
    /// The address is private: on this machine's own network another host may have it.
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
    /// Returns facts of which none has been seen.
    #[must_use]
    pub fn new(server: Target) -> Self {
        Self {
            server,
            at: SystemTime::now(),
            interfaces: Vec::new(),
            uplinks: Vec::new(),
            has_route: true,
            dns: Dns::default(),
            stun_port: StunPort::Guessed(DEFAULT_PORT),
            v4: Udp::NoAddress,
            v6: Udp::NoAddress,
            tcp_v4: None,
            tcp_v6: None,
            mtu_v4: None,
            mtu_v6: None,
            report: None,
            evidence: Evidence::default(),
            gateway: Err(NetworkError::NoRoute),
            proxy: None,
            interception: None,
            clock: None,
            certificates: Vec::new(),
            web: None,
            relays: Vec::new(),
        }
    }

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

/// The port that Jackfield, and STUN, have by default.
pub(crate) const DEFAULT_PORT: u16 = 3478;
