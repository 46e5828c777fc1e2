//! The frames that wait to be written.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

/// The frames that wait to be written: a [`Buf`] for one vectored write of them all.
#[derive(Debug, Default)]
pub struct Outgoing {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// Pongs among the frames, at most; a pong that is partly written still counts.
    pongs: usize,
}

impl Outgoing {
    /// Returns bytes in the queue.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the memory of the queue, in bytes: what it holds, and its frames' places.
    pub(crate) fn held(&self) -> usize {
        self.bytes + self.frames.len() * PLACE
    }

    /// Returns whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// All of the queue, joined; for tests and for writers that cannot take slices.
    pub fn take_bytes(&mut self) -> Bytes {
        let mut all = BytesMut::with_capacity(self.bytes);
        for frame in self.frames.drain(..) {
            all.extend_from_slice(&frame);
        }
        self.emptied();
        all.freeze()
    }

    pub(crate) fn push(&mut self, frame: Bytes) {
        // A `Buf` with bytes left must not return an empty chunk, so the queue has no empty frame.
        if !frame.is_empty() {
            self.bytes += frame.len();
            self.frames.push_back(frame);
        }
    }

    pub(crate) fn push_pong(&mut self, frame: Bytes) {
        self.pongs += 1;
        self.push(frame);
    }

    pub(crate) fn pongs(&self) -> usize {
        self.pongs
    }

    fn emptied(&mut self) {
        // Frames do not say what they are: Pongs are forgotten when all frames have gone.
        self.bytes = 0;
        self.pongs = 0;
        if self.frames.capacity() > KEPT_CAPACITY {
            self.frames = VecDeque::new();
        }
    }
}

impl Buf for Outgoing {
    fn remaining(&self) -> usize {
        self.bytes
    }

    fn chunk(&self) -> &[u8] {
        self.frames.front().map_or(&[], |frame| frame)
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.bytes, "cannot advance past the end");
        self.bytes -= count;
        while let Some(front) = self.frames.front_mut() {
            if count < front.len() {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.frames.pop_front();
        }
        self.emptied();
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut used = 0;
        for (slice, frame) in slices.iter_mut().zip(&self.frames) {
            *slice = IoSlice::new(frame);
            used += 1;
        }
        used
    }
}

/// What a frame takes beside its bytes: its place, which a growing queue has twice, and the head of
/// an allocation.
const PLACE: usize = 2 * size_of::<Bytes>() + 32;

/// A queue that is longer than this gives its memory back once it is empty.
const KEPT_CAPACITY: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_writes_leave_the_rest_in_order() {
        let mut queue = Outgoing::default();
        for frame in [&b"one"[..], b"", b"two", b"three"] {
            queue.push(Bytes::copy_from_slice(frame));
        }
        assert_eq!(queue.bytes(), 11);
        queue.advance(4);
        let mut slices = [IoSlice::new(&[]); 8];
        assert_eq!(queue.chunks_vectored(&mut slices), 2);
        assert_eq!(&slices[0][..], b"wo");
        assert_eq!(queue.take_bytes(), "wothree");
        assert!(queue.is_empty());
    }

    #[test]
    fn a_frame_costs_its_place() {
        let mut queue = Outgoing::default();
        for _ in 0..100 {
            queue.push(Bytes::from_static(b"x"));
        }
        assert!(queue.held() >= 100 + queue.frames.capacity() * size_of::<Bytes>());
        queue.advance(100);
        assert_eq!(queue.held(), 0);
    }

    #[test]
    fn a_long_queue_gives_its_memory_back() {
        let mut queue = Outgoing::default();
        for _ in 0..100 {
            queue.push(Bytes::from_static(b"x"));
        }
        queue.advance(100);
        assert_eq!(queue.frames.capacity(), 0);
    }
}
