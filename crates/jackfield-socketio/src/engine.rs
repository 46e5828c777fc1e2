//! An Engine.IO server: sessions over long-polling and WebSocket, without Socket.IO's events.
//!
//! [`Server`] answers HTTP requests and gives each session a [`Peer`], which gets its messages in
//! order, one at a time. [`Io`](crate::Io) is built on it; use it alone for a protocol of your
//! own.

mod body;
mod charge;
mod cors;
mod link;
mod places;
mod polling;
mod rate;
mod registry;
mod request;
mod server;
mod service;
mod socket;
mod timers;
mod wire;

pub use jackfield_socketio_proto::engine::{CloseReason, Message, SendError, Transport, Version};

pub use self::request::{ConnectionInfo, RequestInfo};
pub use self::server::Server;
pub use self::service::Service;
pub use self::socket::EngineSocket;
pub(crate) use self::socket::WeakSocket;
pub(crate) use self::wire::Wire;

/// Makes a [`Peer`] for each session.
pub trait Handler: Send + Sync + 'static {
    /// Takes a session that has just opened. Packets sent from here come right after the open
    /// packet.
    fn open(&self, socket: &EngineSocket) -> Box<dyn Peer>;
}

/// Takes what one session brings, in order and one call at a time. Calls must not block.
pub trait Peer: Send {
    /// Takes a message.
    fn message(&mut self, message: Message);

    /// Takes the news that a time set by [`EngineSocket::set_deadline`] has come.
    fn deadline(&mut self) {}

    /// Takes the end of the session; nothing follows.
    fn close(&mut self, reason: CloseReason);
}
