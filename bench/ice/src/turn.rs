//! A host with our STUN and TURN server, over UDP.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_internet::{App, Datagram};
use jackfield_sansio::{Epoch, FiveTuple, Transport};
use jackfield_turn::{
    Credentials, NonceKey, Output, Registry, Relay, RelayAddress, Server, ServerConfig,
};

pub const USER: &str = "user";
pub const PASSWORD: &str = "pass";
pub const PORT: u16 = 3478;

/// The program that drives the server's core.
#[derive(Debug)]
pub struct TurnHost {
    server: Server,
    relays: BTreeSet<SocketAddr>,
    next: Option<Instant>,
    outbox: VecDeque<Datagram>,
}

impl Clone for TurnHost {
    fn clone(&self) -> Self {
        unreachable!("no world is cloned here")
    }
}

impl TurnHost {
    /// Returns a server that relays from `address`, also to the addresses of documentation that the
    /// virtual internet is made of.
    pub fn new(now: Instant, address: IpAddr) -> Self {
        let users = Credentials::new().with_user(USER, PASSWORD);
        let registry = Arc::new(Registry::new());
        let mut config = ServerConfig::new("example.org", users, NonceKey::new([7; 32]), registry);
        config.relay_addresses = vec![RelayAddress {
            local: address,
            advertised: address,
        }];
        let allowed = ["198.51.100.0/24", "203.0.113.0/24"];
        config.peers.allow = allowed.map(|cidr| cidr.parse().expect("a prefix")).into();
        let epoch = Epoch::new(now, Duration::from_secs(1_700_000_000));
        Self {
            server: Server::new(config, epoch, [2; 32]),
            relays: BTreeSet::new(),
            next: None,
            outbox: VecDeque::new(),
        }
    }

    fn drain(&mut self, now: Instant) {
        loop {
            match self.server.poll_output() {
                Output::Transmit(transmit) => self.outbox.push_back(Datagram {
                    source: transmit.path.local,
                    destination: transmit.path.remote,
                    data: transmit.bytes,
                }),
                Output::Bind { id, local } => {
                    self.relays.insert(local);
                    self.server.handle_bound(now, id, Ok(local));
                }
                Output::Unbind(local) => {
                    self.relays.remove(&local);
                }
                Output::Event(_) => {}
                Output::Wait(next) => {
                    self.next = next;
                    return;
                }
            }
        }
    }
}

impl App for TurnHost {
    fn handle_datagram(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        data: &[u8],
    ) {
        let relay = if destination.port() == PORT {
            let path = FiveTuple {
                transport: Transport::Udp,
                local: destination,
                remote: source,
            };
            self.server.handle_client(now, path, data)
        } else if self.relays.contains(&destination) {
            self.server.handle_peer(now, destination, source, data)
        } else {
            None
        };
        let datagram = relay.map(|relay| match relay {
            Relay::ToPeer {
                relayed,
                peer,
                payload,
                ..
            } => Datagram {
                source: relayed,
                destination: peer,
                data: payload.to_vec(),
            },
            Relay::ToClient {
                path,
                header,
                payload,
                padding,
            } => Datagram {
                source: path.local,
                destination: path.remote,
                data: [
                    header.as_bytes(),
                    payload,
                    &vec![0; usize::from(padding)][..],
                ]
                .concat(),
            },
        });
        self.outbox.extend(datagram);
        self.drain(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.server.handle_timeout(now);
        self.drain(now);
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.next
    }

    fn poll_transmit(&mut self) -> Option<Datagram> {
        self.outbox.pop_front()
    }
}
