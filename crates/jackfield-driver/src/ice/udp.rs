//! A UDP socket that any number of sessions share.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::{Notify, mpsc};

/// A socket, and what the system did not take at once.
#[derive(Debug)]
pub(super) struct SharedSocket {
    socket: UdpSocket,
    local: SocketAddr,
    backlog: Mutex<VecDeque<(SocketAddr, Vec<u8>)>>,
    has_backlog: Notify,
}

/// What takes no more at present.
#[derive(Debug)]
pub(super) enum Blocked {
    Socket(Arc<SharedSocket>),
    Stream(mpsc::Sender<Vec<u8>>),
}

impl SharedSocket {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Thousands of sessions share it; a system may cap the size, and packets pass all the same.
        for sized in [
            socket.set_recv_buffer_size(SOCKET_BUFFER),
            socket.set_send_buffer_size(SOCKET_BUFFER),
        ] {
            if let Err(error) = sized {
                tracing::debug!(%error, "The kernel refuses the size of a socket buffer");
            }
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Self {
            local: socket.local_addr()?,
            socket,
            backlog: Mutex::default(),
            has_backlog: Notify::new(),
        })
    }

    pub(super) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Sends a datagram; returns whether the system took it. What it refuses (no route, say) counts
    /// as taken: it is lost, as any datagram may be.
    pub(super) fn try_send(&self, remote: SocketAddr, parts: [&[u8]; 3]) -> bool {
        if !self.backlog().is_empty() {
            return false;
        }
        let [header, payload, padding] = parts;
        let sent = if header.is_empty() && padding.is_empty() {
            self.socket.try_send_to(payload, remote)
        } else {
            self.socket.try_send_to(&parts.concat(), remote)
        };
        match sent {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) => {
                tracing::trace!(%error, local = %self.local, %remote, "Datagram not sent");
                true
            }
        }
    }

    /// Sends a datagram at once or when the system takes more again; returns whether there was
    /// room for it.
    pub(super) fn send(&self, remote: SocketAddr, bytes: Vec<u8>) -> bool {
        if self.try_send(remote, [&[], &bytes, &[]]) {
            return true;
        }
        let mut backlog = self.backlog();
        if backlog.len() >= BACKLOG {
            return false;
        }
        backlog.push_back((remote, bytes));
        self.has_backlog.notify_one();
        true
    }

    /// Waits until the system may take more.
    pub(super) async fn writable(&self) {
        // The socket is open, so that the wait cannot fail.
        let _ = self.socket.writable().await;
    }

    /// Waits for datagrams and gives each to `packet`; sends what the system did not take before.
    pub(super) async fn receive(&self, room: &mut [u8], mut packet: impl FnMut(SocketAddr, &[u8])) {
        tokio::select! {
            readable = self.socket.readable() => {
                if readable.is_err() {
                    return;
                }
            }
            () = self.flush() => return,
        }
        for _ in 0..BATCH {
            match self.socket.try_recv_from(room) {
                Ok((length, remote)) => packet(remote, room.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An ICMP error about an earlier datagram.
                Err(error) => tracing::trace!(%error, local = %self.local, "Receiving"),
            }
        }
    }

    async fn flush(&self) {
        // The queue decides, not the notification alone: this future is dropped whenever datagrams
        // come first, perhaps with a notification that it has taken.
        while self.backlog().is_empty() {
            self.has_backlog.notified().await;
        }
        self.writable().await;
        let mut backlog = self.backlog();
        while let Some((remote, bytes)) = backlog.front() {
            match self.socket.try_send_to(bytes, *remote) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => backlog.pop_front(),
            };
        }
    }

    fn backlog(&self) -> MutexGuard<'_, VecDeque<(SocketAddr, Vec<u8>)>> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Datagrams that are taken before other tasks get a turn.
const BATCH: usize = 64;

/// Datagrams that wait for the system.
const BACKLOG: usize = 1_024;

const SOCKET_BUFFER: usize = 4 * 1_024 * 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_waits_is_sent_although_the_notification_of_it_is_gone() {
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let socket = SharedSocket::bind(any).expect("a socket");
        let other = UdpSocket::bind(any).await.expect("a socket");
        let to = other.local_addr().expect("an address");
        socket.backlog().push_back((to, b"late".to_vec()));
        socket.receive(&mut [0; 64], |_, _| {}).await;
        let mut room = [0; 64];
        let length = other.recv(&mut room).await.expect("a datagram");
        assert_eq!(room.get(..length), Some(&b"late"[..]));
    }
}
