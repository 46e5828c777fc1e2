//! Sockets that may be in another process.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use super::adapter::{Delivery, SocketInfo};
use super::operator::BroadcastOperator;
use super::{EmitError, Handshake, Namespace, Room, SocketId};

/// What is known of a socket, which may be in another process.
#[derive(Debug, Clone)]
pub struct RemoteSocket {
    /// The socket's id.
    pub id: SocketId,
    /// What the client brought when it connected.
    pub handshake: Handshake,
    /// The rooms that the socket is in.
    pub rooms: BTreeSet<Room>,
    /// The value set by [`Socket::set_data`](super::Socket::set_data).
    pub data: Value,
    namespace: Namespace,
}

impl RemoteSocket {
    /// Makes a handle for a socket that was found by other means than
    /// [`BroadcastOperator::fetch_sockets`].
    #[must_use]
    pub fn new(namespace: &Namespace, info: SocketInfo) -> Self {
        Self {
            id: info.id,
            handshake: info.handshake,
            rooms: info.rooms,
            data: info.data,
            namespace: namespace.clone(),
        }
    }

    /// Addresses this socket, and nobody who has joined a room named by its id.
    pub fn operator(&self) -> BroadcastOperator {
        self.namespace.operator().one_socket(&self.id)
    }

    /// Sends an event to this socket.
    ///
    /// # Errors
    /// As [`BroadcastOperator::emit`].
    pub fn emit<T: Serialize + ?Sized>(&self, name: &str, args: &T) -> Result<Delivery, EmitError> {
        self.operator().emit(name, args)
    }

    /// Puts the socket into a room.
    pub fn join(&self, room: impl Into<Room>) {
        self.operator().sockets_join(room);
    }

    /// Takes the socket out of a room.
    pub fn leave(&self, room: impl Into<Room>) {
        self.operator().sockets_leave(room);
    }

    /// Disconnects the socket, with `close` its connection too.
    pub fn disconnect(&self, close: bool) {
        self.operator().disconnect_sockets(close);
    }
}

/// The sockets that [`BroadcastOperator::fetch_sockets`] has found.
#[derive(Debug)]
pub struct FetchedSockets {
    /// The sockets, in no order.
    pub sockets: Vec<RemoteSocket>,
    /// How many processes have not answered in time, so that their sockets are missing; 0 without
    /// other processes.
    pub silent_servers: usize,
}

impl IntoIterator for FetchedSockets {
    type Item = RemoteSocket;
    type IntoIter = std::vec::IntoIter<RemoteSocket>;

    fn into_iter(self) -> Self::IntoIter {
        self.sockets.into_iter()
    }
}
