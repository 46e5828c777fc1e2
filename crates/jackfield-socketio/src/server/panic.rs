//! Handlers that panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use super::BoxFuture;
use crate::stats::Stats;

/// Polls a handler; one that panics is done.
///
/// The panic ends here, because the task is often not the handler's own: it reads a WebSocket, or
/// answers a POST.
pub(super) fn poll_handler(
    stats: &Stats,
    running: &mut BoxFuture<()>,
    context: &mut Context<'_>,
) -> Poll<()> {
    match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(context))) {
        Ok(poll) => poll,
        Err(_) => {
            stats.handler_panics.increment();
            tracing::error!("A handler panicked");
            Poll::Ready(())
        }
    }
}
