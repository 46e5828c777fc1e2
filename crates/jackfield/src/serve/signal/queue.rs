//! The queue towards each member, and who may put how much into it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use jackfield_sansio::Account;
use jackfield_signal::{AckId, MemberId};
use tokio::sync::mpsc;

/// What a connection is to send to its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Delivery {
    /// A message of the vocabulary.
    Message {
        /// The member that said it; `None` for one of the server's.
        from: Option<MemberId>,
        /// Its `type`.
        kind: Cow<'static, str>,
        /// The JSON object.
        json: Arc<str>,
    },
    /// The answer to an event that asked for one.
    Ack {
        /// Which event.
        ack: AckId,
        /// The JSON object.
        json: Arc<str>,
    },
    /// Close the connection.
    Close {
        /// A WebSocket close code.
        code: u16,
        /// Why.
        reason: &'static str,
    },
}

/// How much may wait for one member.
#[derive(Debug, Clone, Copy)]
pub(in crate::serve) struct QueueLimits {
    /// Bytes in all. Three quarters of it are for what members say, the rest for the server alone.
    pub(in crate::serve) total: usize,
    /// Bytes of one sender; a single message may be longer.
    pub(in crate::serve) per_sender: usize,
}

/// The sending ends of all queues.
#[derive(Debug, Clone)]
pub(super) struct Queues {
    limits: QueueLimits,
    /// Only the hub's lock is held when this one is taken.
    by_member: Arc<Mutex<HashMap<MemberId, Outbox>>>,
}

#[derive(Debug)]
struct Outbox {
    sender: mpsc::UnboundedSender<Delivery>,
    waiting: Arc<Mutex<Waiting>>,
    account: Arc<Account>,
}

/// The receiving end of one queue.
#[derive(Debug)]
pub(super) struct Deliveries {
    receiver: mpsc::UnboundedReceiver<Delivery>,
    waiting: Arc<Mutex<Waiting>>,
    account: Arc<Account>,
}

/// The bytes in one queue.
#[derive(Debug, Default)]
struct Waiting {
    total: usize,
    from_members: usize,
    /// Whether the member missed a change and gets a list when it has read everything.
    owes_list: bool,
    /// A sender without bytes here has no entry.
    by_sender: HashMap<MemberId, usize>,
}

/// The member has no room even for the server's messages.
#[derive(Debug)]
pub(super) struct Overflow;

impl Queues {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            by_member: Arc::default(),
        }
    }

    /// Makes a member's queue; what waits in it is charged to `account`.
    pub(super) fn open(&self, member: MemberId, account: Account) -> Deliveries {
        let account = Arc::new(account);
        let (sender, receiver) = mpsc::unbounded_channel();
        let waiting = Arc::<Mutex<Waiting>>::default();
        let outbox = Outbox {
            sender,
            waiting: Arc::clone(&waiting),
            account: Arc::clone(&account),
        };
        lock(&self.by_member).insert(member, outbox);
        Deliveries {
            receiver,
            waiting,
            account,
        }
    }

    /// Ends a member's queue; what is in it is still delivered.
    pub(super) fn close(&self, member: MemberId) {
        lock(&self.by_member).remove(&member);
    }

    /// Queues a delivery; returns the account that it has to be settled with, if one has. A member
    /// whose connection has ended gets nothing.
    pub(super) fn push(
        &self,
        member: MemberId,
        delivery: Delivery,
    ) -> Result<Option<Arc<Account>>, Overflow> {
        let by_member = lock(&self.by_member);
        let Some(outbox) = by_member.get(&member) else {
            return Ok(None);
        };
        let mut waiting = lock(&outbox.waiting);
        // A list may be longer than all the room there is.
        if waiting.total > 0 && waiting.total + delivery.cost() > self.limits.total {
            return Err(Overflow);
        }
        waiting.add(&delivery);
        drop(waiting);
        let account = &outbox.account;
        account.add(delivery.cost());
        // The receiver may have ended in the same moment.
        let _ = outbox.sender.send(delivery);
        Ok(account.is_unsettled().then(|| Arc::clone(account)))
    }

    /// Queues the end of a connection, for which there is always room.
    pub(super) fn push_close(&self, member: MemberId, code: u16, reason: &'static str) {
        if let Some(outbox) = lock(&self.by_member).remove(&member) {
            // The receiver may have ended already; then its connection is closing anyway.
            let _ = outbox.sender.send(Delivery::Close { code, reason });
        }
    }
}

impl jackfield_signal::Queues for Queues {
    fn have_room(&mut self, from: MemberId, to: MemberId, bytes: usize) -> bool {
        let by_member = lock(&self.by_member);
        let Some(outbox) = by_member.get(&to) else {
            return true; // Nothing is queued for a connection that ends.
        };
        let waiting = lock(&outbox.waiting);
        let cost = SLOT + bytes;
        let of_sender = waiting.by_sender.get(&from).copied().unwrap_or_default();
        let fits_sender = of_sender == 0 || of_sender + cost <= self.limits.per_sender;
        // The server's own messages keep a quarter: without it, members that talk could have a
        // slow reader closed by the next change in its room.
        let for_members = self.limits.total - self.limits.total / 4;
        fits_sender && waiting.from_members + cost <= for_members
    }

    fn have_room_for_change(&mut self, to: MemberId, bytes: usize) -> bool {
        let by_member = lock(&self.by_member);
        let Some(outbox) = by_member.get(&to) else {
            return true; // Nothing is queued for a connection that ends.
        };
        let mut waiting = lock(&outbox.waiting);
        // The last eighth is for answers to the member's own messages.
        let for_changes = self.limits.total - self.limits.total / 8;
        let fits = waiting.total == 0 || waiting.total + SLOT + bytes <= for_changes;
        waiting.owes_list |= !fits;
        fits
    }
}

impl Deliveries {
    /// Returns the next thing to send; `None` when there will be no more.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let delivery = ready!(self.receiver.poll_recv(cx));
        if let Some(delivery) = &delivery {
            lock(&self.waiting).take(delivery);
            self.account.remove(delivery.cost());
            self.account.settle();
        }
        Poll::Ready(delivery)
    }

    /// Returns the account that what waits is charged to.
    pub(super) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Returns whether a list is owed and nothing waits any more; it is then no longer owed.
    pub(super) fn take_owed_list(&self) -> bool {
        let mut waiting = lock(&self.waiting);
        waiting.total == 0 && std::mem::take(&mut waiting.owes_list)
    }

    /// Notes that another list is owed.
    pub(super) fn owe_list(&self) {
        lock(&self.waiting).owes_list = true;
    }

    /// Returns how many bytes wait.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        lock(&self.waiting).total
    }
}

impl Waiting {
    fn add(&mut self, delivery: &Delivery) {
        let cost = delivery.cost();
        self.total += cost;
        if let Some(from) = delivery.sender() {
            self.from_members += cost;
            *self.by_sender.entry(from).or_default() += cost;
        }
    }

    fn take(&mut self, delivery: &Delivery) {
        let cost = delivery.cost();
        self.total = self.total.saturating_sub(cost);
        let Some(from) = delivery.sender() else {
            return;
        };
        self.from_members = self.from_members.saturating_sub(cost);
        if let Some(bytes) = self.by_sender.get_mut(&from) {
            *bytes = bytes.saturating_sub(cost);
            if *bytes == 0 {
                self.by_sender.remove(&from);
            }
        }
    }
}

impl Delivery {
    /// Returns the bytes of memory that it holds while it waits.
    fn cost(&self) -> usize {
        match self {
            Self::Message { kind, json, .. } => SLOT + kind.len() + json.len(),
            Self::Ack { json, .. } => SLOT + json.len(),
            Self::Close { .. } => 0,
        }
    }

    fn sender(&self) -> Option<MemberId> {
        match self {
            Self::Message { from, .. } => *from,
            Self::Ack { .. } | Self::Close { .. } => None,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a delivery takes beside its text: its place in the queue, and the heads of two allocations.
const SLOT: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_a_delivery_covers_its_slot() {
        // The text has a header with two counts, and each allocation one of the allocator's.
        assert!(size_of::<Delivery>() + 2 * size_of::<usize>() + 2 * 16 <= SLOT);
        let message = Delivery::Message {
            from: None,
            kind: Cow::Owned("x".repeat(64)),
            json: "{}".into(),
        };
        assert_eq!(message.cost(), SLOT + 64 + 2);
    }
}
