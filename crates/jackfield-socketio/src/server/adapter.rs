//! Where a namespace keeps its sockets and rooms, and how a broadcast finds them.

mod local;

use std::fmt;

pub use self::local::LocalAdapter;
use super::broadcast::{BroadcastPacket, Delivery};
use super::{BoxFuture, RemoteSocket, Room, Socket};

/// Which sockets of a namespace are meant.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Sockets in any of these rooms; all sockets if there are none. Each socket's id is a room with only it.
    pub rooms: Vec<Room>,
    /// But none in any of these.
    pub except: Vec<Room>,
    /// Only sockets of this process.
    pub local: bool,
}

/// Keeps the sockets and rooms of a namespace and carries broadcasts to them.
///
/// [`LocalAdapter`] does so in one process. An adapter that joins processes wraps it: it passes on what is not
/// [`Selection::local`] and hands what it receives to the local one. Calls must not block.
pub trait Adapter: Send + Sync + fmt::Debug + 'static {
    /// Adds a socket that has connected; false if it is there already.
    fn add(&self, socket: &Socket) -> bool;

    /// Takes a socket out of the namespace and all rooms; false if it is not there.
    fn remove(&self, socket: &Socket) -> bool;

    /// Puts a socket into rooms; one that was not added stays outside.
    fn join(&self, socket: &Socket, rooms: &[Room]);

    /// Takes a socket out of a room.
    fn leave(&self, socket: &Socket, room: &Room);

    /// Returns the rooms of a socket, without the one named by its id.
    fn rooms(&self, socket: &Socket) -> Vec<Room>;

    /// Returns the sockets of this process that are meant.
    fn select(&self, selection: &Selection) -> Vec<Socket>;

    /// Sends a packet to the sockets that are meant.
    fn broadcast(&self, packet: &BroadcastPacket, selection: &Selection) -> Delivery {
        let mut delivery = Delivery::default();
        for socket in self.select(selection) {
            packet.send_to(&socket, &mut delivery);
        }
        delivery
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
    fn fetch(&self, selection: &Selection) -> BoxFuture<Vec<RemoteSocket>> {
        let sockets = self.select(selection);
        let fetched = sockets.iter().map(RemoteSocket::of).collect();
        Box::pin(std::future::ready(fetched))
    }
}
