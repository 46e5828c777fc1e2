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
fn all() -> Vec<IpAddr> {
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

/// Returns whether an address is of a network that the internet has no way into: loopback, private,
/// link-local, or behind a carrier's NAT.
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xC0 == 64; // RFC 6598
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || shared
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}
