//! RESPONSE-ORIGIN.

use std::net::SocketAddr;

use crate::attribute::{Attribute, AttributeType, address};
use crate::{DecodeError, TransactionId};

/// RESPONSE-ORIGIN: where a response came from, as the server sees it ([RFC 5780 §7.3]).
///
/// [RFC 5780 §7.3]: https://www.rfc-editor.org/rfc/rfc5780#section-7.3
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResponseOrigin(pub SocketAddr);

impl<'a> Attribute<'a> for ResponseOrigin {
    const TYPE: AttributeType = AttributeType::RESPONSE_ORIGIN;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        address::decode(Self::TYPE, value).map(Self)
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        address::encode(self.0, out);
    }
}
