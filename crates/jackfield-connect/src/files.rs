//! Files and folders over one channel, with checksums, and a new channel where the last one ended.
//!
//! The sender offers its entries; the receiver asks for each file from the byte that it lacks. So
//! whatever ends a channel, a killed process on either side included, the next one goes on; see
//! [`Control`] for the messages.

mod destination;
mod digest;
mod message;
mod offer;
mod path;
mod progress;
mod receive;
mod send;
mod source;

pub use destination::{Destination, DiskError};
pub use digest::{Digest, DigestError};
pub use message::{Control, Entry, MessageError, Reason};
pub(crate) use offer::{Offer, OfferReader};
pub use path::{EntryPath, PathError};
pub use progress::Progress;
pub(crate) use receive::receive_offered;
pub use receive::{ReceiveError, Received, Step, receive};
pub use send::{SendError, send};
pub use source::{Source, SourceError};

/// The protocol name of the data channel (RFC 8832 section 5.1).
pub const PROTOCOL: &str = "jackfield.files";

/// Most entries of one transfer.
pub const MAX_ENTRIES: usize = 100_000;

/// Most bytes of all paths of one transfer: a receiver keeps the offer in memory. Without it, the
/// longest paths of the most entries would take a gigabyte.
pub const MAX_PATH_BYTES: usize = 32 << 20;

/// The bytes of the paths of a transfer so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PathBytes(usize);

impl PathBytes {
    /// Adds a path; returns whether all of them are within [`MAX_PATH_BYTES`].
    pub(crate) fn add(&mut self, path: &str) -> bool {
        self.0 = self.0.saturating_add(path.len());
        self.0 <= MAX_PATH_BYTES
    }
}

/// Bytes that the sender lets be on the way without an acknowledgement. A browser does not slow its
/// sender down while a disk is slow, so this is what bounds the memory of the receiver.
pub(crate) const WINDOW: u64 = 16 << 20;

/// The receiver acknowledges so many bytes at once.
pub(crate) const ACK_EVERY: u64 = 1 << 20;

/// Files that the receiver has asked for and that have not arrived: small files then do not wait a
/// round trip each.
pub(crate) const MAX_REQUESTED: usize = 32;

/// Bytes of a message with file content; every browser takes it.
pub(crate) const CHUNK: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_paths_of_all_entries_are_too_many_bytes() {
        let longest = "x".repeat(4096);
        let mut bytes = PathBytes::default();
        let fitting = (0..MAX_ENTRIES).take_while(|_| bytes.add(&longest)).count();
        assert_eq!(fitting, 8192);
    }
}
