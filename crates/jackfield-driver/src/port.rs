//! Finds out whether an address can be listened on.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

/// Returns `address` with a port that no socket listens on, over UDP and TCP alike; port 0 is
/// replaced by a free one.
///
/// Another process can take it before the shards do; [`reserve`] prevents that.
///
/// # Errors
/// [`io::ErrorKind::AddrInUse`] when someone listens there; otherwise what the operating system
/// says.
pub fn claim(address: SocketAddr) -> io::Result<SocketAddr> {
    reserve(address).map(|reservation| reservation.address)
}

/// A port that no other process can take while this value lives, but shards can.
#[derive(Debug)]
pub struct Reservation {
    address: SocketAddr,
    #[cfg(target_os = "linux")]
    _held: Socket,
}

impl Reservation {
    /// Returns the address, with the port that was found free.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Does what [`claim`] does, and keeps the port for sockets of this user that share it.
///
/// Shards share a port by `SO_REUSEPORT`, and any other process of the same user could share it
/// unnoticed. So the port is bound once without the option: of two processes that do so at the same
/// time, one fails. On Linux the socket over UDP stays until the value is dropped, which should be
/// when the shards have bound theirs; it takes a part of the datagrams that come meanwhile.
///
/// # Errors
/// As [`claim`].
pub fn reserve(address: SocketAddr) -> io::Result<Reservation> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    let attempts = if address.port() == 0 { ATTEMPTS } else { 1 };
    for _ in 0..attempts {
        let (_, found) = bind(address, Type::STREAM, Protocol::TCP)?;
        match bind(found, Type::DGRAM, Protocol::UDP) {
            Ok((held, address)) => return hold(held, address),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(target_os = "linux")]
fn hold(held: Socket, address: SocketAddr) -> io::Result<Reservation> {
    // The system looks at the option of the sockets that are there when another one is bound. This
    // one was bound without it, so it was alone; from here on sockets with it may come.
    held.set_reuse_port(true)?;
    Ok(Reservation {
        address,
        _held: held,
    })
}

#[cfg(not(target_os = "linux"))]
fn hold(_: Socket, address: SocketAddr) -> io::Result<Reservation> {
    Ok(Reservation { address })
}

/// Binds a socket without sharing; returns it with the address that it has.
fn bind(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Connections of an earlier run that linger in TIME-WAIT are no listener.
    #[cfg(unix)]
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())?;
    let bound = socket.local_addr()?.as_socket();
    let bound = bound.ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok((socket, bound))
}

/// Free TCP ports tried for one that is free over UDP too.
const ATTEMPTS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn a_port_that_someone_listens_on_is_not_ours() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = claim(tcp.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let error = claim(udp.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_reserved_port_is_free_for_shards_and_for_nobody_else() {
        let reservation = reserve("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = reservation.address();
        for overlapping in [address, ([0, 0, 0, 0], address.port()).into()] {
            let error = reserve(overlapping).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{overlapping}");
        }
        let shard = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
        shard.set_reuse_port(true).unwrap();
        shard.bind(&address.into()).unwrap();
        drop(reservation);
        let error = reserve(address).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(shard);
        reserve(address).unwrap();
    }

    #[test]
    fn port_0_becomes_a_port_that_both_protocols_can_use() {
        let address = claim("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_ne!(address.port(), 0);
        TcpListener::bind(address).unwrap();
        UdpSocket::bind(address).unwrap();
    }
}
