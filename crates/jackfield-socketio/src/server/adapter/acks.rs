//! The acknowledgements of one event that several answer, on their way from the adapter to who
//! asked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use jackfield_socketio_proto::Args;
use tokio::sync::mpsc;

use crate::server::ack::{Forget, Waiter};
use crate::sync::lock;

/// Makes a way for the acknowledgements of one event.
///
/// ```
/// use jackfield_socketio::Args;
/// use jackfield_socketio::adapter::acks;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (sink, mut stream) = acks();
/// sink.expect_servers(2);
/// sink.expect_clients(1); // one server reports its single client, the other never reports
/// sink.send(Args::from_parts("[42]".into(), Vec::new())?);
/// drop(sink);
///
/// assert_eq!(stream.next().await.ok_or("an answer")?.get::<u8>(0)?, 42);
/// assert!(stream.next().await.is_none());
/// assert_eq!((stream.missing(), stream.silent_servers()), (0, 1));
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn acks() -> (AckSink, AckStream) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let tally = Arc::<Tally>::default();
    let sink = AckSink {
        sender,
        tally: Arc::downgrade(&tally),
    };
    let stream = AckStream {
        receiver,
        tally,
        answered: 0,
    };
    (sink, stream)
}

/// Takes the acknowledgements of one event. The [`AckStream`] ends once all clones are dropped.
#[derive(Debug, Clone)]
pub struct AckSink {
    sender: mpsc::UnboundedSender<Args>,
    /// Weak, so that the count of expected answers ends with the stream that reads it.
    tally: Weak<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    /// Servers that were asked.
    servers: AtomicUsize,
    /// Servers that have said how many clients they have.
    reports: AtomicUsize,
    /// Clients that were asked.
    clients: AtomicUsize,
    /// The sockets of this process whose clients were asked.
    asked: Mutex<Vec<Forget>>,
}

impl AckSink {
    /// Notes that this many more servers were asked. Each is silent until [`Self::expect_clients`]
    /// is called for it.
    pub fn expect_servers(&self, count: usize) {
        if let Some(tally) = self.tally.upgrade() {
            tally.servers.fetch_add(count, Ordering::AcqRel);
        }
    }

    /// Notes that one server has reported how many of its clients were asked.
    pub fn expect_clients(&self, count: usize) {
        if let Some(tally) = self.tally.upgrade() {
            // The clients come before the report: a reader that sees the report has then counted
            // them.
            tally.clients.fetch_add(count, Ordering::AcqRel);
            tally.reports.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Passes one acknowledgement on; returns false if the [`AckStream`] was dropped.
    pub fn send(&self, args: Args) -> bool {
        self.sender.send(args).is_ok()
    }

    /// Returns whether the [`AckStream`] was dropped: further answers are then wasted work.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub(super) fn waiter(&self) -> Waiter {
        Waiter::Several(self.sender.clone())
    }

    /// Keeps the guards of what clients of this process owe, for as long as the stream is read.
    pub(super) fn keep(&self, asked: Vec<Forget>) {
        let Some(tally) = self.tally.upgrade() else {
            return;
        };
        self.expect_servers(1);
        self.expect_clients(asked.len());
        lock(&tally.asked).extend(asked);
    }
}

/// Gives the acknowledgements of one event as they come.
#[derive(Debug)]
pub struct AckStream {
    receiver: mpsc::UnboundedReceiver<Args>,
    tally: Arc<Tally>,
    answered: usize,
}

impl AckStream {
    /// Returns the next acknowledgement; `None` once all have come, or those who still owe theirs
    /// have gone. Set a time limit around it. Safe to drop and call again.
    pub async fn next(&mut self) -> Option<Args> {
        let args = self.receiver.recv().await?;
        self.answered += 1;
        Some(args)
    }

    /// Returns how many clients were asked, as far as servers have reported.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.tally.clients.load(Ordering::Acquire)
    }

    /// Returns how many of these clients have not answered.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.clients().saturating_sub(self.answered)
    }

    /// Returns how many servers were asked and have not reported.
    #[must_use]
    pub fn silent_servers(&self) -> usize {
        let reports = self.tally.reports.load(Ordering::Acquire);
        self.tally
            .servers
            .load(Ordering::Acquire)
            .saturating_sub(reports)
    }
}
