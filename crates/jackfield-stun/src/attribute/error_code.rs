use crate::attribute::{Attribute, AttributeType, text};
use crate::{DecodeError, TransactionId};

/// ERROR-CODE: why a request was refused ([RFC 8489 §14.8]).
///
/// [RFC 8489 §14.8]: https://www.rfc-editor.org/rfc/rfc8489#section-14.8
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode<'a> {
    code: u16,
    reason: &'a str,
}

impl<'a> ErrorCode<'a> {
    /// The most bytes of a reason.
    pub const MAX_REASON: usize = 763;

    /// Makes one; `code` is brought into 300 to 699.
    pub fn new(code: u16, reason: &'a str) -> Self {
        Self {
            code: code.clamp(300, 699),
            reason,
        }
    }

    /// Returns the code: 300 to 699.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// Returns the reason in words, which may be empty.
    pub fn reason(&self) -> &'a str {
        self.reason
    }
}

impl<'a> Attribute<'a> for ErrorCode<'a> {
    const TYPE: AttributeType = AttributeType::ERROR_CODE;

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        let Some((&[_, _, class, number], reason)) = value.split_first_chunk::<4>() else {
            return Err(DecodeError::ValueLength(Self::TYPE, value.len()));
        };
        let class = u16::from(class & 0x07);
        if !(3..=6).contains(&class) || number > 99 {
            return Err(DecodeError::Value(Self::TYPE));
        }
        Ok(Self {
            code: class * 100 + u16::from(number),
            reason: text::decode(Self::TYPE, reason, Self::MAX_REASON)?,
        })
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        let [class, number] = [self.code / 100, self.code % 100].map(|part| part.to_le_bytes());
        let ([class, _], [number, _]) = (class, number);
        out.extend_from_slice(&[0, 0, class, number]);
        text::encode(self.reason, Self::MAX_REASON, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: TransactionId = TransactionId::new([0; 12]);

    #[test]
    fn every_code_round_trips() {
        for code in 300..=699 {
            let mut value = Vec::new();
            ErrorCode::new(code, "why").encode(&ID, &mut value);
            assert_eq!(
                ErrorCode::decode(&value, &ID),
                Ok(ErrorCode::new(code, "why"))
            );
        }
    }

    #[test]
    fn codes_outside_300_to_699_are_refused() {
        for value in [[0, 0, 2, 0], [0, 0, 7, 0], [0, 0, 4, 100]] {
            assert!(ErrorCode::decode(&value, &ID).is_err());
        }
    }
}
