//! Buffers for received datagrams, and the datagrams in them.

use std::net::SocketAddr;

/// Buffers for one batch of received datagrams. One is enough for a thread: every batch of every
/// socket reuses it.
pub struct RecvBatch {
    /// [`STRIDE`] bytes for each message of the operating system.
    storage: Vec<u8>,
    /// The messages of the last receive, in the order of their rooms.
    received: Vec<Received>,
    capacity: usize,
}

/// One message of the operating system: a datagram, or with GRO a train of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    /// Bytes in all.
    pub(super) len: usize,
    /// Bytes of each datagram but the last, which may be shorter; `len` when it is no train.
    pub(super) segment: usize,
}

/// A datagram and the two ends it travelled between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'b> {
    /// The local address it was sent to; never a wildcard.
    pub local: SocketAddr,
    /// The address it came from.
    pub remote: SocketAddr,
    /// The payload; it may be empty.
    pub bytes: &'b [u8],
}

impl RecvBatch {
    /// Returns room for `messages` messages (at least 1), each of which GRO can fill with a train
    /// of datagrams.
    ///
    /// A message's room is 64 KiB, but the system gives pages only where bytes arrive.
    #[must_use]
    pub fn new(messages: usize) -> Self {
        let capacity = messages.max(1);
        Self {
            storage: vec![0; capacity * STRIDE],
            received: Vec::with_capacity(capacity),
            capacity,
        }
    }

    /// Returns how many messages fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Returns the datagrams of the last receive, trains split, in order of arrival.
    pub fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        let messages = self.storage.chunks(STRIDE).zip(&self.received);
        messages.flat_map(|(room, message)| {
            let bytes = room.get(..message.len).unwrap_or_default();
            split(bytes, message.segment).map(|bytes| Datagram {
                local: message.local,
                remote: message.remote,
                bytes,
            })
        })
    }

    /// Returns how many datagrams and bytes the last receive brought, and how many messages were
    /// trains.
    pub(super) fn totals(&self) -> (u64, u64, u64) {
        let (mut datagrams, mut bytes, mut trains) = (0, 0, 0);
        for message in &self.received {
            let count = message.len.div_ceil(message.segment.max(1)).max(1);
            datagrams += count as u64;
            bytes += message.len as u64;
            trains += u64::from(count > 1);
        }
        (datagrams, bytes, trains)
    }

    /// Forgets the last receive. Returns the rooms to receive into, and the list to note the
    /// messages in.
    pub(super) fn refill(
        &mut self,
    ) -> (impl ExactSizeIterator<Item = &mut [u8]>, &mut Vec<Received>) {
        self.received.clear();
        let rooms = self
            .storage
            .chunks_mut(STRIDE)
            .map(|room| room.get_mut(..MESSAGE).unwrap_or_default());
        (rooms, &mut self.received)
    }
}

impl std::fmt::Debug for RecvBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecvBatch")
            .field("capacity", &self.capacity)
            .field("received", &self.received.len())
            .finish()
    }
}

/// Splits a train; an empty message is one empty datagram.
fn split(bytes: &[u8], segment: usize) -> impl Iterator<Item = &[u8]> {
    let empty = bytes.is_empty().then_some(bytes);
    empty.into_iter().chain(bytes.chunks(segment.max(1)))
}

/// The largest message: a UDP payload, or a GRO train, ends below 64 KiB.
pub(super) const MESSAGE: usize = 65_536;

/// From one message's room to the next. Not a power of two, so that the first bytes of messages
/// fall into different cache sets.
const STRIDE: usize = MESSAGE + 25 * 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_train_is_split_into_datagrams_and_its_last_may_be_shorter() {
        let pieces: Vec<_> = split(b"aabbc", 2).collect();
        assert_eq!(pieces, [b"aa".as_slice(), b"bb", b"c"]);
        assert_eq!(split(b"abc", 3).collect::<Vec<_>>(), [b"abc"]);
        assert_eq!(split(b"", 0).collect::<Vec<_>>(), [b""]);
    }
}
