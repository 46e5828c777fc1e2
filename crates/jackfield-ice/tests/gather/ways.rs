//! The ways to a TURN server: UDP, and TCP and TLS where UDP does not lead there.

use jackfield_ice::gather::{Event, GatherConfig, IceServer, Output};
use jackfield_sansio::{Transmit, Transport};
use std::time::Duration;

use crate::world::*;

fn all_ways() -> [IceServer; 3] {
    [Transport::Tls, Transport::Tcp, Transport::Udp].map(turn)
}

/// Returns a configuration that holds the slower ways back.
fn one_way_of(servers: &[IceServer]) -> GatherConfig {
    GatherConfig {
        fallback: millis(250),
        ..config(servers)
    }
}

fn connects(world: &World) -> Vec<(Duration, Transport)> {
    let of_output = |(at, output): &(Duration, Output)| match output {
        Output::Connect { transport, .. } => Some((*at, *transport)),
        _ => None,
    };
    world.connects.iter().filter_map(of_output).collect()
}

#[test]
fn what_udp_gives_makes_connections_superfluous() {
    let mut world = World::gathered(one_way_of(&all_ways()));
    assert_eq!(connects(&world), []);
    assert_eq!(world.completed(), Some(millis(20)));
    assert_eq!(world.relayed().len(), 2);
    world.pass(secs(600));
    assert_eq!(connects(&world), []);
}

#[test]
fn where_udp_is_blocked_connections_are_tried_soon() {
    let mut world = World::new(one_way_of(&all_ways()));
    world.silent.insert((Transport::Udp, address(SERVER)));
    world.add(LOCAL);
    world.gatherer.end_of_sockets(world.now);
    world.pass(millis(250));
    assert_eq!(connects(&world), [(millis(250), Transport::Tcp)]);
    let path = world.connected();
    world.pass(secs(10));
    // TCP has succeeded before it was the turn of TLS.
    assert_eq!(connects(&world).len(), 1);
    let Event::Relayed {
        transport, base, ..
    } = *world.events()[0]
    else {
        panic!("{:?}", world.events());
    };
    assert_eq!((transport, base), (Transport::Tcp, address(LOCAL)));
    assert_eq!(world.gatherer.path(world.relayed()[0]), Some(path));
    assert_eq!(world.errors().len(), 1, "UDP was given up");
    assert_eq!(world.completed(), Some(millis(3_750)));
}

#[test]
fn a_connection_that_fails_makes_way_for_the_next_at_once() {
    let ways = [turn(Transport::Tls), turn(Transport::Tcp)];
    let mut world = World::new(one_way_of(&ways));
    world.add(LOCAL);
    world.gatherer.end_of_sockets(world.now);
    world.settle();
    assert_eq!(connects(&world), [(millis(0), Transport::Tcp)]);
    let Output::Connect { id, .. } = world.connects[0].1 else {
        panic!()
    };
    world.pass(millis(100));
    assert!(world.gatherer.handle_connect_failed(world.now, id));
    world.settle();
    assert_eq!(connects(&world)[1..], [(millis(100), Transport::Tls)]);
    world.connected();
    world.pass(secs(1));
    assert_eq!(world.relayed().len(), 2);
}

#[test]
fn a_connection_that_takes_too_long_is_given_up() {
    let mut world = World::new(config(&[turn(Transport::Tcp)]));
    world.add(LOCAL);
    world.gatherer.end_of_sockets(world.now);
    world.pass(millis(5_500));
    assert_eq!(world.errors()[0].code, 701);
    assert_eq!(world.completed(), Some(secs(5)));
    // The driver's answer may come after that.
    let path = world.connected();
    assert_eq!(world.closed, [path]);
    assert_eq!(world.relayed(), []);
    // A lossy path may swallow all SYNs of five seconds: the server is asked again.
    world.pass(secs(1));
    assert_eq!(connects(&world)[1..], [(secs(6), Transport::Tcp)]);
    let again = world.connected();
    world.pass(secs(1));
    assert_ne!(again, path);
    assert_eq!(world.relayed().len(), 2);
}

#[test]
fn a_relay_over_udp_that_is_lost_is_replaced_by_a_connection() {
    let mut world = World::gathered(one_way_of(&all_ways()));
    world.silent.insert((Transport::Udp, address(SERVER)));
    world.pass(secs(700));
    assert_eq!(connects(&world)[0].1, Transport::Tcp);
}

#[test]
fn a_relay_whose_connection_ends_is_made_again() {
    let mut world = World::new(config(&[turn(Transport::Tcp)]));
    world.add(LOCAL);
    world.settle();
    let path = world.connected();
    world.pass(secs(1));
    let relayed = world.relayed();
    assert!(world.gatherer.handle_closed(world.now, path));
    world.settle();
    for address in relayed {
        assert!(world.events().contains(&&Event::RelayedLost { address }));
    }
    world.events.clear();
    world.pass(secs(2));
    assert_eq!(connects(&world).len(), 2);
    world.connected();
    world.pass(secs(1));
    assert_eq!(world.relayed().len(), 2);
}

#[test]
fn all_ways_are_tried_at_once_and_kept() {
    let mut world = World::new(config(&all_ways()));
    world.add(LOCAL);
    world.gatherer.end_of_sockets(world.now);
    world.pass(millis(10));
    let ways: Vec<_> = connects(&world).into_iter().map(|(_, way)| way).collect();
    assert_eq!(ways, [Transport::Tls, Transport::Tcp]);
}

#[test]
fn an_address_without_a_socket_asks_over_streams_alone() {
    let servers = [
        turn(Transport::Udp),
        stun(OTHER_SERVER),
        turn(Transport::Tcp),
    ];
    let mut world = World::new(config(&servers));
    world.gatherer.add_address(world.now, address(LOCAL).ip());
    world.gatherer.end_of_sockets(world.now);
    world.settle();
    assert_eq!(connects(&world), [(millis(0), Transport::Tcp)]);
    let path = world.connected();
    world.pass(secs(1));
    let is_udp = |(_, sent): &(_, Transmit)| sent.path.transport == Transport::Udp;
    assert!(!world.sent.iter().any(is_udp));
    let Event::Relayed { base, .. } = *world.events()[0] else {
        panic!("{:?}", world.events());
    };
    assert_eq!((base.ip(), base.port()), (address(LOCAL).ip(), 0));
    assert_eq!(world.completed(), Some(millis(20)));

    world
        .gatherer
        .remove_address(world.now, address(LOCAL).ip());
    assert_eq!(world.settle(), None, "nothing is left to do");
    let lost = world.relayed().into_iter();
    let mut lost = lost.map(|address| Event::RelayedLost { address });
    assert!(lost.all(|lost| world.events().contains(&&lost)));
    assert_eq!(world.closed, [path]);
}

#[test]
fn a_relay_whose_connections_end_soon_is_asked_for_less_and_less() {
    let mut world = World::new(config(&[turn(Transport::Tcp)]));
    world.add(LOCAL);
    let mut pauses = Vec::new();
    // The last one is lost after it has lasted.
    for (count, lasts) in [1, 1, 1, 1, 119, 121, 1].map(secs).into_iter().enumerate() {
        assert_eq!(connects(&world).len(), count + 1);
        let path = world.connected();
        world.pass(lasts);
        assert_eq!(world.relayed().len(), 2 * (count + 1));
        let lost_at = world.now - world.start;
        assert!(world.gatherer.handle_closed(world.now, path));
        while connects(&world).len() == count + 1 {
            world.pass(secs(1));
        }
        pauses.push(connects(&world)[count + 1].0 - lost_at);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 1, 2].map(secs));
}
