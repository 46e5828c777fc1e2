//! The side that gets the files.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::destination::{Destination, DiskError, Prefix};
use super::digest::Digest;
use super::message::{Control, Entry, MessageError, Reason};
use super::offer::Offer;
use super::path::{EntryPath, PathError};
use super::progress::Progress;
use super::{ACK_EVERY, MAX_ENTRIES, MAX_PATH_BYTES, MAX_REQUESTED};
use crate::channel::{Channel, ChannelEnded, Message};

/// What a transfer brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// Files with their size and checksum, in the order of the transfer.
    pub files: Vec<(EntryPath, u64, Digest)>,
    /// Files that were whole before, and therefore did not travel.
    pub already_there: u64,
}

/// A step of a transfer.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// The offer is accepted.
    Offer {
        /// How many files.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// A file is there, checked.
    File {
        /// Where, below the receiver's folder.
        path: &'a EntryPath,
        /// Its bytes.
        size: u64,
        /// Its checksum.
        sha256: Digest,
    },
}

/// Why a transfer did not bring everything.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The channel ended first; the transfer goes on over a new one.
    #[error(transparent)]
    Ended(#[from] ChannelEnded),
    /// The sender gave up, for good.
    #[error("the other side gave up")]
    Refused {
        /// Why.
        reason: Reason,
        /// The entry that it is about.
        path: Option<String>,
    },
    /// A path is not one that is taken.
    #[error("the path {path:?} is refused: {why}")]
    BadPath {
        /// The path, as it came.
        path: String,
        /// What is wrong with it.
        why: PathError,
    },
    /// There are too many entries, or their paths are too long in all.
    #[error("more than {MAX_ENTRIES} files and folders, or {MAX_PATH_BYTES} bytes of paths")]
    TooMany,
    /// It cannot be stored.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A file came twice with a checksum that it does not have.
    #[error("{0} arrived damaged twice: its checksum is wrong")]
    Checksum(EntryPath),
    /// The sender speaks another version of the protocol.
    #[error("the other side speaks version {0} of the protocol, and this is version 1")]
    Version(u32),
    /// The sender took too long to say what it offers.
    #[error("the other side did not say in time what it offers")]
    Timeout,
    /// The sender broke the protocol.
    #[error("the other side broke the protocol: {0}")]
    Protocol(&'static str),
    /// The sender sent something that is no message of the protocol.
    #[error("the other side broke the protocol: {0}")]
    Message(#[from] MessageError),
}

/// Receives what the other side offers over a channel, until all of it is there, checked.
///
/// It blocks its thread, which must not be one that runs tasks, and calls `told` at each step.
/// After [`ReceiveError::Ended`] it may be called again with another channel; what has arrived is
/// not sent again.
///
/// # Errors
/// [`ReceiveError`] says whether a new channel would help.
pub fn receive(
    channel: &mut Channel,
    destination: &Destination,
    progress: &Progress,
    told: &mut dyn FnMut(Step<'_>),
) -> Result<Received, ReceiveError> {
    match Offer::read(channel) {
        Ok(offer) => receive_offered(channel, offer, destination, progress, told),
        Err(error) => {
            if let Some(refusal) = error.refusal(Path::new("")) {
                // A channel that has ended needs no reason.
                let _ended = channel.sender.blocking_send(refusal);
            }
            Err(error)
        }
    }
}

/// As [`receive`], with an offer that was read.
pub(crate) fn receive_offered(
    channel: &mut Channel,
    offer: Offer,
    destination: &Destination,
    progress: &Progress,
    told: &mut dyn FnMut(Step<'_>),
) -> Result<Received, ReceiveError> {
    progress.begin(offer.bytes, offer.files());
    let mut receiving = Receiving {
        channel,
        destination,
        progress,
        told,
        entries: offer.entries,
        next: 0,
        requested: VecDeque::new(),
        taken: 0,
        acked: 0,
        received: Received::default(),
        to_sync: BTreeSet::new(),
    };
    let result = receiving.run().map_err(|error| receiving.last_word(error));
    if let Err(error) = &result {
        receiving.say_why(error);
    }
    result.map(|()| receiving.received)
}

impl ReceiveError {
    /// Returns the message that tells the sender why the transfer ends, where that is the
    /// receiver's to tell. Paths in it are relative to the receiver's `folder`.
    pub(crate) fn refusal(&self, folder: &Path) -> Option<Message> {
        let relative = |path: &PathBuf| {
            let below = path.strip_prefix(folder).unwrap_or(path);
            below.display().to_string()
        };
        let (reason, path) = match self {
            Self::Ended(_) | Self::Refused { .. } => return None,
            Self::BadPath { path, .. } => (Reason::BadPath, Some(path.clone())),
            Self::TooMany => (Reason::TooMany, None),
            Self::Disk(error) => {
                let path = match error {
                    DiskError::Full(path)
                    | DiskError::Exists(path)
                    | DiskError::NotAFolder(path)
                    | DiskError::Refused { path, .. } => relative(path),
                };
                (error.reason(), Some(path))
            }
            Self::Checksum(path) => (Reason::Checksum, Some(path.to_string())),
            Self::Version(_) => (Reason::Version, None),
            Self::Timeout => (Reason::Timeout, None),
            Self::Protocol(_) | Self::Message(_) => (Reason::Protocol, None),
        };
        Some(Message::Text(Control::Refuse { reason, path }.to_text()))
    }
}

struct Receiving<'a> {
    channel: &'a mut Channel,
    destination: &'a Destination,
    progress: &'a Progress,
    told: &'a mut dyn FnMut(Step<'_>),
    entries: Vec<(EntryPath, Entry)>,
    /// The first entry that was not asked for yet.
    next: usize,
    /// Files that were asked for, in the order in which they come.
    requested: VecDeque<Requested>,
    /// Bytes of content that came on this channel, and how many of them the sender knows of.
    taken: u64,
    acked: u64,
    received: Received,
    /// Folders in which files have got their names.
    to_sync: BTreeSet<PathBuf>,
}

struct Requested {
    index: usize,
    /// Where the bytes go: the unfinished file.
    part: PathBuf,
    /// What is there: the beginning of the file, or a file of this name that may be it.
    prefix: Prefix,
    is_finished_file: bool,
    is_second_try: bool,
}

impl Receiving<'_> {
    fn run(&mut self) -> Result<(), ReceiveError> {
        self.check_places()?;
        self.say(&Control::Accept)?;
        let (files, bytes) = (self.progress.total_files(), self.progress.total());
        (self.told)(Step::Offer { files, bytes });
        self.make_folders()?;
        self.request_more()?;
        while let Some(requested) = self.requested.pop_front() {
            self.take_file(requested)?;
            self.request_more()?;
        }
        self.finish_folders()?;
        self.say(&Control::Finished)?;
        // Whether the sender says goodbye or leaves, it has what it needs.
        while let Some(message) = self.channel.receiver.blocking_recv() {
            if message == Message::Text(Control::Bye.to_text()) {
                break;
            }
        }
        Ok(())
    }

    /// Refuses, before a byte travels, what could not be stored in the end.
    fn check_places(&self) -> Result<(), ReceiveError> {
        for (path, entry) in &self.entries {
            let Some(there) = self.destination.look(path)? else {
                continue;
            };
            let place = || self.destination.path_of(path);
            let fits = if entry.folder {
                there.is_dir()
            } else if there.is_dir() {
                false
            } else {
                // A file of the same size may be this one; the checksum will tell.
                self.destination.overwrites() || (there.is_file() && there.len() == entry.size)
            };
            if !fits {
                return Err(DiskError::Exists(place()).into());
            }
        }
        Ok(())
    }

    fn make_folders(&self) -> Result<(), ReceiveError> {
        for (path, _) in self.entries.iter().filter(|(_, entry)| entry.folder) {
            self.destination.make_folders(path, true)?;
        }
        Ok(())
    }

    fn finish_folders(&self) -> Result<(), ReceiveError> {
        for (path, entry) in self.entries.iter().filter(|(_, entry)| entry.folder) {
            self.destination.finish_folder(path, entry)?;
        }
        Destination::sync_folders(&self.to_sync)?;
        Ok(())
    }

    /// Asks for files until enough are on their way.
    fn request_more(&mut self) -> Result<(), ReceiveError> {
        while self.requested.len() < MAX_REQUESTED
            && let Some((path, entry)) = self.entries.get(self.next)
        {
            let index = self.next;
            self.next += 1;
            if entry.folder {
                continue;
            }
            self.destination.make_folders(path, false)?;
            let part = self.destination.part_of(path, entry);
            let place = self.destination.path_of(path);
            let there = self.destination.look(path)?;
            let is_finished_file =
                there.is_some_and(|there| there.is_file() && there.len() == entry.size);
            let prefix = if is_finished_file {
                let file = File::open(&place).map_err(DiskError::of(&place))?;
                Prefix::read(file, &place)?
            } else {
                self.destination.open_part(&part, entry)?
            };
            let requested = Requested {
                index,
                part,
                prefix,
                is_finished_file,
                is_second_try: false,
            };
            self.request(requested)?;
        }
        Ok(())
    }

    fn request(&mut self, requested: Requested) -> Result<(), ReceiveError> {
        self.say(&Control::Get {
            file: requested.index as u64,
            offset: requested.prefix.len,
            prefix: Digest::of(requested.prefix.hasher.clone()),
        })?;
        self.progress.keep(requested.prefix.len);
        self.requested.push_back(requested);
        Ok(())
    }

    fn take_file(&mut self, mut requested: Requested) -> Result<(), ReceiveError> {
        let (path, entry) = self.entry(requested.index)?;
        self.progress.is_at(path.as_str());
        let Control::File { file, offset } = self.hear()? else {
            return Err(ReceiveError::Protocol(
                "it sends another file than it was asked for",
            ));
        };
        let is_whole_prefix = offset == requested.prefix.len;
        if file != requested.index as u64 || (offset != 0 && !is_whole_prefix) {
            return Err(ReceiveError::Protocol(
                "it sends another file than it was asked for",
            ));
        }
        if !is_whole_prefix {
            self.restart(&mut requested, &path, &entry)?;
        }
        let written = requested.prefix.len;
        let sha256 = self.take_content(&mut requested, &entry)?;
        if Digest::of(requested.prefix.hasher.clone()) != sha256 {
            return self.try_again(requested, path, written);
        }
        if requested.is_finished_file {
            self.received.already_there += 1;
        } else {
            let Requested { part, prefix, .. } = requested;
            self.destination.finish(prefix.file, &part, &path, &entry)?;
            self.to_sync.extend(self.destination.folders_of(&path));
        }
        let size = entry.size;
        (self.told)(Step::File {
            path: &path,
            size,
            sha256,
        });
        self.received.files.push((path, size, sha256));
        self.progress.add_file();
        Ok(())
    }

    fn entry(&self, index: usize) -> Result<(EntryPath, Entry), ReceiveError> {
        let entry = self.entries.get(index).cloned();
        entry.ok_or(ReceiveError::Protocol("there is no such file"))
    }

    /// What was there is not the beginning of the sender's file.
    fn restart(
        &self,
        requested: &mut Requested,
        path: &EntryPath,
        entry: &Entry,
    ) -> Result<(), ReceiveError> {
        self.progress.unkeep(requested.prefix.len);
        if requested.is_finished_file {
            if !self.destination.overwrites() {
                return Err(DiskError::Exists(self.destination.path_of(path)).into());
            }
            requested.prefix = self.destination.open_part(&requested.part, entry)?;
            requested.is_finished_file = false;
        }
        empty(requested)
    }

    /// Takes the bytes up to the end of the file; returns the checksum that the sender has.
    fn take_content(
        &mut self,
        requested: &mut Requested,
        entry: &Entry,
    ) -> Result<Digest, ReceiveError> {
        loop {
            match self.channel.receiver.blocking_recv().ok_or(ChannelEnded)? {
                Message::Binary(bytes) => self.write(requested, entry, &bytes)?,
                Message::Text(text) => match judge(Control::parse(&text)?)? {
                    Control::Done { file, sha256 }
                        if file == requested.index as u64 && requested.prefix.len == entry.size =>
                    {
                        return Ok(sha256);
                    }
                    _ => return Err(ReceiveError::Protocol("a file is not as long as it said")),
                },
            }
        }
    }

    fn write(
        &mut self,
        requested: &mut Requested,
        entry: &Entry,
        bytes: &Bytes,
    ) -> Result<(), ReceiveError> {
        let prefix = &mut requested.prefix;
        let len = bytes.len() as u64;
        if len == 0 || len > entry.size - prefix.len || requested.is_finished_file {
            return Err(ReceiveError::Protocol("a file is longer than it said"));
        }
        prefix
            .file
            .write_all(bytes)
            .map_err(DiskError::of(&requested.part))?;
        prefix.hasher.update(bytes);
        prefix.len += len;
        self.progress.add_bytes(len);
        self.taken += len;
        if self.taken - self.acked >= ACK_EVERY || prefix.len == entry.size {
            self.say(&Control::Ack { bytes: self.taken })?;
            self.acked = self.taken;
        }
        Ok(())
    }

    /// Asks once more for a file that arrived damaged, from its first byte.
    fn try_again(
        &mut self,
        mut requested: Requested,
        path: EntryPath,
        kept: u64,
    ) -> Result<(), ReceiveError> {
        if requested.is_second_try || requested.is_finished_file {
            return Err(ReceiveError::Checksum(path));
        }
        tracing::debug!(file = %path, "A file arrived damaged and is asked for again");
        self.progress.take_back(requested.prefix.len - kept);
        self.progress.unkeep(kept);
        empty(&mut requested)?;
        requested.is_second_try = true;
        self.request(requested)
    }

    fn hear(&mut self) -> Result<Control, ReceiveError> {
        match self.channel.receiver.blocking_recv().ok_or(ChannelEnded)? {
            Message::Text(text) => judge(Control::parse(&text)?),
            Message::Binary(_) => Err(ReceiveError::Protocol("bytes come without a file")),
        }
    }

    fn say(&self, control: &Control) -> Result<(), ChannelEnded> {
        let message = Message::Text(control.to_text());
        self.channel
            .sender
            .blocking_send(message)
            .map_err(|_| ChannelEnded)
    }

    /// A sender that gives up may close the channel before its reason is read.
    fn last_word(&mut self, error: ReceiveError) -> ReceiveError {
        if matches!(error, ReceiveError::Ended(_)) {
            while let Ok(message) = self.channel.receiver.try_recv() {
                if let Message::Text(text) = message
                    && let Ok(Control::Refuse { reason, path }) = Control::parse(&text)
                {
                    return ReceiveError::Refused { reason, path };
                }
            }
        }
        error
    }

    /// Tells the sender why the transfer ends, where that is ours to tell.
    fn say_why(&self, error: &ReceiveError) {
        if let Some(refusal) = error.refusal(self.destination.folder())
            && self.channel.sender.blocking_send(refusal).is_err()
        {
            tracing::debug!("The channel ended before the reason could be said");
        }
    }
}

pub(super) fn judge(control: Control) -> Result<Control, ReceiveError> {
    match control {
        Control::Refuse { reason, path } => Err(ReceiveError::Refused { reason, path }),
        other => Ok(other),
    }
}

fn empty(requested: &mut Requested) -> Result<(), ReceiveError> {
    let prefix = &mut requested.prefix;
    let emptied = prefix
        .file
        .set_len(0)
        .and_then(|()| prefix.file.seek(SeekFrom::Start(0)));
    emptied.map_err(DiskError::of(&requested.part))?;
    prefix.len = 0;
    prefix.hasher = Sha256::new();
    Ok(())
}
