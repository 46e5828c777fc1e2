//! RESERVATION-TOKEN.

use jackfield_stun::attribute::{Attribute, AttributeType};
use jackfield_stun::{DecodeError, TransactionId};

use crate::attribute::kind;

/// RESERVATION-TOKEN: names a port that a server keeps ([RFC 8656 §18.10]).
///
/// [RFC 8656 §18.10]: https://www.rfc-editor.org/rfc/rfc8656#section-18.10
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReservationToken(pub [u8; 8]);

impl<'a> Attribute<'a> for ReservationToken {
    const TYPE: AttributeType = kind::RESERVATION_TOKEN;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        let bytes = value
            .try_into()
            .map_err(|_| DecodeError::ValueLength(Self::TYPE, value.len()))?;
        Ok(Self(bytes))
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}
