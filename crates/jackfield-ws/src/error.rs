//! Why a connection ended without a closing handshake, or a call could not be kept.

use std::io;

use jackfield_websocket::handshake::HandshakeError;
use jackfield_websocket::{SendError, Violation};

/// Why a connection ended without a closing handshake, or a call could not be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the protocol or a limit; our Close frame gives it the reason.
    #[error("the peer broke the protocol: {0}")]
    Protocol(Violation),
    /// The stream ended without a Close frame (close code 1006 in a browser's words).
    #[error("the connection was lost")]
    Disconnected,
    /// The peer sent nothing, not even the answer to a Ping.
    #[error("the peer fell silent")]
    Silent,
    /// The peer took none of the bytes that waited for it within
    /// [`WsConfig::write_timeout`](crate::WsConfig::write_timeout).
    #[error("the peer stopped reading")]
    Stalled,
    /// The peer did not answer our Close within
    /// [`WsConfig::close_timeout`](crate::WsConfig::close_timeout).
    #[error("the peer did not answer the closing handshake")]
    CloseTimeout,
    /// The server did not answer the opening handshake in time.
    #[error("the server did not answer the opening handshake")]
    HandshakeTimeout,
    /// More would wait than [`WsConfig::max_queued`](crate::WsConfig::max_queued); nothing was
    /// queued.
    #[error("too many bytes wait to be written")]
    QueueFull,
    /// Nothing was queued.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The server's answer opens no WebSocket.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The HTTP server did not hand over the connection.
    #[error("the HTTP server did not hand over the connection")]
    Upgrade(#[source] hyper::Error),
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    Randomness,
    /// The stream failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}
