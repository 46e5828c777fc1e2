//! A data channel, as messages or as a stream of bytes.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use jackfield_peer::{ChannelConfig, ChannelId, ChannelStats, Message, ReceivedMessage};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Handle;
use super::error::{ChannelError, PeerError};
use super::inner::Inner;
use crate::ice::Session;

/// A data channel.
///
/// Its methods send and receive messages; as [`AsyncRead`] and [`AsyncWrite`] it is a stream of
/// bytes, which the other side gets as binary messages of at most 16 KiB. The two should not be
/// mixed in one direction. Dropping it closes the channel: what was written still arrives.
pub struct DataChannel {
    handle: Arc<Handle>,
    id: ChannelId,
    config: ChannelConfig,
    /// What a reader of bytes has not taken of the last message.
    rest: Vec<u8>,
    /// How much of it was taken.
    taken: usize,
}

impl DataChannel {
    pub(super) fn new(handle: Arc<Handle>, id: ChannelId, config: ChannelConfig) -> Self {
        Self {
            handle,
            id,
            config,
            rest: Vec::new(),
            taken: 0,
        }
    }

    /// Waits until the channel can be used.
    pub(super) async fn opened(&self) -> Result<(), PeerError> {
        let opened = |context: &mut Context<'_>| {
            self.session()
                .look(|inner| inner.poll_opened(self.id, context))
        };
        poll_fn(opened).await.map_err(|()| {
            let closed = self.session().look(|inner| inner.closed());
            closed.map_or(PeerError::Refused, PeerError::Closed)
        })
    }

    /// Returns what the programs call the channel.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.config.label
    }

    /// Returns the subprotocol.
    #[must_use]
    pub fn protocol(&self) -> &str {
        &self.config.protocol
    }

    /// Returns how the channel behaves.
    #[must_use]
    pub fn config(&self) -> &ChannelConfig {
        &self.config
    }

    /// Sends a text; waits while the buffer is full.
    ///
    /// # Errors
    /// See [`ChannelError`].
    pub async fn send_text(&self, text: &str) -> Result<(), ChannelError> {
        self.send_message(Message::Text(text)).await
    }

    /// Sends bytes as one message; waits while the buffer is full.
    ///
    /// # Errors
    /// See [`ChannelError`].
    pub async fn send(&self, bytes: &[u8]) -> Result<(), ChannelError> {
        self.send_message(Message::Binary(bytes)).await
    }

    /// Sends a message; waits while the buffer is full.
    ///
    /// # Errors
    /// See [`ChannelError`].
    pub async fn send_message(&self, message: Message<'_>) -> Result<(), ChannelError> {
        poll_fn(|context| self.poll_send(message, context)).await
    }

    /// Waits for a message; `None` once the channel is closed.
    ///
    /// Dropping the future loses nothing.
    pub async fn recv(&self) -> Option<ReceivedMessage> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// Waits until everything that was sent is acknowledged by the other side.
    ///
    /// # Errors
    /// [`ChannelError::Closed`] if the channel ends before.
    pub async fn flush(&self) -> Result<(), ChannelError> {
        poll_fn(|context| self.poll_flushed(context)).await
    }

    /// Closes the channel, and waits until the other side has closed it, too. What was written
    /// arrives; what the other side has sent and was not received is lost.
    pub async fn close(&self) {
        self.begin_close();
        poll_fn(|context| self.poll_closed(context)).await;
    }

    /// Returns the bytes that are queued or unacknowledged: W3C's `bufferedAmount`.
    #[must_use]
    pub fn buffered_amount(&self) -> usize {
        let buffered = |inner: &mut Inner| inner.core.association_mut().buffered_amount(self.id);
        self.session().look(buffered)
    }

    /// Returns what the channel carried, until it is closed.
    #[must_use]
    pub fn stats(&self) -> Option<ChannelStats> {
        let stats = |inner: &mut Inner| inner.core.association().channel_stats(self.id);
        self.session().look(stats)
    }

    fn session(&self) -> &Session<Inner> {
        &self.handle.0
    }

    fn poll_send(
        &self,
        message: Message<'_>,
        context: &Context<'_>,
    ) -> Poll<Result<(), ChannelError>> {
        let session = self.session();
        let poll = |inner: &mut Inner| inner.poll_send(self.id, message, context);
        // A message alone leaves at once; those behind it leave together.
        match session.look(|inner| inner.is_idle(self.id)) {
            true => session.with(|inner, _| poll(inner)),
            false => session.with_soon(|inner, _| poll(inner)),
        }
    }

    fn poll_recv(&self, context: &Context<'_>) -> Poll<Option<ReceivedMessage>> {
        let session = self.session();
        let received = ready!(session.look(|inner| inner.poll_receive(self.id, context)));
        Poll::Ready(received.map(|(message, has_output)| {
            if has_output {
                session.with_soon(|_, _| ());
            }
            message
        }))
    }

    fn poll_flushed(&self, context: &Context<'_>) -> Poll<Result<(), ChannelError>> {
        self.session()
            .look(|inner| inner.poll_flush(self.id, context))
    }

    fn poll_closed(&self, context: &Context<'_>) -> Poll<()> {
        self.session()
            .look(|inner| inner.poll_channel_closed(self.id, context))
    }

    fn begin_close(&self) {
        self.session()
            .with(|inner, now| inner.core.close_channel(now, self.id));
    }
}

impl Drop for DataChannel {
    fn drop(&mut self) {
        self.session().with(|inner, now| inner.forget(now, self.id));
    }
}

impl AsyncRead for DataChannel {
    /// Reads what messages carry, whole or in parts; the end of the stream is the channel's.
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.taken == self.rest.len() {
            match ready!(self.poll_recv(context)) {
                Some(message) => {
                    self.rest = message.into_bytes();
                    self.taken = 0;
                }
                None => return Poll::Ready(Ok(())),
            }
        }
        let rest = self.rest.get(self.taken..).unwrap_or_default();
        let length = rest.len().min(buffer.remaining());
        buffer.put_slice(rest.get(..length).unwrap_or_default());
        self.taken += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for DataChannel {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let part = bytes.get(..PART).unwrap_or(bytes);
        if part.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.poll_send(Message::Binary(part), context))?;
        Poll::Ready(Ok(part.len()))
    }

    /// Does nothing: what is written goes out by itself. [`DataChannel::flush`] waits until it is
    /// acknowledged.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Closes the channel once everything written is acknowledged. A data channel has no half that
    /// could stay open: nothing can be read afterwards.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flushed(context))?;
        self.begin_close();
        self.poll_closed(context).map(Ok)
    }
}

impl fmt::Debug for DataChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataChannel")
            .field("id", &self.id)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Messages of this length do not keep others waiting ([RFC 8831 §6.6]).
///
/// [RFC 8831 §6.6]: https://www.rfc-editor.org/rfc/rfc8831#section-6.6
const PART: usize = 16 << 10;
