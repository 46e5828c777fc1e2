//! Connections of clients over TCP and TLS.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use jackfield_sansio::{Account, ClientNetwork, FiveTuple, Transport};
use jackfield_stun::framing::{FramingError, message_length};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::engine::Engine;
use super::queue::{Eviction, WriteQueue};

/// Serves the client of one connection until either side ends it.
pub(super) async fn serve<S>(engine: &Rc<Engine>, stream: S, path: FiveTuple, already_read: &[u8])
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(guard) = Registered::new(engine, path) else {
        engine.stats().streams.refused.add(1);
        return;
    };
    let mut connection = Connection {
        engine,
        stream,
        path,
        queue: Rc::clone(&guard.queue),
        unread: Vec::new(),
        spoke: Cell::new(false),
        unflushed: false,
        unwritten: 0,
        paused: false,
    };
    let ended = connection.run(already_read).await;
    match ended {
        End::NotStun(error) => {
            engine.stats().streams.not_stun.add(1);
            tracing::debug!(%path, %error, "A connection carries no STUN");
        }
        End::Idle => engine.stats().streams.idle.add(1),
        End::Evicted => engine.stats().streams.evicted.add(1),
        End::Io(error) => tracing::debug!(%path, %error, "A connection broke"),
        End::Closed => {}
    }
}

/// Why a connection ended.
#[derive(Debug)]
enum End {
    /// Either side closed it.
    Closed,
    /// The client was silent and has no allocation.
    Idle,
    /// Too much waited for the client, or for its network.
    Evicted,
    /// What the client sent cannot be followed.
    NotStun(FramingError),
    /// The connection broke.
    Io(io::Error),
}

/// A connection that its engine knows for as long as this lives; the core learns of its end.
struct Registered<'a> {
    engine: &'a Rc<Engine>,
    path: FiveTuple,
    queue: Rc<WriteQueue>,
}

impl<'a> Registered<'a> {
    /// Returns nothing if there are too many, or one with this path, or no memory for its network.
    fn new(engine: &'a Rc<Engine>, path: FiveTuple) -> Option<Self> {
        let mut streams = engine.streams.borrow_mut();
        // An old connection of the same path may still be ending: its drop would take out this
        // one.
        if streams.len() >= engine.config.streams || streams.contains_key(&path) {
            return None;
        }
        let eviction = Arc::<Eviction>::default();
        let account = match &engine.config.budget {
            Some(budget) => {
                let eviction = Arc::clone(&eviction);
                let network = ClientNetwork::of(path.remote.ip());
                budget
                    .open(network, STREAM_COST, move || eviction.wake())
                    .ok()?
            }
            None => Account::unlimited(),
        };
        let queue = Rc::new(WriteQueue::new(account, eviction));
        streams.insert(path, Rc::clone(&queue));
        engine.stats().streams.open.add(1);
        engine.stats().streams.opened.add(1);
        Some(Self {
            engine,
            path,
            queue,
        })
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.engine.streams.borrow_mut().remove(&self.path);
        self.engine.stats().streams.open.sub(1);
        self.engine.client_closed(Instant::now(), self.path);
    }
}

struct Connection<'a, S> {
    engine: &'a Rc<Engine>,
    stream: S,
    path: FiveTuple,
    queue: Rc<WriteQueue>,
    /// What was read and is not yet a whole message.
    unread: Vec<u8>,
    /// Whether the client has sent anything.
    spoke: Cell<bool>,
    /// Whether the stream may hold back what was written to it, as TLS does.
    unflushed: bool,
    /// Inside TLS: how much is not yet written of the message that is being written.
    unwritten: usize,
    /// Whether reading waits until the client has read.
    paused: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    async fn run(&mut self, already_read: &[u8]) -> End {
        let idle = self.engine.config.stream_idle;
        let mut silence = pin!(sleep(idle));
        if !already_read.is_empty()
            && let Err(error) = self.take(already_read)
        {
            return End::NotStun(error);
        }
        loop {
            let step = poll_fn(|cx| self.poll(cx, silence.as_mut())).await;
            match step {
                Step::Read => silence.as_mut().reset(tokio::time::Instant::now() + idle),
                Step::End(end) => return end,
            }
            // A client that never stops sending does not keep the others waiting.
            tokio::task::yield_now().await;
        }
    }

    /// Writes what waits, then reads once.
    fn poll(&mut self, cx: &mut Context<'_>, silence: Pin<&mut Sleep>) -> Poll<Step> {
        self.queue.wake_later(cx.waker());
        if self.queue.is_closed() {
            return Poll::Ready(Step::End(End::Closed));
        }
        if let Poll::Ready(Err(error)) = self.poll_write(cx) {
            return Poll::Ready(Step::End(End::Io(error)));
        }
        if self.queue.is_evicted(cx.waker()) {
            return Poll::Ready(Step::End(End::Evicted));
        }
        // An allocation ends by its own lifetime, and its client may have nothing to say until
        // then.
        if silence.poll(cx).is_ready() && !self.queue.is_allocated() {
            return Poll::Ready(Step::End(End::Idle));
        }
        if self.must_pause() {
            return Poll::Pending;
        }
        self.poll_read(cx)
    }

    /// Returns whether answers pile up that the client does not read; data alone never gets the
    /// queue there.
    fn must_pause(&mut self) -> bool {
        let full = self.queue.len() > self.engine.config.stream_queue + ANSWERS;
        if full && !self.paused {
            self.engine.stats().streams.paused.add(1);
        }
        self.paused = full;
        full
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stats = &self.engine.stats().streams;
        let stream = &mut self.stream;
        let unflushed = &mut self.unflushed;
        let unwritten = &mut self.unwritten;
        let is_tls = self.path.transport == Transport::Tls;
        let written = self.queue.write_with(|bytes| {
            let bytes = match is_tls {
                true => record(bytes, unwritten),
                false => bytes,
            };
            let written = Pin::new(&mut *stream).poll_write(cx, bytes);
            match written {
                Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => {
                    stats.tx_bytes.add(count as u64);
                    *unflushed = true;
                    *unwritten = unwritten.saturating_sub(count);
                    Poll::Ready(Ok(count))
                }
                other => other,
            }
        });
        // The flush comes when the queue is empty: a TLS stream may hold records back until then.
        if written.is_ready() && self.unflushed {
            let flushed = Pin::new(&mut self.stream).poll_flush(cx);
            self.unflushed = flushed.is_pending();
            return flushed;
        }
        written
    }

    /// Reads once, into a buffer that all connections of the shard share, and hands the core what
    /// is there.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let mut room = self.engine.stream_room.borrow_mut();
        let mut room = ReadBuf::new(&mut room);
        if let Err(error) = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut room)) {
            return Poll::Ready(Step::End(End::Io(error)));
        }
        let bytes = room.filled();
        if bytes.is_empty() {
            return Poll::Ready(Step::End(End::Closed));
        }
        self.engine.stats().streams.rx_bytes.add(bytes.len() as u64);
        Poll::Ready(match self.take(bytes) {
            Ok(()) => Step::Read,
            Err(error) => Step::End(End::NotStun(error)),
        })
    }

    /// Hands the core the whole messages that end in `bytes`, and keeps what is left.
    fn take(&mut self, bytes: &[u8]) -> Result<(), FramingError> {
        if self.unread.is_empty() {
            let taken = self.hand_over(bytes)?;
            self.unread
                .extend_from_slice(bytes.get(taken..).unwrap_or_default());
            return Ok(());
        }
        self.unread.extend_from_slice(bytes);
        let taken = self.hand_over(&self.unread)?;
        self.unread.drain(..taken);
        if self.unread.is_empty() {
            self.unread = Vec::new();
        }
        Ok(())
    }

    /// Hands the core each whole message; returns how many bytes they take.
    fn hand_over(&self, bytes: &[u8]) -> Result<usize, FramingError> {
        let now = Instant::now();
        let max = self.engine.config.stream_message;
        let mut rest = bytes;
        if !self.spoke.replace(true)
            && let Some(&first) = bytes.first()
            && first > 3
        {
            // No client starts with ChannelData, whose first bytes HTTP shares.
            return Err(FramingError::NotStun(first));
        }
        while let Some(length) = message_length(rest, max)? {
            let Some((message, behind)) = rest.split_at_checked(length) else {
                break;
            };
            self.engine.stats().streams.rx_messages.add(1);
            self.engine.client(now, self.path, message);
            rest = behind;
        }
        Ok(bytes.len() - rest.len())
    }
}

/// Returns what becomes one record of TLS: a single message, because there are clients, coturn's
/// among them, that take a record for a message. `unwritten` is how much is left of a message that
/// was written in part.
fn record<'b>(bytes: &'b [u8], unwritten: &mut usize) -> &'b [u8] {
    if *unwritten == 0 {
        let length = message_length(bytes, bytes.len());
        *unwritten = length.ok().flatten().unwrap_or(bytes.len());
    }
    bytes.get(..*unwritten).unwrap_or(bytes)
}

/// What one step of a connection brought.
enum Step {
    /// The client sent something.
    Read,
    /// The connection is over.
    End(End),
}

/// What a connection takes by being there, in bytes.
const STREAM_COST: usize = 4 << 10;

/// Bytes of answers that may wait beyond what data may take.
const ANSWERS: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_tls_is_one_message_also_when_it_is_written_in_parts() {
        let message = |data: u8| [0x40, 0, 0, 2, data, data, 0, 0];
        let queue = [message(1), message(2)].concat();
        let mut unwritten = 0;
        let mut rest = queue.as_slice();
        let mut records = Vec::new();
        for taken in [8, 3, 5] {
            records.push(record(rest, &mut unwritten));
            unwritten -= taken;
            rest = rest.get(taken..).unwrap();
        }
        assert_eq!(
            records,
            [message(1).as_slice(), &message(2), &message(2)[3..]]
        );
    }
}
