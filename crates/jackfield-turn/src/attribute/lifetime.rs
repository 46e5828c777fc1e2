//! LIFETIME.

use jackfield_stun::attribute::{Attribute, AttributeType};
use jackfield_stun::{DecodeError, TransactionId};

use crate::attribute::kind;

/// LIFETIME: how long an allocation lasts without a refresh, in seconds ([RFC 8656 §18.2]).
///
/// [RFC 8656 §18.2]: https://www.rfc-editor.org/rfc/rfc8656#section-18.2
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime(pub u32);

impl<'a> Attribute<'a> for Lifetime {
    const TYPE: AttributeType = kind::LIFETIME;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        let bytes = value
            .try_into()
            .map_err(|_| DecodeError::ValueLength(Self::TYPE, value.len()))?;
        Ok(Self(u32::from_be_bytes(bytes)))
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }
}
