//! Errors of parsing and writing.

use crate::attribute::AttributeType;

/// Why bytes are not a STUN message, or a value is not an attribute's: always the sender's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Fewer than the 20 bytes of a header.
    #[error("{0} bytes are fewer than a STUN header's 20")]
    TooShort(usize),
    /// The first two bits are not zero.
    #[error("the first two bits are not zero")]
    NotStun,
    /// The magic cookie is missing: not STUN, or STUN of before 2008 (RFC 3489).
    #[error("the magic cookie is missing")]
    Cookie,
    /// The header's length is not what is there.
    #[error("the header says {0} bytes follow, and {1} do")]
    Length(usize, usize),
    /// The header's length is not a multiple of four.
    #[error("a length of {0} bytes is not a multiple of four")]
    Unaligned(usize),
    /// An attribute runs past the end of the message.
    #[error("attribute {0} runs past the end of the message")]
    AttributeOverrun(AttributeType),
    /// Something follows FINGERPRINT.
    #[error("an attribute follows FINGERPRINT")]
    AfterFingerprint,
    /// FINGERPRINT is there and wrong.
    #[error("the FINGERPRINT is wrong")]
    Fingerprint,
    /// An attribute's value has a length that its type does not allow.
    #[error("attribute {0} has a value of {1} bytes")]
    ValueLength(AttributeType, usize),
    /// An attribute's value breaks its format.
    #[error("attribute {0} has a value that breaks its format")]
    Value(AttributeType),
}

/// A message with more attributes than its 16-bit length can count; what did not fit was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a STUN message holds at most 65,532 bytes of attributes")]
pub struct MessageTooLong;
