//! Cutting a byte stream into STUN messages and ChannelData messages ([RFC 8489 §6.2.2],
//! [RFC 8656 §12.5]).
//!
//! [RFC 8489 §6.2.2]: https://www.rfc-editor.org/rfc/rfc8489#section-6.2.2
//! [RFC 8656 §12.5]: https://www.rfc-editor.org/rfc/rfc8656#section-12.5

use jackfield_sansio::PacketType;

/// Why bytes at the front of a stream cannot be a message; the stream cannot be followed any
/// further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// The first byte starts neither a STUN message (0 to 3) nor ChannelData (64 to 127).
    #[error("byte {0:#04x} starts neither a STUN message nor ChannelData")]
    NotStun(u8),
    /// A STUN length that is not a multiple of four.
    #[error("a STUN message length of {0} bytes is not a multiple of four")]
    Unaligned(u16),
    /// The message is longer than the receiver takes.
    #[error("a message of {0} bytes is longer than allowed")]
    TooLong(usize),
}

/// Returns how many bytes the message at the front of `stream` takes, padding included, or `None`
/// when fewer than [`PREFIX`] bytes are there.
///
/// The whole message need not be there yet. The first message of a stream is never ChannelData,
/// whose first bytes HTTP methods share: a demultiplexer that has looked at it is assumed. `max`
/// bounds what is accepted (at most [`MAX_MESSAGE`] is ever needed).
///
/// ```
/// use jackfield_stun::framing::message_length;
///
/// // ChannelData on channel 0x4000 with five bytes: four of header, five of data, three of padding.
/// assert_eq!(message_length(&[0x40, 0x00, 0x00, 0x05, b'h'], 65_540), Ok(Some(12)));
/// assert_eq!(message_length(&[0x40], 65_540), Ok(None));
/// assert!(message_length(b"\x16\x03\x01\x00\xf4", 65_540).is_err()); // a TLS ClientHello
/// ```
pub fn message_length(stream: &[u8], max: usize) -> Result<Option<usize>, FramingError> {
    let Some(&first) = stream.first() else {
        return Ok(None);
    };
    let is_message = match PacketType::from_first_byte(first) {
        PacketType::Stun => true,
        // RFC 5766 has more channel numbers than RFC 8656, and no QUIC is on a stream.
        PacketType::TurnChannel | PacketType::QuicShort => false,
        _ => return Err(FramingError::NotStun(first)),
    };
    let Some(&[_, _, high, low]) = stream.first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    let length = u16::from_be_bytes([high, low]);
    let total = if is_message {
        if length % 4 != 0 {
            return Err(FramingError::Unaligned(length));
        }
        20 + usize::from(length)
    } else {
        4 + usize::from(length).next_multiple_of(4)
    };
    if total > max {
        return Err(FramingError::TooLong(total));
    }
    Ok(Some(total))
}

/// How many bytes must be there before the length of a message is known.
pub const PREFIX: usize = 4;

/// The longest message a stream can carry: a ChannelData message of 65,535 bytes, its header and
/// its padding.
pub const MAX_MESSAGE: usize = 4 + 65_536;
