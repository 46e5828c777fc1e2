//! Where a namespace keeps its sockets and rooms, and how it reaches those of other processes.
//!
//! Each namespace has an [`Adapter`]. [`LocalAdapter`], the default, knows the sockets of this
//! process and no others. An adapter that joins processes (or the shards of one) holds a
//! [`LocalAdapter`] and passes on what concerns the others. It is given everything as data: an
//! event is an [`EventBody`], JSON text and attachments; the sockets that are meant are a
//! [`Selection`]; what is known of a socket is a [`SocketInfo`]; answers go to an [`AckSink`]. So
//! it can speak any format, that of the adapters of Node.js too.
//!
//! # What an adapter for several processes does
//!
//! - `add`, `remove`, `join`, `leave`, `rooms` and `select` concern this process alone: the local
//!   adapter does them.
//! - `broadcast`, `join_selected`, `leave_selected` and `disconnect_selected` call the local
//!   adapter, and queue a message unless the selection is local; each receiver calls the same
//!   method of its local adapter.
//! - `broadcast_with_ack` does so too. A receiver gives its local adapter a sink of its own
//!   ([`acks`]) and sends back what the [`AckStream`] gives; the sender passes that to its sink.
//! - `fetch` asks the others for the `fetch` of their local adapters, and joins the answers.
//! - `server_side_emit` and `server_side_emit_with_ack` send; a receiver calls
//!   [`Namespace::handle_server_event`].
//!
//! Every call but `fetch`, `server_count` and `close` must return at once: what takes a network's
//! time is queued. The local part is done first, so a broadcast reaches the clients of this
//! process whatever the network does.
//!
//! `tests/adapter.rs` of this crate has a complete one, which joins servers over channels.

mod acks;
mod ids;
mod info;
mod local;
mod packet;
mod weak;

use std::fmt;
use std::time::Duration;

pub use jackfield_socketio_proto::packet::EventBody;
use serde::{Deserialize, Serialize};

pub use self::acks::{AckSink, AckStream, acks};
pub use self::info::{Fetched, SocketInfo};
pub use self::local::LocalAdapter;
pub use self::packet::{BroadcastPacket, Delivery};
pub use self::weak::WeakNamespace;
pub use super::BoxFuture;
#[cfg(doc)]
use super::Namespace;
use super::{Room, Socket, SocketId};

/// Which sockets of a namespace are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Sockets in any of these rooms; all sockets if neither rooms nor sockets are named. The name
    /// of a room that is a socket's id means that socket, and the sockets that joined such a room.
    pub rooms: Vec<Room>,
    /// Sockets with any of these ids, and nobody who is in a room named so. The format of Node.js
    /// has no place for it: there, they are more of `rooms`.
    #[serde(default, with = "ids", skip_serializing_if = "Vec::is_empty")]
    pub sockets: Vec<SocketId>,
    /// But none in any of these rooms.
    pub except: Vec<Room>,
    /// And none with any of these ids; for Node.js, more of `except`.
    #[serde(default, with = "ids", skip_serializing_if = "Vec::is_empty")]
    pub except_sockets: Vec<SocketId>,
    /// Only sockets of this process. A message to others need not say so.
    #[serde(skip)]
    pub local: bool,
}

/// Keeps the sockets and rooms of a namespace and carries broadcasts to them.
///
/// See the [module](self) for what an adapter that joins processes has to do. The methods with a
/// body do what they say for the sockets of this process, as [`Self::select`] finds them.
pub trait Adapter: Send + Sync + fmt::Debug + 'static {
    /// Adds a socket that has connected; returns false if it is there already.
    fn add(&self, socket: &Socket) -> bool;

    /// Takes a socket out of the namespace and all rooms; returns false if it is not there.
    fn remove(&self, socket: &Socket) -> bool;

    /// Puts a socket into rooms; one that was not added stays outside.
    fn join(&self, socket: &Socket, rooms: &[Room]);

    /// Takes a socket out of a room.
    fn leave(&self, socket: &Socket, room: &Room);

    /// Returns the rooms of a socket, without the one named by its id.
    fn rooms(&self, socket: &Socket) -> Vec<Room>;

    /// Returns the sockets of this process that are meant.
    fn select(&self, selection: &Selection) -> Vec<Socket>;

    /// Sends a packet to the sockets that are meant, and returns how that went in this process.
    fn broadcast(&self, packet: &BroadcastPacket, selection: &Selection) -> Delivery {
        packet.deliver(self.select(selection))
    }

    /// Sends a packet to the sockets that are meant, and passes their acknowledgements on.
    ///
    /// The stream behind `acks` ends once every clone of it is dropped: keep one as long as other
    /// processes may still send answers, and [`BroadcastPacket::ack_timeout`] at most.
    fn broadcast_with_ack(&self, packet: &BroadcastPacket, selection: &Selection, acks: AckSink) {
        packet.deliver_with_ack(self.select(selection), &acks);
    }

    /// Puts the sockets that are meant into rooms.
    fn join_selected(&self, selection: &Selection, rooms: &[Room]) {
        for socket in self.select(selection) {
            self.join(&socket, rooms);
        }
    }

    /// Takes the sockets that are meant out of rooms.
    fn leave_selected(&self, selection: &Selection, rooms: &[Room]) {
        for socket in self.select(selection) {
            for room in rooms {
                self.leave(&socket, room);
            }
        }
    }

    /// Disconnects the sockets that are meant, with `close` their sessions too.
    fn disconnect_selected(&self, selection: &Selection, close: bool) {
        for socket in self.select(selection) {
            socket.disconnect(close);
        }
    }

    /// Returns what is known of the sockets that are meant.
    fn fetch(&self, selection: &Selection) -> BoxFuture<Fetched> {
        let sockets = self.select(selection);
        let fetched = Fetched {
            sockets: sockets.iter().map(SocketInfo::from).collect(),
            silent_servers: 0,
        };
        Box::pin(std::future::ready(fetched))
    }

    /// Sends an event to the other processes, which give it to their
    /// [`Namespace::on_server_event`] handlers. Alone there is nothing to do.
    fn server_side_emit(&self, event: &EventBody) {
        let _ = event;
    }

    /// Sends an event to the other processes and passes on what they answer within `timeout`: one
    /// acknowledgement from each.
    ///
    /// The stream behind `acks` ends once every clone of it is dropped, so that alone it ends at
    /// once.
    fn server_side_emit_with_ack(&self, event: &EventBody, timeout: Duration, acks: AckSink) {
        let _ = (event, timeout, acks);
    }

    /// Returns how many processes serve the namespace, this one included.
    fn server_count(&self) -> BoxFuture<usize> {
        Box::pin(std::future::ready(1))
    }

    /// Leaves the other processes: the server closes and its clients have gone.
    fn close(&self) -> BoxFuture<()> {
        Box::pin(std::future::ready(()))
    }
}
