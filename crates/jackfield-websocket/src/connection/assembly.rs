//! A message that is still on its way.

use bytes::Bytes;

use crate::deflate::Inflater;
use crate::utf8::Decoder;
use crate::{Kind, Message, Violation, mask};

/// A message that is still on its way: its bytes so far, joined and, where it is text, known to be
/// UTF-8 so far.
#[derive(Debug)]
pub(super) struct Assembly {
    content: Content,
    pub(super) compressed: bool,
    pub(super) frames: usize,
}

#[derive(Debug)]
enum Content {
    Text(Decoder),
    Binary(Vec<u8>),
}

impl Assembly {
    pub(super) fn new(kind: Kind, compressed: bool) -> Self {
        Self {
            content: match kind {
                Kind::Text => Content::Text(Decoder::default()),
                Kind::Binary => Content::Binary(Vec::new()),
            },
            compressed,
            frames: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.content.len()
    }

    /// Appends payload that is not compressed; `to_come` bytes of the frame are not here yet.
    pub(super) fn push_plain(
        &mut self,
        input: &[u8],
        key: Option<[u8; 4]>,
        offset: usize,
        to_come: usize,
    ) -> Result<(), Violation> {
        self.content.reserve(input.len(), to_come);
        unmask(input, key, offset, |piece| self.content.push(piece))
    }

    /// Appends what compressed payload amounts to, unless the message gets longer than `limit`.
    pub(super) fn push_compressed(
        &mut self,
        input: &[u8],
        key: Option<[u8; 4]>,
        offset: usize,
        inflater: &mut Inflater,
        limit: usize,
    ) -> Result<(), Violation> {
        unmask(input, key, offset, |piece| {
            inflater.push(piece, |inflated| self.content.push_below(limit, inflated))
        })
    }

    /// Takes what the decompressor still held back.
    pub(super) fn finish_compressed(
        &mut self,
        inflater: &mut Inflater,
        limit: usize,
    ) -> Result<(), Violation> {
        inflater.finish(|inflated| self.content.push_below(limit, inflated))
    }

    /// Returns the message, now that its last frame has come.
    pub(super) fn finish(self) -> Result<Message, Violation> {
        match self.content {
            Content::Text(text) => text
                .finish()
                .map(Message::Text)
                .ok_or(Violation::InvalidUtf8),
            Content::Binary(bytes) => Ok(Message::Binary(Bytes::from(bytes))),
        }
    }
}

impl Content {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    fn push(&mut self, piece: &[u8]) -> Result<(), Violation> {
        match self {
            Self::Text(text) => text.push(piece).then_some(()).ok_or(Violation::InvalidUtf8),
            Self::Binary(bytes) => {
                bytes.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    fn push_below(&mut self, limit: usize, piece: &[u8]) -> Result<(), Violation> {
        // A few kilobytes can inflate to gigabytes, so the limit holds for each piece that comes
        // out.
        if self.len() + piece.len() > limit {
            return Err(Violation::MessageTooLarge);
        }
        self.push(piece)
    }

    /// Grows by doubling, so that many small reads stay cheap, but never far past what came: a
    /// peer that announces a large frame and sends nothing must not make us hold the memory for
    /// it.
    fn reserve(&mut self, here: usize, to_come: usize) {
        let ahead = |len: usize| to_come.min(len.max(RESERVE));
        match self {
            Self::Text(text) => text.reserve(here, ahead),
            Self::Binary(bytes) => {
                if bytes.capacity() - bytes.len() < here {
                    bytes.reserve_exact(here + ahead(bytes.len()));
                }
            }
        }
    }
}

/// Hands `input` on, piece by piece and without its mask.
fn unmask(
    input: &[u8],
    key: Option<[u8; 4]>,
    offset: usize,
    take: impl FnMut(&[u8]) -> Result<(), Violation>,
) -> Result<(), Violation> {
    // Most messages are short; clearing the large scratch would cost more than reading them.
    match key {
        Some(key) if input.len() <= SHORT => unmask_by::<SHORT>(input, key, offset, take),
        Some(key) => unmask_by::<SCRATCH>(input, key, offset, take),
        None => {
            let mut take = take;
            take(input)
        }
    }
}

fn unmask_by<const N: usize>(
    input: &[u8],
    key: [u8; 4],
    offset: usize,
    mut take: impl FnMut(&[u8]) -> Result<(), Violation>,
) -> Result<(), Violation> {
    // The input is the caller's and stays as it is; a piece at a time needs no allocation.
    let mut scratch = [0; N];
    for (index, piece) in input.chunks(N).enumerate() {
        let scratch = scratch.get_mut(..piece.len()).unwrap_or_default();
        scratch.copy_from_slice(piece);
        mask::apply(key, offset + index * N, scratch);
        take(scratch)?;
    }
    Ok(())
}

/// A payload of up to this many bytes is unmasked in one short piece.
const SHORT: usize = 256;

/// Bytes that are unmasked at once, on their way to where they are kept.
const SCRATCH: usize = 4096;

/// The most that is reserved for bytes that are announced but have not come.
const RESERVE: usize = 16 << 10;
