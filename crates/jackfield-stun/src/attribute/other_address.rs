//! OTHER-ADDRESS.

use std::net::SocketAddr;

use crate::attribute::{Attribute, AttributeType, address};
use crate::{DecodeError, TransactionId};

/// OTHER-ADDRESS: the server's other address and other port ([RFC 5780 §7.4]).
///
/// [RFC 5780 §7.4]: https://www.rfc-editor.org/rfc/rfc5780#section-7.4
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OtherAddress(pub SocketAddr);

impl<'a> Attribute<'a> for OtherAddress {
    const TYPE: AttributeType = AttributeType::OTHER_ADDRESS;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        address::decode(Self::TYPE, value).map(Self)
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        address::encode(self.0, out);
    }
}
