//! Standard input and output, joined to those of another program, or to the chat of a page.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf};
use tokio::sync::{mpsc, watch};

use crate::channel::Channel;
use crate::connection::Connector;
use crate::error::Error;
use crate::event::Observer;
use crate::room::PeerId;
use crate::session::{Session, Stay, Step};
use crate::stream::{self, Close, Stream, StreamError, StreamId};
use crate::transfer::{mismatch, refuse};

/// What is joined to the other side.
#[derive(Debug)]
pub struct Ends<R, W> {
    /// What is sent.
    pub reader: R,
    /// Where goes what arrives.
    pub writer: W,
    /// Whether our direction ends with the other side's: who types at a terminal has nothing more
    /// to say to somebody who is gone.
    pub ends_with_other: bool,
}

/// Joins `ends` to the first other program with the same purpose, or to a page, until both
/// directions have ended.
///
/// With a program, bytes arrive as they were sent, whatever happens to the connection. With a page,
/// lines are messages of its chat.
///
/// # Errors
/// [`Error`] says why not everything arrived.
pub async fn pipe<C, R, W>(
    mut stay: Stay,
    connector: C,
    ends: Ends<R, W>,
    id: StreamId,
    observer: Arc<dyn Observer>,
) -> Result<(), Error>
where
    C: Connector,
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    stay.room.purpose = "pipe";
    let mut session = Session::enter(stay, connector, observer);
    let result = join_first(&mut session, ends, id).await;
    session.leave().await;
    result
}

/// One side's state while no channel carries it.
struct Idle<R, W> {
    id: StreamId,
    stream: Stream,
    reader: EndingReader<R>,
    writer: EndingWriter<W>,
}

async fn join_first<R, W>(
    session: &mut Session,
    ends: Ends<R, W>,
    id: StreamId,
) -> Result<(), Error>
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let (ended, is_ended) = watch::channel(false);
    let is_ended = ends.ends_with_other.then_some(is_ended);
    let mut idle = Some(Idle {
        id,
        stream: Stream::default(),
        reader: EndingReader::new(ends.reader, is_ended),
        writer: EndingWriter {
            writer: ends.writer,
            ended,
        },
    });
    let (done, mut results) = mpsc::unbounded_channel();
    let mut partner: Option<PeerId> = None;
    let mut is_opener = false;
    loop {
        tokio::select! {
            step = session.next() => match step? {
                Step::Purpose(peer, purpose) if purpose == "pipe" && partner.is_none_or(|known| known == peer) => {
                    // The one who came later opens the channels.
                    is_opener = partner.map_or_else(|| session.came_before_us(peer), |_| is_opener);
                    partner = Some(peer);
                    if !is_opener {
                        continue;
                    }
                    let Ok(channel) = session.handle().open_channel(peer, "pipe", stream::PROTOCOL).await else {
                        continue;
                    };
                    if let Some(idle) = idle.take() {
                        let done = done.clone();
                        tokio::spawn(async move {
                            // A program that has ended asks for nothing more.
                            let _over = done.send(open_and_carry(idle, channel).await);
                        });
                    }
                }
                Step::Purpose(peer, purpose) if purpose == "page" && partner.is_none() => {
                    let idle = idle.take().ok_or(Error::RoomLeft)?;
                    return chat(session, peer, idle.reader, idle.writer).await;
                }
                Step::Purpose(peer, purpose) => mismatch(session, peer, purpose, &["pipe", "page"]),
                Step::Channel { peer, protocol, channel } if protocol == stream::PROTOCOL => {
                    let Some(mine) = idle.take_if(|_| partner.is_none_or(|known| known == peer)) else {
                        tokio::spawn(async move { stream::close(&channel, Close::Busy).await });
                        continue;
                    };
                    partner = Some(peer);
                    let done = done.clone();
                    tokio::spawn(async move {
                        // A program that has ended asks for nothing more.
                        let _over = done.send(accept_and_carry(mine, channel).await);
                    });
                }
                Step::Channel { protocol, channel, .. } => refuse(&protocol, channel),
                Step::Left { peer, name, .. } if partner == Some(peer) => {
                    // Their goodbye may be faster than the end of the channel.
                    let result = if idle.is_none() { results.recv().await } else { None };
                    return match result {
                        Some((_, result)) if is_over(&result) => Ok(()),
                        None | Some((_, Ok(()) | Err(StreamError::Ended(_)))) => Err(Error::Left { peer: name }),
                        Some((_, Err(error))) => Err(Error::Pipe(error)),
                    };
                }
                Step::Connected(_) | Step::Left { .. } | Step::Chat { .. } => {}
            },
            Some((back, result)) = results.recv() => match result {
                Ok(()) | Err(StreamError::Closed(Close::Finished)) => return Ok(()),
                Err(StreamError::Ended(_)) => idle = Some(back),
                Err(error) => return Err(Error::Pipe(error)),
            },
        }
    }
}

/// Returns whether everything has arrived on both sides.
fn is_over(result: &Result<(), StreamError>) -> bool {
    matches!(result, Ok(()) | Err(StreamError::Closed(Close::Finished)))
}

async fn open_and_carry<R, W>(
    mut idle: Idle<R, W>,
    mut channel: Channel,
) -> (Idle<R, W>, Result<(), StreamError>)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let opened = stream::open(&mut idle.stream, &mut channel, idle.id, TO).await;
    carry(idle, channel, opened).await
}

async fn accept_and_carry<R, W>(
    mut idle: Idle<R, W>,
    mut channel: Channel,
) -> (Idle<R, W>, Result<(), StreamError>)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let accepted = async {
        let opening = stream::opening(&mut channel).await?;
        if opening.to != TO {
            stream::close(&channel, Close::NotAllowed).await;
            return Err(StreamError::Ended(crate::channel::ChannelEnded));
        }
        idle.id = opening.id;
        stream::accept(&mut idle.stream, &mut channel, &opening).await
    }
    .await;
    carry(idle, channel, accepted).await
}

async fn carry<R, W>(
    mut idle: Idle<R, W>,
    mut channel: Channel,
    attached: Result<(), StreamError>,
) -> (Idle<R, W>, Result<(), StreamError>)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let result = match attached {
        Ok(()) => {
            let Idle {
                stream,
                reader,
                writer,
                ..
            } = &mut idle;
            stream::carry(stream, &mut channel, reader, writer).await
        }
        Err(error) => Err(error),
    };
    if result.is_ok() {
        // Our last acknowledgement is on its way; the other side closes once it is there.
        drop(channel.sender);
        while channel.receiver.recv().await.is_some() {}
    }
    (idle, result)
}

/// Joins lines to the chat of a page.
async fn chat<R, W>(
    session: &mut Session,
    page: PeerId,
    reader: EndingReader<R>,
    mut writer: EndingWriter<W>,
) -> Result<(), Error>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut lines = BufReader::new(reader).lines();
    let handle = session.handle();
    let failed = |error| Error::Pipe(StreamError::Read(error));
    loop {
        tokio::select! {
            step = session.next() => match step? {
                Step::Chat { text } => {
                    let line = line_of(&text);
                    let written = async {
                        writer.write_all(line.as_bytes()).await?;
                        writer.flush().await
                    };
                    written.await.map_err(|error| Error::Pipe(StreamError::Write(error)))?;
                }
                Step::Left { peer, said_goodbye: true, .. } if peer == page => return Ok(()),
                Step::Left { peer, name, .. } if peer == page => return Err(Error::Left { peer: name }),
                Step::Channel { protocol, channel, .. } => refuse(&protocol, channel),
                Step::Connected(_) | Step::Purpose(..) | Step::Left { .. } => {}
            },
            line = lines.next_line() => match line.map_err(failed)? {
                Some(line) => handle.chat(line),
                None => return Ok(()),
            },
        }
    }
}

/// Returns a message of the chat as one line. Control characters become spaces: a line break would
/// make two messages of one, and others of them give orders to a terminal.
fn line_of(text: &str) -> String {
    let mut line = text.replace(|c: char| c.is_control() && c != '\t', " ");
    line.push('\n');
    line
}

/// A reader that ends with its input, or when it is stopped.
struct EndingReader<R> {
    reader: R,
    ended: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<R> EndingReader<R> {
    fn new(reader: R, is_ended: Option<watch::Receiver<bool>>) -> Self {
        let ended = is_ended.map(|mut is_ended| {
            let ended = async move {
                // A writer that is dropped has ended, too.
                let _dropped = is_ended.wait_for(|is_ended| *is_ended).await;
            };
            Box::pin(ended) as Pin<Box<dyn Future<Output = ()> + Send>>
        });
        Self { reader, ended }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for EndingReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.reader).poll_read(cx, buffer) {
            return Poll::Ready(read);
        }
        match &mut self.ended {
            Some(ended) => ended.as_mut().poll(cx).map(Ok),
            None => Poll::Pending,
        }
    }
}

/// A writer that tells when it was shut down.
struct EndingWriter<W> {
    writer: W,
    ended: watch::Sender<bool>,
}

impl<W: AsyncWrite + Unpin> AsyncWrite for EndingWriter<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.writer).poll_shutdown(cx);
        if shut.is_ready() {
            self.ended.send_replace(true);
        }
        shut
    }
}

/// Where a stream leads that joins standard input and output.
const TO: &str = "pipe";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_the_chat_is_one_line_without_control_characters() {
        let text = "a\tb\nc\r\u{1b}]0;title\u{7}\u{9b}2J ü";
        assert_eq!(line_of(text), "a\tb c  ]0;title  2J ü\n");
    }
}
