//! Listening TCP sockets that shards share, and options of connections.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
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

/// Prepares a connection for packets: each is sent when it is there, and an end that vanishes
/// without a word is noticed by the system within 30 s, whether we have something to send or not.
///
/// By itself TCP would repeat for a quarter of an hour what is not acknowledged, and never ask an
/// end that is silent. 30 s are what consent lasts for (RFC 7675).
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let probes = TcpKeepalive::new().with_time(PROBED_AFTER);
    #[cfg(any(
        target_os = "android",
        target_os = "freebsd",
        target_os = "ios",
        target_os = "linux",
        target_os = "macos",
        target_os = "windows",
    ))]
    let probes = probes.with_interval(PROBE_INTERVAL).with_retries(PROBES);
    socket.set_tcp_keepalive(&probes)?;
    #[cfg(any(target_os = "android", target_os = "linux"))]
    socket.set_tcp_user_timeout(Some(PROBED_AFTER + PROBE_INTERVAL * PROBES))?;
    Ok(())
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

/// When a connection is asked whether it is there, how often, and with what pauses.
const PROBED_AFTER: Duration = Duration::from_secs(15);
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::connect_from;

    #[tokio::test]
    async fn a_connection_of_ours_is_asked_by_the_system_whether_its_other_end_is_there() {
        let listener = listen("127.0.0.1:0".parse().unwrap(), 8).unwrap();
        let to = listener.local_addr().unwrap();
        let stream = connect_from(None, to).await.unwrap();
        assert!(stream.nodelay().unwrap());
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        #[cfg(target_os = "linux")]
        {
            let limit = Duration::from_secs(30);
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(limit));
            let (time, interval) = (socket.tcp_keepalive_time(), socket.tcp_keepalive_interval());
            let most = time.unwrap() + interval.unwrap() * socket.tcp_keepalive_retries().unwrap();
            assert_eq!(most, limit);
        }
    }
}
