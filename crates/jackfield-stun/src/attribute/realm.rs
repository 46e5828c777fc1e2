//! REALM.

use crate::attribute::text::text_attribute;

// A client sends back what a server gave it, byte for byte: what can be read can be written.
text_attribute! {
    /// REALM: what a long-term credential is for ([RFC 8489 §14.9]).
    ///
    /// [RFC 8489 §14.9]: https://www.rfc-editor.org/rfc/rfc8489#section-14.9
    Realm, REALM, 763, crate::attribute::text::Limit::Bytes(763)
}
