//! Signaling: the hub of `jackfield-signal` behind WebSocket and behind Socket.IO.

pub(super) mod socketio;
mod switchboard;
pub(super) mod websocket;

pub(super) use switchboard::Switchboard;
