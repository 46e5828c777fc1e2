//! Sockets bound to relayed transport addresses.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use jackfield_turn::BindError;
use tokio::task::AbortHandle;

use super::engine::Engine;
use crate::udp::UdpSocket;

/// The socket bound to a relayed transport address, and the task that receives from it.
#[derive(Debug)]
pub(super) struct RelaySocket {
    pub(super) socket: Rc<UdpSocket>,
    task: AbortHandle,
}

impl Engine {
    /// Binds a relay socket and starts to receive from it.
    pub(super) fn bind(self: &Rc<Self>, local: SocketAddr) -> Result<SocketAddr, BindError> {
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
        let replaced = self
            .relays
            .borrow_mut()
            .insert(bound, RelaySocket { socket, task });
        match replaced {
            Some(replaced) => replaced.task.abort(),
            None => self.stats().driver.relay_sockets.add(1),
        }
        Ok(bound)
    }

    /// Closes the relay socket bound to `local`, with what still waits in it sent.
    pub(super) fn unbind(&self, local: SocketAddr) {
        let relay = self.relays.borrow_mut().remove(&local);
        if let Some(relay) = relay {
            self.stats().driver.relay_sockets.sub(1);
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

/// Returns whether there are no file descriptors or kernel buffers left, for which `std` has no names.
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
