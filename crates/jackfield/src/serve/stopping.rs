//! The end of the server: when it begins, what it waits for, and the one deadline of all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, watch};

/// The stages of a stop. Clones are the same stop.
#[derive(Debug, Clone)]
pub(super) struct Stopping(Arc<Stages>);

#[derive(Debug)]
struct Stages {
    /// True from the signal to stop on.
    begun: watch::Sender<bool>,
    /// True when the time for open connections has passed.
    over: watch::Sender<bool>,
    /// HTTP connections, and the WebSockets that they have become.
    open: AtomicUsize,
    /// Notified when one of them is gone.
    closed: Notify,
}

/// A connection that a stop waits for. It goes wherever the socket goes.
#[derive(Debug)]
pub(super) struct OpenConnection(Arc<Stages>);

impl Stopping {
    /// Returns the stages of a stop that begins when `begun` becomes true.
    pub(super) fn new(begun: watch::Sender<bool>) -> Self {
        Self(Arc::new(Stages {
            begun,
            over: watch::Sender::new(false),
            open: AtomicUsize::new(0),
            closed: Notify::new(),
        }))
    }

    /// Begins the stop.
    pub(super) fn begin(&self) {
        self.0.begun.send_replace(true);
    }

    /// Cuts off what is still open.
    pub(super) fn end(&self) {
        self.0.over.send_replace(true);
    }

    pub(super) fn has_begun(&self) -> bool {
        *self.0.begun.borrow()
    }

    /// Waits until the stop begins.
    pub(super) async fn begun(&self) {
        reached(&self.0.begun).await;
    }

    /// Waits until the time of the stop is over.
    pub(super) async fn over(&self) {
        reached(&self.0.over).await;
    }

    /// Counts a connection until the value is dropped.
    pub(super) fn open(&self) -> OpenConnection {
        self.0.open.fetch_add(1, Ordering::AcqRel);
        OpenConnection(Arc::clone(&self.0))
    }

    /// Returns how many connections are open.
    pub(super) fn count(&self) -> usize {
        self.0.open.load(Ordering::Acquire)
    }

    /// Waits until no connection is open.
    pub(super) async fn all_closed(&self) {
        loop {
            // The wait is set up before the look, or the last end could come in between.
            let closed = self.0.closed.notified();
            if self.count() == 0 {
                return;
            }
            closed.await;
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
        self.0.closed.notify_waiters();
    }
}

async fn reached(stage: &watch::Sender<bool>) {
    let mut stage = stage.subscribe();
    // The sender lives as long as this wait, so the channel cannot close.
    let _open = stage.wait_for(|reached| *reached).await;
}
