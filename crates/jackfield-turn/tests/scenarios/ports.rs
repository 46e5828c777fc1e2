//! Relay ports: random, even, reserved, used up.

use std::collections::BTreeSet;
use std::sync::Arc;

use jackfield_stun::MessageWriter;
use jackfield_turn::attribute::{EvenPort, RequestedTransport, ReservationToken, method};
use jackfield_turn::{BindError, ServerConfig};

use crate::world::*;

#[test]
fn ports_are_not_sequential() {
    let mut world = World::new(config());
    let ports: Vec<u16> = (1..=20)
        .map(|port| {
            Client::new("203.0.113.5:1")
                .at(port)
                .allocate(&mut world)
                .port()
        })
        .collect();
    let steps: BTreeSet<i32> = ports
        .windows(2)
        .map(|pair| i32::from(pair[1]) - i32::from(pair[0]))
        .collect();
    assert!(steps.len() > 15, "{ports:?}");
}

#[test]
fn an_even_port_and_the_next_one_go_to_one_user_over_two_shards() {
    let config = config();
    let mut first = World::new(config.clone());
    let mut second = World::at(first.now, config);
    let mut rtp = Client::new("203.0.113.5:4000");
    let answer = rtp.ask(&mut first, method::ALLOCATE, even(true));
    let relayed = answer.relayed();
    assert_eq!(relayed.port() % 2, 0);
    let ReservationToken(token) = answer.get().unwrap();
    assert_eq!(first.sockets.len(), 1, "the next port was only looked at");
    // Someone else cannot have it, and neither can two.
    let mut thief = Client::new("203.0.113.5:4001").named("other", "pass");
    assert_eq!(
        thief.ask(&mut second, method::ALLOCATE, by(token)).code(),
        508
    );
    let mut rtcp = Client::new("203.0.113.5:4001");
    let answer = rtcp.ask(&mut second, method::ALLOCATE, by(token));
    assert_eq!(answer.relayed().port(), relayed.port() + 1);
    let mut again = Client::new("203.0.113.5:4002");
    assert_eq!(
        again.ask(&mut second, method::ALLOCATE, by(token)).code(),
        508
    );
}

#[test]
fn a_reservation_lasts_thirty_seconds() {
    let mut world = World::new(two_ports());
    let mut client = Client::new("203.0.113.5:4000");
    let answer = client.ask(&mut world, method::ALLOCATE, even(true));
    let ReservationToken(token) = answer.get().unwrap();
    let mut other = Client::new("203.0.113.5:4001");
    assert_eq!(
        other.ask(&mut world, method::ALLOCATE, even(false)).code(),
        508
    );
    world.pass(secs(30));
    assert_eq!(
        other.ask(&mut world, method::ALLOCATE, by(token)).code(),
        508
    );
    assert_eq!(
        other.allocate(&mut world).port(),
        50_001,
        "the port is free again"
    );
}

#[test]
fn every_reservation_gives_its_port_back_in_time() {
    let mut world = World::new(ServerConfig {
        relay_ports: 50_000..=50_003,
        ..config()
    });
    for port in 1..=2 {
        let mut client = Client::new("203.0.113.5:1").at(port);
        assert_eq!(
            client.ask(&mut world, method::ALLOCATE, even(true)).code(),
            0
        );
        world.pass(secs(10));
    }
    assert_eq!(
        Client::new("203.0.113.5:3")
            .ask(&mut world, method::ALLOCATE, udp)
            .code(),
        508
    );
    world.pass(secs(30));
    for port in 3..=4 {
        Client::new("203.0.113.5:1").at(port).allocate(&mut world);
    }
}

#[test]
fn an_even_port_without_reservation_leaks_nothing() {
    let mut world = World::new(two_ports());
    let mut client = Client::new("203.0.113.5:4000");
    for _ in 0..10 {
        let answer = client.ask(&mut world, method::ALLOCATE, even(false));
        assert_eq!(answer.relayed().port(), 50_000);
        assert!(answer.get::<ReservationToken>().is_none());
        assert_eq!(client.refresh(&mut world, 0), 0);
    }
}

#[test]
fn a_pair_whose_second_port_another_process_has_is_not_given() {
    let mut world = World::new(config());
    world.sockets = (49_153..=65_535)
        .step_by(2)
        .filter(|port| *port != 60_001)
        .map(|port| address(&format!("198.51.100.1:{port}")))
        .collect();
    let taken = world.sockets.len();
    let mut client = Client::new("203.0.113.5:4000");
    let answer = client.ask(&mut world, method::ALLOCATE, even(true));
    // Sixteen tries rarely find the one pair; what matters is that nothing half-free is given.
    assert!(answer.code() == 508 || answer.relayed().port() == 60_000);
    assert_eq!(world.sockets.len() - taken, usize::from(answer.code() == 0));
}

#[test]
fn when_the_ports_are_used_up_there_is_508_until_one_is_given_back() {
    let mut world = World::new(two_ports());
    let mut clients: Vec<Client> = (1..=3)
        .map(|port| Client::new("203.0.113.5:1").at(port))
        .collect();
    let ports: BTreeSet<u16> = clients[..2]
        .iter_mut()
        .map(|client| client.allocate(&mut world).port())
        .collect();
    assert_eq!(ports, BTreeSet::from([50_000, 50_001]));
    let full = clients[2].ask(&mut world, method::ALLOCATE, udp);
    assert_eq!(full.code(), 508);
    assert_eq!(clients[0].refresh(&mut world, 0), 0);
    clients[2].allocate(&mut world);
}

#[test]
fn shards_never_try_each_others_ports() {
    let config = two_ports();
    let mut first = World::new(config.clone());
    let mut second = World::at(first.now, config.clone());
    Client::new("203.0.113.5:1").allocate(&mut first);
    Client::new("203.0.113.5:2").allocate(&mut second);
    assert_eq!(first.sockets.intersection(&second.sockets).count(), 0);
    assert_eq!(config.registry.allocations(), 2);
    drop(Arc::clone(&config.registry));
}

#[test]
fn a_reserved_port_that_cannot_be_bound_is_508_and_free_again() {
    let mut world = World::new(two_ports());
    let mut client = Client::new("203.0.113.5:4000");
    let answer = client.ask(&mut world, method::ALLOCATE, even(true));
    let ReservationToken(token) = answer.get().unwrap();
    world.bind_errors = [BindError::InUse].into();
    let mut second = Client::new("203.0.113.5:4001");
    assert_eq!(
        second.ask(&mut world, method::ALLOCATE, by(token)).code(),
        508
    );
    assert_eq!(second.allocate(&mut world).port(), 50_001);
}

fn two_ports() -> ServerConfig {
    ServerConfig {
        relay_ports: 50_000..=50_001,
        ..config()
    }
}

fn udp(writer: &mut MessageWriter<'_>) {
    writer.attribute(&RequestedTransport(17));
}

fn even(reserve_next: bool) -> impl Fn(&mut MessageWriter<'_>) {
    move |writer| {
        udp(writer);
        writer.attribute(&EvenPort { reserve_next });
    }
}

fn by(token: [u8; 8]) -> impl Fn(&mut MessageWriter<'_>) {
    move |writer| {
        udp(writer);
        writer.attribute(&ReservationToken(token));
    }
}
