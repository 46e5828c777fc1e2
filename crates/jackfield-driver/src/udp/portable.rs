//! One datagram at a time, for systems without recvmmsg(2), GSO and packet information. The tests
//! run it on Linux too.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::batch::{Received, RecvBatch};
use super::egress::Egress;

/// Returns that the kernel takes no trains; nothing has to be prepared.
#[cfg(not(target_os = "linux"))]
pub(super) fn prepare(
    _socket: &UdpSocket,
    _address: SocketAddr,
    _wildcard: bool,
    _gro: bool,
) -> io::Result<bool> {
    Ok(false)
}

/// Leaves it to the kernel what becomes of datagrams that a path does not take whole.
#[cfg(not(target_os = "linux"))]
pub(super) fn set_fragmenting(
    _socket: &UdpSocket,
    _address: SocketAddr,
    _fragmenting: super::Fragmenting,
) -> io::Result<()> {
    Ok(())
}

/// Receives what is there, without waiting; returns how many messages.
pub(super) fn receive(
    socket: &UdpSocket,
    bound: SocketAddr,
    batch: &mut RecvBatch,
) -> io::Result<usize> {
    let (rooms, received) = batch.refill();
    for room in rooms {
        let (len, remote) = match socket.recv_from(room) {
            Ok(message) => message,
            Err(_) if !received.is_empty() => break,
            Err(error) => return Err(error),
        };
        received.push(Received {
            local: local_towards(bound, remote),
            remote,
            len,
            segment: len,
        });
    }
    Ok(received.len())
}

/// Sends the first waiting run, without waiting; returns how many.
///
/// # Errors
/// What the first run met.
pub(super) fn send(socket: &UdpSocket, _bound: SocketAddr, egress: &Egress) -> io::Result<usize> {
    let Some(run) = egress.runs().first() else {
        return Ok(0);
    };
    // A queue that makes no trains has one datagram in each run, and a datagram is one piece.
    let bytes = egress.pieces(run).next().unwrap_or_default();
    socket.send_to(bytes, run.to.remote)?;
    Ok(1)
}

/// Returns that no error speaks against trains, since there are none.
#[cfg(not(target_os = "linux"))]
pub(super) fn refuses_trains(_error: &io::Error) -> super::TrainRefusal {
    super::TrainRefusal::No
}

/// Returns whether the error is about an earlier datagram (ICMP), so that this send is worth
/// another try.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_late_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}

/// Returns the address that `remote` most likely sent to: the bound one, or for a wildcard the one
/// a route to it leaves from.
fn local_towards(bound: SocketAddr, remote: SocketAddr) -> SocketAddr {
    if !bound.ip().is_unspecified() {
        return bound;
    }
    let any: IpAddr = match bound {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let routed = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect(remote)?;
        socket.local_addr()
    });
    routed.map_or(bound, |local| SocketAddr::new(local.ip(), bound.port()))
}

#[cfg(test)]
mod tests {
    use super::super::egress::{Limits, Towards};
    use super::*;

    #[test]
    fn datagrams_pass_one_at_a_time_and_a_wildcard_learns_its_address() {
        let server = UdpSocket::bind("0.0.0.0:0").unwrap();
        let bound = server.local_addr().unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client
            .send_to(b"ping", ("127.0.0.1", bound.port()))
            .unwrap();
        let mut batch = RecvBatch::new(1);
        assert_eq!(receive(&server, bound, &mut batch).unwrap(), 1);
        let datagram = batch.datagrams().next().unwrap();
        assert_eq!(datagram.bytes, b"ping");
        assert_eq!(datagram.local.ip(), Ipv4Addr::LOCALHOST);

        let mut egress = Egress::default();
        let limits = Limits {
            bytes: 100,
            train: 1,
            segment: 100,
        };
        for payload in [b"1", b"2"] {
            let to = Towards {
                remote: datagram.remote,
                source: None,
                whole: false,
            };
            egress.push(to, &[b"pong", payload], &limits);
        }
        for expected in [b"pong1", b"pong2"] {
            assert_eq!(send(&server, bound, &egress).unwrap(), 1);
            egress.advance(1);
            let mut room = [0; 16];
            let len = client.recv(&mut room).unwrap();
            assert_eq!(&room[..len], expected);
        }
    }
}
