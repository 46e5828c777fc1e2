//! The URLs of proxies, as `https_proxy` has them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::{Credentials, HostName, Target, TargetHost};

/// Where a proxy is and how to speak with it: `[SCHEME://][USER[:PASSWORD]@]HOST[:PORT]`.
///
/// Without a scheme it is HTTP, and without a port 1080 (443 for `https`), both as in curl. User
/// and password may be percent-encoded. `Display` leaves them out, so that a URL can be logged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProxyUrl {
    scheme: Scheme,
    target: Target,
    credentials: Option<Credentials>,
}

/// The protocol that a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// `http`: CONNECT in the clear.
    Http,
    /// `https`: CONNECT inside TLS with the proxy.
    Https,
    /// `socks5`: SOCKS 5; the client resolves the names of targets.
    Socks5,
    /// `socks5h`: SOCKS 5; the proxy resolves the names of targets.
    Socks5h,
}

/// Why a text is not the URL of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyUrlError {
    /// The scheme is none of ours.
    #[error("the scheme of a proxy is http, https, socks5 or socks5h")]
    Scheme,
    /// The host is missing, or is neither a name nor an address.
    #[error("the host of a proxy is a name, an IPv4 address or an IPv6 address in brackets")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the port of a proxy is a number from 1 to 65535")]
    Port,
    /// The user or the password has a wrong length or wrong percent-encoding, or the user a colon.
    #[error(
        "the user of a proxy has 1 to 255 bytes and no colon, its password at most 255, \
         and % begins two hexadecimal digits"
    )]
    Credentials,
}

impl ProxyUrl {
    /// Returns the URL of a proxy without credentials.
    #[must_use]
    pub fn new(scheme: Scheme, target: Target) -> Self {
        Self {
            scheme,
            target,
            credentials: None,
        }
    }

    /// Sets the credentials.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Returns the protocol that the proxy speaks.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns where the proxy is.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Returns the credentials for it.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }
}

impl Scheme {
    /// All schemes.
    pub const ALL: [Self; 4] = [Self::Http, Self::Https, Self::Socks5, Self::Socks5h];

    /// Returns the scheme as URLs have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }

    /// Returns whether the proxy resolves the names of targets. With `socks5` the client does, and
    /// a target that is a name goes to the proxy all the same when the client cannot.
    #[must_use]
    pub const fn resolves_names(self) -> bool {
        !matches!(self, Self::Socks5)
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http | Self::Socks5 | Self::Socks5h => 1080,
        }
    }
}

impl FromStr for ProxyUrl {
    type Err = ProxyUrlError;

    fn from_str(text: &str) -> Result<Self, ProxyUrlError> {
        let (scheme, rest) = match text.split_once("://") {
            None => (Scheme::Http, text),
            Some((name, rest)) => {
                let mut all = Scheme::ALL.into_iter();
                let scheme = all.find(|it| name.eq_ignore_ascii_case(it.name()));
                (scheme.ok_or(ProxyUrlError::Scheme)?, rest)
            }
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = rest.get(..end).unwrap_or_default();
        // The last `@` counts: people leave one in a password unencoded, and no host has one.
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        Ok(Self {
            scheme,
            target: target(host, scheme.default_port())?,
            credentials: user.map(credentials).transpose()?,
        })
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.target)
    }
}

fn target(text: &str, default_port: u16) -> Result<Target, ProxyUrlError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (ip, rest) = bracketed.split_once(']').ok_or(ProxyUrlError::Host)?;
            let ip = ip.parse().map_err(|_| ProxyUrlError::Host)?;
            let port = match rest.strip_prefix(':') {
                None if rest.is_empty() => None,
                None => return Err(ProxyUrlError::Port),
                Some(port) => Some(port),
            };
            (TargetHost::Address(IpAddr::V6(ip)), port)
        }
        None => {
            let (host, port) = match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            };
            let host = match host.parse() {
                Ok(ip) => TargetHost::Address(IpAddr::V4(ip)),
                Err(_) => TargetHost::Name(HostName::new(host).ok_or(ProxyUrlError::Host)?),
            };
            (host, port)
        }
    };
    let port = match port {
        None => default_port,
        Some(port) => {
            // `u16::from_str` alone would take a plus sign.
            let digits = port.bytes().all(|it| it.is_ascii_digit());
            let number = port.parse().ok().filter(|port| digits && *port != 0);
            number.ok_or(ProxyUrlError::Port)?
        }
    };
    Ok(Target { host, port })
}

fn credentials(text: &str) -> Result<Credentials, ProxyUrlError> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let decoded = percent_decode(user).zip(percent_decode(password));
    decoded
        .and_then(|(user, password)| Credentials::new(&user, &password))
        .ok_or(ProxyUrlError::Credentials)
}

fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let value = digit()? << 4 | digit()?;
                u8::try_from(value).ok()?
            }
            _ => byte,
        });
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    use proptest::prelude::*;

    fn parse(text: &str) -> Result<ProxyUrl, ProxyUrlError> {
        text.parse()
    }

    #[test]
    fn a_url_is_read_as_curl_reads_it() {
        let cases = [
            ("http://proxy.example:3128", "http://proxy.example:3128"),
            ("proxy.example", "http://proxy.example:1080"),
            ("https://proxy.example", "https://proxy.example:443"),
            ("SOCKS5h://192.0.2.1/", "socks5h://192.0.2.1:1080"),
            (
                "socks5://[2001:db8::1]:1081/x?y#z",
                "socks5://[2001:db8::1]:1081",
            ),
            ("http://[2001:db8::1]", "http://[2001:db8::1]:1080"),
            ("ann:a:b@proxy.example:1", "http://proxy.example:1"),
        ];
        for (text, written) in cases {
            assert_eq!(parse(text).unwrap().to_string(), written);
        }
        let url = parse("http://a%40b:c%2fd:e@proxy:1").unwrap();
        assert_eq!(
            url.credentials(),
            Credentials::new(b"a@b", b"c/d:e").as_ref()
        );
        assert_eq!(
            parse("http://ann@proxy").unwrap().credentials(),
            Credentials::new(b"ann", b"").as_ref()
        );
    }

    #[test]
    fn an_error_says_which_part_is_wrong() {
        let cases = [
            ("socks4://proxy", ProxyUrlError::Scheme),
            ("ftp://proxy", ProxyUrlError::Scheme),
            ("", ProxyUrlError::Host),
            ("http://", ProxyUrlError::Host),
            ("http://[192.0.2.1]", ProxyUrlError::Host),
            ("http://[::1", ProxyUrlError::Host),
            ("http://a b", ProxyUrlError::Host),
            ("http://proxy:", ProxyUrlError::Port),
            ("http://proxy:0", ProxyUrlError::Port),
            ("http://proxy:65536", ProxyUrlError::Port),
            ("http://proxy:+1", ProxyUrlError::Port),
            ("http://[::1]1", ProxyUrlError::Port),
            ("http://@proxy", ProxyUrlError::Credentials),
            ("http://a%3Ab@proxy", ProxyUrlError::Credentials),
            ("http://a%4@proxy", ProxyUrlError::Credentials),
            ("http://a%g0@proxy", ProxyUrlError::Credentials),
        ];
        for (text, error) in cases {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_url_in_a_log_shows_no_password() {
        let url = parse("http://ann:secret@proxy").unwrap();
        assert!(!format!("{url} {url:?}").contains("secret"));
        assert!(!format!("{url} {url:?}").contains("ann"));
    }

    proptest! {
        #[test]
        fn a_url_is_read_as_it_is_written(
            scheme in proptest::sample::select(Scheme::ALL.to_vec()),
            ip in any::<IpAddr>(),
            port in 1..=u16::MAX,
        ) {
            let target = SocketAddr::new(ip, port).into();
            let url = ProxyUrl::new(scheme, target);
            prop_assert_eq!(parse(&url.to_string()), Ok(url));
        }

        #[test]
        fn every_user_and_password_can_be_percent_encoded(
            user in proptest::collection::vec(any::<u8>(), 1..255),
            password in proptest::collection::vec(any::<u8>(), 0..255),
        ) {
            let encode = |bytes: &[u8]| bytes.iter().map(|it| format!("%{it:02x}")).collect::<String>();
            let text = format!("http://{}:{}@proxy", encode(&user), encode(&password));
            let expected = Credentials::new(&user, &password).ok_or(ProxyUrlError::Credentials);
            prop_assert_eq!(parse(&text).map(|url| url.credentials.unwrap()), expected);
        }
    }
}
