//! CHANGE-REQUEST.

use crate::attribute::{Attribute, AttributeType};
use crate::{DecodeError, TransactionId};

/// CHANGE-REQUEST: asks for a response from another address or port of the server
/// ([RFC 5780 §7.2]).
///
/// Bits that have no meaning are ignored, as the RFC has it.
///
/// [RFC 5780 §7.2]: https://www.rfc-editor.org/rfc/rfc5780#section-7.2
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ChangeRequest {
    /// From the other address.
    pub address: bool,
    /// From the other port.
    pub port: bool,
}

impl<'a> Attribute<'a> for ChangeRequest {
    const TYPE: AttributeType = AttributeType::CHANGE_REQUEST;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        let flags = <[u8; 4]>::try_from(value)
            .map(u32::from_be_bytes)
            .map_err(|_| DecodeError::ValueLength(Self::TYPE, value.len()))?;
        Ok(Self {
            address: flags & ADDRESS != 0,
            port: flags & PORT != 0,
        })
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        let address = if self.address { ADDRESS } else { 0 };
        let port = if self.port { PORT } else { 0 };
        out.extend_from_slice(&(address | port).to_be_bytes());
    }
}

const ADDRESS: u32 = 0x04;
const PORT: u32 = 0x02;

#[cfg(test)]
mod tests {
    use super::*;

    const ID: TransactionId = TransactionId::new([0; 12]);

    #[test]
    fn the_flags_are_the_bits_of_the_rfc() {
        for (value, address, port) in [
            ([0, 0, 0, 0], false, false),
            ([0, 0, 0, 2], false, true),
            ([0, 0, 0, 4], true, false),
            ([0xFF, 0, 0, 6], true, true),
        ] {
            let change = ChangeRequest { address, port };
            assert_eq!(ChangeRequest::decode(&value, &ID), Ok(change));
        }
        assert!(ChangeRequest::decode(&[0; 3], &ID).is_err());
    }
}
