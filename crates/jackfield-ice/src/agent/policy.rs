//! Which remote addresses an agent sends checks to.
//!
//! Remote candidates come from signaling, which may be the other side's invention: without rules
//! they would have us send packets to services on our own host, to our router, or to the metadata
//! service of a cloud.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Which remote candidates are accepted.
///
/// Multicast, broadcast, unspecified and metadata addresses, and port 0, are never accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RemotePolicy {
    /// Whether loopback addresses are accepted: for tests, and two programs on one host. Default:
    /// no.
    pub loopback: bool,
    /// Whether link-local addresses are accepted (169.254.0.0/16, fe80::/10). Default: no.
    pub link_local: bool,
}

/// Why a remote address is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Packets to port 0 cannot be answered.
    #[error("port 0 cannot be answered")]
    Port,
    /// A loopback address.
    #[error("a loopback address")]
    Loopback,
    /// A link-local address.
    #[error("a link-local address")]
    LinkLocal,
    /// A multicast or broadcast address.
    #[error("a multicast or broadcast address")]
    Multicast,
    /// The unspecified address, or another one of 0.0.0.0/8.
    #[error("an unspecified address")]
    Unspecified,
    /// A cloud's metadata service.
    #[error("the address of a metadata service")]
    Metadata,
}

impl RemotePolicy {
    /// Checks that packets may be sent to an address.
    ///
    /// # Errors
    /// The first rule that the address breaks.
    pub fn check(&self, address: SocketAddr) -> Result<(), AddressError> {
        if address.port() == 0 {
            return Err(AddressError::Port);
        }
        self.check_ip(address.ip())
    }

    /// Checks an address without its port; an IPv4-mapped one counts as IPv4.
    ///
    /// # Errors
    /// The first rule that the address breaks.
    pub fn check_ip(&self, ip: IpAddr) -> Result<(), AddressError> {
        let ip = ip.to_canonical();
        if METADATA.contains(&ip) {
            return Err(AddressError::Metadata);
        }
        let is_unspecified = match ip {
            IpAddr::V4(ip) => ip.octets().starts_with(&[0]),
            IpAddr::V6(ip) => ip.is_unspecified(),
        };
        let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.octets().starts_with(&[255]));
        if is_unspecified {
            Err(AddressError::Unspecified)
        } else if ip.is_multicast() || is_broadcast {
            Err(AddressError::Multicast)
        } else if ip.is_loopback() && !self.loopback {
            Err(AddressError::Loopback)
        } else if is_link_local(ip) && !self.link_local {
            Err(AddressError::LinkLocal)
        } else {
            Ok(())
        }
    }
}

/// Returns whether an address is link-local.
pub(super) fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// Returns whether an address is of a private network, which other networks reuse.
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let is_shared = matches!(ip.octets(), [100, second, ..] if second & 0xC0 == 64);
            ip.is_private() || is_shared || ip.is_link_local()
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// Returns whether two addresses look like those of one network: the first 24 bits of IPv4 or 64
/// of IPv6 are the same.
pub(super) fn share_prefix(one: IpAddr, other: IpAddr) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            one.octets().first_chunk::<3>() == other.octets().first_chunk::<3>()
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            one.octets().first_chunk::<8>() == other.octets().first_chunk::<8>()
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// Where clouds answer questions about the machine that asks, credentials included.
const METADATA: &[IpAddr] = &[
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xFD00, 0xEC2, 0, 0, 0, 0, 0, 0x254)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_only_a_crafted_candidate_has_are_refused() {
        let policy = RemotePolicy::default();
        let cases = [
            ("192.0.2.1:0", AddressError::Port),
            ("127.0.0.1:80", AddressError::Loopback),
            ("[::1]:80", AddressError::Loopback),
            ("[::ffff:127.0.0.1]:80", AddressError::Loopback),
            ("169.254.1.1:80", AddressError::LinkLocal),
            ("[fe80::1]:80", AddressError::LinkLocal),
            ("169.254.169.254:80", AddressError::Metadata),
            ("[fd00:ec2::254]:80", AddressError::Metadata),
            ("224.0.0.1:80", AddressError::Multicast),
            ("255.255.255.255:80", AddressError::Multicast),
            ("[ff02::1]:80", AddressError::Multicast),
            ("0.0.0.0:80", AddressError::Unspecified),
            ("[::]:80", AddressError::Unspecified),
        ];
        for (text, error) in cases {
            assert_eq!(policy.check(text.parse().unwrap()), Err(error), "{text}");
        }
        for fine in [
            "192.168.0.1:9",
            "8.8.8.8:53",
            "[2001:db8::1]:1",
            "100.64.0.1:1",
        ] {
            assert_eq!(policy.check(fine.parse().unwrap()), Ok(()), "{fine}");
        }
    }

    #[test]
    fn a_setting_lets_loopback_and_link_local_in_but_not_metadata() {
        let policy = RemotePolicy {
            loopback: true,
            link_local: true,
        };
        for fine in ["127.0.0.1:1", "[::1]:1", "169.254.3.4:1", "[fe80::1]:1"] {
            assert_eq!(policy.check(fine.parse().unwrap()), Ok(()), "{fine}");
        }
        let metadata = "169.254.169.254:80".parse().unwrap();
        assert_eq!(policy.check(metadata), Err(AddressError::Metadata));
    }
}
