//! Whether something answers in place of others: a captive portal, or a proxy that no setting
//! names.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::time::timeout;

use super::http::{Answer, Site};
use crate::facts::{Interception, WebError};
use crate::target::{Target, TargetScheme};
use crate::trust::Trust;

/// Asks an address of documentation ([RFC 5737]) for a page. No host has it, so an answer comes
/// from a host that answers in place of all others.
///
/// [RFC 5737]: https://www.rfc-editor.org/rfc/rfc5737
pub(super) async fn look(trust: &Trust) -> Option<Interception> {
    let address = SocketAddr::from((DOCUMENTATION, 80));
    let target = Target {
        host: IpAddr::from(DOCUMENTATION).to_string(),
        port: 80,
        scheme: TargetScheme::Http,
    };
    let site = Site {
        target: &target,
        addresses: &[address],
        trust,
        proxy: None,
    };
    let answer = timeout(PATIENCE, site.ask("/")).await;
    match answer {
        Ok(Ok(page)) => Some(match page.answer {
            Answer::Status(511 | 200..300) => Interception::Portal { login: None },
            Answer::Status(300..400) | Answer::Redirect(_) => Interception::Portal {
                login: page.location,
            },
            Answer::Status(_) => Interception::Proxy,
        }),
        Ok(Err(WebError::NotHttp | WebError::Page)) => Some(Interception::Proxy),
        // A firewall that refuses or cuts the connection does not pose as a server.
        Ok(Err(_)) | Err(_) => None,
    }
}

const DOCUMENTATION: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// How long an answer may take; a host that intercepts is near.
const PATIENCE: Duration = Duration::from_secs(3);
