//! One Binding request to one server.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_sansio::{FiveTuple, Transport};
use jackfield_stun::attribute::{MappedAddress, XorMappedAddress};
use jackfield_stun::transaction::{Output, Retransmission, Transaction};
use jackfield_stun::{Class, Message, MessageWriter, Method, TransactionId};
use tokio::net::UdpSocket;

use super::{race, source_for};
use crate::tap::Tapped;

/// A server's answer to a plain Binding request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The address that the request was sent from.
    pub local: SocketAddr,
    /// The address that the server saw.
    pub mapped: SocketAddr,
    /// From the last sending of the request to its answer.
    pub round_trip: Duration,
}

/// Asks the first of a server's addresses that answers, of whichever family it is; returns that
/// address too.
///
/// # Errors
/// As [`ask`], of the address that was given up last; [`io::ErrorKind::InvalidInput`] without an
/// address.
pub async fn ask_first(
    servers: &[SocketAddr],
    how: Retransmission,
) -> io::Result<(SocketAddr, Binding)> {
    let attempt = |server| async move { Ok((server, ask(server, how).await?)) };
    let found = race(servers, attempt).await;
    found.map_err(|error: Option<io::Error>| {
        error.unwrap_or_else(|| io::ErrorKind::InvalidInput.into())
    })
}

/// Asks a server by UDP what address it sees.
///
/// # Errors
/// Fails without a route to the server. [`io::ErrorKind::TimedOut`]: it does not answer;
/// [`io::ErrorKind::ConnectionRefused`]: its host reports that nothing listens there;
/// [`io::ErrorKind::InvalidData`]: it answers with an error or without an address.
pub async fn ask(server: SocketAddr, how: Retransmission) -> io::Result<Binding> {
    let socket = UdpSocket::bind((source_for(server)?, 0)).await?;
    socket.connect(server).await?;
    let local = socket.local_addr()?;
    let path = FiveTuple {
        transport: Transport::Udp,
        local,
        remote: server,
    };
    let socket = Tapped::new(socket, path);
    let mut id = [0; 12];
    getrandom::fill(&mut id).map_err(io::Error::other)?;
    let id = TransactionId::new(id);
    let mut request = Vec::new();
    MessageWriter::new(&mut request, Class::Request, Method::BINDING, id)
        .finish()
        .map_err(io::Error::other)?;
    let mut transaction = Transaction::new(Instant::now(), id, how);
    let mut sent = Instant::now();
    let mut room = [0; 2048];
    loop {
        match transaction.poll_output() {
            Output::Transmit => {
                sent = Instant::now();
                socket.send(&request).await?;
            }
            Output::TimedOut | Output::Wait(None) => return Err(io::ErrorKind::TimedOut.into()),
            Output::Wait(Some(until)) => tokio::select! {
                received = socket.recv(&mut room) => {
                    let bytes = room.get(..received?).unwrap_or_default();
                    if let Some(mapped) = read(bytes, &transaction)? {
                        return Ok(Binding { local, mapped, round_trip: sent.elapsed() });
                    }
                }
                () = tokio::time::sleep_until(until.into()) => {
                    transaction.handle_timeout(Instant::now());
                }
            },
        }
    }
}

/// Returns the address in an answer to this request; nothing if it is another datagram.
fn read(bytes: &[u8], transaction: &Transaction) -> io::Result<Option<SocketAddr>> {
    let Ok(message) = Message::parse(bytes) else {
        return Ok(None);
    };
    if !transaction.is_answered_by(&message) {
        return Ok(None);
    }
    let xored = message.get::<XorMappedAddress>().ok().flatten();
    let clear = || message.get::<MappedAddress>().ok().flatten();
    let mapped = xored
        .map(|address| address.0)
        .or_else(|| clear().map(|address| address.0));
    match mapped {
        Some(mapped) if message.class() == Class::Success => Ok(Some(SocketAddr::new(
            mapped.ip().to_canonical(),
            mapped.port(),
        ))),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
