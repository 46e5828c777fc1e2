//! The timers of a NAT.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::fragments::DatagramKey;
use super::key::FlowKey;

/// What a timer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timeout {
    /// A flow may have been idle for too long. The second number is the generation of its slot,
    /// by which the timer of an earlier flow is recognised.
    Flow(u32, u32),
    /// A mapping may have been idle for too long.
    Mapping(u32, u32),
    /// The hold-down of a port ends.
    Port { pool: usize, port: u16 },
    /// No more fragments of a datagram are expected.
    Datagram(DatagramKey),
    /// An unsolicited SYN is refused.
    Syn(FlowKey),
    /// A connection to the router itself may be over.
    Local(FlowKey),
}

/// Timers by time, and in the order in which they were set at the same time.
///
/// A packet that refreshes a flow does not touch the queue: when a timer fires too early, it is
/// set again. Nor is a timer removed when its flow ends; it finds another generation and does
/// nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    next_number: u64,
}

#[derive(Debug, Clone)]
struct Entry {
    at: Instant,
    number: u64,
    due: Timeout,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Instant, due: Timeout) {
        let number = self.next_number;
        self.next_number += 1;
        self.heap.push(Reverse(Entry { at, number, due }));
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn has(&self, at: Instant, due: Timeout) -> bool {
        let mut entries = self.heap.iter();
        entries.any(|Reverse(entry)| entry.at == at && entry.due == due)
    }

    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn ports_on_hold(&self) -> usize {
        let entries = self.heap.iter();
        let ports = entries.filter(|Reverse(entry)| matches!(entry.due, Timeout::Port { .. }));
        ports.count()
    }

    /// Takes the next timer that fires at or before `now`, with its time.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(Instant, Timeout)> {
        if self.next()? > now {
            return None;
        }
        let Reverse(entry) = self.heap.pop()?;
        Some((entry.at, entry.due))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}
