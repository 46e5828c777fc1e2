//! Asks a STUN server for this machine's public address:
//! `cargo run -p jackfield-stun --example my_address -- stun.example.org:3478`.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "an example brings the socket and the clock that the library goes without"
)]

use std::error::Error;
use std::io::ErrorKind;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::Instant;

use jackfield_stun::attribute::XorMappedAddress;
use jackfield_stun::transaction::{Output, Retransmission, Transaction};
use jackfield_stun::{Message, MessageWriter, Method, TransactionId};

fn main() -> Result<(), Box<dyn Error>> {
    let server = std::env::args().nth(1).ok_or("which server? HOST:PORT")?;
    let mut servers = server.to_socket_addrs()?;
    let server = servers.next().ok_or("the server's name has no address")?;
    println!("{}", ask(server)?);
    Ok(())
}

fn ask(server: SocketAddr) -> Result<SocketAddr, Box<dyn Error>> {
    let any = if server.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    // The id must be random: a host that can guess it can answer in the server's place.
    let mut id = [0; 12];
    getrandom::fill(&mut id)?;
    let id = TransactionId::new(id);
    let mut request = Vec::new();
    MessageWriter::new(
        &mut request,
        jackfield_stun::Class::Request,
        Method::BINDING,
        id,
    )
    .finish()?;
    let mut transaction = Transaction::new(Instant::now(), id, Retransmission::default());
    let mut buffer = [0; 1500];
    loop {
        match transaction.poll_output() {
            Output::Transmit => _ = socket.send(&request)?,
            Output::TimedOut | Output::Wait(None) => {
                return Err("the server does not answer".into());
            }
            Output::Wait(Some(until)) => {
                if let Some(length) = receive(&socket, &mut buffer, until)?
                    && let Ok(message) = Message::parse(buffer.get(..length).unwrap_or_default())
                    && transaction.handle_message(&message)
                {
                    let mapped: Option<XorMappedAddress> = message.get()?;
                    let mapped = mapped.ok_or("the server's answer has no address")?;
                    return Ok(mapped.0);
                }
                transaction.handle_timeout(Instant::now());
            }
        }
    }
}

/// Waits for a datagram until an instant; returns its length, or nothing if none came.
fn receive(
    socket: &UdpSocket,
    buffer: &mut [u8],
    until: Instant,
) -> std::io::Result<Option<usize>> {
    let timeout = until.saturating_duration_since(Instant::now());
    if timeout.is_zero() {
        return Ok(None);
    }
    socket.set_read_timeout(Some(timeout))?;
    match socket.recv(buffer) {
        Ok(length) => Ok(Some(length)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
