//! Which session a datagram is for, and by which socket or connection a packet leaves.

use std::sync::Arc;
use std::time::Instant;

use jackfield_ice::gather::Handled;
use jackfield_ice::username;
use jackfield_sansio::{FiveTuple, PacketType, Transport};
use tokio::sync::mpsc;

use super::core::Core;
use super::session::{SessionId, Slot};
use super::shared::{Shared, lock, read, write};
use super::udp::{Blocked, SharedSocket};

impl<C: Core> Shared<C> {
    /// Gives a datagram to the sessions that it is for, and adds these to `touched`.
    fn dispatch(&self, path: FiveTuple, bytes: &[u8], touched: &mut Touched<C>) {
        if let Some((ufrag, _)) = username(bytes) {
            match self.by_ufrag(ufrag) {
                // Data along this path is another session's.
                Some(slot) if self.is_taken(slot.id, path) => {
                    self.want_own_socket(slot.id, path.local.ip());
                }
                Some(slot) => {
                    self.deliver(&slot, path, bytes);
                    touched.add(slot);
                }
                None => self.counters.unknown_datagrams.add(),
            }
            return;
        }
        let sessions = read(&self.routes)
            .by_path((path.local, path.remote))
            .to_vec();
        for session in &sessions {
            if let Some(slot) = self.session(*session) {
                self.deliver(&slot, path, bytes);
                touched.add(slot);
            }
        }
        if PacketType::of(bytes) == PacketType::Stun {
            let now = Instant::now();
            let handled = lock(&self.gatherer).handle_datagram(now, path, bytes);
            if handled != Handled::NotOurs {
                self.gatherer_changed.notify_one();
                return;
            }
        }
        if sessions.is_empty() {
            self.counters.unknown_datagrams.add();
        }
    }

    /// Sends a packet of a session at once; returns what it waits for if that takes no more.
    pub(super) fn send(
        &self,
        id: SessionId,
        path: FiveTuple,
        parts: [&[u8]; 3],
    ) -> Option<Blocked> {
        if let Some(socket) = self.socket(path) {
            let is_sent = socket.try_send(path.remote, parts);
            return (!is_sent).then_some(Blocked::Socket(socket));
        }
        let connection = lock(&self.connections).get(&(id, path)).cloned()?;
        match connection.try_send(parts.concat()) {
            Err(mpsc::error::TrySendError::Full(_)) => Some(Blocked::Stream(connection)),
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => None,
        }
    }

    pub(super) fn transmit(&self, id: SessionId, path: FiveTuple, bytes: Vec<u8>) {
        let has_room = match self.socket(path) {
            Some(socket) => {
                if !self.claim(id, path, &bytes) {
                    self.want_own_socket(id, path.local.ip());
                    return;
                }
                socket.send(path.remote, bytes)
            }
            None => {
                let connection = lock(&self.connections).get(&(id, path)).cloned();
                connection.is_some_and(|connection| connection.try_send(bytes).is_ok())
            }
        };
        if !has_room {
            self.counters.dropped_transmits.add();
        }
    }

    /// Notes that a session sends along a path; returns whether it may. Paths to STUN servers are
    /// shared: answers have the number of a transaction. One to a candidate has one session.
    fn claim(&self, id: SessionId, path: FiveTuple, bytes: &[u8]) -> bool {
        let path = (path.local, path.remote);
        if read(&self.routes).knows(id, path) {
            return true;
        }
        let mut routes = write(&self.routes);
        let is_free = routes.by_path(path).is_empty() || username(bytes).is_none();
        if is_free {
            routes.add_path(id, path);
        }
        is_free
    }

    /// Returns whether a path belongs to other sessions.
    fn is_taken(&self, id: SessionId, path: FiveTuple) -> bool {
        let routes = read(&self.routes);
        let sessions = routes.by_path((path.local, path.remote));
        !sessions.is_empty() && !sessions.contains(&id)
    }

    pub(super) fn socket(&self, path: FiveTuple) -> Option<Arc<SharedSocket>> {
        if path.transport != Transport::Udp {
            return None;
        }
        read(&self.sockets).get(&path.local).cloned()
    }

    /// Makes room for a connection; returns what is to be written to it.
    pub(super) fn add_connection(&self, id: SessionId, path: FiveTuple) -> mpsc::Receiver<Vec<u8>> {
        let (sender, receiver) = mpsc::channel(self.config.limits.stream_packets.max(1));
        lock(&self.connections).insert((id, path), sender);
        receiver
    }

    /// Closes a connection, once what waits for it is written.
    pub(super) fn remove_connection(&self, id: SessionId, path: FiveTuple) {
        lock(&self.connections).remove(&(id, path));
    }
}

/// Sessions that have got packets and may have something to send because of them.
struct Touched<C: Core>(Vec<Arc<Slot<C>>>);

impl<C: Core> Touched<C> {
    fn add(&mut self, slot: Arc<Slot<C>>) {
        if !self.0.iter().any(|known| known.id == slot.id) {
            self.0.push(slot);
        }
    }
}

/// Receives datagrams of a socket and gives them to the sessions that they are for.
pub(super) async fn receive<C: Core>(shared: Arc<Shared<C>>, socket: Arc<SharedSocket>) {
    let mut room = vec![0; MAX_DATAGRAM];
    let mut touched = Touched(Vec::new());
    let local = socket.local_addr();
    loop {
        let packet = |remote, bytes: &[u8]| {
            let path = FiveTuple {
                transport: Transport::Udp,
                local,
                remote,
            };
            shared.dispatch(path, bytes, &mut touched);
        };
        socket.receive(&mut room, packet).await;
        for slot in touched.0.drain(..) {
            shared.flush(&slot);
        }
        tokio::task::yield_now().await;
    }
}

pub(super) const MAX_DATAGRAM: usize = 65_536;
