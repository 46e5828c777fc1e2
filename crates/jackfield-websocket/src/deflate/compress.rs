//! One direction's compressor.

use flate2::{Compress, Compression, FlushCompress, Status};

use super::{Coding, TAIL};

/// Compresses messages, each ended as RFC 7692 §7.2.1 describes.
#[derive(Debug)]
pub(crate) struct Compressor {
    inner: Compress,
}

impl Compressor {
    pub(crate) fn new(coding: Coding) -> Self {
        let level = Compression::new(u32::from(coding.level));
        Self {
            inner: Compress::new_with_window_bits(level, false, coding.window_bits),
        }
    }

    /// Forgets the messages so far.
    pub(crate) fn reset(&mut self) {
        self.inner.reset();
    }

    /// Returns the message of `parts`, compressed; `None` if zlib fails, and then the window is
    /// empty again.
    pub(crate) fn compress(&mut self, parts: &[&[u8]]) -> Option<Vec<u8>> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if len == 0 {
            // zlib has nothing to flush for an empty message, so the empty block is written by
            // hand, without its last four bytes (RFC 7692 §7.2.3.6).
            return Some(vec![0]);
        }
        let mut out = Vec::with_capacity(len / 2 + 64);
        for part in parts {
            if !self.run(part, &mut out, FlushCompress::None) {
                self.reset();
                return None;
            }
        }
        if !self.run(&[], &mut out, FlushCompress::Sync) || !out.ends_with(&TAIL) {
            self.reset();
            return None;
        }
        out.truncate(out.len() - TAIL.len());
        Some(out)
    }

    /// Runs zlib until it took all input and has no more output for now.
    fn run(&mut self, mut input: &[u8], out: &mut Vec<u8>, flush: FlushCompress) -> bool {
        loop {
            // The room is made first: a full buffer would look like a finished flush.
            if out.capacity() - out.len() < 64 {
                out.reserve(input.len() / 2 + 256);
            }
            let before = self.inner.total_in();
            let Ok(status) = self.inner.compress_vec(input, out, flush) else {
                return false;
            };
            let taken = (self.inner.total_in() - before) as usize;
            input = input.get(taken..).unwrap_or_default();
            match status {
                Status::StreamEnd => return false,
                // A call that left room in `out` has flushed all there was.
                Status::Ok | Status::BufError => {
                    if input.is_empty() && out.len() < out.capacity() {
                        return true;
                    }
                }
            }
        }
    }
}
