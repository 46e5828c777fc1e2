//! Revision 3: each packet has its length in front.

use bytes::{Buf, Bytes};
use bytestring::ByteString;

use super::push_base64;
use crate::engine::{Outgoing, Packet, PacketError, Version};

/// Encodes packets as a text body: `<length in UTF-16 code units>:<packet>`, binary as `b4` and
/// base64.
#[must_use]
pub fn encode_text<'a>(packets: impl IntoIterator<Item = &'a Outgoing>) -> Bytes {
    let mut out = Vec::new();
    for packet in packets {
        if packet.is_binary() {
            let mut entry = b"b4".to_vec();
            push_base64(packet.content(), &mut entry);
            out.extend_from_slice(format!("{}:", entry.len()).as_bytes());
            out.append(&mut entry);
        } else {
            // JavaScript's `length` of the packet, which is not the number of bytes.
            let units = utf16_len(packet.content());
            out.extend_from_slice(format!("{units}:").as_bytes());
            out.extend_from_slice(packet.content());
        }
    }
    Bytes::from(out)
}

/// Encodes packets as a binary body, for clients that can read one (no `b64=1` in their query).
#[must_use]
pub fn encode_binary<'a>(packets: impl IntoIterator<Item = &'a Outgoing>) -> Bytes {
    let mut out = Vec::new();
    for packet in packets {
        let content = packet.content();
        let (marker, type_byte): (u8, &[u8]) = if packet.is_binary() {
            (1, &[4])
        } else {
            (0, &[])
        };
        out.push(marker);
        let length = (type_byte.len() + content.len()).to_string();
        out.extend(length.bytes().map(|digit| digit - b'0'));
        out.push(END_OF_LENGTH);
        out.extend_from_slice(type_byte);
        out.extend_from_slice(content);
    }
    Bytes::from(out)
}

/// Decodes a text body packet by packet; after an error it yields nothing more.
#[derive(Debug)]
pub struct TextDecoder {
    rest: ByteString,
    failed: bool,
}

impl TextDecoder {
    /// Starts at the beginning of `body`; an empty body yields [`PacketError::Empty`].
    #[must_use]
    pub fn new(body: ByteString) -> Self {
        let failed = false;
        Self { rest: body, failed }
    }

    fn entry(&mut self) -> Result<ByteString, PacketError> {
        let body = std::mem::take(&mut self.rest);
        let (digits, tail) = body.split_once(':').ok_or(PacketError::Length)?;
        let length = parse_length(digits.bytes().map(|byte| byte.wrapping_sub(b'0')))?;
        let end = utf16_prefix(tail, length).ok_or(PacketError::Length)?;
        let (entry, rest) = tail.split_at_checked(end).ok_or(PacketError::Length)?;
        self.rest = body.slice_ref(rest);
        Ok(body.slice_ref(entry))
    }
}

impl Iterator for TextDecoder {
    type Item = Result<Packet, PacketError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.rest.is_empty() {
            return None;
        }
        let packet = self
            .entry()
            .and_then(|entry| Packet::decode_text(Version::V3, &entry));
        self.failed = packet.is_err();
        Some(packet)
    }
}

/// Decodes a binary body packet by packet; after an error it yields nothing more.
#[derive(Debug)]
pub struct BinaryDecoder {
    rest: Bytes,
    failed: bool,
}

impl BinaryDecoder {
    /// Starts at the beginning of `body`.
    #[must_use]
    pub const fn new(body: Bytes) -> Self {
        Self {
            rest: body,
            failed: false,
        }
    }

    fn entry(&mut self) -> Result<Packet, PacketError> {
        let (marker, tail) = self.rest.split_first().ok_or(PacketError::Empty)?;
        let marker = *marker;
        let digits = tail
            .iter()
            // The end of the digits is not searched for in the whole body.
            .take(MAX_LENGTH_DIGITS + 1)
            .position(|byte| *byte == END_OF_LENGTH)
            .ok_or(PacketError::Length)?;
        let length = parse_length(tail.iter().take(digits).copied())?;
        self.rest.advance(digits + 2);
        if length > self.rest.len() {
            return Err(PacketError::Length);
        }
        let entry = self.rest.split_to(length);
        match marker {
            0 => {
                let text = ByteString::try_from(entry).map_err(|_| PacketError::Utf8)?;
                Packet::decode_text(Version::V3, &text)
            }
            1 => Packet::decode_binary(Version::V3, entry),
            other => Err(PacketError::UnknownType(other)),
        }
    }
}

impl Iterator for BinaryDecoder {
    type Item = Result<Packet, PacketError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.rest.is_empty() {
            return None;
        }
        let packet = self.entry();
        self.failed = packet.is_err();
        Some(packet)
    }
}

/// Reads decimal digits given as the values 0 to 9.
fn parse_length(digits: impl ExactSizeIterator<Item = u8>) -> Result<usize, PacketError> {
    if !(1..=MAX_LENGTH_DIGITS).contains(&digits.len()) {
        return Err(PacketError::Length);
    }
    digits.into_iter().try_fold(0_usize, |length, digit| {
        if digit > 9 {
            return Err(PacketError::Length);
        }
        Ok(length * 10 + usize::from(digit))
    })
}

/// Counts UTF-16 code units: one for each character, one more for each outside the basic plane.
fn utf16_len(text: &[u8]) -> usize {
    text.iter()
        .map(|byte| match byte {
            // A continuation byte belongs to a character that is already counted.
            0x80..=0xbf => 0,
            0xf0..=0xff => 2,
            _ => 1,
        })
        .sum()
}

/// Returns where the first `units` UTF-16 code units of `text` end, in bytes.
fn utf16_prefix(text: &str, units: usize) -> Option<usize> {
    let mut left = units;
    let mut end = 0;
    let mut characters = text.chars();
    while left > 0 {
        let character = characters.next()?;
        left = left.checked_sub(character.len_utf16())?;
        end += character.len_utf8();
    }
    Some(end)
}

/// More digits than any accepted body could need; longer lengths are refused unread.
const MAX_LENGTH_DIGITS: usize = 10;

/// Ends the decimal digits of a length in a binary payload.
const END_OF_LENGTH: u8 = 0xff;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::Message;

    fn decode(body: &'static str) -> Vec<Result<Packet, PacketError>> {
        TextDecoder::new(ByteString::from_static(body)).collect()
    }

    fn text(content: &'static str) -> Packet {
        Packet::Message(Message::Text(content.into()))
    }

    #[test]
    fn text_lengths_count_utf16_code_units() {
        let packets = [
            Outgoing::text("4hello"),
            Outgoing::text("4€"),
            Outgoing::text("4🦀"),
        ];
        assert_eq!(encode_text(&packets), "6:4hello2:4€3:4🦀".as_bytes());
        assert_eq!(
            decode("6:4hello2:4€3:4🦀"),
            [Ok(text("hello")), Ok(text("€")), Ok(text("🦀"))]
        );
    }

    #[test]
    fn binary_in_a_text_body_is_base64() {
        let packets = [
            Outgoing::text("4hello"),
            Outgoing::binary(Bytes::from_static(&[1, 2, 3, 4])),
        ];
        assert_eq!(encode_text(&packets), &b"6:4hello10:b4AQIDBA=="[..]);
        let binary = Packet::Message(Message::Binary(Bytes::from_static(&[1, 2, 3, 4])));
        assert_eq!(decode("10:b4AQIDBA=="), [Ok(binary)]);
    }

    #[test]
    fn a_binary_body_counts_bytes() {
        let packets = [
            Outgoing::text("4€"),
            Outgoing::binary(Bytes::from_static(&[1, 2, 3, 4])),
        ];
        let body = encode_binary(&packets);
        assert_eq!(
            body,
            &b"\x00\x04\xff4\xe2\x82\xac\x01\x05\xff\x04\x01\x02\x03\x04"[..]
        );
        let back: Result<Vec<_>, _> = BinaryDecoder::new(body).collect();
        let binary = Packet::Message(Message::Binary(Bytes::from_static(&[1, 2, 3, 4])));
        assert_eq!(back, Ok(vec![text("€"), binary]));
    }

    #[test]
    fn a_wrong_length_is_refused() {
        for body in [
            "abc",
            "1:",
            ":4",
            "-1:4",
            "3:4",
            "2:4🦀",
            "99999999999999999999:4",
            "1e1:4",
            " 1:4",
        ] {
            assert_eq!(decode(body), [Err(PacketError::Length)], "{body}");
        }
        assert_eq!(decode("1:41"), [Ok(text("")), Err(PacketError::Length)]);
        assert_eq!(decode("0:"), [Err(PacketError::Empty)]);
    }

    #[test]
    fn a_broken_binary_body_is_refused() {
        let refused = |body: &'static [u8]| {
            BinaryDecoder::new(Bytes::from_static(body))
                .collect::<Result<Vec<_>, _>>()
                .unwrap_err()
        };
        assert_eq!(refused(&[0]), PacketError::Length);
        assert_eq!(refused(&[0, 1]), PacketError::Length);
        assert_eq!(refused(&[0, 255]), PacketError::Length);
        assert_eq!(refused(&[0, 2, 255, b'4']), PacketError::Length);
        assert_eq!(refused(&[0, 10, 255, b'4']), PacketError::Length);
        assert_eq!(refused(&[2, 1, 255, b'4']), PacketError::UnknownType(2));
        assert_eq!(refused(&[0, 2, 255, b'4', 0x80]), PacketError::Utf8);
        assert_eq!(refused(&[1, 1, 255, 3]), PacketError::BinaryNotMessage);
    }

    proptest! {
        #[test]
        fn messages_survive_both_bodies(messages in proptest::collection::vec(message(), 1..8)) {
            let outgoing: Vec<_> = messages.iter().cloned().map(Outgoing::message).collect();
            let sent: Result<Vec<_>, PacketError> = Ok(messages.into_iter().map(Packet::Message).collect());
            let body = ByteString::try_from(encode_text(&outgoing)).unwrap();
            prop_assert_eq!(&TextDecoder::new(body).collect::<Result<Vec<_>, _>>(), &sent);
            let body = encode_binary(&outgoing);
            prop_assert_eq!(&BinaryDecoder::new(body).collect::<Result<Vec<_>, _>>(), &sent);
        }
    }

    fn message() -> impl Strategy<Value = Message> {
        prop_oneof![
            ".*".prop_map(|text| Message::Text(text.into())),
            proptest::collection::vec(any::<u8>(), 0..64)
                .prop_map(|bytes| Message::Binary(bytes.into())),
        ]
    }
}
