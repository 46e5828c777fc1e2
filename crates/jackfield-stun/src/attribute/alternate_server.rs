//! ALTERNATE-SERVER.

use std::net::SocketAddr;

use crate::attribute::{Attribute, AttributeType, address};
use crate::{DecodeError, TransactionId};

/// ALTERNATE-SERVER: where a client should go, with error 300 ([RFC 8489 §14.15]).
///
/// [RFC 8489 §14.15]: https://www.rfc-editor.org/rfc/rfc8489#section-14.15
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AlternateServer(pub SocketAddr);

impl<'a> Attribute<'a> for AlternateServer {
    const TYPE: AttributeType = AttributeType::ALTERNATE_SERVER;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        address::decode(Self::TYPE, value).map(Self)
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        address::encode(self.0, out);
    }
}
