//! What processes tell each other of a socket.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::server::{Handshake, Room, Socket, SocketId};

/// What is known of a socket of any process. As JSON it has the form that the adapters of Node.js
/// use.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SocketInfo {
    /// The socket's id.
    #[serde(serialize_with = "write_id", deserialize_with = "read_id")]
    pub id: SocketId,
    /// What the client brought when it connected.
    pub handshake: Handshake,
    /// The rooms that the socket is in.
    pub rooms: BTreeSet<Room>,
    /// The value set by [`Socket::set_data`].
    #[serde(default)]
    pub data: Value,
}

impl From<&Socket> for SocketInfo {
    fn from(socket: &Socket) -> Self {
        Self {
            id: Arc::clone(socket.id()),
            handshake: socket.handshake().clone(),
            rooms: socket.rooms(),
            data: socket.data(),
        }
    }
}

/// What an adapter's [`fetch`](super::Adapter::fetch) has found.
#[derive(Debug, Clone, Default)]
pub struct Fetched {
    /// The sockets, in no order.
    pub sockets: Vec<SocketInfo>,
    /// How many processes have not answered in time, so that their sockets are missing.
    pub silent_servers: usize,
}

fn write_id<S: Serializer>(id: &SocketId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(id)
}

fn read_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketId, D::Error> {
    String::deserialize(deserializer).map(Into::into)
}
