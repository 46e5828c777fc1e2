//! The Data Channel Establishment Protocol ([RFC 8832]): DATA_CHANNEL_OPEN and DATA_CHANNEL_ACK.
//!
//! [RFC 8832]: https://www.rfc-editor.org/rfc/rfc8832

use std::time::Duration;

use crate::channel::{ChannelConfig, Reliability};

/// A message of the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dcep {
    /// Asks for a channel on the stream that it came on ([RFC 8832 §5.1]).
    ///
    /// [RFC 8832 §5.1]: https://www.rfc-editor.org/rfc/rfc8832#section-5.1
    Open(ChannelConfig),
    /// The channel is open ([RFC 8832 §5.2]).
    ///
    /// [RFC 8832 §5.2]: https://www.rfc-editor.org/rfc/rfc8832#section-5.2
    Ack,
}

/// Why a message cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DcepError {
    /// The message is empty, or shorter than its fields.
    #[error("the message ends before its fields do")]
    Truncated,
    /// Bytes follow the last field.
    #[error("{0} bytes follow the message")]
    TrailingBytes(usize),
    /// The type is none of the two.
    #[error("message type {0:#04x} is unknown")]
    MessageType(u8),
    /// The channel type is none of the six.
    #[error("channel type {0:#04x} is unknown")]
    ChannelType(u8),
    /// The label or the protocol is no UTF-8.
    #[error("the label or the protocol is no UTF-8")]
    NotUtf8,
}

impl Dcep {
    /// Reads a message.
    ///
    /// # Errors
    ///
    /// [`DcepError`] says what is wrong; such a channel must be closed (RFC 8832 §6).
    pub fn decode(bytes: &[u8]) -> Result<Self, DcepError> {
        match bytes.split_first().ok_or(DcepError::Truncated)? {
            // The message has one byte; pion of Debian 12 sends three more.
            (&ACK, _) => Ok(Self::Ack),
            (&OPEN, rest) => decode_open(rest).map(Self::Open),
            (&other, _) => Err(DcepError::MessageType(other)),
        }
    }

    /// Writes the message. A label or protocol past 65,535 bytes does not fit; see
    /// [`ChannelConfig::fits`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Self::Open(config) = self else {
            return vec![ACK];
        };
        let (kind, parameter) = match config.reliability {
            Reliability::Reliable => (RELIABLE, 0),
            Reliability::MaxRetransmits(count) => (REXMIT, u32::from(count)),
            Reliability::MaxLifetime(lifetime) => (TIMED, milliseconds(lifetime)),
        };
        let unordered = if config.ordered { 0 } else { UNORDERED };
        let mut bytes = vec![OPEN, kind | unordered];
        bytes.extend(config.priority.to_be_bytes());
        bytes.extend(parameter.to_be_bytes());
        bytes.extend((config.label.len() as u16).to_be_bytes());
        bytes.extend((config.protocol.len() as u16).to_be_bytes());
        bytes.extend(config.label.as_bytes());
        bytes.extend(config.protocol.as_bytes());
        bytes
    }
}

/// Reads a DATA_CHANNEL_OPEN behind its type.
fn decode_open(bytes: &[u8]) -> Result<ChannelConfig, DcepError> {
    let (&[kind, priority @ .., r0, r1, r2, r3, l0, l1, p0, p1], text) = bytes
        .split_first_chunk::<11>()
        .ok_or(DcepError::Truncated)?;
    let parameter = u32::from_be_bytes([r0, r1, r2, r3]);
    let reliability = match kind & !UNORDERED {
        RELIABLE => Reliability::Reliable,
        // The field has four bytes; more than 65,535 retransmissions are as good as all.
        REXMIT => Reliability::MaxRetransmits(u16::try_from(parameter).unwrap_or(u16::MAX)),
        TIMED => Reliability::MaxLifetime(Duration::from_millis(parameter.into())),
        _ => return Err(DcepError::ChannelType(kind)),
    };
    let (label, rest) = text
        .split_at_checked(u16::from_be_bytes([l0, l1]).into())
        .ok_or(DcepError::Truncated)?;
    let (protocol, rest) = rest
        .split_at_checked(u16::from_be_bytes([p0, p1]).into())
        .ok_or(DcepError::Truncated)?;
    if !rest.is_empty() {
        return Err(DcepError::TrailingBytes(rest.len()));
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| DcepError::NotUtf8);
    Ok(ChannelConfig {
        label: text(label)?,
        protocol: text(protocol)?,
        ordered: kind & UNORDERED == 0,
        reliability,
        negotiated: None,
        priority: u16::from_be_bytes(priority),
    })
}

fn milliseconds(lifetime: Duration) -> u32 {
    u32::try_from(lifetime.as_millis()).unwrap_or(u32::MAX)
}

const ACK: u8 = 0x02;
const OPEN: u8 = 0x03;

const RELIABLE: u8 = 0x00;
const REXMIT: u8 = 0x01;
const TIMED: u8 = 0x02;
/// The bit that turns an ordered channel type into the unordered one.
const UNORDERED: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_open_of_a_browser_is_read() {
        let bytes = b"\x03\x81\x01\x00\x00\x00\x00\x03\x00\x04\x00\x03chatv.1";
        let config = ChannelConfig {
            label: "chat".to_owned(),
            protocol: "v.1".to_owned(),
            ordered: false,
            reliability: Reliability::MaxRetransmits(3),
            priority: 256,
            ..ChannelConfig::default()
        };
        assert_eq!(Dcep::decode(bytes), Ok(Dcep::Open(config.clone())));
        assert_eq!(Dcep::Open(config).encode(), bytes);
        assert_eq!(Dcep::decode(b"\x02"), Ok(Dcep::Ack));
        assert_eq!(Dcep::decode(b"\x02\0\0\0"), Ok(Dcep::Ack));
    }

    #[test]
    fn bad_messages_are_refused_with_the_reason() {
        let cases: [(&[u8], DcepError); 7] = [
            (b"", DcepError::Truncated),
            (b"\x03\0\0\0\0\0\0\0\0\0\0\0x", DcepError::TrailingBytes(1)),
            (b"\x01", DcepError::MessageType(1)),
            (
                b"\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
                DcepError::Truncated,
            ),
            (b"\x03\x03\0\0\0\0\0\0\0\0\0\0", DcepError::ChannelType(3)),
            (b"\x03\0\0\0\0\0\0\0\0\x01\0\0", DcepError::Truncated),
            (b"\x03\0\0\0\0\0\0\0\0\x01\0\0\xFF", DcepError::NotUtf8),
        ];
        for (bytes, error) in cases {
            assert_eq!(Dcep::decode(bytes), Err(error), "{bytes:02x?}");
        }
    }

    proptest! {
        #[test]
        fn a_message_reads_what_it_writes(
            label in ".{0,40}",
            protocol in ".{0,40}",
            ordered: bool,
            kind in 0..3,
            parameter: u16,
            priority: u16,
        ) {
            let reliability = match kind {
                0 => Reliability::Reliable,
                1 => Reliability::MaxRetransmits(parameter),
                _ => Reliability::MaxLifetime(Duration::from_millis(parameter.into())),
            };
            let open = Dcep::Open(ChannelConfig {
                label, protocol, ordered, reliability, negotiated: None, priority,
            });
            prop_assert_eq!(Dcep::decode(&open.encode()), Ok(open));
        }
    }
}
