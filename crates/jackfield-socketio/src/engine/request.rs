//! The HTTP request that opened a session.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::SystemTime;

use http::HeaderMap;
use http::request::Parts;

/// What a listener knows about a connection and HTTP does not say. Put it into a request's
/// extensions before the request reaches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// The client's address.
    pub peer: SocketAddr,
    /// Whether the connection is encrypted.
    pub secure: bool,
}

/// The HTTP request that opened a session.
#[derive(Debug, Clone)]
pub struct RequestInfo {
    /// The headers; empty if [`IoConfig::keep_headers`](crate::IoConfig::keep_headers) is off.
    pub headers: HeaderMap,
    /// Path and query.
    pub url: String,
    /// The query's parameters; the first of a repeated one.
    pub query: BTreeMap<String, String>,
    /// The client's address, if the listener gave it by [`ConnectionInfo`].
    pub address: Option<SocketAddr>,
    /// Whether the connection is encrypted; false if the listener gave no [`ConnectionInfo`].
    pub secure: bool,
    /// When the session was opened.
    pub issued: SystemTime,
}

impl RequestInfo {
    /// Returns the memory that this takes, in bytes. A header that a client names in one byte of
    /// HTTP/2 takes as much as one that it spells out.
    pub(super) fn cost(&self) -> usize {
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + HEADER);
        let query = self.query.iter();
        let query = query.map(|(name, value)| name.len() + value.len() + HEADER);
        self.url.len() + headers.sum::<usize>() + query.sum::<usize>()
    }

    pub(super) fn new(parts: &Parts, keep_headers: bool) -> Self {
        let info = parts.extensions.get::<ConnectionInfo>();
        Self {
            headers: if keep_headers {
                parts.headers.clone()
            } else {
                HeaderMap::new()
            },
            url: parts.uri.to_string(),
            query: jackfield_socketio_proto::engine::query_map(
                parts.uri.query().unwrap_or_default(),
            ),
            address: info.map(|info| info.peer),
            secure: info.is_some_and(|info| info.secure),
            issued: SystemTime::now(),
        }
    }
}

/// What a header or a parameter takes beside its bytes: its entry, the heads of two allocations.
const HEADER: usize = 128;
