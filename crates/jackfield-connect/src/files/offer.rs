//! What a sender offers, read message by message.

use super::message::{Control, Entry};
use super::path::EntryPath;
use super::receive::{ReceiveError, judge};
use super::{MAX_ENTRIES, PathBytes};
use crate::channel::{Channel, ChannelEnded, Message};

/// A whole offer, whose paths are ones that a receiver takes.
#[derive(Debug)]
pub(crate) struct Offer {
    /// Each entry with its path, which the entry itself no longer has.
    pub(super) entries: Vec<(EntryPath, Entry)>,
    /// The sum of all sizes.
    pub(super) bytes: u64,
}

/// An offer of which messages are missing.
#[derive(Debug, Default)]
pub(crate) struct OfferReader {
    announced: Option<Announced>,
    entries: Vec<(EntryPath, Entry)>,
    path_bytes: PathBytes,
}

/// What the first message says of those that follow.
#[derive(Debug, Clone, Copy)]
struct Announced {
    entries: usize,
    bytes: u64,
}

impl Offer {
    /// Reads an offer from a channel; blocks the thread.
    pub(super) fn read(channel: &mut Channel) -> Result<Self, ReceiveError> {
        let mut reader = OfferReader::default();
        loop {
            let message = channel.receiver.blocking_recv().ok_or(ChannelEnded)?;
            if let Some(offer) = reader.handle(&message)? {
                return Ok(offer);
            }
        }
    }

    /// Returns how many files there are; folders do not count.
    pub(super) fn files(&self) -> u64 {
        let files = self.entries.iter().filter(|(_, entry)| !entry.folder);
        files.count() as u64
    }

    fn check(self) -> Result<Self, ReceiveError> {
        let sizes = self.entries.iter().map(|(_, entry)| entry.size);
        let sum = sizes.fold(0_u64, u64::saturating_add);
        let is_folder_with_bytes = |(_, entry): &(_, Entry)| entry.folder && entry.size > 0;
        if sum != self.bytes || self.entries.iter().any(is_folder_with_bytes) {
            return Err(ReceiveError::Protocol("the sizes are not what it said"));
        }
        let mut paths: Vec<&EntryPath> = self.entries.iter().map(|(path, _)| path).collect();
        paths.sort_unstable();
        if !paths.is_sorted_by(|path, next| path < next) {
            return Err(ReceiveError::Protocol("it offers a path twice"));
        }
        Ok(self)
    }
}

impl OfferReader {
    /// Takes the next message; returns the offer if that was the last one of it.
    ///
    /// # Errors
    /// [`ReceiveError`] says why the offer is not taken.
    pub(crate) fn handle(&mut self, message: &Message) -> Result<Option<Offer>, ReceiveError> {
        let Message::Text(text) = message else {
            return Err(ReceiveError::Protocol("bytes come without a file"));
        };
        let control = judge(Control::parse(text)?)?;
        let announced = match (control, self.announced) {
            (
                Control::Offer {
                    version,
                    entries,
                    bytes,
                },
                None,
            ) => self.announce(version, entries, bytes)?,
            (Control::Entries { entries }, Some(announced)) => {
                self.add(entries, announced)?;
                announced
            }
            (_, None) => return Err(ReceiveError::Protocol("it does not begin with an offer")),
            (_, Some(_)) => return Err(ReceiveError::Protocol("entries are missing")),
        };
        if self.entries.len() < announced.entries {
            return Ok(None);
        }
        let entries = std::mem::take(&mut self.entries);
        let bytes = announced.bytes;
        Offer { entries, bytes }.check().map(Some)
    }

    fn announce(
        &mut self,
        version: u32,
        entries: u64,
        bytes: u64,
    ) -> Result<Announced, ReceiveError> {
        if version != 1 {
            return Err(ReceiveError::Version(version));
        }
        let entries = usize::try_from(entries).unwrap_or(usize::MAX);
        if entries > MAX_ENTRIES {
            return Err(ReceiveError::TooMany);
        }
        Ok(*self.announced.insert(Announced { entries, bytes }))
    }

    fn add(&mut self, entries: Vec<Entry>, announced: Announced) -> Result<(), ReceiveError> {
        if entries.is_empty() || self.entries.len() + entries.len() > announced.entries {
            return Err(ReceiveError::Protocol(
                "there are not as many entries as it said",
            ));
        }
        for mut entry in entries {
            // Several offers may be read at once: each path is kept once.
            let path = std::mem::take(&mut entry.path);
            if !self.path_bytes.add(&path) {
                return Err(ReceiveError::TooMany);
            }
            let path = match path.parse::<EntryPath>() {
                Ok(path) => path,
                Err(why) => return Err(ReceiveError::BadPath { path, why }),
            };
            self.entries.push((path, entry));
        }
        Ok(())
    }
}
