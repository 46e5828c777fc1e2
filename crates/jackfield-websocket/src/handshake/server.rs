//! The server's side: judge a request, answer it.

use http::header::{
    ALLOW, CONNECTION, HOST, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, Method, Response, StatusCode, Version};

use super::extension::parse_headers;
use super::{Established, Options, accept_key, is_token, lists_token, negotiate};

/// Why a request opens no WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The request does not ask for an upgrade to WebSocket.
    #[error("this address speaks WebSocket: send Upgrade: websocket and Connection: Upgrade")]
    NotAnUpgrade,
    /// WebSocket opens with GET.
    #[error("WebSocket opens with GET")]
    Method,
    /// WebSocket needs HTTP/1.1.
    #[error("WebSocket needs HTTP/1.1")]
    HttpVersion,
    /// HTTP/1.1 needs Host.
    #[error("the Host header is missing")]
    MissingHost,
    /// Only version 13 exists.
    #[error("Sec-WebSocket-Version must be 13")]
    Version,
    /// The key is not 16 bytes in base64, or there is not one key.
    #[error("Sec-WebSocket-Key must be 16 bytes in base64")]
    Key,
    /// `Sec-WebSocket-Extensions` is not a list of extensions.
    #[error("Sec-WebSocket-Extensions is malformed")]
    Extensions,
    /// `Sec-WebSocket-Protocol` is not a list of tokens.
    #[error("Sec-WebSocket-Protocol is malformed")]
    Subprotocols,
}

impl Refusal {
    /// Returns the status of the answer.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::NotAnUpgrade | Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::HttpVersion => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::MissingHost | Self::Key | Self::Extensions | Self::Subprotocols => {
                StatusCode::BAD_REQUEST
            }
        }
    }

    /// Returns the answer, with the headers that its status asks for; its body says why in one
    /// sentence.
    #[must_use]
    pub fn response(self) -> Response<String> {
        let mut response = Response::new(format!("{self}\n"));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        match self {
            // RFC 6455 §4.2.2: an answer with 426 names the version that the server speaks.
            Self::NotAnUpgrade | Self::Version => {
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
                headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            }
            Self::Method => {
                headers.insert(ALLOW, HeaderValue::from_static("GET"));
            }
            Self::HttpVersion
            | Self::MissingHost
            | Self::Key
            | Self::Extensions
            | Self::Subprotocols => {}
        }
        response
    }
}

/// A request that opens a WebSocket, and what was agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What the answer agrees to.
    pub established: Established,
    accept: HeaderValue,
    extensions: Option<HeaderValue>,
}

/// Judges a request by RFC 6455 §4.2.1 and chooses from its offers.
///
/// The origin is not judged here: which pages may connect is the application's policy.
///
/// # Errors
/// Why this is no opening handshake, with the answer it deserves.
pub fn accept(
    method: &Method,
    version: Version,
    headers: &HeaderMap,
    options: &Options,
) -> Result<Accepted, Refusal> {
    if !lists_token(headers, UPGRADE, "websocket") || !lists_token(headers, CONNECTION, "upgrade") {
        return Err(Refusal::NotAnUpgrade);
    }
    if method != Method::GET {
        return Err(Refusal::Method);
    }
    if version != Version::HTTP_11 {
        return Err(Refusal::HttpVersion);
    }
    // RFC 6455 §4.2.1 lists what the request must have, Host among it.
    if !headers.contains_key(HOST) {
        return Err(Refusal::MissingHost);
    }
    if only(headers, SEC_WEBSOCKET_VERSION).is_none_or(|version| version.trim_ascii() != b"13") {
        return Err(Refusal::Version);
    }
    let key = only(headers, SEC_WEBSOCKET_KEY)
        .map(<[u8]>::trim_ascii)
        .filter(|key| is_key(key))
        .ok_or(Refusal::Key)?;
    let offers = parse_headers(headers).ok_or(Refusal::Extensions)?;
    let agreed = options
        .deflate
        .and_then(|config| negotiate::answer(&offers, &config));
    let (deflate, extensions) = match agreed {
        Some((params, value)) => (Some(params), HeaderValue::try_from(value).ok()),
        None => (None, None),
    };
    Ok(Accepted {
        established: Established {
            subprotocol: choose_subprotocol(headers, options)?,
            deflate,
        },
        accept: HeaderValue::try_from(accept_key(key)).map_err(|_| Refusal::Key)?,
        extensions,
    })
}

impl Accepted {
    /// Returns the answer that switches protocols.
    #[must_use]
    pub fn response(&self) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept.clone());
        if let Some(value) = &self.extensions {
            headers.insert(SEC_WEBSOCKET_EXTENSIONS, value.clone());
        }
        if let Some(name) = &self.established.subprotocol
            && let Ok(value) = HeaderValue::from_str(name)
        {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
        }
        response
    }
}

/// Returns the value of a header that must be there once.
fn only(headers: &HeaderMap, name: http::HeaderName) -> Option<&[u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.as_bytes())
}

/// Returns whether this is 16 bytes in base64.
fn is_key(key: &[u8]) -> bool {
    // 16 bytes are always 22 digits and two of padding; what they decode to does not matter.
    key.split_at_checked(22).is_some_and(|(digits, padding)| {
        padding == b"=="
            && digits
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
    })
}

fn choose_subprotocol(headers: &HeaderMap, options: &Options) -> Result<Option<String>, Refusal> {
    let mut chosen = None;
    let mut first = None;
    for value in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        let value = value.to_str().map_err(|_| Refusal::Subprotocols)?;
        for name in value.split(',').map(str::trim) {
            // The list is read to its end after the choice, too: RFC 6455 §4.2.1 refuses a request
            // whose header breaks the grammar anywhere.
            if !is_token(name) {
                return Err(Refusal::Subprotocols);
            }
            if chosen.is_none() && options.subprotocols.iter().any(|known| known == name) {
                chosen = Some(name.to_owned());
            }
            first.get_or_insert(name);
        }
    }
    let any = first.filter(|_| options.any_subprotocol);
    Ok(chosen.or_else(|| any.map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the request of RFC 6455 §1.3.
    fn headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (HOST, "server.example.com"),
            (UPGRADE, "websocket"),
            (CONNECTION, "keep-alive, Upgrade"),
            (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
            (SEC_WEBSOCKET_PROTOCOL, "chat, superchat"),
            (SEC_WEBSOCKET_VERSION, "13"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers
    }

    fn judge(headers: &HeaderMap) -> Result<Accepted, Refusal> {
        let options = Options {
            subprotocols: vec!["superchat".to_owned(), "chat".to_owned()],
            ..Options::default()
        };
        accept(&Method::GET, Version::HTTP_11, headers, &options)
    }

    #[test]
    fn the_example_of_the_rfc_is_answered_as_printed() {
        let response = judge(&headers()).unwrap().response();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(response.headers()[UPGRADE], "websocket");
        assert_eq!(response.headers()[CONNECTION], "Upgrade");
        assert_eq!(
            response.headers()[SEC_WEBSOCKET_ACCEPT],
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], "chat");
        assert!(!response.headers().contains_key(SEC_WEBSOCKET_EXTENSIONS));
    }

    #[test]
    fn an_unknown_subprotocol_is_left_out_of_the_answer() {
        let mut headers = headers();
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("other"));
        assert_eq!(judge(&headers).unwrap().established.subprotocol, None);
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("a, b"));
        let options = Options {
            any_subprotocol: true,
            ..Options::default()
        };
        let accepted = accept(&Method::GET, Version::HTTP_11, &headers, &options).unwrap();
        assert_eq!(accepted.established.subprotocol.as_deref(), Some("a"));
    }

    #[test]
    fn each_header_that_is_wrong_gets_its_own_refusal() {
        let cases = [
            (UPGRADE, "h2c", Refusal::NotAnUpgrade),
            (CONNECTION, "close", Refusal::NotAnUpgrade),
            (SEC_WEBSOCKET_VERSION, "8", Refusal::Version),
            (SEC_WEBSOCKET_KEY, "short==", Refusal::Key),
            (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=", Refusal::Key),
            (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25j-Q==", Refusal::Key),
            (SEC_WEBSOCKET_PROTOCOL, "a b", Refusal::Subprotocols),
            (SEC_WEBSOCKET_EXTENSIONS, "a;;", Refusal::Extensions),
        ];
        for (name, value, refusal) in cases {
            let mut headers = headers();
            headers.insert(name, HeaderValue::from_static(value));
            assert_eq!(judge(&headers), Err(refusal), "{value}");
        }
        let mut twice = headers();
        twice.append(
            SEC_WEBSOCKET_KEY,
            HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="),
        );
        assert_eq!(judge(&twice), Err(Refusal::Key));
    }

    #[test]
    fn other_methods_and_versions_are_refused_with_the_headers_that_help() {
        let options = Options::default();
        let post = accept(&Method::POST, Version::HTTP_11, &headers(), &options);
        assert_eq!(post, Err(Refusal::Method));
        assert_eq!(Refusal::Method.response().headers()[ALLOW], "GET");
        let old = accept(&Method::GET, Version::HTTP_10, &headers(), &options);
        assert_eq!(old, Err(Refusal::HttpVersion));
        let response = Refusal::Version.response();
        assert_eq!(response.status(), StatusCode::UPGRADE_REQUIRED);
        assert_eq!(response.headers()[SEC_WEBSOCKET_VERSION], "13");
    }
}
