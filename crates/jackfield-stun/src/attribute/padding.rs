//! PADDING.

use crate::attribute::{Attribute, AttributeType};
use crate::{DecodeError, TransactionId};

/// PADDING: bytes without meaning that make a message so long that it travels in fragments
/// ([RFC 5780 §7.6]).
///
/// [RFC 5780 §7.6]: https://www.rfc-editor.org/rfc/rfc5780#section-7.6
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Padding(u16);

impl Padding {
    /// The most bytes that a message has room for beside its other attributes.
    pub const MAX: u16 = 64_000;

    /// Makes one of `length` bytes, which is lowered to [`Padding::MAX`] and then to a multiple of
    /// four.
    #[must_use]
    pub fn new(length: u16) -> Self {
        Self(length.min(Self::MAX) & !3)
    }

    /// Returns how many bytes it has.
    #[must_use]
    pub fn length(self) -> u16 {
        self.0
    }
}

impl<'a> Attribute<'a> for Padding {
    const TYPE: AttributeType = AttributeType::PADDING;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        match u16::try_from(value.len()) {
            // A client may well send a length that is no multiple of four; it says as much as the
            // multiple below it.
            Ok(length) if length <= Self::MAX => Ok(Self::new(length)),
            _ => Err(DecodeError::ValueLength(Self::TYPE, value.len())),
        }
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        out.resize(out.len() + usize::from(self.0), 0);
    }
}
