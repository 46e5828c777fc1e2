//! A story of several clients, held against a simple model of a TURN server.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_sansio::{ClientNetwork, Epoch, FiveTuple, Transport};
use jackfield_stun::attribute::{Algorithm, Nonce, Realm, Username};
use jackfield_stun::{Class, DecodeError, Key, Message, MessageWriter, Method, TransactionId};
use jackfield_testing::epoch;

use super::input::Input;
use jackfield_turn::attribute::{
    AdditionalAddressFamily, AddressFamily, Data, EvenPort, Lifetime, RequestedAddressFamily,
    RequestedTransport, ReservationToken, XorPeerAddress, method,
};
use jackfield_turn::{
    AllocationId, BindError, ChannelNumber, Credentials, Event, NonceKey, Output, Registry, Relay,
    RelayAddress, Server, ServerConfig, ServerCounters, ServerLimits,
};

const REALM: &str = "r";
const USERS: [&str; 2] = ["a", "b"];
const CLIENTS: [(Transport, &str, &str); 5] = [
    (Transport::Udp, "203.0.113.1:1", "198.41.0.77:3478"),
    (Transport::Udp, "203.0.113.1:2", "198.41.0.77:3478"),
    (Transport::Tcp, "203.0.113.2:1", "198.41.0.77:3478"),
    (Transport::Udp, "[2a00::2]:1", "[2a00::77]:3478"),
    (
        Transport::Tls,
        "[::ffff:203.0.113.3]:1",
        "[::ffff:198.41.0.77]:443",
    ),
];
const PEERS: [&str; 12] = [
    "198.41.0.4:9000",
    "198.41.0.4:9001",
    "199.7.91.13:9000",
    "[2a00:1450::1]:9000",
    "127.0.0.1:80",
    "10.0.0.1:80",
    "169.254.169.254:80",
    "[::ffff:127.0.0.1]:80",
    "[64:ff9b::a00:1]:80",
    "[::1]:80",
    "198.41.0.77:3478",
    "[2a00::77]:22",
];

/// The longest answer to a stranger.
const STRANGERS_ANSWER: usize = 104;

/// The longest answer to a client of RFC 3489: its address is one of IPv6.
const CLASSIC_ANSWER: usize = 44;

/// A server and what must be true of it.
pub(super) struct World {
    server: Server,
    limits: ServerLimits,
    registry: Arc<Registry>,
    now: Instant,
    sockets: BTreeSet<SocketAddr>,
    binds: Vec<(AllocationId, SocketAddr)>,
    /// The paths that have an allocation.
    allocated: BTreeMap<FiveTuple, AllocationId>,
    /// The last nonce each client was given.
    nonces: BTreeMap<FiveTuple, String>,
    token: [u8; 8],
    relayed: Vec<SocketAddr>,
    transactions: u32,
}

impl World {
    pub(super) fn new() -> Self {
        let now = epoch();
        let registry = Arc::new(Registry::new());
        let config = config(Arc::clone(&registry));
        let limits = config.limits.clone();
        let epoch = Epoch::new(now, Duration::from_secs(1_700_000_000));
        Self {
            server: Server::new(config, epoch, [1; 32]),
            limits,
            registry,
            now,
            sockets: BTreeSet::new(),
            binds: Vec::new(),
            allocated: BTreeMap::new(),
            nonces: BTreeMap::new(),
            token: [0; 8],
            relayed: Vec::new(),
            transactions: 0,
        }
    }

    /// Plays the story to its end, checks that nothing is left of it, and returns what happened.
    pub(super) fn run(mut self, mut input: Input<'_>) -> ServerCounters {
        while self.step(&mut input).is_some() {
            self.check();
        }
        for client in CLIENTS {
            self.server.handle_client_closed(self.now, path(client));
        }
        while !self.binds.is_empty() {
            self.answer_bind(None);
        }
        self.pass(Duration::from_secs(7_200));
        self.check();
        assert!(self.sockets.is_empty(), "sockets stay open");
        assert_eq!(self.registry.allocations(), 0);
        self.server.counters().clone()
    }

    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        match input.byte()? % 9 {
            0 => {
                let client = path(input.pick(&CLIENTS)?);
                let length = usize::from(input.byte()?);
                self.client(client, input.bytes(length), false);
            }
            1 | 2 => self.signed(input, false)?,
            3 => self.signed(input, true)?,
            4 => self.send_indication(input)?,
            5 => self.channel_data(input)?,
            6 => self.datagram(input)?,
            7 => self.pass(Duration::from_secs(input.short()?.into()) / 16),
            _ => self.socket_or_connection(input)?,
        }
        Some(())
    }

    /// A request with a right signature, unless it is spoiled afterwards.
    fn signed(&mut self, input: &mut Input<'_>, spoil: bool) -> Option<()> {
        let client = path(input.pick(&CLIENTS)?);
        let user = input.pick(&USERS)?;
        let asked = input.pick(&[
            method::ALLOCATE,
            method::REFRESH,
            method::CREATE_PERMISSION,
            method::CHANNEL_BIND,
            Method::BINDING,
        ])?;
        self.transactions += u32::from(input.byte()? % 4 != 0);
        let mut id = [0; 12];
        for (to, from) in id.iter_mut().zip(self.transactions.to_be_bytes()) {
            *to = from;
        }
        let mut bytes = Vec::new();
        let id = TransactionId::new(id);
        let mut writer = MessageWriter::new(&mut bytes, Class::Request, asked, id);
        for _ in 0..input.byte()? % 4 {
            self.attribute(&mut writer, input)?;
        }
        if let Some(nonce) = self.nonces.get(&client) {
            writer.attribute(&Username(user));
            writer.attribute(&Realm(REALM));
            writer.attribute(&Nonce(nonce));
            writer.integrity_sha1(&Key::long_term(Algorithm::Md5, user, REALM, "p"));
        }
        writer.finish().ok()?;
        if spoil {
            let at = usize::from(input.short()?) % bytes.len().max(1);
            let mask = input.byte()?;
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= mask;
            }
        }
        self.client(client, &bytes, !spoil && self.nonces.contains_key(&client));
        Some(())
    }

    fn attribute(&self, writer: &mut MessageWriter<'_>, input: &mut Input<'_>) -> Option<()> {
        let family = |input: &mut Input<'_>| input.pick(&[AddressFamily::V4, AddressFamily::V6]);
        match input.byte()? % 9 {
            0 => writer.attribute(&RequestedTransport(17)),
            1 => writer.attribute(&Lifetime(u32::from(input.byte()?) * 16)),
            2 => writer.attribute(&XorPeerAddress(self.peer(input)?)),
            3 => {
                if let Some(number) = ChannelNumber::new(0x4000 | input.short()? & 0x10FF) {
                    writer.attribute(&number);
                }
            }
            4 => writer.attribute(&EvenPort {
                reserve_next: input.byte()? % 2 == 0,
            }),
            5 => writer.attribute(&ReservationToken(self.token)),
            6 => writer.attribute(&RequestedAddressFamily(family(input)?)),
            7 => writer.attribute(&AdditionalAddressFamily(family(input)?)),
            _ => writer.attribute(&Data(input.bytes(5))),
        }
        Some(())
    }

    /// A peer from the list, or a relayed address there once was.
    fn peer(&self, input: &mut Input<'_>) -> Option<SocketAddr> {
        let choice = usize::from(input.byte()?);
        match PEERS.get(choice % (PEERS.len() + 4)) {
            Some(peer) => Some(address(peer)),
            None => Some(
                self.relayed
                    .get(choice % self.relayed.len().max(1))
                    .copied()
                    .unwrap_or_else(|| address("198.41.0.4:9000")),
            ),
        }
    }

    fn send_indication(&mut self, input: &mut Input<'_>) -> Option<()> {
        let client = path(input.pick(&CLIENTS)?);
        let mut bytes = Vec::new();
        let id = TransactionId::new([0; 12]);
        let mut writer = MessageWriter::new(&mut bytes, Class::Indication, method::SEND, id);
        writer.attribute(&XorPeerAddress(self.peer(input)?));
        writer.attribute(&Data(input.bytes(9)));
        writer.finish().ok()?;
        self.client(client, &bytes, false);
        Some(())
    }

    fn channel_data(&mut self, input: &mut Input<'_>) -> Option<()> {
        let client = path(input.pick(&CLIENTS)?);
        let mut bytes = (0x4000 | input.short()? & 0x10FF).to_be_bytes().to_vec();
        bytes.extend_from_slice(&[0, input.byte()? % 16]);
        bytes.extend_from_slice(input.bytes(9));
        self.client(client, &bytes, false);
        Some(())
    }

    fn datagram(&mut self, input: &mut Input<'_>) -> Option<()> {
        let peer = self.peer(input)?;
        let choice = usize::from(input.byte()?);
        let relayed = self
            .sockets
            .iter()
            .nth(choice % self.sockets.len().max(1))
            .copied();
        let relayed = relayed.unwrap_or_else(|| address("198.41.0.77:50000"));
        let payload = input.bytes(9);
        let relay = self.server.handle_peer(self.now, relayed, peer, payload);
        if let Some(relay) = relay {
            let Relay::ToClient {
                path,
                header,
                payload: data,
                padding,
            } = relay
            else {
                panic!("what a peer sent goes to a peer");
            };
            assert!(
                self.allocated.contains_key(&path),
                "data for a client without an allocation"
            );
            assert_eq!(data, payload);
            assert_open(peer, &self.sockets);
            check_message(path, header.as_bytes(), data, padding);
        }
        self.drain(None, false);
        Some(())
    }

    fn socket_or_connection(&mut self, input: &mut Input<'_>) -> Option<()> {
        match input.byte()? % 8 {
            0 => {
                let client = path(input.pick(&CLIENTS)?);
                self.server.handle_client_closed(self.now, client);
                self.drain(None, false);
            }
            1 => self.answer_bind(Some(BindError::InUse)),
            2 => self.answer_bind(Some(BindError::NoResources)),
            _ => self.answer_bind(None),
        }
        Some(())
    }

    fn client(&mut self, path: FiveTuple, bytes: &[u8], signed: bool) {
        let relay = self.server.handle_client(self.now, path, bytes);
        if let Some(relay) = relay {
            let Relay::ToPeer {
                relayed,
                peer,
                payload,
                ..
            } = relay
            else {
                panic!("what a client sent goes to a client");
            };
            assert!(
                self.allocated.contains_key(&path),
                "data of a client without an allocation"
            );
            assert!(self.sockets.contains(&relayed), "{relayed} is not bound");
            assert_eq!(relayed.is_ipv4(), peer.is_ipv4());
            assert!(payload.len() <= bytes.len());
            assert_open(peer, &self.sockets);
        }
        self.drain(Some(path), signed);
    }

    fn answer_bind(&mut self, error: Option<BindError>) {
        let Some((id, local)) = self.binds.pop() else {
            return;
        };
        let answer = match error {
            Some(error) => Err(error),
            None if self.sockets.insert(local) => Ok(local),
            None => panic!("{local} is bound twice"),
        };
        self.server.handle_bound(self.now, id, answer);
        self.drain(None, true);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.server.handle_timeout(self.now);
        self.drain(None, false);
    }

    /// Takes all outputs; an input from `from` may be answered once, and a stranger's only shortly.
    fn drain(&mut self, from: Option<FiveTuple>, signed: bool) {
        let mut answers = 0;
        loop {
            match self.server.poll_output() {
                Output::Transmit(transmit) => {
                    answers += 1;
                    assert!(from.is_none_or(|from| from == transmit.path));
                    self.answer(transmit.path, &transmit.bytes, signed);
                }
                Output::Bind { id, local } => self.binds.push((id, local)),
                Output::Unbind(local) => assert!(self.sockets.remove(&local)),
                Output::Event(event) => self.event(event),
                Output::Wait(until) => {
                    assert!(until.is_none_or(|until| until > self.now || from.is_some()));
                    break;
                }
            }
        }
        assert!(answers <= 1, "one input, {answers} answers");
    }

    fn answer(&mut self, path: FiveTuple, bytes: &[u8], signed: bool) {
        let message = match Message::parse(bytes) {
            // A client of RFC 3489, which sends no cookie, gets none back.
            Err(DecodeError::Cookie) => {
                assert_eq!(path.transport, Transport::Udp);
                assert!(bytes.starts_with(&[1, 1]) && bytes.len() <= CLASSIC_ANSWER);
                return;
            }
            message => message.expect("answers are well-formed"),
        };
        assert!(matches!(message.class(), Class::Success | Class::Error));
        if !signed && !message.has_sha1() {
            assert!(
                bytes.len() <= STRANGERS_ANSWER,
                "{} bytes for a stranger",
                bytes.len()
            );
        }
        if let Ok(Some(Nonce(nonce))) = message.get() {
            self.nonces.insert(path, nonce.to_owned());
        }
        if let Ok(Some(ReservationToken(token))) = message.get() {
            self.token = token;
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Allocated {
                id, path, relayed, ..
            } => {
                assert_eq!(self.allocated.insert(path, id), None);
                self.relayed
                    .extend(relayed.v4.into_iter().chain(relayed.v6));
            }
            Event::Deallocated { id, path, .. } => {
                assert_eq!(self.allocated.remove(&path), Some(id));
            }
            Event::Refreshed { id, .. }
            | Event::ChannelBound { id, .. }
            | Event::ChannelUnbound { id, .. } => {
                assert!(self.allocated.values().any(|known| *known == id));
            }
            unknown => panic!("the model does not know {unknown:?}"),
        }
    }

    fn check(&self) {
        let networks = self
            .allocated
            .keys()
            .map(|path| ClientNetwork::of(path.remote.ip()));
        let mut by_network: BTreeMap<ClientNetwork, u32> = BTreeMap::new();
        for network in networks {
            *by_network.entry(network).or_default() += 1;
        }
        let most = self.limits.allocations_per_network;
        assert!(by_network.values().all(|count| *count <= most));
        let allocations = self.server.counters().allocations;
        assert_eq!(allocations, self.allocated.len() as u64);
        assert!(self.registry.allocations() <= self.limits.allocations);
        assert!(u64::from(self.registry.allocations()) >= allocations);
        assert!(self.sockets.len() <= 2 * self.limits.allocations as usize);
        for socket in &self.sockets {
            assert!((50_000..=50_015).contains(&socket.port()));
        }
    }
}

fn config(registry: Arc<Registry>) -> ServerConfig {
    let credentials = USERS
        .into_iter()
        .fold(Credentials::new(), |all, user| all.with_user(user, "p"));
    let mut config = ServerConfig::new(REALM, credentials, NonceKey::new([1; 32]), registry);
    config.relay_ports = 50_000..=50_015;
    config.relay_addresses = ["198.41.0.77", "2a00::77"]
        .map(|ip| ip.parse().expect("an address"))
        .map(|ip| RelayAddress {
            local: ip,
            advertised: ip,
        })
        .to_vec();
    config.peers.own_addresses = config
        .relay_addresses
        .iter()
        .map(|pair| pair.local)
        .collect();
    config.peers.own_listeners = vec![address("0.0.0.0:3478"), address("[::]:3478")];
    config.limits.allocations = 4;
    config.limits.allocations_per_user = 3;
    config.limits.allocations_per_network = 3;
    config.limits.reservations_per_network = 1;
    config.limits.permissions = 3;
    config.limits.channels = 2;
    config.limits.reservations = 2;
    config.limits.bind_attempts = 3;
    config
}

/// An independent judgement: the public internet, or a relay socket that lives.
fn assert_open(peer: SocketAddr, sockets: &BTreeSet<SocketAddr>) {
    let is_public = ["198.41.0.4", "199.7.91.13", "2a00:1450::1"]
        .iter()
        .any(|public| public.parse() == Ok::<IpAddr, _>(peer.ip()));
    assert!(is_public || sockets.contains(&peer), "{peer} was reached");
}

/// What a client gets is one well-formed message.
fn check_message(path: FiveTuple, header: &[u8], payload: &[u8], padding: u8) {
    let mut bytes = header.to_vec();
    bytes.extend_from_slice(payload);
    bytes.resize(bytes.len() + usize::from(padding), 0);
    if header.len() == 4 {
        let padded = path.transport.is_stream();
        assert_eq!(
            bytes.len(),
            4 + if padded {
                payload.len().next_multiple_of(4)
            } else {
                payload.len()
            }
        );
    } else {
        let message = Message::parse(&bytes).expect("indications are well-formed");
        assert_eq!(message.get(), Ok(Some(Data(payload))));
    }
}

fn path((transport, remote, local): (Transport, &str, &str)) -> FiveTuple {
    FiveTuple {
        transport,
        local: address(local),
        remote: address(remote),
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}
