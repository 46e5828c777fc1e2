//! A machine whose TURN client starts over whenever its allocation is lost.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_internet::{Datagram, TcpProgram};
use jackfield_proxy::{Handshake, Progress};
use jackfield_sansio::{FiveTuple, Transport};
use jackfield_stun::framing::{MAX_MESSAGE, message_length};
use jackfield_tcp::{ConnectionId, Event, Stack};
use jackfield_turn::client::{self, Client, ClientConfig, Failure, Output};

use crate::replay::{Core, Replayed};

pub(crate) struct ClientCore(Client);

#[derive(Debug, Clone)]
pub(crate) enum ClientInput {
    Start,
    Server(Instant, Vec<u8>),
    Send(Instant, SocketAddr, Vec<u8>),
    Timeout(Instant),
    Closed(Instant),
    Connected(Instant, FiveTuple),
}

pub(crate) enum ClientEffect {
    Send(Vec<u8>),
    Data(SocketAddr, Vec<u8>),
    Event(client::Event),
    Connect,
    Wait(Option<Instant>),
}

impl Core for ClientCore {
    type Setup = (ClientConfig, Instant, FiveTuple, [u8; 32]);
    type Input = ClientInput;
    type Effect = ClientEffect;

    fn make((config, now, path, seed): &Self::Setup) -> Self {
        Self(Client::new(config.clone(), *now, *path, *seed))
    }

    fn play(&mut self, input: &ClientInput) -> Vec<ClientEffect> {
        let mut effects = Vec::new();
        match input {
            ClientInput::Start => {}
            ClientInput::Server(now, bytes) => {
                let received = self.0.handle_server(*now, bytes);
                effects.extend(received.map(|it| ClientEffect::Data(it.peer, it.data.to_vec())));
            }
            ClientInput::Send(now, peer, data) => {
                // What cannot be sent is lost, as it may be with datagrams.
                if let Ok(Some(it)) = self.0.send(*now, *peer, data) {
                    let padding = vec![0; usize::from(it.padding)];
                    let message = [it.header.as_bytes(), it.payload, &padding].concat();
                    effects.push(ClientEffect::Send(message));
                }
            }
            ClientInput::Timeout(now) => self.0.handle_timeout(*now),
            ClientInput::Closed(now) => self.0.handle_closed(*now),
            ClientInput::Connected(now, path) => self.0.handle_connected(*now, *path),
        }
        loop {
            match self.0.poll_output() {
                Output::Transmit(transmit) => effects.push(ClientEffect::Send(transmit.bytes)),
                Output::Connect { .. } => effects.push(ClientEffect::Connect),
                Output::Event(event) => effects.push(ClientEffect::Event(event)),
                Output::Wait(next) => {
                    effects.push(ClientEffect::Wait(next));
                    return effects;
                }
            }
        }
    }
}

/// How a user reaches the server.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) transport: Transport,
    pub(crate) server: SocketAddr,
    /// A proxy on the way, and what to say to it first.
    pub(crate) proxy: Option<(SocketAddr, Handshake, Vec<u8>)>,
}

/// The program that drives the client's core.
#[derive(Debug, Clone)]
pub(crate) struct TurnUser {
    way: Way,
    config: ClientConfig,
    core: Option<Replayed<ClientCore>>,
    connection: Option<ConnectionId>,
    handshake: Option<Handshake>,
    path: Option<FiveTuple>,
    unread: Vec<u8>,
    /// The port of the next attempt.
    port: u16,
    wakes: Option<Instant>,
    retry: Option<Instant>,
    outbox: VecDeque<Datagram>,
    /// The relayed address, while there is an allocation.
    pub(crate) relayed: Option<SocketAddr>,
    /// Where the server saw us, each time that it made an allocation.
    pub(crate) mapped: Vec<SocketAddr>,
    pub(crate) failures: Vec<Failure>,
    pub(crate) heard: Vec<(SocketAddr, Vec<u8>)>,
}

impl TurnUser {
    pub(crate) fn new(way: Way, config: ClientConfig) -> Self {
        Self {
            way,
            config,
            core: None,
            connection: None,
            handshake: None,
            path: None,
            unread: Vec::new(),
            port: 5000,
            wakes: None,
            retry: None,
            outbox: VecDeque::new(),
            relayed: None,
            mapped: Vec::new(),
            failures: Vec::new(),
            heard: Vec::new(),
        }
    }

    pub(crate) fn say(&mut self, now: Instant, stack: &mut Stack, peer: SocketAddr, words: &[u8]) {
        self.play(now, stack, ClientInput::Send(now, peer, words.to_vec()));
    }

    /// Starts over, from a port that was not used before.
    fn begin(&mut self, now: Instant, stack: &mut Stack) {
        if let Some(id) = self.connection.take() {
            stack.abort(now, id);
        }
        self.core = None;
        (self.relayed, self.retry, self.wakes) = (None, None, None);
        self.unread.clear();
        self.port += 1;
        let Some(address) = stack.addresses().first() else {
            return;
        };
        let local = SocketAddr::new(*address, self.port);
        self.path = Some(FiveTuple {
            transport: self.way.transport,
            local,
            remote: self.way.server,
        });
        if self.way.transport == Transport::Udp {
            self.make_core(now, stack);
            return;
        }
        let to = match &self.way.proxy {
            Some((proxy, handshake, _)) => {
                self.handshake = Some(handshake.clone());
                *proxy
            }
            None => self.way.server,
        };
        self.connection = Some(stack.connect_from(now, local, to).unwrap());
    }

    fn make_core(&mut self, now: Instant, stack: &mut Stack) {
        let path = self.path.unwrap();
        if self.core.is_some() {
            self.play(now, stack, ClientInput::Connected(now, path));
            return;
        }
        let seed = [self.port as u8; 32];
        self.core = Some(Replayed::new((self.config.clone(), now, path, seed)));
        self.play(now, stack, ClientInput::Start);
    }

    fn play(&mut self, now: Instant, stack: &mut Stack, input: ClientInput) {
        let Some(core) = &mut self.core else {
            return;
        };
        for effect in core.play(input) {
            match effect {
                ClientEffect::Send(bytes) => self.send(now, stack, bytes),
                ClientEffect::Data(peer, data) => self.heard.push((peer, data)),
                ClientEffect::Event(event) => self.note(now, event),
                ClientEffect::Connect => self.retry = Some(now),
                ClientEffect::Wait(next) => self.wakes = next,
            }
        }
    }

    fn send(&mut self, now: Instant, stack: &mut Stack, bytes: Vec<u8>) {
        let path = self.path.unwrap();
        match self.connection {
            Some(id) => {
                assert_eq!(stack.send(now, id, &bytes), bytes.len());
            }
            None => self.outbox.push_back(Datagram {
                source: path.local,
                destination: path.remote,
                data: bytes,
            }),
        }
    }

    fn note(&mut self, now: Instant, event: client::Event) {
        match event {
            client::Event::Allocated {
                relayed, mapped, ..
            } => {
                self.relayed = relayed.v4;
                self.mapped.push(mapped);
            }
            client::Event::Failed(failure) => {
                self.relayed = None;
                self.failures.push(failure);
                let pause = failure.retry_after().unwrap_or(Duration::from_secs(60));
                self.retry = Some(now + pause);
            }
            // A server that does not even answer is asked anew.
            client::Event::PeerRefused {
                why: Failure::TimedOut,
                ..
            } => self.retry = Some(now),
            _ => {}
        }
    }

    /// Takes what came on the connection: the proxy's words, then messages of the server's.
    fn hear(&mut self, now: Instant, stack: &mut Stack, data: &[u8]) {
        let Some(handshake) = &mut self.handshake else {
            self.unread.extend(data);
            while let Some(message) = self.next_message() {
                self.play(now, stack, ClientInput::Server(now, message));
            }
            return;
        };
        match handshake.handle(data).unwrap() {
            Progress::Send(more) => self.send(now, stack, more),
            Progress::Done { rest, .. } => {
                self.handshake = None;
                self.make_core(now, stack);
                self.hear(now, stack, &rest);
            }
            Progress::Wait => {}
        }
    }

    fn next_message(&mut self) -> Option<Vec<u8>> {
        let length = message_length(&self.unread, MAX_MESSAGE).unwrap()?;
        (self.unread.len() >= length).then(|| self.unread.drain(..length).collect())
    }
}

impl TcpProgram for TurnUser {
    fn start(&mut self, now: Instant, stack: &mut Stack) {
        self.begin(now, stack);
    }

    fn handle_addresses(&mut self, now: Instant, stack: &mut Stack) {
        self.begin(now, stack);
    }

    fn handle_event(&mut self, now: Instant, stack: &mut Stack, event: Event) {
        if self.connection != Some(event.connection()) {
            return;
        }
        match event {
            Event::Connected { .. } => match &self.way.proxy {
                Some((_, _, first)) if self.handshake.is_some() => {
                    self.send(now, stack, first.clone());
                }
                _ => self.make_core(now, stack),
            },
            Event::Data(id) => {
                let data = stack.recv(now, id, 100_000);
                self.hear(now, stack, &data);
            }
            Event::Writable(_) => {}
            Event::Finished(_) | Event::Closed(_) | Event::Reset(..) => {
                self.connection = None;
                match self.core {
                    Some(_) => self.play(now, stack, ClientInput::Closed(now)),
                    None => self.retry = Some(now + Duration::from_secs(1)),
                }
            }
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
        let path = self.path.unwrap();
        if (source, destination) == (path.remote, path.local) {
            self.play(now, stack, ClientInput::Server(now, data.to_vec()));
        }
    }

    fn handle_timeout(&mut self, now: Instant, stack: &mut Stack) {
        if self.retry.is_some_and(|due| due <= now) {
            self.begin(now, stack);
        } else {
            self.play(now, stack, ClientInput::Timeout(now));
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.wakes.into_iter().chain(self.retry).min()
    }

    fn poll_transmit(&mut self) -> Option<Datagram> {
        self.outbox.pop_front()
    }
}
