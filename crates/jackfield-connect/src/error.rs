//! Why a program of this crate did not do what it was to do.

use std::io;
use std::time::Duration;

use crate::files::{Reason, ReceiveError, SendError, SourceError};
use crate::signaling::SignalingError;
use crate::stream::{Close, StreamError};

/// Why a program did not do what it was to do; each message is a clear word for a person.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server was never reached.
    #[error(transparent)]
    Server(#[from] SignalingError),
    /// The server does not let us in.
    #[error("the server does not let us into the room: {message}")]
    NotLetIn {
        /// The server's word for it, such as `room-full`.
        code: String,
        /// Its sentence.
        message: String,
    },
    /// No member was connected for the longest time that we wait.
    #[error("no one came into the room for {}", words(*.0))]
    Nobody(Duration),
    /// Somebody was there, and did not come back for the longest time that we wait.
    #[error("{peer} is gone, and did not come back for {}", words(*.wait))]
    Gone {
        /// Who.
        peer: String,
        /// How long we waited.
        wait: Duration,
    },
    /// The server went out of reach while no member was connected, and stayed there.
    #[error("{why}, and no one came in {}", words(*.wait))]
    ServerLost {
        /// What went wrong with the server last.
        why: String,
        /// How long we waited.
        wait: Duration,
    },
    /// Somebody is there, but nothing gets to them.
    #[error("there is no way to {peer}: none was found for {}; `jackfield doctor` says why", words(*.wait))]
    NoPath {
        /// Who.
        peer: String,
        /// How long it was looked for.
        wait: Duration,
    },
    /// The other side was connected, and did not come back.
    #[error("{peer} left before everything was there")]
    Left {
        /// Who.
        peer: String,
    },
    /// The other side does not take, or give, the files.
    #[error("{peer} {}", reason_words(*reason, path.as_deref()))]
    Refused {
        /// Who.
        peer: String,
        /// Why.
        reason: Reason,
        /// The file that it is about.
        path: Option<String>,
    },
    /// What was to be sent cannot be.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Sending failed on this side.
    #[error(transparent)]
    Send(SendError),
    /// Receiving failed on this side.
    #[error(transparent)]
    Receive(ReceiveError),
    /// The pipe broke.
    #[error("the pipe broke: {}", pipe_words(.0))]
    Pipe(StreamError),
    /// A port of this machine cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The program was told to end, and has told the other side.
    #[error("stopped")]
    Stopped,
    /// The room's task ended.
    #[error("the room was left")]
    RoomLeft,
}

/// Returns what a side that refuses says, after its name.
pub(crate) fn reason_words(reason: Reason, path: Option<&str>) -> String {
    let file = path.map_or_else(|| "a file".to_owned(), |path| format!("{path:?}"));
    match reason {
        Reason::Declined => "declined".to_owned(),
        Reason::Busy => "is busy with another transfer".to_owned(),
        Reason::Exists => format!("has {file} already, with other content"),
        Reason::BadPath => format!("does not take a file of the name {file}"),
        Reason::TooMany => "does not take so many files".to_owned(),
        Reason::DiskFull => "has no room on its disk".to_owned(),
        Reason::DiskError => format!("cannot write {file}"),
        Reason::Unreadable => format!("cannot read {file}"),
        Reason::Changed => format!("had {file} changed while it was sent"),
        Reason::Checksum => format!("received {file} damaged twice"),
        Reason::Version => "speaks another version of the protocol".to_owned(),
        Reason::Protocol => "says that this side broke the protocol".to_owned(),
        Reason::Timeout => "waited too long for what it is offered".to_owned(),
        Reason::Stopped => "was stopped".to_owned(),
        Reason::Unknown => "refused, for a reason that this version does not know".to_owned(),
    }
}

fn pipe_words(error: &StreamError) -> String {
    match error {
        StreamError::Closed(Close::Reset) => "the other side reads no more".to_owned(),
        other => stream_words(other),
    }
}

pub(crate) fn stream_words(error: &StreamError) -> String {
    match error {
        StreamError::Write(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            "no program reads what arrives".to_owned()
        }
        StreamError::Write(error) | StreamError::Read(error) => error.to_string(),
        StreamError::Closed(close) => close_words(*close).to_owned(),
        other => other.to_string(),
    }
}

pub(crate) fn close_words(close: Close) -> &'static str {
    match close {
        Close::NotAllowed => "the other side does not allow it; see --allow",
        Close::Unreachable => "nothing accepts connections there",
        Close::Reset => "the connection beyond was reset",
        Close::Finished => "it has ended",
        Close::Unknown => "the other side does not know it any more",
        Close::Busy => "the other side is busy with another one",
        Close::Version => "the other side speaks another version of the protocol",
        Close::Protocol => "the other side says that this side broke the protocol",
        Close::Other => "the other side closed it",
    }
}

fn words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds / 60),
    }
}
