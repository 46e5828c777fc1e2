//! What attributes that are text have in common.

use crate::DecodeError;
use crate::attribute::AttributeType;

/// Reads UTF-8 of at most `max` bytes.
pub(super) fn decode(kind: AttributeType, value: &[u8], max: usize) -> Result<&str, DecodeError> {
    if value.len() > max {
        return Err(DecodeError::ValueLength(kind, value.len()));
    }
    str::from_utf8(value).map_err(|_| DecodeError::Value(kind))
}

/// How much of a text is written; the rest is cut off between characters.
#[derive(Debug, Clone, Copy)]
pub(super) enum Limit {
    Bytes(usize),
    Characters(usize),
}

/// Writes text up to a limit.
pub(super) fn encode(text: &str, limit: Limit, out: &mut Vec<u8>) {
    let end = match limit {
        Limit::Bytes(max) => text.floor_char_boundary(max),
        Limit::Characters(max) => {
            let beyond = text.char_indices().nth(max);
            beyond.map_or(text.len(), |(at, _)| at)
        }
    };
    out.extend_from_slice(text.get(..end).unwrap_or_default().as_bytes());
}

/// Defines an attribute that is text.
macro_rules! text_attribute {
    ($(#[$doc:meta])* $name:ident, $kind:ident, $read:literal, $write:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name<'a>(pub &'a str);

        impl $name<'_> {
            /// The most bytes that are read; a longer value is an error.
            pub const MAX: usize = $read;
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
                $crate::attribute::text::encode(self.0, $write, out);
            }
        }
    };
}

pub(super) use text_attribute;

/// The most characters of SOFTWARE and of a reason phrase, "fewer than 128" ([RFC 8489 §14.14]).
///
/// [RFC 8489 §14.14]: https://www.rfc-editor.org/rfc/rfc8489#section-14.14
pub(super) const SHORT: Limit = Limit::Characters(127);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        let mut out = Vec::new();
        encode("aß", Limit::Bytes(2), &mut out);
        assert_eq!(out, b"a");
        out.clear();
        encode("ßßß", Limit::Characters(2), &mut out);
        assert_eq!(out, "ßß".as_bytes());
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
