//! Frame headers ([RFC 6455 §5.2]) and whole frames for sending.
//!
//! [RFC 6455 §5.2]: https://www.rfc-editor.org/rfc/rfc6455#section-5.2

use bytes::{BufMut, Bytes};

use crate::Violation;
use crate::mask;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpCode {
    /// A further fragment of the message that is being sent.
    Continuation = 0,
    /// A text message, or its first fragment.
    Text = 1,
    /// A binary message, or its first fragment.
    Binary = 2,
    /// The start or the answer of the closing handshake.
    Close = 8,
    /// Asks for a Pong with the same body.
    Ping = 9,
    /// Answers a Ping, or says unasked that the sender is there.
    Pong = 10,
}

impl OpCode {
    /// Returns whether frames of this kind may stand between the fragments of a message.
    #[must_use]
    pub fn is_control(self) -> bool {
        self as u8 >= 8
    }

    fn new(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }
}

/// The header of one frame.
///
/// ```
/// use jackfield_websocket::frame::{Header, OpCode};
///
/// let header = Header { fin: true, compressed: false, opcode: OpCode::Text, mask: None, len: 5 };
/// let mut bytes = Vec::new();
/// header.write(&mut bytes);
/// assert_eq!(bytes, [0x81, 5]);
/// assert_eq!(Header::parse(&bytes), Ok(Some((header, 2))));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whether this is the last fragment of its message.
    pub fin: bool,
    /// The RSV1 bit, which permessage-deflate gives its meaning.
    pub compressed: bool,
    /// What the frame is for.
    pub opcode: OpCode,
    /// The masking key; frames of clients have one, frames of servers have none.
    pub mask: Option<[u8; 4]>,
    /// Bytes of payload, at most 2^63 - 1.
    pub len: u64,
}

impl Header {
    /// Reads the header at the start of `bytes` and says how many bytes it took; `None` asks for
    /// more bytes.
    ///
    /// # Errors
    /// A violation of the frame format that shows in the header alone: reserved bits or opcodes, a
    /// length above 2^63 - 1 or not in its shortest form, a control frame that is fragmented or
    /// has more than 125 bytes.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        let Some((&[first, second], rest)) = bytes.split_first_chunk::<2>() else {
            return Ok(None);
        };
        // RSV2 and RSV3: RFC 6455 §5.2 wants them 0 unless an extension gives them a meaning, and
        // permessage-deflate does not.
        if first & 0x30 != 0 {
            return Err(Violation::ReservedBit);
        }
        let opcode = OpCode::new(first & 0x0f).ok_or(Violation::ReservedOpcode)?;
        let fin = first & 0x80 != 0;
        let short = second & 0x7f;
        // RFC 6455 §5.5: a control frame is whole and short, so that it can be handled between the
        // fragments of a message.
        if opcode.is_control() {
            if !fin {
                return Err(Violation::FragmentedControl);
            }
            if usize::from(short) > MAX_CONTROL {
                return Err(Violation::OversizedControl);
            }
        }
        let Some((len, rest)) = Self::parse_len(short, rest)? else {
            return Ok(None);
        };
        let (mask, rest) = if second & 0x80 == 0 {
            (None, rest)
        } else {
            match rest.split_first_chunk::<4>() {
                Some((key, rest)) => (Some(*key), rest),
                None => return Ok(None),
            }
        };
        let header = Self {
            fin,
            compressed: first & 0x40 != 0,
            opcode,
            mask,
            len,
        };
        Ok(Some((header, bytes.len() - rest.len())))
    }

    fn parse_len(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, Violation> {
        let (len, least, rest) = match short {
            126 => match rest.split_first_chunk::<2>() {
                Some((len, rest)) => (u64::from(u16::from_be_bytes(*len)), 126, rest),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk::<8>() {
                Some((len, rest)) => (u64::from_be_bytes(*len), 1 << 16, rest),
                None => return Ok(None),
            },
            _ => (u64::from(short), 0, rest),
        };
        // RFC 6455 §5.2: the highest bit of a length is 0.
        if len >> 63 != 0 {
            return Err(Violation::LengthOverflow);
        }
        // RFC 6455 §5.2: "the minimal number of bytes MUST be used to encode the length".
        if len < least {
            return Err(Violation::LengthNotMinimal);
        }
        Ok(Some((len, rest)))
    }

    /// Writes the header, its length in the shortest form.
    pub fn write(&self, out: &mut impl BufMut) {
        let first = u8::from(self.fin) << 7 | u8::from(self.compressed) << 6 | self.opcode as u8;
        let masked = u8::from(self.mask.is_some()) << 7;
        out.put_u8(first);
        match self.len {
            0..126 => out.put_u8(masked | self.len as u8),
            126..0x1_0000 => {
                out.put_u8(masked | 126);
                out.put_u16(self.len as u16);
            }
            _ => {
                out.put_u8(masked | 127);
                out.put_u64(self.len);
            }
        }
        if let Some(key) = self.mask {
            out.put_slice(&key);
        }
    }
}

/// Returns one frame on the wire whose payload is `parts`, one after the other, masked if there is
/// a key.
#[must_use]
pub fn encode(
    opcode: OpCode,
    fin: bool,
    compressed: bool,
    mask: Option<[u8; 4]>,
    parts: &[&[u8]],
) -> Bytes {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let header = Header {
        fin,
        compressed,
        opcode,
        mask,
        len: len as u64,
    };
    // With its exact size, the buffer becomes the frame without another allocation.
    let size =
        len + match len {
            0..126 => 2,
            126..0x1_0000 => 4,
            _ => 10,
        } + if mask.is_some() { 4 } else { 0 };
    let mut out = Vec::with_capacity(size);
    header.write(&mut out);
    let start = out.len();
    for part in parts {
        out.extend_from_slice(part);
    }
    // The copy is masked, as `parts` may be shared by many connections.
    if let (Some(key), Some(payload)) = (mask, out.get_mut(start..)) {
        mask::apply(key, 0, payload);
    }
    out.into()
}

/// The most bytes a header has: two, eight of length, four of masking key.
pub const MAX_HEADER: usize = 14;

/// The most bytes a control frame may carry.
pub const MAX_CONTROL: usize = 125;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> impl Strategy<Value = Header> {
        let opcodes = prop::sample::select(vec![
            OpCode::Continuation,
            OpCode::Text,
            OpCode::Binary,
            OpCode::Close,
            OpCode::Ping,
            OpCode::Pong,
        ]);
        let lengths = prop_oneof![0u64..200, 60_000u64..70_000, 0u64..=i64::MAX as u64];
        (
            any::<bool>(),
            any::<bool>(),
            opcodes,
            any::<Option<[u8; 4]>>(),
            lengths,
        )
            .prop_map(|(fin, compressed, opcode, mask, len)| Header {
                fin: fin || opcode.is_control(),
                compressed,
                opcode,
                mask,
                len: if opcode.is_control() { len % 126 } else { len },
            })
    }

    proptest! {
        #[test]
        fn a_header_reads_back_as_written_and_no_prefix_of_it_does(header in header()) {
            let mut bytes = Vec::new();
            header.write(&mut bytes);
            prop_assert!(bytes.len() <= MAX_HEADER);
            prop_assert_eq!(Header::parse(&bytes), Ok(Some((header, bytes.len()))));
            for end in 0..bytes.len() {
                prop_assert_eq!(Header::parse(&bytes[..end]), Ok(None));
            }
        }
    }

    #[test]
    fn lengths_not_in_their_shortest_form_are_refused() {
        assert_eq!(
            Header::parse(&[0x82, 126, 0, 125]),
            Err(Violation::LengthNotMinimal)
        );
        assert_eq!(
            Header::parse(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff]),
            Err(Violation::LengthNotMinimal)
        );
        assert_eq!(
            Header::parse(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            Err(Violation::LengthOverflow)
        );
    }

    #[test]
    fn control_frames_are_whole_and_short() {
        assert_eq!(Header::parse(&[0x09, 0]), Err(Violation::FragmentedControl));
        assert_eq!(
            Header::parse(&[0x89, 126]),
            Err(Violation::OversizedControl)
        );
    }

    #[test]
    fn reserved_bits_and_opcodes_are_refused() {
        assert_eq!(Header::parse(&[0xa1, 0]), Err(Violation::ReservedBit));
        assert_eq!(Header::parse(&[0x91, 0]), Err(Violation::ReservedBit));
        for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            assert_eq!(
                Header::parse(&[0x80 | opcode, 0]),
                Err(Violation::ReservedOpcode)
            );
        }
    }

    #[test]
    fn the_masked_example_of_the_rfc_is_encoded_as_printed() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let bytes = encode(OpCode::Text, true, false, Some(key), &[b"Hel", b"lo"]);
        assert_eq!(
            &bytes[..],
            [
                0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58
            ]
        );
    }
}
