//! The address of a candidate: an IP address, or a name that multicast DNS resolves.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Where a candidate is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CandidateAddress {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A name ending in `.local`, behind which an agent hides its address, and a port.
    Mdns {
        /// The name.
        name: MdnsName,
        /// The port.
        port: u16,
    },
}

impl CandidateAddress {
    /// Returns the IP address and port, unless a name has to be resolved first.
    #[must_use]
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Mdns { .. } => None,
        }
    }

    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        match self {
            Self::Ip(address) => address.port(),
            Self::Mdns { port, .. } => *port,
        }
    }
}

impl From<SocketAddr> for CandidateAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

/// Writes the address as `host:port`.
impl fmt::Display for CandidateAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Mdns { name, port } => write!(f, "{name}:{port}"),
        }
    }
}

/// A host name that ends in `.local`, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MdnsName(Box<str>);

impl MdnsName {
    /// Returns the name, `.local` included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is not a host name that ends in `.local`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a host name that ends in .local")]
pub struct MdnsNameError;

impl FromStr for MdnsName {
    type Err = MdnsNameError;

    fn from_str(text: &str) -> Result<Self, MdnsNameError> {
        let name = text.to_ascii_lowercase();
        let host = name.strip_suffix(".local").ok_or(MdnsNameError)?;
        // RFC 1035 §2.3.4: 63 bytes a label, 255 a name with the bytes that count and end them.
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(fits);
        if name.len() > 253 || !host.split('.').all(is_label) {
            return Err(MdnsNameError);
        }
        Ok(Self(name.into()))
    }
}

impl fmt::Display for MdnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the IP address of a candidate. A zone (`%eth0`) is left out: it means something on the
/// sender's machine alone.
pub(super) fn parse_ip(text: &str) -> Option<IpAddr> {
    match text.split_once('%') {
        Some((ip, zone)) if !zone.is_empty() => ip.parse().ok().map(IpAddr::V6),
        Some(_) => None,
        None => text.parse().ok(),
    }
}
