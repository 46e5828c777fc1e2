//! Finds out whether an address can be listened on.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

/// Returns `address` with a port that no socket listens on, over UDP and TCP alike; port 0 is
/// replaced by a free one.
///
/// Shards share a port by `SO_REUSEPORT`, and any other process of the same user could share it
/// unnoticed. So the port is bound once without the option. Another process can still take it
/// before the shards do.
///
/// # Errors
/// [`io::ErrorKind::AddrInUse`] when someone listens there; otherwise what the operating system
/// says.
pub fn claim(address: SocketAddr) -> io::Result<SocketAddr> {
    if address.port() != 0 {
        probe(address, Type::DGRAM, Protocol::UDP)?;
        return probe(address, Type::STREAM, Protocol::TCP);
    }
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..ATTEMPTS {
        let found = probe(address, Type::STREAM, Protocol::TCP)?;
        match probe(found, Type::DGRAM, Protocol::UDP) {
            Ok(found) => return Ok(found),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Binds a socket and closes it again; returns the address that it had.
fn probe(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<SocketAddr> {
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
    socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
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

    #[test]
    fn port_0_becomes_a_port_that_both_protocols_can_use() {
        let address = claim("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_ne!(address.port(), 0);
        TcpListener::bind(address).unwrap();
        UdpSocket::bind(address).unwrap();
    }
}
