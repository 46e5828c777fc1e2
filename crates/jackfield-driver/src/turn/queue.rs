//! Bytes that wait to be written to one connection.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use jackfield_sansio::{Account, Charge};

/// Bytes that wait to be written to one connection. The shard adds to it; the connection's task
/// takes from it.
///
/// Messages lie in one buffer, one behind the other, so that a write takes as many of them as the
/// kernel does.
#[derive(Debug)]
pub(super) struct WriteQueue {
    bytes: RefCell<Vec<u8>>,
    /// How many bytes at the front are written.
    written: Cell<usize>,
    /// The connection's task, when it waits.
    waker: RefCell<Option<Waker>>,
    /// Whether the connection is to end.
    closed: Cell<bool>,
    /// Whether the client has an allocation, which bounds the life of its connection.
    allocated: Cell<bool>,
    account: Arc<Account>,
    /// The memory of `bytes`.
    charge: RefCell<Charge>,
    /// What `charge` was set to last.
    charged: Cell<usize>,
    eviction: Arc<Eviction>,
}

/// Wakes the task of a connection that has to end, from whatever thread finds that.
#[derive(Debug, Default)]
pub(super) struct Eviction(Mutex<Option<Waker>>);

impl Eviction {
    pub(super) fn wake(&self) {
        let waker = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn register(&self, waker: &Waker) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.as_mut() {
            Some(known) => known.clone_from(waker),
            None => *slot = Some(waker.clone()),
        }
    }
}

impl WriteQueue {
    /// Returns an empty queue whose memory is charged to `account`; `eviction` is what the account
    /// wakes.
    pub(super) fn new(account: Account, eviction: Arc<Eviction>) -> Self {
        let account = Arc::new(account);
        Self {
            bytes: RefCell::default(),
            written: Cell::default(),
            waker: RefCell::default(),
            closed: Cell::default(),
            allocated: Cell::default(),
            charge: RefCell::new(Charge::new(&account)),
            charged: Cell::default(),
            account,
            eviction,
        }
    }

    /// Returns how many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.borrow().len().saturating_sub(self.written.get())
    }

    /// Adds one message, made of `parts`.
    pub(super) fn push(&self, parts: &[&[u8]]) {
        let mut bytes = self.bytes.borrow_mut();
        for part in parts {
            bytes.extend_from_slice(part);
        }
        let memory = bytes.capacity();
        drop(bytes);
        self.set_charge(memory);
        self.wake();
    }

    /// Returns whether the connection has to end because too much waits for its client, or for its
    /// network. A client that does not read is woken for that.
    pub(super) fn is_evicted(&self, waker: &Waker) -> bool {
        if self.len() > 0 {
            self.eviction.register(waker);
        }
        self.account.is_evicted()
    }

    fn set_charge(&self, memory: usize) {
        if self.charged.replace(memory) != memory {
            self.charge.borrow_mut().set(memory);
        }
    }

    /// Notes whether the client has an allocation; the connection's task looks at it when it has
    /// none any more.
    pub(super) fn set_allocated(&self, allocated: bool) {
        self.allocated.set(allocated);
        self.wake();
    }

    pub(super) fn is_allocated(&self) -> bool {
        self.allocated.get()
    }

    /// Asks the connection's task to end.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.wake();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Notes the task to wake when something is added.
    pub(super) fn wake_later(&self, waker: &Waker) {
        let mut slot = self.waker.borrow_mut();
        match slot.as_mut() {
            Some(known) => known.clone_from(waker),
            None => *slot = Some(waker.clone()),
        }
    }

    /// Gives what waits to `write`, which returns how much of it is written; returns its errors and
    /// `Pending`.
    pub(super) fn write_with<E>(
        &self,
        mut write: impl FnMut(&[u8]) -> Poll<Result<usize, E>>,
    ) -> Poll<Result<(), E>> {
        let mut bytes = self.bytes.borrow_mut();
        loop {
            let rest = bytes.get(self.written.get()..).unwrap_or_default();
            if rest.is_empty() {
                bytes.clear();
                // A client that was slow once must not keep its memory for as long as it stays.
                bytes.shrink_to(KEPT);
                self.written.set(0);
                self.set_charge(bytes.capacity());
                return Poll::Ready(Ok(()));
            }
            match write(rest) {
                Poll::Ready(Ok(count)) => self.written.set(self.written.get() + count),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.compact(&mut bytes);
                    return Poll::Pending;
                }
            }
        }
    }

    /// Moves what waits to the front, once that is less work than what it frees.
    fn compact(&self, bytes: &mut Vec<u8>) {
        let written = self.written.get();
        if written > bytes.len() / 2 {
            bytes.drain(..written.min(bytes.len()));
            self.written.set(0);
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// Bytes of memory that an idle queue keeps.
const KEPT: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_slow_writer_leaves_is_written_later_in_order() {
        let queue = WriteQueue::new(Account::unlimited(), Arc::default());
        queue.push(&[b"head", b"tail"]);
        let mut out = Vec::new();
        let mut room = 5;
        let mut write = |bytes: &[u8]| {
            if room == 0 {
                return Poll::Pending;
            }
            let taken = bytes.len().min(room);
            out.extend_from_slice(&bytes[..taken]);
            room -= taken;
            Poll::Ready(Ok::<_, ()>(taken))
        };
        assert!(queue.write_with(&mut write).is_pending());
        assert_eq!(queue.len(), 3);
        queue.push(&[b"more"]);
        let done = queue.write_with(|bytes| {
            out.extend_from_slice(bytes);
            Poll::Ready(Ok::<_, ()>(bytes.len()))
        });
        assert!(done.is_ready());
        assert_eq!(out, b"headtailmore");
        assert_eq!(queue.len(), 0);
    }
}
