//! PASSWORD-ALGORITHMS.

use crate::attribute::password_algorithm::split;
use crate::attribute::{Algorithm, Attribute, AttributeType};
use crate::{DecodeError, TransactionId};

/// PASSWORD-ALGORITHMS: which ones a server offers, best first ([RFC 8489 §14.11]).
///
/// A client sends the same bytes back, so that an attacker on the path cannot
/// shorten the list unnoticed.
///
/// [RFC 8489 §14.11]: https://www.rfc-editor.org/rfc/rfc8489#section-14.11
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordAlgorithms<'a> {
    value: &'a [u8],
}

impl PasswordAlgorithms<'static> {
    /// SHA-256, then MD5.
    pub const ALL: Self = Self {
        value: &[0, 2, 0, 0, 0, 1, 0, 0],
    };
}

impl<'a> PasswordAlgorithms<'a> {
    /// Returns those we know, in order.
    pub fn known(&self) -> impl Iterator<Item = Algorithm> + use<'a> {
        let mut rest = self.value;
        std::iter::from_fn(move || {
            let (number, parameters, next) = split(rest)?;
            rest = next;
            Some(Algorithm::from_parts(number, parameters))
        })
        .flatten()
    }
}

impl<'a> Attribute<'a> for PasswordAlgorithms<'a> {
    const TYPE: AttributeType = AttributeType::PASSWORD_ALGORITHMS;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        let mut rest = value;
        while !rest.is_empty() {
            let (_, _, next) =
                split(rest).ok_or(DecodeError::ValueLength(Self::TYPE, value.len()))?;
            rest = next;
        }
        Ok(Self { value })
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(self.value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: TransactionId = TransactionId::new([0; 12]);

    #[test]
    fn the_offer_is_sha256_before_md5() {
        let known: Vec<_> = PasswordAlgorithms::ALL.known().collect();
        assert_eq!(known, [Algorithm::Sha256, Algorithm::Md5]);
        let mut value = Vec::new();
        PasswordAlgorithms::ALL.encode(&ID, &mut value);
        assert_eq!(
            PasswordAlgorithms::decode(&value, &ID),
            Ok(PasswordAlgorithms::ALL)
        );
    }

    #[test]
    fn algorithms_we_do_not_know_are_passed_over() {
        let value = [0, 9, 0, 2, b'p', b'q', 0, 0, 0, 1, 0, 0];
        let known: Vec<_> = PasswordAlgorithms::decode(&value, &ID)
            .unwrap()
            .known()
            .collect();
        assert_eq!(known, [Algorithm::Md5]);
    }

    #[test]
    fn parameters_past_the_end_are_refused() {
        assert!(PasswordAlgorithms::decode(&[0, 1, 0, 4, 1, 2], &ID).is_err());
    }
}
