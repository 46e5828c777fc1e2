//! The headers of CONNECT requests and responses
//! ([RFC 9110 §9.3.6](https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6)).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Credentials, Target};

/// A request for a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectRequest {
    /// The target of the tunnel.
    pub target: Target,
    /// The credentials in `Proxy-Authorization: Basic`
    /// ([RFC 7617](https://www.rfc-editor.org/rfc/rfc7617)).
    pub credentials: Option<Credentials>,
}

/// The head of a response to such a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectResponse {
    /// The status code, 100 to 599.
    pub status: u16,
    /// Whether a `Proxy-Authenticate` field offers Basic, the one scheme that is supported.
    pub offers_basic: bool,
}

/// Why bytes are not the header of such a request or response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// The head does not end within [`MOST_HEAD_BYTES`].
    #[error("a head of more than {MOST_HEAD_BYTES} bytes")]
    TooLong,
    /// The first line is not a request or status line of HTTP/1.
    #[error("the first line is not HTTP/1")]
    StartLine,
    /// The request is not for a tunnel.
    #[error("a method other than CONNECT")]
    Method,
    /// The target is not a host and port.
    #[error("the target is not of the form host:port")]
    Target,
    /// A line after the first has no field name and colon, or there are too many.
    #[error("a header line is wrong, or there are more than {MOST_LINES}")]
    Field,
}

impl ConnectRequest {
    /// Reads a request; returns it with the length of its header, or `None` if that is incomplete.
    ///
    /// # Errors
    /// Fails when the bytes do not begin such a request.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, HeadError> {
        let Some((head, length)) = head(bytes)? else {
            return Ok(None);
        };
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let words: Vec<&str> = first.split(' ').collect();
        let [method, target, "HTTP/1.1" | "HTTP/1.0"] = words.as_slice() else {
            return Err(HeadError::StartLine);
        };
        if *method != "CONNECT" {
            return Err(HeadError::Method);
        }
        let target = target.parse().map_err(|_| HeadError::Target)?;
        let mut credentials = None;
        for field in fields(lines) {
            let (name, value) = field?;
            if name.eq_ignore_ascii_case("proxy-authorization") {
                credentials = basic(value);
            }
        }
        let request = Self {
            target,
            credentials,
        };
        Ok(Some((request, length)))
    }

    /// Writes the request.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let target = &self.target;
        let mut text = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(Credentials { user, password }) = &self.credentials {
            let mut pair = user.clone();
            pair.push(b':');
            pair.extend(password);
            let pair = STANDARD.encode(pair);
            text.push_str(&format!("Proxy-Authorization: Basic {pair}\r\n"));
        }
        text.push_str("\r\n");
        text.into_bytes()
    }
}

impl ConnectResponse {
    /// Returns the response of a proxy with this status; that with 407 offers Basic.
    #[must_use]
    pub const fn new(status: u16) -> Self {
        Self {
            status,
            offers_basic: status == 407,
        }
    }

    /// Reads the header of a response; returns it with its length, or `None` if it is incomplete.
    ///
    /// # Errors
    /// Fails when the bytes do not begin a response.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, HeadError> {
        let Some((head, length)) = head(bytes)? else {
            return Ok(None);
        };
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let mut words = first.splitn(3, ' ');
        let (Some("HTTP/1.1" | "HTTP/1.0"), Some(status)) = (words.next(), words.next()) else {
            return Err(HeadError::StartLine);
        };
        let digits = status.len() == 3 && status.bytes().all(|it| it.is_ascii_digit());
        let status = status.parse().ok().filter(|_| digits);
        let status = status.filter(|status| (100..600).contains(status));
        let status = status.ok_or(HeadError::StartLine)?;
        let mut offers_basic = false;
        for field in fields(lines) {
            let (name, value) = field?;
            if name.eq_ignore_ascii_case("proxy-authenticate") {
                // A proxy may send one field for each scheme.
                offers_basic |= has_basic(value);
            }
        }
        let response = Self {
            status,
            offers_basic,
        };
        Ok(Some((response, length)))
    }

    /// Writes the header of a response.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let basic = if self.offers_basic {
            "Proxy-Authenticate: Basic realm=\"proxy\"\r\n"
        } else {
            ""
        };
        let (reason, field) = match self.status {
            200 => ("Connection established", ""),
            400 => ("Bad Request", ""),
            403 => ("Forbidden", ""),
            405 => ("Method Not Allowed", "Allow: CONNECT\r\n"),
            407 => ("Proxy Authentication Required", ""),
            431 => ("Request Header Fields Too Large", ""),
            502 => ("Bad Gateway", ""),
            504 => ("Gateway Timeout", ""),
            _ => ("", ""),
        };
        format!("HTTP/1.1 {} {reason}\r\n{field}{basic}\r\n", self.status).into_bytes()
    }
}

/// Returns a header without its empty line, with its length; `None` if it is incomplete.
fn head(bytes: &[u8]) -> Result<Option<(&str, usize)>, HeadError> {
    // A head that never ends must not fill the memory.
    let considered = bytes.get(..MOST_HEAD_BYTES).unwrap_or(bytes);
    let end = considered.windows(4).position(|it| it == b"\r\n\r\n");
    let Some(end) = end else {
        return if bytes.len() >= MOST_HEAD_BYTES {
            Err(HeadError::TooLong)
        } else {
            Ok(None)
        };
    };
    let head = bytes.get(..end).unwrap_or_default();
    let head = std::str::from_utf8(head).map_err(|_| HeadError::Field)?;
    Ok(Some((head, end + 4)))
}

/// Splits header lines into names and values
/// ([RFC 9112 §5](https://www.rfc-editor.org/rfc/rfc9112#section-5)).
fn fields<'a>(
    lines: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = Result<(&'a str, &'a str), HeadError>> {
    lines.enumerate().map(|(number, line)| {
        let (name, value) = line.split_once(':').ok_or(HeadError::Field)?;
        let token = !name.is_empty() && name.bytes().all(is_token);
        // Implementations read these three differently, so that a recipient has to reject them, or
        // to put spaces in their place (RFC 9110 §5.5).
        let clean = !value.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
        if number < MOST_LINES && token && clean {
            Ok((name, value.trim_matches([' ', '\t'])))
        } else {
            Err(HeadError::Field)
        }
    })
}

/// Returns whether a byte may be in a token
/// ([RFC 9110 §5.6.2](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2)).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Reads `Basic` credentials; other schemes count as none.
fn basic(value: &str) -> Option<Credentials> {
    let (scheme, pair) = value.split_once(' ')?;
    let pair = STANDARD.decode(pair.trim_start_matches(' ')).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    let (user, password) = (pair.get(..colon)?, pair.get(colon + 1..)?);
    scheme
        .eq_ignore_ascii_case("basic")
        .then(|| Credentials::new(user, password))?
}

/// Returns whether one of the challenges of a `Proxy-Authenticate` field is Basic.
fn has_basic(value: &str) -> bool {
    // A comma also separates the parameters of one challenge, and may be in a quoted value. To
    // split at all of them is exact enough, as a mistake changes only which error is reported.
    let mut parts = value.split(',');
    parts.any(|part| {
        let scheme = part.split_ascii_whitespace().next();
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic"))
    })
}

/// The longest head that is read, in bytes.
pub const MOST_HEAD_BYTES: usize = 8192;
const MOST_LINES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_read_whole_or_not_at_all() {
        let bytes = b"CONNECT a.example:443 HTTP/1.1\r\nHost: x\r\nProxy-authorization: bAsIc YTpiOmM=\r\n\r\nrest";
        let (request, length) = ConnectRequest::parse(bytes).unwrap().unwrap();
        assert_eq!(request.target.to_string(), "a.example:443");
        assert_eq!(request.credentials, Credentials::new(b"a", b"b:c"));
        assert_eq!(&bytes[length..], b"rest");
        for end in 0..length {
            assert_eq!(ConnectRequest::parse(&bytes[..end]), Ok(None));
        }
    }

    #[test]
    fn what_is_no_request_for_a_tunnel_is_refused_with_its_reason() {
        let cases: [(&[u8], HeadError); 7] = [
            (b"GET / HTTP/1.1\r\n\r\n", HeadError::Method),
            (b"CONNECT a:1 HTTP/2\r\n\r\n", HeadError::StartLine),
            (b"CONNECT  a:1 HTTP/1.1\r\n\r\n", HeadError::StartLine),
            (b"CONNECT a HTTP/1.1\r\n\r\n", HeadError::Target),
            (
                b"CONNECT a:1 HTTP/1.1\r\nno colon\r\n\r\n",
                HeadError::Field,
            ),
            (b"CONNECT a:1 HTTP/1.1\r\na b: c\r\n\r\n", HeadError::Field),
            (&[b'x'; MOST_HEAD_BYTES], HeadError::TooLong),
        ];
        for (bytes, error) in cases {
            assert_eq!(ConnectRequest::parse(bytes), Err(error));
        }
        let many = format!("CONNECT a:1 HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65));
        let result = ConnectRequest::parse(many.as_bytes());
        assert_eq!(result, Err(HeadError::Field));
    }

    #[test]
    fn basic_is_found_among_the_schemes_that_a_proxy_offers() {
        for (field, offers_basic) in [
            ("Proxy-Authenticate: Negotiate, bAsIc realm=\"a\"", true),
            (
                "proxy-authenticate: Digest realm=\"basic\", nonce=\"x\"",
                false,
            ),
            ("WWW-Authenticate: Basic realm=\"a\"", false),
        ] {
            let bytes = format!("HTTP/1.1 407 x\r\n{field}\r\n\r\n");
            let (response, _) = ConnectResponse::parse(bytes.as_bytes()).unwrap().unwrap();
            assert_eq!(response.offers_basic, offers_basic, "{field}");
        }
    }

    proptest! {
        #[test]
        fn a_request_and_a_response_are_read_as_they_are_written(
            port in any::<u16>(),
            ip in any::<std::net::IpAddr>(),
            user in proptest::collection::vec(1..=255_u8, 1..200),
            password in proptest::collection::vec(any::<u8>(), 1..200),
            status in 100..600_u16,
            offers_basic in any::<bool>(),
        ) {
            let user: Vec<u8> = user.into_iter().filter(|byte| *byte != b':').collect();
            let request = ConnectRequest {
                target: std::net::SocketAddr::new(ip, port).into(),
                credentials: Credentials::new(&user, &password),
            };
            let bytes = request.to_bytes();
            prop_assert_eq!(ConnectRequest::parse(&bytes), Ok(Some((request, bytes.len()))));
            let response = ConnectResponse { status, offers_basic };
            let bytes = response.to_bytes();
            prop_assert_eq!(ConnectResponse::parse(&bytes), Ok(Some((response, bytes.len()))));
        }
    }
}
