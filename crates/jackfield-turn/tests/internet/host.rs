//! A machine with a TURN server, over UDP and TCP.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use jackfield_internet::{Datagram, TcpProgram};
use jackfield_sansio::{Epoch, FiveTuple, Transport};
use jackfield_stun::framing::{MAX_MESSAGE, message_length};
use jackfield_tcp::{ConnectionId, Event, Stack};
use jackfield_turn::{
    Credentials, NonceKey, Output, Registry, Relay, RelayAddress, Server, ServerConfig,
};

use crate::replay::{Core, Replayed};
use crate::rig::secs;

/// The server's core and its relay sockets.
pub(crate) struct ServerCore {
    server: Server,
    bound: BTreeSet<SocketAddr>,
}

#[derive(Debug, Clone)]
pub(crate) enum ServerInput {
    Client(Instant, FiveTuple, Vec<u8>),
    Closed(Instant, FiveTuple),
    Peer(Instant, SocketAddr, SocketAddr, Vec<u8>),
    Timeout(Instant),
}

pub(crate) enum ServerEffect {
    ToClient(FiveTuple, Vec<u8>),
    ToPeer(SocketAddr, SocketAddr, Vec<u8>),
    Wait(Option<Instant>),
}

impl Core for ServerCore {
    /// When it begins, and its address.
    type Setup = (Instant, IpAddr);
    type Input = ServerInput;
    type Effect = ServerEffect;

    fn make((now, address): &(Instant, IpAddr)) -> Self {
        let users = Credentials::new().with_user("user", "pass");
        let registry = Arc::new(Registry::new());
        let mut config = ServerConfig::new("example.org", users, NonceKey::new([7; 32]), registry);
        config.relay_addresses = vec![RelayAddress {
            local: *address,
            advertised: *address,
        }];
        // The addresses of documentation are what the virtual internet is made of.
        config.peers.allow = ["198.51.100.0/24", "203.0.113.0/24"]
            .map(|cidr| cidr.parse().unwrap())
            .into();
        let epoch = Epoch::new(*now, secs(1_700_000_000));
        Self {
            server: Server::new(config, epoch, [2; 32]),
            bound: BTreeSet::new(),
        }
    }

    fn play(&mut self, input: &ServerInput) -> Vec<ServerEffect> {
        let mut effects = Vec::new();
        let (now, relay) = match input {
            ServerInput::Client(now, path, bytes) => {
                (*now, self.server.handle_client(*now, *path, bytes))
            }
            ServerInput::Peer(now, relayed, peer, bytes) if self.bound.contains(relayed) => {
                (*now, self.server.handle_peer(*now, *relayed, *peer, bytes))
            }
            ServerInput::Peer(now, ..) => (*now, None),
            ServerInput::Closed(now, path) => {
                self.server.handle_client_closed(*now, *path);
                (*now, None)
            }
            ServerInput::Timeout(now) => {
                self.server.handle_timeout(*now);
                (*now, None)
            }
        };
        effects.extend(relay.map(|relay| relayed(&relay)));
        loop {
            match self.server.poll_output() {
                Output::Transmit(transmit) => {
                    effects.push(ServerEffect::ToClient(transmit.path, transmit.bytes));
                }
                Output::Bind { id, local } => {
                    self.bound.insert(local);
                    self.server.handle_bound(now, id, Ok(local));
                }
                Output::Unbind(local) => {
                    self.bound.remove(&local);
                }
                Output::Event(_) => {}
                Output::Wait(next) => {
                    effects.push(ServerEffect::Wait(next));
                    return effects;
                }
            }
        }
    }
}

fn relayed(relay: &Relay<'_>) -> ServerEffect {
    match relay {
        Relay::ToPeer {
            relayed,
            peer,
            payload,
            ..
        } => ServerEffect::ToPeer(*relayed, *peer, payload.to_vec()),
        Relay::ToClient {
            path,
            header,
            payload,
            padding,
        } => {
            let padding = vec![0; usize::from(*padding)];
            let message = [header.as_bytes(), payload, &padding].concat();
            ServerEffect::ToClient(*path, message)
        }
    }
}

/// The program that drives the core, at port 3478 by UDP, and by TCP there and at 443.
#[derive(Debug, Clone)]
pub(crate) struct TurnHost {
    core: Replayed<ServerCore>,
    next: Option<Instant>,
    connections: BTreeMap<ConnectionId, Connection>,
    by_path: BTreeMap<FiveTuple, ConnectionId>,
    outbox: VecDeque<Datagram>,
}

#[derive(Debug, Clone)]
struct Connection {
    path: FiveTuple,
    unread: Vec<u8>,
    unsent: Vec<u8>,
}

impl TurnHost {
    pub(crate) fn new(now: Instant, address: IpAddr) -> Self {
        Self {
            core: Replayed::new((now, address)),
            next: None,
            connections: BTreeMap::new(),
            by_path: BTreeMap::new(),
            outbox: VecDeque::new(),
        }
    }

    /// Returns how many allocations there are, by the relay sockets that are bound.
    pub(crate) fn allocations(&self) -> usize {
        self.core.core().bound.len()
    }

    fn play(&mut self, now: Instant, stack: &mut Stack, input: ServerInput) {
        for effect in self.core.play(input) {
            match effect {
                ServerEffect::ToClient(path, bytes) if path.transport == Transport::Udp => {
                    self.post(path.local, path.remote, bytes);
                }
                ServerEffect::ToClient(path, bytes) => {
                    if let Some(id) = self.by_path.get(&path).copied() {
                        self.connections.get_mut(&id).unwrap().unsent.extend(bytes);
                        self.flush(now, stack, id);
                    }
                }
                ServerEffect::ToPeer(relayed, peer, bytes) => self.post(relayed, peer, bytes),
                ServerEffect::Wait(next) => self.next = next,
            }
        }
    }

    fn post(&mut self, source: SocketAddr, destination: SocketAddr, data: Vec<u8>) {
        self.outbox.push_back(Datagram {
            source,
            destination,
            data,
        });
    }

    fn flush(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            let sent = stack.send(now, id, &connection.unsent);
            connection.unsent.drain(..sent);
        }
    }

    fn read(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId) {
        let data = stack.recv(now, id, 100_000);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.unread.extend(data);
        let path = connection.path;
        while let Some(message) = self.next_message(id) {
            self.play(now, stack, ServerInput::Client(now, path, message));
        }
    }

    fn next_message(&mut self, id: ConnectionId) -> Option<Vec<u8>> {
        let unread = &mut self.connections.get_mut(&id)?.unread;
        let length = message_length(unread, MAX_MESSAGE).unwrap()?;
        (unread.len() >= length).then(|| unread.drain(..length).collect())
    }

    fn end(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId) {
        if let Some(connection) = self.connections.remove(&id) {
            self.by_path.remove(&connection.path);
            self.play(now, stack, ServerInput::Closed(now, connection.path));
        }
    }
}

impl TcpProgram for TurnHost {
    fn start(&mut self, _now: Instant, stack: &mut Stack) {
        stack.listen(3478);
        stack.listen(443);
    }

    fn handle_event(&mut self, now: Instant, stack: &mut Stack, event: Event) {
        match event {
            Event::Connected {
                id, local, remote, ..
            } => {
                let path = FiveTuple {
                    transport: Transport::Tcp,
                    local,
                    remote,
                };
                let connection = Connection {
                    path,
                    unread: Vec::new(),
                    unsent: Vec::new(),
                };
                self.connections.insert(id, connection);
                self.by_path.insert(path, id);
            }
            Event::Data(id) => self.read(now, stack, id),
            Event::Writable(id) => self.flush(now, stack, id),
            Event::Finished(id) => {
                self.end(now, stack, id);
                stack.close(now, id);
            }
            Event::Closed(id) | Event::Reset(id, _) => self.end(now, stack, id),
        }
    }

    fn handle_datagram(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        source: SocketAddr,
        destination: SocketAddr,
        data: &[u8],
    ) {
        let input = if destination.port() == 3478 {
            let path = FiveTuple {
                transport: Transport::Udp,
                local: destination,
                remote: source,
            };
            ServerInput::Client(now, path, data.to_vec())
        } else {
            ServerInput::Peer(now, destination, source, data.to_vec())
        };
        self.play(now, stack, input);
    }

    fn handle_timeout(&mut self, now: Instant, stack: &mut Stack) {
        self.play(now, stack, ServerInput::Timeout(now));
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.next
    }

    fn poll_transmit(&mut self) -> Option<Datagram> {
        self.outbox.pop_front()
    }
}
