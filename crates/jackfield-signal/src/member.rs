//! One connection.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use jackfield_sansio::{ClientNetwork, TokenBucket};

use crate::MemberId;
use crate::name::Name;

/// What the driver knows of a connection when it comes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewMember {
    /// The authority by which the client reached us, as in its `Host` header.
    pub host: Option<String>,
    /// The network by which its joins are counted; without one they are not.
    pub network: Option<ClientNetwork>,
    /// Whether it meets others in the lobby from the start, as a client of MDN's sample expects:
    /// true for a WebSocket that offers the subprotocol `json`. Others enter the lobby with their
    /// first `username`.
    pub lobby: bool,
}

/// A member as the hub keeps it.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) host: Option<Arc<str>>,
    pub(crate) network: Option<ClientNetwork>,
    /// The name it asked for last; each scope may add a suffix.
    pub(crate) name: Option<Name>,
    /// Whether it belongs in the lobby while it is in no room.
    pub(crate) lobby: bool,
    /// In the order of joining.
    pub(crate) rooms: Vec<Arc<str>>,
    /// The rooms at which it knocked and waits. They count as rooms that it is in.
    pub(crate) waits_at: Vec<Arc<str>>,
    /// Whether its client asked for a session, by which it can come back.
    pub(crate) has_session: bool,
    /// The members with which it exchanged an offer or an answer and not yet a hang-up. Symmetric.
    pub(crate) calls: BTreeSet<MemberId>,
    pub(crate) bucket: TokenBucket,
    /// The rooms whose changes it missed, as it read too slowly; `None` is the lobby.
    pub(crate) missed: BTreeSet<Option<Arc<str>>>,
    /// When its ICE servers are minted anew.
    pub(crate) refresh_at: Option<Instant>,
}

impl Member {
    pub(crate) fn is_in(&self, room: &str) -> bool {
        self.rooms.iter().any(|name| &**name == room)
    }
}
