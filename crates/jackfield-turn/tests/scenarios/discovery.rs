//! Behaviour discovery: answers come from other addresses and from another server, within limits
//! and only to those who may ask.

use jackfield_sansio::{FiveTuple, Transport};
use jackfield_stun::attribute::{
    ChangeRequest, ErrorCodeAttribute, ResponsePort, XorMappedAddress,
};
use jackfield_stun::behaviour::answer::{Alternate, ServerAddress, ServerAddresses};
use jackfield_stun::behaviour::helper::key;
use jackfield_stun::{Class, Message, MessageWriter, Method};
use jackfield_turn::{Discovery, DropReason, Rate, ServerConfig};

use crate::world::*;

const AT: &str = "198.51.100.1:3478";
const HELPER: &str = "192.0.2.77";
const CLIENT: &str = "203.0.113.5:4000";

fn server_address(ip: &str) -> ServerAddress {
    let ip = ip.parse().unwrap();
    ServerAddress {
        local: ip,
        advertised: ip,
    }
}

fn with_other(alternate: Option<Alternate>) -> ServerConfig {
    ServerConfig {
        discovery: Discovery {
            addresses: vec![ServerAddresses {
                primary: server_address("198.51.100.1"),
                alternate,
                ports: [3478, 3479],
            }],
            keys: vec![key(SECRET)],
            help: false,
        },
        ..config()
    }
}

fn helping() -> ServerConfig {
    ServerConfig {
        discovery: Discovery {
            addresses: Vec::new(),
            keys: vec![key("another secret"), key(SECRET)],
            help: true,
        },
        ..config()
    }
}

fn path(transport: Transport) -> FiveTuple {
    FiveTuple {
        transport,
        local: address(AT),
        remote: address(CLIENT),
    }
}

/// Sends a Binding request and returns what the server sends, and where.
fn ask(
    world: &mut World,
    path: FiveTuple,
    fill: impl FnOnce(&mut MessageWriter<'_>),
) -> Option<(FiveTuple, Vec<u8>)> {
    let mut bytes = Vec::new();
    let id = world.transaction();
    let mut writer = MessageWriter::new(&mut bytes, Class::Request, Method::BINDING, id);
    fill(&mut writer);
    writer.finish().unwrap();
    deliver(world, path, &bytes)
}

fn deliver(world: &mut World, path: FiveTuple, bytes: &[u8]) -> Option<(FiveTuple, Vec<u8>)> {
    assert!(world.server.handle_client(world.now, path, bytes).is_none());
    world.drain();
    world.sent.pop_front()
}

fn both(writer: &mut MessageWriter<'_>) {
    writer.attribute(&ChangeRequest {
        address: true,
        port: true,
    });
}

#[test]
fn an_answer_leaves_from_where_the_client_wants_it() {
    let mut world = World::new(with_other(Some(Alternate::Own(server_address(
        "198.51.100.2",
    )))));
    let (sent, _) = ask(&mut world, path(Transport::Udp), both).unwrap();
    assert_eq!(sent.local, address("198.51.100.2:3479"));
    assert_eq!(sent.remote, address(CLIENT));
    let port = |writer: &mut MessageWriter<'_>| writer.attribute(&ResponsePort(7));
    let (sent, _) = ask(&mut world, path(Transport::Udp), port).unwrap();
    assert_eq!(sent.remote, address("203.0.113.5:7"));
    assert_eq!(world.server.counters().discoveries, 2);
}

#[test]
fn a_stream_and_a_server_without_discovery_refuse_with_420() {
    let mut with = World::new(with_other(Some(Alternate::Own(server_address(
        "198.51.100.2",
    )))));
    let mut without = World::new(config());
    for (world, transport) in [(&mut with, Transport::Tcp), (&mut without, Transport::Udp)] {
        let (sent, bytes) = ask(world, path(transport), both).unwrap();
        assert_eq!(sent, path(transport));
        let message = Message::parse(&bytes).unwrap();
        let error = message.get::<ErrorCodeAttribute<'_>>().unwrap().unwrap();
        assert_eq!(error.code.value(), 420);
    }
}

#[test]
fn answers_from_elsewhere_are_limited_and_plain_ones_go_on() {
    let mut config = with_other(Some(Alternate::Own(server_address("198.51.100.2"))));
    config.limits.discoveries = Some(Rate::new(1, 2));
    let mut world = World::new(config);
    let answered = (0..5).filter(|_| ask(&mut world, path(Transport::Udp), both).is_some());
    assert_eq!(answered.count(), 2);
    let counters = world.server.counters();
    assert_eq!(counters.dropped(DropReason::DiscoveryRate), 3);
    assert!(ask(&mut world, path(Transport::Udp), |_| {}).is_some());
}

#[test]
fn a_helper_answers_a_client_for_who_knows_the_secret() {
    let helper = Alternate::Helper(HELPER.parse().unwrap());
    let mut asking = World::new(with_other(Some(helper)));
    let mut helping = World::at(asking.now, helping());
    let (sent, question) = ask(&mut asking, path(Transport::Udp), both).unwrap();
    assert_eq!(sent.remote, address("192.0.2.77:3479"));
    let at_helper = FiveTuple {
        transport: Transport::Udp,
        local: sent.remote,
        remote: sent.local,
    };
    let (sent, answer) = deliver(&mut helping, at_helper, &question).unwrap();
    assert_eq!(sent.local, address("192.0.2.77:3479"));
    assert_eq!(sent.remote, address(CLIENT));
    assert!(answer.len() < question.len());
    let message = Message::parse(&answer).unwrap();
    let mapped: XorMappedAddress = message.get().unwrap().unwrap();
    assert_eq!(mapped.0, address(CLIENT));
    assert_eq!(helping.server.counters().helped, 1);

    // A copy is good for half a minute, and no longer.
    helping.now += secs(31);
    assert_eq!(deliver(&mut helping, at_helper, &question), None);
    let counters = helping.server.counters();
    assert_eq!(counters.dropped(DropReason::HelperDenied), 1);
}

#[test]
fn a_server_that_does_not_help_takes_a_question_for_a_keepalive() {
    let helper = Alternate::Helper(HELPER.parse().unwrap());
    let mut asking = World::new(with_other(Some(helper)));
    let (_, question) = ask(&mut asking, path(Transport::Udp), both).unwrap();
    let mut other = World::at(asking.now, config());
    assert_eq!(deliver(&mut other, path(Transport::Udp), &question), None);
    let counters = other.server.counters();
    assert_eq!(counters.helped, 0);
    assert_eq!(counters.dropped(DropReason::HelperDenied), 0);
}

#[test]
fn a_question_under_another_secret_gets_no_help() {
    let helper = Alternate::Helper(HELPER.parse().unwrap());
    let mut config = with_other(Some(helper));
    config.discovery.keys = vec![key("a stranger's secret")];
    let mut asking = World::new(config);
    let mut helping = World::at(asking.now, helping());
    let (_, question) = ask(&mut asking, path(Transport::Udp), both).unwrap();
    assert_eq!(deliver(&mut helping, path(Transport::Udp), &question), None);
    let counters = helping.server.counters();
    assert_eq!(counters.dropped(DropReason::HelperDenied), 1);
}
