//! Revision 4: packets joined by `\x1e`.

use bytes::Bytes;
use bytestring::ByteString;

use super::push_base64;
use crate::engine::{Outgoing, Packet, PacketError, Version};

/// Encodes packets as one body.
#[must_use]
pub fn encode<'a>(packets: impl IntoIterator<Item = &'a Outgoing>) -> Bytes {
    let mut out = Vec::new();
    for (index, packet) in packets.into_iter().enumerate() {
        if index > 0 {
            out.push(SEPARATOR);
        }
        if packet.is_binary() {
            out.push(b'b');
            push_base64(packet.content(), &mut out);
        } else {
            out.extend_from_slice(packet.content());
        }
    }
    Bytes::from(out)
}

/// Decodes a body packet by packet; after an error it yields nothing more.
///
/// Packets share the body's memory, so a body costs no more than its own size however many packets
/// it claims.
#[derive(Debug)]
pub struct Decoder {
    rest: Option<ByteString>,
}

impl Decoder {
    /// Starts at the beginning of `body`; an empty body yields [`PacketError::Empty`].
    #[must_use]
    pub const fn new(body: ByteString) -> Self {
        Self { rest: Some(body) }
    }
}

impl Iterator for Decoder {
    type Item = Result<Packet, PacketError>;

    fn next(&mut self) -> Option<Self::Item> {
        let body = self.rest.take()?;
        let entry = match body.split_once(char::from(SEPARATOR)) {
            Some((entry, rest)) => {
                self.rest = Some(body.slice_ref(rest));
                body.slice_ref(entry)
            }
            None => body,
        };
        let packet = Packet::decode_text(Version::V4, &entry);
        if packet.is_err() {
            self.rest = None;
        }
        Some(packet)
    }
}

const SEPARATOR: u8 = 0x1e;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::Message;

    fn decode(body: &'static str) -> Vec<Result<Packet, PacketError>> {
        Decoder::new(ByteString::from_static(body)).collect()
    }

    fn text(content: &'static str) -> Packet {
        Packet::Message(Message::Text(content.into()))
    }

    #[test]
    fn packets_are_joined_by_the_record_separator() {
        let packets = [
            Outgoing::text("4hello"),
            Outgoing::text("2"),
            Outgoing::binary(Bytes::from_static(&[1, 2, 3, 4])),
        ];
        assert_eq!(encode(&packets), &b"4hello\x1e2\x1ebAQIDBA=="[..]);
    }

    #[test]
    fn a_payload_is_split_into_its_packets() {
        let binary = Packet::Message(Message::Binary(Bytes::from_static(&[1, 2, 3, 4])));
        assert_eq!(
            decode("4test1\x1ebAQIDBA==\x1e4€"),
            [Ok(text("test1")), Ok(binary.clone()), Ok(text("€"))]
        );
        assert_eq!(decode("bAQIDBA"), [Ok(binary)], "padding may be missing");
    }

    #[test]
    fn decoding_stops_at_the_first_bad_packet() {
        assert_eq!(
            decode("4a\x1eabc\x1e4b"),
            [Ok(text("a")), Err(PacketError::UnknownType(b'a'))]
        );
        assert_eq!(decode(""), [Err(PacketError::Empty)]);
        assert_eq!(decode("4a\x1e"), [Ok(text("a")), Err(PacketError::Empty)]);
        assert_eq!(decode("b$$$"), [Err(PacketError::Base64)]);
    }

    proptest! {
        #[test]
        fn messages_survive_a_payload(messages in proptest::collection::vec(message(), 1..8)) {
            let outgoing: Vec<_> = messages.iter().cloned().map(Outgoing::message).collect();
            let body = ByteString::try_from(encode(&outgoing)).unwrap();
            let back: Result<Vec<_>, _> = Decoder::new(body).collect();
            let sent: Vec<_> = messages.into_iter().map(Packet::Message).collect();
            prop_assert_eq!(back, Ok(sent));
        }
    }

    fn message() -> impl Strategy<Value = Message> {
        prop_oneof![
            // JSON escapes control characters, so no text message of Socket.IO holds a separator.
            "[^\u{1e}]*".prop_map(|text| Message::Text(text.into())),
            proptest::collection::vec(any::<u8>(), 0..64)
                .prop_map(|bytes| Message::Binary(bytes.into())),
        ]
    }
}
