//! What the hub asks of the program around it.

use std::time::{Duration, Instant};

use crate::MemberId;

/// Mints the ICE servers that a member receives.
pub trait IceServers {
    /// Returns servers and credentials for the member called `name`.
    ///
    /// `host` is the authority by which the client reached us (`example.org:3478`), if it said: the
    /// TURN server is most likely reachable by the same name.
    fn mint(&mut self, now: Instant, name: &str, host: Option<&str>) -> IceServerList;
}

/// ICE servers with fresh credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceServerList {
    /// A JSON array of `RTCIceServer` objects.
    pub json: String,
    /// How long the credentials hold. The hub pushes new ones after three quarters of it; zero
    /// means for ever.
    pub ttl: Duration,
}

/// Serves no ICE servers: enough for tests, and for hosts on one network.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoIceServers;

impl IceServers for NoIceServers {
    fn mint(&mut self, _now: Instant, _name: &str, _host: Option<&str>) -> IceServerList {
        IceServerList {
            json: "[]".to_owned(),
            ttl: Duration::ZERO,
        }
    }
}

/// Decides who may join which room. Without one, every member may join every room and tokens
/// are ignored.
pub trait Gate {
    /// Returns whether `name` may join `room` with the `token` it sent.
    fn admits(&mut self, now: Instant, room: &str, name: &str, token: Option<&str>) -> bool;
}

/// Knows how much waits for each member. Without one, every message is passed on.
pub trait Queues {
    /// Returns whether a message of `bytes` bytes (its `type` and its JSON text) that `from` sent
    /// may be queued for `to`. If not, the sender gets the error `receiver-busy`.
    ///
    /// Answers to a member's own messages are queued unasked.
    fn have_room(&mut self, from: MemberId, to: MemberId, bytes: usize) -> bool;

    /// Returns whether a message of `bytes` bytes about who is in a room may be queued for `to`.
    ///
    /// If not, the hub keeps further ones of that room back until the driver calls
    /// [`Hub::handle_drained`](crate::Hub::handle_drained), which sends the list in their place: a
    /// member that reads slowly is late and not wrong. The driver must call it when the queue of
    /// such a member is empty, and an empty queue must have room.
    fn have_room_for_change(&mut self, to: MemberId, bytes: usize) -> bool;
}
