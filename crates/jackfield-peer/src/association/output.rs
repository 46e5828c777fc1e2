//! What an association says, and the errors of its methods.

use std::time::Instant;

use crate::DtlsError;
use crate::channel::{ChannelConfig, ChannelId, ReceivedMessage};

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a datagram to the other side.
    Transmit(Vec<u8>),
    /// Tell the program.
    Event(Event),
    /// Nothing until the next input, or until this instant.
    Wait(Option<Instant>),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// DTLS and SCTP are up.
    Connected,
    /// A channel can be written to.
    ChannelOpened {
        /// Which.
        id: ChannelId,
        /// How it is configured.
        config: ChannelConfig,
        /// Whether the other side opened it.
        incoming: bool,
    },
    /// A message came.
    Message(ChannelId, ReceivedMessage),
    /// The channel's `bufferedAmount` fell to its threshold.
    BufferedAmountLow(ChannelId),
    /// The channel is over.
    ChannelClosed(ChannelId),
    /// The association is over; no event follows.
    Closed(CloseReason),
}

/// How far an association is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing is known of the other side.
    New,
    /// DTLS or SCTP shake hands.
    Connecting,
    /// Channels can be used.
    Connected,
    /// What was written is sent, then it is over.
    Closing,
    /// It is over.
    Closed,
}

/// Why an association ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// Our program ended it, or it was idle.
    #[error("closed by this side")]
    Local,
    /// The other side ended it.
    #[error("closed by the other side")]
    Remote,
    /// The other side aborted SCTP or broke its rules.
    #[error("SCTP was aborted")]
    Aborted,
    /// The other side did not answer any more.
    #[error("the other side does not answer")]
    TimedOut,
    /// Parts of messages fill the receive window.
    #[error("messages that are not complete fill the receive window")]
    ReceiveBufferFull,
    /// DTLS failed.
    #[error(transparent)]
    Dtls(#[from] DtlsError),
}

/// Why a channel cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The label or the protocol is longer than 65,535 bytes.
    #[error("the label or the protocol is longer than 65535 bytes")]
    TooLong,
    /// There are as many channels as allowed.
    #[error("there are already {0} channels")]
    TooMany(usize),
    /// The negotiated stream is 65,535, which does not exist.
    #[error("stream 65535 does not exist")]
    StreamNumber,
    /// Another channel has the negotiated stream.
    #[error("stream {0} is in use")]
    StreamInUse(u16),
    /// The association is over.
    #[error("the association is closed")]
    Closed,
}

/// Why a message cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The channel's buffer is full; [`Event::BufferedAmountLow`] says when to try again.
    #[error("the channel's buffer is full")]
    WouldBlock,
    /// The other side accepts no message of this length.
    #[error("the other side accepts messages of at most {0} bytes")]
    TooLarge(usize),
    /// The channel is not open yet.
    #[error("the channel is not open yet")]
    NotOpen,
    /// The channel is over.
    #[error("the channel is closed")]
    Closed,
}
