//! MAPPED-ADDRESS.

use std::net::SocketAddr;

use crate::attribute::{Attribute, AttributeType, address};
use crate::{DecodeError, TransactionId};

/// MAPPED-ADDRESS: where a request came from, in the clear, for old clients ([RFC 8489 §14.1]).
///
/// [RFC 8489 §14.1]: https://www.rfc-editor.org/rfc/rfc8489#section-14.1
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MappedAddress(pub SocketAddr);

impl<'a> Attribute<'a> for MappedAddress {
    const TYPE: AttributeType = AttributeType::MAPPED_ADDRESS;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        address::decode(Self::TYPE, value).map(Self)
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        address::encode(self.0, out);
    }
}
