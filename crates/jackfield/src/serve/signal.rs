//! Signaling: the hub of `jackfield-signal` behind WebSocket and behind Socket.IO.

mod shared_hub;
pub(super) mod socketio;
pub(super) mod websocket;

pub(super) use shared_hub::SharedHub;
