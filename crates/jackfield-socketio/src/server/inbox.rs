//! What happens on one socket, one thing after the other.
//!
//! Connecting, events and the disconnect of a socket run in the order in which they came, each
//! awaited before the next. A handler that finishes without waiting runs where its event was read,
//! with no task; one that waits goes on in a task of its own, which then also takes what came
//! meanwhile.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::task::{Context, Waker};

use jackfield_socketio_proto::packet::EventPacket;

use super::panic::poll_handler;
use super::{BoxFuture, DisconnectReason, Socket};
use crate::sync::lock;

/// The queue of one socket.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Item>,
    /// Somebody takes from the queue.
    running: bool,
}

/// What happens on a socket.
#[derive(Debug)]
pub(crate) enum Item {
    Connect,
    Event(EventPacket),
    Disconnect(DisconnectReason),
}

impl Inbox {
    pub(crate) fn push(&self, item: Item) {
        lock(&self.0).items.push_back(item);
    }

    /// Drops the events that have not been handled and returns how many bytes they held.
    pub(crate) fn drop_events(&self) -> usize {
        let mut queue = lock(&self.0);
        let mut held = 0;
        queue.items.retain(|item| match item {
            Item::Event(event) => {
                held += cost(event);
                false
            }
            Item::Connect | Item::Disconnect(_) => true,
        });
        held
    }

    /// Takes the next item; `None` means that the queue is empty and free to be claimed again.
    fn next(&self) -> Option<Item> {
        let mut queue = lock(&self.0);
        let item = queue.items.pop_front();
        queue.running = item.is_some();
        // One burst must not cost an idle socket its memory for ever.
        if item.is_none() && queue.items.capacity() > 16 {
            queue.items = VecDeque::new();
        }
        item
    }

    /// Claims the queue; false if another task has it.
    fn claim(&self) -> bool {
        !std::mem::replace(&mut lock(&self.0).running, true)
    }
}

/// Returns what an event costs while it waits or is handled, in bytes.
pub(crate) fn cost(event: &EventPacket) -> usize {
    event.args.held() + EVENT
}

/// What an event takes beside its arguments: its place in the queue, its handlers' future.
const EVENT: usize = 256;

/// Works a socket's queue off, unless another task is at it.
pub(crate) fn pump(socket: &Socket) {
    if !socket.inbox().claim() {
        return;
    }
    while let Some(item) = socket.inbox().next() {
        let mut running = socket.clone().run(item);
        // A future may be polled by another task later: only the last waker counts.
        let mut context = Context::from_waker(Waker::noop());
        if poll_handler(socket.stats(), &mut running, &mut context).is_pending() {
            socket.engine().spawn(go_on(socket.clone(), running));
            return;
        }
    }
}

/// Finishes what waits, then works the queue off.
async fn go_on(socket: Socket, mut running: BoxFuture<()>) {
    loop {
        std::future::poll_fn(|context| poll_handler(socket.stats(), &mut running, context)).await;
        match socket.inbox().next() {
            Some(item) => running = socket.clone().run(item),
            None => return,
        }
    }
}
