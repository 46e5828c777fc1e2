//! What waits between a room and its program: a bounded number of events, each with a permit.
//!
//! A program that reads no events, because its output is stopped, does not stop the room: the task
//! goes on with commands and timers, and takes from a source, the members or the server, only what
//! the source has a permit for. A permit is free again when the program takes the event. So what a
//! member sends meanwhile waits where flow control slows the member down.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::RoomEvent;

/// The right to have events in the queue. Several events of one cause share it.
pub(super) type Permit = Arc<OwnedSemaphorePermit>;

/// The permits of a room. Members and the server have their own, so that a member that floods the
/// room does not keep the server's messages from being read.
#[derive(Debug, Clone)]
pub(super) struct Permits {
    members: Arc<Semaphore>,
    server: Arc<Semaphore>,
}

impl Permits {
    pub(super) fn new() -> Self {
        let of = |count: u32| Arc::new(Semaphore::new(count as usize));
        Self {
            members: of(OF_MEMBERS),
            server: of(OF_SERVER),
        }
    }

    /// Waits for the permit of something that a member caused; members are served in turn.
    pub(super) async fn member(&self, weight: u32) -> Permit {
        acquire(&self.members, weight).await
    }

    /// Waits for the permit of something that the server says.
    pub(super) async fn server(&self) -> Permit {
        acquire(&self.server, 1).await
    }
}

async fn acquire(semaphore: &Arc<Semaphore>, weight: u32) -> Permit {
    let permit = Arc::clone(semaphore).acquire_many_owned(weight).await;
    Arc::new(permit.expect("the semaphores of a room are never closed"))
}

/// Returns the two ends of a queue of events.
pub(super) fn queue() -> (EventSender, EventReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (EventSender(sender), EventReceiver(receiver))
}

/// Where the room's task puts events. It never waits: who caused an event has waited before.
#[derive(Debug)]
pub(super) struct EventSender(mpsc::UnboundedSender<(RoomEvent, Option<Permit>)>);

impl EventSender {
    pub(super) fn send(&self, event: RoomEvent, permit: Option<Permit>) {
        // A program that has dropped its room is about to drop its command channel.
        let _dropped = self.0.send((event, permit));
    }
}

/// Where the program takes events.
#[derive(Debug)]
pub(super) struct EventReceiver(mpsc::UnboundedReceiver<(RoomEvent, Option<Permit>)>);

impl EventReceiver {
    pub(super) async fn next(&mut self) -> Option<RoomEvent> {
        self.0.recv().await.map(|(event, _permit)| event)
    }

    /// Returns what waits.
    #[cfg(test)]
    pub(super) fn drain(&mut self) -> Vec<RoomEvent> {
        let waiting = std::iter::from_fn(|| self.0.try_recv().ok());
        waiting.map(|(event, _permit)| event).collect()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Permits for what members cause: a message of a member is one, of at most 64 KiB.
pub(super) const OF_MEMBERS: u32 = 128;

/// The weight of a channel that a member opens, as its own queue fills before the program has it:
/// at most eight such channels wait.
pub(super) const CHANNEL: u32 = 16;

/// Permits for what the server says, chat messages of members included.
pub(super) const OF_SERVER: u32 = 64;
