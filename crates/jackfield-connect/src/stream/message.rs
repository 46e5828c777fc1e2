//! The control messages of a stream: JSON objects that say their kind in `t`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::control;
pub use crate::control::MessageError;

/// A control message; the bytes of the stream are binary messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "kebab-case")]
pub enum Control {
    /// The first message of the side that opened the channel.
    Open {
        /// The version of the protocol: 1.
        version: u32,
        /// Which stream the channel carries; the same for each channel of a stream.
        stream: StreamId,
        /// Where the stream leads: `pipe`, or `HOST:PORT` for a TCP connection from there.
        to: String,
        /// How far the opener's incoming direction is.
        #[serde(flatten)]
        place: Place,
    },
    /// The answer to [`Control::Open`].
    Opened {
        /// How far the answerer's incoming direction is.
        #[serde(flatten)]
        place: Place,
    },
    /// Bytes were taken, so that as many more may come.
    Ack {
        /// Bytes since the beginning of the stream.
        taken: u64,
        /// Whether the end was taken, too.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        end: bool,
    },
    /// No byte follows in this direction.
    End,
    /// The stream is over in both directions, with bytes perhaps lost.
    Close {
        /// Why.
        reason: Close,
    },
}

/// How far the direction towards a side is, in bytes since the beginning of the stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Bytes that have arrived in order: the next channel begins behind them.
    pub received: u64,
    /// Bytes of these that were taken on to where they go: the window begins behind them.
    pub taken: u64,
}

/// Why a stream is over before both of its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Close {
    /// The other side does not allow connections to there.
    NotAllowed,
    /// The stream has ended well, and the last acknowledgement was lost.
    Finished,
    /// Nothing accepts connections there.
    Unreachable,
    /// The connection beyond was reset.
    Reset,
    /// The other side does not know the stream (any more), or expects none.
    Unknown,
    /// The other side carries another pipe.
    Busy,
    /// It speaks another version of the protocol.
    Version,
    /// The other side broke the protocol.
    Protocol,
    /// A reason of a later version.
    #[serde(other)]
    Other,
}

/// The name of a stream: 128 random bits, as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u128);

impl Control {
    /// Reads a control message.
    ///
    /// # Errors
    /// [`MessageError`] for a text above 4 KiB, of an unknown kind or without a field.
    pub fn parse(text: &str) -> Result<Self, MessageError> {
        control::parse(text, MAX_TEXT)
    }

    /// Returns the message as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        control::to_text(self)
    }
}

impl StreamId {
    /// Returns the name that random bits make.
    #[must_use]
    pub const fn new(random: u128) -> Self {
        Self(random)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for StreamId {
    type Err = MessageError;

    fn from_str(text: &str) -> Result<Self, MessageError> {
        let is_plain = text.len() == 32
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let read = u128::from_str_radix(text, 16).map_err(|_| MessageError::Malformed)?;
        if is_plain {
            Ok(Self(read))
        } else {
            Err(MessageError::Malformed)
        }
    }
}

impl Serialize for StreamId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StreamId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

const MAX_TEXT: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_message_reads_what_it_writes(message in control()) {
            prop_assert_eq!(Control::parse(&message.to_text()), Ok(message));
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let open = r#"{"t":"open","version":1,"stream":"1","to":"pipe","received":0,"taken":0}"#;
        for text in [
            "",
            "{}",
            r#"{"t":"jump"}"#,
            r#"{"t":"ack","taken":-1}"#,
            open,
        ] {
            assert_eq!(Control::parse(text), Err(MessageError::Malformed), "{text}");
        }
        let long = "x".repeat(MAX_TEXT + 1);
        assert_eq!(Control::parse(&long), Err(MessageError::TooLong));
    }

    fn control() -> impl Strategy<Value = Control> {
        let place = any::<(u64, u64)>().prop_map(|(received, taken)| Place { received, taken });
        prop_oneof![
            (any::<u32>(), any::<u128>(), ".{0,20}", place.clone()).prop_map(
                |(version, stream, to, place)| {
                    let stream = StreamId::new(stream);
                    Control::Open {
                        version,
                        stream,
                        to,
                        place,
                    }
                }
            ),
            place.prop_map(|place| Control::Opened { place }),
            any::<(u64, bool)>().prop_map(|(taken, end)| Control::Ack { taken, end }),
            Just(Control::End),
            Just(Control::Close {
                reason: Close::Unreachable
            }),
        ]
    }
}
