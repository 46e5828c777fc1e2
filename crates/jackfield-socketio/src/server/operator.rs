//! Addressing sockets: by room, by exception, all.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jackfield_socketio_proto::packet;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;

use super::broadcast::{BroadcastAcks, BroadcastPacket, Delivery};
use super::namespace::NamespaceInner;
use super::{EmitError, Handshake, Room, Selection, Socket, SocketId};
use crate::engine::Wire;

/// The sockets that something is about to be done with.
#[derive(Clone)]
#[must_use = "it addresses sockets and does nothing with them yet"]
pub struct BroadcastOperator {
    namespace: Arc<NamespaceInner>,
    selection: Selection,
    volatile: bool,
    timeout: Option<Duration>,
}

impl BroadcastOperator {
    pub(crate) fn new(namespace: Arc<NamespaceInner>) -> Self {
        Self {
            namespace,
            selection: Selection::default(),
            volatile: false,
            timeout: None,
        }
    }

    /// Adds the sockets in a room.
    pub fn to(mut self, room: impl Into<Room>) -> Self {
        self.selection.rooms.push(room.into());
        self
    }

    /// As [`Self::to`].
    pub fn in_(self, room: impl Into<Room>) -> Self {
        self.to(room)
    }

    /// Leaves out the sockets in a room.
    pub fn except(mut self, room: impl Into<Room>) -> Self {
        self.selection.except.push(room.into());
        self
    }

    /// Lets packets be lost: they go only to clients that are ready to take them at once.
    pub fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// Stays in this process.
    pub fn local(mut self) -> Self {
        self.selection.local = true;
        self
    }

    /// Waits this long for acknowledgements, in place of [`Config::ack_timeout`](crate::Config::ack_timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends an event. Arguments are as in [`Socket::emit`](super::Socket::emit).
    ///
    /// # Errors
    /// When the event cannot be a packet; clients that could not be reached are counted in the [`Delivery`].
    pub fn emit<T: Serialize + ?Sized>(&self, name: &str, args: &T) -> Result<Delivery, EmitError> {
        let encoded = packet::event(&self.namespace.name, None, name, args)?;
        let packet = BroadcastPacket {
            wire: Wire::with_attachments(&encoded.text, encoded.attachments),
            volatile: self.volatile,
            ack: None,
        };
        Ok(self.namespace.adapter.broadcast(&packet, &self.selection))
    }

    /// Sends an event and returns the acknowledgements as they come.
    ///
    /// # Errors
    /// As [`Self::emit`].
    pub fn emit_with_ack<T: Serialize + ?Sized>(
        &self,
        name: &str,
        args: &T,
    ) -> Result<BroadcastAcks, EmitError> {
        let id = self.namespace.next_ack_id();
        let encoded = packet::event(&self.namespace.name, Some(id), name, args)?;
        let (sender, receiver) = mpsc::unbounded_channel();
        let packet = BroadcastPacket {
            wire: Wire::with_attachments(&encoded.text, encoded.attachments),
            volatile: self.volatile,
            ack: Some((id, sender)),
        };
        let delivery = self.namespace.adapter.broadcast(&packet, &self.selection);
        let timeout = self.timeout.unwrap_or(self.namespace.config.ack_timeout);
        Ok(BroadcastAcks::new(receiver, delivery.asked, timeout))
    }

    /// Puts the sockets into a room.
    pub fn sockets_join(&self, room: impl Into<Room>) {
        let rooms = [room.into()];
        self.namespace
            .adapter
            .join_selected(&self.selection, &rooms);
    }

    /// Takes the sockets out of a room.
    pub fn sockets_leave(&self, room: impl Into<Room>) {
        let rooms = [room.into()];
        self.namespace
            .adapter
            .leave_selected(&self.selection, &rooms);
    }

    /// Disconnects the sockets, with `close` their connections too.
    pub fn disconnect_sockets(&self, close: bool) {
        self.namespace
            .adapter
            .disconnect_selected(&self.selection, close);
    }

    /// Returns what is known of the sockets.
    pub async fn fetch_sockets(&self) -> Vec<RemoteSocket> {
        self.namespace.adapter.fetch(&self.selection).await
    }
}

impl fmt::Debug for BroadcastOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BroadcastOperator")
            .field("namespace", &self.namespace.name)
            .field("selection", &self.selection)
            .finish_non_exhaustive()
    }
}

/// What is known of a socket, which may be in another process.
#[derive(Debug, Clone)]
pub struct RemoteSocket {
    /// The socket's id.
    pub id: SocketId,
    /// What the client brought when it connected.
    pub handshake: Handshake,
    /// The rooms that the socket is in.
    pub rooms: BTreeSet<Room>,
    /// The value set by [`Socket::set_data`].
    pub data: Value,
    namespace: super::Namespace,
}

impl RemoteSocket {
    pub(crate) fn of(socket: &Socket) -> Self {
        Self {
            id: Arc::clone(socket.id()),
            handshake: socket.handshake().clone(),
            rooms: socket.rooms(),
            data: socket.data(),
            namespace: socket.namespace(),
        }
    }

    /// Addresses this socket.
    pub fn operator(&self) -> BroadcastOperator {
        self.namespace.to(Room::from_arc(Arc::clone(&self.id)))
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
