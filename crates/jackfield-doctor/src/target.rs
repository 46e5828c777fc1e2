//! How a server is named on the command line.

use std::fmt;
use std::str::FromStr;

use jackfield_stun::uri::{Host, Scheme, Uri};

/// A server as it is named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The name or address; an IPv6 address has no brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How it is asked for pages, if at all.
    pub scheme: TargetScheme,
}

/// How a server is asked for pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetScheme {
    /// Inside TLS.
    Https,
    /// In the clear.
    Http,
    /// Not at all: a STUN URI named it.
    Stun,
}

/// The text names no server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no server; accepted is HOST, HOST:PORT, an http: or https: URL, or a stun: URI"
)]
pub struct TargetError(String);

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let refuse = || TargetError(text.to_owned());
        for (prefix, scheme, port) in [
            ("http://", TargetScheme::Http, 80),
            ("https://", TargetScheme::Https, 443),
        ] {
            if let Some(rest) = text.strip_prefix(prefix) {
                let authority = rest.split('/').next().unwrap_or(rest);
                return Self::from_authority(authority, scheme, port).ok_or_else(refuse);
            }
        }
        if let Ok(uri) = text.parse::<Uri>() {
            let host = match &uri.host {
                Host::Ipv6(ip) => ip.to_string(),
                Host::Name(name) => name.clone(),
            };
            return match uri.scheme {
                Scheme::Stun | Scheme::Turn => Ok(Self {
                    host,
                    port: uri.port(),
                    scheme: TargetScheme::Stun,
                }),
                Scheme::Stuns | Scheme::Turns => Err(refuse()),
            };
        }
        Self::from_authority(text, TargetScheme::Http, 3478).ok_or_else(refuse)
    }
}

impl Target {
    fn from_authority(text: &str, scheme: TargetScheme, default: u16) -> Option<Self> {
        if text.contains('@') {
            return None;
        }
        let authority: http::uri::Authority = match text.parse::<std::net::Ipv6Addr>() {
            Ok(ip) => format!("[{ip}]").parse().ok()?,
            Err(_) => text.parse().ok()?,
        };
        let port = match authority.port() {
            Some(port) => port.as_str().parse().ok().filter(|port| *port > 0)?,
            // What follows the host is no port.
            None if authority.as_str().len() != authority.host().len() => return None,
            None => default,
        };
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        (!host.is_empty()).then(|| Self {
            host: host.to_owned(),
            port,
            scheme,
        })
    }

    /// Returns the host and port as a URL has them.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            TargetScheme::Https => "https://",
            TargetScheme::Http => "http://",
            TargetScheme::Stun => "stun:",
        };
        write!(f, "{scheme}{}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_in_many_ways() {
        for (text, shown) in [
            ("call.example.org", "http://call.example.org:3478"),
            ("call.example.org:80", "http://call.example.org:80"),
            ("http://call.example.org/r/x", "http://call.example.org:80"),
            ("https://call.example.org", "https://call.example.org:443"),
            ("https://[2001:db8::1]:8443/", "https://[2001:db8::1]:8443"),
            ("2001:db8::1", "http://[2001:db8::1]:3478"),
            ("192.0.2.1", "http://192.0.2.1:3478"),
            ("stun:192.0.2.1", "stun:192.0.2.1:3478"),
            (
                "turn:[2001:db8::1]:99?transport=udp",
                "stun:[2001:db8::1]:99",
            ),
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), shown);
        }
        for text in ["", ":80", "a:0", "a:x", "ftp://a", "turns:a", "u@a", "a b"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
