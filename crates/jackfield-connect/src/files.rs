//! Files and folders over one channel, with checksums, and a new channel where the last one ended.
//!
//! The sender offers its entries; the receiver asks for each file from the byte that it lacks. So
//! whatever ends a channel, a killed process on either side included, the next one goes on; see
//! [`Control`] for the messages.

mod destination;
mod digest;
mod message;
mod path;
mod progress;
mod receive;
mod send;
mod source;

pub use destination::{Destination, DiskError};
pub use digest::{Digest, DigestError};
pub use message::{Control, Entry, MessageError, Reason};
pub use path::{EntryPath, PathError};
pub use progress::Progress;
pub use receive::{ReceiveError, Received, Step, receive};
pub use send::{SendError, send};
pub use source::{Source, SourceError};

/// The protocol name of the data channel (RFC 8832 section 5.1).
pub const PROTOCOL: &str = "jackfield.files";

/// Most entries of one transfer.
pub const MAX_ENTRIES: usize = 100_000;

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
