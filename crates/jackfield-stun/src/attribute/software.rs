//! SOFTWARE.

use crate::attribute::text::text_attribute;

text_attribute! {
    /// SOFTWARE: what program made a message ([RFC 8489 §14.14]).
    ///
    /// [RFC 8489 §14.14]: https://www.rfc-editor.org/rfc/rfc8489#section-14.14
    Software, SOFTWARE, 763, crate::attribute::text::SHORT
}
