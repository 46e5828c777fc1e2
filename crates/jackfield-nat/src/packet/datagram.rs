//! A UDP datagram without its headers.

use std::net::SocketAddr;

/// A UDP datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Where it comes from; an unspecified address stands for the host's own.
    pub source: SocketAddr,
    /// Where it goes.
    pub destination: SocketAddr,
    /// What it carries.
    pub data: Vec<u8>,
}
