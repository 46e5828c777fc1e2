//! What a hub allows.

use std::time::Duration;

/// The limits of a [`Hub`](crate::Hub). Each one that is hit is answered with an error and counted
/// in [`HubCounters`](crate::HubCounters).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubConfig {
    /// Longest message in bytes. A session description with many media sections is about 50 KB.
    pub max_message_bytes: usize,
    /// Deepest nesting of arrays and objects in a message; deeper ones could exhaust the stack of a
    /// client that parses them.
    pub max_depth: usize,
    /// Longest name in characters.
    pub max_name_chars: usize,
    /// Longest room name in characters.
    pub max_room_chars: usize,
    /// Longest `token` in bytes.
    pub max_token_bytes: usize,
    /// Most members in one room. Each join is sent to all, so a room costs the square of this.
    pub max_room_members: usize,
    /// Most rooms one member can be in.
    pub max_rooms_per_member: usize,
    /// Most rooms in the hub.
    pub max_rooms: usize,
    /// Most members in the lobby, where clients of MDN's sample meet. Its user list goes to all of
    /// them after a change.
    pub max_lobby_members: usize,
    /// Bytes a second that the user lists of the lobby may come to, over all their readers, each of
    /// which counts 1 KiB more than its list; zero means no limit. Changes that come faster share a
    /// list.
    pub lobby_bytes_per_second: u32,
    /// Most members in the hub; the next one gets `server-full` and is closed.
    pub max_members: usize,
    /// Joins a second that the members of one network can keep making together; zero means no
    /// limit. Without it the names of rooms could be guessed, on one connection after the other.
    /// A knock counts as ten joins: it disturbs people.
    pub joins_per_second: u32,
    /// Joins the members of one network can make at once before `joins_per_second` counts.
    pub join_burst: u32,
    /// Most newcomers that wait at one room at which they knock. Where as many wait, one of the
    /// network of which most are waiting yields to a newcomer of another.
    pub max_waiting_per_room: usize,
    /// How long a newcomer waits to be let in before it gets `knock-timeout`.
    pub knock_timeout: Duration,
    /// How long the name of a member whose connection was lost is held for it; zero holds none.
    /// Only clients that ask for a session have their names held.
    pub name_hold: Duration,
    /// How long it is held in a room that is locked or at which newcomers knock, if that is longer:
    /// without it the member could not come back.
    pub place_hold: Duration,
    /// Most names that are held in the hub. One more is free at once.
    pub max_held_names: usize,
    /// Most names that are held for the members of one network.
    pub max_held_names_per_network: usize,
    /// Messages a second that a member can keep sending; zero means no limit.
    ///
    /// A message counts once more for each 16 KiB of itself, and for each 16 KiB that the hub
    /// sends because of it, where every receiver counts 1 KiB more than what it gets.
    pub messages_per_second: u32,
    /// Messages a member can send at once before `messages_per_second` counts. A full mesh trickles
    /// many candidates at the start.
    pub message_burst: u32,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            max_message_bytes: 128 * 1024,
            max_depth: 64,
            max_name_chars: 64,
            max_room_chars: 128,
            max_token_bytes: 8 * 1024,
            max_room_members: 64,
            max_rooms_per_member: 8,
            max_rooms: 100_000,
            max_lobby_members: 100,
            lobby_bytes_per_second: 1 << 20,
            max_members: 100_000,
            joins_per_second: 10,
            join_burst: 200,
            max_waiting_per_room: 16,
            knock_timeout: Duration::from_secs(300),
            name_hold: Duration::from_secs(10),
            place_hold: Duration::from_secs(120),
            max_held_names: 10_000,
            max_held_names_per_network: 250,
            messages_per_second: 50,
            message_burst: 1000,
        }
    }
}
