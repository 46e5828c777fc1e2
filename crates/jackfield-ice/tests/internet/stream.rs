//! The two directions of a TCP connection, as a program keeps them.

use std::time::Instant;

use jackfield_tcp::{ConnectionId, Stack};

/// What was read and is no whole message yet, and what waits for room.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    pub(crate) unread: Vec<u8>,
    unsent: Vec<u8>,
}

impl Stream {
    pub(crate) fn read(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId) {
        self.unread.extend(stack.recv(now, id, 100_000));
    }

    /// Takes the first bytes, if they are there.
    pub(crate) fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        (self.unread.len() >= length).then(|| self.unread.drain(..length).collect())
    }

    pub(crate) fn write(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId, data: &[u8]) {
        self.unsent.extend(data);
        self.flush(now, stack, id);
    }

    pub(crate) fn flush(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId) {
        let sent = stack.send(now, id, &self.unsent);
        self.unsent.drain(..sent);
    }
}
