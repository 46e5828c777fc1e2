//! What can be wrong, how much it costs, and on whose side it lies.

use std::net::{IpAddr, SocketAddr};

use jackfield_driver::discovery::layers::Sign;
use jackfield_stun::behaviour::Reason;
use serde::Serialize;

use super::relay::RelayFinding;
use super::{Family, Health};
use crate::facts::{
    CertificateError, NetworkError, ProxyError, RelayError, RelayTransport, TlsError,
};
use crate::target::Target;

/// Something that is wrong, or that limits what can be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// This machine has no route to the internet.
    Offline,
    /// The server's name stands for no address.
    NameNotFound {
        /// The name.
        name: String,
    },
    /// No resolver answers.
    ResolverSilent {
        /// The name that was looked up.
        name: String,
    },
    /// The resolver gives an address for a name that does not exist.
    ResolverLies {
        /// The name that was looked up.
        name: String,
        /// The addresses that the resolver gives for names that cannot exist.
        invented: Vec<IpAddr>,
        /// Whether the server's own address is one of them.
        is_server: bool,
    },
    /// The resolver blocks the name: it gives an address that no server can have.
    NameBlocked {
        /// The name.
        name: String,
        /// The address.
        address: IpAddr,
    },
    /// The resolver answers slowly, or not at all, about one family.
    SlowDns {
        /// The family.
        family: Family,
        /// Seconds that the look-up took.
        seconds: u64,
    },
    /// A captive portal answers in place of the server.
    CaptivePortal {
        /// The page where people log in.
        login: Option<String>,
    },
    /// A proxy that no setting names takes connections to port 80.
    HiddenProxy,
    /// The server's `http:` URL leads nowhere from here, and its `https:` URL does.
    OnlyHttps {
        /// The URL that was given.
        given: Target,
        /// The one to take.
        right: Target,
    },
    /// The server is reached by the proxy alone.
    ProxyNeeded {
        /// The proxy's host and port.
        proxy: String,
        /// The variable that names it.
        variable: &'static str,
        /// Whether TLS with a relay works through it; nothing if there is no such relay.
        relay: Option<bool>,
    },
    /// The proxy that the environment names leads nowhere.
    ProxyFails {
        /// The proxy's host and port.
        proxy: String,
        /// The variable that names it.
        variable: &'static str,
        /// Why.
        error: ProxyError,
    },
    /// The server's machine answers, and no program listens on the port.
    NothingListens {
        /// The server.
        server: Target,
    },
    /// Nothing comes back from the server, by TCP or by UDP.
    NothingAnswers {
        /// The server.
        server: Target,
        /// What became of the TCP connection; nothing if none was tried.
        tcp: Option<NetworkError>,
    },
    /// The server answers by UDP, and no TCP connection comes about.
    TcpFails {
        /// The server.
        server: Target,
        /// What became of the connection.
        error: NetworkError,
    },
    /// The server is at another URL: `http:` in place of `https:`, or it redirects there.
    WrongUrl {
        /// The URL that was given.
        given: Target,
        /// The one to take.
        right: Target,
        /// Whether the server itself says so by a redirect.
        is_redirect: bool,
    },
    /// A certificate is not to be trusted.
    Certificate {
        /// Whose it is.
        of: Certified,
        /// Why.
        error: CertificateError,
    },
    /// TLS fails, but not for the certificate.
    Tls {
        /// With what.
        of: Certified,
        /// Why.
        error: TlsError,
    },
    /// A proxy answers that the server behind it does not.
    ProxyWithoutServer {
        /// The proxy, as the server was named.
        server: Target,
        /// Its HTTP status, 502 to 504.
        status: u16,
    },
    /// A web server answers that is not Jackfield.
    NotJackfield {
        /// The server.
        server: Target,
    },
    /// The connection is accepted, and nothing that could be HTTP comes back.
    NotHttp {
        /// The server.
        server: Target,
        /// Whether nothing at all comes back.
        is_silent: bool,
    },
    /// The server is Jackfield, and does not say where its relays are.
    NoIce,
    /// Neither WebSocket nor polling works.
    NoSignaling,
    /// WebSockets do not open.
    NoWebSocket,
    /// Socket.IO's polling does not work.
    NoPolling,
    /// UDP gets no answer.
    UdpSilent {
        /// Where it was sent.
        server: SocketAddr,
        /// Whether UDP works over the other family.
        works_otherwise: bool,
    },
    /// No program listens on the UDP port.
    UdpRefused {
        /// Where it was sent.
        server: SocketAddr,
    },
    /// What answers on the UDP port does not speak STUN.
    NotStun {
        /// Where it was sent.
        server: SocketAddr,
    },
    /// This machine cannot send UDP there.
    UdpNotSent {
        /// Where to.
        server: SocketAddr,
        /// Why.
        error: NetworkError,
    },
    /// One way to relay does not work.
    Relay(RelayProblem),
    /// The server names no relay.
    NoRelayOffered {
        /// Whether some peers are not reached without.
        is_needed: bool,
    },
    /// A family has a route and leads nowhere.
    BlackHole(Family),
    /// Large packets get lost, and no router says so.
    MtuBlackHole {
        /// Over which family.
        family: Family,
        /// The largest packet that gets through, in bytes.
        path: u16,
        /// The largest that this machine sends.
        local: u16,
    },
    /// Not even the packets of calls get through whole.
    MtuSmall {
        /// Over which family.
        family: Family,
        /// The largest packet that gets through, in bytes.
        path: u16,
    },
    /// This machine's clock is not the server's.
    ClockSkew {
        /// Seconds that this machine's is ahead.
        ahead: i64,
    },
    /// A certificate ends soon.
    CertificateEnds {
        /// Whose it is.
        of: Certified,
        /// Whole days that are left.
        days: u64,
    },
    /// Traffic leaves by several outside addresses, by destination.
    SeveralUplinks {
        /// Whether this machine has several ways out itself; a router may have them, too.
        is_machine: bool,
        /// The addresses that servers saw.
        externals: Vec<IpAddr>,
    },
    /// Traffic to the server goes through a tunnel.
    Tunnelled {
        /// The tunnel's interface.
        interface: String,
    },
    /// The NAT gives each peer another address, so most peers cannot send first.
    MapsByDestination {
        /// Whether a carrier's NAT is on the way, which may be the one.
        is_carriers: bool,
    },
    /// The NAT, or a firewall, lets in only addresses and ports that were sent to.
    StrictFilter,
    /// The server's answers do not tell the kind of NAT.
    KindUnknown(Reason),
    /// There is more than one NAT.
    DoubleNat(Sign),
    /// The router opens no ports for programs.
    NoPortMapping,
    /// This network has no IPv6, and the server has.
    NoRoute(Family),
    /// The router changes addresses inside messages.
    Alg,
}

/// What shows a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certified {
    /// The web server.
    Web(Target),
    /// The relay at this URL.
    Relay(String),
}

/// A way to relay that does not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayProblem {
    /// The relay's URL.
    pub url: String,
    /// How it is reached.
    pub transport: RelayTransport,
    /// The relayed address, if there was an allocation.
    pub relayed: Option<SocketAddr>,
    /// The address that the server was reached at by UDP or by its web pages.
    pub server: Option<IpAddr>,
    /// What is wrong.
    pub finding: RelayFinding,
}

/// Whose side a problem lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// What was typed.
    Command,
    /// This machine.
    Machine,
    /// The network between, this side's firewall included.
    Network,
    /// The router that this machine's traffic leaves by.
    Router,
    /// The carrier.
    Carrier,
    /// The server, its firewall and what is in front of it.
    Server,
    /// The server's side or the network's; from here they look the same.
    ServerOrNetwork,
}

impl Problem {
    /// Returns how much it costs.
    #[must_use]
    pub fn severity(&self) -> Health {
        match self {
            Self::UdpSilent {
                works_otherwise: true,
                ..
            }
            | Self::NoRelayOffered { is_needed: false } => Health::Note,
            Self::StrictFilter
            | Self::Tunnelled { .. }
            | Self::HiddenProxy
            | Self::ResolverLies {
                is_server: false, ..
            }
            | Self::KindUnknown(_)
            | Self::DoubleNat(_)
            | Self::NoPortMapping
            | Self::NoRoute(_)
            | Self::Alg => Health::Note,
            Self::NoWebSocket
            | Self::NoPolling
            | Self::UdpSilent { .. }
            | Self::UdpRefused { .. }
            | Self::NotStun { .. }
            | Self::UdpNotSent { .. }
            | Self::Relay(_)
            | Self::NoRelayOffered { .. }
            | Self::SlowDns { .. }
            | Self::ProxyNeeded { .. }
            | Self::ProxyFails { .. }
            | Self::BlackHole(_)
            | Self::MtuBlackHole { .. }
            | Self::MtuSmall { .. }
            | Self::ClockSkew { .. }
            | Self::CertificateEnds { .. }
            | Self::SeveralUplinks { .. }
            | Self::MapsByDestination { .. } => Health::Degraded,
            Self::Certificate { of, .. } | Self::Tls { of, .. } => match of {
                Certified::Web(_) => Health::Broken,
                Certified::Relay(_) => Health::Degraded,
            },
            Self::Offline
            | Self::NameNotFound { .. }
            | Self::ResolverSilent { .. }
            | Self::ResolverLies { .. }
            | Self::NameBlocked { .. }
            | Self::CaptivePortal { .. }
            | Self::OnlyHttps { .. }
            | Self::NothingListens { .. }
            | Self::NothingAnswers { .. }
            | Self::TcpFails { .. }
            | Self::WrongUrl { .. }
            | Self::ProxyWithoutServer { .. }
            | Self::NotJackfield { .. }
            | Self::NotHttp { .. }
            | Self::NoIce
            | Self::NoSignaling => Health::Broken,
        }
    }

    /// Returns whether nothing else matters before this is mended.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.severity() == Health::Broken
    }

    /// Returns whose side it lies on.
    #[must_use]
    pub fn side(&self) -> Side {
        match self {
            Self::WrongUrl { .. } | Self::OnlyHttps { .. } | Self::NameNotFound { .. } => {
                Side::Command
            }
            Self::Offline
            | Self::ResolverSilent { .. }
            | Self::ProxyFails { .. }
            | Self::ClockSkew { .. }
            | Self::Tunnelled { .. }
            | Self::SeveralUplinks {
                is_machine: true, ..
            }
            | Self::UdpNotSent { .. } => Side::Machine,
            Self::SeveralUplinks { .. } => Side::Router,
            Self::ResolverLies { .. }
            | Self::NameBlocked { .. }
            | Self::SlowDns { .. }
            | Self::CaptivePortal { .. }
            | Self::HiddenProxy
            | Self::ProxyNeeded { .. }
            | Self::MtuBlackHole { .. }
            | Self::MtuSmall { .. } => Side::Network,
            Self::CertificateEnds { .. } => Side::Server,
            Self::BlackHole(_) => Side::ServerOrNetwork,
            Self::Certificate { error, .. } => match error {
                CertificateError::NoAuthorities => Side::Machine,
                _ => Side::Server,
            },
            Self::NothingAnswers { .. } | Self::TcpFails { .. } | Self::UdpSilent { .. } => {
                Side::ServerOrNetwork
            }
            Self::Relay(problem) => problem.side(),
            Self::NothingListens { .. }
            | Self::Tls { .. }
            | Self::ProxyWithoutServer { .. }
            | Self::NotJackfield { .. }
            | Self::NotHttp { .. }
            | Self::NoIce
            | Self::NoSignaling
            | Self::NoWebSocket
            | Self::NoPolling
            | Self::UdpRefused { .. }
            | Self::NotStun { .. }
            | Self::NoRelayOffered { .. }
            | Self::KindUnknown(_) => Side::Server,
            Self::MapsByDestination { is_carriers: true } => Side::Carrier,
            Self::MapsByDestination { .. }
            | Self::StrictFilter
            | Self::NoPortMapping
            | Self::Alg => Side::Router,
            Self::DoubleNat(sign) if sign.is_carriers() => Side::Carrier,
            Self::DoubleNat(_) => Side::Router,
            Self::NoRoute(_) => Side::Network,
        }
    }

    /// Returns the name that programs know it by.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::NameNotFound { .. } => "name-not-found",
            Self::ResolverSilent { .. } => "resolver-silent",
            Self::ResolverLies { .. } => "resolver-lies",
            Self::NameBlocked { .. } => "name-blocked",
            Self::SlowDns { .. } => "dns-slow",
            Self::CaptivePortal { .. } => "captive-portal",
            Self::HiddenProxy => "hidden-proxy",
            Self::OnlyHttps { .. } => "only-https",
            Self::ProxyNeeded { .. } => "proxy-needed",
            Self::ProxyFails { .. } => "proxy-fails",
            Self::BlackHole(Family::V4) => "ipv4-black-hole",
            Self::BlackHole(Family::V6) => "ipv6-black-hole",
            Self::MtuBlackHole { .. } => "mtu-black-hole",
            Self::MtuSmall { .. } => "mtu-small",
            Self::ClockSkew { .. } => "clock-skew",
            Self::CertificateEnds { .. } => "certificate-ends-soon",
            Self::SeveralUplinks { .. } => "several-uplinks",
            Self::Tunnelled { .. } => "tunnelled",
            Self::NothingListens { .. } => "nothing-listens",
            Self::NothingAnswers { .. } => "nothing-answers",
            Self::TcpFails { .. } => "tcp-fails",
            Self::WrongUrl { .. } => "wrong-url",
            Self::Certificate { error, .. } => match error {
                CertificateError::Expired { .. } => "certificate-expired",
                CertificateError::NotYetValid { .. } => "certificate-not-yet-valid",
                CertificateError::WrongName { .. } => "certificate-for-another-name",
                CertificateError::SelfSigned => "certificate-self-signed",
                CertificateError::UnknownAuthority { .. } => "certificate-of-unknown-authority",
                CertificateError::NoAuthorities => "no-trusted-authorities",
                CertificateError::Revoked => "certificate-revoked",
                CertificateError::Unfit => "certificate-unfit",
            },
            Self::Tls { .. } => "tls-fails",
            Self::ProxyWithoutServer { .. } => "proxy-without-server",
            Self::NotJackfield { .. } => "not-jackfield",
            Self::NotHttp {
                is_silent: true, ..
            } => "web-server-silent",
            Self::NotHttp { .. } => "not-http",
            Self::NoIce => "no-ice-servers",
            Self::NoSignaling => "no-signaling",
            Self::NoWebSocket => "no-websocket",
            Self::NoPolling => "no-polling",
            Self::UdpSilent { .. } => "udp-silent",
            Self::UdpRefused { .. } => "udp-refused",
            Self::NotStun { .. } => "not-stun",
            Self::UdpNotSent { .. } => "udp-not-sent",
            Self::Relay(problem) => problem.kind(),
            Self::NoRelayOffered { .. } => "no-relay-offered",
            Self::MapsByDestination { .. } => "nat-maps-by-destination",
            Self::StrictFilter => "strict-filter",
            Self::KindUnknown(_) => "nat-kind-unknown",
            Self::DoubleNat(sign) if sign.is_carriers() => "carrier-nat",
            Self::DoubleNat(_) => "double-nat",
            Self::NoPortMapping => "no-port-mapping",
            Self::NoRoute(Family::V4) => "no-ipv4",
            Self::NoRoute(Family::V6) => "no-ipv6",
            Self::Alg => "alg",
        }
    }
}

impl RelayProblem {
    fn side(&self) -> Side {
        match &self.finding {
            RelayFinding::Failed(RelayError::Silent | RelayError::Unreachable(_)) => {
                Side::ServerOrNetwork
            }
            RelayFinding::Unreachable => Side::ServerOrNetwork,
            _ => Side::Server,
        }
    }

    fn kind(&self) -> &'static str {
        match &self.finding {
            RelayFinding::PrivateAddress => "relay-address-private",
            RelayFinding::Unreachable => "relay-ports-closed",
            RelayFinding::NoWayBack => "relay-sends-nothing",
            RelayFinding::Dead => "relay-carries-nothing",
            RelayFinding::Failed(error) => match error {
                RelayError::NameNotFound => "relay-name-not-found",
                RelayError::Unreachable(_) => "relay-unreachable",
                RelayError::Silent => "relay-silent",
                RelayError::Tls(_) => "relay-tls-fails",
                RelayError::Refused(_) => "relay-refuses",
                RelayError::Unusable => "relay-credentials-unusable",
            },
            RelayFinding::Works(_) | RelayFinding::WorksInside(..) | RelayFinding::Untested(_) => {
                "relay-works"
            }
        }
    }
}
