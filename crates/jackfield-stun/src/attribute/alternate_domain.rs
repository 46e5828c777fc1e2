//! ALTERNATE-DOMAIN.

use crate::attribute::text::text_attribute;

text_attribute! {
    /// ALTERNATE-DOMAIN: whose certificate the alternate server shows ([RFC 8489 §14.16]).
    ///
    /// [RFC 8489 §14.16]: https://www.rfc-editor.org/rfc/rfc8489#section-14.16
    AlternateDomain, ALTERNATE_DOMAIN, 255, crate::attribute::text::Limit::Bytes(255)
}
