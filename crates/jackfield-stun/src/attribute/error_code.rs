//! ERROR-CODE.

use crate::attribute::{Attribute, AttributeType, text};
use crate::{DecodeError, ErrorCode, TransactionId};

/// ERROR-CODE: why a request was refused, as a number and in words ([RFC 8489 §14.8]).
///
/// ```
/// use jackfield_stun::ErrorCode;
/// use jackfield_stun::attribute::ErrorCodeAttribute;
///
/// let error = ErrorCodeAttribute::from(ErrorCode::STALE_NONCE);
/// assert_eq!(error.reason, "Stale Nonce");
/// ```
///
/// [RFC 8489 §14.8]: https://www.rfc-editor.org/rfc/rfc8489#section-14.8
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCodeAttribute<'a> {
    /// The code.
    pub code: ErrorCode,
    /// The reason in words, which may be empty; the sender chose them, so they are for diagnosis
    /// only. What is over 127 characters is cut off when it is written.
    pub reason: &'a str,
}

impl ErrorCodeAttribute<'_> {
    /// The most bytes of a reason that are read.
    pub const MAX_REASON: usize = 763;

    /// Returns the attribute without words, which is smaller: for responses to addresses that may
    /// be forged.
    #[must_use]
    pub const fn without_reason(code: ErrorCode) -> Self {
        Self { code, reason: "" }
    }
}

impl From<ErrorCode> for ErrorCodeAttribute<'static> {
    /// Returns the attribute with the code's recommended reason phrase.
    fn from(code: ErrorCode) -> Self {
        Self {
            code,
            reason: code.reason_phrase(),
        }
    }
}

impl<'a> Attribute<'a> for ErrorCodeAttribute<'a> {
    const TYPE: AttributeType = AttributeType::ERROR_CODE;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        let Some((&[_, _, class, number], reason)) = value.split_first_chunk::<4>() else {
            return Err(DecodeError::ValueLength(Self::TYPE, value.len()));
        };
        //= https://www.rfc-editor.org/rfc/rfc8489#section-14.8
        //# The Number represents the binary encoding of the error code
        //# modulo 100, and its value MUST be between 0 and 99.
        let code = match number {
            // The bits before the class are reserved: RFC 8489 §14.8 wants receivers to ignore
            // them.
            0..=99 => ErrorCode::new(u16::from(class & 0x07) * 100 + u16::from(number)),
            _ => None,
        };
        Ok(Self {
            code: code.ok_or(DecodeError::Value(Self::TYPE))?,
            reason: text::decode(Self::TYPE, reason, Self::MAX_REASON)?,
        })
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        let code = self.code.value();
        let [class, number] = [code / 100, code % 100].map(|part| part.to_le_bytes());
        let ([class, _], [number, _]) = (class, number);
        out.extend_from_slice(&[0, 0, class, number]);
        text::encode(self.reason, text::SHORT, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: TransactionId = TransactionId::new([0; 12]);

    #[test]
    fn every_code_round_trips() {
        for code in (300..=699).filter_map(ErrorCode::new) {
            let mut value = Vec::new();
            let written = ErrorCodeAttribute {
                code,
                reason: "why",
            };
            written.encode(&ID, &mut value);
            assert_eq!(ErrorCodeAttribute::decode(&value, &ID), Ok(written));
        }
    }

    #[test]
    fn codes_outside_300_to_699_are_refused() {
        for value in [[0, 0, 2, 0], [0, 0, 7, 0], [0, 0, 4, 100]] {
            assert!(ErrorCodeAttribute::decode(&value, &ID).is_err());
        }
    }
}
