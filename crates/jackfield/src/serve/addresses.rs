//! This machine's own addresses.

use std::net::IpAddr;

/// Returns the addresses of this machine's interfaces, loopback and link-local ones left out.
pub(super) fn local() -> Vec<IpAddr> {
    all()
        .into_iter()
        .filter(|ip| match ip {
            IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
            IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
        })
        .collect()
}

/// Returns every address of this machine's interfaces; none if the system does not tell.
pub(super) fn all() -> Vec<IpAddr> {
    match if_addrs::get_if_addrs() {
        Ok(interfaces) => {
            let mut addresses: Vec<IpAddr> =
                interfaces.iter().map(if_addrs::Interface::ip).collect();
            addresses.sort();
            addresses.dedup();
            addresses
        }
        Err(error) => {
            tracing::warn!(%error, "Cannot list this machine's addresses");
            Vec::new()
        }
    }
}
