//! Port mapping: hosts ask their NAT for ports that every remote may send to.
//!
//! Three protocols do this. PCP ([RFC 6887](https://www.rfc-editor.org/rfc/rfc6887)) and its
//! ancestor NAT-PMP ([RFC 6886](https://www.rfc-editor.org/rfc/rfc6886)) are datagrams to port
//! 5351 of the gateway; UPnP IGD is discovered by multicast and uses XML over HTTP. [`nat_pmp`],
//! [`pcp`] and [`upnp`] read and write their messages.
//!
//! A [`Gateway`] is the server. It works beside a [`Nat`](jackfield_nat::Nat), answers requests to
//! the inside address of the NAT, and keeps the leases. A [`client::Client`] asks in all three
//! protocols at once and keeps its mappings alive. Both are sans-IO: the caller supplies packets,
//! the time and the seed.
//!
//! ```
//! use jackfield_portmap::{GatewayConfig, Gateway, TransportProtocol, nat_pmp};
//! use jackfield_nat::{NatConfig, Nat, Side};
//! use jackfield_nat::packet::build;
//!
//! let now = std::time::Instant::now();
//! let config = NatConfig {
//!     externals: vec!["203.0.113.1".parse()?],
//!     inside: Some("192.168.1.1".parse()?),
//!     ..NatConfig::default()
//! };
//! let mut nat = Nat::new(config, [7; 32]);
//! let mut gateway = Gateway::new(now, GatewayConfig::default(), &nat, [8; 32]);
//!
//! let request = nat_pmp::Request::Map {
//!     protocol: TransportProtocol::Udp,
//!     internal_port: 5000,
//!     suggested_port: 5000,
//!     lifetime: 3600,
//! };
//! let (host, server) = ("192.168.1.2:5001".parse()?, "192.168.1.1:5351".parse()?);
//! let packet = build::udp(host, server, &request.encode());
//! assert!(gateway.is_for(&nat, Side::Inside, &packet));
//! gateway.handle_packet(now, &mut nat, &packet);
//! assert_eq!(gateway.leases().count(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Standards
//!
//! - [x] [RFC 6886](https://www.rfc-editor.org/rfc/rfc6886) NAT-PMP, gateway and client
//! - [x] [RFC 6887](https://www.rfc-editor.org/rfc/rfc6887) PCP: MAP, PEER, ANNOUNCE, all three
//!   options; gateway and client
//! - [x] UPnP IGD 1 and 2: WANIPConnection and its discovery; gateway and client. Events (GENA)
//!   are left out on purpose: programs that map ports do not subscribe to them
//!
//! # What is refused
//!
//! A host maps ports to itself, unless [`GatewayConfig::third_parties`] allows more. The gateway
//! never answers requests from outside. It refuses ports outside
//! [`GatewayConfig::external_ports`], limits the leases and requests of each host, and grants no
//! lease without an end.

pub mod client;
pub mod nat_pmp;
pub mod pcp;
pub mod upnp;

mod gateway;

pub use gateway::{Dialects, Gateway, GatewayConfig, GatewayCounters, LeaseView};

/// The transport protocols whose ports can be mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransportProtocol {
    /// The User Datagram Protocol.
    Udp,
    /// The Transmission Control Protocol.
    Tcp,
}

impl TransportProtocol {
    /// Returns the protocol with a number of the IANA registry; `None` for protocols without
    /// ports.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            jackfield_nat::packet::protocol::UDP => Some(Self::Udp),
            jackfield_nat::packet::protocol::TCP => Some(Self::Tcp),
            _ => None,
        }
    }

    /// Returns its number in the IANA registry.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Udp => jackfield_nat::packet::protocol::UDP,
            Self::Tcp => jackfield_nat::packet::protocol::TCP,
        }
    }

    /// Returns its name in capitals, as UPnP writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }
}

impl From<TransportProtocol> for jackfield_nat::Protocol {
    fn from(protocol: TransportProtocol) -> Self {
        match protocol {
            TransportProtocol::Udp => Self::Udp,
            TransportProtocol::Tcp => Self::Tcp,
        }
    }
}

/// A port mapping protocol: the language in which a host asks for a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// PCP.
    Pcp,
    /// NAT-PMP.
    NatPmp,
    /// UPnP IGD.
    Upnp,
}

impl Dialect {
    /// All three, the best first.
    pub const ALL: [Self; 3] = [Self::Pcp, Self::NatPmp, Self::Upnp];

    /// Returns its name as command lines write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcp => "pcp",
            Self::NatPmp => "nat-pmp",
            Self::Upnp => "upnp",
        }
    }
}

// The code of the README is compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The UDP port on which a gateway receives NAT-PMP and PCP requests.
pub const SERVER_PORT: u16 = 5351;
/// The UDP port on which hosts receive NAT-PMP and PCP announcements.
pub const ANNOUNCE_PORT: u16 = 5350;
