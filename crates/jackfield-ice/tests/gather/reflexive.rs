//! What STUN servers have for us.

use jackfield_ice::gather::{Event, GatherConfig, GatherLimits, Handled};
use jackfield_sansio::{FiveTuple, Transport};
use jackfield_stun::attribute::{ErrorCodeAttribute, MappedAddress, XorMappedAddress};
use jackfield_stun::{Class, ErrorCode, Message, MessageWriter};

use crate::world::*;

fn found(server: &str) -> Event {
    Event::Reflexive {
        base: address(LOCAL),
        address: address(OUTSIDE),
        server: address(server),
    }
}

#[test]
fn a_server_tells_where_it_sees_a_socket() {
    let world = World::gathered(config(&[stun(SERVER)]));
    assert_eq!(world.events(), [&found(SERVER), &Event::Complete]);
    assert_eq!(world.completed(), Some(millis(10)));
}

#[test]
fn two_servers_that_see_the_same_give_one_address() {
    let world = World::gathered(config(&[stun(SERVER), stun(OTHER_SERVER)]));
    assert_eq!(world.events(), [&found(SERVER), &Event::Complete]);
}

//= https://www.rfc-editor.org/rfc/rfc8445#section-5.1.3
//= type=test
//# Frequently, a server-reflexive candidate and a host candidate will be
//# redundant when the agent is not behind a NAT.
#[test]
fn without_a_nat_there_is_no_reflexive_address() {
    let mut world = World::new(config(&[stun(SERVER)]));
    world.nat.clear();
    world.add(LOCAL);
    world.gatherer.end_of_sockets(world.now);
    world.pass(secs(1));
    assert_eq!(world.events(), [&Event::Complete]);
}

#[test]
fn without_servers_gathering_is_complete_at_once() {
    let world = World::gathered(config(&[]));
    assert_eq!(world.completed(), Some(millis(0)));
}

#[test]
fn a_silent_server_holds_nothing_back_and_is_given_up() {
    let mut world = World::new(config(&[stun("198.51.100.77:3478"), stun(SERVER)]));
    world.add(LOCAL);
    world.gatherer.end_of_sockets(world.now);
    world.pass(secs(10));
    assert_eq!(world.events[0], (millis(15), found(SERVER)));
    let [error] = world.errors()[..] else {
        panic!("one error")
    };
    assert_eq!((error.code, error.server), (701, 0));
    assert_eq!(error.url, "stun:198.51.100.77:3478");
    assert_eq!(world.completed(), Some(millis(3_750)));
}

#[test]
fn a_server_that_was_silent_is_asked_again_later_and_reported_once() {
    let mut world = World::new(config(&[stun(SERVER)]));
    world.silent.insert((Transport::Udp, address(SERVER)));
    world.add(LOCAL);
    world.gatherer.end_of_sockets(world.now);
    world.pass(secs(60));
    assert_eq!(world.errors().len(), 1);
    assert_eq!(world.completed(), Some(millis(3_750)));
    world.events.clear();
    world.silent.clear();
    world.pass(secs(60));
    assert_eq!(world.events(), [&found(SERVER)]);
}

#[test]
fn a_server_that_stays_silent_is_asked_less_and_less() {
    let mut world = World::new(config(&[stun(SERVER)]));
    world.silent.insert((Transport::Udp, address(SERVER)));
    world.add(LOCAL);
    world.gatherer.end_of_sockets(world.now);
    world.pass(secs(100));
    let early = world.sent.len();
    world.pass(secs(900));
    let late = world.sent.len() - early;
    assert!(
        early >= 12 && late <= 16,
        "{early} in 100 s, {late} in 900 s"
    );
}

#[test]
fn a_server_without_a_route_is_given_up_at_once() {
    let mut world = World::new(config(&[stun("198.51.100.77:3478")]));
    world.add(LOCAL);
    world.gatherer.end_of_sockets(world.now);
    let path = world.sent[0].1.path;
    world.gatherer.handle_unreachable(world.now, path);
    world.settle();
    assert_eq!(world.errors().len(), 1);
    assert_eq!(world.completed(), Some(millis(0)));
}

//= https://www.rfc-editor.org/rfc/rfc8445#section-14
//= type=test
//# Every Ta milliseconds, the agent can start another new transaction,
#[test]
fn questions_are_paced() {
    let mut world = World::new(config(&[stun(SERVER), stun(OTHER_SERVER)]));
    for port in 1..=5 {
        let local = format!("192.168.1.2:{port}");
        world.gatherer.add_socket(world.now, address(&local));
    }
    world.pass(millis(200));
    let times: Vec<_> = world.sent.iter().map(|(at, _)| *at).collect();
    let expected: Vec<_> = (0..10).map(|count| millis(5 * count)).collect();
    assert_eq!(times, expected);
}

#[test]
fn no_server_is_asked_from_where_no_route_leads() {
    let mut world = World::new(config(&[stun(SERVER)]));
    for local in ["127.0.0.1:1", "[2001:db8::7]:1", "169.254.7.7:1"] {
        world.add(local);
    }
    world.gatherer.end_of_sockets(world.now);
    world.settle();
    assert!(world.sent.is_empty());
    assert_eq!(world.completed(), Some(millis(0)));
}

#[test]
fn a_binding_is_kept_by_one_server_alone() {
    let mut world = World::gathered(config(&[stun(SERVER), stun(OTHER_SERVER)]));
    world.sent.clear();
    world.pass(secs(60));
    let remotes: Vec<_> = world
        .sent
        .iter()
        .map(|(_, sent)| sent.path.remote)
        .collect();
    assert_eq!(remotes, [address(SERVER); 4]);
    assert_eq!(world.events().len(), 2);
}

#[test]
fn a_nat_that_forgets_us_gives_another_address() {
    let mut world = World::gathered(config(&[stun(SERVER), stun(OTHER_SERVER)]));
    world.events.clear();
    world
        .nat
        .insert(address(LOCAL), address("203.0.113.5:4001"));
    world.pass(secs(20));
    let found = Event::Reflexive {
        base: address(LOCAL),
        address: address("203.0.113.5:4001"),
        server: address(SERVER),
    };
    let lost = Event::ReflexiveLost {
        base: address(LOCAL),
        address: address(OUTSIDE),
    };
    assert_eq!(world.events(), [&found, &lost]);
}

#[test]
fn a_server_that_falls_silent_later_takes_nothing_away() {
    let mut world = World::gathered(config(&[stun(SERVER)]));
    world.events.clear();
    world.silent.insert((Transport::Udp, address(SERVER)));
    world.pass(secs(100));
    assert_eq!(world.events(), [] as [&Event; 0]);
    world.silent.clear();
    world.sent.clear();
    world.pass(secs(30));
    assert!(!world.sent.is_empty());
}

#[test]
fn a_socket_that_is_removed_takes_its_address_along() {
    let mut world = World::gathered(config(&[stun(SERVER), stun(OTHER_SERVER)]));
    world.events.clear();
    world.gatherer.remove_socket(world.now, address(LOCAL));
    world.pass(secs(60));
    let lost = Event::ReflexiveLost {
        base: address(LOCAL),
        address: address(OUTSIDE),
    };
    assert_eq!(world.events(), [&lost]);
}

#[test]
fn a_restart_asks_every_server_again() {
    let mut world = World::new(config(&[stun(SERVER), stun(OTHER_SERVER)]));
    world.silent.insert((Transport::Udp, address(OTHER_SERVER)));
    world.add(LOCAL);
    world.gatherer.end_of_sockets(world.now);
    world.pass(secs(5));
    assert_eq!(world.errors().len(), 1);
    world.events.clear();
    world.sent.clear();
    world.silent.clear();
    world.gatherer.restart(world.now);
    world.pass(secs(1));
    assert_eq!(world.events(), [&Event::Complete]);
    assert_eq!(world.sent.len(), 2);
}

#[test]
fn a_restart_learns_that_a_nat_has_forgotten_us_before_it_is_complete() {
    let mut world = World::gathered(config(&[stun(SERVER), stun(OTHER_SERVER)]));
    world.events.clear();
    let elsewhere = address("203.0.113.5:4001");
    world.nat.insert(address(LOCAL), elsewhere);
    world.gatherer.restart(world.now);
    world.pass(secs(1));
    let found = Event::Reflexive {
        base: address(LOCAL),
        address: elsewhere,
        server: address(SERVER),
    };
    let lost = Event::ReflexiveLost {
        base: address(LOCAL),
        address: address(OUTSIDE),
    };
    assert_eq!(world.events(), [&found, &lost, &Event::Complete]);
}

#[test]
fn sockets_and_servers_above_the_limits_are_counted() {
    let mut config = config(&[stun(SERVER), stun(OTHER_SERVER)]);
    config.limits = GatherLimits {
        sockets: 1,
        servers: 1,
        ..GatherLimits::default()
    };
    let mut world = World::new(config);
    world.add(LOCAL);
    world.add("192.168.1.3:50000");
    world.pass(secs(1));
    assert_eq!(world.sent.len(), 1);
    assert_eq!(world.gatherer.counters().ignored_sockets, 1);
    assert_eq!(world.gatherer.counters().ignored_servers, 1);
}

/// Answers the first question of a new world as `fill` says; returns the world.
fn answered(class: Class, fill: impl FnOnce(&mut MessageWriter<'_>)) -> World {
    let mut world = World::new(GatherConfig {
        ..config(&[stun("198.51.100.77:3478")])
    });
    world.add(LOCAL);
    let (_, request) = world.sent.pop().unwrap();
    let message = Message::parse(&request.bytes).unwrap();
    let mut bytes = Vec::new();
    let id = message.transaction();
    let mut writer = MessageWriter::new(&mut bytes, class, message.method(), id);
    fill(&mut writer);
    writer.finish().unwrap();
    // The same answer from another address is not taken.
    let path = request.path;
    let forged = FiveTuple {
        remote: address("198.51.100.66:3478"),
        ..path
    };
    let handled = world.gatherer.handle_datagram(world.now, forged, &bytes);
    assert_eq!(handled, Handled::NotOurs);
    let handled = world.gatherer.handle_datagram(world.now, path, &bytes);
    assert_eq!(handled, Handled::Consumed);
    let handled = world.gatherer.handle_datagram(world.now, path, &bytes);
    assert_eq!(handled, Handled::NotOurs);
    world.settle();
    world
}

#[test]
fn a_server_of_rfc_3489_is_understood() {
    let world = answered(Class::Success, |writer| {
        writer.attribute(&MappedAddress(address(OUTSIDE)));
    });
    assert_eq!(world.events(), [&found("198.51.100.77:3478")]);
}

#[test]
fn an_answer_without_an_address_to_send_to_is_an_error() {
    for mapped in [
        "0.0.0.0:5",
        "224.0.0.1:5",
        "203.0.113.5:0",
        "255.255.255.255:5",
    ] {
        let world = answered(Class::Success, |writer| {
            writer.attribute(&XorMappedAddress(address(mapped)));
        });
        assert_eq!(world.errors()[0].code, 701, "{mapped}");
        assert_eq!(world.gatherer.counters().malformed, 1);
    }
}

#[test]
fn an_error_of_the_server_is_told_by_its_code() {
    let world = answered(Class::Error, |writer| {
        let code = ErrorCode::new(420).unwrap();
        writer.attribute(&ErrorCodeAttribute::without_reason(code));
    });
    assert_eq!(world.errors()[0].code, 420);
}
