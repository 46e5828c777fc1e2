//! How long the core takes for a packet, without any socket:
//! `cargo run --release -p jackfield-turn --example data_plane_speed [ALLOCATIONS]`.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program on the command line that measures time"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_sansio::{Epoch, FiveTuple, Transport};
use jackfield_stun::attribute::{Algorithm, Nonce, Realm, Username};
use jackfield_stun::{Class, Key, Message, MessageWriter, Method, TransactionId};
use jackfield_turn::attribute::{Data, RequestedTransport, XorPeerAddress, method};
use jackfield_turn::{
    ChannelNumber, Credentials, NonceKey, Output, Registry, Server, ServerConfig,
};

const ROUNDS: usize = 2_000_000;

fn main() {
    let count = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_000);
    let mut world = World::new();
    let started = Instant::now();
    for client in 0..count {
        world.allocate(client);
    }
    let each = started.elapsed() / u32::from(count).max(1);
    println!("{count} allocations with a channel: {each:?} each, two requests");

    let payload = [0; 200];
    let mut channel_data = vec![0x40, 0, 0, 200];
    channel_data.extend_from_slice(&payload);
    let indication = World::write(Class::Indication, method::SEND, |writer| {
        writer.attribute(&XorPeerAddress(peer(1)));
        writer.attribute(&Data(&payload));
    });
    let (paths, relays) = (world.paths.clone(), world.relays.clone());
    let (server, now) = (&mut world.server, world.now);
    measure("ChannelData to a peer", &paths, |path| {
        server.handle_client(now, *path, &channel_data).is_some()
    });
    measure("ChannelData to a client", &relays, |relayed| {
        server
            .handle_peer(now, *relayed, peer(1), &payload)
            .is_some()
    });
    measure("Send indication", &paths, |path| {
        server.handle_client(now, *path, &indication).is_some()
    });
    measure("Data indication", &relays, |relayed| {
        server
            .handle_peer(now, *relayed, peer(2), &payload)
            .is_some()
    });
    let binding = World::write(Class::Request, Method::BINDING, |_| {});
    measure("Binding request", &paths, |path| {
        let _ = server.handle_client(now, *path, &binding);
        matches!(server.poll_output(), Output::Transmit(_))
    });
}

fn measure<T>(name: &str, over: &[T], mut once: impl FnMut(&T) -> bool) {
    let started = Instant::now();
    let done = over
        .iter()
        .cycle()
        .take(ROUNDS)
        .filter(|item| once(item))
        .count();
    assert_eq!(done, ROUNDS, "{name}: every packet is relayed");
    let nanos = started.elapsed().as_nanos() / ROUNDS as u128;
    println!("{name}: {nanos} ns");
}

struct World {
    server: Server,
    now: Instant,
    nonce: String,
    paths: Vec<FiveTuple>,
    relays: Vec<SocketAddr>,
    answer: Vec<u8>,
}

impl World {
    fn new() -> Self {
        let credentials = Credentials::new().with_user("u", "p");
        let registry = Arc::new(Registry::new());
        let mut config = ServerConfig::new("r", credentials, NonceKey::new([1; 32]), registry);
        config.limits.allocations_per_user = 16_000;
        config.limits.bindings = None;
        let now = Instant::now();
        let epoch = Epoch::new(now, Duration::from_secs(1_700_000_000));
        Self {
            server: Server::new(config, epoch, [1; 32]),
            now,
            nonce: String::new(),
            paths: Vec::new(),
            relays: Vec::new(),
            answer: Vec::new(),
        }
    }

    fn allocate(&mut self, client: u16) {
        let path = FiveTuple {
            transport: Transport::Udp,
            local: SocketAddr::from(([198, 41, 0, 77], 3478)),
            remote: SocketAddr::from(([203, 0, 113, 5], client + 1)),
        };
        if self.nonce.is_empty() {
            self.ask(path, method::ALLOCATE, |_| {});
            let challenge = Message::parse(&self.answer).expect("a challenge");
            self.nonce = challenge
                .get::<Nonce<'_>>()
                .ok()
                .flatten()
                .map(|Nonce(nonce)| nonce.to_owned())
                .expect("a nonce");
        }
        self.ask(path, method::ALLOCATE, |writer| {
            writer.attribute(&RequestedTransport(17));
        });
        self.ask(path, method::CHANNEL_BIND, |writer| {
            writer.attribute(&ChannelNumber::MIN);
            writer.attribute(&XorPeerAddress(peer(1)));
        });
        self.paths.push(path);
    }

    fn ask(&mut self, path: FiveTuple, method: Method, fill: impl Fn(&mut MessageWriter<'_>)) {
        let nonce = self.nonce.clone();
        let request = Self::write(Class::Request, method, |writer| {
            fill(writer);
            if !nonce.is_empty() {
                writer.attribute(&Username("u"));
                writer.attribute(&Realm("r"));
                writer.attribute(&Nonce(&nonce));
                writer.integrity_sha1(&Key::long_term(Algorithm::Md5, "u", "r", "p"));
            }
        });
        let _ = self.server.handle_client(self.now, path, &request);
        loop {
            match self.server.poll_output() {
                Output::Bind { id, local } => {
                    self.relays.push(local);
                    self.server.handle_bound(self.now, id, Ok(local));
                }
                Output::Transmit(transmit) => self.answer = transmit.bytes,
                Output::Wait(_) => return,
                Output::Event(_) | Output::Unbind(_) => {}
            }
        }
    }

    fn write(class: Class, method: Method, fill: impl FnOnce(&mut MessageWriter<'_>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        let id = TransactionId::new([1; 12]);
        let mut writer = MessageWriter::new(&mut bytes, class, method, id);
        fill(&mut writer);
        writer.finish().expect("a short message");
        bytes
    }
}

fn peer(port: u16) -> SocketAddr {
    SocketAddr::from(([198, 41, 0, 4], port))
}
