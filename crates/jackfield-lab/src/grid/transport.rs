//! By what two hosts of the grid are to reach each other.

use serde::{Serialize, Serializer};

/// By what two hosts are to reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// UDP from one host to the other, by hole punching.
    Direct,
    /// A relay that at least one host reaches over UDP.
    RelayUdp,
    /// A relay that at least one host reaches over TCP.
    RelayTcp,
    /// A relay that at least one host reaches over TLS, on the port of HTTPS.
    RelayTls,
}

impl Transport {
    /// Every transport, from the best to the last resort.
    pub const ALL: [Self; 4] = [Self::Direct, Self::RelayUdp, Self::RelayTcp, Self::RelayTls];

    /// Returns the name in the JSON and the page.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::RelayUdp => "relay-udp",
            Self::RelayTcp => "relay-tcp",
            Self::RelayTls => "relay-tls",
        }
    }

    /// Returns the short name for the cells of the table.
    #[must_use]
    pub const fn short(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::RelayUdp => "udp",
            Self::RelayTcp => "tcp",
            Self::RelayTls => "tls",
        }
    }

    /// Returns a description for people.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::Direct => "direct, over UDP",
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
