//! Two agents, the path between them, and the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_ice::gather::IceServer;
use jackfield_ice::{
    Agent, AgentConfig, Candidate, ConnectionId, Event, Output, Role, SelectedPair, State,
};
use jackfield_sansio::{Epoch, FiveTuple, Transport};
use jackfield_testing::{SplitMix64, epoch};
use jackfield_turn::client::Credential;
use jackfield_turn::{Credentials, NonceKey, Registry, Relay, RelayAddress, Server, ServerConfig};

/// The two agents.
pub(crate) const LEFT: usize = 0;
pub(crate) const RIGHT: usize = 1;

/// Two agents and what is between them.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) start: Instant,
    pub(crate) peers: [Peer; 2],
    queue: BTreeMap<(Instant, u64), Delivery>,
    queued: u64,
    /// How long a packet travels one way.
    pub(crate) delay: Duration,
    /// How long signaling takes one way.
    pub(crate) signaling: Duration,
    /// How much longer datagrams of an IP address travel, whichever way they go.
    pub(crate) slow: BTreeMap<IpAddr, Duration>,
    /// Whether hosts take connections that they have not asked for themselves.
    pub(crate) incoming_tcp: bool,
    /// Connections that one side has asked for, and the other side's firewall has dropped.
    pending: BTreeMap<(SocketAddr, SocketAddr), (usize, ConnectionId)>,
    /// Of a hundred packets, how many are lost.
    pub(crate) loss: usize,
    /// Whether datagrams pass.
    pub(crate) udp: bool,
    /// Whether candidates are signaled as they come.
    pub(crate) trickle: bool,
    random: SplitMix64,
    /// Pairs of addresses between which no datagram passes.
    pub(crate) cut: BTreeSet<(IpAddr, IpAddr)>,
    /// The STUN and TURN server, at [`SERVER`].
    server: Server,
    server_deadline: Option<Instant>,
    /// Paths of TCP connections that are open, as both ends see them.
    streams: BTreeMap<FiveTuple, FiveTuple>,
    /// Paths of TCP connections to the server that carry nothing any more, as the client sees them.
    pub(crate) silent: BTreeSet<FiveTuple>,
    next_port: u16,
}

/// One agent and its NAT.
pub(crate) struct Peer {
    pub(crate) agent: Agent,
    /// The outside address of the NAT, if there is one: endpoint-independent mapping, address- and
    /// port-dependent filtering.
    pub(crate) nat: Option<IpAddr>,
    mappings: BTreeMap<SocketAddr, SocketAddr>,
    contacted: BTreeSet<(SocketAddr, SocketAddr)>,
    pub(crate) events: Vec<(Duration, Event)>,
    pub(crate) data: Vec<(Duration, Vec<u8>)>,
    pub(crate) sent: u64,
    pub(crate) names: Vec<String>,
    /// Candidates that wait to be signaled.
    candidates: Vec<Candidate>,
    deadline: Option<Instant>,
    sockets: BTreeSet<SocketAddr>,
}

enum Delivery {
    /// To the server, from one of its clients.
    Client(FiveTuple, Vec<u8>),
    /// To a relayed address, from anywhere.
    Relayed(SocketAddr, SocketAddr, Vec<u8>),
    Packet(usize, FiveTuple, Vec<u8>),
    Candidate(usize, Candidate),
    RemovedCandidate(usize, Candidate),
    EndOfCandidates(usize),
    Accepted(usize, FiveTuple),
    Connected(usize, ConnectionId, FiveTuple),
    Refused(usize, ConnectionId),
    Closed(usize, FiveTuple),
}

impl World {
    /// Returns two agents without sockets: the left one is controlling.
    pub(crate) fn new() -> Self {
        Self::with(AgentConfig::default(), AgentConfig::default())
    }

    pub(crate) fn with(left: AgentConfig, right: AgentConfig) -> Self {
        let now = epoch();
        let right = AgentConfig {
            role: Role::Controlled,
            ..right
        };
        Self {
            now,
            start: now,
            peers: [Peer::new(left, now, 1), Peer::new(right, now, 2)],
            queue: BTreeMap::new(),
            queued: 0,
            delay: Duration::from_millis(50),
            signaling: Duration::ZERO,
            slow: BTreeMap::new(),
            incoming_tcp: true,
            pending: BTreeMap::new(),
            loss: 0,
            udp: true,
            trickle: true,
            random: SplitMix64::new(5),
            cut: BTreeSet::new(),
            server: server(now),
            server_deadline: None,
            streams: BTreeMap::new(),
            silent: BTreeSet::new(),
            next_port: 50_000,
        }
    }

    /// Returns two agents with one socket each that reach each other.
    pub(crate) fn direct() -> Self {
        let mut world = Self::new();
        world.add_socket(LEFT, "192.0.2.1:1000");
        world.add_socket(RIGHT, "198.51.100.1:2000");
        world
    }

    pub(crate) fn add_socket(&mut self, peer: usize, address: &str) {
        let now = self.now;
        self.peers[peer].sockets.insert(address.parse().unwrap());
        self.peers[peer]
            .agent
            .add_socket(now, address.parse().unwrap());
        self.drain(peer);
    }

    pub(crate) fn add_address(&mut self, peer: usize, address: &str) {
        let (now, ip) = (self.now, address.parse().unwrap());
        // The server's messages over TCP find their way back by it.
        self.peers[peer].sockets.insert(SocketAddr::new(ip, 0));
        self.peers[peer].agent.add_address(now, ip);
        self.drain(peer);
    }

    pub(crate) fn add_listener(&mut self, peer: usize, address: &str) {
        let now = self.now;
        self.peers[peer]
            .agent
            .add_listener(now, address.parse().unwrap());
        self.drain(peer);
    }

    pub(crate) fn agent(&mut self, peer: usize) -> &mut Agent {
        &mut self.peers[peer].agent
    }

    /// Exchanges the parameters of both, at once.
    pub(crate) fn exchange_parameters(&mut self) {
        let [left, right] =
            [LEFT, RIGHT].map(|peer| self.peers[peer].agent.local_parameters().clone());
        let now = self.now;
        self.agent(LEFT).set_remote_parameters(now, right).unwrap();
        self.agent(RIGHT).set_remote_parameters(now, left).unwrap();
        self.drain(LEFT);
        self.drain(RIGHT);
    }

    /// Gives one side the other's parameters.
    pub(crate) fn set_parameters(&mut self, peer: usize) {
        let theirs = self.peers[1 - peer].agent.local_parameters().clone();
        let now = self.now;
        self.agent(peer).set_remote_parameters(now, theirs).unwrap();
        self.drain(peer);
    }

    /// Tells an agent what its NAT makes of a socket's address.
    pub(crate) fn map(&mut self, peer: usize, inside: &str) {
        let inside: SocketAddr = inside.parse().unwrap();
        let nat = self.peers[peer].nat.unwrap();
        let now = self.now;
        let outside = SocketAddr::new(nat, inside.port());
        self.agent(peer).add_mapped_address(now, inside, outside);
        self.drain(peer);
    }

    /// Exchanges parameters, and says that neither side has more sockets.
    pub(crate) fn connect(&mut self) {
        self.exchange_parameters();
        for peer in [LEFT, RIGHT] {
            let now = self.now;
            self.agent(peer).end_of_sockets(now);
            self.drain(peer);
        }
    }

    /// Advances the clock until a condition holds.
    ///
    /// # Panics
    /// When it does not within `limit`.
    pub(crate) fn run_until(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> Duration {
        let end = self.now + limit;
        while !done(self) {
            assert!(self.step(end), "not within {limit:?}");
        }
        self.elapsed()
    }

    /// Advances the clock.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Does what comes next, unless that is after `end`.
    fn step(&mut self, end: Instant) -> bool {
        let packet = self.queue.keys().next().map(|(at, _)| *at);
        let timers = self.peers.iter().map(|peer| peer.deadline);
        let timers = timers.chain([self.server_deadline]).flatten().min();
        let Some(next) = [packet, timers].into_iter().flatten().min() else {
            return false;
        };
        if next > end {
            return false;
        }
        self.now = self.now.max(next);
        if packet == Some(next) {
            let (_, delivery) = self.queue.pop_first().unwrap();
            self.deliver(delivery);
            return true;
        }
        if self.server_deadline.is_some_and(|at| at <= self.now) {
            self.server.handle_timeout(self.now);
            self.drain_server();
        }
        for peer in [LEFT, RIGHT] {
            if self.peers[peer].deadline.is_some_and(|at| at <= self.now) {
                let now = self.now;
                self.agent(peer).handle_timeout(now);
                self.drain(peer);
                let deadline = self.peers[peer].deadline;
                assert!(
                    deadline.is_none_or(|at| at > now),
                    "an agent wants to be woken at once"
                );
            }
        }
        true
    }

    fn deliver(&mut self, delivery: Delivery) {
        let now = self.now;
        let peer = match delivery {
            Delivery::Client(path, bytes) => {
                let relay = self.server.handle_client(now, path, &bytes);
                let relay = relay.and_then(|relay| to_peer(relay));
                if let Some((relayed, peer, payload)) = relay {
                    self.forward(relayed, peer, payload);
                }
                return self.drain_server();
            }
            Delivery::Relayed(source, relayed, bytes) => {
                let relay = self.server.handle_peer(now, relayed, source, &bytes);
                if let Some((path, bytes)) = relay.and_then(|relay| to_client(relay)) {
                    self.answer(path, bytes);
                }
                return self.drain_server();
            }
            Delivery::Packet(peer, path, bytes) => {
                if !self.peers[peer].lets_in(path) {
                    return;
                }
                let at = self.elapsed();
                let data = self.agent(peer).handle_datagram(now, path, &bytes);
                let data = data.map(<[u8]>::to_vec);
                self.peers[peer].data.extend(data.map(|data| (at, data)));
                peer
            }
            Delivery::Candidate(peer, candidate) => {
                let _ = self.agent(peer).add_remote_candidate(now, candidate);
                peer
            }
            Delivery::RemovedCandidate(peer, candidate) => {
                self.agent(peer).remove_remote_candidate(now, &candidate);
                peer
            }
            Delivery::EndOfCandidates(peer) => {
                self.agent(peer).end_of_remote_candidates(now);
                peer
            }
            Delivery::Accepted(peer, path) => {
                self.agent(peer).handle_accepted(now, path);
                peer
            }
            Delivery::Connected(peer, id, path) => {
                self.agent(peer).handle_connected(now, id, path);
                peer
            }
            Delivery::Refused(peer, id) => {
                self.agent(peer).handle_connect_failed(now, id);
                peer
            }
            Delivery::Closed(peer, path) => {
                self.agent(peer).handle_closed(now, path);
                peer
            }
        };
        self.drain(peer);
    }

    /// Does what an agent wants.
    pub(crate) fn drain(&mut self, peer: usize) {
        loop {
            match self.agent(peer).poll_output() {
                Output::Transmit(transmit) => self.route(peer, transmit.path, transmit.bytes),
                Output::Connect {
                    id, local, remote, ..
                } => self.open(peer, id, local, remote),
                Output::Close(path) => {
                    if let Some(theirs) = self.streams.remove(&path) {
                        self.streams.remove(&theirs);
                        self.enqueue(self.delay, Delivery::Closed(1 - peer, theirs));
                    }
                }
                Output::Resolve(name) => self.peers[peer].names.push(name),
                Output::Event(event) => self.event(peer, event),
                Output::Wait(deadline) => {
                    self.peers[peer].deadline = deadline;
                    return;
                }
            }
        }
    }

    fn event(&mut self, peer: usize, event: Event) {
        let other = 1 - peer;
        match &event {
            Event::LocalCandidate(candidate) if self.trickle => {
                self.enqueue(
                    self.signaling,
                    Delivery::Candidate(other, candidate.clone()),
                );
            }
            Event::LocalCandidate(candidate) => self.peers[peer].candidates.push(candidate.clone()),
            Event::LocalCandidateRemoved(candidate) => {
                let removed = Delivery::RemovedCandidate(other, candidate.clone());
                self.enqueue(self.signaling, removed);
            }
            Event::GatheringComplete if self.trickle => {
                self.enqueue(self.signaling, Delivery::EndOfCandidates(other));
            }
            _ => {}
        }
        let at = self.elapsed();
        self.peers[peer].events.push((at, event));
    }

    /// Signals the candidates that have waited.
    pub(crate) fn signal_candidates(&mut self, peer: usize) {
        for candidate in std::mem::take(&mut self.peers[peer].candidates) {
            self.enqueue(self.signaling, Delivery::Candidate(1 - peer, candidate));
        }
    }

    /// Signals all candidates that an agent has.
    pub(crate) fn signal_all(&mut self, peer: usize) {
        for candidate in self.candidates_of(peer) {
            self.enqueue(self.signaling, Delivery::Candidate(1 - peer, candidate));
        }
    }

    /// Returns every candidate that an agent has told of.
    pub(crate) fn candidates_of(&self, peer: usize) -> Vec<Candidate> {
        let local = |(_, event): &(Duration, Event)| match event {
            Event::LocalCandidate(candidate) => Some(candidate.clone()),
            _ => None,
        };
        self.peers[peer].events.iter().filter_map(local).collect()
    }

    /// Makes two agents anew that begin in one role, with the sockets of `World::direct`.
    pub(crate) fn set_role(&mut self, role: Role) {
        let config = AgentConfig {
            role,
            ..AgentConfig::default()
        };
        let now = self.now;
        self.queue.clear();
        self.peers = [1, 2].map(|seed| Peer::new(config.clone(), now, seed));
        self.add_socket(LEFT, "192.0.2.1:1000");
        self.add_socket(RIGHT, "198.51.100.1:2000");
    }

    /// Returns whether an agent has asked for a restart.
    pub(crate) fn asked_restart(&self, peer: usize) -> bool {
        let asked = |(_, event): &(Duration, Event)| *event == Event::RestartNeeded;
        self.peers[peer].events.iter().any(asked)
    }

    pub(crate) fn enqueue_packet(&mut self, peer: usize, path: FiveTuple, bytes: Vec<u8>) {
        self.enqueue(Duration::ZERO, Delivery::Packet(peer, path, bytes));
    }

    fn enqueue(&mut self, after: Duration, delivery: Delivery) {
        self.queued += 1;
        self.queue.insert((self.now + after, self.queued), delivery);
    }

    /// Sends a packet of one side through its NAT and the other's.
    fn route(&mut self, peer: usize, path: FiveTuple, bytes: Vec<u8>) {
        self.peers[peer].sent += 1;
        if path.transport == Transport::Tcp && path.remote.ip() == server_ip() {
            if self.silent.contains(&path) {
                return;
            }
            let path = turned(path, path.local);
            return self.enqueue(self.delay, Delivery::Client(path, bytes));
        }
        if path.transport == Transport::Tcp {
            if let Some(theirs) = self.streams.get(&path).copied() {
                self.enqueue(self.delay, Delivery::Packet(1 - peer, theirs, bytes));
            }
            return;
        }
        let source = self.peers[peer].outbound(path.local, path.remote);
        let is_cut = self.cut.contains(&(path.local.ip(), path.remote.ip()));
        let is_lost = self.random.below(100) < self.loss;
        if !self.udp || is_cut || is_lost {
            return;
        }
        if path.remote == SERVER.parse().unwrap() {
            let path = turned(path, source);
            self.enqueue(self.delay, Delivery::Client(path, bytes));
        } else {
            self.forward(source, path.remote, bytes);
        }
    }

    /// Sends a packet on from an outside address to another one.
    fn forward(&mut self, source: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        if to.ip() == server_ip() {
            return self.enqueue(self.delay, Delivery::Relayed(source, to, bytes));
        }
        // The other side's filter sees the packet when it arrives.
        for peer in [LEFT, RIGHT] {
            if let Some(local) = self.peers[peer].inside(to) {
                let path = FiveTuple {
                    transport: Transport::Udp,
                    local,
                    remote: source,
                };
                let slow = [local, source].map(|end| self.slow.get(&end.ip()).copied());
                let delay = self.delay + slow.into_iter().flatten().max().unwrap_or_default();
                self.enqueue(delay, Delivery::Packet(peer, path, bytes.clone()));
            }
        }
    }

    /// Sends a message of the server to its client.
    fn answer(&mut self, path: FiveTuple, bytes: Vec<u8>) {
        if path.transport == Transport::Udp {
            if self.udp {
                self.forward(path.local, path.remote, bytes);
            }
            return;
        }
        for peer in [LEFT, RIGHT] {
            if self.peers[peer]
                .sockets
                .iter()
                .any(|it| it.ip() == path.remote.ip())
            {
                let path = turned(path, path.local);
                if !self.silent.contains(&path) {
                    self.enqueue(self.delay, Delivery::Packet(peer, path, bytes.clone()));
                }
            }
        }
    }

    fn drain_server(&mut self) {
        loop {
            match self.server.poll_output() {
                jackfield_turn::Output::Transmit(transmit) => {
                    self.answer(transmit.path, transmit.bytes);
                }
                jackfield_turn::Output::Bind { id, local } => {
                    let now = self.now;
                    self.server.handle_bound(now, id, Ok(local));
                }
                jackfield_turn::Output::Unbind(_) | jackfield_turn::Output::Event(_) => {}
                jackfield_turn::Output::Wait(until) => {
                    self.server_deadline = until;
                    return;
                }
            }
        }
    }

    /// Opens a TCP connection: one round trip.
    fn open(
        &mut self,
        peer: usize,
        id: ConnectionId,
        local: Option<SocketAddr>,
        remote: SocketAddr,
    ) {
        let mut local = local.unwrap();
        if local.port() == 0 {
            self.next_port += 1;
            local.set_port(self.next_port);
        }
        if remote == SERVER.parse().unwrap() {
            let path = FiveTuple {
                transport: Transport::Tcp,
                local,
                remote,
            };
            return self.enqueue(2 * self.delay, Delivery::Connected(peer, id, path));
        }
        let other = 1 - peer;
        let tcp = |local, remote| FiveTuple {
            transport: Transport::Tcp,
            local,
            remote,
        };
        if !self.incoming_tcp {
            // Each SYN opens the own firewall for the other one.
            let Some((first, first_id)) = self.pending.remove(&(remote, local)) else {
                self.pending.insert((local, remote), (peer, id));
                return;
            };
            let (ours, theirs) = (tcp(local, remote), tcp(remote, local));
            self.streams.insert(ours, theirs);
            self.streams.insert(theirs, ours);
            self.enqueue(2 * self.delay, Delivery::Connected(peer, id, ours));
            self.enqueue(2 * self.delay, Delivery::Connected(first, first_id, theirs));
            return;
        }
        let is_listening = self.peers[other].listeners().contains(&remote);
        if !is_listening {
            self.enqueue(2 * self.delay, Delivery::Refused(peer, id));
            return;
        }
        let (ours, theirs) = (tcp(local, remote), tcp(remote, local));
        self.streams.insert(ours, theirs);
        self.streams.insert(theirs, ours);
        self.enqueue(self.delay, Delivery::Accepted(other, theirs));
        self.enqueue(2 * self.delay, Delivery::Connected(peer, id, ours));
    }

    /// Drops all that is sent by the connections there are.
    pub(crate) fn forget_streams(&mut self) {
        self.streams.clear();
    }

    /// Sends application data.
    pub(crate) fn send(&mut self, peer: usize, payload: &[u8]) -> bool {
        let now = self.now;
        let Ok(outgoing) = self.agent(peer).send(now, payload) else {
            return false;
        };
        let path = outgoing.path;
        let mut bytes = outgoing
            .header
            .map_or_else(Vec::new, |header| header.as_bytes().to_vec());
        bytes.extend_from_slice(outgoing.payload);
        bytes.resize(bytes.len() + usize::from(outgoing.padding), 0);
        self.drain(peer);
        self.route(peer, path, bytes);
        true
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.peers
            .iter()
            .all(|peer| peer.agent.state().is_connected())
    }

    pub(crate) fn selected(&self, peer: usize) -> SelectedPair {
        self.peers[peer]
            .agent
            .selected_pair()
            .expect("a selected pair")
    }
}

impl Peer {
    fn new(config: AgentConfig, now: Instant, seed: u8) -> Self {
        Self {
            agent: Agent::new(config, now, [seed; 32]),
            nat: None,
            mappings: BTreeMap::new(),
            contacted: BTreeSet::new(),
            events: Vec::new(),
            data: Vec::new(),
            sent: 0,
            names: Vec::new(),
            candidates: Vec::new(),
            deadline: None,
            sockets: BTreeSet::new(),
        }
    }

    /// Returns where a packet comes from, outside.
    fn outbound(&mut self, local: SocketAddr, remote: SocketAddr) -> SocketAddr {
        let Some(nat) = self.nat else { return local };
        let outside = SocketAddr::new(nat, local.port());
        self.mappings.insert(outside, local);
        self.contacted.insert((local, remote));
        outside
    }

    /// Returns the socket behind an outside address; a packet still has to pass the filter.
    fn inside(&self, to: SocketAddr) -> Option<SocketAddr> {
        match self.nat {
            None => self.sockets.contains(&to).then_some(to),
            Some(_) => self.mappings.get(&to).copied(),
        }
    }

    /// Returns whether the filter lets a packet in.
    fn lets_in(&self, path: FiveTuple) -> bool {
        let is_filtered = self.nat.is_some() && path.transport == Transport::Udp;
        !is_filtered || self.contacted.contains(&(path.local, path.remote))
    }

    fn listeners(&self) -> Vec<SocketAddr> {
        let stats = self.agent.stats();
        let passive = stats.local_candidates.into_iter().filter(|candidate| {
            candidate.transport == jackfield_ice::CandidateTransport::TcpPassive
        });
        passive
            .filter_map(|candidate| candidate.address?.ip())
            .collect()
    }

    pub(crate) fn states(&self) -> Vec<State> {
        let state = |(_, event): &(Duration, Event)| match event {
            Event::StateChanged(state) => Some(*state),
            _ => None,
        };
        self.events.iter().filter_map(state).collect()
    }

    /// Returns when the agent first reached a state.
    pub(crate) fn reached(&self, state: State) -> Option<Duration> {
        let at = self
            .events
            .iter()
            .find(|(_, event)| *event == Event::StateChanged(state));
        at.map(|(at, _)| *at)
    }
}

/// Returns the configuration of an agent that asks the server for a relay.
pub(crate) fn with_relay(transports: &[Transport]) -> AgentConfig {
    let mut config = AgentConfig::default();
    let credential = Credential::new("user", "pass").unwrap();
    let server = |transport: &Transport| {
        IceServer::turn(*transport, SERVER.parse().unwrap(), credential.clone())
    };
    config.gather.servers = transports.iter().map(server).collect();
    config
}

fn server(now: Instant) -> Server {
    let users = Credentials::new().with_user("user", "pass");
    let registry = Arc::new(Registry::new());
    let mut config = ServerConfig::new("example.org", users, NonceKey::new([7; 32]), registry);
    let ip = server_ip();
    config.relay_addresses = vec![RelayAddress {
        local: ip,
        advertised: ip,
    }];
    // By default, a server does not relay to the ranges that the tests' addresses are from.
    config.peers.allow = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"]
        .map(|range| range.parse().unwrap())
        .into();
    Server::new(config, Epoch::new(now, secs(1_700_000_000)), [2; 32])
}

fn server_ip() -> IpAddr {
    let server: SocketAddr = SERVER.parse().unwrap();
    server.ip()
}

/// Returns a path as the other end sees it, whose own end is `local` there.
fn turned(path: FiveTuple, remote: SocketAddr) -> FiveTuple {
    FiveTuple {
        transport: path.transport,
        local: path.remote,
        remote,
    }
}

fn to_peer(relay: Relay<'_>) -> Option<(SocketAddr, SocketAddr, Vec<u8>)> {
    match relay {
        Relay::ToPeer {
            relayed,
            peer,
            payload,
            ..
        } => Some((relayed, peer, payload.to_vec())),
        Relay::ToClient { .. } => None,
    }
}

fn to_client(relay: Relay<'_>) -> Option<(FiveTuple, Vec<u8>)> {
    match relay {
        Relay::ToPeer { .. } => None,
        Relay::ToClient {
            path,
            header,
            payload,
            padding,
        } => {
            let mut bytes = header.as_bytes().to_vec();
            bytes.extend_from_slice(payload);
            bytes.resize(bytes.len() + usize::from(padding), 0);
            Some((path, bytes))
        }
    }
}

/// Where the STUN and TURN server is.
pub(crate) const SERVER: &str = "203.0.113.200:3478";

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
