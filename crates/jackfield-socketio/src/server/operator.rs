//! Addressing sockets: by room, by exception, all.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::adapter::{AckStream, BroadcastPacket, Delivery, EventBody, Selection, acks};
use super::broadcast::BroadcastAcks;
use super::namespace::NamespaceInner;
use super::{EmitError, FetchedSockets, Namespace, RemoteSocket, Room, SocketId};

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

    pub(crate) fn one_socket(mut self, id: &SocketId) -> Self {
        self.selection.sockets.push(Arc::clone(id));
        self
    }

    pub(crate) fn except_socket(mut self, id: &SocketId) -> Self {
        self.selection.except_sockets.push(Arc::clone(id));
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

    /// Waits this long for acknowledgements, in place of
    /// [`IoConfig::ack_timeout`](crate::IoConfig::ack_timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends an event. Arguments are as in [`Socket::emit`](super::Socket::emit).
    ///
    /// The clients of this process have the event in their buffers when this returns; an adapter
    /// passes it on to other processes in its own time.
    ///
    /// # Errors
    /// When the event cannot be a packet; clients that could not be reached are counted in the
    /// [`Delivery`].
    pub fn emit<T: Serialize + ?Sized>(&self, name: &str, args: &T) -> Result<Delivery, EmitError> {
        let packet = self.packet(name, args, None)?;
        Ok(self.namespace.adapter.broadcast(&packet, &self.selection))
    }

    /// Sends an event and returns the acknowledgements as they come, from the clients of every
    /// process.
    ///
    /// # Errors
    /// As [`Self::emit`].
    pub fn emit_with_ack<T: Serialize + ?Sized>(
        &self,
        name: &str,
        args: &T,
    ) -> Result<BroadcastAcks, EmitError> {
        let timeout = self.ack_timeout();
        let packet = self.packet(name, args, Some(timeout))?;
        let (sink, stream) = acks();
        self.namespace
            .adapter
            .broadcast_with_ack(&packet, &self.selection, sink);
        Ok(self.acks(stream, timeout))
    }

    /// Sends an event to the other processes of the namespace, for their
    /// [`Namespace::on_server_event`](super::Namespace::on_server_event) handlers. No client hears
    /// of it; rooms do not matter.
    ///
    /// # Errors
    /// When the event cannot be written as JSON.
    pub fn server_side_emit<T: Serialize + ?Sized>(
        &self,
        name: &str,
        args: &T,
    ) -> Result<(), EmitError> {
        let event = EventBody::new(name, args)?;
        self.namespace.adapter.server_side_emit(&event);
        Ok(())
    }

    /// Sends an event to the other processes of the namespace and returns what each of them
    /// answers.
    ///
    /// # Errors
    /// As [`Self::server_side_emit`].
    pub fn server_side_emit_with_ack<T: Serialize + ?Sized>(
        &self,
        name: &str,
        args: &T,
    ) -> Result<BroadcastAcks, EmitError> {
        let timeout = self.ack_timeout();
        let event = EventBody::new(name, args)?;
        let (sink, stream) = acks();
        self.namespace
            .adapter
            .server_side_emit_with_ack(&event, timeout, sink);
        Ok(self.acks(stream, timeout))
    }

    fn ack_timeout(&self) -> Duration {
        self.timeout.unwrap_or(self.namespace.config.ack_timeout)
    }

    fn packet<T: Serialize + ?Sized>(
        &self,
        name: &str,
        args: &T,
        ack_timeout: Option<Duration>,
    ) -> Result<BroadcastPacket, EmitError> {
        let most = self.namespace.config.max_attachments;
        Ok(BroadcastPacket {
            namespace: self.namespace.name.clone(),
            body: EventBody::new(name, args)?.with_at_most(most)?,
            volatile: self.volatile,
            ack_timeout,
        })
    }

    fn acks(&self, stream: AckStream, timeout: Duration) -> BroadcastAcks {
        BroadcastAcks::new(stream, timeout, Arc::clone(&self.namespace.stats))
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

    /// Returns what is known of the sockets, those of other processes included.
    pub async fn fetch_sockets(&self) -> FetchedSockets {
        let fetched = self.namespace.adapter.fetch(&self.selection).await;
        let namespace = Namespace(Arc::clone(&self.namespace));
        let sockets = fetched.sockets.into_iter();
        FetchedSockets {
            sockets: sockets
                .map(|info| RemoteSocket::new(&namespace, info))
                .collect(),
            silent_servers: fetched.silent_servers,
        }
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
