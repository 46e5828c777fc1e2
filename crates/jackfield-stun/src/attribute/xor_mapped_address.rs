//! XOR-MAPPED-ADDRESS.

use std::net::SocketAddr;

use crate::attribute::{Attribute, AttributeType, address};
use crate::{DecodeError, TransactionId};

/// XOR-MAPPED-ADDRESS: where a request came from ([RFC 8489 §14.2]).
///
/// [RFC 8489 §14.2]: https://www.rfc-editor.org/rfc/rfc8489#section-14.2
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct XorMappedAddress(pub SocketAddr);

impl<'a> Attribute<'a> for XorMappedAddress {
    const TYPE: AttributeType = AttributeType::XOR_MAPPED_ADDRESS;

    fn decode(value: &'a [u8], transaction: &TransactionId) -> Result<Self, DecodeError> {
        address::decode_xor(Self::TYPE, value, transaction).map(Self)
    }

    fn encode(&self, transaction: &TransactionId, out: &mut Vec<u8>) {
        address::encode_xor(self.0, transaction, out);
    }
}
