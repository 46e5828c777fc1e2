//! Why a socket was disconnected.

use std::fmt;

use crate::engine::CloseReason;

/// Why a socket was disconnected; [`fmt::Display`] gives the words of the JavaScript server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The client closed the connection, or lost it.
    TransportClose,
    /// The client broke a rule of the transport.
    TransportError,
    /// The client sent what is not an Engine.IO packet.
    ParseError,
    /// The client did not answer a ping in time.
    PingTimeout,
    /// The client called `socket.disconnect()`.
    ClientNamespaceDisconnect,
    /// The server called [`Socket::disconnect`](crate::Socket::disconnect).
    ServerNamespaceDisconnect,
    /// The client broke the rules of Socket.IO: a packet for a namespace that it is not in, for
    /// example.
    ForcedServerClose,
    /// The client sent what is not a Socket.IO packet.
    ForcedClose,
    /// The server shuts down.
    ServerShuttingDown,
    /// The client read too slowly; the JavaScript server knows no such reason.
    SlowConsumer,
}

impl DisconnectReason {
    /// Returns the words of the JavaScript server.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::ParseError => "parse error",
            Self::PingTimeout => "ping timeout",
            Self::ClientNamespaceDisconnect => "client namespace disconnect",
            Self::ServerNamespaceDisconnect => "server namespace disconnect",
            Self::ForcedServerClose => "forced server close",
            Self::ForcedClose => "forced close",
            Self::ServerShuttingDown => "server shutting down",
            Self::SlowConsumer => "slow consumer",
        }
    }
}

impl From<CloseReason> for DisconnectReason {
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::TransportClose => Self::TransportClose,
            CloseReason::TransportError => Self::TransportError,
            CloseReason::ParseError => Self::ParseError,
            CloseReason::PingTimeout => Self::PingTimeout,
            CloseReason::SlowConsumer => Self::SlowConsumer,
            _ => Self::ForcedClose,
        }
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
