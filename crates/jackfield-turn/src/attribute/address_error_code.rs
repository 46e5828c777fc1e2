//! ADDRESS-ERROR-CODE.

use jackfield_stun::attribute::{Attribute, AttributeType, ErrorCodeAttribute};
use jackfield_stun::{DecodeError, TransactionId};

use crate::attribute::{AddressFamily, kind};

/// ADDRESS-ERROR-CODE: why one family of two was not allocated ([RFC 8656 §18.12]).
///
/// [RFC 8656 §18.12]: https://www.rfc-editor.org/rfc/rfc8656#section-18.12
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressErrorCode<'a> {
    /// Which family.
    pub family: AddressFamily,
    /// Why, as ERROR-CODE would say it.
    pub error: ErrorCodeAttribute<'a>,
}

impl<'a> Attribute<'a> for AddressErrorCode<'a> {
    const TYPE: AttributeType = kind::ADDRESS_ERROR_CODE;

    fn decode(value: &'a [u8], transaction: &TransactionId) -> Result<Self, DecodeError> {
        let &[number, ..] = value else {
            return Err(DecodeError::ValueLength(Self::TYPE, value.len()));
        };
        let family = AddressFamily::from_number(number).ok_or(DecodeError::Value(Self::TYPE))?;
        let error = ErrorCodeAttribute::decode(value, transaction)?;
        Ok(Self { family, error })
    }

    fn encode(&self, transaction: &TransactionId, out: &mut Vec<u8>) {
        let start = out.len();
        self.error.encode(transaction, out);
        if let Some(first) = out.get_mut(start) {
            *first = self.family.number();
        }
    }
}
