//! The acknowledgements of a broadcast.

use std::sync::Arc;
use std::time::Duration;

use jackfield_socketio_proto::Args;
use tokio::time::Instant;

use super::adapter::AckStream;
use crate::stats::Stats;

/// The acknowledgements of a broadcast, as they come, from the clients of every process.
#[derive(Debug)]
pub struct BroadcastAcks {
    stream: AckStream,
    deadline: Instant,
    stats: Arc<Stats>,
    over: bool,
}

impl BroadcastAcks {
    pub(crate) fn new(stream: AckStream, timeout: Duration, stats: Arc<Stats>) -> Self {
        Self {
            stream,
            deadline: Instant::now() + timeout,
            stats,
            over: false,
        }
    }

    /// Returns the next acknowledgement; `None` once all have come, the time is over, or the
    /// clients that still owe theirs have gone.
    pub async fn next(&mut self) -> Option<Args> {
        if self.over {
            return None;
        }
        let next = tokio::time::timeout_at(self.deadline, self.stream.next()).await;
        // An end without a timeout means that all answered, or left.
        if next.is_err() {
            self.stats.ack_timeouts.add(self.missing());
        }
        let next = next.ok().flatten();
        self.over = next.is_none();
        next
    }

    /// Returns how many clients were asked and have not answered so far.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.stream.missing()
    }

    /// Returns how many other processes have not said how many of their clients they asked.
    #[must_use]
    pub fn silent_servers(&self) -> usize {
        self.stream.silent_servers()
    }

    /// Waits for all acknowledgements.
    pub async fn collect(mut self) -> CollectedAcks {
        let mut answers = Vec::new();
        while let Some(args) = self.next().await {
            answers.push(args);
        }
        CollectedAcks {
            answers,
            missing: self.missing(),
            silent_servers: self.silent_servers(),
        }
    }
}

/// The acknowledgements of a broadcast once nothing more comes.
#[derive(Debug)]
#[non_exhaustive]
pub struct CollectedAcks {
    /// What clients have answered, in the order in which it came.
    pub answers: Vec<Args>,
    /// How many clients were asked and have not answered.
    pub missing: usize,
    /// How many other processes have not even said how many of their clients they asked.
    pub silent_servers: usize,
}

impl CollectedAcks {
    /// Returns whether every client of every process has answered.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.missing == 0 && self.silent_servers == 0
    }
}
