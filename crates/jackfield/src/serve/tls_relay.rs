//! Why browsers do not use the relay inside TLS, where that can be known.

use std::fmt;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

use crate::config::Certificate;

/// What keeps browsers from a `turns:` URL. They say nothing of it to the page: the relay is just
/// missing, which shows only behind a firewall that lets nothing else out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsRelayObstacle {
    /// No browser trusts the certificate; an exception that a person makes is for pages alone.
    SelfSigned,
    /// Firefox takes no `turns:` URL with an IP address.
    IpAddress,
}

impl TlsRelayObstacle {
    /// Returns the obstacle for a server with this certificate at a host, if there is one.
    ///
    /// The host has no port; an IPv6 address may have brackets. Whether a certificate from files is
    /// trusted is not known here.
    #[must_use]
    pub fn of(certificate: &Certificate, host: Option<&str>) -> Option<Self> {
        match (certificate, host) {
            (Certificate::SelfSigned, _) => Some(Self::SelfSigned),
            (Certificate::Files { .. }, Some(host)) if is_ip_address(host) => Some(Self::IpAddress),
            (Certificate::Files { .. }, _) => None,
        }
    }
}

impl fmt::Display for TlsRelayObstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SelfSigned => {
                "Browsers do not use the relay inside TLS (turns:), because the certificate is \
                 self-signed: it needs a host name and a certificate that browsers trust."
            }
            Self::IpAddress => {
                "Firefox does not use the relay inside TLS (turns:) at an IP address: it needs a \
                 host name, as --public-host or in the address of the page."
            }
        })
    }
}

impl Serialize for TlsRelayObstacle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn is_ip_address(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    bare.unwrap_or(host).parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_inside_tls_wants_a_host_name_and_a_trusted_certificate() {
        let files = Certificate::Files {
            cert: "chain.pem".into(),
            key: "key.pem".into(),
        };
        for (certificate, host, obstacle) in [
            (&files, Some("call.example.org"), None),
            (&files, None, None),
            (&files, Some("192.0.2.1"), Some(TlsRelayObstacle::IpAddress)),
            (
                &files,
                Some("[2001:db8::1]"),
                Some(TlsRelayObstacle::IpAddress),
            ),
            (
                &Certificate::SelfSigned,
                Some("call.example.org"),
                Some(TlsRelayObstacle::SelfSigned),
            ),
            (
                &Certificate::SelfSigned,
                None,
                Some(TlsRelayObstacle::SelfSigned),
            ),
        ] {
            assert_eq!(
                TlsRelayObstacle::of(certificate, host),
                obstacle,
                "{host:?}"
            );
        }
    }
}
