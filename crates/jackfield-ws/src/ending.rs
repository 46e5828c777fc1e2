//! The end of a connection: the last frames out, the stream shut down.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use jackfield_websocket::Message;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::reading::{Last, poll_read_shared};
use crate::{Counters, Error, WebSocket};

/// How far the end of a connection is.
#[derive(Debug)]
pub(crate) struct Ending {
    step: Step,
    /// Given to the caller once the end is reached.
    outcome: Option<Error>,
    dropped: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Our last frames are on their way; then this.
    Write(Then),
    Shutdown(Then),
    /// Reads and drops until the peer ends the stream: closing a socket with unread bytes would
    /// reset it, and the peer might never see our Close.
    Linger,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The closing handshake is done: a server closes the stream first (RFC 6455 §7.1.1).
    Close,
    /// A client lets the server close the stream.
    Wait,
    /// The peer broke the protocol and may still be sending.
    CloseAndWait,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Enters the end after the last event.
    pub(crate) fn begin_ending(&mut self, last: Last) {
        let (then, outcome) = match last {
            Last::Close(frame) => {
                self.close_frame = frame;
                let then = if self.is_server {
                    Then::Close
                } else {
                    Then::Wait
                };
                (then, None)
            }
            Last::Failed(violation) => {
                self.config.counters.count(violation);
                (Then::CloseAndWait, Some(Error::Protocol(violation)))
            }
        };
        self.heartbeat = None;
        self.closing.start(self.config.close_timeout);
        self.ending = Some(Ending {
            step: Step::Write(then),
            outcome,
            dropped: 0,
        });
    }

    /// Ends at once, without a Close frame: the peer would not get it.
    pub(crate) fn end_with(&mut self, error: Error) {
        let counters = &self.config.counters;
        match &error {
            Error::Silent => Counters::add(&counters.silent),
            Error::Stalled => Counters::add(&counters.stalled),
            Error::CloseTimeout => Counters::add(&counters.close_timeouts),
            _ => {}
        }
        self.heartbeat = None;
        self.ending = Some(Ending {
            step: Step::Over,
            outcome: Some(error),
            dropped: 0,
        });
    }

    /// Goes on with the end until it is reached.
    pub(crate) fn poll_end(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Message, Error>>> {
        loop {
            let Some(ending) = &mut self.ending else {
                return Poll::Ready(None);
            };
            let step = ending.step;
            if step == Step::Over {
                self.closing.stop();
                return Poll::Ready(ending.outcome.take().map(Err));
            }
            let next = match self.poll_step(cx, step) {
                Poll::Ready(next) => next,
                Poll::Pending if self.closing.is_up(cx) => {
                    Counters::add(&self.config.counters.close_timeouts);
                    Step::Over
                }
                Poll::Pending => return Poll::Pending,
            };
            if let Some(ending) = &mut self.ending {
                ending.step = next;
            }
        }
    }

    fn poll_step(&mut self, cx: &mut Context<'_>, step: Step) -> Poll<Step> {
        let next = match step {
            Step::Write(then) => {
                // The caller has had all messages before the end and could answer them.
                self.core.finish();
                ready!(self.poll_write_out(cx)).map(|()| match then {
                    Then::Wait => Step::Linger,
                    Then::Close | Then::CloseAndWait => Step::Shutdown(then),
                })
            }
            Step::Shutdown(then) => ready!(Pin::new(&mut self.io).poll_shutdown(cx))
                .map(|()| match then {
                    Then::CloseAndWait => Step::Linger,
                    Then::Close | Then::Wait => Step::Over,
                })
                .map_err(Error::Io),
            Step::Linger => ready!(self.poll_linger(cx)).map_err(Error::Io),
            Step::Over => Ok(Step::Over),
        };
        // A stream that fails now has nothing more to say: the outcome is known already.
        Poll::Ready(next.unwrap_or(Step::Over))
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Step>> {
        let dropped = ready!(poll_read_shared(&mut self.io, cx, <[u8]>::len))?;
        let Some(ending) = &mut self.ending else {
            return Poll::Ready(Ok(Step::Over));
        };
        ending.dropped += dropped;
        // A peer that never stops sending must not keep the connection until the time is up.
        if ending.dropped > self.config.max_linger {
            Counters::add(&self.config.counters.lingered_too_much);
            return Poll::Ready(Ok(Step::Over));
        }
        Poll::Ready(Ok(if dropped == 0 {
            Step::Over
        } else {
            Step::Linger
        }))
    }
}
