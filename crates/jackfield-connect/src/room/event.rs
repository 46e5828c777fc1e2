//! What happens in a room.

use std::time::Duration;

use serde_json::Value;

use super::PeerId;
use crate::channel::Channel;
use crate::connection::{Path, Relay};
use crate::signaling::SignalingError;

/// What happens in a room.
#[derive(Debug)]
#[non_exhaustive]
pub enum RoomEvent {
    /// We are in, for the first time or again after the server was out of reach.
    Joined {
        /// What we are called here.
        name: String,
    },
    /// The server is out of reach; calls go on, and it is tried again.
    ServerLost(SignalingError),
    /// Newcomers to the room knock: we wait until a member lets us in.
    Knocking {
        /// When the server sends us away if none does.
        within: Duration,
    },
    /// The server does not let us in, for good.
    Refused {
        /// The server's word for it, such as `room-full`.
        code: String,
        /// Its sentence.
        message: String,
    },
    /// Somebody is there, and a connection is being made.
    Found {
        /// The call.
        peer: PeerId,
        /// What they are called.
        name: String,
        /// Whether they were in the room before us.
        was_here: bool,
    },
    /// Somebody who was [found](Self::Found) is not new: they are back on another connection to the
    /// server, and the call with them goes on.
    Returned {
        /// The call that goes on.
        peer: PeerId,
        /// What they were found as; it names no call from here on.
        found_as: PeerId,
    },
    /// Channels work. With `anew`, channels of an earlier connection have ended.
    Connected {
        /// The call.
        peer: PeerId,
        /// Whether this is another connection than before.
        anew: bool,
    },
    /// Nothing comes from them, for the moment.
    Interrupted {
        /// The call.
        peer: PeerId,
    },
    /// They have said what they are here for.
    Purpose {
        /// The call.
        peer: PeerId,
        /// A [purpose](crate::RoomOptions::purpose), or `page` for a browser with the room's page.
        purpose: String,
    },
    /// They have opened a channel.
    Channel {
        /// The call.
        peer: PeerId,
        /// What they call it.
        label: String,
        /// The protocol that is spoken on it.
        protocol: String,
        /// Our end.
        channel: Channel,
    },
    /// Packets take another way, or the first one is known.
    Path {
        /// The call.
        peer: PeerId,
        /// The way, as this side sees it.
        path: Path,
        /// The worse of the relays on both sides; `None` for a direct path.
        relay: Option<Relay>,
    },
    /// They wrote something in the chat.
    Chat {
        /// Who.
        name: String,
        /// What.
        text: String,
    },
    /// They told this program something through the server, which works without a connection.
    Told {
        /// The call.
        peer: PeerId,
        /// What, as their program means it.
        data: Value,
    },
    /// They are gone.
    Left {
        /// The call.
        peer: PeerId,
        /// What they were called.
        name: String,
        /// Whether they said so, rather than being lost.
        said_goodbye: bool,
    },
}
