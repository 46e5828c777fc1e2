//! What goes in and out of a [`ServerSession`](super::ServerSession).

use std::time::Instant;

use bytes::Bytes;
use bytestring::ByteString;

use crate::engine::{CloseReason, Message, RequestError};

/// Names an HTTP request of a polling session; the driver chooses it, unique within the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Names a WebSocket of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkId(u32);

impl LinkId {
    pub(super) const fn new(number: u32) -> Self {
        Self(number)
    }
}

/// How a WebSocket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkEnd {
    /// By a close frame or the end of the stream.
    Closed,
    /// By an I/O error or a violation of the WebSocket protocol.
    Failed,
}

/// The body of a POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostBody {
    /// Any content type but `application/octet-stream`.
    Text(ByteString),
    /// `application/octet-stream`, in revision 3.
    Binary(Bytes),
}

/// Why the driver could not read the body of a POST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostFailure {
    /// It is longer than
    /// [`ServerSessionConfig::max_payload`](super::ServerSessionConfig::max_payload).
    TooLarge,
    /// It is not UTF-8.
    NotUtf8,
    /// It took too long to come.
    TooSlow,
    /// It did not come to its end: the client closed the connection.
    Aborted,
}

/// An answer to a polling request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The content type.
    pub content_type: &'static str,
    /// The body.
    pub body: Bytes,
}

impl Response {
    pub(super) const fn payload(body: Bytes, binary: bool) -> Self {
        Self {
            status: 200,
            content_type: if binary {
                "application/octet-stream"
            } else {
                "text/plain; charset=UTF-8"
            },
            body,
        }
    }

    pub(super) const fn ok() -> Self {
        Self {
            status: 200,
            // With text/plain some browsers offer the answer of a POST as a download.
            content_type: "text/html",
            body: Bytes::from_static(b"ok"),
        }
    }

    /// The answer to a request that is refused.
    #[must_use]
    pub fn error(error: RequestError) -> Self {
        Self {
            status: error.status(),
            content_type: "application/json",
            body: error.body().into(),
        }
    }

    pub(super) const fn bare(status: u16) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=UTF-8",
            body: Bytes::new(),
        }
    }
}

/// Why a packet was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The session is closing or closed.
    #[error("the session is closed")]
    Closed,
    /// The client reads too slowly: the buffer is at its limit.
    #[error("the session's buffer is full")]
    Full,
}

/// What a [`ServerSession`](super::ServerSession) wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Answer this request.
    Respond {
        /// The request.
        request: RequestId,
        /// Its answer.
        response: Response,
    },
    /// Packets wait for this WebSocket: take them by
    /// [`ServerSession::next_frame`](super::ServerSession::next_frame).
    Flush(LinkId),
    /// Close this WebSocket once [`ServerSession::next_frame`](super::ServerSession::next_frame)
    /// has given its last packet.
    CloseLink(LinkId),
    /// The client sent a message.
    Message(Message),
    /// The session moved from polling to this WebSocket.
    Upgraded(LinkId),
    /// A WebSocket that was to take the session over did not complete the upgrade in time.
    UpgradeTimedOut,
    /// The session ended; nothing but answers to late requests follows.
    Closed(CloseReason),
    /// Nothing to do until this time, or until the next input.
    Wait(Option<Instant>),
}
