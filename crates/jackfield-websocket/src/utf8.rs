//! UTF-8 that arrives in pieces, refused at the first byte that cannot become a character.

use bytestring::ByteString;

/// Joins a text that arrives in pieces, and refuses it at the first byte that cannot become a
/// character.
///
/// Each byte is checked once: what was checked is kept as a [`String`], and up to three bytes of
/// an unfinished character wait beside it.
///
/// ```
/// use jackfield_websocket::utf8::Decoder;
///
/// let mut text = Decoder::default();
/// assert!(text.push(b"caf\xc3")); // the second byte of the character may follow
/// assert!(!text.is_complete());
/// assert!(text.push(b"\xa9"));
/// assert_eq!(text.finish().as_deref(), Some("caf\u{e9}"));
///
/// assert!(!Decoder::default().push(b"\xf5")); // no character starts so
/// ```
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    text: String,
    unfinished: [u8; 3],
    unfinished_len: u8,
}

impl Decoder {
    /// Takes the next bytes of the text; `false` says that no continuation can make it valid.
    #[must_use]
    pub fn push(&mut self, mut bytes: &[u8]) -> bool {
        // The character that the last piece cut is finished byte by byte: three more end it at
        // most.
        while self.unfinished_len > 0 {
            let Some((&byte, rest)) = bytes.split_first() else {
                return true;
            };
            if !self.push_to_unfinished(byte) {
                return false;
            }
            bytes = rest;
        }
        let end = bytes.len() - unfinished_at_end(bytes);
        let (whole, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
        let Ok(whole) = simdutf8::basic::from_utf8(whole) else {
            return false;
        };
        self.text.push_str(whole);
        rest.iter().all(|&byte| self.push_to_unfinished(byte))
    }

    /// Returns whether the text may end here: no character is unfinished.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.unfinished_len == 0
    }

    /// Returns the text; `None` if its last character is unfinished.
    #[must_use]
    pub fn finish(self) -> Option<ByteString> {
        self.is_complete().then(|| self.text.into())
    }

    /// Returns how many bytes have come.
    pub(crate) const fn len(&self) -> usize {
        self.text.len() + self.unfinished_len as usize
    }

    /// Makes room for `here` bytes and, if the room has to grow, for `ahead` more.
    pub(crate) fn reserve(&mut self, here: usize, ahead: impl FnOnce(usize) -> usize) {
        if self.text.capacity() - self.text.len() < here {
            let ahead = ahead(self.text.len());
            self.text.reserve_exact(here + ahead);
        }
    }

    fn push_to_unfinished(&mut self, byte: u8) -> bool {
        let [a, b, c] = self.unfinished;
        let character = match self.unfinished_len {
            0 => [byte, 0, 0, 0],
            1 => [a, byte, 0, 0],
            2 => [a, b, byte, 0],
            _ => [a, b, c, byte],
        };
        let seen = usize::from(self.unfinished_len) + 1;
        match std::str::from_utf8(character.get(..seen).unwrap_or_default()) {
            Ok(character) => {
                self.text.push_str(character);
                self.unfinished_len = 0;
                true
            }
            Err(error) if error.error_len().is_some() => false,
            Err(_) => {
                self.keep(byte);
                true
            }
        }
    }

    fn keep(&mut self, byte: u8) {
        if let Some(slot) = self.unfinished.get_mut(usize::from(self.unfinished_len)) {
            *slot = byte;
            self.unfinished_len += 1;
        }
    }
}

/// Returns how many bytes at the end begin a character that needs more of them.
///
/// They are cut off before the check, so that no byte is checked twice when a piece ends within a
/// character.
fn unfinished_at_end(bytes: &[u8]) -> usize {
    for (before, &byte) in bytes.iter().rev().take(3).enumerate() {
        let here = before + 1;
        let needed = match byte {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        return if needed > here { here } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns whether some continuation makes `bytes` valid, by the standard library on the whole.
    fn may_become_valid(bytes: &[u8]) -> bool {
        std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true)
    }

    #[test]
    fn a_surrogate_is_refused_at_its_second_byte() {
        let mut text = Decoder::default();
        assert!(text.push(b"\xed"));
        assert!(!text.push(b"\xa0"));
    }

    #[test]
    fn a_code_point_above_the_last_is_refused_at_its_second_byte() {
        let mut text = Decoder::default();
        assert!(text.push(b"\xf4"));
        assert!(!text.push(b"\x90"));
    }

    proptest! {
        #[test]
        fn every_prefix_is_judged_as_the_standard_library_judges_it(
            text in "\\PC{0,24}",
            noise in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
            piece in 1usize..7,
        ) {
            let mut bytes = text.into_bytes();
            if let Some((at, byte)) = noise && !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let mut decoder = Decoder::default();
            let mut seen = 0;
            for chunk in bytes.chunks(piece) {
                seen += chunk.len();
                let ok = decoder.push(chunk);
                prop_assert_eq!(ok, may_become_valid(&bytes[..seen]));
                if !ok {
                    return Ok(());
                }
                prop_assert_eq!(decoder.len(), seen);
                let text = decoder.clone().finish();
                prop_assert_eq!(text.as_deref(), std::str::from_utf8(&bytes[..seen]).ok());
            }
        }
    }
}
