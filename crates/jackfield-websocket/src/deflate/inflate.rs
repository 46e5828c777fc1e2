//! One direction's decompressor.

use flate2::{Decompress, FlushDecompress, Status};

use super::TAIL;
use crate::Violation;

/// Decompresses messages as they come in.
#[derive(Debug)]
pub(crate) struct Inflater {
    inner: Decompress,
}

impl Inflater {
    /// Returns a decompressor with the largest window, which reads what any smaller window wrote.
    pub(crate) fn new() -> Self {
        Self {
            // `false`: a message is bare DEFLATE, without zlib's header and checksum.
            inner: Decompress::new(false),
        }
    }

    /// Forgets the messages so far.
    pub(crate) fn reset(&mut self) {
        self.inner.reset(false);
    }

    /// Hands to `sink`, piece by piece, what `input` decompresses to.
    ///
    /// # Errors
    /// [`Violation::CorruptDeflate`], and the first error of `sink`.
    pub(crate) fn push(
        &mut self,
        mut input: &[u8],
        mut sink: impl FnMut(&[u8]) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        let mut out = [0; PIECE];
        loop {
            let (taken_before, made_before) = (self.inner.total_in(), self.inner.total_out());
            let status = self
                .inner
                .decompress(input, &mut out, FlushDecompress::Sync)
                .map_err(|_| Violation::CorruptDeflate)?;
            let taken = (self.inner.total_in() - taken_before) as usize;
            let made = (self.inner.total_out() - made_before) as usize;
            input = input.get(taken..).unwrap_or_default();
            sink(out.get(..made).unwrap_or_default())?;
            match status {
                // RFC 7692 §7.2.1 lets a sender set BFINAL on any block. zlib takes that for the
                // end of all, so the block behind it needs a new start.
                Status::StreamEnd => self.inner.reset(false),
                Status::Ok | Status::BufError => {
                    let room = made < PIECE;
                    if room && input.is_empty() {
                        return Ok(());
                    }
                    // Without progress the loop would not end.
                    if room && taken == 0 && made == 0 {
                        return Err(Violation::CorruptDeflate);
                    }
                }
            }
        }
    }

    /// Takes the four bytes that the sender left away.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub(crate) fn finish(
        &mut self,
        sink: impl FnMut(&[u8]) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        self.push(&TAIL, sink)
    }
}

/// Bytes that are decompressed at once.
const PIECE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn inflate(bytes: &[u8]) -> Result<Vec<u8>, Violation> {
        let mut out = Vec::new();
        let mut inflater = Inflater::new();
        inflater.push(bytes, into(&mut out))?;
        inflater.finish(into(&mut out))?;
        Ok(out)
    }

    fn into(out: &mut Vec<u8>) -> impl FnMut(&[u8]) -> Result<(), Violation> {
        |piece| {
            out.extend_from_slice(piece);
            Ok(())
        }
    }

    #[test]
    fn the_examples_of_the_rfc_inflate_to_hello() {
        // RFC 7692 §7.2.3.1, §7.2.3.3, §7.2.3.4, §7.2.3.5.
        let fixed = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        let stored = [
            0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
        ];
        let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
        let two = [
            0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
        ];
        for example in [&fixed[..], &stored, &last, &two] {
            assert_eq!(inflate(example), Ok(b"Hello".to_vec()));
        }
    }

    #[test]
    fn a_window_is_shared_between_messages_until_it_is_reset() {
        // RFC 7692 §7.2.3.2: the second "Hello" refers to the first.
        let mut inflater = Inflater::new();
        let mut out = Vec::new();
        for message in [
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
            &[0xf2, 0x00, 0x11, 0x00, 0x00],
        ] {
            out.clear();
            inflater.push(message, into(&mut out)).unwrap();
            inflater.finish(into(&mut out)).unwrap();
            assert_eq!(out, b"Hello");
        }
        inflater.reset();
        out.clear();
        assert_eq!(
            inflater.push(&[0xf2, 0x00, 0x11, 0x00, 0x00], into(&mut out)),
            Err(Violation::CorruptDeflate)
        );
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_held() {
        let bomb = crate::deflate::compress_once(
            crate::deflate::Coding {
                window_bits: 15,
                level: 9,
            },
            &[&vec![0u8; 10_000_000]],
        )
        .unwrap();
        let mut seen = 0;
        let refuse_above_1000 = |piece: &[u8]| {
            seen += piece.len();
            if seen > 1000 {
                return Err(Violation::MessageTooLarge);
            }
            Ok(())
        };
        assert_eq!(
            Inflater::new().push(&bomb, refuse_above_1000),
            Err(Violation::MessageTooLarge)
        );
        assert!(seen < 64 << 10, "{seen}");
    }

    #[test]
    fn noise_is_refused() {
        assert_eq!(inflate(&[0xff, 0xff, 0xff]), Err(Violation::CorruptDeflate));
    }
}
