//! PASSWORD-ALGORITHM.

use crate::attribute::{Attribute, AttributeType};
use crate::{DecodeError, TransactionId};

/// How a long-term key is made of username, realm and password ([RFC 8489 §18.5]).
///
/// [RFC 8489 §18.5]: https://www.rfc-editor.org/rfc/rfc8489#section-18.5
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// MD5 (1), all that RFC 5389 knows.
    Md5,
    /// SHA-256 (2).
    Sha256,
}

impl Algorithm {
    /// Returns the algorithm of this number, if we know it and if it comes without parameters, as
    /// both do.
    pub(crate) fn from_parts(number: u16, parameters: &[u8]) -> Option<Self> {
        match (number, parameters) {
            (1, []) => Some(Self::Md5),
            (2, []) => Some(Self::Sha256),
            _ => None,
        }
    }

    /// Returns the number.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::Md5 => 1,
            Self::Sha256 => 2,
        }
    }

    pub(crate) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.number().to_be_bytes());
        out.extend_from_slice(&[0, 0]);
    }
}

/// PASSWORD-ALGORITHM: which one a client chose ([RFC 8489 §14.12]).
///
/// [RFC 8489 §14.12]: https://www.rfc-editor.org/rfc/rfc8489#section-14.12
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordAlgorithm(pub Algorithm);

impl<'a> Attribute<'a> for PasswordAlgorithm {
    const TYPE: AttributeType = AttributeType::PASSWORD_ALGORITHM;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        let (number, parameters, rest) =
            split(value).ok_or(DecodeError::ValueLength(Self::TYPE, value.len()))?;
        if !rest.is_empty() {
            return Err(DecodeError::ValueLength(Self::TYPE, value.len()));
        }
        Algorithm::from_parts(number, parameters)
            .map(Self)
            .ok_or(DecodeError::Value(Self::TYPE))
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        self.0.write(out);
    }
}

/// Splits off one algorithm: its number, its parameters, and what follows their padding.
pub(super) fn split(value: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (&[n0, n1, l0, l1], rest) = value.split_first_chunk::<4>()?;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let parameters = rest.get(..length)?;
    // The padding of the last one may be the attribute's own.
    let rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
    Some((u16::from_be_bytes([n0, n1]), parameters, rest))
}
