//! One text packet: `<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]`.

use std::fmt;

use bytestring::ByteString;
use serde::Deserializer as _;
use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};

use super::{AckPacket, Content, EventPacket, Packet, is_reserved};
use crate::{Args, replace_lone_surrogates};

/// Why a message is not a Socket.IO packet. Each of them ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The message is empty.
    #[error("the packet is empty")]
    Empty,
    /// The first character names no packet type.
    #[error("the packet type is unknown")]
    UnknownType,
    /// The number of attachments is missing, malformed or zero.
    #[error("the number of attachments is malformed")]
    IllegalAttachments,
    /// There are more attachments than the limit allows.
    #[error("there are too many attachments")]
    TooManyAttachments,
    /// The acknowledgement id is missing or above 2^53 - 1, the largest integer of JavaScript.
    #[error("the acknowledgement id is malformed")]
    BadAckId,
    /// The JSON is malformed, missing, or not what this packet type carries.
    #[error("the payload is not what the packet type carries")]
    InvalidPayload,
    /// The event's name is reserved for the library.
    #[error("the event name is reserved")]
    ReservedName,
    /// A placeholder names no attachment.
    #[error("a placeholder names no attachment")]
    BadPlaceholder,
    /// A text message came where an attachment was due.
    #[error("a text message came where an attachment was due")]
    TextInsteadOfAttachment,
    /// A binary message came where no attachment was due.
    #[error("a binary message came where no attachment was due")]
    UnexpectedAttachment,
    /// A packet and its attachments are larger than the limit allows.
    #[error("the packet and its attachments are too large")]
    TooLarge,
}

/// The packet types as their digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Connect,
    Disconnect,
    Event,
    Ack,
    ConnectError,
    BinaryEvent,
    BinaryAck,
}

impl Kind {
    const fn from_digit(digit: u8) -> Option<Self> {
        Some(match digit {
            b'0' => Self::Connect,
            b'1' => Self::Disconnect,
            b'2' => Self::Event,
            b'3' => Self::Ack,
            b'4' => Self::ConnectError,
            b'5' => Self::BinaryEvent,
            b'6' => Self::BinaryAck,
            _ => return None,
        })
    }

    const fn has_attachments(self) -> bool {
        matches!(self, Self::BinaryEvent | Self::BinaryAck)
    }
}

/// Decodes a text message into a packet and the number of attachments that must follow it.
pub(super) fn decode(
    text: &ByteString,
    max_attachments: usize,
) -> Result<(Packet, usize), DecodeError> {
    let digit = text.as_bytes().first().ok_or(DecodeError::Empty)?;
    let kind = Kind::from_digit(*digit).ok_or(DecodeError::UnknownType)?;
    let mut rest = text.get(1..).unwrap_or_default();
    let mut attachments = 0;
    if kind.has_attachments() {
        (attachments, rest) = read_attachments(rest, max_attachments)?;
    }
    let (namespace, rest) = read_namespace(text, rest);
    let (ack_id, json) = read_ack_id(rest)?;
    let json = (!json.is_empty()).then(|| replace_lone_surrogates(text.slice_ref(json)));
    let content = match kind {
        Kind::Connect => Content::Connect(check_auth(json)?),
        Kind::Disconnect if json.is_some() => return Err(DecodeError::InvalidPayload),
        Kind::Disconnect => Content::Disconnect,
        Kind::ConnectError => Content::ConnectError(check_error(json)?),
        Kind::Event | Kind::BinaryEvent => Content::Event(read_event(ack_id, json, attachments)?),
        Kind::Ack | Kind::BinaryAck => Content::Ack(read_ack(ack_id, json, attachments)?),
    };
    Ok((Packet { namespace, content }, attachments))
}

fn read_attachments(text: &str, max: usize) -> Result<(usize, &str), DecodeError> {
    let (digits, rest) = text
        .split_once('-')
        .ok_or(DecodeError::IllegalAttachments)?;
    // `parse` alone would take a sign, and any number of zeros in front.
    let well_formed =
        (1..=6).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let count: usize = match digits.parse() {
        Ok(count) if well_formed && count > 0 => count,
        // Zero attachments are illegal in a binary packet, as in socket.io-parser since 4.2.7.
        _ => return Err(DecodeError::IllegalAttachments),
    };
    if count > max {
        return Err(DecodeError::TooManyAttachments);
    }
    Ok((count, rest))
}

fn read_namespace<'a>(text: &ByteString, rest: &'a str) -> (ByteString, &'a str) {
    if !rest.starts_with('/') {
        return (ByteString::from_static("/"), rest);
    }
    let (namespace, rest) = rest.split_once(',').unwrap_or((rest, ""));
    (text.slice_ref(namespace), rest)
}

fn read_ack_id(text: &str) -> Result<(Option<u64>, &str), DecodeError> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    if digits.is_empty() {
        return Ok((None, rest));
    }
    match digits.parse() {
        Ok(id) if id <= MAX_ACK_ID => Ok((Some(id), rest)),
        _ => Err(DecodeError::BadAckId),
    }
}

fn check_auth(json: Option<ByteString>) -> Result<Option<ByteString>, DecodeError> {
    match &json {
        Some(object) if !is_json(object, '{') => Err(DecodeError::InvalidPayload),
        _ => Ok(json),
    }
}

fn check_error(json: Option<ByteString>) -> Result<Option<ByteString>, DecodeError> {
    match &json {
        Some(json) if !is_json(json, '{') && !is_json(json, '"') => {
            Err(DecodeError::InvalidPayload)
        }
        _ => Ok(json),
    }
}

pub(super) fn read_event(
    ack_id: Option<u64>,
    json: Option<ByteString>,
    attachments: usize,
) -> Result<EventPacket, DecodeError> {
    let json = json.ok_or(DecodeError::InvalidPayload)?;
    let name = read_name(&json)?;
    check_args(&json, attachments)?;
    let args = Args::new(json, 1, Vec::new());
    Ok(EventPacket { name, ack_id, args })
}

fn read_ack(
    ack_id: Option<u64>,
    json: Option<ByteString>,
    attachments: usize,
) -> Result<AckPacket, DecodeError> {
    let ack_id = ack_id.ok_or(DecodeError::BadAckId)?;
    let json = json.ok_or(DecodeError::InvalidPayload)?;
    let args = read_args(json, attachments)?;
    Ok(AckPacket { ack_id, args })
}

/// Reads arguments that have no name before them.
pub(crate) fn read_args(json: ByteString, attachments: usize) -> Result<Args, DecodeError> {
    if !is_json(&json, '[') {
        return Err(DecodeError::InvalidPayload);
    }
    check_args(&json, attachments)?;
    Ok(Args::new(json, 0, Vec::new()))
}

fn check_args(json: &str, attachments: usize) -> Result<(), DecodeError> {
    // An index out of range is a past vulnerability of socket.io-parser. Without attachments a
    // placeholder is plain data.
    if attachments == 0 || crate::args::check_placeholders(json, attachments) {
        Ok(())
    } else {
        Err(DecodeError::BadPlaceholder)
    }
}

/// Returns whether `text` is one JSON value that begins with `first`. The check needs no deep
/// stack.
fn is_json(text: &str, first: char) -> bool {
    text.starts_with(first) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Reads the name of an event, checking the syntax of the whole array on the way.
fn read_name(json: &ByteString) -> Result<ByteString, DecodeError> {
    if !json.starts_with('[') {
        return Err(DecodeError::InvalidPayload);
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let name = deserializer
        .deserialize_seq(NameVisitor)
        .and_then(|name| deserializer.end().map(|()| name))
        .map_err(|_| DecodeError::InvalidPayload)?;
    match name {
        // A client must not be able to run the handlers of the library's own events.
        Name::Borrowed(name) if is_reserved(name) => Err(DecodeError::ReservedName),
        Name::Borrowed(name) => Ok(json.slice_ref(name)),
        Name::Owned(name) if is_reserved(&name) => Err(DecodeError::ReservedName),
        Name::Owned(name) => Ok(name.into()),
    }
}

enum Name<'a> {
    Borrowed(&'a str),
    Owned(String),
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array with the event's name first")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Name<'de>, A::Error> {
        let name = seq
            .next_element_seed(NameSeed)?
            .ok_or_else(|| A::Error::custom("the event has no name"))?;
        // The rest is read for its syntax alone; the arguments stay text until a handler wants
        // them.
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(name)
    }
}

struct NameSeed;

impl<'de> serde::de::DeserializeSeed<'de> for NameSeed {
    type Value = Name<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Name<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NameSeed {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a number")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
        Ok(Name::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
        Ok(Name::Owned(name.to_owned()))
    }

    // socket.io-parser takes numbers as event names, too.
    fn visit_u64<E>(self, name: u64) -> Result<Name<'de>, E> {
        Ok(Name::Owned(name.to_string()))
    }

    fn visit_i64<E>(self, name: i64) -> Result<Name<'de>, E> {
        Ok(Name::Owned(name.to_string()))
    }

    fn visit_f64<E>(self, name: f64) -> Result<Name<'de>, E> {
        Ok(Name::Owned(name.to_string()))
    }
}

/// The largest integer that JavaScript counts exactly.
const MAX_ACK_ID: u64 = (1 << 53) - 1;
