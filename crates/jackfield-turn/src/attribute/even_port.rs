//! EVEN-PORT.

use jackfield_stun::attribute::{Attribute, AttributeType};
use jackfield_stun::{DecodeError, TransactionId};

use crate::attribute::kind;

/// EVEN-PORT: wants an even port, and maybe the next one kept ([RFC 8656 §18.7]).
///
/// [RFC 8656 §18.7]: https://www.rfc-editor.org/rfc/rfc8656#section-18.7
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvenPort {
    /// Whether the next higher port is to be kept for a later request.
    pub reserve_next: bool,
}

impl<'a> Attribute<'a> for EvenPort {
    const TYPE: AttributeType = kind::EVEN_PORT;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        let &[bits] = value else {
            return Err(DecodeError::ValueLength(Self::TYPE, value.len()));
        };
        Ok(Self {
            reserve_next: bits & 0x80 != 0,
        })
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        out.push(if self.reserve_next { 0x80 } else { 0 });
    }
}
