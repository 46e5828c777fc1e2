//! By what two hosts of the grid reach each other.

use serde::{Serialize, Serializer};

/// By what two hosts reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// UDP from one host to the other.
    Direct,
    /// A TCP connection from one host to the other (ICE-TCP, RFC 6544).
    DirectTcp,
    /// A relay, or two, reached over UDP.
    RelayUdp,
    /// A relay, or two, at least one of them reached over TCP.
    RelayTcp,
    /// A relay, or two, at least one of them reached over TLS on the port of HTTPS.
    RelayTls,
}

impl Transport {
    /// Every transport, from the best to the last resort.
    pub const ALL: [Self; 5] = [
        Self::Direct,
        Self::DirectTcp,
        Self::RelayUdp,
        Self::RelayTcp,
        Self::RelayTls,
    ];

    /// Returns the transport of a pair, whose relays are reached in these ways.
    pub(super) fn of(tcp: bool, relays: [Option<RelayWay>; 2]) -> Self {
        match relays.into_iter().flatten().max() {
            None if tcp => Self::DirectTcp,
            None => Self::Direct,
            Some(RelayWay::Udp) => Self::RelayUdp,
            Some(RelayWay::Tcp) => Self::RelayTcp,
            Some(RelayWay::Tls) => Self::RelayTls,
        }
    }

    /// Returns the name in the JSON and the page.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::DirectTcp => "direct-tcp",
            Self::RelayUdp => "relay-udp",
            Self::RelayTcp => "relay-tcp",
            Self::RelayTls => "relay-tls",
        }
    }

    /// Returns a description for people.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::Direct => "direct, over UDP",
            Self::DirectTcp => "direct, over a TCP connection",
            Self::RelayUdp => "by a relay, reached over UDP",
            Self::RelayTcp => "by a relay, reached over TCP",
            Self::RelayTls => "by a relay, reached over TLS on port 443",
        }
    }
}

impl Serialize for Transport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// How a host reaches its relay. Peers always send to the relay over UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RelayWay {
    /// Over UDP.
    Udp,
    /// Over TCP.
    Tcp,
    /// Over TLS on the port of HTTPS.
    Tls,
}

impl RelayWay {
    /// Every way, the one that agents prefer first.
    pub const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Tls];

    /// Returns the name in the JSON and the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

impl Serialize for RelayWay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
