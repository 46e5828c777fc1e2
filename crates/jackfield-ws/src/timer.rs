//! The time limits of a connection; each timer exists only while it runs.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// A limit that may be running.
#[derive(Debug, Default)]
pub(crate) struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Starts the timer unless it runs already.
    pub(crate) fn start(&mut self, limit: Duration) {
        if self.0.is_none() {
            self.0 = Some(Box::pin(sleep(limit)));
        }
    }

    pub(crate) fn stop(&mut self) {
        self.0 = None;
    }

    /// Returns whether the time is up; a timer that does not run never is.
    pub(crate) fn is_up(&mut self, cx: &mut Context<'_>) -> bool {
        self.0
            .as_mut()
            .is_some_and(|sleep| sleep.as_mut().poll(cx).is_ready())
    }
}

/// Watches for a peer that fell silent.
///
/// Hearing the peer only sets a flag; the timer is looked at when it fires, so a busy connection
/// never touches it.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    interval: Duration,
    timeout: Duration,
    heard: bool,
    pinged: bool,
    timer: Pin<Box<Sleep>>,
}

/// What a heartbeat asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    Ping,
    Silent,
}

impl Heartbeat {
    pub(crate) fn new(interval: Duration, timeout: Duration) -> Self {
        Self {
            interval,
            timeout,
            heard: false,
            pinged: false,
            timer: Box::pin(sleep(interval)),
        }
    }

    pub(crate) fn heard(&mut self) {
        self.heard = true;
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Beat> {
        while self.timer.as_mut().poll(cx).is_ready() {
            // Any byte shows life: a Pong may wait behind a long message on a slow line.
            if std::mem::take(&mut self.heard) {
                self.pinged = false;
                self.restart(self.interval);
            } else if self.pinged {
                return Poll::Ready(Beat::Silent);
            } else {
                self.pinged = true;
                self.restart(self.timeout);
                return Poll::Ready(Beat::Ping);
            }
        }
        Poll::Pending
    }

    fn restart(&mut self, after: Duration) {
        self.timer.as_mut().reset(Instant::now() + after);
    }
}
