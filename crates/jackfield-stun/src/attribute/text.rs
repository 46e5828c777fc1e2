use crate::DecodeError;
use crate::attribute::AttributeType;

/// Reads UTF-8 of at most `max` bytes.
pub(super) fn decode(kind: AttributeType, value: &[u8], max: usize) -> Result<&str, DecodeError> {
    if value.len() > max {
        return Err(DecodeError::ValueLength(kind, value.len()));
    }
    str::from_utf8(value).map_err(|_| DecodeError::Value(kind))
}

/// Writes at most `max` bytes of text, cut between characters.
pub(super) fn encode(text: &str, max: usize, out: &mut Vec<u8>) {
    let end = (0..=max.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    let text = end.and_then(|end| text.get(..end)).unwrap_or("");
    out.extend_from_slice(text.as_bytes());
}

/// Defines an attribute that is text.
macro_rules! text_attribute {
    ($(#[$doc:meta])* $name:ident, $kind:ident, $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name<'a>(pub &'a str);

        impl $name<'_> {
            /// The most bytes it may have.
            pub const MAX: usize = $max;
        }

        impl<'a> $crate::attribute::Attribute<'a> for $name<'a> {
            const TYPE: $crate::attribute::AttributeType = $crate::attribute::AttributeType::$kind;

            fn decode(
                value: &'a [u8],
                _transaction: &$crate::TransactionId,
            ) -> Result<Self, $crate::DecodeError> {
                $crate::attribute::text::decode(Self::TYPE, value, Self::MAX).map(Self)
            }

            fn encode(&self, _transaction: &$crate::TransactionId, out: &mut Vec<u8>) {
                $crate::attribute::text::encode(self.0, Self::MAX, out);
            }
        }
    };
}

pub(super) use text_attribute;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        let mut out = Vec::new();
        encode("aß", 2, &mut out);
        assert_eq!(out, b"a");
    }

    #[test]
    fn what_is_too_long_or_not_utf8_is_refused() {
        let kind = AttributeType::REALM;
        assert_eq!(
            decode(kind, b"abc", 2),
            Err(DecodeError::ValueLength(kind, 3))
        );
        assert_eq!(decode(kind, b"\xff", 2), Err(DecodeError::Value(kind)));
    }
}
