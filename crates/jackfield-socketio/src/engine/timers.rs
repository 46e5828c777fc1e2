//! One task that wakes sessions when their time has come.
//!
//! A session has one entry for its next deadline. A deadline that moves later keeps its entry:
//! when that fires too early, the session makes a new one. So a heartbeat costs two entries a
//! period, and no session has a timer of its own.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::registry::Registry;
use crate::id::Id;
use crate::sync::lock;

/// The deadlines of all sessions of a server.
#[derive(Debug, Default)]
pub(super) struct Timers {
    entries: Mutex<BinaryHeap<Entry>>,
    /// Wakes the task when an entry comes first.
    earlier: Notify,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// A session that has ended leaves its entry behind until it is due: 36 bytes, not the session.
#[derive(Debug)]
struct Entry {
    at: Instant,
    sid: Id,
}

impl Timers {
    /// Wakes the session `sid` at `at`.
    pub(super) fn schedule(&self, at: Instant, sid: Id) {
        let mut entries = lock(&self.entries);
        // Only an entry that comes first changes what the task sleeps for.
        let first = entries.peek().is_none_or(|entry| at < entry.at);
        entries.push(Entry { at, sid });
        drop(entries);
        if first {
            self.earlier.notify_one();
        }
    }

    /// Starts the task on the current runtime, unless it runs already; one whose runtime has ended
    /// is replaced.
    pub(super) fn ensure_running(self: &Arc<Self>, registry: &Arc<Registry>) {
        let mut task = lock(&self.task);
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            *task = Some(tokio::spawn(run(Arc::clone(self), Arc::clone(registry))));
        }
    }

    /// Ends the task.
    pub(super) fn stop(&self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }

    fn take_due(&self, now: Instant) -> (Vec<Entry>, Option<Instant>) {
        let mut entries = lock(&self.entries);
        let mut due = Vec::new();
        while entries.peek().is_some_and(|entry| entry.at <= now) {
            due.extend(entries.pop());
        }
        (due, entries.peek().map(|entry| entry.at))
    }
}

async fn run(timers: Arc<Timers>, registry: Arc<Registry>) {
    loop {
        let (due, next) = timers.take_due(Instant::now());
        for entry in due {
            // A session that has ended is not found: its entry was left to come due.
            if let Some(session) = registry.get(entry.sid) {
                session.handle_timeout(entry.at);
            }
        }
        match next {
            Some(at) => tokio::select! {
                () = tokio::time::sleep_until(at.into()) => {}
                () = timers.earlier.notified() => {}
            },
            None => timers.earlier.notified().await,
        }
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// The earliest entry is the greatest, because a [`BinaryHeap`] gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}
