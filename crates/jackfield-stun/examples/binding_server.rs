//! A STUN server that answers Binding requests over UDP:
//! `cargo run -p jackfield-stun --example binding_server -- 127.0.0.1:3478`.

#![expect(
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "an example brings the socket that the library goes without"
)]

use std::error::Error;
use std::net::UdpSocket;

use jackfield_stun::{Class, Message, Method, binding};

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let socket = UdpSocket::bind(address.as_deref().unwrap_or("127.0.0.1:3478"))?;
    println!("Listening on {}", socket.local_addr()?);
    let mut buffer = [0; 1500];
    let mut answer = Vec::new();
    loop {
        let (length, client) = socket.recv_from(&mut buffer)?;
        // What is no STUN message, and what asks for something else, is dropped in silence: the
        // sender may be forged, and an answer would go to a host that asked for nothing.
        let Ok(message) = Message::parse(buffer.get(..length).unwrap_or_default()) else {
            continue;
        };
        if (message.class(), message.method()) != (Class::Request, Method::BINDING) {
            continue;
        }
        answer.clear();
        binding::answer(&message, client, &mut answer)?;
        socket.send_to(&answer, client)?;
    }
}
