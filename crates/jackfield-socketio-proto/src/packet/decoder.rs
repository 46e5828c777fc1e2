//! Packets with their attachments, out of a connection's messages.

use super::decode::decode;
use super::{Content, DecodeError, Packet};
use crate::engine::Message;

/// Limits of a [`Decoder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecoderConfig {
    /// How many attachments a packet may have.
    pub max_attachments: usize,
    /// How many bytes a packet and its attachments may hold together.
    pub max_packet: usize,
}

impl Default for DecoderConfig {
    fn default() -> Self {
        Self {
            max_attachments: 10,
            max_packet: 11_000_000,
        }
    }
}

/// Turns the messages of one connection into packets.
///
/// A packet's attachments are the messages right after it; anything else in between is an error.
/// After an error the connection must be closed.
#[derive(Debug, Default)]
pub struct Decoder {
    config: DecoderConfig,
    pending: Option<Box<Pending>>,
}

/// A packet that waits for attachments.
#[derive(Debug)]
struct Pending {
    packet: Packet,
    missing: usize,
    held: usize,
}

impl Decoder {
    /// Starts with an empty connection.
    #[must_use]
    pub const fn new(config: DecoderConfig) -> Self {
        Self {
            config,
            pending: None,
        }
    }

    /// Takes a message and returns the packet that it completes, if it does.
    ///
    /// # Errors
    /// When the message breaks the protocol; the connection must be closed.
    pub fn handle_message(&mut self, message: Message) -> Result<Option<Packet>, DecodeError> {
        match (message, self.pending.take()) {
            (Message::Text(text), None) => {
                let (packet, missing) = decode(&text, self.config.max_attachments)?;
                if missing == 0 {
                    return Ok(Some(packet));
                }
                self.pending = Some(Box::new(Pending {
                    packet,
                    missing,
                    held: text.len(),
                }));
                Ok(None)
            }
            (Message::Binary(bytes), Some(mut pending)) => {
                pending.held += bytes.len();
                // Each message is within its limit, but a packet holds all of its attachments at
                // once.
                if pending.held > self.config.max_packet {
                    return Err(DecodeError::TooLarge);
                }
                match &mut pending.packet.content {
                    Content::Event(event) => event.args.push_attachment(bytes),
                    Content::Ack(ack) => ack.args.push_attachment(bytes),
                    Content::Connect(_) | Content::Disconnect | Content::ConnectError(_) => {}
                }
                pending.missing -= 1;
                if pending.missing == 0 {
                    return Ok(Some(pending.packet));
                }
                self.pending = Some(pending);
                Ok(None)
            }
            (Message::Text(_), Some(_)) => Err(DecodeError::TextInsteadOfAttachment),
            (Message::Binary(_), None) => Err(DecodeError::UnexpectedAttachment),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::packet::EventPacket;

    fn text(text: &str) -> Message {
        Message::Text(text.to_owned().into())
    }

    fn decode_one(message: &str) -> Result<Option<Packet>, DecodeError> {
        Decoder::default().handle_message(text(message))
    }

    fn decoded(message: &str) -> Packet {
        decode_one(message).unwrap().unwrap()
    }

    fn event(message: &str) -> EventPacket {
        match decoded(message).content {
            Content::Event(event) => event,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_examples_of_the_protocol_document_are_decoded() {
        assert_eq!(decoded("0").content, Content::Connect(None));
        let packet = decoded(r#"0/admin,{"sid":"oSO0OpakMV_3jnilAAAA"}"#);
        assert_eq!(packet.namespace, "/admin");
        assert_eq!(
            packet.content,
            Content::Connect(Some(r#"{"sid":"oSO0OpakMV_3jnilAAAA"}"#.into()))
        );
        assert_eq!(
            decoded(r#"4{"message":"Not authorized"}"#).content,
            Content::ConnectError(Some(r#"{"message":"Not authorized"}"#.into()))
        );
        let hello = event(r#"2["hello",1]"#);
        assert_eq!((hello.name.as_ref(), hello.ack_id), ("hello", None));
        assert_eq!(hello.args.get::<u8>(0).unwrap(), 1);
        let packet = decoded(r#"2/admin,456["project:delete",123]"#);
        assert_eq!(packet.namespace, "/admin");
        assert_eq!(decoded("1/admin,").content, Content::Disconnect);
        assert_eq!(decoded("1/admin,").namespace, "/admin");
        match decoded("3/admin,456[]").content {
            Content::Ack(ack) => assert_eq!((ack.ack_id, ack.args.raw().len()), (456, 0)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn attachments_follow_their_packet() {
        let mut decoder = Decoder::default();
        let head =
            r#"52-/admin,7["hello",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
        assert_eq!(decoder.handle_message(text(head)), Ok(None));
        let first = Bytes::from_static(&[1, 2, 3]);
        assert_eq!(
            decoder.handle_message(Message::Binary(first.clone())),
            Ok(None)
        );
        let packet = decoder
            .handle_message(Message::Binary(Bytes::from_static(&[4])))
            .unwrap()
            .unwrap();
        match packet.content {
            Content::Event(event) => {
                assert_eq!(event.ack_id, Some(7));
                let (a, b): (crate::Binary, crate::Binary) = event.args.parse().unwrap();
                assert_eq!((a.0, b.0), (first, Bytes::from_static(&[4])));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_format_forbids_is_refused() {
        let cases = [
            ("", DecodeError::Empty),
            ("abc", DecodeError::UnknownType),
            ("7", DecodeError::UnknownType),
            ("999", DecodeError::UnknownType),
            ("2", DecodeError::InvalidPayload),
            ("2{}", DecodeError::InvalidPayload),
            ("2[]", DecodeError::InvalidPayload),
            ("2[{}]", DecodeError::InvalidPayload),
            ("2[{\"toString\":\"foo\"}]", DecodeError::InvalidPayload),
            ("2[true]", DecodeError::InvalidPayload),
            ("2[null,\"bar\"]", DecodeError::InvalidPayload),
            ("2[[\"foo\"]]", DecodeError::InvalidPayload),
            ("2[\"some\",\"data\"", DecodeError::InvalidPayload),
            ("2[\"some\"]x", DecodeError::InvalidPayload),
            ("2abc[\"message-with-ack\",1]", DecodeError::InvalidPayload),
            ("2/nsp,", DecodeError::InvalidPayload),
            ("2[\"connect\"]", DecodeError::ReservedName),
            ("2[\"connect_error\"]", DecodeError::ReservedName),
            ("2[\"disconnect\",\"123\"]", DecodeError::ReservedName),
            ("2[\"disconnecting\"]", DecodeError::ReservedName),
            ("2[\"newListener\"]", DecodeError::ReservedName),
            ("2[\"removeListener\"]", DecodeError::ReservedName),
            ("2[\"\\u0064isconnect\"]", DecodeError::ReservedName),
            ("0\"invalid\"", DecodeError::InvalidPayload),
            ("0[]", DecodeError::InvalidPayload),
            ("0/admin,null", DecodeError::InvalidPayload),
            ("1/admin,{}", DecodeError::InvalidPayload),
            ("1\"invalid\"", DecodeError::InvalidPayload),
            ("4[]", DecodeError::InvalidPayload),
            ("3[]", DecodeError::BadAckId),
            ("312{}", DecodeError::InvalidPayload),
            ("3/admin,1\"invalid\"", DecodeError::InvalidPayload),
            ("39007199254740992[]", DecodeError::BadAckId),
            ("299999999999999999999999[\"a\"]", DecodeError::BadAckId),
            ("5", DecodeError::IllegalAttachments),
            ("51", DecodeError::IllegalAttachments),
            ("5-[\"a\"]", DecodeError::IllegalAttachments),
            ("50-[\"a\"]", DecodeError::IllegalAttachments),
            ("5-1-[\"a\"]", DecodeError::IllegalAttachments),
            ("51.5-[\"a\"]", DecodeError::IllegalAttachments),
            ("5abc-[\"a\"]", DecodeError::IllegalAttachments),
            ("5+1-[\"a\"]", DecodeError::IllegalAttachments),
            ("511-[\"a\"]", DecodeError::TooManyAttachments),
            ("5999999-[\"a\"]", DecodeError::TooManyAttachments),
            ("59999999999-[\"a\"]", DecodeError::IllegalAttachments),
            (
                "51-[\"a\",{\"_placeholder\":true,\"num\":1}]",
                DecodeError::BadPlaceholder,
            ),
            (
                "51-[\"a\",{\"_placeholder\":true,\"num\":\"splice\"}]",
                DecodeError::BadPlaceholder,
            ),
            (
                "61-0[{\"_placeholder\":true,\"num\":-1}]",
                DecodeError::BadPlaceholder,
            ),
        ];
        for (message, error) in cases {
            assert_eq!(decode_one(message), Err(error), "{message}");
        }
    }

    #[test]
    fn a_numeric_name_is_a_name() {
        assert_eq!(event("2[5,1]").name, "5");
        assert_eq!(event("2[-5]").name, "-5");
        assert_eq!(event("2[1.5]").name, "1.5");
    }

    #[test]
    fn attachments_must_be_adjacent() {
        let mut decoder = Decoder::default();
        let head = r#"51-["a",{"_placeholder":true,"num":0}]"#;
        decoder.handle_message(text(head)).unwrap();
        assert_eq!(
            decoder.handle_message(text(r#"2["b"]"#)),
            Err(DecodeError::TextInsteadOfAttachment)
        );
        assert_eq!(
            Decoder::default().handle_message(Message::Binary(Bytes::new())),
            Err(DecodeError::UnexpectedAttachment)
        );
    }

    #[test]
    fn a_packet_cannot_hold_more_than_its_limit() {
        let mut decoder = Decoder::new(DecoderConfig {
            max_attachments: 2,
            max_packet: 100,
        });
        decoder.handle_message(text(r#"52-["a"]"#)).unwrap();
        let large = Message::Binary(Bytes::from_static(&[0; 60]));
        assert_eq!(decoder.handle_message(large.clone()), Ok(None));
        assert_eq!(decoder.handle_message(large), Err(DecodeError::TooLarge));
    }

    #[test]
    fn deep_nesting_needs_no_deep_stack() {
        let json = format!(r#"2["a",{}{}]"#, "[".repeat(400_000), "]".repeat(400_000));
        assert!(decode_one(&json).is_ok());
    }
}
