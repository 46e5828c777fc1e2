//! A host with an ICE agent: the driver of the agent in the virtual internet.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use jackfield_ice::framing::{self, first_packet};
use jackfield_ice::{
    Agent, AgentConfig, Candidate, ConnectionId, Event, IceParameters, Output, RemoteCandidateError,
};
use jackfield_internet::{Datagram, TcpProgram};
use jackfield_proxy::{Handshake, Progress, ProxyUrl};
use jackfield_sansio::{FiveTuple, Transport};
use jackfield_stun::framing::{MAX_MESSAGE, message_length};
use jackfield_tcp::{self as tcp, Stack};

use crate::stream::Stream;

/// What a peer is made with.
#[derive(Debug, Clone)]
pub(crate) struct PeerOptions {
    pub(crate) config: AgentConfig,
    pub(crate) seed: [u8; 32],
    /// The port of the UDP socket on each address.
    pub(crate) udp_port: Option<u16>,
    /// The port of the TCP listener on each address.
    pub(crate) tcp_port: Option<u16>,
    /// The proxy for every TCP connection.
    pub(crate) proxy: Option<ProxyUrl>,
}

/// What one side tells the other by signaling.
#[derive(Debug, Clone)]
pub(crate) enum Signal {
    Parameters(IceParameters),
    Candidate(String),
    Removed(String),
    End,
}

/// A host's program.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) agent: Agent,
    options: PeerOptions,
    addresses: Vec<IpAddr>,
    connections: BTreeMap<tcp::ConnectionId, Connection>,
    by_path: BTreeMap<FiveTuple, tcp::ConnectionId>,
    /// UDP sockets that the agent has asked for, for one server each.
    own_sockets: BTreeMap<SocketAddr, FiveTuple>,
    next_port: u16,
    outbox: VecDeque<Datagram>,
    deadline: Option<Instant>,
    /// The addresses of mDNS names.
    pub(crate) names: BTreeMap<String, IpAddr>,
    pub(crate) resolved: Vec<String>,
    /// Whether the program restarts ICE when the agent asks for it.
    pub(crate) restarts: bool,
    /// Whether a firewall on the host drops every datagram, in both directions.
    pub(crate) blocks_udp: bool,
    pub(crate) events: Vec<(Instant, Event)>,
    pub(crate) signals: VecDeque<Signal>,
    /// Why remote candidates were refused.
    pub(crate) refused: Vec<RemoteCandidateError>,
    pub(crate) received: Vec<(Instant, Vec<u8>)>,
    /// What was sent by UDP: when, to which address, which bytes.
    pub(crate) sent: Vec<(Instant, SocketAddr, Vec<u8>)>,
}

#[derive(Debug)]
struct Connection {
    /// The agent's number for it, until it is open.
    id: Option<ConnectionId>,
    path: FiveTuple,
    is_server: bool,
    handshake: Option<(Handshake, Vec<u8>)>,
    stream: Stream,
}

impl Clone for Peer {
    fn clone(&self) -> Self {
        unreachable!("no test here takes snapshots of its world")
    }
}

impl Peer {
    pub(crate) fn new(now: Instant, options: PeerOptions) -> Self {
        Self {
            agent: Agent::new(options.config.clone(), now, options.seed),
            options,
            addresses: Vec::new(),
            connections: BTreeMap::new(),
            by_path: BTreeMap::new(),
            own_sockets: BTreeMap::new(),
            next_port: 60_000,
            outbox: VecDeque::new(),
            deadline: None,
            names: BTreeMap::new(),
            resolved: Vec::new(),
            restarts: false,
            blocks_udp: false,
            events: Vec::new(),
            signals: VecDeque::new(),
            refused: Vec::new(),
            received: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Does something with the agent, and then what the agent wants.
    pub(crate) fn act<R>(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        act: impl FnOnce(&mut Agent) -> R,
    ) -> R {
        let result = act(&mut self.agent);
        self.drain(now, stack);
        result
    }

    /// Takes what the other side signals.
    pub(crate) fn hear(&mut self, now: Instant, stack: &mut Stack, signal: Signal) {
        match signal {
            Signal::Parameters(parameters) => {
                let before = self.agent.local_parameters().clone();
                self.agent.set_remote_parameters(now, parameters).unwrap();
                // A restart of the other side has restarted this one, too.
                let after = self.agent.local_parameters().clone();
                if before.credentials != after.credentials {
                    self.signals.push_back(Signal::Parameters(after));
                }
            }
            Signal::Candidate(text) => {
                let candidate: Candidate = text.parse().unwrap();
                if let Err(error) = self.agent.add_remote_candidate(now, candidate) {
                    self.refused.push(error);
                }
            }
            Signal::Removed(text) => {
                let candidate: Candidate = text.parse().unwrap();
                self.agent.remove_remote_candidate(now, &candidate);
            }
            Signal::End => self.agent.end_of_remote_candidates(now),
        }
        self.drain(now, stack);
    }

    /// Sends data along the selected pair; returns whether there is one.
    pub(crate) fn send(&mut self, now: Instant, stack: &mut Stack, payload: &[u8]) -> bool {
        let Ok(outgoing) = self.agent.send(now, payload) else {
            return false;
        };
        let path = outgoing.path;
        let header = outgoing.header.as_ref().map(|it| it.as_bytes().to_vec());
        let padding = vec![0; usize::from(outgoing.padding)];
        let bytes = [&header.unwrap_or_default()[..], outgoing.payload, &padding].concat();
        self.transmit(now, stack, path, bytes);
        self.drain(now, stack);
        true
    }

    /// Returns when an event came that `is_it` is true of, the first time.
    pub(crate) fn first(&self, is_it: impl Fn(&Event) -> bool) -> Option<Instant> {
        let found = self.events.iter().find(|(_, event)| is_it(event));
        found.map(|(at, _)| *at)
    }

    /// Returns when data could first be sent.
    pub(crate) fn connected_at(&self) -> Option<Instant> {
        let is_it = |event: &Event| match event {
            Event::StateChanged(state) => state.is_connected(),
            _ => false,
        };
        self.first(is_it)
    }

    pub(crate) fn is_gathered(&self) -> bool {
        self.first(|event| matches!(event, Event::GatheringComplete))
            .is_some()
    }

    /// Opens and closes sockets as addresses come and go.
    fn update(&mut self, now: Instant, stack: &mut Stack) {
        let addresses = stack.addresses().to_vec();
        let (udp, tcp) = (self.options.udp_port, self.options.tcp_port);
        for gone in self.addresses.iter().filter(|it| !addresses.contains(it)) {
            if let Some(port) = udp {
                self.agent.remove_socket(now, SocketAddr::new(*gone, port));
            }
            if let Some(port) = tcp {
                self.agent
                    .remove_listener(now, SocketAddr::new(*gone, port));
            }
        }
        for new in addresses.iter().filter(|it| !self.addresses.contains(it)) {
            if let Some(port) = udp {
                self.agent.add_socket(now, SocketAddr::new(*new, port));
            }
            if let Some(port) = tcp {
                self.agent.add_listener(now, SocketAddr::new(*new, port));
            }
        }
        let ids: Vec<_> = self.connections.keys().copied().collect();
        for id in ids {
            let local = self.connections[&id].path.local.ip();
            if !addresses.contains(&local) {
                stack.abort(now, id);
                self.end(now, id);
            }
        }
        self.addresses = addresses;
        self.drain(now, stack);
    }

    fn drain(&mut self, now: Instant, stack: &mut Stack) {
        loop {
            match self.agent.poll_output() {
                Output::Transmit(transmit) => {
                    self.transmit(now, stack, transmit.path, transmit.bytes);
                }
                Output::Connect {
                    id,
                    transport,
                    local,
                    remote,
                    server,
                    ..
                } => self.connect(now, stack, id, transport, local, remote, server.is_some()),
                Output::Close(path) => {
                    self.own_sockets.remove(&path.local);
                    if let Some(id) = self.by_path.remove(&path) {
                        self.connections.remove(&id);
                        stack.close(now, id);
                    }
                }
                Output::Resolve(name) => {
                    let address = self.names.get(&name).copied();
                    self.resolved.push(name.clone());
                    self.agent.handle_resolved(now, &name, address);
                }
                Output::Event(event) => self.note(now, event),
                Output::Wait(deadline) => {
                    self.deadline = deadline;
                    return;
                }
            }
        }
    }

    fn note(&mut self, now: Instant, event: Event) {
        match &event {
            Event::LocalCandidate(candidate) => {
                self.signals
                    .push_back(Signal::Candidate(candidate.to_string()));
            }
            Event::LocalCandidateRemoved(candidate) => {
                self.signals
                    .push_back(Signal::Removed(candidate.to_string()));
            }
            Event::GatheringComplete => self.signals.push_back(Signal::End),
            Event::RestartNeeded if self.restarts => {
                self.agent.restart(now);
                let parameters = self.agent.local_parameters().clone();
                self.signals.push_back(Signal::Parameters(parameters));
            }
            _ => {}
        }
        self.events.push((now, event));
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "they are the fields of one output"
    )]
    fn connect(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        id: ConnectionId,
        transport: Transport,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        is_server: bool,
    ) {
        let own = |ip: &&IpAddr| ip.is_ipv4() == remote.is_ipv4();
        let address = local.map(|it| it.ip());
        let address = address.or_else(|| self.addresses.iter().find(own).copied());
        let Some(address) = address else {
            self.agent.handle_connect_failed(now, id);
            return;
        };
        if transport == Transport::Udp {
            let local = SocketAddr::new(address, self.next_port);
            self.next_port += 1;
            let path = path(transport, local, remote);
            self.own_sockets.insert(local, path);
            self.agent.handle_connected(now, id, path);
            return;
        }
        let via = self.options.proxy.as_ref();
        let to = via.map_or(remote, |proxy| proxy.target().to_string().parse().unwrap());
        let from = SocketAddr::new(address, local.map_or(0, |it| it.port()));
        let Ok(connection) = stack.connect_from(now, from, to) else {
            self.agent.handle_connect_failed(now, id);
            return;
        };
        let connection_of = Connection {
            id: Some(id),
            path: path(transport, from, remote),
            is_server,
            handshake: via.map(|proxy| Handshake::new(proxy, remote.into())),
            stream: Stream::default(),
        };
        self.connections.insert(connection, connection_of);
    }

    fn transmit(&mut self, now: Instant, stack: &mut Stack, path: FiveTuple, bytes: Vec<u8>) {
        if path.transport == Transport::Udp {
            self.sent.push((now, path.remote, bytes.clone()));
            if !self.blocks_udp {
                self.outbox.push_back(Datagram {
                    source: path.local,
                    destination: path.remote,
                    data: bytes,
                });
            }
            return;
        }
        let Some(id) = self.by_path.get(&path).copied() else {
            return;
        };
        let connection = self.connections.get_mut(&id).unwrap();
        if connection.is_server {
            connection.stream.write(now, stack, id, &bytes);
        } else {
            let mut framed = Vec::new();
            framing::write(&bytes, &mut framed).unwrap();
            connection.stream.write(now, stack, id, &framed);
        }
    }

    fn open(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        id: tcp::ConnectionId,
        local: SocketAddr,
        remote: SocketAddr,
    ) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.path.local = local;
            match &mut connection.handshake {
                Some((_, first)) => {
                    let first = std::mem::take(first);
                    connection.stream.write(now, stack, id, &first);
                }
                None => self.opened(now, id),
            }
            return;
        }
        let path = path(Transport::Tcp, local, remote);
        let accepted = Connection {
            id: None,
            path,
            is_server: false,
            handshake: None,
            stream: Stream::default(),
        };
        self.connections.insert(id, accepted);
        self.by_path.insert(path, id);
        self.agent.handle_accepted(now, path);
    }

    fn opened(&mut self, now: Instant, id: tcp::ConnectionId) {
        let connection = self.connections.get_mut(&id).unwrap();
        let path = connection.path;
        self.by_path.insert(path, id);
        if let Some(own) = connection.id.take() {
            self.agent.handle_connected(now, own, path);
        }
    }

    fn read(&mut self, now: Instant, stack: &mut Stack, id: tcp::ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.stream.read(now, stack, id);
        if let Some((handshake, _)) = &mut connection.handshake {
            let data = std::mem::take(&mut connection.stream.unread);
            match handshake.handle(&data) {
                Ok(Progress::Wait) => return,
                Ok(Progress::Send(more)) => {
                    connection.stream.write(now, stack, id, &more);
                    return;
                }
                Ok(Progress::Done { rest, .. }) => {
                    connection.stream.unread = rest;
                    connection.handshake = None;
                    self.opened(now, id);
                }
                Err(_) => {
                    stack.abort(now, id);
                    self.end(now, id);
                    return;
                }
            }
        }
        while let Some((path, message)) = self.next_message(id) {
            self.take(now, path, &message);
        }
    }

    fn next_message(&mut self, id: tcp::ConnectionId) -> Option<(FiveTuple, Vec<u8>)> {
        let connection = self.connections.get_mut(&id)?;
        let unread = &connection.stream.unread;
        if connection.is_server {
            let length = message_length(unread, MAX_MESSAGE).unwrap()?;
            Some((connection.path, connection.stream.take(length)?))
        } else {
            let packet = first_packet(unread, framing::MAX_PACKET).unwrap()?.to_vec();
            connection.stream.take(framing::PREFIX + packet.len());
            Some((connection.path, packet))
        }
    }

    fn take(&mut self, now: Instant, path: FiveTuple, bytes: &[u8]) {
        if let Some(data) = self.agent.handle_datagram(now, path, bytes) {
            self.received.push((now, data.to_vec()));
        }
    }

    fn end(&mut self, now: Instant, id: tcp::ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        match connection.id {
            Some(own) => self.agent.handle_connect_failed(now, own),
            None => {
                self.by_path.remove(&connection.path);
                self.agent.handle_closed(now, connection.path);
            }
        }
    }
}

impl TcpProgram for Peer {
    fn start(&mut self, now: Instant, stack: &mut Stack) {
        if let Some(port) = self.options.tcp_port {
            stack.listen(port);
        }
        self.update(now, stack);
    }

    fn handle_addresses(&mut self, now: Instant, stack: &mut Stack) {
        self.update(now, stack);
    }

    fn handle_event(&mut self, now: Instant, stack: &mut Stack, event: tcp::Event) {
        match event {
            tcp::Event::Connected {
                id, local, remote, ..
            } => self.open(now, stack, id, local, remote),
            tcp::Event::Data(id) => self.read(now, stack, id),
            tcp::Event::Writable(id) => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.stream.flush(now, stack, id);
                }
            }
            tcp::Event::Finished(id) => {
                stack.close(now, id);
                self.end(now, id);
            }
            tcp::Event::Closed(id) | tcp::Event::Reset(id, _) => self.end(now, id),
        }
        self.drain(now, stack);
    }

    fn handle_datagram(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        source: SocketAddr,
        destination: SocketAddr,
        data: &[u8],
    ) {
        let is_socket = Some(destination.port()) == self.options.udp_port;
        let own = self.own_sockets.get(&destination);
        let is_ours = is_socket || own.is_some_and(|own| own.remote == source);
        if is_ours && !self.blocks_udp {
            let path = path(Transport::Udp, destination, source);
            self.take(now, path, data);
            self.drain(now, stack);
        }
    }

    fn handle_timeout(&mut self, now: Instant, stack: &mut Stack) {
        self.agent.handle_timeout(now);
        self.drain(now, stack);
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    fn poll_transmit(&mut self) -> Option<Datagram> {
        self.outbox.pop_front()
    }
}

fn path(transport: Transport, local: SocketAddr, remote: SocketAddr) -> FiveTuple {
    FiveTuple {
        transport,
        local,
        remote,
    }
}
