//! The URLs of gateways.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// An `http` URL whose host is an address. URLs of gateways have no other hosts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Url {
    /// The address and port to connect to.
    pub host: SocketAddr,
    /// The path; it begins with a slash.
    pub path: String,
}

impl Url {
    /// Reads an absolute `http` URL.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let scheme = text.get(..SCHEME.len())?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return None;
        }
        let rest = text.get(SCHEME.len()..)?;
        let (authority, path) = match rest.find('/') {
            Some(at) => (rest.get(..at)?, rest.get(at..)?),
            None => (rest, "/"),
        };
        let host = match authority.parse::<SocketAddr>() {
            Ok(host) => host,
            Err(_) => SocketAddr::new(bare(authority)?, 80),
        };
        Self::checked(host, path)
    }

    /// Resolves a URL, absolute or relative, that a document from this URL contains.
    #[must_use]
    pub fn join(&self, text: &str) -> Option<Self> {
        let text = text.trim();
        if text.contains("://") {
            return Self::parse(text);
        }
        let path = if text.starts_with('/') {
            text.to_owned()
        } else {
            let end = self.path.rfind('/').map_or(0, |at| at + 1);
            format!("{}{text}", self.path.get(..end)?)
        };
        Self::checked(self.host, &path)
    }

    /// A path becomes part of a request line. A space or line break in it would make another
    /// request of it.
    fn checked(host: SocketAddr, path: &str) -> Option<Self> {
        let plain = path.bytes().all(|byte| byte.is_ascii_graphic());
        (plain && path.starts_with('/') && path.len() <= LONGEST).then(|| Self {
            host,
            path: path.to_owned(),
        })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}{}", self.host, self.path)
    }
}

/// Reads an address without a port; IPv6 is in brackets.
fn bare(text: &str) -> Option<IpAddr> {
    match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse().ok().map(IpAddr::V6),
        None => text.parse().ok().map(IpAddr::V4),
    }
}

const SCHEME: &str = "http://";
const LONGEST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_and_written() {
        for (text, same) in [
            (
                "http://192.168.1.1:5000/root.xml",
                "http://192.168.1.1:5000/root.xml",
            ),
            ("HTTP://192.168.1.1", "http://192.168.1.1:80/"),
            ("http://[fe80::1]:49000/x?y", "http://[fe80::1]:49000/x?y"),
            (" http://[2001:db8::1]/a ", "http://[2001:db8::1]:80/a"),
        ] {
            assert_eq!(Url::parse(text).unwrap().to_string(), same);
        }
        for wrong in [
            "",
            "https://1.2.3.4/",
            "http://example.org/",
            "http://1.2.3.4/a b",
            "http://1.2.3.4/\r\nX:",
        ] {
            assert_eq!(Url::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_relative_url_is_resolved() {
        let base = Url::parse("http://10.0.0.1:80/igd/root.xml").unwrap();
        let join = |text| base.join(text).unwrap().to_string();
        assert_eq!(join("/ctl"), "http://10.0.0.1:80/ctl");
        assert_eq!(join("ctl/ip"), "http://10.0.0.1:80/igd/ctl/ip");
        assert_eq!(join("http://10.0.0.1:81/x"), "http://10.0.0.1:81/x");
        assert_eq!(base.join("a b"), None);
    }
}
