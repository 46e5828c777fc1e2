//! A server that answers behaviour discovery, and helps others with it: what it sends, where to,
//! and how much.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jackfield_sansio::{Epoch, FiveTuple, Transport};
use jackfield_stun::behaviour::answer::{Alternate, ServerAddress, ServerAddresses};
use jackfield_stun::behaviour::helper::{Question, key};
use jackfield_stun::binding::ClassicRequest;
use jackfield_stun::{Class, Message};
use jackfield_testing::epoch;

use jackfield_turn::{Credentials, Discovery, NonceKey, Output, Registry, Server, ServerConfig};

/// The time since 1970 that questions in the corpus were asked at.
const UNIX: Duration = Duration::from_secs(1_800_000_000);

const HELPER: &str = "192.0.2.9";

/// Hands bytes to a server with two addresses and to one with a helper, as the datagrams of one
/// client, whose length is in their first two bytes each.
pub(super) fn run(data: &[u8]) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for other in [
        Alternate::Own(server_address("192.0.2.2")),
        Alternate::Helper(ip(HELPER)),
    ] {
        let mut server = server(other);
        let mut rest = data;
        while let Some((&[high, low], after)) = rest.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes([high & 0x0F, low])).min(after.len());
            let (bytes, behind) = after.split_at(length);
            rest = behind;
            let port = if high & 0x80 == 0 { 3478 } else { 3479 };
            datagram(&mut server, port, bytes);
        }
        let counters = server.counters();
        for (name, count) in [
            ("discoveries", counters.discoveries),
            ("helped", counters.helped),
            (
                "denied",
                counters.dropped(jackfield_turn::DropReason::HelperDenied),
            ),
        ] {
            *counts.entry(name).or_default() += count;
        }
    }
    counts
}

fn datagram(server: &mut Server, port: u16, bytes: &[u8]) {
    let now = epoch();
    let client: SocketAddr = ([203, 0, 113, 5], 4_000).into();
    let path = FiveTuple {
        transport: Transport::Udp,
        local: SocketAddr::new(ip("192.0.2.1"), port),
        remote: client,
    };
    let relay = server.handle_client(now, path, bytes);
    assert!(relay.is_none(), "nobody has an allocation");
    let mut answers = 0;
    while let Output::Transmit(transmit) = server.poll_output() {
        answers += 1;
        if ClassicRequest::parse(bytes).is_some() {
            assert_eq!(transmit.path.remote, client);
            assert_eq!(transmit.bytes.get(4..20), bytes.get(4..20));
            assert!(transmit.bytes.len() <= 44);
            continue;
        }
        let request = Message::parse(bytes).expect("only a message is answered");
        let answer = Message::parse(&transmit.bytes).expect("what we write is well-formed");
        assert_eq!(answer.transaction(), request.transaction());
        let to = transmit.path.remote.ip();
        if request.class() == Class::Indication {
            let question = Question::read(&request, &[key("secret")], UNIX);
            assert_eq!(question.expect("a question").client(), transmit.path.remote);
            assert!(transmit.bytes.len() < bytes.len());
        } else if answer.class() == Class::Indication {
            assert_eq!(to, ip(HELPER));
            assert!(transmit.bytes.len() <= 128);
        } else {
            assert_eq!(to, client.ip());
            assert!(transmit.bytes.len() <= bytes.len().max(112));
        }
    }
    assert!(answers <= 1, "one datagram, {answers} answers");
}

fn server(other: Alternate) -> Server {
    let registry = Arc::new(Registry::new());
    let mut config = ServerConfig::new("r", Credentials::new(), NonceKey::new([1; 32]), registry);
    config.discovery = Discovery {
        addresses: vec![ServerAddresses {
            primary: server_address("192.0.2.1"),
            alternate: Some(other),
            ports: [3478, 3479],
        }],
        keys: vec![key("secret")],
        help: true,
    };
    Server::new(config, Epoch::new(epoch(), UNIX), [1; 32])
}

fn server_address(text: &str) -> ServerAddress {
    ServerAddress {
        local: ip(text),
        advertised: ip(text),
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
