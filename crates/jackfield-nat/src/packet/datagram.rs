//! A UDP datagram without its headers.

use std::net::SocketAddr;

/// A UDP datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// The source; an unspecified address stands for the address of the sending host.
    pub source: SocketAddr,
    /// The destination.
    pub destination: SocketAddr,
    /// The data.
    pub data: Vec<u8>,
}
