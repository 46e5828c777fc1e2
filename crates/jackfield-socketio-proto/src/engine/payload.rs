//! Polling payloads: several packets in one HTTP body.
//!
//! Revision 4 joins packets by the record separator `\x1e` and writes binary as `b` and base64.
//! Revision 3 puts a length before each packet: in UTF-16 code units when the body is text, in
//! bytes when it is binary.

mod v3;
mod v4;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use super::{Message, Packet, PacketError, Version};

pub use v3::{
    BinaryDecoder, TextDecoder, encode_binary as encode_v3_binary, encode_text as encode_v3_text,
};
pub use v4::{Decoder as V4Decoder, encode as encode_v4};

/// Reads base64 as browsers and Node.js write it: padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Returns what stands before the base64 of a binary message among texts.
pub(super) const fn base64_prefix(version: Version) -> &'static str {
    match version {
        Version::V3 => "b4",
        Version::V4 => "b",
    }
}

pub(super) fn decode_base64(text: &str) -> Result<Packet, PacketError> {
    BASE64
        .decode(text)
        .map(|bytes| Packet::Message(Message::Binary(Bytes::from(bytes))))
        .map_err(|_| PacketError::Base64)
}

pub(super) fn push_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let mut text = String::new();
    BASE64.encode_string(bytes, &mut text);
    out.extend_from_slice(text.as_bytes());
}
