//! UTF-8 that arrives in pieces, refused at the first byte that cannot become a character.

/// Checks a text piece by piece, keeping at most the three bytes of an unfinished character.
///
/// ```
/// use jackfield_websocket::utf8::Validator;
///
/// let mut text = Validator::default();
/// assert!(text.push(b"caf\xc3")); // the second byte of the character may follow
/// assert!(!text.is_complete());
/// assert!(text.push(b"\xa9"));
/// assert!(text.is_complete());
/// assert!(!text.push(b"\xf5")); // no character starts so
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Validator {
    unfinished: [u8; 3],
    len: u8,
}

impl Validator {
    /// Takes the next bytes of the text; `false` says that no continuation can make it valid.
    #[must_use]
    pub fn push(&mut self, mut bytes: &[u8]) -> bool {
        while self.len > 0 {
            let Some((&byte, rest)) = bytes.split_first() else {
                return true;
            };
            if !self.push_to_unfinished(byte) {
                return false;
            }
            bytes = rest;
        }
        match simdutf8::compat::from_utf8(bytes) {
            Ok(_) => true,
            Err(error) if error.error_len().is_some() => false,
            Err(error) => {
                for &byte in bytes.get(error.valid_up_to()..).unwrap_or_default() {
                    self.keep(byte);
                }
                true
            }
        }
    }

    /// Says whether the text may end here: no character is unfinished.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.len == 0
    }

    fn push_to_unfinished(&mut self, byte: u8) -> bool {
        let [a, b, c] = self.unfinished;
        let character = match self.len {
            1 => [a, byte, 0, 0],
            2 => [a, b, byte, 0],
            _ => [a, b, c, byte],
        };
        let seen = usize::from(self.len) + 1;
        match std::str::from_utf8(character.get(..seen).unwrap_or_default()) {
            Ok(_) => {
                self.len = 0;
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
        if let Some(slot) = self.unfinished.get_mut(usize::from(self.len)) {
            *slot = byte;
            self.len += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether some continuation makes `bytes` valid, by the standard library on the whole.
    fn may_become_valid(bytes: &[u8]) -> bool {
        std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true)
    }

    #[test]
    fn a_surrogate_is_refused_at_its_second_byte() {
        let mut text = Validator::default();
        assert!(text.push(b"\xed"));
        assert!(!text.push(b"\xa0"));
    }

    #[test]
    fn a_code_point_above_the_last_is_refused_at_its_second_byte() {
        let mut text = Validator::default();
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
            let mut validator = Validator::default();
            let mut seen = 0;
            for chunk in bytes.chunks(piece) {
                seen += chunk.len();
                let ok = validator.push(chunk);
                prop_assert_eq!(ok, may_become_valid(&bytes[..seen]));
                if !ok {
                    return Ok(());
                }
                prop_assert_eq!(validator.is_complete(), std::str::from_utf8(&bytes[..seen]).is_ok());
            }
        }
    }
}
