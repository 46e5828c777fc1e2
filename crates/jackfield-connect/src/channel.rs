//! A channel that carries whole messages in order, whatever is below it.

use bytes::Bytes;
use tokio::sync::mpsc;

/// One message of a data channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A text; here always a JSON object.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// Returns the length of what is inside, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Returns whether the message is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One end of a channel: messages arrive in the order in which they were sent, or the channel ends.
///
/// The protocols of this crate know nothing else of the network. [`Channel::pair`] joins two ends
/// in one process, which is what tests use.
#[derive(Debug)]
pub struct Channel {
    /// Where messages to the other end go; sending waits while the other end is slow.
    pub sender: mpsc::Sender<Message>,
    /// Where messages of the other end come from; `None` is the end of the channel.
    pub receiver: mpsc::Receiver<Message>,
}

/// The channel ended: the other side closed it, or the connection is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the channel to the other side ended")]
pub struct ChannelEnded;

impl Channel {
    /// Returns two ends that are joined; each direction holds `CAPACITY` messages.
    #[must_use]
    pub fn pair() -> (Self, Self) {
        let (to_right, right) = mpsc::channel(CAPACITY);
        let (to_left, left) = mpsc::channel(CAPACITY);
        let end = |sender, receiver| Self { sender, receiver };
        (end(to_right, left), end(to_left, right))
    }
}

/// Messages that wait in one direction. The control messages that a protocol of this crate can have
/// on the way at once fit in, so that two ends that both send cannot wait for each other.
pub(crate) const CAPACITY: usize = 128;
