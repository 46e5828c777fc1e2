//! RESPONSE-PORT.

use crate::attribute::{Attribute, AttributeType};
use crate::{DecodeError, TransactionId};

/// RESPONSE-PORT: asks for a response at another port of the client's own address
/// ([RFC 5780 §7.5]).
///
/// The RFC says "followed by 2 bytes of padding", which senders count in the attribute's length or
/// do not; both are read, and the length is written without them.
///
/// [RFC 5780 §7.5]: https://www.rfc-editor.org/rfc/rfc5780#section-7.5
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResponsePort(pub u16);

impl<'a> Attribute<'a> for ResponsePort {
    const TYPE: AttributeType = AttributeType::RESPONSE_PORT;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        match value {
            &[high, low] | &[high, low, _, _] => Ok(Self(u16::from_be_bytes([high, low]))),
            _ => Err(DecodeError::ValueLength(Self::TYPE, value.len())),
        }
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: TransactionId = TransactionId::new([0; 12]);

    #[test]
    fn a_port_is_read_with_and_without_its_padding() {
        for value in [&[0x12, 0x34][..], &[0x12, 0x34, 0, 0]] {
            assert_eq!(ResponsePort::decode(value, &ID), Ok(ResponsePort(0x1234)));
        }
        assert!(ResponsePort::decode(&[1, 2, 3], &ID).is_err());
    }
}
