//! NPTv6: one IPv6 prefix for another, without state (RFC 6296).

use super::{DropReason, Nat, Side, Verdict};
use crate::packet::bytes::put;
use crate::packet::rewrite::decrement_ttl;
use crate::packet::{Headers, Packet};
use crate::{Address, Prefix};

impl Nat {
    /// Replaces the inside prefix of a packet's address by the outside prefix, or the other way
    /// round, without any state ([RFC 6296 §3](https://www.rfc-editor.org/rfc/rfc6296#section-3)).
    ///
    /// The new address has the same checksum as the old one, so no transport header changes,
    /// whatever the protocol.
    pub(super) fn translate_prefix(
        &self,
        from: Side,
        packet: &mut Packet<'_>,
        mut headers: Headers,
        internal: Prefix,
        external: Prefix,
    ) -> Result<Verdict, DropReason> {
        let (address, at, old, new) = match from {
            Side::Inside => (headers.source, 8, internal, external),
            Side::Outside => (headers.destination, 24, external, internal),
        };
        if headers.is_v4() {
            return Err(DropReason::WrongFamily);
        }
        if !old.contains(address) {
            return Err(DropReason::NotForUs);
        }
        let translated = swap_prefix(address, old, new).ok_or(DropReason::Untranslatable)?;
        put(packet.bytes_mut(), at, &translated.bits().to_be_bytes());
        if self.config.decrement_ttl {
            decrement_ttl(packet.bytes_mut(), &mut headers);
        }
        Ok(Verdict::Forward)
    }
}

/// Returns an address under another prefix. One word after the prefix is adjusted so that the
/// checksum of the address stays the same.
///
/// Returns `None` when every word that may be adjusted is 0xffff, the one value that cannot be
/// adjusted ([RFC 6296 §3.5]).
///
/// [RFC 6296 §3.5]: https://www.rfc-editor.org/rfc/rfc6296#section-3.5
pub(super) fn swap_prefix(address: Address, old: Prefix, new: Prefix) -> Option<Address> {
    // RFC 6296 §3.1: the shorter prefix is extended with zeros to the length of the longer one.
    let length = u32::from(old.length().max(new.length()));
    let keep = u128::MAX.checked_shr(length).unwrap_or(0);
    let swapped = new.address().bits() | (address.bits() & keep);
    // RFC 6296 §3.4 and §3.5: prefixes of up to 48 bits leave the subnet word to adjust; longer
    // ones only words of the interface identifier.
    let candidates = if length <= 48 { 3..4 } else { 4..8 };
    for index in candidates {
        let shift = 112 - 16 * index;
        let word = (swapped >> shift) as u16;
        // Zero and 0xffff are one number in ones' complement, so the way back could not tell which
        // of them was here.
        if word == 0xffff {
            continue;
        }
        // Only the prefixes differ, so the sums of the whole addresses differ by what §3.1 calls
        // the adjustment.
        let difference = adjustment(address, Address::v6(swapped));
        let adjusted = match add(word, difference) {
            0xffff => 0,
            sum => sum,
        };
        let cleared = swapped & !(0xffff << shift);
        return Some(Address::v6(cleared | u128::from(adjusted) << shift));
    }
    None
}

/// Returns the number to add to a word of `new` so that its sum equals that of `old`.
fn adjustment(old: Address, new: Address) -> u16 {
    let sum =
        |address: Address| (0..8).fold(0, |sum, n| add(sum, (address.bits() >> (16 * n)) as u16));
    add(sum(old), !sum(new))
}

/// Adds in ones' complement.
fn add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u16::from(carry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_6296_section_3_6_comes_out() {
        let internal: Prefix = "fd01:203:405::/48".parse().unwrap();
        let external: Prefix = "2001:db8:1::/48".parse().unwrap();
        let inside = address("fd01:203:405:1::1234");
        let outside = address("2001:db8:1:d550::1234");
        assert_eq!(swap_prefix(inside, internal, external), Some(outside));
        assert_eq!(swap_prefix(outside, external, internal), Some(inside));
    }

    #[test]
    fn a_word_that_would_become_all_ones_becomes_zero() {
        let internal: Prefix = "fd01:203:405::/48".parse().unwrap();
        let external: Prefix = "2001:db8:1::/48".parse().unwrap();
        let (inside, outside) = (address("fd01:203:405:2ab0::1"), address("2001:db8:1::1"));
        assert_eq!(swap_prefix(inside, internal, external), Some(outside));
        assert_eq!(swap_prefix(outside, external, internal), Some(inside));
    }

    proptest! {
        #[test]
        fn the_way_there_and_back_ends_where_it_began(host in any::<u128>(), short in any::<bool>()) {
            let length = if short { 48 } else { 56 };
            let internal = Prefix::new("fd01:203:405::".parse().unwrap(), length).unwrap();
            let external = Prefix::new("2001:db8:1::".parse().unwrap(), length).unwrap();
            let inside = Address::v6(internal.address().bits() | (host & (u128::MAX >> length)));
            if let Some(outside) = swap_prefix(inside, internal, external) {
                prop_assert!(external.contains(outside));
                prop_assert_eq!(adjustment(inside, outside) % 0xffff, 0);
                prop_assert_eq!(swap_prefix(outside, external, internal), Some(inside));
            }
        }
    }

    fn address(text: &str) -> Address {
        text.parse::<std::net::Ipv6Addr>().unwrap().into()
    }
}
