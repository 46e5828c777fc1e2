//! Session and socket ids.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// An unguessable id of 20 characters from the base64url alphabet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id([u8; LENGTH]);

impl Id {
    /// Draws an id from the operating system's generator.
    pub(crate) fn random() -> Self {
        let mut random = [0; RANDOM];
        getrandom::fill(&mut random).expect("the operating system gives randomness");
        let mut id = [0; LENGTH];
        URL_SAFE_NO_PAD
            .encode_slice(random, &mut id)
            .expect("15 bytes are 20 characters");
        Self(id)
    }

    /// Reads an id that a client sent; what cannot be one is `None`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // The alphabet is not checked: an id that was never drawn is found nowhere.
        text.as_bytes().try_into().ok().map(Self)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Returns a number below `buckets`, evenly spread over random ids.
    pub(crate) fn bucket(&self, buckets: usize) -> usize {
        let sum = self.0.iter().fold(0_usize, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(usize::from(*byte))
        });
        sum % buckets.max(1)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The id of a polling session is all that is needed to use it.
        f.write_str("Id(..)")
    }
}

/// Bytes of randomness in an id: 120 bits, 20 characters.
const RANDOM: usize = 15;

const LENGTH: usize = RANDOM / 3 * 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_20_characters_and_differ() {
        let (a, b) = (Id::random(), Id::random());
        assert_eq!(a.as_str().len(), 20);
        assert_ne!(a, b);
        assert_eq!(Id::parse(a.as_str()), Some(a));
        assert_eq!(Id::parse("short"), None);
    }
}
