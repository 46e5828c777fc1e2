//! The reading half of an open connection.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use jackfield_websocket::{CloseFrame, Connection, Event, Message, Violation};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::timer::Beat;
use crate::{Counters, Error, WebSocket};

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Reads once from `io` into the buffer of this thread and hands what came to `with`.
pub(crate) fn poll_read_shared<S: AsyncRead + Unpin, T>(
    io: &mut S,
    cx: &mut Context<'_>,
    with: impl FnOnce(&[u8]) -> T,
) -> Poll<io::Result<T>> {
    // The buffer is taken, not borrowed: a stream that reads through this function itself gets a
    // buffer of its own.
    let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
    if buffer.is_empty() {
        buffer = vec![0; READ];
    }
    let mut read = ReadBuf::new(&mut buffer);
    let result = Pin::new(io)
        .poll_read(cx, &mut read)
        .map_ok(|()| with(read.filled()));
    let _ = BUFFER.try_with(|cell| cell.set(buffer));
    result
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Writes what waits, looks at the time limits, and reads once.
    pub(crate) fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if let Poll::Ready(Err(error)) = self.poll_write_out(cx) {
            return Poll::Ready(Err(error));
        }
        if self.closing.is_up(cx) {
            return Poll::Ready(Err(Error::CloseTimeout));
        }
        self.keep_alive(cx)?;
        if self.core.queued_bytes() > self.config.pause_reading_above {
            if !std::mem::replace(&mut self.paused, true) {
                Counters::add(&self.config.counters.reading_paused);
            }
            // The write that is pending wakes this task.
            return Poll::Pending;
        }
        self.paused = false;
        let mut sink = EventSink {
            core: &mut self.core,
            messages: &mut self.messages,
            last: None,
        };
        let len = ready!(poll_read_shared(&mut self.io, cx, |input| {
            sink.take(input);
            input.len()
        }))?;
        let last = sink.last;
        if len == 0 {
            return Poll::Ready(Err(Error::Disconnected));
        }
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.heard();
        }
        let skipped = self.core.take_skipped_pongs();
        if skipped > 0 {
            let counter = &self.config.counters.pongs_skipped;
            counter.fetch_add(skipped, Ordering::Relaxed);
        }
        if let Some(event) = last {
            self.begin_ending(event);
        }
        Poll::Ready(Ok(()))
    }

    /// Takes bytes that were read elsewhere.
    pub(crate) fn take_input(&mut self, input: &[u8]) {
        let mut sink = EventSink {
            core: &mut self.core,
            messages: &mut self.messages,
            last: None,
        };
        sink.take(input);
        if let Some(event) = sink.last {
            self.begin_ending(event);
        }
    }

    fn keep_alive(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        let Some(heartbeat) = &mut self.heartbeat else {
            return Ok(());
        };
        match heartbeat.poll(cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(Beat::Silent) => Err(Error::Silent),
            Poll::Ready(Beat::Ping) => {
                // After our Close nothing is sent, and the close timeout watches the peer.
                let _ = self.core.ping(&[]);
                match self.poll_write_out(cx) {
                    Poll::Ready(Err(error)) => Err(error),
                    Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
                }
            }
        }
    }
}

/// Where the core's events go.
struct EventSink<'a> {
    core: &'a mut Connection,
    messages: &'a mut VecDeque<Message>,
    last: Option<Last>,
}

/// The last event of a connection.
pub(crate) enum Last {
    Close(Option<CloseFrame>),
    Failed(Violation),
}

impl EventSink<'_> {
    fn take(&mut self, mut input: &[u8]) {
        while let Some(event) = self.core.receive(&mut input) {
            match event {
                Event::Message(message) => self.messages.push_back(message),
                // The core has queued the answer to a Ping, and any byte counts as a sign of life.
                Event::Ping(_) | Event::Pong(_) => {}
                Event::Close(frame) => self.last = Some(Last::Close(frame)),
                Event::Failed(violation) => self.last = Some(Last::Failed(violation)),
            }
        }
    }
}

/// Bytes per read; all connections of a thread share one buffer.
const READ: usize = 64 << 10;
