//! The opening handshake ([RFC 6455 §4]) of both sides, on the types of the `http` crate.
//!
//! [RFC 6455 §4]: https://www.rfc-editor.org/rfc/rfc6455#section-4

mod client;
mod extension;
mod negotiate;
mod server;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::HeaderName;
use sha1::{Digest, Sha1};

pub use client::{ClientHandshake, HandshakeError};
pub use server::{Accepted, Refusal, accept};

#[cfg(feature = "internals")]
pub(crate) use extension::parse;
#[cfg(feature = "internals")]
pub(crate) use negotiate::answer;

use crate::deflate;

/// What a side supports beyond plain messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Subprotocols: a server picks the first of the client's that is here, a client offers these
    /// in this order.
    pub subprotocols: Vec<String>,
    /// Whether a server that knows none of the client's subprotocols picks its first. A browser
    /// that has offered some closes the connection if none is picked.
    pub any_subprotocol: bool,
    /// permessage-deflate, if it is supported.
    pub deflate: Option<deflate::DeflateConfig>,
}

/// What both sides agreed on; by default plain messages without a subprotocol.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Established {
    /// The subprotocol the server chose from the client's.
    pub subprotocol: Option<String>,
    /// permessage-deflate, if both sides support it.
    pub deflate: Option<deflate::Params>,
}

/// Returns the `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key` (RFC 6455 §4.2.2).
///
/// ```
/// use jackfield_websocket::handshake::accept_key;
///
/// assert_eq!(accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
#[must_use]
pub fn accept_key(key: &[u8]) -> String {
    let digest = Sha1::new()
        .chain_update(key)
        .chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
        .finalize();
    STANDARD.encode(digest)
}

/// Returns whether a header that lists tokens lists `token`, whatever its case.
fn lists_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|item| item.trim().eq_ignore_ascii_case(token))
}

/// Returns whether `text` is a token of HTTP (RFC 9110 §5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
