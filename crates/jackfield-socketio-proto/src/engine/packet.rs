//! Engine.IO packets, as WebSocket frames and polling payloads carry them.

use bytes::{Buf, Bytes};
use bytestring::ByteString;

use super::Version;
use super::payload::{base64_prefix, decode_base64};

/// What an application sends and receives: one text or one binary message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(ByteString),
    /// A binary message.
    Binary(Bytes),
}

impl Message {
    /// Returns the length of the content, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Returns whether the content is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An Engine.IO packet, of either protocol revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// `0`: the handshake's JSON, from the server.
    Open(ByteString),
    /// `1`: the sender closes.
    Close,
    /// `2`: a heartbeat, or `2probe` on a transport that is being tried.
    Ping(ByteString),
    /// `3`: the answer to a ping, with its content.
    Pong(ByteString),
    /// `4`: a message.
    Message(Message),
    /// `5`: the client moves to the transport it probed.
    Upgrade,
    /// `6`: nothing; ends a poll.
    Noop,
}

/// Why bytes are not an Engine.IO packet or payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// There is no byte for the packet type.
    #[error("the packet is empty")]
    Empty,
    /// The first byte names no packet type.
    #[error("the packet type {0:#04x} is unknown")]
    UnknownType(u8),
    /// A binary frame or payload entry carries a packet that only exists as text.
    #[error("the binary packet is not a message")]
    BinaryNotMessage,
    /// The base64 of a binary packet is malformed.
    #[error("the binary packet is not base64")]
    Base64,
    /// The length in front of a packet (revision 3) is malformed or does not match.
    #[error("the length of a payload entry is wrong")]
    Length,
    /// A text packet is not UTF-8.
    #[error("the text packet is not UTF-8")]
    Utf8,
}

impl Packet {
    /// Decodes a text packet: a WebSocket text frame, or a text entry of a payload.
    ///
    /// A binary message may be one too, where a client cannot send bytes: `b` and its base64 in
    /// revision 4, `b4` in revision 3. Content after a close, upgrade or noop type is ignored, as
    /// the JavaScript server does.
    ///
    /// # Errors
    /// When the text is empty, its first character is not `0` to `6`, or the base64 is malformed.
    pub fn decode_text(version: Version, text: &ByteString) -> Result<Self, PacketError> {
        if let Some(base64) = text.strip_prefix(base64_prefix(version)) {
            return decode_base64(base64);
        }
        let (kind, _) = text.as_bytes().split_first().ok_or(PacketError::Empty)?;
        if !(b'0'..=b'6').contains(kind) {
            return Err(PacketError::UnknownType(*kind));
        }
        let content = || {
            text.get(1..)
                .map_or_else(ByteString::new, |rest| text.slice_ref(rest))
        };
        Ok(match kind {
            b'0' => Self::Open(content()),
            b'1' => Self::Close,
            b'2' => Self::Ping(content()),
            b'3' => Self::Pong(content()),
            b'4' => Self::Message(Message::Text(content())),
            b'5' => Self::Upgrade,
            _ => Self::Noop,
        })
    }

    /// Decodes a binary WebSocket frame: the message itself in revision 4, byte 4 and the message
    /// in revision 3.
    ///
    /// # Errors
    /// In revision 3, when the frame is empty or its first byte is not 4.
    pub fn decode_binary(version: Version, mut frame: Bytes) -> Result<Self, PacketError> {
        // Revision 3 has the packet type in front of binary messages, too, as a byte of value 4.
        if version == Version::V3 {
            match frame.first() {
                None => return Err(PacketError::Empty),
                Some(4) => frame.advance(1),
                Some(_) => return Err(PacketError::BinaryNotMessage),
            }
        }
        Ok(Self::Message(Message::Binary(frame)))
    }

    /// Returns the type's digit.
    #[must_use]
    pub const fn digit(&self) -> char {
        match self {
            Self::Open(_) => '0',
            Self::Close => '1',
            Self::Ping(_) => '2',
            Self::Pong(_) => '3',
            Self::Message(_) => '4',
            Self::Upgrade => '5',
            Self::Noop => '6',
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Outgoing;

    fn decode(text: &'static str) -> Result<Packet, PacketError> {
        Packet::decode_text(Version::V4, &ByteString::from_static(text))
    }

    #[test]
    fn each_digit_names_its_packet() {
        assert_eq!(decode("0{}"), Ok(Packet::Open("{}".into())));
        assert_eq!(decode("1"), Ok(Packet::Close));
        assert_eq!(decode("2probe"), Ok(Packet::Ping("probe".into())));
        assert_eq!(decode("3"), Ok(Packet::Pong("".into())));
        assert_eq!(decode("4€"), Ok(Packet::Message(Message::Text("€".into()))));
        assert_eq!(decode("5"), Ok(Packet::Upgrade));
        assert_eq!(decode("6"), Ok(Packet::Noop));
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        assert_eq!(decode(""), Err(PacketError::Empty));
        assert_eq!(decode("abc"), Err(PacketError::UnknownType(b'a')));
        assert_eq!(decode("7"), Err(PacketError::UnknownType(b'7')));
        assert_eq!(decode("€"), Err(PacketError::UnknownType(0xe2)));
    }

    #[test]
    fn a_binary_message_may_come_as_base64() {
        let message = || Packet::Message(Message::Binary(Bytes::from_static(b"abc")));
        assert_eq!(decode("bYWJj"), Ok(message()));
        assert_eq!(decode("b$"), Err(PacketError::Base64));
        let v3 = |text: &'static str| Packet::decode_text(Version::V3, &text.into());
        assert_eq!(v3("b4YWJj"), Ok(message()));
        assert_eq!(v3("bYWJj"), Err(PacketError::UnknownType(b'b')));
        for version in [Version::V3, Version::V4] {
            let text = Outgoing::binary(Bytes::from_static(b"abc")).into_base64(version);
            assert!(!text.is_binary() && text.frame().is_none());
            let text = ByteString::try_from(text.content().to_vec()).unwrap();
            assert_eq!(Packet::decode_text(version, &text), Ok(message()));
        }
    }

    #[test]
    fn a_binary_frame_of_revision_3_begins_with_4() {
        let frame = Bytes::from_static(&[4, 1, 2]);
        let message =
            |bytes: &'static [u8]| Packet::Message(Message::Binary(Bytes::from_static(bytes)));
        assert_eq!(
            Packet::decode_binary(Version::V3, frame.clone()),
            Ok(message(&[1, 2]))
        );
        assert_eq!(
            Packet::decode_binary(Version::V4, frame),
            Ok(message(&[4, 1, 2]))
        );
        assert_eq!(
            Packet::decode_binary(Version::V3, Bytes::from_static(&[3, 1])),
            Err(PacketError::BinaryNotMessage)
        );
        assert_eq!(
            Packet::decode_binary(Version::V3, Bytes::new()),
            Err(PacketError::Empty)
        );
    }
}
