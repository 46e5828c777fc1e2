//! A message that is still on its way.

use bytes::Bytes;

use crate::deflate::Inflater;
use crate::utf8::Validator;
use crate::{Kind, Message, Violation, mask};

/// Bytes that are unmasked at once on their way into the decompressor.
const SCRATCH: usize = 4096;

/// The most that is reserved for bytes that are announced but have not come.
const RESERVE: usize = 16 << 10;

/// A message that is still on its way: its bytes so far, joined and, where it is text, known to be UTF-8 so far.
#[derive(Debug)]
pub(super) struct Assembly {
    kind: Kind,
    bytes: Vec<u8>,
    utf8: Validator,
    pub(super) compressed: bool,
    pub(super) frames: usize,
}

impl Assembly {
    pub(super) fn new(kind: Kind, compressed: bool) -> Self {
        Self {
            kind,
            bytes: Vec::new(),
            utf8: Validator::default(),
            compressed,
            frames: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends payload that is not compressed; `to_come` bytes of the frame are not here yet.
    pub(super) fn push_plain(
        &mut self,
        input: &[u8],
        key: Option<[u8; 4]>,
        offset: usize,
        to_come: usize,
    ) -> Result<(), Violation> {
        let start = self.bytes.len();
        self.reserve(input.len(), to_come);
        self.bytes.extend_from_slice(input);
        let new = self.bytes.get_mut(start..).unwrap_or_default();
        if let Some(key) = key {
            mask::apply(key, offset, new);
        }
        self.check(start)
    }

    /// Grows by doubling, so that many small reads stay cheap, but never far past what came.
    fn reserve(&mut self, here: usize, to_come: usize) {
        if self.bytes.capacity() - self.bytes.len() < here {
            let ahead = to_come.min(self.bytes.len().max(RESERVE));
            self.bytes.reserve_exact(here + ahead);
        }
    }

    /// Appends what compressed payload amounts to.
    pub(super) fn push_compressed(
        &mut self,
        input: &[u8],
        key: Option<[u8; 4]>,
        offset: usize,
        inflater: &mut Inflater,
        limit: usize,
    ) -> Result<(), Violation> {
        let start = self.bytes.len();
        match key {
            None => inflater.push(input, &mut self.bytes, limit)?,
            Some(key) => {
                let mut scratch = [0; SCRATCH];
                for (index, piece) in input.chunks(SCRATCH).enumerate() {
                    let scratch = scratch.get_mut(..piece.len()).unwrap_or_default();
                    scratch.copy_from_slice(piece);
                    mask::apply(key, offset + index * SCRATCH, scratch);
                    inflater.push(scratch, &mut self.bytes, limit)?;
                }
            }
        }
        self.check(start)
    }

    /// Takes what the decompressor still held back.
    pub(super) fn finish_compressed(
        &mut self,
        inflater: &mut Inflater,
        limit: usize,
    ) -> Result<(), Violation> {
        let start = self.bytes.len();
        inflater.finish(&mut self.bytes, limit)?;
        self.check(start)
    }

    /// The message, now that its last frame has come.
    pub(super) fn finish(self) -> Result<Message, Violation> {
        if self.kind == Kind::Text && !self.utf8.is_complete() {
            return Err(Violation::InvalidUtf8);
        }
        Ok(Message {
            kind: self.kind,
            data: Bytes::from(self.bytes),
        })
    }

    fn check(&mut self, start: usize) -> Result<(), Violation> {
        let new = self.bytes.get(start..).unwrap_or_default();
        if self.kind == Kind::Text && !self.utf8.push(new) {
            return Err(Violation::InvalidUtf8);
        }
        Ok(())
    }
}
