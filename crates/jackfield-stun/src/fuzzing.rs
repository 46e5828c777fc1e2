//! What the fuzz targets run: each asserts properties of any bytes.

use crate::attribute::{
    AlternateDomain, AlternateServer, Attribute, ErrorCode, MappedAddress, Nonce,
    PasswordAlgorithm, PasswordAlgorithms, Realm, Software, UnknownAttributes, Userhash, Username,
    XorMappedAddress,
};
use crate::framing::{MAX_MESSAGE, message_length};
use crate::{Key, Message, MessageWriter, binding};

/// Reads bytes as a message; what is read is written and read back the same.
pub fn message(data: &[u8]) {
    let Ok(message) = Message::parse(data) else {
        return;
    };
    assert_eq!(message.as_bytes().len(), data.len());
    let key = Key::short_term("key");
    let _ = message.check_sha1(&key);
    let _ = message.check_sha256(&key);
    round_trip::<MappedAddress>(&message);
    round_trip::<XorMappedAddress>(&message);
    round_trip::<AlternateServer>(&message);
    round_trip::<AlternateDomain<'_>>(&message);
    round_trip::<Username<'_>>(&message);
    round_trip::<Realm<'_>>(&message);
    round_trip::<Nonce<'_>>(&message);
    round_trip::<Software<'_>>(&message);
    round_trip::<ErrorCode<'_>>(&message);
    round_trip::<UnknownAttributes>(&message);
    round_trip::<Userhash>(&message);
    round_trip::<PasswordAlgorithm>(&message);
    round_trip::<PasswordAlgorithms<'_>>(&message);
    sealed(&message, &key);
    let mut answer = Vec::new();
    let remote = "[2001:db8::1]:3478".parse().expect("an address");
    let length = binding::answer(&message, remote, &mut answer).expect("a short answer");
    assert!(length <= 52, "an answer to a stranger has {length} bytes");
    assert!(Message::parse(&answer).is_ok());
}

fn round_trip<'a, A: Attribute<'a> + PartialEq + std::fmt::Debug>(message: &Message<'a>) {
    let Ok(Some(attribute)) = message.get::<A>() else {
        return;
    };
    let mut bytes = Vec::new();
    let header = message.header();
    let mut writer =
        MessageWriter::new(&mut bytes, header.class, header.method, header.transaction);
    writer.attribute(&attribute);
    writer.finish().expect("one attribute fits");
    let mut again = Vec::new();
    let reread = Message::parse(&bytes).expect("what we write is well-formed");
    let (kind, value) = reread.attributes().next().expect("one attribute");
    assert_eq!(kind, A::TYPE);
    attribute.encode(&header.transaction, &mut again);
    assert_eq!(value, again);
}

/// Copies what counts into a new message with integrity and fingerprint, which then check out.
fn sealed(message: &Message<'_>, key: &Key) {
    let mut bytes = Vec::new();
    let header = message.header();
    let mut writer =
        MessageWriter::new(&mut bytes, header.class, header.method, header.transaction);
    for realm in message.all::<Realm<'_>>().flatten() {
        writer.attribute(&realm);
    }
    writer.integrity_sha1(key);
    writer.integrity_sha256(key);
    writer.fingerprint();
    if writer.finish().is_err() {
        return;
    }
    let sealed = Message::parse(&bytes).expect("what we write is well-formed");
    assert_eq!(sealed.header().class, header.class);
    assert_eq!(sealed.header().method, header.method);
    assert_eq!(sealed.header().transaction, header.transaction);
    assert_eq!(sealed.check_sha1(key), Ok(()));
    assert_eq!(sealed.check_sha256(key), Ok(()));
    assert!(sealed.has_fingerprint());
}

/// Cuts bytes as a stream: lengths never depend on what follows the prefix, and cutting always ends.
pub fn framing(data: &[u8]) {
    let mut rest = data;
    while let Ok(Some(length)) = message_length(rest, MAX_MESSAGE) {
        assert!(length >= 4 && length % 4 == 0 && length <= MAX_MESSAGE);
        let prefix = rest.get(..4).expect("a length needs a prefix");
        assert_eq!(message_length(prefix, MAX_MESSAGE), Ok(Some(length)));
        assert!(length == 4 || message_length(rest, length - 4).is_err());
        match rest.get(length..) {
            Some(next) => rest = next,
            None => break,
        }
    }
}

/// Reads bytes as a URI; what is read is written and read back the same.
pub fn uri(data: &[u8]) {
    if let Some(uri) = str::from_utf8(data)
        .ok()
        .and_then(|text| text.parse::<crate::uri::Uri>().ok())
    {
        assert_eq!(uri.to_string().parse(), Ok(uri));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_corpus::replay;

    #[test]
    fn the_corpus_of_message_holds() {
        replay("stun_message", 20_000, message);
    }

    #[test]
    fn the_corpus_of_framing_holds() {
        replay("stun_framing", 20_000, framing);
    }

    #[test]
    fn the_corpus_of_uri_holds() {
        replay("stun_uri", 20_000, uri);
    }
}
