//! Where bytes come from and go to.

use std::fmt;
use std::net::SocketAddr;

/// How bytes travel between a client and us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A byte stream in the clear.
    Tcp,
    /// A byte stream inside TLS.
    Tls,
    /// Datagrams inside DTLS.
    Dtls,
}

impl Transport {
    /// Returns whether bytes arrive as a stream that has to be cut into messages.
    #[must_use]
    pub fn is_stream(self) -> bool {
        matches!(self, Self::Tcp | Self::Tls)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Dtls => "dtls",
        })
    }
}

/// A path between a local and a remote transport address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FiveTuple {
    /// How bytes travel.
    pub transport: Transport,
    /// Our end. Answers leave from it, so it names the address that a request came to, never a
    /// wildcard.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
}

impl fmt::Display for FiveTuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} <- {}", self.transport, self.local, self.remote)
    }
}

/// Bytes that a core wants sent along a path, from its local to its remote end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub path: FiveTuple,
    /// One datagram, or one message of a stream.
    pub bytes: Vec<u8>,
}
