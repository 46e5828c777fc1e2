//! Carries a stream over one channel, between a reader and a writer of this process.

use std::io;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::message::{Close, Control, MessageError};
use super::state::{PIECE, Stream, Violation};
use crate::channel::{Channel, ChannelEnded, Message};

/// Why a stream did not end on this channel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The channel ended first; the stream goes on over a new one.
    #[error(transparent)]
    Ended(#[from] ChannelEnded),
    /// The other side closed the stream.
    #[error("the other side closed the stream")]
    Closed(Close),
    /// The reader of this side failed.
    #[error("reading failed")]
    Read(#[source] io::Error),
    /// The writer of this side failed: no program reads what arrives.
    #[error("writing failed")]
    Write(#[source] io::Error),
    /// The other side broke the protocol.
    #[error("the other side broke the protocol: {0}")]
    Protocol(#[from] Violation),
    /// The other side sent something that is no message of the protocol.
    #[error("the other side broke the protocol: {0}")]
    Message(#[from] MessageError),
}

/// Carries `stream`, which is attached to `channel`, until both directions have ended.
///
/// What `reader` gives is sent, and its end is the end of our direction; what arrives is written to
/// `writer`, which is shut down at the other side's end. After [`StreamError::Ended`] nothing is
/// lost: attach a new channel and call it again with the same reader and writer.
///
/// # Errors
/// [`StreamError`] says why both directions have not ended.
pub async fn carry<R, W>(
    stream: &mut Stream,
    channel: &mut Channel,
    reader: &mut R,
    writer: &mut W,
) -> Result<(), StreamError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let result = run(stream, channel, reader, writer).await;
    let reason = match &result {
        Err(StreamError::Read(_) | StreamError::Write(_)) => Some(Close::Reset),
        Err(StreamError::Protocol(_) | StreamError::Message(_)) => Some(Close::Protocol),
        Ok(()) | Err(StreamError::Ended(_) | StreamError::Closed(_)) => None,
    };
    if let Some(reason) = reason {
        let close = Message::Text(Control::Close { reason }.to_text());
        if channel.sender.send(close).await.is_err() {
            tracing::debug!("The channel ended before the reason could be said");
        }
    }
    result
}

async fn run<R, W>(
    stream: &mut Stream,
    channel: &mut Channel,
    reader: &mut R,
    writer: &mut W,
) -> Result<(), StreamError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut is_written = false;
    let mut buffer = BytesMut::new();
    while !stream.is_finished() {
        let arrived = stream.arrived();
        let step = match () {
            () if !arrived.is_empty() => Some(Step::Write),
            () if is_written => Some(Step::Flush),
            () if stream.is_end_due() => Some(Step::Shutdown),
            () => None,
        };
        let room = stream.room().min(READ_AT_ONCE);
        // Each branch loses nothing when another one is ready first.
        let ready = tokio::select! {
            message = channel.receiver.recv() => Ready::Message(message),
            permit = channel.sender.reserve(PIECE), if stream.has_message() => {
                if let (Ok(permit), Some(message)) = (permit, stream.poll_message())
                    && permit.send(message).is_ok()
                {
                    continue;
                }
                Ready::NoReceiver
            }
            done = write(writer, step, &arrived), if step.is_some() => Ready::Written(done),
            read = read(reader, &mut buffer, room), if room > 0 => Ready::Read(read),
        };
        match ready {
            Ready::Message(message) => handle(stream, message.ok_or(ChannelEnded)?)?,
            Ready::NoReceiver => return Err(last_word(channel)),
            Ready::Read(read) => match read.map_err(StreamError::Read)? {
                0 => stream.end(),
                _ => stream.write(buffer.split().freeze()),
            },
            Ready::Written(done) => {
                stream.take(done.map_err(StreamError::Write)?);
                is_written = matches!(step, Some(Step::Write));
                if matches!(step, Some(Step::Shutdown)) {
                    stream.take_end();
                }
            }
        }
    }
    Ok(())
}

/// What the writer has to do next.
#[derive(Debug, Clone, Copy)]
enum Step {
    Write,
    Flush,
    Shutdown,
}

enum Ready {
    Message(Option<Message>),
    NoReceiver,
    Read(io::Result<usize>),
    Written(io::Result<usize>),
}

async fn write<W: AsyncWrite + Unpin>(
    writer: &mut W,
    step: Option<Step>,
    bytes: &[u8],
) -> io::Result<usize> {
    match step {
        None => Ok(0),
        Some(Step::Flush) => writer.flush().await.map(|()| 0),
        Some(Step::Shutdown) => writer.shutdown().await.map(|()| 0),
        Some(Step::Write) => match writer.write(bytes).await? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            written => Ok(written),
        },
    }
}

async fn read<R: AsyncRead + Unpin>(
    reader: &mut R,
    buffer: &mut BytesMut,
    room: usize,
) -> io::Result<usize> {
    buffer.reserve(room);
    reader.read_buf(&mut buffer.limit(room)).await
}

fn handle(stream: &mut Stream, message: Message) -> Result<(), StreamError> {
    match message {
        Message::Binary(bytes) => Ok(stream.handle_bytes(bytes)?),
        Message::Text(text) => match Control::parse(&text)? {
            Control::Close { reason } => Err(StreamError::Closed(reason)),
            control => Ok(stream.handle_control(&control)?),
        },
    }
}

/// The other side may have said why before it closed the channel.
fn last_word(channel: &mut Channel) -> StreamError {
    while let Ok(message) = channel.receiver.try_recv() {
        if let Message::Text(text) = message
            && let Ok(Control::Close { reason }) = Control::parse(&text)
        {
            return StreamError::Closed(reason);
        }
    }
    ChannelEnded.into()
}

const READ_AT_ONCE: usize = 64 << 10;
