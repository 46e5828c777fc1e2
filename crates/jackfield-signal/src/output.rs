//! What a hub asks its driver to do.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// One connection to the hub. Its number is the `id` on the wire and fits a JavaScript number
/// exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub(crate) u64);

impl MemberId {
    /// Returns the number that the member sees as its `id`.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The driver's name for an answer that a Socket.IO client waits for; the hub only hands it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AckId(pub u64);

/// What the driver does next. Drain with [`Hub::poll_output`](crate::Hub::poll_output) until
/// [`Output::Wait`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a message, in the order of the drain.
    Send {
        /// The member whose message is passed on; `None` for a message of the hub itself.
        from: Option<MemberId>,
        /// The receiver.
        to: MemberId,
        /// The message's `type`: the event name on Socket.IO.
        kind: Cow<'static, str>,
        /// The JSON object, with its `type`: the text of a WebSocket message, and the argument of a
        /// Socket.IO event.
        json: Arc<str>,
    },
    /// Answer the acknowledgement that came with an event.
    Ack {
        /// The member that waits for it.
        to: MemberId,
        /// Which one.
        ack: AckId,
        /// The JSON object to answer with.
        json: Arc<str>,
    },
    /// Close a connection once what was sent before is flushed. The hub has already forgotten the
    /// member.
    Close {
        /// Whose connection.
        member: MemberId,
        /// Why.
        why: CloseReason,
    },
    /// No name is held any more for the owner of a connection that has ended: see
    /// [`Hub::holds_names_of`](crate::Hub::holds_names_of).
    NamesReleased {
        /// The connection.
        member: MemberId,
    },
    /// Nothing more until an input comes, or until the given moment: then call
    /// [`Hub::handle_timeout`](crate::Hub::handle_timeout).
    Wait(Option<Instant>),
}

/// Why the hub closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The member sent more messages than the configuration allows.
    RateLimited,
    /// The hub has as many members as the configuration allows.
    ServerFull,
    /// Another connection of the same client took its place, by the session.
    Replaced,
}

impl CloseReason {
    /// Returns the WebSocket close code: policy violation, try again later, or for a connection
    /// that was replaced one of those for private use
    /// ([RFC 6455 §7.4](https://www.rfc-editor.org/rfc/rfc6455#section-7.4)).
    #[must_use]
    pub fn websocket_code(self) -> u16 {
        match self {
            Self::RateLimited => 1008,
            Self::ServerFull => 1013,
            Self::Replaced => 4000,
        }
    }

    /// Returns the reason in the words of the error that was sent before, if one was.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited => "rate-limited",
            Self::ServerFull => "server-full",
            Self::Replaced => "replaced",
        }
    }
}
