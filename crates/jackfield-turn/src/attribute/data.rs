//! DATA.

use jackfield_stun::attribute::{Attribute, AttributeType};
use jackfield_stun::{DecodeError, TransactionId};

use crate::attribute::kind;

/// DATA: what a Send or Data indication carries ([RFC 8656 §18.4]).
///
/// [RFC 8656 §18.4]: https://www.rfc-editor.org/rfc/rfc8656#section-18.4
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Data<'a>(pub &'a [u8]);

impl<'a> Attribute<'a> for Data<'a> {
    const TYPE: AttributeType = kind::DATA;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        Ok(Self(value))
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}
