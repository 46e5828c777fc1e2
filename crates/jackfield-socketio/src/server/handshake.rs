//! What a client brought when it connected to a namespace.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytestring::ByteString;
use http::header::ORIGIN;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::engine::RequestInfo;

/// What a client brought when it connected to a namespace: the HTTP request of its session (by
/// [`std::ops::Deref`]: headers, url, query, address, secure, issued) and its credentials.
#[derive(Debug, Clone)]
pub struct Handshake {
    pub(crate) request: Arc<RequestInfo>,
    pub(crate) auth: Option<ByteString>,
}

impl Handshake {
    /// Makes the handshake of a socket in another process; `auth` is a JSON object.
    ///
    /// # Errors
    /// When `auth` is not an object.
    pub fn new(request: RequestInfo, auth: Option<&Value>) -> Result<Self, NotAnObject> {
        let auth = match auth {
            None => None,
            Some(Value::Object(object)) => Some(Value::Object(object.clone()).to_string().into()),
            Some(_) => return Err(NotAnObject),
        };
        let request = Arc::new(request);
        Ok(Self { request, auth })
    }

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

/// The credentials of a handshake are not a JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the credentials of a handshake are not a JSON object")]
pub struct NotAnObject;

/// A handshake as the adapters of Node.js write it, whose `time` is left out: it says the same as
/// `issued`.
#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    address: String,
    /// Node.js has no port.
    #[serde(default)]
    port: u16,
    #[serde(default)]
    xdomain: bool,
    #[serde(default)]
    secure: bool,
    /// Milliseconds since 1970.
    #[serde(default)]
    issued: u64,
    #[serde(default)]
    url: String,
    #[serde(default)]
    query: BTreeMap<String, String>,
    #[serde(default)]
    auth: Value,
}

impl Serialize for Handshake {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let request = &*self.request;
        let issued = request.issued.duration_since(SystemTime::UNIX_EPOCH);
        let issued = issued.unwrap_or_default().as_millis();
        Written {
            headers: write_headers(&request.headers),
            address: request
                .address
                .map(|address| address.ip().to_string())
                .unwrap_or_default(),
            port: request.address.map_or(0, |address| address.port()),
            xdomain: request.headers.contains_key(ORIGIN),
            secure: request.secure,
            issued: u64::try_from(issued).unwrap_or(u64::MAX),
            url: request.url.clone(),
            query: request.query.clone(),
            auth: serde_json::from_str(self.raw_auth()).map_err(serde::ser::Error::custom)?,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Handshake {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        let address: Option<IpAddr> = written.address.parse().ok();
        let issued = Duration::from_millis(written.issued);
        let request = RequestInfo {
            headers: read_headers(written.headers),
            url: written.url,
            query: written.query,
            address: address.map(|ip| SocketAddr::new(ip, written.port)),
            secure: written.secure,
            issued: SystemTime::UNIX_EPOCH
                .checked_add(issued)
                .unwrap_or(SystemTime::UNIX_EPOCH),
        };
        let auth = (!written.auth.is_null()).then_some(&written.auth);
        Self::new(request, auth).map_err(serde::de::Error::custom)
    }
}

/// Joins repeated headers as Node.js does: cookies are a list with semicolons.
fn write_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut written = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        written
            .entry(name.to_string())
            // Node.js joins repeated headers so, and its adapters expect one text for each name.
            .and_modify(|all| {
                all.push_str(if name == http::header::COOKIE {
                    "; "
                } else {
                    ", "
                });
                all.push_str(&value);
            })
            .or_insert_with(|| value.to_string());
    }
    written
}

/// Reads headers; what HTTP would not carry cannot come from a request and is left out.
fn read_headers(headers: BTreeMap<String, String>) -> HeaderMap {
    headers
        .into_iter()
        .filter_map(|(name, value)| {
            let name: HeaderName = name.parse().ok()?;
            Some((name, HeaderValue::try_from(value).ok()?))
        })
        .collect()
}
