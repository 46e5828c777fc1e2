//! `stun:`, `stuns:`, `turn:` and `turns:` URIs ([RFC 7064], [RFC 7065]).
//!
//! [RFC 7064]: https://www.rfc-editor.org/rfc/rfc7064
//! [RFC 7065]: https://www.rfc-editor.org/rfc/rfc7065

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// Where a STUN or TURN server is.
///
/// ```
/// use jackfield_stun::uri::{Host, Scheme, Uri};
///
/// let uri: Uri = "turns:turn.example.org?transport=tcp".parse().unwrap();
/// assert_eq!(uri.scheme, Scheme::Turns);
/// assert_eq!(uri.host, Host::Name("turn.example.org".into()));
/// assert_eq!(uri.port(), 5349);
/// assert_eq!(uri.to_string(), "turns:turn.example.org?transport=tcp");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Uri {
    /// What server, and whether inside TLS or DTLS.
    pub scheme: Scheme,
    /// Which machine.
    pub host: Host,
    /// The port, if it is named.
    pub explicit_port: Option<u16>,
    /// The transport, if it is named; only of `turn:` and `turns:`.
    pub transport: Option<UriTransport>,
}

/// What kind of server a URI names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// STUN.
    Stun,
    /// STUN inside TLS or DTLS.
    Stuns,
    /// TURN.
    Turn,
    /// TURN inside TLS or DTLS.
    Turns,
}

/// A transport that a URI names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UriTransport {
    /// UDP; DTLS with `turns:`.
    Udp,
    /// TCP; TLS with `turns:`.
    Tcp,
}

/// A machine that a URI names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// An IPv6 address, in brackets in the text.
    Ipv6(Ipv6Addr),
    /// A name, or an IPv4 address.
    Name(String),
}

/// Why a text is not such a URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// Another scheme, or none.
    #[error("the scheme is none of stun:, stuns:, turn:, turns:")]
    Scheme,
    /// No host, or one with characters that no name has.
    #[error("the host is neither a name, an IPv4 address, nor an IPv6 address in brackets")]
    Host,
    /// Not a port.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// A query that is not a transport, or one on a STUN URI.
    #[error("the query is not ?transport=udp or ?transport=tcp on a turn: or turns: URI")]
    Query,
}

impl Uri {
    /// Returns the port, named or default: 3478, and 5349 for `stuns:` and `turns:`.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.explicit_port.unwrap_or(match self.scheme {
            Scheme::Stun | Scheme::Turn => 3478,
            Scheme::Stuns | Scheme::Turns => 5349,
        })
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let (scheme, rest) = text.split_once(':').ok_or(UriError::Scheme)?;
        let scheme: Scheme = scheme.parse()?;
        let (place, query) = match rest.split_once('?') {
            Some((place, query)) => (place, Some(query)),
            None => (rest, None),
        };
        let (host, port) = split_place(place)?;
        Ok(Self {
            scheme,
            host,
            explicit_port: port.map(parse_port).transpose()?,
            transport: query.map(|query| parse_query(scheme, query)).transpose()?,
        })
    }
}

fn split_place(place: &str) -> Result<(Host, Option<&str>), UriError> {
    if let Some(rest) = place.strip_prefix('[') {
        let (ip, rest) = rest.split_once(']').ok_or(UriError::Host)?;
        let host = Host::Ipv6(ip.parse().map_err(|_| UriError::Host)?);
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(UriError::Host),
        };
    }
    let (name, port) = match place.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (place, None),
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte);
    if name.is_empty() || name.len() > 255 || !name.bytes().all(fits) {
        return Err(UriError::Host);
    }
    Ok((Host::Name(name.into()), port))
}

fn parse_port(port: &str) -> Result<u16, UriError> {
    match port.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(UriError::Port),
    }
}

fn parse_query(scheme: Scheme, query: &str) -> Result<UriTransport, UriError> {
    if matches!(scheme, Scheme::Stun | Scheme::Stuns) {
        return Err(UriError::Query);
    }
    let value = query.strip_prefix("transport=").ok_or(UriError::Query)?;
    if value.eq_ignore_ascii_case("udp") {
        Ok(UriTransport::Udp)
    } else if value.eq_ignore_ascii_case("tcp") {
        Ok(UriTransport::Tcp)
    } else {
        Err(UriError::Query)
    }
}

impl FromStr for Scheme {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        [Self::Stun, Self::Stuns, Self::Turn, Self::Turns]
            .into_iter()
            .find(|scheme| scheme.as_str().eq_ignore_ascii_case(text))
            .ok_or(UriError::Scheme)
    }
}

impl Scheme {
    /// Returns the scheme's text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stun => "stun",
            Self::Stuns => "stuns",
            Self::Turn => "turn",
            Self::Turns => "turns",
        }
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme.as_str())?;
        match &self.host {
            Host::Ipv6(ip) => write!(f, ":[{ip}]")?,
            Host::Name(name) => write!(f, ":{name}")?,
        }
        if let Some(port) = self.explicit_port {
            write!(f, ":{port}")?;
        }
        match self.transport {
            Some(UriTransport::Udp) => f.write_str("?transport=udp"),
            Some(UriTransport::Tcp) => f.write_str("?transport=tcp"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_the_rfcs_are_read() {
        for (text, port) in [
            ("stun:example.org", 3478),
            ("stuns:example.org", 5349),
            ("stun:example.org:8000", 8000),
            ("turn:example.org", 3478),
            ("turns:example.org", 5349),
            ("turn:example.org:8000", 8000),
            ("turn:example.org?transport=udp", 3478),
            ("turns:example.org?transport=tcp", 5349),
            ("turn:[2001:db8::1]:80?transport=tcp", 80),
            ("stun:192.0.2.1", 3478),
        ] {
            let uri: Uri = text.parse().unwrap();
            assert_eq!(uri.port(), port);
            assert_eq!(uri.to_string(), text);
        }
        assert_eq!(
            "TURN:h?transport=UDP".parse::<Uri>().unwrap().to_string(),
            "turn:h?transport=udp"
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, error) in [
            ("example.org", UriError::Scheme),
            ("http:example.org", UriError::Scheme),
            ("stun:", UriError::Host),
            ("stun://example.org", UriError::Host),
            ("stun:[::1", UriError::Host),
            ("stun:[::1]x", UriError::Host),
            ("stun:[1.2.3.4]", UriError::Host),
            ("stun:user@example.org", UriError::Host),
            ("stun:example.org:0", UriError::Port),
            ("stun:example.org:65536", UriError::Port),
            ("stun:example.org:", UriError::Port),
            ("stun:::1", UriError::Host),
            ("stun:h:1:2", UriError::Port),
            ("stun:example.org?transport=udp", UriError::Query),
            ("turn:example.org?transport=sctp", UriError::Query),
            ("turn:example.org?", UriError::Query),
        ] {
            assert_eq!(text.parse::<Uri>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_back(text in "(stun|stuns|turn|turns):([a-z0-9.-]{1,20}|\\[::[0-9a-f]{1,4}\\])(:[1-9][0-9]{0,3})?(\\?transport=(udp|tcp))?") {
            if let Ok(uri) = text.parse::<Uri>() {
                prop_assert_eq!(uri.to_string().parse::<Uri>(), Ok(uri));
            }
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<Uri>();
        }
    }
}
