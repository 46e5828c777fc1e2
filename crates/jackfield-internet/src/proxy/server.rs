//! The proxy server.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Instant;

use jackfield_nat::packet::Datagram;
use jackfield_proxy::http::{ConnectRequest, ConnectResponse, HeadError};
use jackfield_proxy::socks5::{self, Command, Greeting, Reply, Request, SocksError, code};
use jackfield_proxy::{Credentials, HostName, Target, TargetHost};
use jackfield_tcp::{ConnectionId, Event, ResetReason, Stack};

use super::associate::Association;
use crate::program::TcpProgram;

/// The configuration of a [`Proxy`].
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    /// The port for HTTP.
    pub http_port: Option<u16>,
    /// The port for SOCKS 5.
    pub socks_port: Option<u16>,
    /// The address it connects and sends from; `None` stands for the first of the right family.
    pub outside: Option<IpAddr>,
    /// The ports that clients may connect to.
    pub tunnel_ports: Vec<RangeInclusive<u16>>,
    /// The credentials that clients need, if any.
    pub credentials: Option<Credentials>,
    /// The addresses of the hosts that clients may name.
    pub names: BTreeMap<HostName, IpAddr>,
    /// The limit of clients with relayed datagrams; 0 turns the relay off.
    pub associations: usize,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            http_port: Some(3128),
            socks_port: Some(1080),
            outside: None,
            tunnel_ports: vec![0..=u16::MAX],
            credentials: None,
            names: BTreeMap::new(),
            associations: 64,
        }
    }
}

/// The counters of a [`Proxy`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProxyCounters {
    /// Tunnels that were opened.
    pub tunnels: u64,
    /// Clients whose datagrams were relayed.
    pub associations: u64,
    /// Clients without the right credentials.
    pub wrong_credentials: u64,
    /// Tunnels refused because of their port.
    pub forbidden_ports: u64,
    /// Tunnels to hosts that have no address, do not answer or refuse.
    pub unreachable: u64,
    /// Clients that used another protocol, or asked for something unsupported.
    pub malformed: u64,
    /// Associations beyond [`ProxyConfig::associations`].
    pub too_many_associations: u64,
    /// Datagrams that were relayed.
    pub datagrams: u64,
    /// Datagrams that were dropped: from other addresses, to forbidden ports, fragments, or
    /// without a header.
    pub datagrams_dropped: u64,
}

/// A proxy for HTTP CONNECT and SOCKS 5; a [`TcpProgram`].
#[derive(Debug, Clone)]
pub struct Proxy {
    config: ProxyConfig,
    counters: ProxyCounters,
    sessions: BTreeMap<ConnectionId, Session>,
    associations: BTreeMap<u16, Association>,
    next_port: u16,
    outbox: VecDeque<Datagram>,
}

/// A connection with a client, or on behalf of one.
#[derive(Debug, Clone)]
struct Session {
    role: Role,
    /// The data received before the tunnel is open.
    buffer: Vec<u8>,
    /// The data to send as soon as there is room.
    unsent: Vec<u8>,
    /// The other end has finished.
    has_finished: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A client that has not finished its request.
    Client(Stage),
    /// A client that waits for its tunnel.
    Waiting { upstream: ConnectionId },
    /// A connection on behalf of a client that is not open yet.
    Dialling {
        client: ConnectionId,
        protocol: Protocol,
    },
    /// One end of a tunnel.
    Tunnel { peer: ConnectionId },
    /// A client whose datagrams are relayed at this port.
    Associated { port: u16 },
    /// A connection that is being closed.
    Ending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Http,
    Greeting,
    Credentials,
    Request,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http,
    Socks,
}

/// Why a client gets no tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    ForbiddenPort,
    Unreachable,
    Refused,
    TimedOut,
    UnknownCommand,
    TooManyAssociations,
}

impl Proxy {
    /// Creates a proxy.
    #[must_use]
    pub fn new(config: ProxyConfig) -> Self {
        Self {
            config,
            counters: ProxyCounters::default(),
            sessions: BTreeMap::new(),
            associations: BTreeMap::new(),
            next_port: FIRST_RELAY_PORT,
            outbox: VecDeque::new(),
        }
    }

    /// Returns the counters.
    #[must_use]
    pub fn counters(&self) -> ProxyCounters {
        self.counters
    }

    fn accept(&mut self, id: ConnectionId, local: SocketAddr) {
        let stage = if Some(local.port()) == self.config.http_port {
            Stage::Http
        } else {
            Stage::Greeting
        };
        self.sessions.insert(id, Session::new(Role::Client(stage)));
    }

    /// Reads the messages of a client.
    fn listen_to(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId) {
        // What does not fit stays in the stack, whose window then stops the client.
        let room = MOST_UNREAD.saturating_sub(self.session_buffer(id));
        let data = stack.recv(now, id, room);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.buffer.extend(data);
        }
        while let Some(Session {
            role: Role::Client(stage),
            buffer,
            ..
        }) = self.sessions.get(&id)
        {
            let before = (*stage, buffer.len());
            match stage {
                Stage::Http => self.read_http(now, stack, id),
                Stage::Greeting => self.read_greeting(now, stack, id),
                Stage::Credentials => self.read_credentials(now, stack, id),
                Stage::Request => self.read_request(now, stack, id),
            }
            let after = self.sessions.get(&id).map(|it| (it.role, it.buffer.len()));
            if after == Some((Role::Client(before.0), before.1)) {
                break; // there is more to come
            }
        }
    }

    fn session_buffer(&self, id: ConnectionId) -> usize {
        self.sessions.get(&id).map_or(0, |it| it.buffer.len())
    }

    /// Reads a message from the buffer of a client. If the bytes are invalid, sends `refusal` and
    /// closes the connection.
    fn read<T, E>(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        id: ConnectionId,
        parse: Parse<T, E>,
        refusal: impl FnOnce(E) -> Vec<u8>,
    ) -> Option<T> {
        let session = self.sessions.get_mut(&id)?;
        match parse(&session.buffer) {
            Ok(Some((message, length))) => {
                session.buffer.drain(..length);
                Some(message)
            }
            Ok(None) => None,
            Err(error) => {
                self.counters.malformed += 1;
                self.dismiss(now, stack, id, &refusal(error));
                None
            }
        }
    }

    fn read_http(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId) {
        let refusal = |error| {
            let status = match error {
                HeadError::TooLong => 431,
                HeadError::Method => 405,
                _ => 400,
            };
            ConnectResponse::new(status).to_bytes()
        };
        let request = self.read(now, stack, id, ConnectRequest::parse, refusal);
        let Some(request) = request else {
            return;
        };
        if self.config.credentials.is_some() && request.credentials != self.config.credentials {
            self.counters.wrong_credentials += 1;
            let status = 407;
            self.dismiss(now, stack, id, &ConnectResponse::new(status).to_bytes());
            return;
        }
        self.dial(now, stack, id, Protocol::Http, &request.target);
    }

    fn read_greeting(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId) {
        // A client whose greeting is not SOCKS 5 would not understand an answer in it.
        let silence = |_: SocksError| Vec::new();
        let greeting = self.read(now, stack, id, Greeting::parse, silence);
        let Some(Greeting { methods }) = greeting else {
            return;
        };
        let (wanted, next) = match self.config.credentials {
            Some(_) => (socks5::USER_AND_PASSWORD, Stage::Credentials),
            None => (socks5::NO_CREDENTIALS, Stage::Request),
        };
        if methods.contains(&wanted) {
            self.answer(now, stack, id, &socks5::choice(wanted));
            self.set_role(id, Role::Client(next));
        } else {
            self.counters.wrong_credentials += 1;
            let none = socks5::choice(socks5::NO_METHOD);
            self.dismiss(now, stack, id, &none);
        }
    }

    fn read_credentials(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId) {
        let wrong = |_: SocksError| socks5::verdict(false);
        let given = self.read(now, stack, id, socks5::parse_credentials, wrong);
        let Some(given) = given else {
            return;
        };
        if self.config.credentials.as_ref() == Some(&given) {
            self.answer(now, stack, id, &socks5::verdict(true));
            self.set_role(id, Role::Client(Stage::Request));
        } else {
            self.counters.wrong_credentials += 1;
            self.dismiss(now, stack, id, &socks5::verdict(false));
        }
    }

    fn read_request(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId) {
        let failed = |_: SocksError| reply(code::FAILED, None);
        let request = self.read(now, stack, id, Request::parse, failed);
        let Some(Request { command, target }) = request else {
            return;
        };
        match command {
            Command::Connect => self.dial(now, stack, id, Protocol::Socks, &target),
            Command::UdpAssociate => self.associate(now, stack, id),
            Command::Bind | Command::Other(_) => {
                self.counters.malformed += 1;
                self.refuse(now, stack, id, Protocol::Socks, Refusal::UnknownCommand);
            }
        }
    }

    /// Opens the connection that a client asks for.
    fn dial(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        client: ConnectionId,
        protocol: Protocol,
        target: &Target,
    ) {
        if !self.allows(target.port) {
            self.counters.forbidden_ports += 1;
            self.refuse(now, stack, client, protocol, Refusal::ForbiddenPort);
            return;
        }
        let begun = self
            .resolve(target)
            .and_then(|to| match self.config.outside {
                Some(from) => stack.connect_from(now, SocketAddr::new(from, 0), to).ok(),
                None => stack.connect(now, 0, to).ok(),
            });
        let Some(upstream) = begun else {
            self.counters.unreachable += 1;
            self.refuse(now, stack, client, protocol, Refusal::Unreachable);
            return;
        };
        self.set_role(client, Role::Waiting { upstream });
        let role = Role::Dialling { client, protocol };
        self.sessions.insert(upstream, Session::new(role));
    }

    /// Answers a client that its tunnel is open.
    fn open(&mut self, now: Instant, stack: &mut Stack, upstream: ConnectionId, local: SocketAddr) {
        let Some(Role::Dialling { client, protocol }) = self.role(upstream) else {
            return;
        };
        self.counters.tunnels += 1;
        let answer = match protocol {
            Protocol::Http => ConnectResponse::new(200).to_bytes(),
            Protocol::Socks => reply(code::SUCCEEDED, Some(local)),
        };
        self.answer(now, stack, client, &answer);
        self.set_role(client, Role::Tunnel { peer: upstream });
        self.set_role(upstream, Role::Tunnel { peer: client });
        // Data right after the request belongs to the tunnel.
        let early = self.sessions.get_mut(&client);
        let early = early.map(|it| std::mem::take(&mut it.buffer));
        self.answer(now, stack, upstream, &early.unwrap_or_default());
        self.pump(now, stack, client, upstream);
    }

    fn associate(&mut self, now: Instant, stack: &mut Stack, client: ConnectionId) {
        let Some((local, remote)) = stack.path(client) else {
            return;
        };
        if self.associations.len() >= self.config.associations {
            self.counters.too_many_associations += 1;
            let refusal = Refusal::TooManyAssociations;
            self.refuse(now, stack, client, Protocol::Socks, refusal);
            return;
        }
        while self.associations.contains_key(&self.next_port) {
            self.next_port = next_relay_port(self.next_port);
        }
        let port = self.next_port;
        self.next_port = next_relay_port(port);
        let inside = SocketAddr::new(local.ip(), port);
        let association = Association::new(inside, self.config.outside, remote.ip());
        self.associations.insert(port, association);
        self.counters.associations += 1;
        self.set_role(client, Role::Associated { port });
        self.answer(now, stack, client, &reply(code::SUCCEEDED, Some(inside)));
    }

    /// Carries data from one end of a tunnel to the other, and its end.
    fn pump(&mut self, now: Instant, stack: &mut Stack, from: ConnectionId, to: ConnectionId) {
        let has_finished = self.sessions.get(&from).is_some_and(|it| it.has_finished);
        loop {
            let Some(session) = self.sessions.get_mut(&to) else {
                return;
            };
            if !session.flush(now, stack, to) {
                return;
            }
            // Data is read only once the last of it is sent on. So a slow receiver stops the
            // sender by TCP's own window.
            let data = stack.recv(now, from, MOST_UNREAD);
            if data.is_empty() {
                break;
            }
            session.unsent = data;
        }
        if has_finished {
            stack.close(now, to);
        }
    }

    fn finish(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.has_finished = true;
        }
        match self.role(id) {
            Some(Role::Tunnel { peer }) => self.pump(now, stack, id, peer),
            Some(Role::Client(_) | Role::Associated { .. } | Role::Ending) => {
                stack.close(now, id);
                self.forget(id);
            }
            Some(Role::Waiting { .. } | Role::Dialling { .. }) | None => {}
        }
    }

    /// Handles a connection that has ended early.
    fn lose(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId, reason: ResetReason) {
        let role = self.role(id);
        self.forget(id);
        match role {
            Some(Role::Dialling { client, protocol }) => {
                self.counters.unreachable += 1;
                let refusal = match reason {
                    ResetReason::TimedOut => Refusal::TimedOut,
                    _ => Refusal::Refused,
                };
                self.refuse(now, stack, client, protocol, refusal);
            }
            Some(Role::Waiting { upstream: other } | Role::Tunnel { peer: other }) => {
                stack.abort(now, other);
                self.forget(other);
            }
            Some(Role::Client(_) | Role::Associated { .. } | Role::Ending) | None => {}
        }
    }

    fn refuse(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        client: ConnectionId,
        protocol: Protocol,
        refusal: Refusal,
    ) {
        let (status, code) = match refusal {
            Refusal::ForbiddenPort => (403, code::NOT_ALLOWED),
            Refusal::Unreachable => (502, code::HOST_UNREACHABLE),
            Refusal::Refused => (502, code::REFUSED),
            Refusal::TimedOut => (504, code::HOST_UNREACHABLE),
            Refusal::UnknownCommand => (400, code::UNKNOWN_COMMAND),
            Refusal::TooManyAssociations => (502, code::FAILED),
        };
        let answer = match protocol {
            Protocol::Http => ConnectResponse::new(status).to_bytes(),
            Protocol::Socks => reply(code, None),
        };
        self.dismiss(now, stack, client, &answer);
    }

    fn dismiss(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId, answer: &[u8]) {
        self.answer(now, stack, id, answer);
        stack.close(now, id);
        self.set_role(id, Role::Ending);
    }

    fn answer(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId, answer: &[u8]) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.unsent.extend(answer);
            session.flush(now, stack, id);
        }
    }

    fn role(&self, id: ConnectionId) -> Option<Role> {
        self.sessions.get(&id).map(|it| it.role)
    }

    fn set_role(&mut self, id: ConnectionId, role: Role) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.role = role;
        }
    }

    fn forget(&mut self, id: ConnectionId) {
        if let Some(Session {
            role: Role::Associated { port },
            ..
        }) = self.sessions.remove(&id)
        {
            self.associations.remove(&port);
        }
    }

    fn allows(&self, port: u16) -> bool {
        self.config.tunnel_ports.iter().any(|it| it.contains(&port))
    }

    fn resolve(&self, target: &Target) -> Option<SocketAddr> {
        resolve(&self.config, target)
    }
}

impl TcpProgram for Proxy {
    fn start(&mut self, _now: Instant, stack: &mut Stack) {
        let ports = [self.config.http_port, self.config.socks_port];
        for port in ports.into_iter().flatten() {
            stack.listen(port);
        }
    }

    fn handle_event(&mut self, now: Instant, stack: &mut Stack, event: Event) {
        match event {
            Event::Connected {
                id,
                local,
                accepted: true,
                ..
            } => self.accept(id, local),
            Event::Connected { id, local, .. } => self.open(now, stack, id, local),
            Event::Data(id) => match self.role(id) {
                Some(Role::Client(_)) => self.listen_to(now, stack, id),
                Some(Role::Tunnel { peer }) => self.pump(now, stack, id, peer),
                // The data is read and dropped, because unread data would keep the client's FIN
                // from being seen.
                Some(Role::Associated { .. } | Role::Ending) | None => {
                    stack.recv(now, id, MOST_UNREAD);
                }
                // This data belongs to the tunnel, and waits in the stack until that is open.
                Some(Role::Waiting { .. } | Role::Dialling { .. }) => {}
            },
            Event::Writable(id) => match self.role(id) {
                Some(Role::Tunnel { peer }) => self.pump(now, stack, peer, id),
                _ => self.answer(now, stack, id, &[]),
            },
            Event::Finished(id) => self.finish(now, stack, id),
            Event::Closed(id) => self.forget(id),
            Event::Reset(id, reason) => self.lose(now, stack, id, reason),
        }
    }

    fn handle_datagram(
        &mut self,
        _now: Instant,
        _stack: &mut Stack,
        source: SocketAddr,
        destination: SocketAddr,
        data: &[u8],
    ) {
        let config = &self.config;
        let allowed = |target: &Target| {
            let mut ports = config.tunnel_ports.iter();
            let allowed = ports.any(|it| it.contains(&target.port));
            resolve(config, target).filter(|_| allowed)
        };
        let association = self.associations.get_mut(&destination.port());
        let relayed = association.and_then(|it| it.relay(source, destination, data, allowed));
        match relayed {
            Some(datagram) => {
                self.counters.datagrams += 1;
                self.outbox.push_back(datagram);
            }
            None => self.counters.datagrams_dropped += 1,
        }
    }

    fn poll_transmit(&mut self) -> Option<Datagram> {
        self.outbox.pop_front()
    }
}

impl Session {
    fn new(role: Role) -> Self {
        Self {
            role,
            buffer: Vec::new(),
            unsent: Vec::new(),
            has_finished: false,
        }
    }

    /// Sends as much as there is room for; returns whether that was everything.
    fn flush(&mut self, now: Instant, stack: &mut Stack, id: ConnectionId) -> bool {
        if !self.unsent.is_empty() {
            let sent = stack.send(now, id, &self.unsent);
            self.unsent.drain(..sent);
        }
        self.unsent.is_empty()
    }
}

/// Reads a message and its length; `None` if it is incomplete.
type Parse<T, E> = fn(&[u8]) -> Result<Option<(T, usize)>, E>;

fn resolve(config: &ProxyConfig, target: &Target) -> Option<SocketAddr> {
    let address = match &target.host {
        TargetHost::Address(address) => *address,
        TargetHost::Name(name) => *config.names.get(name)?,
    };
    Some(SocketAddr::new(address, target.port))
}

fn reply(code: u8, bound: Option<SocketAddr>) -> Vec<u8> {
    // A failure has no bound address, but the reply has a field for one.
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let bound = bound.unwrap_or(nowhere).into();
    Reply { code, bound }.to_bytes()
}

fn next_relay_port(port: u16) -> u16 {
    port.checked_add(1).unwrap_or(FIRST_RELAY_PORT)
}

const FIRST_RELAY_PORT: u16 = 40_000;
/// The limit of data that waits in a buffer, in bytes.
const MOST_UNREAD: usize = 16_384;
