//! Why there is no allocation, or why something could not be sent.

use std::io;

use jackfield_turn::client::{Failure, Fault, SendError};

use crate::proxy::ProxyError;

/// Why there is no allocation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// There is no way to the server: the connection was refused, or there is no route.
    #[error("no way to the server: {0}")]
    Unreachable(#[source] io::Error),
    /// No connection to the server came about in time (TCP, TLS).
    #[error("the server did not accept the connection in time")]
    TimedOut,
    /// The proxy made no connection to the server.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// TLS failed: the certificate is not to be trusted, or the other side speaks no TLS.
    #[error("TLS with the server failed: {0}")]
    Tls(#[source] io::Error),
    /// This machine has no socket or no randomness for us.
    #[error("no socket on this machine: {0}")]
    Local(#[source] io::Error),
    /// The server was reached and made no allocation, or said nothing.
    #[error("{0}")]
    Refused(#[source] Failure),
}

impl ConnectError {
    /// Returns whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Unreachable(_) | Self::TimedOut | Self::Proxy(_) => Fault::Network,
            Self::Tls(_) => Fault::Server,
            Self::Local(_) => Fault::Caller,
            Self::Refused(failure) => failure.fault(),
        }
    }

    /// Returns what the server, or its silence, said, if it was reached.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        match self {
            Self::Refused(failure) => Some(*failure),
            Self::Unreachable(_)
            | Self::TimedOut
            | Self::Proxy(_)
            | Self::Tls(_)
            | Self::Local(_) => None,
        }
    }
}

/// Why an allocation could not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TurnError {
    /// We have closed it.
    #[error("the allocation was closed")]
    Closed,
    /// It ended by itself.
    #[error("the allocation ended: {0}")]
    Ended(#[source] Failure),
    /// The server does not let the peer in.
    #[error("the server does not let the peer in: {0}")]
    PeerRefused(#[source] Failure),
    /// The packet cannot be sent as it is.
    #[error("{0}")]
    Unsendable(#[source] SendError),
}
