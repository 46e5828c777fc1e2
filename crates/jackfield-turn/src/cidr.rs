//! Ranges of addresses as `address/length`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A range of addresses in prefix notation, such as `192.168.0.0/16`; a bare address is a range of
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    first: IpAddr,
    prefix: u8,
}

/// Why a text is not a range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CidrError {
    /// What is before the slash is not an address.
    #[error("not an IP address; expected ADDRESS/PREFIX, such as 192.168.0.0/16 or fd00::/8")]
    Address,
    /// What is after the slash is not a number that the family allows.
    #[error("the prefix is not a number from 0 to 32 for IPv4, or 0 to 128 for IPv6")]
    Prefix,
    /// Bits beyond the prefix are set, which hints at a slip.
    #[error("the address has bits set beyond the prefix of {0}")]
    HostBits(u8),
}

impl Cidr {
    /// Returns the range that starts at `first`.
    pub fn new(first: IpAddr, prefix: u8) -> Result<Self, CidrError> {
        let bits = match first {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        if prefix > bits {
            return Err(CidrError::Prefix);
        }
        let cidr = Self { first, prefix };
        if cidr.bounds().0 != number(first) {
            return Err(CidrError::HostBits(prefix));
        }
        Ok(cidr)
    }

    /// Returns the range that `ip` is in and whose addresses have the first `prefix` bits in
    /// common; `None` if the family has fewer bits.
    #[must_use]
    pub fn around(ip: IpAddr, prefix: u8) -> Option<Self> {
        let first = match ip {
            IpAddr::V4(v4) => {
                let host_bits = 32u32.checked_sub(prefix.into())?;
                let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
                Ipv4Addr::from_bits(v4.to_bits() & mask).into()
            }
            IpAddr::V6(v6) => {
                let host_bits = 128u32.checked_sub(prefix.into())?;
                let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
                Ipv6Addr::from_bits(v6.to_bits() & mask).into()
            }
        };
        Some(Self { first, prefix })
    }

    /// Returns the lowest address of the range.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// Returns how many bits the addresses of the range have in common.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Returns whether `ip` is in the range. An IPv4-mapped IPv6 address is in no IPv4 range.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let (first, last) = self.bounds();
        self.first.is_ipv4() == ip.is_ipv4() && (first..=last).contains(&number(ip))
    }

    /// Returns whether the range is of IPv4 addresses.
    #[must_use]
    pub fn is_ipv4(&self) -> bool {
        self.first.is_ipv4()
    }

    /// Returns the first and the last address as integers.
    pub(crate) fn bounds(&self) -> (u128, u128) {
        let bits = if self.first.is_ipv4() { 32 } else { 128 };
        let host_bits = bits - u32::from(self.prefix);
        let mask = 1u128
            .checked_shl(host_bits)
            .map_or(u128::MAX, |size| size - 1);
        let first = number(self.first) & !mask;
        (first, first | mask)
    }
}

/// Returns an address as an integer of its own family.
pub(crate) fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| CidrError::Address)?;
        let prefix = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| CidrError::Prefix)?,
            None if first.is_ipv4() => 32,
            None => 128,
        };
        Self::new(first, prefix)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

impl From<IpAddr> for Cidr {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => ip.into(),
            IpAddr::V6(ip) => ip.into(),
        }
    }
}

impl From<Ipv4Addr> for Cidr {
    fn from(ip: Ipv4Addr) -> Self {
        Self {
            first: ip.into(),
            prefix: 32,
        }
    }
}

impl From<Ipv6Addr> for Cidr {
    fn from(ip: Ipv6Addr) -> Self {
        Self {
            first: ip.into(),
            prefix: 128,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_edges_of_a_range_are_in_and_their_neighbours_out() {
        let range: Cidr = "100.64.0.0/10".parse().unwrap();
        for (ip, inside) in [
            ("100.63.255.255", false),
            ("100.64.0.0", true),
            ("100.127.255.255", true),
            ("100.128.0.0", false),
        ] {
            assert_eq!(range.contains(ip.parse().unwrap()), inside, "{ip}");
        }
        let all: Cidr = "::/0".parse().unwrap();
        assert!(all.contains("ffff::1".parse().unwrap()));
        assert!(!all.contains("1.2.3.4".parse().unwrap()));
    }

    #[test]
    fn the_range_around_an_address_begins_with_its_network() {
        let around = |ip: &str, prefix| Cidr::around(ip.parse().unwrap(), prefix);
        for (ip, prefix, range) in [
            ("192.0.2.77", 26, "192.0.2.64/26"),
            ("192.0.2.77", 32, "192.0.2.77/32"),
            ("192.0.2.77", 0, "0.0.0.0/0"),
            ("2001:db8::77", 64, "2001:db8::/64"),
            ("2001:db8::77", 128, "2001:db8::77/128"),
            ("2001:db8::77", 0, "::/0"),
        ] {
            assert_eq!(around(ip, prefix), range.parse().ok(), "{ip}/{prefix}");
        }
        assert_eq!(around("192.0.2.77", 33), None);
        assert_eq!(around("2001:db8::77", 129), None);
    }

    #[test]
    fn a_wrong_range_is_refused_with_its_reason() {
        assert_eq!("10.0.0.1/8".parse::<Cidr>(), Err(CidrError::HostBits(8)));
        assert_eq!("10.0.0.0/33".parse::<Cidr>(), Err(CidrError::Prefix));
        assert_eq!("ten/8".parse::<Cidr>(), Err(CidrError::Address));
    }

    proptest! {
        #[test]
        fn text_round_trips(ip: u128, prefix in 0u8..=128) {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            let range = Cidr::new(Ipv6Addr::from(ip & mask).into(), prefix).unwrap();
            prop_assert_eq!(range.to_string().parse(), Ok(range));
        }
    }
}
