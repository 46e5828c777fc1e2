//! What a data channel is configured with, and what travels on it ([RFC 8831 §6.4]).
//!
//! [RFC 8831 §6.4]: https://www.rfc-editor.org/rfc/rfc8831#section-6.4

use std::fmt;
use std::time::Duration;

/// A channel of one association, from its opening to its end. No other channel gets the same.
///
/// It is not the SCTP stream: that is known once the DTLS roles are, and is used again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub(crate) u32);

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a channel behaves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ChannelConfig {
    /// What the programs call it; at most 65,535 bytes.
    pub label: String,
    /// The subprotocol spoken on it, or nothing; at most 65,535 bytes.
    pub protocol: String,
    /// Whether messages arrive in the order in which they were sent.
    pub ordered: bool,
    /// How hard SCTP tries to deliver a message.
    pub reliability: Reliability,
    /// The SCTP stream, 0 to 65,534, where both programs open the channel by themselves; otherwise
    /// the channel is opened in band.
    pub negotiated: Option<u16>,
    /// The weight of the channel; [RFC 8831 §6.4] suggests 128, 256, 512 or 1024. It is passed on
    /// to the other side; our own sender treats all channels alike.
    ///
    /// [RFC 8831 §6.4]: https://www.rfc-editor.org/rfc/rfc8831#section-6.4
    pub priority: u16,
}

/// How hard SCTP tries to deliver a message of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Reliability {
    /// Until it is there.
    #[default]
    Reliable,
    /// This many times after the first. With 0 and without order, a channel is like UDP.
    MaxRetransmits(u16),
    /// For this long after it was written, in whole milliseconds.
    MaxLifetime(Duration),
}

impl ChannelConfig {
    /// Returns a reliable, ordered channel with this label.
    #[must_use]
    pub fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            ..Self::default()
        }
    }

    /// Returns whether the label and the protocol are short enough for DATA_CHANNEL_OPEN.
    #[must_use]
    pub fn fits(&self) -> bool {
        let longest = usize::from(u16::MAX);
        self.label.len() <= longest && self.protocol.len() <= longest
    }
}

impl Default for ChannelConfig {
    fn default() -> Self {
        Self {
            label: String::new(),
            protocol: String::new(),
            ordered: true,
            reliability: Reliability::Reliable,
            negotiated: None,
            priority: 256,
        }
    }
}

/// A message to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// A JavaScript string.
    Text(&'a str),
    /// An `ArrayBuffer`.
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    /// Returns the bytes that it takes on the wire, without any framing.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// A message that was received.
#[derive(Clone, PartialEq, Eq)]
pub enum ReceivedMessage {
    /// A JavaScript string.
    Text(String),
    /// An `ArrayBuffer`, a view of one, or a `Blob`.
    Binary(Vec<u8>),
}

impl ReceivedMessage {
    /// Returns the message's bytes, of a text in UTF-8.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Returns the message's bytes, of a text in UTF-8, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

impl fmt::Debug for ReceivedMessage {
    /// Shows how long it is. What people write to each other belongs in no log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Text(_) => "Text",
            Self::Binary(_) => "Binary",
        };
        write!(f, "{kind}({} bytes)", self.as_bytes().len())
    }
}
