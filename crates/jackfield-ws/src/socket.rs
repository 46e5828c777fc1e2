//! An open WebSocket connection over a stream.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use jackfield_websocket::handshake::Established;
use jackfield_websocket::{CloseFrame, Connection, Frame, Kind, Message, Role, SendError};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::ending::Ending;
use crate::timer::{Heartbeat, Timer};
use crate::{Counters, Error, WsConfig};

/// An open WebSocket connection over a stream.
///
/// Nothing runs in the background: [`recv`](Self::recv) reads, and also writes what is queued,
/// answers pings and watches the time limits. An idle connection holds no buffer.
#[derive(Debug)]
pub struct WebSocket<S> {
    pub(crate) io: S,
    pub(crate) core: Connection,
    pub(crate) config: Arc<WsConfig>,
    /// Messages that came in one read with the one that was returned.
    pub(crate) messages: VecDeque<Message>,
    /// Set once the last byte that matters was read.
    pub(crate) ending: Option<Ending>,
    pub(crate) close_frame: Option<CloseFrame>,
    /// Bytes were written since the stream was last flushed.
    pub(crate) unflushed: bool,
    /// Reading waits for writing.
    pub(crate) paused: bool,
    pub(crate) is_server: bool,
    pub(crate) heartbeat: Option<Heartbeat>,
    /// Runs while the peer takes nothing.
    pub(crate) stall: Timer,
    /// Runs since our Close.
    pub(crate) closing: Timer,
    subprotocol: Option<Box<str>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Returns a connection whose handshake is done; `early` are bytes that came with the
    /// handshake.
    pub fn new(
        io: S,
        role: Role,
        agreed: Established,
        config: Arc<WsConfig>,
        early: &[u8],
    ) -> Self {
        let is_server = role == Role::Server;
        let mut core = Connection::new(role, config.limits);
        if let Some(params) = agreed.deflate {
            core = core.with_deflate(params);
        }
        let heartbeat = config
            .ping_interval
            .map(|interval| Heartbeat::new(interval, config.ping_timeout));
        let mut socket = Self {
            io,
            core,
            config,
            messages: VecDeque::new(),
            ending: None,
            close_frame: None,
            unflushed: false,
            paused: false,
            is_server,
            heartbeat,
            stall: Timer::default(),
            closing: Timer::default(),
            subprotocol: agreed.subprotocol.map(Into::into),
        };
        // A server may send its first frames in one packet with the handshake's answer.
        socket.take_input(early);
        socket
    }

    /// The next message, `None` once the closing handshake is done; safe to drop and call again.
    ///
    /// # Errors
    /// Why the connection ended otherwise; after an error comes `None`.
    pub async fn recv(&mut self) -> Option<Result<Message, Error>> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Queues `message` and writes all that waits.
    ///
    /// # Errors
    /// As [`feed`](Self::feed) and [`flush`](Self::flush).
    pub async fn send(&mut self, message: &Message) -> Result<(), Error> {
        self.feed(message)?;
        self.flush().await
    }

    /// Writes all that waits.
    ///
    /// # Errors
    /// [`Error::Stalled`] if the peer takes nothing for too long, [`Error::Io`].
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Queues `message`; [`recv`](Self::recv), [`flush`](Self::flush) and [`send`](Self::send)
    /// write it.
    ///
    /// # Errors
    /// [`Error::QueueFull`], and [`Error::Send`] after our Close.
    pub fn feed(&mut self, message: &Message) -> Result<(), Error> {
        self.feed_parts(message.kind(), &[message.data()])
    }

    /// Queues the message that `parts` make, one after the other; the parts of a text are UTF-8
    /// once joined.
    ///
    /// # Errors
    /// As [`feed`](Self::feed).
    pub fn feed_parts(&mut self, kind: Kind, parts: &[&[u8]]) -> Result<(), Error> {
        self.check_room(parts.iter().map(|part| part.len()).sum())?;
        Ok(self.core.send_parts(kind, parts)?)
    }

    /// Queues a frame that many connections share.
    ///
    /// # Errors
    /// As [`feed`](Self::feed).
    pub fn feed_frame(&mut self, frame: &Frame) -> Result<(), Error> {
        self.check_room(frame.payload().len())?;
        Ok(self.core.send_frame(frame)?)
    }

    /// Queues bytes that are whole frames of a server already, such as [`Frame::plain`] gives.
    ///
    /// # Errors
    /// As [`feed`](Self::feed).
    pub fn feed_encoded(&mut self, frames: Bytes) -> Result<(), Error> {
        self.check_room(frames.len())?;
        Ok(self.core.send_encoded(frames)?)
    }

    /// Queues a Ping with up to 125 bytes.
    ///
    /// # Errors
    /// As [`feed`](Self::feed), and for a body above 125 bytes.
    pub fn feed_ping(&mut self, body: &[u8]) -> Result<(), Error> {
        self.check_room(body.len())?;
        Ok(self.core.ping(body)?)
    }

    /// Queues our Close. [`recv`](Self::recv) writes it, gives what the peer still sends, and ends
    /// when the peer answers or [`WsConfig::close_timeout`] is over.
    pub fn start_close(&mut self, frame: Option<&CloseFrame>) {
        if !self.core.is_close_sent() {
            self.core.close(frame);
            self.closing.start(self.config.close_timeout);
        }
    }

    /// Closes the connection with `frame` and waits for the peer's answer; messages that still
    /// come are dropped.
    ///
    /// # Errors
    /// Why the closing handshake was not finished; the connection is over all the same.
    pub async fn close(&mut self, frame: Option<&CloseFrame>) -> Result<(), Error> {
        self.start_close(frame);
        while let Some(message) = self.recv().await {
            message?;
        }
        Ok(())
    }

    /// Returns the subprotocol that both sides agreed on.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Returns the body of the peer's Close, if it came and had one.
    pub fn close_frame(&self) -> Option<&CloseFrame> {
        self.close_frame.as_ref()
    }

    /// Returns bytes that wait to be written.
    pub fn queued_bytes(&self) -> usize {
        self.core.queued_bytes()
    }

    /// Returns the memory that waits for the peer or for the next [`recv`](Self::recv), in bytes:
    /// what is to be written, messages that came together with the one before, and what has come of
    /// the next one.
    pub fn held_bytes(&self) -> usize {
        let place = size_of::<Message>();
        let messages = self.messages.iter().map(|it| it.data().len() + place);
        self.core.held_bytes() + messages.sum::<usize>()
    }

    /// Returns the stream under the connection.
    pub fn get_ref(&self) -> &S {
        &self.io
    }

    /// [`recv`](Self::recv) for callers that are polled.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        loop {
            if let Some(message) = self.next_buffered() {
                return Poll::Ready(Some(Ok(message)));
            }
            if self.ending.is_some() {
                return self.poll_end(cx);
            }
            match self.poll_input(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => self.end_with(error),
            }
        }
    }

    /// [`flush`](Self::flush) for callers that are polled.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_write_out(cx)
    }

    fn next_buffered(&mut self) -> Option<Message> {
        let message = self.messages.pop_front();
        // One read can hold thousands of small messages; an idle connection does not keep their
        // room.
        if self.messages.is_empty() && self.messages.capacity() > 16 {
            self.messages = VecDeque::new();
        }
        message
    }

    fn check_room(&self, more: usize) -> Result<(), Error> {
        if self.core.is_close_sent() {
            return Err(SendError::Closing.into());
        }
        // The length before compression counts: how far a message shrinks is known too late.
        if self.core.queued_bytes().saturating_add(more) > self.config.max_queued {
            Counters::add(&self.config.counters.queue_full);
            return Err(Error::QueueFull);
        }
        Ok(())
    }
}
