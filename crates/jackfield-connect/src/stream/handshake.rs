//! How a channel becomes the next one of a stream: the first message of each side.

use super::carry::StreamError;
use super::message::{Close, Control, Place, StreamId};
use super::state::{Stream, Violation};
use crate::channel::{Channel, ChannelEnded, Message};

/// What the side that opened a channel says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Which stream the channel is for.
    pub id: StreamId,
    /// Where the stream leads.
    pub to: String,
    place: Place,
}

impl Opening {
    /// Returns whether an earlier channel has carried the stream.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.place != Place::default()
    }
}

/// Makes a channel that this side has opened the next one of a stream.
///
/// # Errors
/// [`StreamError::Closed`] says why the other side does not take it.
pub async fn open(
    stream: &mut Stream,
    channel: &mut Channel,
    id: StreamId,
    to: &str,
) -> Result<(), StreamError> {
    let place = stream.place();
    let opening = Control::Open {
        version: 1,
        stream: id,
        to: to.to_owned(),
        place,
    };
    say(channel, &opening).await?;
    match hear(channel).await? {
        Control::Opened { place } => Ok(stream.attach(place)?),
        Control::Close { reason } => Err(StreamError::Closed(reason)),
        _ => Err(Violation::Unexpected.into()),
    }
}

/// Returns what the side that opened a channel wants.
///
/// # Errors
/// When it breaks the protocol, or speaks another version of it.
pub async fn opening(channel: &mut Channel) -> Result<Opening, StreamError> {
    match hear(channel).await? {
        Control::Open {
            version: 1,
            stream: id,
            to,
            place,
        } => Ok(Opening { id, to, place }),
        Control::Open { .. } => {
            close(channel, Close::Version).await;
            Err(StreamError::Closed(Close::Version))
        }
        _ => Err(Violation::Unexpected.into()),
    }
}

/// Makes a channel that the other side has opened the next one of a stream.
///
/// # Errors
/// When it says of the stream what cannot be.
pub async fn accept(
    stream: &mut Stream,
    channel: &mut Channel,
    opening: &Opening,
) -> Result<(), StreamError> {
    say(
        channel,
        &Control::Opened {
            place: stream.place(),
        },
    )
    .await?;
    Ok(stream.attach(opening.place)?)
}

/// Tells the other side that the stream is not carried.
pub async fn close(channel: &Channel, reason: Close) {
    // A channel that has ended needs no word.
    let _ended = say(channel, &Control::Close { reason }).await;
}

async fn say(channel: &Channel, control: &Control) -> Result<(), ChannelEnded> {
    let message = Message::Text(control.to_text());
    channel.sender.send(message).await.map_err(|_| ChannelEnded)
}

async fn hear(channel: &mut Channel) -> Result<Control, StreamError> {
    match channel.receiver.recv().await.ok_or(ChannelEnded)? {
        Message::Text(text) => Ok(Control::parse(&text)?),
        Message::Binary(_) => Err(Violation::Unexpected.into()),
    }
}
