//! Listening TCP sockets that shards share.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::shard::Shutdown;
use crate::stats::counters;

counters! {
    /// What TCP listeners count; several listeners of a shard share one.
    pub struct TcpStats {
        /// Connections accepted.
        accepted: Counter,
        /// Connections that ended before they could be accepted.
        aborted: Counter,
        /// Times the system had no room for another connection: files, memory.
        exhausted: Counter,
    }
}

/// Listens on `address`, which several shards may do at once (`SO_REUSEPORT`); IPv6 listeners take
/// IPv6 alone.
///
/// # Errors
/// What the operating system says, above all [`io::ErrorKind::AddrInUse`].
///
/// # Panics
/// Outside a tokio runtime.
pub fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    #[cfg(unix)]
    {
        // Without it, connections of an earlier run that linger in TIME-WAIT would make the bind
        // fail.
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}

/// Accepts connections until the shutdown, whatever the system runs out of meanwhile; each is
/// handed to `serve`.
///
/// `serve` returns at once: it spawns what the connection needs. `TCP_NODELAY` is set.
pub async fn accept(
    listener: TcpListener,
    stats: &TcpStats,
    mut shutdown: Shutdown,
    mut serve: impl FnMut(TcpStream, SocketAddr),
) {
    let mut pause = SHORTEST_PAUSE;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.requested() => return,
        };
        match accepted {
            Ok((stream, remote)) => {
                pause = SHORTEST_PAUSE;
                stats.accepted.add(1);
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "A connection went before it was set up");
                }
                serve(stream, remote);
            }
            Err(error) if is_of_one_connection(&error) => stats.aborted.add(1),
            Err(error) => {
                stats.exhausted.add(1);
                tracing::warn!(%error, pause_ms = pause.as_millis(), "No connection can be accepted");
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = shutdown.requested() => return,
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Returns whether an error of accept(2) is about the one connection that it would have returned.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// How long accepting rests when the system is exhausted, at first and at most.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
