//! ADDITIONAL-ADDRESS-FAMILY.

use jackfield_stun::attribute::{Attribute, AttributeType};
use jackfield_stun::{DecodeError, TransactionId};

use crate::attribute::{AddressFamily, kind};

/// ADDITIONAL-ADDRESS-FAMILY: which family is wanted besides IPv4; only IPv6 makes sense
/// ([RFC 8656 §18.11]).
///
/// [RFC 8656 §18.11]: https://www.rfc-editor.org/rfc/rfc8656#section-18.11
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdditionalAddressFamily(pub AddressFamily);

impl<'a> Attribute<'a> for AdditionalAddressFamily {
    const TYPE: AttributeType = kind::ADDITIONAL_ADDRESS_FAMILY;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        AddressFamily::decode(Self::TYPE, value).map(Self)
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}
