//! What a program of this crate has to say while it runs: as data, as JSON, never as words.

use serde::Serialize;

use crate::connection::{Path, Relay};

/// Hears what happens.
pub trait Observer: Send + Sync + 'static {
    /// Hears of one thing.
    fn tell(&self, event: Event);
}

impl<F: Fn(Event) + Send + Sync + 'static> Observer for F {
    fn tell(&self, event: Event) {
        self(event);
    }
}

/// Something that happened; as JSON, an object that says what in `event`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// The room was entered, for the first time or again.
    Room {
        /// The room.
        room: String,
        /// The address of its page.
        page: String,
        /// What we are called in it.
        name: String,
    },
    /// The server is out of reach; it is tried again.
    ServerLost {
        /// Why.
        why: String,
    },
    /// Newcomers to the room knock: the program waits until a member lets it in.
    Knocking,
    /// No member is connected; the program waits.
    Waiting,
    /// Somebody is there, and a connection is being made.
    Found {
        /// Who.
        peer: String,
    },
    /// Somebody is connected.
    Connected {
        /// Who.
        peer: String,
    },
    /// Nothing comes from somebody; the connection is being mended.
    Interrupted {
        /// Who.
        peer: String,
    },
    /// Somebody who was found is not new, but back; it goes on with them.
    Returned {
        /// Who.
        peer: String,
    },
    /// Somebody left.
    Left {
        /// Who.
        peer: String,
        /// Whether they said so, rather than being lost.
        said_goodbye: bool,
    },
    /// The way that packets take, when it is first known and when it changes.
    Path {
        /// Who is at the other end.
        peer: String,
        /// `direct`, `relay-udp`, `relay-tcp` or `relay-tls`.
        path: &'static str,
        /// The type of our candidate: `host`, `srflx`, `prflx` or `relay`.
        local: &'static str,
        /// The type of theirs.
        remote: &'static str,
        /// `udp` or `tcp`.
        protocol: &'static str,
        /// The round-trip time in milliseconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        rtt_ms: Option<u64>,
    },
    /// Somebody is here for something that does not go with what we do.
    Mismatch {
        /// Who.
        peer: String,
        /// What they are here for.
        purpose: String,
    },
    /// We offer files.
    Offering {
        /// Who gets the offer.
        peer: String,
        /// How many files.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Files are offered to us, and taken.
    Offer {
        /// Who sends them.
        peer: String,
        /// How many files.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// The channel ended in the middle; the transfer goes on when there is another.
    Paused {
        /// Bytes that are there.
        bytes: u64,
    },
    /// Somebody's program was stopped by its user; the transfer goes on when they are back.
    Stopped {
        /// Who.
        peer: String,
    },
    /// Somebody did not take the files.
    Declined {
        /// Who.
        peer: String,
        /// Why.
        why: String,
    },
    /// What somebody offers is not taken; offers of others are waited for.
    OfferNotTaken {
        /// Who.
        peer: String,
        /// Why.
        why: String,
    },
    /// A file is there, checked.
    File {
        /// Its path below the receiver's folder.
        path: String,
        /// Its size in bytes.
        size: u64,
        /// Its checksum.
        sha256: String,
    },
    /// A transfer is over, with everything there.
    Done {
        /// How many files.
        files: u64,
        /// Their bytes.
        bytes: u64,
        /// Bytes that did not have to travel.
        kept: u64,
    },
    /// A port of this machine leads to the other side.
    Listening {
        /// The address here.
        address: String,
        /// Where connections come out.
        to: String,
    },
    /// The other side may make connections from this machine.
    Allowing {
        /// Where to.
        to: String,
    },
    /// A connection is carried.
    Opened {
        /// Where it leads.
        to: String,
    },
    /// A connection is over.
    Closed {
        /// Where it led.
        to: String,
        /// Why, unless both sides ended it.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
}

impl Event {
    pub(crate) fn path(peer: String, path: &Path, relay: Option<Relay>) -> Self {
        let word = match relay {
            None => "direct",
            Some(Relay::Udp) => "relay-udp",
            Some(Relay::Tcp) => "relay-tcp",
            Some(Relay::Tls) => "relay-tls",
        };
        Self::Path {
            peer,
            path: word,
            local: path.local,
            remote: path.remote,
            protocol: path.protocol,
            rtt_ms: path.rtt_ms,
        }
    }
}
