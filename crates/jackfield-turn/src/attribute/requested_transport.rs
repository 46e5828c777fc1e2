//! REQUESTED-TRANSPORT.

use jackfield_stun::attribute::{Attribute, AttributeType};
use jackfield_stun::{DecodeError, TransactionId};

use crate::attribute::kind;

/// REQUESTED-TRANSPORT: what an allocation relays, as an IP protocol number; 17 is UDP
/// ([RFC 8656 §18.8]).
///
/// [RFC 8656 §18.8]: https://www.rfc-editor.org/rfc/rfc8656#section-18.8
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestedTransport(pub u8);

impl<'a> Attribute<'a> for RequestedTransport {
    const TYPE: AttributeType = kind::REQUESTED_TRANSPORT;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        let &[protocol, _, _, _] = value else {
            return Err(DecodeError::ValueLength(Self::TYPE, value.len()));
        };
        Ok(Self(protocol))
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.0, 0, 0, 0]);
    }
}
