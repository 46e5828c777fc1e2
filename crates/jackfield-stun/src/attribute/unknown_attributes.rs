//! UNKNOWN-ATTRIBUTES.

use crate::attribute::{Attribute, AttributeType};
use crate::{DecodeError, TransactionId};

/// UNKNOWN-ATTRIBUTES: what a server would have had to understand, with error 420
/// ([RFC 8489 §14.13]).
///
/// [RFC 8489 §14.13]: https://www.rfc-editor.org/rfc/rfc8489#section-14.13
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownAttributes(Vec<AttributeType>);

impl UnknownAttributes {
    /// Makes one.
    #[must_use]
    pub fn new(types: Vec<AttributeType>) -> Self {
        Self(types)
    }

    /// Returns the types.
    #[must_use]
    pub fn types(&self) -> &[AttributeType] {
        &self.0
    }
}

impl<'a> Attribute<'a> for UnknownAttributes {
    const TYPE: AttributeType = AttributeType::UNKNOWN_ATTRIBUTES;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        // The value has no padding: an odd number of types is filled up behind it (RFC 8489 §14).
        let (pairs, rest) = value.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(DecodeError::ValueLength(Self::TYPE, value.len()));
        }
        let types = pairs
            .iter()
            .map(|pair| AttributeType::new(u16::from_be_bytes(*pair)));
        Ok(Self(types.collect()))
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        for kind in &self.0 {
            out.extend_from_slice(&kind.value().to_be_bytes());
        }
    }
}
