//! The targets of proxy requests.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// The target of a tunnel or a datagram.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The host.
    pub host: TargetHost,
    /// The port.
    pub port: u16,
}

/// A host by address or name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetHost {
    /// Its address.
    Address(IpAddr),
    /// Its name, which the proxy resolves.
    Name(HostName),
}

/// A host name of 1 to 255 letters, digits, hyphens, underscores and dots that is not an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

/// An error: the text is not a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not of the form host:port")]
pub struct TargetError;

impl HostName {
    /// Returns the name, if it is valid.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let long = (1..=255).contains(&name.len());
        let named = long && name.bytes().all(fits) && name.parse::<IpAddr>().is_err();
        named.then(|| Self(name.to_owned()))
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<SocketAddr> for Target {
    fn from(socket: SocketAddr) -> Self {
        Self {
            host: TargetHost::Address(socket.ip()),
            port: socket.port(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            TargetHost::Address(ip) => SocketAddr::new(*ip, self.port).fmt(f),
            TargetHost::Name(name) => write!(f, "{}:{}", name.as_str(), self.port),
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (host, port) = text.rsplit_once(':').ok_or(TargetError)?;
        // `u16::from_str` alone would take a plus sign, and any number of leading zeros.
        let digits = (1..=5).contains(&port.len()) && port.bytes().all(|it| it.is_ascii_digit());
        let port = port.parse().ok().filter(|_| digits).ok_or(TargetError)?;
        let bracketed = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let host = match bracketed {
            Some(v6) => TargetHost::Address(IpAddr::V6(v6.parse().map_err(|_| TargetError)?)),
            None => match host.parse() {
                Ok(v4) => TargetHost::Address(IpAddr::V4(v4)),
                Err(_) => TargetHost::Name(HostName::new(host).ok_or(TargetError)?),
            },
        };
        Ok(Self { host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_as_it_is_written() {
        for text in ["192.0.2.1:80", "[2001:db8::1]:443", "turn.example.org:3478"] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.to_string(), text);
        }
        for text in [
            "",
            ":80",
            "a",
            "a:",
            "a:65536",
            "a:+80",
            "a b:80",
            "[::1:80",
            "::1:80",
            "[192.0.2.1]:80",
        ] {
            assert_eq!(text.parse::<Target>(), Err(TargetError), "{text}");
        }
    }
}
