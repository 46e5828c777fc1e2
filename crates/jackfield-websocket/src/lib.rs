//! WebSocket for both sides, sans-IO: frames, messages, close rules, handshakes and permessage-deflate.

pub mod close;
mod config;
mod connection;
pub mod deflate;
pub mod frame;
pub mod handshake;
pub mod mask;
mod message;
mod shared;
pub mod utf8;
mod violation;

pub use close::{CloseCode, CloseFrame};
pub use config::{Config, Role};
pub use connection::{Connection, Event, Outgoing, SendError};
pub use message::{Kind, Message};
pub use shared::Frame;
pub use violation::Violation;
