//! XOR-RELAYED-ADDRESS.

use std::net::SocketAddr;

use jackfield_stun::attribute::{Attribute, AttributeType, address};
use jackfield_stun::{DecodeError, TransactionId};

use crate::attribute::kind;

/// XOR-RELAYED-ADDRESS: the relayed transport address ([RFC 8656 §18.5]).
///
/// [RFC 8656 §18.5]: https://www.rfc-editor.org/rfc/rfc8656#section-18.5
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XorRelayedAddress(pub SocketAddr);

impl<'a> Attribute<'a> for XorRelayedAddress {
    const TYPE: AttributeType = kind::XOR_RELAYED_ADDRESS;

    fn decode(value: &'a [u8], transaction: &TransactionId) -> Result<Self, DecodeError> {
        address::decode_xor(Self::TYPE, value, transaction).map(Self)
    }

    fn encode(&self, transaction: &TransactionId, out: &mut Vec<u8>) {
        address::encode_xor(self.0, transaction, out);
    }
}
