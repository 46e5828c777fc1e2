//! A server with a driver made of plain memory, and clients that speak to it.

#![expect(unreachable_pub, reason = "the modules of one test")]

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_sansio::{Epoch, FiveTuple, Transport};
use jackfield_stun::attribute::{
    Algorithm, Attribute, ErrorCodeAttribute, Nonce, PasswordAlgorithm, PasswordAlgorithms, Realm,
    Username,
};
use jackfield_stun::{Class, Key, Message, MessageWriter, Method, TransactionId};
use jackfield_testing::epoch;
use jackfield_turn::attribute::{
    Data, RequestedTransport, XorPeerAddress, XorRelayedAddress, method,
};
use jackfield_turn::{
    AllocationId, BindError, ChannelNumber, Credentials, DropReason, Event, NonceKey, Output,
    Registry, Relay, Server, ServerConfig,
};

pub const REALM: &str = "example.org";
pub const SECRET: &str = "north star";
pub const UNIX: Duration = Duration::from_secs(1_700_000_000);

/// A peer on the public internet.
pub const PEER: &str = "198.41.0.4:9000";
pub const OTHER_PEER: &str = "199.7.91.13:9000";
pub const PEER_V6: &str = "[2a00:1450::1]:9000";

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A server, its sockets, and the time.
pub struct World {
    pub server: Server,
    pub now: Instant,
    pub sockets: BTreeSet<SocketAddr>,
    pub sent: VecDeque<(FiveTuple, Vec<u8>)>,
    pub events: Vec<Event>,
    pub wait: Option<Instant>,
    /// What the next binds are answered with, before they succeed.
    pub bind_errors: VecDeque<BindError>,
    /// Whether binds wait in `binds` until the test answers them.
    pub hold_binds: bool,
    pub binds: Vec<(AllocationId, SocketAddr)>,
    transactions: u64,
}

pub fn config() -> ServerConfig {
    let credentials = Credentials::new()
        .with_user("user", "pass")
        .with_user("other", "pass")
        .with_secret(SECRET);
    let mut config = ServerConfig::new(
        REALM,
        credentials,
        NonceKey::new([7; 32]),
        Arc::new(Registry::new()),
    );
    config.software = Some("test".into());
    config
}

impl World {
    pub fn new(config: ServerConfig) -> Self {
        Self::at(epoch(), config)
    }

    pub fn at(now: Instant, config: ServerConfig) -> Self {
        Self {
            server: Server::new(config, Epoch::new(now, UNIX), [42; 32]),
            now,
            sockets: BTreeSet::new(),
            sent: VecDeque::new(),
            events: Vec::new(),
            wait: None,
            bind_errors: VecDeque::new(),
            hold_binds: false,
            binds: Vec::new(),
            transactions: 0,
        }
    }

    pub fn transaction(&mut self) -> TransactionId {
        self.transactions += 1;
        let mut id = [0; 12];
        id[4..].copy_from_slice(&self.transactions.to_be_bytes());
        TransactionId::new(id)
    }

    /// Does what the server wants done.
    pub fn drain(&mut self) {
        loop {
            match self.server.poll_output() {
                Output::Transmit(transmit) => self.sent.push_back((transmit.path, transmit.bytes)),
                Output::Bind { id, local } => self.bind(id, local),
                Output::Unbind(local) => {
                    assert!(self.sockets.remove(&local), "{local} is not bound");
                }
                Output::Event(event) => self.events.push(event),
                Output::Wait(until) => {
                    self.wait = until;
                    return;
                }
            }
        }
    }

    fn bind(&mut self, id: AllocationId, local: SocketAddr) {
        if self.hold_binds {
            self.binds.push((id, local));
            return;
        }
        let answer = match self.bind_errors.pop_front() {
            Some(error) => Err(error),
            None if self.sockets.insert(local) => Ok(local),
            None => Err(BindError::InUse),
        };
        self.server.handle_bound(self.now, id, answer);
    }

    /// Lets time pass, doing on the way what falls due.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.drain();
        while let Some(due) = self.wait.filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.server.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// Sends bytes that want no answer; returns what is relayed.
    pub fn send<'b>(&mut self, path: FiveTuple, bytes: &'b [u8]) -> Option<Relay<'b>> {
        let relay = self.server.handle_client(self.now, path, bytes);
        self.drain();
        relay
    }

    /// Sends a request and returns the answer.
    pub fn ask(&mut self, path: FiveTuple, bytes: &[u8]) -> Option<Answer> {
        assert_eq!(self.send(path, bytes), None);
        let (to, bytes) = self.sent.pop_front()?;
        assert_eq!(to, path);
        assert!(self.sent.is_empty(), "one request, one answer");
        Some(Answer(bytes))
    }

    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.server.counters().dropped(reason)
    }

    /// Gives up what was bound from outside, as another shard would see it.
    pub fn datagram<'b>(
        &mut self,
        relayed: SocketAddr,
        peer: &str,
        bytes: &'b [u8],
    ) -> Option<Relay<'b>> {
        let relay = self
            .server
            .handle_peer(self.now, relayed, address(peer), bytes);
        self.drain();
        relay
    }
}

/// An answer's bytes.
#[derive(Debug)]
pub struct Answer(pub Vec<u8>);

impl Answer {
    pub fn message(&self) -> Message<'_> {
        Message::parse(&self.0).expect("an answer is well-formed")
    }

    /// Returns the error code, or 0 for success.
    pub fn code(&self) -> u16 {
        match self.message().class() {
            Class::Success => 0,
            Class::Error => self
                .get::<ErrorCodeAttribute<'_>>()
                .expect("errors have a code")
                .code
                .value(),
            other => panic!("an answer is no {other:?}"),
        }
    }

    pub fn get<'a, A: Attribute<'a>>(&'a self) -> Option<A> {
        self.message().get().unwrap()
    }

    pub fn relayed(&self) -> SocketAddr {
        assert_eq!(self.code(), 0);
        self.get::<XorRelayedAddress>().unwrap().0
    }
}

/// A client with a credential.
#[derive(Debug, Clone)]
pub struct Client {
    pub path: FiveTuple,
    pub username: String,
    pub password: String,
    pub nonce: Option<String>,
    pub sha256: bool,
}

impl Client {
    pub fn new(remote: &str) -> Self {
        Self::on(Transport::Udp, remote, "198.51.100.1:3478")
    }

    pub fn on(transport: Transport, remote: &str, local: &str) -> Self {
        Self {
            path: FiveTuple {
                transport,
                local: address(local),
                remote: address(remote),
            },
            username: "user".into(),
            password: "pass".into(),
            nonce: None,
            sha256: false,
        }
    }

    pub fn named(mut self, username: &str, password: &str) -> Self {
        self.username = username.into();
        self.password = password.into();
        self
    }

    /// Returns the same client on another port.
    pub fn at(mut self, port: u16) -> Self {
        self.path.remote.set_port(port);
        self
    }

    /// Writes a request with this client's credential.
    pub fn request(
        &self,
        id: TransactionId,
        method: Method,
        fill: impl FnOnce(&mut MessageWriter<'_>),
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = MessageWriter::new(&mut bytes, Class::Request, method, id);
        fill(&mut writer);
        if let Some(nonce) = &self.nonce {
            writer.attribute(&Username(&self.username));
            writer.attribute(&Realm(REALM));
            writer.attribute(&Nonce(nonce));
            if self.sha256 {
                writer.attribute(&PasswordAlgorithm(Algorithm::Sha256));
                writer.attribute(&PasswordAlgorithms::ALL);
                writer.integrity_sha256(&self.key(Algorithm::Sha256));
            } else {
                writer.integrity_sha1(&self.key(Algorithm::Md5));
            }
        }
        writer.finish().unwrap();
        bytes
    }

    pub fn key(&self, algorithm: Algorithm) -> Key {
        Key::long_term(algorithm, &self.username, REALM, &self.password)
    }

    /// Asks as stock clients do: once as a stranger, then with the nonce of the challenge.
    pub fn ask(
        &mut self,
        world: &mut World,
        method: Method,
        fill: impl Fn(&mut MessageWriter<'_>),
    ) -> Answer {
        loop {
            let had_nonce = self.nonce.is_some();
            let request = self.request(world.transaction(), method, &fill);
            let answer = world.ask(self.path, &request).expect("an answer");
            let again = answer.code() == 438 || answer.code() == 401 && !had_nonce;
            if !again {
                if had_nonce && answer.code() != 401 {
                    self.check_signature(&answer);
                }
                return answer;
            }
            self.nonce = Some(answer.get::<Nonce<'_>>().unwrap().0.to_owned());
        }
    }

    fn check_signature(&self, answer: &Answer) {
        let message = answer.message();
        if self.sha256 {
            assert_eq!(message.check_sha256(&self.key(Algorithm::Sha256)), Ok(()));
        } else {
            assert_eq!(message.check_sha1(&self.key(Algorithm::Md5)), Ok(()));
        }
    }

    pub fn allocate(&mut self, world: &mut World) -> SocketAddr {
        self.ask(world, method::ALLOCATE, |writer| {
            writer.attribute(&RequestedTransport(17));
        })
        .relayed()
    }

    pub fn refresh(&mut self, world: &mut World, lifetime: u32) -> u16 {
        self.ask(world, method::REFRESH, |writer| {
            writer.attribute(&jackfield_turn::attribute::Lifetime(lifetime));
        })
        .code()
    }

    pub fn permit(&mut self, world: &mut World, peers: &[&str]) -> u16 {
        self.ask(world, method::CREATE_PERMISSION, |writer| {
            for peer in peers {
                writer.attribute(&XorPeerAddress(address(peer)));
            }
        })
        .code()
    }

    pub fn bind(&mut self, world: &mut World, number: u16, peer: &str) -> u16 {
        let number = ChannelNumber::new(number).unwrap();
        self.ask(world, method::CHANNEL_BIND, |writer| {
            writer.attribute(&number);
            writer.attribute(&XorPeerAddress(address(peer)));
        })
        .code()
    }
}

/// Writes a Send indication.
pub fn send_indication(peer: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let id = TransactionId::new([9; 12]);
    let mut writer = MessageWriter::new(&mut bytes, Class::Indication, method::SEND, id);
    writer.attribute(&XorPeerAddress(address(peer)));
    writer.attribute(&Data(data));
    writer.finish().unwrap();
    bytes
}

/// Writes a ChannelData message without padding.
pub fn channel_data(number: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend_from_slice(&(data.len() as u16).to_be_bytes());
    bytes.extend_from_slice(data);
    bytes
}

/// Returns the bytes that a client would get.
pub fn to_client(relay: Option<Relay<'_>>) -> (FiveTuple, Vec<u8>) {
    let Some(Relay::ToClient {
        path,
        header,
        payload,
        padding,
    }) = relay
    else {
        panic!("nothing for the client: {relay:?}");
    };
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(payload);
    bytes.resize(bytes.len() + usize::from(padding), 0);
    (path, bytes)
}

/// Returns the relayed address, the peer's address and the payload of a datagram to a peer.
pub fn to_peer(relay: Option<Relay<'_>>) -> (SocketAddr, SocketAddr, Vec<u8>) {
    let Some(Relay::ToPeer {
        relayed,
        peer,
        payload,
        ..
    }) = relay
    else {
        panic!("nothing for a peer: {relay:?}");
    };
    (relayed, peer, payload.to_vec())
}
