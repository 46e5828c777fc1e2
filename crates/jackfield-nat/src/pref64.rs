//! IPv4 addresses embedded in IPv6 addresses
//! ([RFC 6052 §2.2](https://www.rfc-editor.org/rfc/rfc6052#section-2.2)).

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::{Address, Prefix};

impl Prefix {
    /// The well-known prefix `64:ff9b::/96`, for networks without a prefix of their own
    /// ([RFC 6052 §2.1](https://www.rfc-editor.org/rfc/rfc6052#section-2.1)).
    pub const WELL_KNOWN_64: Self = Self::fixed(Address::v6(0x64_ff9b << 96), 96);

    /// Returns the IPv6 address under this prefix that stands for an IPv4 address.
    ///
    /// Returns `None` when the prefix is not an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits.
    ///
    /// ```
    /// use jackfield_nat::Prefix;
    ///
    /// let v6 = Prefix::WELL_KNOWN_64.embed("192.0.2.33".parse()?);
    /// assert_eq!(v6, Some("64:ff9b::c000:221".parse()?));
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    #[must_use]
    pub fn embed(&self, ip: Ipv4Addr) -> Option<Ipv6Addr> {
        let v4 = u128::from(ip.to_bits());
        let placed = match self.split()? {
            Split::None => v4,
            Split::After(before) => {
                let after = 32 - before;
                let high = v4 >> after << 64;
                let low = v4 & ((1 << after) - 1);
                high | low << (56 - after)
            }
        };
        Some(Ipv6Addr::from_bits(self.address().bits() | placed))
    }

    /// Returns the IPv4 address that an IPv6 address under this prefix stands for.
    ///
    /// Returns `None` when the address is not under the prefix, or the prefix has another length
    /// than [`Prefix::embed`] accepts.
    #[must_use]
    pub fn extract(&self, ip: Ipv6Addr) -> Option<Ipv4Addr> {
        let bits = ip.to_bits();
        if !self.contains(ip.into()) {
            return None;
        }
        let v4 = match self.split()? {
            Split::None => bits,
            Split::After(before) => {
                let after = 32 - before;
                let high = bits >> 64 & ((1 << before) - 1);
                let low = bits >> (56 - after) & ((1 << after) - 1);
                high << after | low
            }
        };
        Some(Ipv4Addr::from_bits(v4 as u32))
    }

    fn split(&self) -> Option<Split> {
        match self.length() {
            _ if self.address().is_v4() => None,
            96 => Some(Split::None),
            length @ (32 | 40 | 48 | 56 | 64) => Some(Split::After(64 - u32::from(length))),
            _ => None,
        }
    }
}

/// Where an IPv4 address lies in an IPv6 address.
enum Split {
    /// In its last 32 bits.
    None,
    /// This many bits end at bit 64, and the rest begins at bit 72. The eight bits between stay
    /// zero.
    After(u32),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_rfc_6052_section_2_4_come_out() {
        let v4: Ipv4Addr = "192.0.2.33".parse().unwrap();
        for (prefix, expected) in [
            ("2001:db8::/32", "2001:db8:c000:221::"),
            ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
            ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
            ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
            ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
            ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
            ("64:ff9b::/96", "64:ff9b::192.0.2.33"),
        ] {
            let prefix: Prefix = prefix.parse().unwrap();
            let expected: Ipv6Addr = expected.parse().unwrap();
            assert_eq!(prefix.embed(v4), Some(expected), "{prefix}");
            assert_eq!(prefix.extract(expected), Some(v4), "{prefix}");
        }
    }

    #[test]
    fn other_prefixes_hold_no_address() {
        for prefix in ["2001:db8::/33", "2001:db8::/128", "10.0.0.0/32"] {
            let prefix: Prefix = prefix.parse().unwrap();
            assert_eq!(prefix.embed(Ipv4Addr::LOCALHOST), None);
        }
        let elsewhere = "2001:db8::1".parse().unwrap();
        assert_eq!(Prefix::WELL_KNOWN_64.extract(elsewhere), None);
    }

    proptest! {
        #[test]
        fn what_is_embedded_is_extracted(bits in any::<u32>(), choice in 0..6_usize) {
            let length = [32, 40, 48, 56, 64, 96][choice];
            let prefix = Prefix::new("2001:db8:122:344::".parse().unwrap(), length).unwrap();
            let v6 = prefix.embed(Ipv4Addr::from_bits(bits)).unwrap();
            prop_assert_eq!(v6.octets()[8], 0);
            prop_assert_eq!(prefix.extract(v6), Some(Ipv4Addr::from_bits(bits)));
        }
    }
}
