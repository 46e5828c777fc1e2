//! Sockets and rooms in memory.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex};

use super::{AckSink, Adapter, BroadcastPacket, Delivery, Selection};
use crate::server::{Room, Socket, SocketId};
use crate::sync::lock;

/// The sockets and rooms of one process, the default adapter and a part of every other.
///
/// The lock is held to find a broadcast's sockets, never while it is sent: a room that stays as it
/// is keeps the list of its members ready, and a broadcast takes that list as it is.
#[derive(Default)]
pub struct LocalAdapter(Mutex<Rooms>);

#[derive(Default)]
struct Rooms {
    sockets: HashMap<SocketId, Entry>,
    rooms: HashMap<Room, Members>,
    everyone: Option<Arc<[Socket]>>,
}

struct Entry {
    socket: Socket,
    rooms: Vec<Room>,
}

/// The members of a room, and the list of them while it is current.
#[derive(Default)]
struct Members {
    sockets: HashMap<SocketId, Socket>,
    list: Option<Arc<[Socket]>>,
}

impl Members {
    fn list(&mut self) -> Arc<[Socket]> {
        let sockets = &self.sockets;
        let list = self
            .list
            .get_or_insert_with(|| sockets.values().cloned().collect());
        Arc::clone(list)
    }
}

/// The sockets that a broadcast goes to.
struct Targets {
    lists: Vec<Arc<[Socket]>>,
    /// A socket may be in several of the lists.
    overlapping: bool,
    excluded: HashSet<SocketId>,
}

impl Rooms {
    fn everyone(&mut self) -> Arc<[Socket]> {
        let sockets = &self.sockets;
        let list = self
            .everyone
            .get_or_insert_with(|| sockets.values().map(|entry| entry.socket.clone()).collect());
        Arc::clone(list)
    }

    /// Adds the sockets in a room: who joined it, and the socket whose id the name is. One never
    /// hides the other, since any socket may join a room of any name.
    fn list(&mut self, room: &Room, lists: &mut Vec<Arc<[Socket]>>) {
        if let Some(members) = self.rooms.get_mut(room) {
            lists.push(members.list());
        }
        self.list_socket(room.as_str(), lists);
    }

    fn list_socket(&self, id: &str, lists: &mut Vec<Arc<[Socket]>>) {
        if let Some(entry) = self.sockets.get(id) {
            lists.push(Arc::new([entry.socket.clone()]));
        }
    }

    fn targets(&mut self, selection: &Selection) -> Targets {
        let mut lists = Vec::new();
        if selection.rooms.is_empty() && selection.sockets.is_empty() {
            lists.push(self.everyone());
        }
        for room in &selection.rooms {
            self.list(room, &mut lists);
        }
        for id in &selection.sockets {
            self.list_socket(id, &mut lists);
        }
        // Ids are compared, as a socket may be in several rooms, among them the excepted one.
        let mut excluded: HashSet<_> = selection.except_sockets.iter().cloned().collect();
        for room in &selection.except {
            if let Some(members) = self.rooms.get(room) {
                excluded.extend(members.sockets.keys().cloned());
            }
            if let Some((id, _)) = self.sockets.get_key_value(room.as_str()) {
                excluded.insert(Arc::clone(id));
            }
        }
        let overlapping = lists.len() > 1;
        Targets {
            lists,
            overlapping,
            excluded,
        }
    }

    fn leave(&mut self, id: &SocketId, room: &Room) {
        if let Some(members) = self.rooms.get_mut(room) {
            members.sockets.remove(id);
            // An empty room goes, or names that clients choose would pile up.
            members.list = None;
            if members.sockets.is_empty() {
                self.rooms.remove(room);
            }
        }
    }
}

impl Targets {
    fn iter(&self) -> impl Iterator<Item = &Socket> {
        // One list without exceptions, the common case, needs no look at any set.
        let mut seen = HashSet::new();
        self.lists
            .iter()
            .flat_map(|list| list.iter())
            .filter(|socket| self.excluded.is_empty() || !self.excluded.contains(socket.id()))
            .filter(move |socket| !self.overlapping || seen.insert(Arc::clone(socket.id())))
    }
}

impl Adapter for LocalAdapter {
    fn add(&self, socket: &Socket) -> bool {
        let mut rooms = lock(&self.0);
        rooms.everyone = None;
        let entry = Entry {
            socket: socket.clone(),
            rooms: Vec::new(),
        };
        rooms
            .sockets
            .insert(Arc::clone(socket.id()), entry)
            .is_none()
    }

    fn remove(&self, socket: &Socket) -> bool {
        let mut rooms = lock(&self.0);
        let Some(entry) = rooms.sockets.remove(socket.id()) else {
            return false;
        };
        rooms.everyone = None;
        for room in &entry.rooms {
            rooms.leave(socket.id(), room);
        }
        true
    }

    fn join(&self, socket: &Socket, names: &[Room]) {
        let mut rooms = lock(&self.0);
        let Rooms { sockets, rooms, .. } = &mut *rooms;
        let Some(entry) = sockets.get_mut(socket.id()) else {
            return;
        };
        for name in names {
            // Every socket is in the room of its id, which is found without an entry.
            if name.as_str() == &**socket.id() || entry.rooms.contains(name) {
                continue;
            }
            entry.rooms.push(name.clone());
            let members = rooms.entry(name.clone()).or_default();
            members
                .sockets
                .insert(Arc::clone(socket.id()), socket.clone());
            members.list = None;
        }
    }

    fn leave(&self, socket: &Socket, room: &Room) {
        let mut rooms = lock(&self.0);
        if let Some(entry) = rooms.sockets.get_mut(socket.id()) {
            entry.rooms.retain(|joined| joined != room);
            rooms.leave(socket.id(), room);
        }
    }

    fn rooms(&self, socket: &Socket) -> Vec<Room> {
        let rooms = lock(&self.0);
        let entry = rooms.sockets.get(socket.id());
        entry.map(|entry| entry.rooms.clone()).unwrap_or_default()
    }

    fn select(&self, selection: &Selection) -> Vec<Socket> {
        let targets = lock(&self.0).targets(selection);
        targets.iter().cloned().collect()
    }

    fn broadcast(&self, packet: &BroadcastPacket, selection: &Selection) -> Delivery {
        let targets = lock(&self.0).targets(selection);
        packet.deliver(targets.iter())
    }

    fn broadcast_with_ack(&self, packet: &BroadcastPacket, selection: &Selection, acks: AckSink) {
        let targets = lock(&self.0).targets(selection);
        packet.deliver_with_ack(targets.iter(), &acks);
    }
}

impl fmt::Debug for LocalAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rooms = lock(&self.0);
        f.debug_struct("LocalAdapter")
            .field("sockets", &rooms.sockets.len())
            .field("rooms", &rooms.rooms.len())
            .finish()
    }
}
