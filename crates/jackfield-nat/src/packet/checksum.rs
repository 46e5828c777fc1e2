//! The Internet checksum ([RFC 1071](https://www.rfc-editor.org/rfc/rfc1071)), computed, and
//! updated by a difference.

use crate::Address;

/// A change of some 16-bit words of a packet, as the Internet checksum sees it.
///
/// The sum of `!old + new` over the changed words, applied once, is equation 3 of
/// [RFC 1624 §3](https://www.rfc-editor.org/rfc/rfc1624#section-3).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Delta(u64);

impl Delta {
    /// Adds a changed word.
    pub(crate) fn word(mut self, old: u16, new: u16) -> Self {
        self.0 += u64::from(!old) + u64::from(new);
        self
    }

    /// Adds a changed address.
    pub(crate) fn address(mut self, old: Address, new: Address) -> Self {
        self.0 += u64::from(8 * 0xffff - old.word_sum()) + u64::from(new.word_sum());
        self
    }

    /// Adds a change of covered words whose sum was `old` and is now `new`.
    pub(crate) fn sums(mut self, old: u32, new: u32) -> Self {
        self.0 += u64::from(!fold(u64::from(old))) + u64::from(new);
        self
    }

    /// Returns `checksum` after the change.
    pub(crate) fn apply(self, checksum: u16) -> u16 {
        !fold(self.0 + u64::from(!checksum))
    }
}

/// Returns the sum of the big-endian 16-bit words of `bytes`, an odd byte padded with zero; at
/// most 0xffff.
///
/// The bytes are added up as 32-bit words of this machine's byte order, which compilers turn into
/// vector instructions: the sum of swapped words is the swapped sum, and carries come back in when
/// the sum is folded ([RFC 1071 §2](https://www.rfc-editor.org/rfc/rfc1071#section-2)).
#[inline]
#[must_use]
pub fn sum(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut total: u64 = words
        .iter()
        .map(|word| u64::from(u32::from_ne_bytes(*word)))
        .sum();
    let (half, odd) = rest.as_chunks::<2>();
    if let [half] = half {
        total += u64::from(u16::from_ne_bytes(*half));
    }
    if let [odd] = odd {
        total += u64::from(u16::from_ne_bytes([*odd, 0]));
    }
    u32::from(u16::from_be(fold(total)))
}

/// Returns the Internet checksum over words that sum up to `total`.
#[inline]
#[must_use]
pub fn finish(total: u32) -> u16 {
    !fold(u64::from(total))
}

/// Returns the sum of a pseudo-header
/// ([RFC 9293 §3.1](https://www.rfc-editor.org/rfc/rfc9293#section-3.1),
/// [RFC 8200 §8.1](https://www.rfc-editor.org/rfc/rfc8200#section-8.1)).
#[must_use]
pub fn pseudo_header(source: Address, destination: Address, protocol: u8, length: usize) -> u32 {
    let length = length as u32;
    source.word_sum()
        + destination.word_sum()
        + u32::from(protocol)
        + (length >> 16)
        + (length & 0xffff)
}

/// Adds the carries back until none are left.
#[inline]
#[must_use]
pub fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total >> 16) + (total & 0xffff);
    }
    total as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_checksum_of_rfc_1071_section_3_comes_out() {
        let words = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(finish(sum(&words)), !0xddf2);
    }

    #[test]
    fn odd_lengths_are_padded_and_empty_ones_are_zero() {
        for (bytes, expected) in [
            (&[][..], 0),
            (&[1], 0x0100),
            (&[1, 2], 0x0102),
            (&[1, 2, 3], 0x0402),
            (&[0xff; 4], 0xffff),
            (&[0xff; 7], 0xff00),
        ] {
            assert_eq!(sum(bytes), expected, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn words_of_this_machine_add_up_as_big_endian_ones_do(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let word = |pair: &[u8]| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low));
            let total: u64 = bytes.chunks(2).map(word).sum();
            prop_assert_eq!(sum(&bytes), u32::from(fold(total)));
        }

        #[test]
        fn an_incremental_update_equals_a_computed_checksum(
            mut bytes in proptest::collection::vec(any::<u8>(), 40),
            word in 0_usize..20,
            new in any::<u16>(),
        ) {
            bytes[39] |= 1; // a real packet is never all zero
            let before = finish(sum(&bytes));
            let at = word * 2;
            let old = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
            bytes[at..at + 2].copy_from_slice(&new.to_be_bytes());
            prop_assert_eq!(Delta::default().word(old, new).apply(before), finish(sum(&bytes)));
        }
    }
}
