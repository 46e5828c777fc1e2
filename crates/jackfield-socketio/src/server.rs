//! Socket.IO on top of the engine: namespaces, sockets, rooms, events, acknowledgements.

mod ack;
mod adapter;
mod broadcast;
mod client;
mod error;
mod event;
mod extensions;
mod handlers;
mod handshake;
mod inbox;
mod io;
mod namespace;
mod operator;
mod reason;
mod rooms;
mod socket;

pub use ack::{Ack, EmitWithAck};
pub use adapter::{Adapter, LocalAdapter, Selection};
pub use broadcast::{BroadcastAcks, BroadcastPacket, Delivery};
pub use error::{AckError, ConnectError, EmitError};
pub use event::Event;
pub use extensions::Extensions;
pub use handshake::Handshake;
pub use io::Io;
pub use namespace::Namespace;
pub use operator::{BroadcastOperator, RemoteSocket};
pub use reason::DisconnectReason;
pub use rooms::Room;
pub use socket::{Socket, SocketId};

/// A future that handlers give back.
pub(crate) type BoxFuture<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;
