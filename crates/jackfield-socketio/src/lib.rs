//! Engine.IO and Socket.IO on hyper and tokio, and the WebSocket driver under them.

pub mod ws;
