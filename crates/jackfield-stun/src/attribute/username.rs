use crate::attribute::text::text_attribute;

text_attribute! {
    /// USERNAME: whose credential a message is made with ([RFC 8489 §14.3]).
    ///
    /// [RFC 8489 §14.3]: https://www.rfc-editor.org/rfc/rfc8489#section-14.3
    Username, USERNAME, 513
}
