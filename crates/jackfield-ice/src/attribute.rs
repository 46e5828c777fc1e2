//! The STUN attributes of connectivity checks ([RFC 8445 §16.1], and NOMINATION).
//!
//! [RFC 8445 §16.1]: https://www.rfc-editor.org/rfc/rfc8445#section-16.1

use jackfield_stun::attribute::{Attribute, AttributeType};
use jackfield_stun::{DecodeError, TransactionId};

/// PRIORITY: what a peer-reflexive candidate that the check discovers is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priority(pub u32);

/// USE-CANDIDATE: nominates the pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UseCandidate;

/// ICE-CONTROLLED: the sender is in the controlled role; its tie-breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IceControlled(pub u64);

/// ICE-CONTROLLING: the sender is in the controlling role; its tie-breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IceControlling(pub u64);

/// NOMINATION: which nomination it is, so that a later one replaces an earlier one.
///
/// It comes from draft-thatcher-ice-renomination and is what libwebrtc and pion speak; a value of
/// zero nominates nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nomination(pub u32);

/// An attribute that the application adds to checks, or finds in them.
///
/// The agent gives it no meaning. Agents that do not know a type from 0x8000 on ignore it, so that
/// types below are not sent; those from 0xC000 on are registered by expert review alone
/// ([RFC 8489 §18.3]).
///
/// [RFC 8489 §18.3]: https://www.rfc-editor.org/rfc/rfc8489#section-18.3
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpaqueAttribute {
    /// The type, 0x8000 or above.
    pub kind: AttributeType,
    /// The value, without padding.
    pub value: Vec<u8>,
}

impl<'a> Attribute<'a> for Priority {
    const TYPE: AttributeType = AttributeType::PRIORITY;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        number(Self::TYPE, value).map(|bytes| Self(u32::from_be_bytes(bytes)))
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }
}

impl<'a> Attribute<'a> for UseCandidate {
    const TYPE: AttributeType = AttributeType::USE_CANDIDATE;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        number::<0>(Self::TYPE, value).map(|_| Self)
    }

    fn encode(&self, _transaction: &TransactionId, _out: &mut Vec<u8>) {}
}

impl<'a> Attribute<'a> for IceControlled {
    const TYPE: AttributeType = ICE_CONTROLLED;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        number(Self::TYPE, value).map(|bytes| Self(u64::from_be_bytes(bytes)))
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }
}

impl<'a> Attribute<'a> for IceControlling {
    const TYPE: AttributeType = ICE_CONTROLLING;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        number(Self::TYPE, value).map(|bytes| Self(u64::from_be_bytes(bytes)))
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }
}

impl<'a> Attribute<'a> for Nomination {
    const TYPE: AttributeType = NOMINATION;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        number(Self::TYPE, value).map(|bytes| Self(u32::from_be_bytes(bytes)))
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }
}

/// Returns a value of exactly `N` bytes.
fn number<const N: usize>(kind: AttributeType, value: &[u8]) -> Result<[u8; N], DecodeError> {
    value
        .try_into()
        .map_err(|_| DecodeError::ValueLength(kind, value.len()))
}

const ICE_CONTROLLED: AttributeType = AttributeType::new(0x8029);
const ICE_CONTROLLING: AttributeType = AttributeType::new(0x802A);
const NOMINATION: AttributeType = AttributeType::new(0xC001);

#[cfg(test)]
mod tests {
    use super::*;

    const ID: TransactionId = TransactionId::new([0; 12]);

    fn round_trip<A: for<'a> Attribute<'a> + PartialEq + std::fmt::Debug>(attribute: &A) {
        let mut value = Vec::new();
        attribute.encode(&ID, &mut value);
        assert_eq!(A::decode(&value, &ID).as_ref(), Ok(attribute));
        value.push(0);
        assert_eq!(
            A::decode(&value, &ID),
            Err(DecodeError::ValueLength(A::TYPE, value.len()))
        );
    }

    #[test]
    fn attributes_are_read_as_written_and_only_at_their_length() {
        round_trip(&Priority(0x6E00_01FF));
        round_trip(&UseCandidate);
        round_trip(&IceControlled(u64::MAX - 1));
        round_trip(&IceControlling(7));
        round_trip(&Nomination(3));
    }
}
