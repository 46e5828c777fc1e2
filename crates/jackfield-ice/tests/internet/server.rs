//! A machine with a STUN and TURN server: at port 3478 over UDP and TCP, and at port 443 over
//! "TLS", which is modelled as TCP. A firewall of the virtual internet looks at ports alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_internet::{Datagram, TcpProgram};
use jackfield_sansio::{Epoch, FiveTuple, Transport};
use jackfield_stun::framing::{MAX_MESSAGE, message_length};
use jackfield_tcp::{ConnectionId, Event, Stack};
use jackfield_turn::{
    Credentials, NonceKey, Output, Registry, Relay, RelayAddress, Server, ServerConfig,
};

use crate::stream::Stream;

pub(crate) const USER: &str = "user";
pub(crate) const PASSWORD: &str = "pass";
pub(crate) const PORT: u16 = 3478;
pub(crate) const TLS_PORT: u16 = 443;

/// The program that drives the server's core.
#[derive(Debug)]
pub(crate) struct TurnHost {
    server: Server,
    relays: BTreeSet<SocketAddr>,
    next: Option<Instant>,
    streams: BTreeMap<ConnectionId, (FiveTuple, Stream)>,
    by_path: BTreeMap<FiveTuple, ConnectionId>,
    outbox: VecDeque<Datagram>,
}

impl Clone for TurnHost {
    fn clone(&self) -> Self {
        unreachable!("no test here takes snapshots of its world")
    }
}

impl TurnHost {
    pub(crate) fn new(now: Instant, addresses: &[IpAddr]) -> Self {
        let users = Credentials::new().with_user(USER, PASSWORD);
        let registry = Arc::new(Registry::new());
        let mut config = ServerConfig::new("example.org", users, NonceKey::new([7; 32]), registry);
        let relay = |address: &IpAddr| RelayAddress {
            local: *address,
            advertised: *address,
        };
        config.relay_addresses = addresses.iter().map(relay).collect();
        // The addresses of documentation are what the virtual internet is made of.
        config.peers.allow = ["198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"]
            .map(|cidr| cidr.parse().unwrap())
            .into();
        let epoch = Epoch::new(now, Duration::from_secs(1_700_000_000));
        Self {
            server: Server::new(config, epoch, [2; 32]),
            relays: BTreeSet::new(),
            next: None,
            streams: BTreeMap::new(),
            by_path: BTreeMap::new(),
            outbox: VecDeque::new(),
        }
    }

    fn client(&mut self, now: Instant, stack: &mut Stack, path: FiveTuple, bytes: &[u8]) {
        let relay = self.server.handle_client(now, path, bytes).map(take);
        self.deliver(now, stack, relay);
    }

    fn deliver(&mut self, now: Instant, stack: &mut Stack, relay: Option<Effect>) {
        match relay {
            Some(Effect::ToClient(path, bytes)) => self.answer(now, stack, path, bytes),
            Some(Effect::ToPeer(source, destination, data)) => {
                self.post(source, destination, data);
            }
            None => {}
        }
        self.drain(now, stack);
    }

    fn drain(&mut self, now: Instant, stack: &mut Stack) {
        loop {
            match self.server.poll_output() {
                Output::Transmit(transmit) => {
                    self.answer(now, stack, transmit.path, transmit.bytes);
                }
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

    fn answer(&mut self, now: Instant, stack: &mut Stack, path: FiveTuple, bytes: Vec<u8>) {
        if path.transport == Transport::Udp {
            self.post(path.local, path.remote, bytes);
        } else if let Some(id) = self.by_path.get(&path)
            && let Some((_, stream)) = self.streams.get_mut(id)
        {
            stream.write(now, stack, *id, &bytes);
        }
    }

    fn post(&mut self, source: SocketAddr, destination: SocketAddr, data: Vec<u8>) {
        self.outbox.push_back(Datagram {
            source,
            destination,
            data,
        });
    }

    fn read(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId) {
        let Some((path, stream)) = self.streams.get_mut(&id) else {
            return;
        };
        let path = *path;
        stream.read(now, stack, id);
        while let Some(message) = self.next_message(id) {
            self.client(now, stack, path, &message);
        }
    }

    fn next_message(&mut self, id: ConnectionId) -> Option<Vec<u8>> {
        let (_, stream) = self.streams.get_mut(&id)?;
        let length = message_length(&stream.unread, MAX_MESSAGE).unwrap()?;
        stream.take(length)
    }

    fn end(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId) {
        if let Some((path, _)) = self.streams.remove(&id) {
            self.by_path.remove(&path);
            self.server.handle_client_closed(now, path);
            self.drain(now, stack);
        }
    }
}

/// What a relayed packet is to become.
enum Effect {
    ToClient(FiveTuple, Vec<u8>),
    ToPeer(SocketAddr, SocketAddr, Vec<u8>),
}

fn take(relay: Relay<'_>) -> Effect {
    match relay {
        Relay::ToPeer {
            relayed,
            peer,
            payload,
            ..
        } => Effect::ToPeer(relayed, peer, payload.to_vec()),
        Relay::ToClient {
            path,
            header,
            payload,
            padding,
        } => {
            let padding = vec![0; usize::from(padding)];
            let message = [header.as_bytes(), payload, &padding].concat();
            Effect::ToClient(path, message)
        }
    }
}

impl TcpProgram for TurnHost {
    fn start(&mut self, _now: Instant, stack: &mut Stack) {
        stack.listen(PORT);
        stack.listen(TLS_PORT);
    }

    fn handle_event(&mut self, now: Instant, stack: &mut Stack, event: Event) {
        match event {
            Event::Connected {
                id, local, remote, ..
            } => {
                let transport = match local.port() {
                    TLS_PORT => Transport::Tls,
                    _ => Transport::Tcp,
                };
                let path = FiveTuple {
                    transport,
                    local,
                    remote,
                };
                self.streams.insert(id, (path, Stream::default()));
                self.by_path.insert(path, id);
            }
            Event::Data(id) => self.read(now, stack, id),
            Event::Writable(id) => {
                if let Some((_, stream)) = self.streams.get_mut(&id) {
                    stream.flush(now, stack, id);
                }
            }
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
        if destination.port() == PORT {
            let path = FiveTuple {
                transport: Transport::Udp,
                local: destination,
                remote: source,
            };
            self.client(now, stack, path, data);
        } else if self.relays.contains(&destination) {
            let relay = self.server.handle_peer(now, destination, source, data);
            let relay = relay.map(take);
            self.deliver(now, stack, relay);
        }
    }

    fn handle_timeout(&mut self, now: Instant, stack: &mut Stack) {
        self.server.handle_timeout(now);
        self.drain(now, stack);
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.next
    }

    fn poll_transmit(&mut self) -> Option<Datagram> {
        self.outbox.pop_front()
    }
}
