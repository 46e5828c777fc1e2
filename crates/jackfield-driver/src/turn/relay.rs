//! Sockets bound to relayed transport addresses.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use jackfield_turn::{AllocationId, BindError};
use tokio::task::AbortHandle;

use super::engine::Engine;
use crate::udp::UdpSocket;

/// The socket bound to a relayed transport address, and the task that receives from it.
#[derive(Debug)]
pub(super) struct RelaySocket {
    pub(super) socket: Rc<UdpSocket>,
    task: AbortHandle,
}

/// Relay sockets: found by their allocation's slot for each packet, without hashing, and by address
/// when they come and go.
///
/// An allocation has two sockets at most, and for a moment a third one that tries the next port
/// (EVEN-PORT); so its sockets are a list, and the right one is found by its address.
#[derive(Debug)]
pub(super) struct RelaySockets<S> {
    by_slot: Vec<Vec<(SocketAddr, S)>>,
    slots: HashMap<SocketAddr, usize>,
}

impl<S> RelaySockets<S> {
    /// Returns the socket of the allocation in `slot` that is bound to `local`.
    pub(super) fn get(&self, slot: usize, local: SocketAddr) -> Option<&S> {
        let sockets = self.by_slot.get(slot)?;
        let found = sockets.iter().find(|(bound, _)| *bound == local);
        found.map(|(_, socket)| socket)
    }

    /// Adds a socket; returns the one that was bound to the same address before.
    fn insert(&mut self, slot: usize, local: SocketAddr, socket: S) -> Option<S> {
        let replaced = self.remove(local);
        if self.by_slot.len() <= slot {
            self.by_slot.resize_with(slot + 1, Vec::new);
        }
        if let Some(sockets) = self.by_slot.get_mut(slot) {
            sockets.push((local, socket));
            self.slots.insert(local, slot);
        }
        replaced
    }

    fn remove(&mut self, local: SocketAddr) -> Option<S> {
        let slot = self.slots.remove(&local)?;
        let sockets = self.by_slot.get_mut(slot)?;
        let place = sockets.iter().position(|(bound, _)| *bound == local)?;
        Some(sockets.swap_remove(place).1)
    }

    /// Returns the addresses of all sockets.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.slots.keys().copied().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }
}

impl<S> Default for RelaySockets<S> {
    fn default() -> Self {
        Self {
            by_slot: Vec::new(),
            slots: HashMap::new(),
        }
    }
}

impl Engine {
    /// Binds a relay socket for an allocation and starts to receive from it.
    pub(super) fn bind(
        self: &Rc<Self>,
        id: AllocationId,
        local: SocketAddr,
    ) -> Result<SocketAddr, BindError> {
        let stats = Arc::clone(&self.stats().relays);
        let socket = match UdpSocket::bind(local, &self.config.relay, stats) {
            Ok(socket) => Rc::new(socket),
            Err(error) => {
                self.stats().driver.bind_errors.add(1);
                tracing::debug!(%local, %error, "A relay socket could not be bound");
                return Err(bind_error(&error));
            }
        };
        let bound = socket.local_addr();
        let task = receive(Rc::clone(self), Rc::clone(&socket));
        let task = self.context.spawn("turn-relay", task);
        self.add_relay_ip(bound.ip());
        let replaced =
            self.relays
                .borrow_mut()
                .insert(id.slot(), bound, RelaySocket { socket, task });
        match replaced {
            Some(replaced) => replaced.task.abort(),
            None => self.stats().driver.relay_sockets.add(1),
        }
        Ok(bound)
    }

    /// Closes the relay socket bound to `local`, with what still waits in it sent.
    pub(super) fn unbind(&self, local: SocketAddr) {
        let relay = self.relays.borrow_mut().remove(local);
        if let Some(relay) = relay {
            self.stats().driver.relay_sockets.sub(1);
            // The last packets were taken from the client before its allocation ended.
            relay.socket.flush();
            relay.task.abort();
        }
    }
}

/// Hands the core what peers send to `socket`, until its task is ended.
async fn receive(engine: Rc<Engine>, socket: Rc<UdpSocket>) {
    let relayed = socket.local_addr();
    loop {
        socket.readable().await;
        if receive_batch(&engine, &socket, relayed) {
            // There may be more, but others have work too.
            tokio::task::yield_now().await;
        }
    }
}

/// Takes one batch; returns whether it was full.
fn receive_batch(engine: &Rc<Engine>, socket: &UdpSocket, relayed: SocketAddr) -> bool {
    let mut batch = engine.relay_batch.borrow_mut();
    let Ok(messages) = socket.try_receive(&mut batch) else {
        // Counted by the socket; most say that there was nothing.
        return true;
    };
    let now = Instant::now();
    for datagram in batch.datagrams() {
        engine.peer(now, relayed, datagram.remote, datagram.bytes);
    }
    messages == batch.capacity()
}

fn bind_error(error: &io::Error) -> BindError {
    match error.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse,
        io::ErrorKind::AddrNotAvailable => BindError::NotAvailable,
        io::ErrorKind::OutOfMemory => BindError::NoResources,
        _ if is_exhausted(error) => BindError::NoResources,
        _ => BindError::Other,
    }
}

/// Returns whether there are no file descriptors or kernel buffers left, for which `std` has no
/// names.
#[cfg(target_os = "linux")]
fn is_exhausted(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS)
    )
}

#[cfg(not(target_os = "linux"))]
fn is_exhausted(_error: &io::Error) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_by_allocation_and_removed_by_address() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut sockets = RelaySockets::default();
        assert_eq!(sockets.get(0, address(1)), None);
        assert_eq!(sockets.insert(0, address(1), 'a'), None);
        // EVEN-PORT tries the next port while the first socket is in use.
        assert_eq!(sockets.insert(0, address(2), 'b'), None);
        assert_eq!(sockets.remove(address(2)), Some('b'));
        assert_eq!(sockets.get(0, address(1)), Some(&'a'));
        assert_eq!(sockets.get(0, address(2)), None);
        assert_eq!(sockets.insert(0, address(1), 'c'), Some('a'));
        assert_eq!((sockets.len(), sockets.addresses()), (1, vec![address(1)]));
        assert_eq!(sockets.remove(address(1)), Some('c'));
        assert_eq!(sockets.remove(address(1)), None);
    }
}
