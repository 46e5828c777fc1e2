//! What an Engine.IO request asks for, what is wrong with it, and the open packet that answers it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytestring::ByteString;
use serde::Serialize;

use super::{Transport, Version};

/// The query parameters of an Engine.IO request that the protocol knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// `EIO`: 4 means revision 4; anything else, and nothing, means revision 3, as the JavaScript
    /// server reads it.
    pub version: Version,
    /// `transport`, if it names one that this server has.
    pub transport: Option<Transport>,
    /// `sid`, not empty; absent in a handshake.
    pub sid: Option<String>,
    /// `b64`: the client cannot read binary polling bodies (revision 3).
    pub base64_only: bool,
}

impl Query {
    /// Reads the query string (without its `?`); the first of a repeated parameter wins, unknown
    /// ones are ignored.
    #[must_use]
    pub fn parse(query: &str) -> Self {
        let mut version = None;
        let mut transport = None;
        let mut sid = None;
        let mut base64_only = None;
        for (key, value) in pairs(query) {
            match key.as_str() {
                "EIO" => _ = version.get_or_insert(value),
                "transport" => _ = transport.get_or_insert(value),
                "sid" => _ = sid.get_or_insert(value),
                "b64" => _ = base64_only.get_or_insert(value),
                _ => {}
            }
        }
        Self {
            version: match version.as_deref() {
                // Clients of Engine.IO 3 may send no `EIO`, and Node.js takes them for such.
                Some("4") => Version::V4,
                _ => Version::V3,
            },
            transport: match transport.as_deref() {
                Some("polling") => Some(Transport::Polling),
                Some("websocket") => Some(Transport::WebSocket),
                _ => None,
            },
            sid: sid.filter(|sid| !sid.is_empty()),
            base64_only: base64_only.is_some_and(|value| !value.is_empty()),
        }
    }
}

/// Splits a query string into decoded keys and values, in order.
fn pairs(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode_component(key), decode_component(value))
        })
}

/// Reads a query string (without its `?`) as a map; the first of a repeated key wins.
#[must_use]
pub fn query_map(query: &str) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    for (key, value) in pairs(query) {
        map.entry(key).or_insert(value);
    }
    map
}

/// Decodes `+` and percent escapes; what is not UTF-8 afterwards becomes U+FFFD.
fn decode_component(text: &str) -> String {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return text.to_owned();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match (first, tail) {
            // Queries are written as forms are, in which a space is a plus.
            (b'+', _) => out.push(b' '),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = after;
                }
                _ => out.push(b'%'),
            },
            (byte, _) => out.push(*byte),
        }
    }
    String::from_utf8(out)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Why an Engine.IO request is refused; its code and message are those of the JavaScript server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RequestError {
    /// `transport` is missing or names none that is enabled.
    #[error("Transport unknown")]
    UnknownTransport,
    /// No session has this `sid`.
    #[error("Session ID unknown")]
    UnknownSid,
    /// A handshake must be a GET.
    #[error("Bad handshake method")]
    BadHandshakeMethod,
    /// The request does not fit the session's state.
    #[error("Bad request")]
    BadRequest,
    /// The application refused the handshake.
    #[error("Forbidden")]
    Forbidden,
    /// Revision 3 is not allowed.
    #[error("Unsupported protocol version")]
    UnsupportedVersion,
}

impl RequestError {
    /// Returns the number in the body's `code`.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::UnknownTransport => 0,
            Self::UnknownSid => 1,
            Self::BadHandshakeMethod => 2,
            Self::BadRequest => 3,
            Self::Forbidden => 4,
            Self::UnsupportedVersion => 5,
        }
    }

    /// Returns the HTTP status: 403 for [`Self::Forbidden`], else 400.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Forbidden => 403,
            _ => 400,
        }
    }

    /// Returns the JSON body, `{"code":<number>,"message":<text>}`.
    #[must_use]
    pub fn body(self) -> String {
        self.body_with_message(&self.to_string())
    }

    /// Returns the JSON body with another message, as an application's refusal may give one.
    #[must_use]
    pub fn body_with_message(self, message: &str) -> String {
        #[derive(Serialize)]
        struct Body<'a> {
            code: u8,
            message: &'a str,
        }
        let code = self.code();
        serde_json::to_string(&Body { code, message }).unwrap_or_default()
    }
}

/// The content of an open packet.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Open<'a> {
    /// The session's id.
    pub sid: &'a str,
    /// The transports that the client may upgrade to.
    pub upgrades: &'a [&'a str],
    /// Milliseconds between two pings.
    #[serde(serialize_with = "millis")]
    pub ping_interval: Duration,
    /// Milliseconds that an answer to a ping may take.
    #[serde(serialize_with = "millis")]
    pub ping_timeout: Duration,
    /// The largest body or frame, in bytes, that the server reads.
    pub max_payload: usize,
}

impl Open<'_> {
    /// Returns the whole packet, its type digit included.
    #[must_use]
    pub fn packet(&self) -> ByteString {
        let mut packet = "0".to_owned();
        packet.push_str(&serde_json::to_string(self).unwrap_or_default());
        packet.into()
    }
}

fn millis<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_the_javascript_server_reads_it() {
        let query = Query::parse("EIO=4&transport=polling&t=abc&sid=x-_y%41");
        assert_eq!(query.version, Version::V4);
        assert_eq!(query.transport, Some(Transport::Polling));
        assert_eq!(query.sid.as_deref(), Some("x-_yA"));
        assert!(!query.base64_only);
        let query = Query::parse("transport=websocket&b64=1&sid=");
        assert_eq!(query.version, Version::V3, "no EIO means revision 3");
        assert_eq!(query.transport, Some(Transport::WebSocket));
        assert_eq!(query.sid, None);
        assert!(query.base64_only);
        assert_eq!(Query::parse("EIO=abc&transport=abc").transport, None);
        assert_eq!(Query::parse("").transport, None);
        assert_eq!(
            Query::parse("transport=polling&transport=websocket").transport,
            Some(Transport::Polling)
        );
    }

    #[test]
    fn broken_escapes_stay_as_they_are() {
        assert_eq!(decode_component("a+b%20c%zz%4"), "a b c%zz%4");
        assert_eq!(decode_component("%ff"), "\u{fffd}");
        assert_eq!(decode_component("%e2%82%ac"), "€");
    }

    #[test]
    fn errors_carry_a_number_and_the_words_of_the_protocol() {
        assert_eq!(
            RequestError::UnknownSid.body(),
            r#"{"code":1,"message":"Session ID unknown"}"#
        );
        assert_eq!(RequestError::Forbidden.status(), 403);
        assert_eq!(RequestError::UnsupportedVersion.status(), 400);
        assert_eq!(
            RequestError::Forbidden.body_with_message("no \"bots\""),
            r#"{"code":4,"message":"no \"bots\""}"#
        );
    }

    #[test]
    fn the_open_packet_has_exactly_five_keys() {
        let open = Open {
            sid: "abc",
            upgrades: &["websocket"],
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            max_payload: 1_000_000,
        };
        assert_eq!(
            open.packet(),
            r#"0{"sid":"abc","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#
        );
    }
}
