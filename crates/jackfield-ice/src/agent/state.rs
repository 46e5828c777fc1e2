//! The role and the state of an agent.

use std::fmt;

/// Which side of ICE an agent is on ([RFC 8445 §6.1.1]).
///
/// [RFC 8445 §6.1.1]: https://www.rfc-editor.org/rfc/rfc8445#section-6.1.1
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The agent nominates the pair that both sides use: usually the one that made the offer.
    Controlling,
    /// The agent uses the pair that the other side nominates.
    Controlled,
}

/// How far an agent is, in the terms of [W3C's RTCIceConnectionState].
///
/// [W3C's RTCIceConnectionState]: https://www.w3.org/TR/webrtc/#rtciceconnectionstate-enum
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing can be checked yet.
    New,
    /// Pairs are being checked, and none works yet.
    Checking,
    /// Data passes; better pairs are still looked for.
    Connected,
    /// Data passes, and there is nothing left to check.
    Completed,
    /// The selected pair does not answer, and no other one works. This may pass by itself.
    Disconnected,
    /// No pair works, and the agent has given up. A restart, or a check of the other side, may
    /// still help.
    Failed,
    /// The agent was closed.
    Closed,
}

impl Role {
    /// Returns the other role.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Controlling => Self::Controlled,
            Self::Controlled => Self::Controlling,
        }
    }
}

impl State {
    /// Returns W3C's name, such as `connected`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Checking => "checking",
            Self::Connected => "connected",
            Self::Completed => "completed",
            Self::Disconnected => "disconnected",
            Self::Failed => "failed",
            Self::Closed => "closed",
        }
    }

    /// Returns whether data passes, as far as the agent knows.
    #[must_use]
    pub const fn is_connected(self) -> bool {
        matches!(self, Self::Connected | Self::Completed)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
