//! Addresses, endpoints and prefixes of both IP versions in one type each.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An IPv4 or IPv6 address as one number, so that tables hash and compare it in one step.
///
/// An IPv4 address is stored in its IPv4-mapped form
/// ([RFC 4291 §2.5.5.2](https://www.rfc-editor.org/rfc/rfc4291#section-2.5.5.2)). IPv6 packets
/// with such addresses are refused, so the two never collide.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    // Two words need an alignment of 8 bytes, a `u128` one of 16, and the size of the NAT tables
    // depends on that.
    high: u64,
    low: u64,
}

impl Address {
    const fn from_bits(bits: u128) -> Self {
        Self {
            high: (bits >> 64) as u64,
            low: bits as u64,
        }
    }

    /// Returns the IPv4 address with these 32 bits.
    #[must_use]
    pub const fn v4(bits: u32) -> Self {
        Self::from_bits(V4_MAPPED | bits as u128)
    }

    /// Returns the IPv6 address with these 128 bits.
    #[must_use]
    pub const fn v6(bits: u128) -> Self {
        Self::from_bits(bits)
    }

    /// Returns whether this is an IPv4 address.
    #[must_use]
    pub const fn is_v4(self) -> bool {
        self.high == 0 && self.low >> 32 == 0xffff
    }

    /// Returns the 32 bits of an IPv4 address.
    #[must_use]
    pub fn to_v4(self) -> Option<u32> {
        self.is_v4().then_some(self.low as u32)
    }

    /// Returns all 128 bits; an IPv4 address is in its IPv4-mapped form.
    #[must_use]
    pub const fn bits(self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }

    /// Returns the upper and the lower 64 bits.
    #[inline]
    pub(crate) const fn halves(self) -> (u64, u64) {
        (self.high, self.low)
    }

    /// Returns the sum of the 16-bit words of the address as they stand in a header.
    pub(crate) fn word_sum(self) -> u32 {
        let words = |pair: u32| (pair >> 16) + (pair & 0xffff);
        match self.to_v4() {
            Some(bits) => words(bits),
            None => [self.high, self.low]
                .map(|word| words((word >> 32) as u32) + words(word as u32))
                .iter()
                .sum(),
        }
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => ip.into(),
            IpAddr::V6(ip) => ip.into(),
        }
    }
}

impl From<Ipv4Addr> for Address {
    fn from(ip: Ipv4Addr) -> Self {
        Self::v4(ip.to_bits())
    }
}

impl From<Ipv6Addr> for Address {
    fn from(ip: Ipv6Addr) -> Self {
        Self::v6(ip.to_bits())
    }
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> Self {
        match address.to_v4() {
            Some(bits) => Self::V4(Ipv4Addr::from_bits(bits)),
            None => Self::V6(Ipv6Addr::from_bits(address.bits())),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        IpAddr::from(*self).fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        IpAddr::from(*self).fmt(f)
    }
}

/// An address and a port; for ICMP queries the port is the query identifier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The IP address.
    pub address: Address,
    /// The UDP or TCP port, or the ICMP query identifier.
    pub port: u16,
}

impl Endpoint {
    /// Returns the endpoint at `port` of `address`.
    pub fn new(address: impl Into<Address>, port: u16) -> Self {
        Self {
            address: address.into(),
            port,
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(socket: SocketAddr) -> Self {
        Self::new(socket.ip(), socket.port())
    }
}

impl From<Endpoint> for SocketAddr {
    fn from(endpoint: Endpoint) -> Self {
        Self::new(endpoint.address.into(), endpoint.port)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::from(*self).fmt(f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::from(*self).fmt(f)
    }
}

/// An address prefix, such as `192.168.0.0/16` or `2001:db8::/48`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// The first address.
    address: Address,
    /// How many leading bits are fixed: 0 to 32 for IPv4, 0 to 128 for IPv6.
    length: u8,
}

impl Prefix {
    /// Returns the prefix of `length` bits that contains `ip`; `None` if `length` is too long for
    /// the family.
    #[must_use]
    pub fn new(ip: IpAddr, length: u8) -> Option<Self> {
        let address = Address::from(ip);
        let most = if address.is_v4() { 32 } else { 128 };
        if length > most {
            return None;
        }
        let mask = Self::mask(address.is_v4(), length);
        Some(Self {
            address: Address::from_bits(address.bits() & mask),
            length,
        })
    }

    /// Returns a prefix whose address has no bits beyond `length`; the caller guarantees that.
    pub(crate) const fn fixed(address: Address, length: u8) -> Self {
        Self { address, length }
    }

    /// Returns whether `address` is in the prefix.
    #[must_use]
    pub fn contains(&self, address: Address) -> bool {
        address.is_v4() == self.address.is_v4()
            && address.bits() & Self::mask(self.address.is_v4(), self.length) == self.address.bits()
    }

    /// Returns the first address of the prefix.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// Returns the number of fixed bits.
    #[must_use]
    pub fn length(&self) -> u8 {
        self.length
    }

    /// Returns the first address for a machine: the one after the address of the network.
    #[must_use]
    pub fn first_host(&self) -> IpAddr {
        let single = if self.address.is_v4() { 32 } else { 128 };
        Address::from_bits(self.address.bits() | u128::from(self.length < single)).into()
    }

    /// Returns a mask over all 128 bits. An IPv4 prefix always fixes the IPv4-mapped marker.
    fn mask(v4: bool, length: u8) -> u128 {
        let length = u32::from(length) + if v4 { 96 } else { 0 };
        u128::MAX.checked_shl(128 - length).unwrap_or(0)
    }
}

/// An error: the text is not a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an address, a slash and a number of bits, such as 192.168.0.0/16")]
pub struct PrefixError;

impl std::str::FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (ip, length) = text.split_once('/').ok_or(PrefixError)?;
        let ip = ip.parse().map_err(|_| PrefixError)?;
        let length = length.parse().map_err(|_| PrefixError)?;
        Self::new(ip, length).ok_or(PrefixError)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `::ffff:0:0`, the prefix of IPv4-mapped addresses.
const V4_MAPPED: u128 = 0xffff_0000_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_survive_the_round_trip() {
        for text in [
            "192.0.2.1",
            "0.0.0.0",
            "255.255.255.255",
            "2001:db8::1",
            "::",
        ] {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(IpAddr::from(Address::from(ip)), ip);
        }
    }

    #[test]
    fn a_prefix_contains_its_own_addresses_and_no_other_family() {
        let lan = Prefix::new("192.168.7.9".parse().unwrap(), 16).unwrap();
        assert_eq!(lan.to_string(), "192.168.0.0/16");
        assert!(lan.contains(Address::v4(0xc0a8_ffff)));
        assert!(!lan.contains(Address::v4(0xc0a9_0000)));
        let all = Prefix::new("::".parse().unwrap(), 0).unwrap();
        assert!(all.contains(Address::v6(7)) && !all.contains(Address::v4(7)));
        assert_eq!(Prefix::new("10.0.0.0".parse().unwrap(), 33), None);
    }
}
