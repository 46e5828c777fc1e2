//! USERHASH.

use crate::attribute::{Attribute, AttributeType};
use crate::{DecodeError, TransactionId};

/// USERHASH: a username that is recognised only where it is known ([RFC 8489 §14.4]); see
/// [`userhash`](crate::credential::userhash).
///
/// [RFC 8489 §14.4]: https://www.rfc-editor.org/rfc/rfc8489#section-14.4
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Userhash(pub [u8; 32]);

impl<'a> Attribute<'a> for Userhash {
    const TYPE: AttributeType = AttributeType::USERHASH;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        <[u8; 32]>::try_from(value)
            .map(Self)
            .map_err(|_| DecodeError::ValueLength(Self::TYPE, value.len()))
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}
