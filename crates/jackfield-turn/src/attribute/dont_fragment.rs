//! DONT-FRAGMENT.

use jackfield_stun::attribute::{Attribute, AttributeType};
use jackfield_stun::{DecodeError, TransactionId};

use crate::attribute::kind;

/// DONT-FRAGMENT: wants the DF bit towards the peer ([RFC 8656 §18.9]).
///
/// [RFC 8656 §18.9]: https://www.rfc-editor.org/rfc/rfc8656#section-18.9
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DontFragment;

impl<'a> Attribute<'a> for DontFragment {
    const TYPE: AttributeType = kind::DONT_FRAGMENT;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        if !value.is_empty() {
            return Err(DecodeError::ValueLength(Self::TYPE, value.len()));
        }
        Ok(Self)
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        let _ = out;
    }
}
