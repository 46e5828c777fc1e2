//! Sends one datagram to a peer through a TURN server, and prints what comes back.
//!
//! ```sh
//! cargo run -p jackfield-turn --example relay_through -- \
//!     SERVER:PORT USER PASSWORD PEER:PORT TEXT
//! ```

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "an example brings the socket and the clock that the library goes without"
)]

use std::error::Error;
use std::io::ErrorKind;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use jackfield_sansio::{FiveTuple, Transport};
use jackfield_turn::client::{Client, ClientConfig, Credential, Event, Outgoing, Output};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [server, user, password, peer, text] = args.as_slice() else {
        return Err("usage: SERVER:PORT USER PASSWORD PEER:PORT TEXT".into());
    };
    let mut driver = Driver::new(resolve(server)?, Credential::new(user, password)?)?;
    let peer = resolve(peer)?;
    let mut sent = false;
    loop {
        for event in driver.drain()? {
            match event {
                Event::Allocated { relayed, .. } => println!("Peers see us at {relayed:?}"),
                Event::PeerRefused { why, .. } => return Err(why.into()),
                Event::Failed(why) => return Err(why.into()),
                Event::Closed => return Ok(()),
                _ => {}
            }
        }
        if !sent && driver.client.relayed().is_some() {
            sent = true;
            driver.send(peer, text.as_bytes())?;
            continue;
        }
        if let Some((peer, answer)) = driver.receive()? {
            println!("{peer} answered {:?}", String::from_utf8_lossy(&answer));
            driver.client.close(Instant::now());
        }
    }
}

/// A client core and the socket that it goes without.
struct Driver {
    client: Client,
    socket: UdpSocket,
    deadline: Option<Instant>,
}

impl Driver {
    fn new(server: SocketAddr, credential: Credential) -> Result<Self, Box<dyn Error>> {
        let any = if server.is_ipv4() {
            "0.0.0.0:0"
        } else {
            "[::]:0"
        };
        let socket = UdpSocket::bind(any)?;
        // Connected, so that only the server's datagrams come in.
        socket.connect(server)?;
        let path = FiveTuple {
            transport: Transport::Udp,
            local: socket.local_addr()?,
            remote: server,
        };
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Ok(Self {
            client: Client::new(ClientConfig::new(credential), Instant::now(), path, seed),
            socket,
            deadline: None,
        })
    }

    /// Does what the client wants, until it only waits; returns what happened.
    fn drain(&mut self) -> Result<Vec<Event>, Box<dyn Error>> {
        let mut events = Vec::new();
        loop {
            match self.client.poll_output() {
                Output::Transmit(transmit) => _ = self.socket.send(&transmit.bytes)?,
                Output::Event(event) => events.push(event),
                // This example stays on its port and with its server.
                Output::Connect { .. } => self.client.handle_closed(Instant::now()),
                Output::Wait(until) => {
                    self.deadline = until;
                    return Ok(events);
                }
            }
        }
    }

    /// Sends to a peer: at once, or when the server has let the peer in.
    fn send(&mut self, peer: SocketAddr, data: &[u8]) -> Result<(), Box<dyn Error>> {
        let now = Instant::now();
        if let Some(Outgoing {
            header,
            payload,
            padding,
        }) = self.client.send(now, peer, data)?
        {
            let zeros = vec![0; padding.into()];
            let message = [header.as_bytes(), payload, &zeros].concat();
            self.socket.send(&message)?;
        }
        Ok(())
    }

    /// Waits for a datagram or for the client's deadline; returns what a peer sent.
    fn receive(&mut self) -> Result<Option<FromPeer>, Box<dyn Error>> {
        let now = Instant::now();
        let wait = self.deadline.map_or(Duration::from_secs(1), |until| {
            until.saturating_duration_since(now)
        });
        self.socket
            .set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
        let mut buffer = [0; 2048];
        let received = match self.socket.recv(&mut buffer) {
            Ok(length) => buffer.get(..length).unwrap_or_default(),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                self.client.handle_timeout(Instant::now());
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let received = self.client.handle_server(Instant::now(), received);
        Ok(received.map(|received| (received.peer, received.data.to_vec())))
    }
}

/// Which peer sent what.
type FromPeer = (SocketAddr, Vec<u8>);

fn resolve(name: &str) -> Result<SocketAddr, Box<dyn Error>> {
    let address = name.to_socket_addrs()?.next();
    address.ok_or_else(|| format!("{name} has no address").into())
}
