//! A client, a server and what is between them, in memory.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_sansio::{Epoch, FiveTuple, Transport};
use jackfield_stun::attribute::{ErrorCodeAttribute, Nonce, Realm};
use jackfield_stun::{Class, ErrorCode, Message, MessageWriter, Method};
pub(crate) use jackfield_testing::epoch;
use jackfield_turn::client::{self, Client, Credential, Event, Output};
use jackfield_turn::{Credentials, NonceKey, Registry, Relay, Server, ServerConfig};

pub(crate) const PEER: &str = "198.41.0.4:9000";
pub(crate) const OTHER_PEER: &str = "199.7.91.13:9000";
pub(crate) const SERVER: &str = "198.51.100.1:3478";

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
pub(crate) fn server_config() -> ServerConfig {
    let users = Credentials::new().with_user("user", "pass");
    let registry = Arc::new(Registry::new());
    ServerConfig::new("example.org", users, NonceKey::new([7; 32]), registry)
}

pub(crate) fn client_config() -> client::ClientConfig {
    client::ClientConfig::new(Credential::new("user", "pass").unwrap())
}

pub(crate) fn udp() -> FiveTuple {
    path(Transport::Udp, SERVER)
}

pub(crate) fn path(transport: Transport, server: &str) -> FiveTuple {
    FiveTuple {
        transport,
        local: address("203.0.113.5:4000"),
        remote: address(server),
    }
}

/// Both of them, with time and a wire that can lose.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) server: Server,
    pub(crate) now: Instant,
    pub(crate) events: Vec<Event>,
    /// What reached peers: relayed address, peer's address, payload.
    pub(crate) at_peers: VecDeque<(SocketAddr, SocketAddr, Vec<u8>)>,
    /// What the client sent, whether it arrived or not.
    pub(crate) sent: Vec<Vec<u8>>,
    /// How many of the next messages of either side are lost.
    pub(crate) lose: usize,
    /// How many of the server's next messages are lost.
    pub(crate) lose_answers: usize,
    /// Where the client wants a connection to.
    pub(crate) connect: Option<(SocketAddr, Option<String>)>,
    sockets: BTreeSet<SocketAddr>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(client_config(), server_config(), udp())
    }

    pub(crate) fn with(
        client: client::ClientConfig,
        server: ServerConfig,
        path: FiveTuple,
    ) -> Self {
        let now = epoch();
        let epoch = Epoch::new(now, secs(1_700_000_000));
        Self {
            client: Client::new(client, now, path, [1; 32]),
            server: Server::new(server, epoch, [2; 32]),
            now,
            events: Vec::new(),
            at_peers: VecDeque::new(),
            sent: Vec::new(),
            lose: 0,
            lose_answers: 0,
            connect: None,
            sockets: BTreeSet::new(),
        }
    }

    /// Returns a world in which the client has its allocation.
    pub(crate) fn allocated() -> Self {
        let mut world = Self::new();
        world.settle();
        assert!(world.client.relayed().is_some(), "{:?}", world.events);
        world.events.clear();
        world
    }

    pub(crate) fn relayed(&self) -> SocketAddr {
        self.client.relayed().unwrap().v4.unwrap()
    }

    /// Lets both talk until neither has anything to say.
    pub(crate) fn settle(&mut self) -> Option<Instant> {
        loop {
            match self.client.poll_output() {
                Output::Transmit(transmit) => {
                    assert_eq!(transmit.path, self.client.path());
                    self.deliver(&transmit.bytes);
                }
                Output::Connect { server, domain } => self.connect = Some((server, domain)),
                Output::Event(event) => self.events.push(event),
                Output::Wait(until) => return until,
            }
        }
    }

    /// Lets time pass, doing on the way what falls due.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let client = self.settle();
            let server = self.drain_server();
            let next = [client, server].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            self.client.handle_timeout(self.now);
            self.server.handle_timeout(self.now);
        }
        self.now = end;
    }

    /// Sends data to a peer.
    pub(crate) fn send(&mut self, peer: &str, payload: &[u8]) {
        let outgoing = self.client.send(self.now, address(peer), payload).unwrap();
        if let Some(outgoing) = outgoing {
            let mut bytes = outgoing.header.as_bytes().to_vec();
            bytes.extend_from_slice(outgoing.payload);
            bytes.resize(bytes.len() + usize::from(outgoing.padding), 0);
            self.deliver(&bytes);
        }
        self.settle();
    }

    /// Sends data from a peer to the relay; returns what the client makes of it.
    pub(crate) fn hear(
        &mut self,
        peer: &str,
        payload: &[u8],
    ) -> Option<(SocketAddr, Vec<u8>, bool)> {
        let local = *self.sockets.first()?;
        let relay = self
            .server
            .handle_peer(self.now, local, address(peer), payload);
        let Some(Relay::ToClient {
            header,
            payload,
            padding,
            ..
        }) = relay
        else {
            return None;
        };
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(payload);
        bytes.resize(bytes.len() + usize::from(padding), 0);
        let received = self.client.handle_server(self.now, &bytes)?;
        Some((
            received.peer,
            received.data.to_vec(),
            received.channel.is_some(),
        ))
    }

    fn deliver(&mut self, bytes: &[u8]) {
        self.sent.push(bytes.to_vec());
        if self.is_lost() {
            return;
        }
        let client = self.client.path();
        let path = FiveTuple {
            transport: client.transport,
            local: client.remote,
            remote: client.local,
        };
        if let Some(Relay::ToPeer {
            relayed,
            peer,
            payload,
            ..
        }) = self.server.handle_client(self.now, path, bytes)
        {
            self.at_peers.push_back((relayed, peer, payload.to_vec()));
        }
        self.drain_server();
    }

    fn drain_server(&mut self) -> Option<Instant> {
        loop {
            match self.server.poll_output() {
                jackfield_turn::Output::Transmit(transmit) => {
                    let is_answer_lost = self.lose_answers > 0;
                    self.lose_answers = self.lose_answers.saturating_sub(1);
                    if !self.is_lost() && !is_answer_lost {
                        let received = self.client.handle_server(self.now, &transmit.bytes);
                        assert_eq!(received, None);
                    }
                }
                jackfield_turn::Output::Bind { id, local } => {
                    self.sockets.insert(local);
                    self.server.handle_bound(self.now, id, Ok(local));
                }
                jackfield_turn::Output::Unbind(local) => {
                    self.sockets.remove(&local);
                }
                jackfield_turn::Output::Event(_) => {}
                jackfield_turn::Output::Wait(until) => return until,
            }
        }
    }

    fn is_lost(&mut self) -> bool {
        let is_lost = self.lose > 0;
        self.lose = self.lose.saturating_sub(1);
        is_lost
    }
}

/// A client whose server is the test.
pub(crate) struct Alone {
    pub(crate) client: Client,
    pub(crate) now: Instant,
    pub(crate) events: Vec<Event>,
    pub(crate) connect: Option<(SocketAddr, Option<String>)>,
    requests: VecDeque<Vec<u8>>,
    pub(crate) wait: Option<Instant>,
}

impl Alone {
    pub(crate) fn new(config: client::ClientConfig, path: FiveTuple) -> Self {
        let now = epoch();
        let mut alone = Self {
            client: Client::new(config, now, path, [3; 32]),
            now,
            events: Vec::new(),
            connect: None,
            requests: VecDeque::new(),
            wait: None,
        };
        alone.drain();
        alone
    }

    pub(crate) fn drain(&mut self) {
        loop {
            match self.client.poll_output() {
                Output::Transmit(transmit) => self.requests.push_back(transmit.bytes),
                Output::Connect { server, domain } => self.connect = Some((server, domain)),
                Output::Event(event) => self.events.push(event),
                Output::Wait(until) => {
                    self.wait = until;
                    return;
                }
            }
        }
    }

    /// Returns the next request of the client.
    pub(crate) fn request(&mut self) -> Vec<u8> {
        self.requests
            .pop_front()
            .expect("the client asks something")
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.requests.is_empty()
    }

    /// Answers a request.
    pub(crate) fn answer(
        &mut self,
        request: &[u8],
        class: Class,
        fill: impl FnOnce(&mut MessageWriter<'_>),
    ) {
        let request = Message::parse(request).unwrap();
        let mut bytes = Vec::new();
        let (method, id): (Method, _) = (request.method(), request.transaction());
        let mut writer = MessageWriter::new(&mut bytes, class, method, id);
        fill(&mut writer);
        writer.finish().unwrap();
        assert_eq!(self.client.handle_server(self.now, &bytes), None);
        self.drain();
    }

    /// Answers with an error code.
    pub(crate) fn refuse(&mut self, request: &[u8], code: u16) {
        self.answer(request, Class::Error, |writer| {
            writer.attribute(&ErrorCodeAttribute {
                code: ErrorCode::new(code).unwrap(),
                reason: "words of the server",
            });
        });
    }

    /// Answers with a challenge.
    pub(crate) fn challenge(&mut self, request: &[u8], code: u16, realm: &str, nonce: &str) {
        self.answer(request, Class::Error, |writer| {
            writer.attribute(&ErrorCodeAttribute::without_reason(
                ErrorCode::new(code).unwrap(),
            ));
            writer.attribute(&Realm(realm));
            writer.attribute(&Nonce(nonce));
        });
    }

    /// Waits for as long as the client wants something.
    pub(crate) fn wait_out(&mut self) -> usize {
        let mut steps = 0;
        while let Some(until) = self.wait {
            self.now = until;
            self.client.handle_timeout(until);
            self.drain();
            steps += 1;
            assert!(steps < 1_000, "the client never gives up");
        }
        steps
    }
}
