//! USERNAME.

use crate::attribute::text::text_attribute;

text_attribute! {
    /// USERNAME: whose credential a message is made with ([RFC 8489 §14.3]).
    ///
    /// [RFC 8489 §14.3]: https://www.rfc-editor.org/rfc/rfc8489#section-14.3
    Username, USERNAME, 763, crate::attribute::text::Limit::Bytes(Username::MAX_WRITTEN)
}

impl Username<'_> {
    //= https://www.rfc-editor.org/rfc/rfc8489#section-14.3
    //# It MUST contain a UTF-8-encoded [RFC3629]
    //# sequence of fewer than 509 bytes
    /// The most bytes that are written; the rest is cut off, so check a name before it comes here.
    pub const MAX_WRITTEN: usize = 508;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TransactionId;
    use crate::attribute::Attribute;

    #[test]
    fn a_name_as_long_as_rfc_5389_allowed_is_read_and_a_shorter_one_is_written() {
        let id = TransactionId::new([0; 12]);
        //= https://www.rfc-editor.org/rfc/rfc8489#section-14.3
        //= type=test
        //# A compliant implementation MUST
        //# be able to parse a UTF-8-encoded sequence of 763 or fewer octets to
        //# be compatible with [RFC5389].
        let long = "x".repeat(763);
        assert_eq!(Username::decode(long.as_bytes(), &id), Ok(Username(&long)));
        assert!(Username::decode("x".repeat(764).as_bytes(), &id).is_err());
        let mut out = Vec::new();
        Username(&long).encode(&id, &mut out);
        assert_eq!(out.len(), 508);
    }
}
