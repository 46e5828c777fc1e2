//! The side that has the files.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc::error::TryRecvError;

use super::destination::hash_up_to;
use super::digest::Digest;
use super::message::{Control, Entry, MAX_TEXT, MessageError, Reason};
use super::progress::Progress;
use super::source::{Source, SourceEntry};
use super::{CHUNK, MAX_REQUESTED, WINDOW};
use crate::channel::{Channel, ChannelEnded, Message};

/// Why a transfer did not end with everything received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The channel ended first; the transfer goes on over a new one.
    #[error(transparent)]
    Ended(#[from] ChannelEnded),
    /// The receiver refused, for good.
    #[error("the other side refused")]
    Refused {
        /// Why.
        reason: Reason,
        /// The entry that it is about.
        path: Option<String>,
    },
    /// The receiver wants the files, and another one has taken them.
    #[error("another receiver has taken the files")]
    TakenByAnother,
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The entry.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what it was when it was offered.
    #[error("{0} changed while it was sent")]
    Changed(String),
    /// The receiver broke the protocol.
    #[error("the other side broke the protocol: {0}")]
    Protocol(&'static str),
    /// The receiver sent something that is no message of the protocol.
    #[error("the other side broke the protocol: {0}")]
    Message(#[from] MessageError),
}

/// Sends what `source` has over a channel, until the receiver has all of it, checked.
///
/// When the receiver accepts the offer, `take` says whether it gets the files. The function blocks
/// its thread, which must not be one that runs tasks. After [`SendError::Ended`] it may be called
/// again with another channel; the receiver asks only for what it lacks.
///
/// # Errors
/// [`SendError`] says whether a new channel would help.
pub fn send(
    channel: &mut Channel,
    source: &Source,
    progress: &Progress,
    take: &mut dyn FnMut() -> bool,
) -> Result<(), SendError> {
    let mut sending = Sending {
        channel,
        source,
        progress,
        take,
        is_accepted: false,
        requests: VecDeque::new(),
        sent: 0,
        acked: 0,
    };
    let result = sending.run().map_err(|error| sending.last_word(error));
    if let Err(error) = &result {
        sending.say_why(error);
    }
    result
}

struct Sending<'a> {
    channel: &'a mut Channel,
    source: &'a Source,
    progress: &'a Progress,
    take: &'a mut dyn FnMut() -> bool,
    is_accepted: bool,
    requests: VecDeque<Request>,
    /// Bytes of content sent on this channel, and how many of them the receiver has taken.
    sent: u64,
    acked: u64,
}

#[derive(Debug)]
struct Request {
    file: u64,
    offset: u64,
    prefix: Digest,
}

impl Sending<'_> {
    fn run(&mut self) -> Result<(), SendError> {
        self.offer()?;
        loop {
            let Some(request) = self.requests.pop_front() else {
                let control = self.receive()?;
                if self.handle(control)? {
                    return self.say(&Control::Bye).map_err(Into::into);
                }
                continue;
            };
            self.serve(&request)?;
        }
    }

    fn offer(&self) -> Result<(), ChannelEnded> {
        self.say(&Control::Offer {
            version: 1,
            entries: self.source.entries.len() as u64,
            bytes: self.source.bytes(),
        })?;
        let mut batch = Vec::new();
        let mut size = 0;
        for entry in self.source.entries() {
            // JSON writes a byte as six at most, and the other fields take less than 200.
            let most = entry.path.len() * 6 + 200;
            if size + most > MAX_TEXT / 2 && !batch.is_empty() {
                self.say_entries(&mut batch)?;
                size = 0;
            }
            size += most;
            batch.push(entry.clone());
        }
        if batch.is_empty() {
            Ok(())
        } else {
            self.say_entries(&mut batch)
        }
    }

    fn say_entries(&self, batch: &mut Vec<Entry>) -> Result<(), ChannelEnded> {
        self.say(&Control::Entries {
            entries: std::mem::take(batch),
        })
    }

    /// Takes a message; returns whether the receiver has everything.
    fn handle(&mut self, control: Control) -> Result<bool, SendError> {
        let is_demand = matches!(
            control,
            Control::Get { .. } | Control::Ack { .. } | Control::Finished
        );
        // `take` decides who gets the files, and it is asked at the acceptance.
        if is_demand && !self.is_accepted {
            return Err(SendError::Protocol("it has not accepted the offer"));
        }
        match control {
            Control::Accept => {
                if std::mem::replace(&mut self.is_accepted, true) {
                    return Err(SendError::Protocol("it accepts the offer twice"));
                }
                if !(self.take)() {
                    return Err(SendError::TakenByAnother);
                }
                self.progress
                    .begin(self.source.bytes(), self.source.files());
            }
            Control::Refuse { reason, path } => return Err(SendError::Refused { reason, path }),
            Control::Get {
                file,
                offset,
                prefix,
            } => {
                if self.requests.len() >= MAX_REQUESTED {
                    return Err(SendError::Protocol("it asks for too many files at once"));
                }
                self.requests.push_back(Request {
                    file,
                    offset,
                    prefix,
                });
            }
            Control::Ack { bytes } => {
                if bytes < self.acked || bytes > self.sent {
                    return Err(SendError::Protocol("it acknowledges what was not sent"));
                }
                self.progress.add_bytes(bytes - self.acked);
                self.acked = bytes;
            }
            Control::Finished => return Ok(true),
            Control::Offer { .. }
            | Control::Entries { .. }
            | Control::File { .. }
            | Control::Done { .. }
            | Control::Bye => return Err(SendError::Protocol("it sends files, too")),
        }
        Ok(false)
    }

    fn serve(&mut self, request: &Request) -> Result<(), SendError> {
        let index = usize::try_from(request.file).unwrap_or(usize::MAX);
        let entry = self.source.entries.get(index);
        let entry = entry.filter(|entry| !entry.entry.folder && request.offset <= entry.entry.size);
        let entry = entry.ok_or(SendError::Protocol("it asks for what was not offered"))?;
        let path = &entry.entry.path;
        self.progress.is_at(path);
        let mut reading = Reading::open(entry, request).map_err(unreadable(path))?;
        let reading = reading
            .as_mut()
            .ok_or_else(|| SendError::Changed(path.clone()))?;
        let (file, offset) = (request.file, reading.offset);
        self.progress.keep(offset);
        self.say(&Control::File { file, offset })?;
        while reading.offset < entry.entry.size {
            self.wait_for_window()?;
            let chunk = reading.chunk(entry.entry.size).map_err(unreadable(path))?;
            if chunk.is_empty() {
                return Err(SendError::Changed(path.clone()));
            }
            self.sent += chunk.len() as u64;
            self.transmit(Message::Binary(chunk))?;
        }
        // The receiver would have a mixture of the old file and the new one, with a checksum that
        // is right.
        if !entry.is_same(&reading.file).map_err(unreadable(path))? {
            return Err(SendError::Changed(path.clone()));
        }
        let sha256 = Digest::of(reading.hasher.clone());
        self.say(&Control::Done { file, sha256 })?;
        self.progress.add_file();
        Ok(())
    }

    /// Takes what the receiver has said, and waits while too much is on the way.
    fn wait_for_window(&mut self) -> Result<(), SendError> {
        loop {
            let control = if self.sent - self.acked >= WINDOW {
                self.receive()?
            } else {
                match self.channel.receiver.try_recv() {
                    Ok(message) => read(&message)?,
                    Err(TryRecvError::Empty) => return Ok(()),
                    Err(TryRecvError::Disconnected) => return Err(ChannelEnded.into()),
                }
            };
            if self.handle(control)? {
                return Err(SendError::Protocol("it has finished too early"));
            }
        }
    }

    fn receive(&mut self) -> Result<Control, SendError> {
        let message = self.channel.receiver.blocking_recv().ok_or(ChannelEnded)?;
        read(&message)
    }

    fn say(&self, control: &Control) -> Result<(), ChannelEnded> {
        self.transmit(Message::Text(control.to_text()))
    }

    fn transmit(&self, message: Message) -> Result<(), ChannelEnded> {
        self.channel
            .sender
            .blocking_send(message)
            .map_err(|_| ChannelEnded)
    }

    /// A receiver that refuses may close the channel before its refusal is read.
    fn last_word(&mut self, error: SendError) -> SendError {
        if matches!(error, SendError::Ended(_)) {
            while let Ok(message) = self.channel.receiver.try_recv() {
                if let Ok(Control::Refuse { reason, path }) = read(&message) {
                    return SendError::Refused { reason, path };
                }
            }
        }
        error
    }

    /// Tells the receiver why the transfer ends, where that is ours to tell.
    fn say_why(&self, error: &SendError) {
        let (reason, path) = match error {
            SendError::Ended(_) | SendError::Refused { .. } => return,
            SendError::TakenByAnother => (Reason::Busy, None),
            SendError::Unreadable { path, .. } => (Reason::Unreadable, Some(path.clone())),
            SendError::Changed(path) => (Reason::Changed, Some(path.clone())),
            SendError::Protocol(_) | SendError::Message(_) => (Reason::Protocol, None),
        };
        if self.say(&Control::Refuse { reason, path }).is_err() {
            tracing::debug!("The channel ended before the reason could be said");
        }
    }
}

/// A file that is being read.
struct Reading {
    file: File,
    hasher: Sha256,
    offset: u64,
}

impl Reading {
    /// Opens a file for a request; `None` when it is not the one that was offered. If the receiver
    /// has other bytes than the file, it starts at the first byte.
    fn open(entry: &SourceEntry, request: &Request) -> io::Result<Option<Self>> {
        let Some(mut file) = entry.open()? else {
            return Ok(None);
        };
        let mut hasher = Sha256::new();
        let hashed = hash_up_to(&mut file, &mut hasher, request.offset)?;
        if hashed == request.offset && Digest::of(hasher.clone()) == request.prefix {
            return Ok(Some(Self {
                file,
                hasher,
                offset: request.offset,
            }));
        }
        file.seek(SeekFrom::Start(0))?;
        Ok(Some(Self {
            file,
            hasher: Sha256::new(),
            offset: 0,
        }))
    }

    /// Reads the next bytes, up to a size; none at the end of the file.
    fn chunk(&mut self, size: u64) -> io::Result<Bytes> {
        let most = (CHUNK as u64).min(size - self.offset);
        let mut chunk = Vec::with_capacity(CHUNK);
        (&self.file).take(most).read_to_end(&mut chunk)?;
        self.hasher.update(&chunk);
        self.offset += chunk.len() as u64;
        Ok(chunk.into())
    }
}

fn read(message: &Message) -> Result<Control, SendError> {
    match message {
        Message::Text(text) => Ok(Control::parse(text)?),
        Message::Binary(_) => Err(SendError::Protocol("it sends bytes")),
    }
}

fn unreadable(path: &str) -> impl FnOnce(io::Error) -> SendError {
    let path = path.to_owned();
    move |source| SendError::Unreadable { path, source }
}
