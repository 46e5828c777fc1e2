//! One event for many sockets.

use std::fmt;
use std::time::Duration;

use jackfield_socketio_proto::Args;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::ack::{Forget, Waiter};
use super::{EmitError, Socket};
use crate::engine::Wire;

/// An event for many sockets: encoded once, framed once, shared by all of them.
pub struct BroadcastPacket {
    pub(crate) wire: Wire,
    pub(crate) volatile: bool,
    pub(crate) ack: Option<(u64, mpsc::UnboundedSender<Args>)>,
}

impl BroadcastPacket {
    /// Sends the packet to one socket and notes how that went.
    pub fn send_to(&self, socket: &Socket, delivery: &mut Delivery) {
        if let Some((id, sender)) = &self.ack {
            let forget = socket.expect_ack(*id, Waiter::Broadcast(sender.clone()));
            delivery.asked.push(forget);
        }
        let sent = if self.volatile {
            socket.send_volatile(&self.wire)
        } else {
            socket.send_wire(&self.wire)
        };
        match sent {
            Ok(()) => delivery.sent += 1,
            Err(EmitError::Full) => delivery.full += 1,
            Err(_) => delivery.gone += 1,
        }
    }
}

impl fmt::Debug for BroadcastPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BroadcastPacket")
            .field("volatile", &self.volatile)
            .finish_non_exhaustive()
    }
}

/// How a broadcast went, in this process.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Delivery {
    /// Clients whose buffer took the packet; volatile packets that were dropped count here too.
    pub sent: usize,
    /// Clients whose buffer was full.
    pub full: usize,
    /// Clients that went away meanwhile.
    pub gone: usize,
    pub(crate) asked: Vec<Forget>,
}

/// The acknowledgements of a broadcast, as they come.
#[derive(Debug)]
pub struct BroadcastAcks {
    pub(crate) receiver: mpsc::UnboundedReceiver<Args>,
    pub(crate) asked: Vec<Forget>,
    pub(crate) deadline: Instant,
    pub(crate) answered: usize,
}

impl BroadcastAcks {
    pub(crate) fn new(
        receiver: mpsc::UnboundedReceiver<Args>,
        asked: Vec<Forget>,
        timeout: Duration,
    ) -> Self {
        Self {
            receiver,
            asked,
            deadline: Instant::now() + timeout,
            answered: 0,
        }
    }

    /// Returns the next acknowledgement; `None` once all have come, the time is over, or the clients that still owe
    /// theirs have gone.
    pub async fn next(&mut self) -> Option<Args> {
        if self.answered == self.asked.len() {
            return None;
        }
        let next = tokio::time::timeout_at(self.deadline, self.receiver.recv()).await;
        let args = next.ok().flatten()?;
        self.answered += 1;
        Some(args)
    }

    /// Returns how many clients have not answered so far.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.asked.len() - self.answered
    }

    /// Waits for all acknowledgements, and tells how many clients did not answer.
    pub async fn collect(mut self) -> (Vec<Args>, usize) {
        let mut all = Vec::new();
        while let Some(args) = self.next().await {
            all.push(args);
        }
        (all, self.missing())
    }
}
