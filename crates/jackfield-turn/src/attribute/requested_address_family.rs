//! REQUESTED-ADDRESS-FAMILY.

use jackfield_stun::attribute::{Attribute, AttributeType};
use jackfield_stun::{DecodeError, TransactionId};

use crate::attribute::{AddressFamily, kind};

/// REQUESTED-ADDRESS-FAMILY: which family an allocation is wanted of ([RFC 8656 §18.6]).
///
/// [RFC 8656 §18.6]: https://www.rfc-editor.org/rfc/rfc8656#section-18.6
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestedAddressFamily(pub AddressFamily);

impl<'a> Attribute<'a> for RequestedAddressFamily {
    const TYPE: AttributeType = kind::REQUESTED_ADDRESS_FAMILY;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        AddressFamily::decode(Self::TYPE, value).map(Self)
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}
