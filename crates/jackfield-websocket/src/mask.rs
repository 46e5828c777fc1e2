//! Masking ([RFC 6455 §5.3]): the payload is XORed with a repeating key of four bytes.
//!
//! [RFC 6455 §5.3]: https://www.rfc-editor.org/rfc/rfc6455#section-5.3

/// XORs `bytes` with `key`, as if `offset` bytes of the same payload came before them.
///
/// Masking twice with the same key and offset gives the bytes back.
pub fn apply(key: [u8; 4], offset: usize, bytes: &mut [u8]) {
    // RFC 6455 §5.3 counts the key's bytes from the start of the payload, not of this piece: so
    // the key is turned by the offset. Then eight bytes are masked at once.
    let key = u32::from_le_bytes(key).rotate_right(8 * (offset as u32 % 4));
    let wide = u64::from(key) << 32 | u64::from(key);
    let (words, tail) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_le_bytes(*word) ^ wide).to_le_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(wide.to_le_bytes()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_the_rfc_unmasks_to_hello() {
        // RFC 6455 §5.7: a single-frame masked text message.
        let mut bytes = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        apply([0x37, 0xfa, 0x21, 0x3d], 0, &mut bytes);
        assert_eq!(&bytes, b"Hello");
    }

    proptest! {
        #[test]
        fn a_payload_masked_in_pieces_equals_one_masked_byte_by_byte(
            key: [u8; 4],
            payload in prop::collection::vec(any::<u8>(), 0..100),
            cut in 0usize..100,
        ) {
            let expected: Vec<u8> =
                payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
            let mut masked = payload;
            let cut = cut.min(masked.len());
            let (head, tail) = masked.split_at_mut(cut);
            apply(key, 0, head);
            apply(key, cut, tail);
            prop_assert_eq!(masked, expected);
        }
    }
}
