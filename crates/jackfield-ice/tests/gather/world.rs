//! A gatherer, servers, and what is between them, in memory.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_ice::gather::{
    Event, GatherConfig, Gatherer, GatheringError, Handled, IceServer, Output,
};
use jackfield_sansio::{Epoch, FiveTuple, Transmit, Transport};
use jackfield_testing::epoch;
use jackfield_turn::client::Credential;
use jackfield_turn::{Credentials, NonceKey, Registry, Relay, RelayAddress, Server, ServerConfig};

pub(crate) const LOCAL: &str = "192.168.1.2:50000";
pub(crate) const OUTSIDE: &str = "203.0.113.5:4000";
pub(crate) const SERVER: &str = "198.51.100.1:3478";
pub(crate) const OTHER_SERVER: &str = "198.51.100.2:3478";
pub(crate) const PEER: &str = "198.41.0.4:9000";

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn stun(server: &str) -> IceServer {
    IceServer::stun(address(server))
}

pub(crate) fn turn(transport: Transport) -> IceServer {
    let credential = Credential::new("user", "pass").unwrap();
    IceServer::turn(transport, address(SERVER), credential)
}

pub(crate) fn config(servers: &[IceServer]) -> GatherConfig {
    GatherConfig {
        servers: servers.iter().cloned().collect(),
        ..GatherConfig::default()
    }
}

/// All of it; a packet takes 10 ms to a server and back.
pub(crate) struct World {
    pub(crate) gatherer: Gatherer,
    pub(crate) now: Instant,
    pub(crate) start: Instant,
    pub(crate) events: Vec<(Duration, Event)>,
    /// Where packets from a local address come from, for servers; as they are if it is not here.
    pub(crate) nat: BTreeMap<SocketAddr, SocketAddr>,
    /// Servers that do not answer, by transport and address.
    pub(crate) silent: BTreeSet<(Transport, SocketAddr)>,
    /// What becomes of the servers' answers.
    pub(crate) answers: Answers,
    /// What was sent: when, and what.
    pub(crate) sent: Vec<(Duration, Transmit)>,
    /// Connections that are asked for: the outputs.
    pub(crate) connects: Vec<(Duration, Output)>,
    pub(crate) closed: Vec<FiveTuple>,
    /// What reached peers.
    pub(crate) at_peers: VecDeque<(SocketAddr, SocketAddr, Vec<u8>)>,
    /// How many allocations the servers have.
    pub(crate) allocations: usize,
    servers: BTreeMap<SocketAddr, Server>,
    /// The packets on their way to the gatherer.
    wire: VecDeque<(Instant, FiveTuple, Vec<u8>)>,
    /// The packets of a stream that stalls.
    held: Vec<(FiveTuple, Vec<u8>)>,
    next_port: u16,
}

/// What becomes of the answers of servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    /// They arrive after 10 ms.
    Pass,
    /// They are lost.
    Lost,
    /// They arrive after [`World::release`], as those of a stream that stalls.
    Held,
}

impl World {
    pub(crate) fn new(config: GatherConfig) -> Self {
        let now = epoch();
        let mut world = Self {
            gatherer: Gatherer::new(config, now, [1; 32]),
            now,
            start: now,
            events: Vec::new(),
            nat: BTreeMap::new(),
            silent: BTreeSet::new(),
            answers: Answers::Pass,
            sent: Vec::new(),
            connects: Vec::new(),
            closed: Vec::new(),
            at_peers: VecDeque::new(),
            allocations: 0,
            servers: BTreeMap::new(),
            wire: VecDeque::new(),
            held: Vec::new(),
            next_port: 60_000,
        };
        world.nat.insert(address(LOCAL), address(OUTSIDE));
        for server in [SERVER, OTHER_SERVER] {
            world.serve(address(server));
        }
        world
    }

    /// Returns a world in which the servers were asked from one socket, and have answered.
    pub(crate) fn gathered(config: GatherConfig) -> Self {
        let mut world = Self::new(config);
        world.add(LOCAL);
        world.gatherer.end_of_sockets(world.now);
        world.pass(secs(1));
        world
    }

    /// Starts a server, in place of an earlier one of its address.
    pub(crate) fn serve(&mut self, server: SocketAddr) {
        let users = Credentials::new().with_user("user", "pass");
        let registry = Arc::new(Registry::new());
        let mut config = ServerConfig::new("example.org", users, NonceKey::new([7; 32]), registry);
        let pair = |ip| RelayAddress {
            local: ip,
            advertised: ip,
        };
        let v6 = "2001:db8::1".parse().unwrap();
        config.relay_addresses = vec![pair(server.ip()), pair(v6)];
        let epoch = Epoch::new(self.now, secs(1_700_000_000));
        self.servers
            .insert(server, Server::new(config, epoch, [2; 32]));
    }

    pub(crate) fn add(&mut self, local: &str) {
        self.gatherer.add_socket(self.now, address(local));
        self.settle();
    }

    pub(crate) fn events(&self) -> Vec<&Event> {
        self.events.iter().map(|(_, event)| event).collect()
    }

    pub(crate) fn errors(&self) -> Vec<&GatheringError> {
        let events = self.events.iter().map(|(_, event)| event);
        events
            .filter_map(|event| match event {
                Event::Error(error) => Some(error),
                _ => None,
            })
            .collect()
    }

    /// Returns when gathering was complete.
    pub(crate) fn completed(&self) -> Option<Duration> {
        let is_complete = |(_, event): &&(Duration, Event)| *event == Event::Complete;
        self.events.iter().find(is_complete).map(|(at, _)| *at)
    }

    /// Returns the relayed addresses that were told of.
    pub(crate) fn relayed(&self) -> Vec<SocketAddr> {
        let of_event = |event| match event {
            &Event::Relayed { address, .. } => Some(address),
            _ => None,
        };
        self.events().into_iter().filter_map(of_event).collect()
    }

    /// Answers the connection that was asked for last; returns its path.
    pub(crate) fn connected(&mut self) -> FiveTuple {
        let (_, output) = self.connects.last().unwrap();
        let Output::Connect {
            id,
            transport,
            local,
            remote,
            ..
        } = output.clone()
        else {
            panic!("not a connection");
        };
        self.next_port += 1;
        let path = FiveTuple {
            transport,
            local: SocketAddr::new(local, self.next_port),
            remote,
        };
        assert!(self.gatherer.handle_connected(self.now, id, path));
        self.settle();
        path
    }

    /// Does all that is wanted now.
    pub(crate) fn settle(&mut self) -> Option<Instant> {
        loop {
            let at = self.now - self.start;
            match self.gatherer.poll_output() {
                Output::Transmit(transmit) => {
                    self.sent.push((at, transmit.clone()));
                    self.deliver(&transmit);
                }
                output @ Output::Connect { .. } => self.connects.push((at, output)),
                Output::Close(path) => self.closed.push(path),
                Output::Event(event) => self.events.push((at, event)),
                Output::Wait(until) => return until,
            }
        }
    }

    /// Lets time pass, doing on the way what falls due.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut steps = 0;
        loop {
            let gatherer = self.settle();
            let servers = self.drain_servers();
            let packet = self.wire.front().map(|(at, ..)| *at);
            let next = [gatherer, servers, packet].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            steps += 1;
            assert!(steps < 100_000, "no end of work at one instant");
            self.now = self.now.max(next);
            while self.wire.front().is_some_and(|(at, ..)| *at <= self.now) {
                let (_, path, bytes) = self.wire.pop_front().unwrap();
                self.gatherer.handle_datagram(self.now, path, &bytes);
                self.settle();
            }
            self.gatherer.handle_timeout(self.now);
            for server in self.servers.values_mut() {
                server.handle_timeout(self.now);
            }
        }
        self.now = end;
    }

    /// Lets go what was held.
    pub(crate) fn release(&mut self) {
        self.answers = Answers::Pass;
        let at = self.now + millis(10);
        let held = std::mem::take(&mut self.held).into_iter();
        self.wire
            .extend(held.map(|(path, bytes)| (at, path, bytes)));
    }

    /// Sends data to a peer from a relayed address.
    pub(crate) fn send(&mut self, relayed: SocketAddr, peer: &str, payload: &[u8]) {
        let sent = self
            .gatherer
            .send(self.now, relayed, address(peer), payload)
            .unwrap();
        if let Some((path, outgoing)) = sent {
            let mut bytes = outgoing.header.as_bytes().to_vec();
            bytes.extend_from_slice(outgoing.payload);
            bytes.resize(bytes.len() + usize::from(outgoing.padding), 0);
            self.deliver(&Transmit { path, bytes });
        }
        self.settle();
    }

    /// Sends data from a peer to a relayed address; returns what the gatherer makes of it.
    pub(crate) fn hear(
        &mut self,
        relayed: SocketAddr,
        peer: &str,
        payload: &[u8],
    ) -> Option<(SocketAddr, SocketAddr, Vec<u8>)> {
        let server = self.servers.get_mut(&address(SERVER))?;
        let relay = server.handle_peer(self.now, relayed, address(peer), payload);
        let Some(Relay::ToClient {
            path,
            header,
            payload,
            padding,
        }) = relay
        else {
            return None;
        };
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(payload);
        bytes.resize(bytes.len() + usize::from(padding), 0);
        let path = inside(&self.nat, path);
        let Handled::Data {
            relayed,
            peer,
            data,
        } = self.gatherer.handle_datagram(self.now, path, &bytes)
        else {
            return None;
        };
        assert!(bytes.as_ptr_range().contains(&data.as_ptr()), "no copy");
        Some((relayed, peer, data.to_vec()))
    }

    fn deliver(&mut self, transmit: &Transmit) {
        let path = transmit.path;
        if self.silent.contains(&(path.transport, path.remote)) {
            return;
        }
        let Some(server) = self.servers.get_mut(&path.remote) else {
            return;
        };
        let outside = FiveTuple {
            transport: path.transport,
            local: path.remote,
            remote: *self.nat.get(&path.local).unwrap_or(&path.local),
        };
        if let Some(Relay::ToPeer {
            relayed,
            peer,
            payload,
            ..
        }) = server.handle_client(self.now, outside, &transmit.bytes)
        {
            self.at_peers.push_back((relayed, peer, payload.to_vec()));
        }
        self.drain_servers();
    }

    fn drain_servers(&mut self) -> Option<Instant> {
        let mut next = None;
        for server in self.servers.values_mut() {
            loop {
                match server.poll_output() {
                    jackfield_turn::Output::Transmit(transmit) => {
                        let path = inside(&self.nat, transmit.path);
                        let at = self.now + millis(10);
                        match self.answers {
                            Answers::Pass => self.wire.push_back((at, path, transmit.bytes)),
                            Answers::Lost => {}
                            Answers::Held => self.held.push((path, transmit.bytes)),
                        }
                    }
                    jackfield_turn::Output::Bind { id, local } => {
                        server.handle_bound(self.now, id, Ok(local));
                    }
                    jackfield_turn::Output::Event(jackfield_turn::Event::Allocated { .. }) => {
                        self.allocations += 1;
                    }
                    jackfield_turn::Output::Event(jackfield_turn::Event::Deallocated {
                        ..
                    }) => {
                        self.allocations -= 1;
                    }
                    jackfield_turn::Output::Unbind(_) | jackfield_turn::Output::Event(_) => {}
                    jackfield_turn::Output::Wait(until) => {
                        next = [next, until].into_iter().flatten().min();
                        break;
                    }
                }
            }
        }
        next
    }
}

/// Returns a server's path to its client, seen from the client.
fn inside(nat: &BTreeMap<SocketAddr, SocketAddr>, path: FiveTuple) -> FiveTuple {
    let is_outside = |(_, outside): &(&SocketAddr, &SocketAddr)| **outside == path.remote;
    let local = nat.iter().find(is_outside).map(|(local, _)| *local);
    FiveTuple {
        transport: path.transport,
        local: local.unwrap_or(path.remote),
        remote: path.local,
    }
}
