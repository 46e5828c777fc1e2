//! What a client brought when it connected to a namespace.

use std::sync::Arc;

use bytestring::ByteString;
use serde::de::DeserializeOwned;

use crate::engine::RequestInfo;

/// What a client brought when it connected to a namespace: the HTTP request of its session (by [`std::ops::Deref`]:
/// headers, url, query, address, secure, issued) and its credentials.
#[derive(Debug, Clone)]
pub struct Handshake {
    pub(crate) request: Arc<RequestInfo>,
    pub(crate) auth: Option<ByteString>,
}

impl Handshake {
    /// Reads the credentials, the client's `auth` option; an empty object if it sent none.
    ///
    /// # Errors
    /// When they are of another type.
    pub fn auth<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.raw_auth())
    }

    /// Returns the credentials as the JSON object that the client sent.
    #[must_use]
    pub fn raw_auth(&self) -> &str {
        self.auth.as_deref().unwrap_or("{}")
    }
}

impl std::ops::Deref for Handshake {
    type Target = RequestInfo;

    fn deref(&self) -> &RequestInfo {
        &self.request
    }
}
