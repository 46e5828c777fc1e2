//! When the certificates end that relays show.

use std::net::SocketAddr;

use jackfield_stun::uri::{Host, Scheme, Uri};

use super::http::Site;
use crate::facts::{CertificateEnd, Ice};
use crate::target::{Target, TargetScheme};
use crate::trust::Trust;

/// Returns the last moment of the certificate of each relay inside TLS that is reached and trusted.
pub(super) async fn of_relays(ice: Option<&Ice>, trust: &Trust) -> Vec<CertificateEnd> {
    let urls = ice.map(|ice| ice.urls.as_slice()).unwrap_or_default();
    let looking = urls.iter().map(|url| of_relay(url, trust));
    super::futures(looking)
        .await
        .into_iter()
        .flatten()
        .collect()
}

async fn of_relay(url: &str, trust: &Trust) -> Option<CertificateEnd> {
    let uri: Uri = url.parse().ok()?;
    if uri.scheme != Scheme::Turns {
        return None;
    }
    let host = match &uri.host {
        Host::Ipv6(ip) => ip.to_string(),
        Host::Name(name) => name.clone(),
    };
    let found = tokio::net::lookup_host((host.as_str(), uri.port())).await;
    let addresses: Vec<SocketAddr> = found.ok()?.collect();
    let target = Target {
        host,
        port: uri.port(),
        scheme: TargetScheme::Https,
    };
    let site = Site {
        target: &target,
        addresses: &addresses,
        trust,
        proxy: None,
    };
    let connection = site.connect(TargetScheme::Https, trust).await.ok()?;
    Some(CertificateEnd {
        relay: Some(url.to_owned()),
        ends: connection.certificate_ends?,
    })
}
