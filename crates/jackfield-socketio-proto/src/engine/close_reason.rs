//! Why an engine session ended.

use std::fmt;

/// Why an engine session ended; [`fmt::Display`] gives the words that the JavaScript server uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client closed, by a close packet or by closing its WebSocket.
    TransportClose,
    /// The client broke a rule of the transport: overlapping polls, a heartbeat in the wrong
    /// direction, a broken body.
    TransportError,
    /// The client sent what is not an Engine.IO packet.
    ParseError,
    /// No heartbeat arrived in time.
    PingTimeout,
    /// The server closed the session.
    ForcedClose,
    /// The client read too slowly and its buffer reached
    /// [`ServerSessionConfig::max_buffered`](super::ServerSessionConfig::max_buffered).
    SlowConsumer,
}

impl CloseReason {
    /// Returns the words that the JavaScript server uses, `slow consumer` excepted, which it does
    /// not know.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::ParseError => "parse error",
            Self::PingTimeout => "ping timeout",
            Self::ForcedClose => "forced close",
            Self::SlowConsumer => "slow consumer",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
