//! UDP sockets of single sessions, for paths that another session of the endpoint has already.
//!
//! Data says nothing of its session: where two sessions talk to one remote address, because the
//! other side shares a port as well, nothing could tell what is for which. So a path belongs to the
//! session that came first, and another one that wants it gets a socket with a port of its own.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};

use jackfield_sansio::{FiveTuple, Transport};

use super::core::Core;
use super::packets::MAX_DATAGRAM;
use super::session::{SessionId, Slot};
use super::shared::{Shared, Task, lock, write};
use super::udp::SharedSocket;

/// A session's own socket at one address of this machine.
#[derive(Debug)]
pub(super) struct OwnSocket {
    /// Where it is, once it is bound.
    local: Option<SocketAddr>,
    _task: Task,
}

impl<C: Core> Shared<C> {
    /// Makes a socket for a session at an address, unless it has one there or there are too many.
    pub(super) fn want_own_socket(&self, id: SessionId, ip: IpAddr) {
        let mut own = lock(&self.own_sockets);
        if own.contains_key(&(id, ip)) {
            return;
        }
        if own.len() >= self.config.limits.own_sockets {
            self.counters.refused_own_sockets.add();
            return;
        }
        let task = self.runtime.spawn(run(self.this.clone(), id, ip));
        let socket = OwnSocket {
            local: None,
            _task: Task(task),
        };
        own.insert((id, ip), socket);
    }

    /// Ends the sockets of a session.
    pub(super) fn end_own_sockets(&self, id: SessionId) {
        lock(&self.own_sockets).retain(|(session, _), _| *session != id);
    }

    /// Ends the sockets at an address that is gone.
    pub(super) fn lose_own_sockets(&self, ip: IpAddr) {
        let lost: Vec<_> = lock(&self.own_sockets)
            .extract_if(|(_, at), _| *at == ip)
            .collect();
        for ((id, _), socket) in lost {
            if let (Some(slot), Some(local)) = (self.session(id), socket.local) {
                self.call(&slot, |core, now| core.remove_socket(now, local));
            }
        }
    }
}

/// Binds a session's own socket, and receives by it.
async fn run<C: Core>(shared: Weak<Shared<C>>, id: SessionId, ip: IpAddr) {
    let Some(shared) = shared.upgrade() else {
        return;
    };
    let Some(slot) = shared.session(id) else {
        return;
    };
    let socket = match SharedSocket::bind(SocketAddr::new(ip, 0)) {
        Ok(socket) => Arc::new(socket),
        Err(error) => {
            tracing::debug!(%error, %ip, "A session gets no socket of its own");
            return;
        }
    };
    let local = socket.local_addr();
    // The session may have ended since.
    match lock(&shared.own_sockets).get_mut(&(id, ip)) {
        Some(own) => own.local = Some(local),
        None => return,
    }
    write(&shared.sockets).insert(local, Arc::clone(&socket));
    let receiver = Receiver { shared, local };
    receiver
        .shared
        .call(&slot, |core, now| core.add_socket(now, local));
    receiver.receive(&slot, &socket).await;
}

/// Receives by a session's own socket; dropped when that ends.
struct Receiver<C: Core> {
    shared: Arc<Shared<C>>,
    local: SocketAddr,
}

impl<C: Core> Receiver<C> {
    async fn receive(&self, slot: &Slot<C>, socket: &SharedSocket) {
        let mut room = vec![0; MAX_DATAGRAM];
        loop {
            let packet = |remote, bytes: &[u8]| {
                let path = FiveTuple {
                    transport: Transport::Udp,
                    local: self.local,
                    remote,
                };
                self.shared.deliver(slot, path, bytes);
            };
            socket.receive(&mut room, packet).await;
            self.shared.flush(slot);
            tokio::task::yield_now().await;
        }
    }
}

impl<C: Core> Drop for Receiver<C> {
    fn drop(&mut self) {
        write(&self.shared.sockets).remove(&self.local);
    }
}
