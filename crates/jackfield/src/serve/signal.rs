//! Signaling: the hub of `jackfield-signal` behind WebSocket and behind Socket.IO.

pub(super) mod socketio;
mod switchboard;
pub(super) mod websocket;

pub(super) use switchboard::Switchboard;

use jackfield_signal::Config;

use crate::config::SignalLimits;

/// Returns the hub's limits.
pub(super) fn hub_config(limits: &SignalLimits) -> Config {
    let mut config = Config::default();
    config.max_message_bytes = limits.max_message;
    config.max_members = limits.max_members;
    config.max_room_members = limits.max_members_per_room;
    config.max_rooms = limits.max_rooms;
    config.max_rooms_per_member = limits.max_rooms_per_member;
    config.max_lobby_members = limits.max_lobby_members;
    config.messages_per_second = limits.messages_per_second;
    config.message_burst = limits.messages_per_second.saturating_mul(20);
    config
}
