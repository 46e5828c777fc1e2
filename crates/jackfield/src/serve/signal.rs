//! Signaling: the hub of `jackfield-signal` behind WebSocket and behind Socket.IO.

mod queue;
mod shared_hub;
pub(super) mod socketio;
pub(super) mod websocket;

pub(super) use queue::QueueLimits;
pub(super) use shared_hub::SharedHub;
