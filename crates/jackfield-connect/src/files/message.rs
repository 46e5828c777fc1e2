//! The control messages of a transfer: JSON objects that say their kind in `t`.

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use crate::control;
pub use crate::control::MessageError;

/// A control message; file content is in binary messages between [`Control::File`] and
/// [`Control::Done`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "kebab-case")]
pub enum Control {
    /// Sender: what there is; the entries follow.
    Offer {
        /// The version of the protocol: 1.
        version: u32,
        /// How many entries follow.
        entries: u64,
        /// The sum of all sizes, in bytes.
        bytes: u64,
    },
    /// Sender: some of the entries, in the order that the indices of the other messages count.
    Entries {
        /// The entries.
        entries: Vec<Entry>,
    },
    /// Receiver: it wants them.
    Accept,
    /// Either side: it ends the transfer for good.
    Refuse {
        /// Why.
        reason: Reason,
        /// The entry that it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
    },
    /// Receiver: it wants a file from a byte on.
    Get {
        /// The index of the entry.
        file: u64,
        /// The first byte that it lacks.
        offset: u64,
        /// The checksum of the bytes before.
        prefix: Digest,
    },
    /// Sender: bytes of this file follow.
    File {
        /// The index of the entry.
        file: u64,
        /// The first byte that follows: the one asked for, or 0 if the receiver's bytes before it
        /// are not the sender's.
        offset: u64,
    },
    /// Sender: that was the whole file.
    Done {
        /// The index of the entry.
        file: u64,
        /// The checksum of the whole file.
        sha256: Digest,
    },
    /// Receiver: it has taken so many bytes of content on this channel.
    Ack {
        /// Bytes of binary messages since the channel opened.
        bytes: u64,
    },
    /// Receiver: it has everything, checked.
    Finished,
    /// Sender: it knows.
    Bye,
}

/// A file or folder of an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Names joined by `/`; the receiver judges it as an [`EntryPath`](super::EntryPath).
    pub path: String,
    /// Bytes; 0 for a folder.
    #[serde(default)]
    pub size: u64,
    /// When it was last changed, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtime: Option<i64>,
    /// Whether its owner may run it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub executable: bool,
    /// Whether it is a folder.
    #[serde(default, skip_serializing_if = "is_false")]
    pub folder: bool,
}

/// Why a side ends the transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// A person said no.
    Declined,
    /// It is busy with another transfer.
    Busy,
    /// A file of that name is there, with other content.
    Exists,
    /// A path is not one that the receiver takes.
    BadPath,
    /// More entries than it takes.
    TooMany,
    /// Its disk is full.
    DiskFull,
    /// Its disk refused.
    DiskError,
    /// A file could not be read.
    Unreadable,
    /// A file changed while it was sent.
    Changed,
    /// A checksum was wrong twice.
    Checksum,
    /// It speaks another version of the protocol.
    Version,
    /// The other side broke the protocol.
    Protocol,
    /// It waited too long for a message.
    Timeout,
    /// It was stopped by its user.
    Stopped,
    /// A reason of a later version.
    #[serde(other)]
    Unknown,
}

impl Control {
    /// Reads a control message.
    ///
    /// # Errors
    /// [`MessageError`] for a text above 64 KiB, of an unknown kind or without a field.
    pub fn parse(text: &str) -> Result<Self, MessageError> {
        control::parse(text, MAX_TEXT)
    }

    /// Returns the message as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        control::to_text(self)
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Most bytes of a control message.
pub(super) const MAX_TEXT: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    use super::*;

    proptest! {
        #[test]
        fn a_message_reads_what_it_writes(message in control()) {
            prop_assert_eq!(Control::parse(&message.to_text()), Ok(message));
        }
    }

    #[test]
    fn a_later_version_may_add_fields_and_reasons() {
        let text = r#"{"t":"refuse","reason":"moon","why":"full"}"#;
        let refuse = Control::Refuse {
            reason: Reason::Unknown,
            path: None,
        };
        assert_eq!(Control::parse(text), Ok(refuse));
        assert_eq!(
            Control::parse(r#"{"t":"dance"}"#),
            Err(MessageError::Malformed)
        );
        let long = format!(r#"{{"t":"accept","x":"{}"}}"#, "x".repeat(MAX_TEXT));
        assert_eq!(Control::parse(&long), Err(MessageError::TooLong));
    }

    fn control() -> impl Strategy<Value = Control> {
        let digest = any::<[u8; 8]>().prop_map(|seed| Digest::of(Sha256::new_with_prefix(seed)));
        let number = any::<u64>();
        prop_oneof![
            (any::<u32>(), number, number).prop_map(|(version, entries, bytes)| Control::Offer {
                version,
                entries,
                bytes
            }),
            proptest::collection::vec(entry(), 0..4)
                .prop_map(|entries| Control::Entries { entries }),
            Just(Control::Accept),
            proptest::option::of(".{0,9}").prop_map(|path| Control::Refuse {
                reason: Reason::DiskFull,
                path
            }),
            (number, number, digest.clone()).prop_map(|(file, offset, prefix)| Control::Get {
                file,
                offset,
                prefix
            }),
            (number, number).prop_map(|(file, offset)| Control::File { file, offset }),
            (number, digest).prop_map(|(file, sha256)| Control::Done { file, sha256 }),
            number.prop_map(|bytes| Control::Ack { bytes }),
            Just(Control::Finished),
            Just(Control::Bye),
        ]
    }

    fn entry() -> impl Strategy<Value = Entry> {
        let mtime = proptest::option::of(any::<i64>());
        (".{0,9}", any::<u64>(), mtime, any::<bool>(), any::<bool>()).prop_map(
            |(path, size, mtime, executable, folder)| Entry {
                path,
                size,
                mtime,
                executable,
                folder,
            },
        )
    }
}
