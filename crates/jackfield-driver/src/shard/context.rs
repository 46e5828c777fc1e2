//! What a shard gives the code that runs on it: its number, its tasks, and the signal to stop.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::ShardStats;

/// A shard, as the code that runs on it sees it. It is cheap to clone and stays on its thread.
#[derive(Debug, Clone)]
pub struct ShardContext(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    index: usize,
    count: usize,
    shutdown: Shutdown,
    stats: Arc<ShardStats>,
    /// Tasks that have not ended; a graceful stop waits for them.
    running: Cell<usize>,
    /// Notified when `running` reaches zero.
    idle: Notify,
}

impl ShardContext {
    pub(super) fn new(
        index: usize,
        count: usize,
        shutdown: Shutdown,
        stats: Arc<ShardStats>,
    ) -> Self {
        Self(Rc::new(Inner {
            index,
            count,
            shutdown,
            stats,
            running: Cell::new(0),
            idle: Notify::new(),
        }))
    }

    /// Returns this shard's number, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.0.index
    }

    /// Returns how many shards there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.count
    }

    /// Returns the signal that asks this shard's tasks to end.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        self.0.shutdown.clone()
    }

    /// Returns this shard's counters.
    #[must_use]
    pub fn stats(&self) -> &Arc<ShardStats> {
        &self.0.stats
    }

    /// Runs `task` on this shard. A panic ends the task alone: it is logged and counted. A
    /// graceful stop waits for it. The handle ends it early; to drop the handle changes nothing.
    ///
    /// # Panics
    /// When called on another thread's runtime, which a context cannot reach.
    pub fn spawn(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + 'static,
    ) -> AbortHandle {
        let running = Running::start(self.clone());
        let task = tokio::task::spawn_local(async move {
            // The guard moves into the task, so that it is dropped with the task however that
            // ends.
            let running = running;
            survive(name, &running.0, task).await;
        });
        task.abort_handle()
    }

    /// Waits until no task runs.
    pub(super) async fn idle(&self) {
        while self.0.running.get() > 0 {
            self.0.idle.notified().await;
        }
    }
}

/// Runs a task to its end or its panic.
async fn survive(name: &'static str, context: &ShardContext, task: impl Future<Output = ()>) {
    let mut task = pin!(task);
    let panicked = poll_fn(|cx| {
        // A task that panicked is never polled again, so no broken invariant of it can be seen.
        match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(false),
            Err(_) => Poll::Ready(true),
        }
    })
    .await;
    if panicked {
        context.0.stats.panics.add(1);
        tracing::error!(
            shard = context.index(),
            task = name,
            "A task panicked; the shard goes on"
        );
    }
}

/// Counts a task from its spawning to its end or to the drop of its runtime.
struct Running(ShardContext);

impl Running {
    fn start(context: ShardContext) -> Self {
        context.0.running.set(context.0.running.get() + 1);
        context.0.stats.tasks.add(1);
        Self(context)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let inner = &self.0.0;
        inner.running.set(inner.running.get().saturating_sub(1));
        inner.stats.tasks.sub(1);
        if inner.running.get() == 0 {
            inner.idle.notify_one();
        }
    }
}

/// A signal that is given once and asks tasks to end.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    pub(super) fn channel() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Waits for the signal; returns at once if it was given before.
    pub async fn requested(&mut self) {
        // An error says that the sender is gone: nothing is left that could ask for more work.
        let _gone = self.0.wait_for(|stop| *stop).await;
    }

    /// Returns whether the signal was given.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}
