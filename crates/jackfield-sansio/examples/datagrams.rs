//! A UDP port that says which protocol arrives, with a limit for each sender:
//! `cargo run -p jackfield-sansio --example datagrams -- 127.0.0.1:3478`.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "an example brings the socket and the clock that the library goes without"
)]

use std::error::Error;
use std::net::UdpSocket;
use std::time::Instant;

use jackfield_sansio::{PacketType, Rate, RateLimiter};

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let socket = UdpSocket::bind(address.as_deref().unwrap_or("127.0.0.1:3478"))?;
    println!("Listening on {}", socket.local_addr()?);
    let mut limiter = RateLimiter::new(SENDERS);
    let mut buffer = [0; 1500];
    loop {
        let (length, sender) = socket.recv_from(&mut buffer)?;
        // By address alone: a sender has 65,535 ports to come from.
        if !limiter.take(Instant::now(), sender.ip(), RATE) {
            continue;
        }
        let datagram = buffer.get(..length).unwrap_or_default();
        println!("{sender}: {:?}, {length} bytes", PacketType::of(datagram));
    }
}

/// Ten at once from one sender, then five a second.
const RATE: Rate = Rate::new(5, 10);

/// How many senders have a bucket of their own.
const SENDERS: usize = 10_000;
