//! The client's side: a request, and what the answer to it means.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, HOST, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, Request, StatusCode};

use super::extension::parse_headers;
use super::{Established, Options, accept_key, lists_token, negotiate};
use crate::deflate;

/// Why the server's answer opens no WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The request names no host.
    #[error("the request has neither a Host header nor an absolute address")]
    MissingHost,
    /// The answer is not HTTP/1.1.
    #[error("the answer is not HTTP/1.1")]
    NotHttp,
    /// The answer's head is above 16 KiB or 64 header lines.
    #[error("the head of the answer is too large")]
    TooLarge,
    /// The server did not switch protocols.
    #[error("the server answered {0}, not 101")]
    Status(StatusCode),
    /// `Upgrade` or `Connection` does not say WebSocket.
    #[error("the answer does not switch to WebSocket")]
    NotAnUpgrade,
    /// `Sec-WebSocket-Accept` does not match the key.
    #[error("Sec-WebSocket-Accept does not match the key")]
    Accept,
    /// A subprotocol that was not offered.
    #[error("the server chose a subprotocol that was not offered")]
    Subprotocol,
    /// An extension, or parameters, that were not offered.
    #[error("the server chose an extension that was not offered")]
    Extension,
}

/// An opening handshake under way, on the client's side.
///
/// ```
/// use jackfield_websocket::handshake::{ClientHandshake, Options};
///
/// let request = http::Request::get("ws://example.com/chat").body(()).unwrap();
/// let mut handshake = ClientHandshake::new(&request, &Options::default(), *b"the sample nonce").unwrap();
/// assert!(handshake.request().starts_with(b"GET /chat HTTP/1.1\r\n"));
///
/// let mut answer: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
///     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x05Hello";
/// assert!(matches!(handshake.receive(&mut answer), Some(Ok(_))));
/// assert_eq!(answer, b"\x81\x05Hello"); // the first frame, for the connection
/// ```
#[derive(Debug)]
pub struct ClientHandshake {
    options: Options,
    key: String,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl ClientHandshake {
    /// Returns a handshake for the path, host and extra headers of `request`; `nonce` is 16 random
    /// bytes.
    ///
    /// # Errors
    /// [`HandshakeError::MissingHost`].
    pub fn new<B>(
        request: &Request<B>,
        options: &Options,
        nonce: [u8; 16],
    ) -> Result<Self, HandshakeError> {
        let key = STANDARD.encode(nonce);
        let mut head = Head::new(request);
        let host = match (request.headers().get(HOST), request.uri().authority()) {
            (Some(host), _) => host.as_bytes(),
            (None, Some(authority)) => authority.as_str().as_bytes(),
            (None, None) => return Err(HandshakeError::MissingHost),
        };
        head.line(&HOST, host);
        head.line(&UPGRADE, b"websocket");
        head.line(&CONNECTION, b"Upgrade");
        head.line(&SEC_WEBSOCKET_KEY, key.as_bytes());
        head.line(&SEC_WEBSOCKET_VERSION, b"13");
        if let Ok(names) = HeaderValue::try_from(options.subprotocols.join(", "))
            && !names.is_empty()
        {
            head.line(&SEC_WEBSOCKET_PROTOCOL, names.as_bytes());
        }
        if let Some(config) = &options.deflate {
            head.line(
                &SEC_WEBSOCKET_EXTENSIONS,
                negotiate::offer(config).as_bytes(),
            );
        }
        for (name, value) in request.headers() {
            if name != HOST {
                head.line(name, value.as_bytes());
            }
        }
        Ok(Self {
            options: options.clone(),
            key,
            request: head.finish(),
            answer: Vec::new(),
        })
    }

    /// Returns the request, to be written as it is.
    #[must_use]
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// Takes the server's answer off the front of `input`, `None` while it is not whole; what
    /// follows is frames.
    pub fn receive(&mut self, input: &mut &[u8]) -> Option<Result<Established, HandshakeError>> {
        let before = self.answer.len();
        // The answer is parsed from its start with each read; the cap keeps a server that sends it
        // byte by byte from making this expensive.
        let room = MAX_ANSWER - before;
        self.answer
            .extend_from_slice(input.get(..room).unwrap_or(input));
        let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut answer = httparse::Response::new(&mut lines);
        match answer.parse(&self.answer) {
            Ok(httparse::Status::Complete(end)) => {
                *input = input.get(end - before..).unwrap_or_default();
                Some(self.judge(&answer))
            }
            Ok(httparse::Status::Partial) if self.answer.len() == MAX_ANSWER => {
                Some(Err(HandshakeError::TooLarge))
            }
            Ok(httparse::Status::Partial) => {
                *input = &[];
                None
            }
            Err(httparse::Error::TooManyHeaders) => Some(Err(HandshakeError::TooLarge)),
            Err(_) => Some(Err(HandshakeError::NotHttp)),
        }
    }

    fn judge(&self, answer: &httparse::Response<'_, '_>) -> Result<Established, HandshakeError> {
        let status = answer
            .code
            .and_then(|code| StatusCode::from_u16(code).ok())
            .ok_or(HandshakeError::NotHttp)?;
        if answer.version != Some(1) {
            return Err(HandshakeError::NotHttp);
        }
        if status != StatusCode::SWITCHING_PROTOCOLS {
            return Err(HandshakeError::Status(status));
        }
        let mut headers = HeaderMap::new();
        for line in &*answer.headers {
            let name = HeaderName::from_bytes(line.name.as_bytes());
            let value = HeaderValue::from_bytes(line.value);
            let (Ok(name), Ok(value)) = (name, value) else {
                return Err(HandshakeError::NotHttp);
            };
            headers.append(name, value);
        }
        self.judge_headers(&headers)
    }

    fn judge_headers(&self, headers: &HeaderMap) -> Result<Established, HandshakeError> {
        if !lists_token(headers, UPGRADE, "websocket")
            || !lists_token(headers, CONNECTION, "upgrade")
        {
            return Err(HandshakeError::NotAnUpgrade);
        }
        let accept = headers.get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
        // Only a server that has read this request's key can answer so: what a cache or another
        // protocol's server sends does not pass (RFC 6455 §1.3).
        if accept.map(<[u8]>::trim_ascii) != Some(accept_key(self.key.as_bytes()).as_bytes()) {
            return Err(HandshakeError::Accept);
        }
        Ok(Established {
            subprotocol: self.judge_subprotocol(headers)?,
            deflate: self.judge_extensions(headers)?,
        })
    }

    fn judge_subprotocol(&self, headers: &HeaderMap) -> Result<Option<String>, HandshakeError> {
        let Some(chosen) = headers.get(SEC_WEBSOCKET_PROTOCOL) else {
            return Ok(None);
        };
        let offered = &self.options.subprotocols;
        // RFC 6455 §4.1: a subprotocol that was not offered fails the connection.
        offered
            .iter()
            .find(|name| name.as_bytes() == chosen.as_bytes().trim_ascii())
            .map(|name| Some(name.clone()))
            .ok_or(HandshakeError::Subprotocol)
    }

    fn judge_extensions(
        &self,
        headers: &HeaderMap,
    ) -> Result<Option<deflate::Params>, HandshakeError> {
        let extensions = parse_headers(headers).ok_or(HandshakeError::Extension)?;
        match (extensions.as_slice(), &self.options.deflate) {
            ([], _) => Ok(None),
            // RFC 6455 §4.1: an extension that was not offered fails the connection.
            ([one], Some(config)) => negotiate::accept_answer(one, config)
                .map(Some)
                .ok_or(HandshakeError::Extension),
            _ => Err(HandshakeError::Extension),
        }
    }
}

/// The head of a request, as it is written.
struct Head(Vec<u8>);

impl Head {
    fn new<B>(request: &Request<B>) -> Self {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        Self(format!("GET {path} HTTP/1.1\r\n").into_bytes())
    }

    fn line(&mut self, name: &HeaderName, value: &[u8]) {
        for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
            self.0.extend_from_slice(part);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.extend_from_slice(b"\r\n");
        self.0
    }
}

/// The most bytes and header lines of an answer.
const MAX_ANSWER: usize = 16 << 10;

const MAX_HEADERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::accept;

    fn start(options: &Options) -> ClientHandshake {
        let request = Request::get("ws://localhost:3478/signal?x=1")
            .header("authorization", "Bearer t")
            .body(())
            .unwrap();
        ClientHandshake::new(&request, options, [9; 16]).unwrap()
    }

    fn answer(handshake: &ClientHandshake, change: impl Fn(&mut HeaderMap)) -> Vec<u8> {
        let mut headers = HeaderMap::new();
        let accept = accept_key(handshake.key.as_bytes());
        headers.insert(UPGRADE, HeaderValue::from_static("WebSocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::try_from(accept).unwrap());
        change(&mut headers);
        let mut bytes = b"HTTP/1.1 101 Switching Protocols\r\n".to_vec();
        for (name, value) in &headers {
            bytes.extend_from_slice(format!("{name}: {}\r\n", value.to_str().unwrap()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }

    #[test]
    fn our_server_accepts_what_our_client_asks_and_agrees_with_it() {
        let options = Options {
            subprotocols: vec!["json".to_owned()],
            deflate: Some(deflate::DeflateConfig::default()),
            ..Options::default()
        };
        let mut handshake = start(&options);
        let mut lines = [httparse::EMPTY_HEADER; 16];
        let mut request = httparse::Request::new(&mut lines);
        assert!(request.parse(handshake.request()).unwrap().is_complete());
        assert_eq!(request.path, Some("/signal?x=1"));
        let headers: HeaderMap = request
            .headers
            .iter()
            .map(|line| {
                (
                    HeaderName::from_bytes(line.name.as_bytes()).unwrap(),
                    HeaderValue::from_bytes(line.value).unwrap(),
                )
            })
            .collect();
        assert_eq!(headers[HOST], "localhost:3478");
        let accepted = accept(
            &http::Method::GET,
            http::Version::HTTP_11,
            &headers,
            &options,
        )
        .unwrap();
        let answer = answer(&handshake, |headers| {
            headers.extend(accepted.response().headers().clone());
        });
        let established = handshake.receive(&mut &answer[..]).unwrap().unwrap();
        assert_eq!(established.subprotocol.as_deref(), Some("json"));
        assert_eq!(established.deflate, accepted.established.deflate);
        assert!(established.deflate.is_some());
    }

    #[test]
    fn an_answer_may_come_byte_by_byte_and_frames_right_behind_it() {
        let mut handshake = start(&Options::default());
        let mut bytes = answer(&handshake, |_| {});
        for byte in bytes.drain(..bytes.len() - 1).collect::<Vec<_>>() {
            assert_eq!(handshake.receive(&mut &[byte][..]), None);
        }
        bytes.extend_from_slice(b"\x81\x00");
        let mut input = &bytes[..];
        assert!(matches!(handshake.receive(&mut input), Some(Ok(_))));
        assert_eq!(input, b"\x81\x00");
    }

    #[test]
    fn what_was_not_offered_is_refused() {
        type Change = fn(&mut HeaderMap);
        let cases: [(Change, HandshakeError); 4] = [
            (
                |headers| {
                    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("x"));
                },
                HandshakeError::Subprotocol,
            ),
            (
                |headers| {
                    headers.insert(
                        SEC_WEBSOCKET_EXTENSIONS,
                        HeaderValue::from_static("permessage-deflate"),
                    );
                },
                HandshakeError::Extension,
            ),
            (
                |headers| {
                    headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static("x"));
                },
                HandshakeError::Accept,
            ),
            (
                |headers| {
                    headers.remove(UPGRADE);
                },
                HandshakeError::NotAnUpgrade,
            ),
        ];
        for (change, error) in cases {
            let mut handshake = start(&Options::default());
            let bytes = answer(&handshake, change);
            assert_eq!(handshake.receive(&mut &bytes[..]), Some(Err(error)));
        }
    }

    #[test]
    fn other_statuses_and_endless_heads_are_refused() {
        let refused = b"HTTP/1.1 404 Not Found\r\n\r\n";
        assert_eq!(
            start(&Options::default()).receive(&mut &refused[..]),
            Some(Err(HandshakeError::Status(StatusCode::NOT_FOUND)))
        );
        let endless = [&b"HTTP/1.1 101 X\r\nA: "[..], &[b'a'; MAX_ANSWER]].concat();
        assert_eq!(
            start(&Options::default()).receive(&mut &endless[..]),
            Some(Err(HandshakeError::TooLarge))
        );
        let noise = b"\x16\x03\x01";
        assert_eq!(
            start(&Options::default()).receive(&mut &noise[..]),
            Some(Err(HandshakeError::NotHttp))
        );
    }
}
