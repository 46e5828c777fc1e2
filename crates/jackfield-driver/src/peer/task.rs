//! The task of a peer: it moves datagrams between the sockets and the core.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use jackfield_sansio::{FiveTuple, Transmit, Transport};
use tokio::net::UdpSocket;

use super::inner::Shared;

/// Runs a peer until it is closed.
pub(super) async fn run(shared: Arc<Shared>, sockets: Vec<UdpSocket>) {
    let mut transmits = Vec::new();
    let mut buffer = vec![0; LARGEST];
    loop {
        let (deadline, is_closed) = {
            let mut inner = shared.lock();
            (inner.drain(&mut transmits), inner.is_closed())
        };
        for transmit in transmits.drain(..) {
            send(&sockets, &transmit).await;
        }
        if is_closed {
            return;
        }
        tokio::select! {
            () = shared.wake.notified() => {}
            index = readable(&sockets) => {
                if let Some(socket) = sockets.get(index) {
                    receive(&shared, socket, &mut buffer);
                }
            }
            () = sleep_until(deadline) => shared.lock().core.handle_timeout(Instant::now()),
        }
    }
}

/// Waits until a socket has something, and returns which.
async fn readable(sockets: &[UdpSocket]) -> usize {
    std::future::poll_fn(|context| {
        for (index, socket) in sockets.iter().enumerate() {
            if socket.poll_recv_ready(context).is_ready() {
                return Poll::Ready(index);
            }
        }
        Poll::Pending
    })
    .await
}

/// Takes what a socket has, up to a limit that lets the answers out.
fn receive(shared: &Shared, socket: &UdpSocket, buffer: &mut [u8]) {
    let Ok(local) = socket.local_addr() else {
        return;
    };
    let mut inner = shared.lock();
    let now = Instant::now();
    for _ in 0..BATCH {
        let (length, remote) = match socket.try_recv_from(buffer) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            // An ICMP error about an earlier datagram: ICE notices by itself.
            Err(error) => {
                tracing::debug!(%local, %error, "A receive failed");
                continue;
            }
        };
        let path = FiveTuple {
            transport: Transport::Udp,
            local,
            remote,
        };
        if let Some(bytes) = buffer.get(..length) {
            inner.core.handle_datagram(now, path, bytes);
        }
    }
}

async fn send(sockets: &[UdpSocket], transmit: &Transmit) {
    let FiveTuple { local, remote, .. } = transmit.path;
    let is_its = |socket: &&UdpSocket| socket.local_addr().is_ok_and(|bound| bound == local);
    let Some(socket) = sockets.iter().find(is_its) else {
        return;
    };
    if let Err(error) = send_to(socket, &transmit.bytes, remote).await {
        tracing::debug!(%local, %error, "A send failed");
    }
}

async fn send_to(socket: &UdpSocket, bytes: &[u8], remote: SocketAddr) -> io::Result<()> {
    loop {
        match socket.try_send_to(bytes, remote) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.writable().await?,
            Err(error) => return Err(error),
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// The largest datagram.
const LARGEST: usize = 65_536;
/// Datagrams that are taken before what they caused is sent.
const BATCH: usize = 64;
