//! Socket.IO on top of the engine: namespaces, sockets, rooms, events, acknowledgements.

mod ack;
pub mod adapter;
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
mod panic;
mod reason;
mod remote_socket;
mod rooms;
mod server_event;
mod socket;

pub use ack::{Ack, EmitWithAck};
use adapter::Adapter;
pub use broadcast::{BroadcastAcks, CollectedAcks};
pub use error::{AckError, ConnectError, EmitError};
pub use event::Event;
pub use extensions::Extensions;
pub use handshake::{Handshake, NotAnObject};
pub use io::Io;
pub use namespace::Namespace;
pub use operator::BroadcastOperator;
pub use reason::DisconnectReason;
pub use remote_socket::{FetchedSockets, RemoteSocket};
pub use rooms::Room;
pub use server_event::ServerEvent;
pub use socket::{Socket, SocketId};

/// A future that handlers and adapters give back.
pub type BoxFuture<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;
