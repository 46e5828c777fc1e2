//! The path to the server: how large packets may be, and which routers are on it.

use std::net::SocketAddr;

use crate::facts::{PathMtu, Udp};
#[cfg(target_os = "linux")]
use crate::trace::blocking;

/// Sends packets of many sizes, if the server answers at all.
#[cfg(target_os = "linux")]
pub(super) async fn measure(udp: &Udp) -> Option<PathMtu> {
    use jackfield_driver::discovery::mtu::{MtuConfig, path_mtu};
    let Udp::Answered(server, _) = *udp else {
        return None;
    };
    let measuring = move || path_mtu(server, &MtuConfig::default());
    match blocking(measuring).await {
        Ok(Ok(Some(found))) => Some(PathMtu {
            local: found.local,
            path: found.path,
            told_by: found.told.map(|told| told.router),
        }),
        Ok(Ok(None)) => None,
        Ok(Err(error)) => {
            tracing::debug!(%error, "The path MTU cannot be measured");
            None
        }
        Err(error) => {
            tracing::debug!(%error, "The measurement of the path MTU ended early");
            None
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) async fn measure(_udp: &Udp) -> Option<PathMtu> {
    None
}

/// Returns the routers on the way to a server, and whether the server comes right after them.
#[cfg(target_os = "linux")]
pub(super) async fn routers(server: Option<SocketAddr>) -> (Vec<Option<std::net::IpAddr>>, bool) {
    use jackfield_driver::discovery::hops::{HopsConfig, hops};
    let Some(server) = server else {
        return (Vec::new(), false);
    };
    let found = blocking(move || hops(server, &HopsConfig::default())).await;
    match found {
        Ok(Ok(hops)) => (hops.routers, hops.is_all),
        _ => (Vec::new(), false),
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) async fn routers(_server: Option<SocketAddr>) -> (Vec<Option<std::net::IpAddr>>, bool) {
    (Vec::new(), false)
}
