//! Networks that limits count by.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The network that an address is counted by: its /24 of IPv4 or its /64 of IPv6.
///
/// One subscriber has a whole /64 of IPv6 and often some neighbours in IPv4, so a limit that counts
/// single addresses limits no one who wants to get past it. An IPv4-mapped IPv6 address counts as
/// the IPv4 address.
///
/// ```
/// use jackfield_sansio::ClientNetwork;
///
/// let of = |ip: &str| ClientNetwork::of(ip.parse().expect("an address"));
/// assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.200"));
/// assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
/// assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
/// assert_eq!(of("2001:db8::1").to_string(), "2001:db8::/64");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientNetwork(IpAddr);

impl ClientNetwork {
    /// Returns the network of `address`.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & !0xff).into(),
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        })
    }
}

impl fmt::Display for ClientNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = if self.0.is_ipv4() { 24 } else { 64 };
        write!(f, "{}/{bits}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> ClientNetwork {
        ClientNetwork::of(address.parse().unwrap())
    }

    #[test]
    fn the_first_24_or_64_bits_count() {
        assert_eq!(of("192.0.2.0"), of("192.0.2.255"));
        assert_ne!(of("192.0.2.255"), of("192.0.3.0"));
        assert_eq!(of("192.0.2.7"), of("::ffff:192.0.2.9"));
        assert_eq!(of("2001:db8:1:2::"), of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8:1:2::"), of("2001:db8:1:3::"));
    }

    #[test]
    fn a_network_reads_as_cidr() {
        assert_eq!(of("192.0.2.7").to_string(), "192.0.2.0/24");
        assert_eq!(of("2001:db8::7").to_string(), "2001:db8::/64");
    }
}
