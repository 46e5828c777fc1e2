//! The server's answer to a Binding request ([RFC 8489 §6.3.1]); it keeps no state.
//!
//! [RFC 8489 §6.3.1]: https://www.rfc-editor.org/rfc/rfc8489#section-6.3.1

mod classic;

use std::net::SocketAddr;

pub use classic::ClassicRequest;

use crate::attribute::{AttributeType, ErrorCodeAttribute, UnknownAttributes, XorMappedAddress};
use crate::{Class, ErrorCode, Message, MessageTooLong, MessageWriter, Method};

/// Appends the answer to `request`, which came from `remote`, to `out`; returns its length.
///
/// It is an answer for strangers, so it is as small as can be: 32 bytes for IPv4, 44 for IPv6, and
/// 8 more if the request had a FINGERPRINT. What is not a Binding request is the caller's to sort
/// out.
pub fn answer(
    request: &Message<'_>,
    remote: SocketAddr,
    out: &mut Vec<u8>,
) -> Result<usize, MessageTooLong> {
    let unknown: Vec<AttributeType> = request.unknown(KNOWN).take(MAX_UNKNOWN).collect();
    let class = if unknown.is_empty() {
        Class::Success
    } else {
        Class::Error
    };
    let mut writer = MessageWriter::new(out, class, Method::BINDING, request.transaction());
    if unknown.is_empty() {
        writer.attribute(&XorMappedAddress(remote));
    } else {
        writer.attribute(&ErrorCodeAttribute::without_reason(
            ErrorCode::UNKNOWN_ATTRIBUTE,
        ));
        writer.attribute(&UnknownAttributes::new(unknown));
    }
    if request.has_fingerprint() {
        writer.fingerprint();
    }
    writer.finish()
}

/// Returns whether a Binding request carries something that it would be refused for, apart from
/// `more`.
pub(crate) fn has_unknown(request: &Message<'_>, more: &[AttributeType]) -> bool {
    request.unknown(KNOWN).any(|kind| !more.contains(&kind))
}

/// What a Binding request may carry without being refused.
///
/// What belongs into responses is known and ignored ("known-but-unexpected", RFC 8489 §6.3). The
/// attributes of ICE are here because agents probe servers with them.
const KNOWN: &[AttributeType] = &[
    AttributeType::MAPPED_ADDRESS,
    AttributeType::XOR_MAPPED_ADDRESS,
    AttributeType::ERROR_CODE,
    AttributeType::UNKNOWN_ATTRIBUTES,
    AttributeType::USERNAME,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::USERHASH,
    AttributeType::PASSWORD_ALGORITHM,
    AttributeType::PRIORITY,
    AttributeType::USE_CANDIDATE,
];

/// An answer names no more unknown attributes than these, so that it stays smaller than the
/// request.
const MAX_UNKNOWN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TransactionId;
    use crate::attribute::Software;

    const REMOTE: &str = "192.0.2.1:32853";

    #[test]
    fn an_answer_has_the_senders_address_and_nothing_else() {
        let mut request = Vec::new();
        let id = TransactionId::new(*b"abcdefghijkl");
        let mut writer = MessageWriter::new(&mut request, Class::Request, Method::BINDING, id);
        writer.attribute(&Software("a client"));
        writer.finish().unwrap();
        let mut bytes = Vec::new();
        let length = answer(
            &Message::parse(&request).unwrap(),
            REMOTE.parse().unwrap(),
            &mut bytes,
        );
        assert_eq!(length, Ok(32));
        let answer = Message::parse(&bytes).unwrap();
        assert_eq!(answer.class(), Class::Success);
        assert_eq!(answer.transaction(), id);
        assert_eq!(answer.attributes().count(), 1);
        let mapped: XorMappedAddress = answer.get().unwrap().unwrap();
        assert_eq!(mapped.0, REMOTE.parse().unwrap());
    }

    #[test]
    fn an_attribute_that_is_known_and_out_of_place_is_ignored() {
        let mut request = Vec::new();
        let id = TransactionId::new(*b"abcdefghijkl");
        let mut writer = MessageWriter::new(&mut request, Class::Request, Method::BINDING, id);
        //= https://www.rfc-editor.org/rfc/rfc8489#section-6.3
        //= type=test
        //# Known-but-unexpected attributes SHOULD be ignored by
        //# the agent.
        writer.attribute(&XorMappedAddress(REMOTE.parse().unwrap()));
        writer.attribute(&ErrorCodeAttribute::from(ErrorCode::BAD_REQUEST));
        writer.finish().unwrap();
        let mut bytes = Vec::new();
        let request = Message::parse(&request).unwrap();
        answer(&request, REMOTE.parse().unwrap(), &mut bytes).unwrap();
        assert_eq!(Message::parse(&bytes).unwrap().class(), Class::Success);
    }

    #[test]
    fn an_attribute_that_must_be_understood_and_is_not_gets_420() {
        let request = b"\0\x01\0\x04\x21\x12\xa4\x42abcdefghijkl\x7f\x01\0\0";
        let mut bytes = Vec::new();
        answer(
            &Message::parse(request).unwrap(),
            REMOTE.parse().unwrap(),
            &mut bytes,
        )
        .unwrap();
        let answer = Message::parse(&bytes).unwrap();
        assert_eq!(
            answer.get(),
            Ok(Some(ErrorCodeAttribute::without_reason(
                ErrorCode::UNKNOWN_ATTRIBUTE
            )))
        );
        let unknown: UnknownAttributes = answer.get().unwrap().unwrap();
        assert_eq!(unknown.types(), [AttributeType::new(0x7F01)]);
    }
}
