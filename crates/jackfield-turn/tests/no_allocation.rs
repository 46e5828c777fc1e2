//! The data plane does not allocate: no packet either way, by indication or channel, reaches the
//! allocator.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic on what it does not expect"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_sansio::{Epoch, FiveTuple, Transport};
use jackfield_stun::attribute::{Algorithm, Nonce, Realm, Username};
use jackfield_stun::{Class, Key, Message, MessageWriter, Method, TransactionId};
use jackfield_testing::{CountingAllocator, allocations, epoch};
use jackfield_turn::attribute::{
    Data, RequestedTransport, XorPeerAddress, XorRelayedAddress, method,
};
use jackfield_turn::{
    ChannelNumber, Credentials, NonceKey, Output, Rate, Registry, Relay, RelayAddress, Server,
    ServerConfig,
};

const PEER: &str = "198.41.0.4:9000";
const STRANGER: &str = "199.7.91.13:9000";

#[test]
fn no_packet_reaches_the_allocator() {
    let mut world = World::new();
    world.request(method::ALLOCATE, |writer| {
        writer.attribute(&RequestedTransport(17));
    });
    let nonce = world.answer(|message| message.get::<Nonce<'_>>().unwrap().unwrap().0.to_owned());
    world.nonce = Some(nonce);
    world.request(method::ALLOCATE, |writer| {
        writer.attribute(&RequestedTransport(17));
    });
    let seen = world.answer(|message| message.get::<XorRelayedAddress>().unwrap().unwrap().0);
    let relayed = SocketAddr::new("10.0.0.77".parse().unwrap(), seen.port());
    world.request(method::CHANNEL_BIND, |writer| {
        writer.attribute(&ChannelNumber::MIN);
        writer.attribute(&XorPeerAddress(address(PEER)));
    });
    assert!(world.answer(|message| message.class() == Class::Success));

    let channel_data = b"\x40\x00\x00\x05hello\0\0\0";
    let unbound = b"\x40\x01\x00\x05hello\0\0\0";
    let send = indication("198.41.0.4:1");
    let denied = indication("127.0.0.1:1");
    let (path, now) = (world.path, world.now);
    let server = &mut world.server;
    let before = allocations();
    assert!(before > 0, "the counter counts");
    for _ in 0..1_000 {
        let relay = server.handle_client(now, path, channel_data);
        assert!(matches!(
            relay,
            Some(Relay::ToPeer {
                payload: b"hello",
                ..
            })
        ));
        let relay = server.handle_client(now, path, &send);
        assert!(matches!(
            relay,
            Some(Relay::ToPeer {
                payload: b"hello",
                ..
            })
        ));
        let relay = server.handle_peer(now, relayed, address(PEER), b"hello");
        assert!(matches!(
            relay,
            Some(Relay::ToClient {
                payload: b"hello",
                ..
            })
        ));
        let relay = server.handle_peer(now, relayed, address("198.41.0.4:1"), b"hello");
        assert!(matches!(
            relay,
            Some(Relay::ToClient {
                payload: b"hello",
                ..
            })
        ));
        assert!(server.handle_client(now, path, unbound).is_none());
        assert!(server.handle_client(now, path, &denied).is_none());
        assert!(
            server
                .handle_peer(now, relayed, address(STRANGER), b"hello")
                .is_none()
        );
        assert!(matches!(server.poll_output(), Output::Wait(_)));
    }
    assert_eq!(allocations() - before, 0);
}

struct World {
    server: Server,
    now: Instant,
    path: FiveTuple,
    nonce: Option<String>,
}

impl World {
    fn new() -> Self {
        let credentials = Credentials::new().with_user("u", "p");
        let registry = Arc::new(Registry::new());
        let mut config = ServerConfig::new("r", credentials, NonceKey::new([1; 32]), registry);
        config.relay_addresses = vec![RelayAddress {
            local: "10.0.0.77".parse().unwrap(),
            advertised: "198.41.0.77".parse().unwrap(),
        }];
        config.limits.packets = Some(Rate::new(1_000_000, 1_000_000));
        config.limits.bytes = Some(Rate::new(100_000_000, 100_000_000));
        let now = epoch();
        let epoch = Epoch::new(now, Duration::from_secs(1_700_000_000));
        Self {
            server: Server::new(config, epoch, [1; 32]),
            now,
            path: FiveTuple {
                transport: Transport::Tcp,
                local: address("10.0.0.77:3478"),
                remote: address("203.0.113.5:1"),
            },
            nonce: None,
        }
    }

    fn request(&mut self, method: Method, fill: impl FnOnce(&mut MessageWriter<'_>)) {
        let mut bytes = Vec::new();
        let id = TransactionId::new([1; 12]);
        let mut writer = MessageWriter::new(&mut bytes, Class::Request, method, id);
        fill(&mut writer);
        if let Some(nonce) = &self.nonce {
            writer.attribute(&Username("u"));
            writer.attribute(&Realm("r"));
            writer.attribute(&Nonce(nonce));
            writer.integrity_sha1(&Key::long_term(Algorithm::Md5, "u", "r", "p"));
        }
        writer.finish().unwrap();
        assert!(
            self.server
                .handle_client(self.now, self.path, &bytes)
                .is_none()
        );
    }

    /// Answers binds and returns what `read` finds in the answer.
    fn answer<T>(&mut self, read: impl FnOnce(&Message<'_>) -> T) -> T {
        let mut answer = None;
        loop {
            match self.server.poll_output() {
                Output::Transmit(transmit) => answer = Some(transmit.bytes),
                Output::Bind { id, local } => self.server.handle_bound(self.now, id, Ok(local)),
                Output::Wait(_) => break,
                Output::Unbind(_) | Output::Event(_) => {}
            }
        }
        read(&Message::parse(&answer.unwrap()).unwrap())
    }
}

fn indication(peer: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let id = TransactionId::new([9; 12]);
    let mut writer = MessageWriter::new(&mut bytes, Class::Indication, method::SEND, id);
    writer.attribute(&XorPeerAddress(address(peer)));
    writer.attribute(&Data(b"hello"));
    writer.finish().unwrap();
    bytes
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;
