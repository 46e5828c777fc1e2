//! Every cap holds, is counted, and hurts no other client.

use jackfield_sansio::Transport;
use jackfield_stun::{ErrorCode, MessageWriter, Method};
use jackfield_turn::attribute::{EvenPort, RequestedTransport, method};
use jackfield_turn::credential::mint;
use jackfield_turn::{DropReason, Limit, Rate, ServerConfig, ServerLimits};

use crate::world::*;

#[test]
fn a_user_has_a_quota_over_all_shards_and_all_its_minted_names() {
    let config = limited(|limits| limits.allocations_per_user = 2);
    let mut first = World::new(config.clone());
    let mut second = World::at(first.now, config);
    let mut alice = (1..=3).map(|n| {
        let minted = mint(SECRET, "alice", secs(600 + n), UNIX);
        Client::new("203.0.113.5:1")
            .at(n as u16)
            .named(&minted.username, &minted.password)
    });
    let mut one = alice.next().unwrap();
    one.allocate(&mut first);
    alice.next().unwrap().allocate(&mut second);
    let mut three = alice.next().unwrap();
    assert_eq!(three.ask(&mut second, method::ALLOCATE, udp).code(), 486);
    Client::new("203.0.113.5:9").allocate(&mut second);
    assert_eq!(one.refresh(&mut first, 0), 0);
    three.allocate(&mut second);
    assert_eq!(
        second
            .server
            .counters()
            .errors(ErrorCode::ALLOCATION_QUOTA_REACHED),
        1
    );
}

#[test]
fn all_users_together_have_a_quota() {
    let mut world = World::new(limited(|limits| limits.allocations = 1));
    let mut first = Client::new("203.0.113.5:1");
    first.allocate(&mut world);
    let mut second = Client::new("203.0.113.5:2").named("other", "pass");
    assert_eq!(second.ask(&mut world, method::ALLOCATE, udp).code(), 508);
    assert_eq!(world.server.counters().over_limit(Limit::Allocations), 1);
    world.server.handle_client_closed(world.now, first.path);
    world.drain();
    second.allocate(&mut world);
}

#[test]
fn a_client_network_has_a_quota_over_all_its_names_and_shards() {
    let config = limited(|limits| limits.allocations_per_network = 3);
    let mut first = World::new(config.clone());
    let mut second = World::at(first.now, config);
    let client = |remote: &str, user: &str| {
        let minted = mint(SECRET, user, secs(600), UNIX);
        Client::new(remote).named(&minted.username, &minted.password)
    };
    let mut one = client("203.0.113.5:1", "a");
    one.allocate(&mut first);
    client("203.0.113.6:1", "b").allocate(&mut second);
    client("203.0.113.250:9", "c").allocate(&mut first);
    let mut four = client("203.0.113.5:2", "d");
    assert_eq!(four.ask(&mut second, method::ALLOCATE, udp).code(), 486);
    client("203.0.114.5:1", "e").allocate(&mut second);
    let counters = second.server.counters();
    assert_eq!(counters.over_limit(Limit::AllocationsPerNetwork), 1);
    assert_eq!(counters.over_limit(Limit::AllocationsPerUser), 0);
    assert_eq!(one.refresh(&mut first, 0), 0);
    four.allocate(&mut second);
}

#[test]
fn a_client_network_has_a_rate_of_bytes_over_all_its_allocations_and_shards() {
    let config = limited(|limits| limits.bytes_per_network = Some(Rate::new(1_000, 100_000)));
    let mut first = World::new(config.clone());
    let mut second = World::at(first.now, config);
    let mut carried = 0;
    for (world, port) in [(&mut first, 1), (&mut second, 2)] {
        let mut client = Client::new("203.0.113.5:1").at(port);
        let relayed = client.allocate(world);
        client.permit(world, &[PEER]);
        for _ in 0..100 {
            carried += usize::from(world.datagram(relayed, PEER, &[0; 1_000]).is_some());
        }
        let mut neighbour = Client::new("203.0.114.5:1").at(port);
        let relayed = neighbour.allocate(world);
        neighbour.permit(world, &[PEER]);
        assert!(world.datagram(relayed, PEER, &[0; 1_000]).is_some());
    }
    assert_eq!(carried, 100);
    assert_eq!(second.dropped(DropReason::NetworkByteRate), 100);
    assert_eq!(first.dropped(DropReason::NetworkByteRate), 0);
}

#[test]
fn an_allocation_made_anew_does_not_begin_with_a_new_rate_of_its_network() {
    let mut world = World::new(limited(|limits| {
        limits.bytes_per_network = Some(Rate::new(1, 1_000));
    }));
    let mut client = Client::new("203.0.113.5:1");
    let mut carried = 0;
    for _ in 0..5 {
        let relayed = client.allocate(&mut world);
        client.permit(&mut world, &[PEER]);
        carried += usize::from(world.datagram(relayed, PEER, &[0; 1_000]).is_some());
        assert_eq!(client.refresh(&mut world, 0), 0);
        world.pass(secs(2));
    }
    assert_eq!(carried, 1);
}

#[test]
fn one_network_cannot_take_all_reservations() {
    let mut world = World::new(limited(|limits| limits.reservations_per_network = 1));
    let even = |writer: &mut MessageWriter<'_>| {
        udp(writer);
        writer.attribute(&EvenPort { reserve_next: true });
    };
    let mut first = Client::new("203.0.113.5:1");
    assert_eq!(first.ask(&mut world, method::ALLOCATE, even).code(), 0);
    let mut second = Client::new("203.0.113.6:1");
    assert_eq!(second.ask(&mut world, method::ALLOCATE, even).code(), 508);
    assert_eq!(
        world
            .server
            .counters()
            .over_limit(Limit::ReservationsPerNetwork),
        1
    );
    assert_eq!(world.sockets.len(), 1, "what was refused holds no socket");
    let mut elsewhere = Client::new("203.0.114.5:1");
    assert_eq!(elsewhere.ask(&mut world, method::ALLOCATE, even).code(), 0);
}

#[test]
fn permissions_and_channels_of_an_allocation_are_capped() {
    let mut world = World::new(limited(|limits| {
        limits.permissions = 2;
        limits.channels = 1;
    }));
    let mut client = Client::new("203.0.113.5:1");
    client.allocate(&mut world);
    assert_eq!(
        client.permit(
            &mut world,
            &["198.41.0.4:1", "198.41.0.5:1", "198.41.0.6:1"]
        ),
        508
    );
    assert_eq!(
        client.permit(
            &mut world,
            &["198.41.0.4:1", "198.41.0.4:2", "198.41.0.5:1"]
        ),
        0
    );
    assert_eq!(
        client.permit(&mut world, &["198.41.0.4:1"]),
        0,
        "prolonging is always possible"
    );
    assert_eq!(
        client.bind(&mut world, 0x4000, "198.41.0.6:1"),
        508,
        "a channel makes a permission"
    );
    assert_eq!(client.bind(&mut world, 0x4000, "198.41.0.4:1"), 0);
    assert_eq!(client.bind(&mut world, 0x4001, "198.41.0.5:1"), 508);
    let counters = world.server.counters();
    assert_eq!(counters.over_limit(Limit::Permissions), 2);
    assert_eq!(counters.over_limit(Limit::Channels), 1);
    world.pass(secs(300));
    assert_eq!(
        client.permit(&mut world, &["198.41.0.6:1"]),
        0,
        "what has run out makes room"
    );
}

#[test]
fn an_allocation_has_a_rate_of_packets_both_ways_together() {
    let mut world = World::new(limited(|limits| limits.packets = Some(Rate::new(10, 4))));
    let mut client = Client::new("203.0.113.5:1");
    let relayed = client.allocate(&mut world);
    client.permit(&mut world, &[PEER]);
    let send = send_indication(PEER, b"hello");
    for _ in 0..2 {
        assert!(world.send(client.path, &send).is_some());
        assert!(world.datagram(relayed, PEER, b"hi").is_some());
    }
    assert!(world.send(client.path, &send).is_none());
    assert!(world.datagram(relayed, PEER, b"hi").is_none());
    assert_eq!(world.dropped(DropReason::PacketRate), 2);
    world.pass(secs(1));
    assert!(world.send(client.path, &send).is_some());
}

#[test]
fn an_allocation_has_a_rate_of_bytes() {
    let mut world = World::new(limited(|limits| limits.bytes = Some(Rate::new(100, 100))));
    let mut client = Client::new("203.0.113.5:1");
    let relayed = client.allocate(&mut world);
    client.permit(&mut world, &[PEER]);
    assert!(world.datagram(relayed, PEER, &[0; 60]).is_some());
    assert!(world.datagram(relayed, PEER, &[0; 60]).is_none());
    assert!(world.datagram(relayed, PEER, &[0; 40]).is_some());
    assert_eq!(world.dropped(DropReason::ByteRate), 1);
}

#[test]
fn a_payload_has_a_maximum() {
    let mut world = World::new(limited(|limits| limits.payload = 5));
    let mut client = Client::new("203.0.113.5:1");
    let relayed = client.allocate(&mut world);
    client.permit(&mut world, &[PEER]);
    assert!(world.datagram(relayed, PEER, b"12345").is_some());
    assert!(world.datagram(relayed, PEER, b"123456").is_none());
    assert!(
        world
            .send(client.path, &send_indication(PEER, b"123456"))
            .is_none()
    );
    assert_eq!(world.dropped(DropReason::TooLong), 2);
}

#[test]
fn a_datagram_that_no_message_can_carry_is_dropped() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:1");
    let relayed = client.allocate(&mut world);
    client.permit(&mut world, &[PEER]);
    let huge = vec![0; 65_536];
    assert!(world.datagram(relayed, PEER, &huge).is_none());
    client.bind(&mut world, 0x4000, PEER);
    assert!(world.datagram(relayed, PEER, &huge).is_none());
    assert_eq!(world.dropped(DropReason::TooLong), 2);
}

#[test]
fn a_flood_of_strangers_from_one_network_meets_silence_and_others_an_answer() {
    let mut world = World::new(limited(|limits| {
        limits.unauthenticated = Some(Rate::new(1, 5));
    }));
    let flood = |world: &mut World, remote: &str, transport| {
        let client = Client::on(transport, remote, "198.51.100.1:3478");
        let request = client.request(world.transaction(), method::ALLOCATE, udp);
        world.ask(client.path, &request).is_some()
    };
    let udp_answers = (1..=50)
        .filter(|host| flood(&mut world, &format!("203.0.113.{host}:1"), Transport::Udp))
        .count();
    assert_eq!(udp_answers, 5);
    assert_eq!(world.dropped(DropReason::UnauthenticatedRate), 45);
    assert!(flood(&mut world, "203.0.112.1:1", Transport::Udp));
    let tcp =
        (1..=50).all(|port| flood(&mut world, &format!("203.0.113.1:{port}"), Transport::Tcp));
    assert!(tcp, "a connection shows that its address is real");
    let local =
        (1..=50).all(|port| flood(&mut world, &format!("127.0.0.1:{port}"), Transport::Udp));
    assert!(local, "loopback cannot be forged from outside");
}

#[test]
fn a_flood_of_binding_requests_from_one_network_meets_silence() {
    let mut world = World::new(limited(|limits| limits.bindings = Some(Rate::new(1, 5))));
    let client = Client::new("203.0.113.5:1");
    let request = client.request(world.transaction(), Method::BINDING, |_| {});
    let answers = (0..50)
        .filter(|_| world.ask(client.path, &request).is_some())
        .count();
    assert_eq!(answers, 5);
    assert_eq!(world.dropped(DropReason::BindingRate), 45);
}

#[test]
fn no_answer_to_a_stranger_is_much_longer_than_its_request() {
    let mut world = World::new(config());
    let client = Client::new("203.0.113.5:1");
    // The shortest requests there are.
    for (method, longest) in [
        (Method::BINDING, 32),
        (method::ALLOCATE, 104),
        (method::REFRESH, 104),
    ] {
        let request = client.request(world.transaction(), method, |_| {});
        assert_eq!(request.len(), 20);
        let answer = world.ask(client.path, &request).unwrap();
        assert!(answer.0.len() <= longest, "{} bytes", answer.0.len());
    }
    let long: Vec<u8> = (0..200u16).flat_map(|n| [0x7F, n as u8, 0, 0]).collect();
    let mut request = client.request(world.transaction(), Method::BINDING, |_| {});
    request.extend_from_slice(&long);
    let length = (request.len() - 20) as u16;
    request[2..4].copy_from_slice(&length.to_be_bytes());
    assert!(world.ask(client.path, &request).unwrap().0.len() <= 52);
}

#[test]
fn what_is_no_message_is_dropped_by_reason() {
    let mut world = World::new(config());
    let path = Client::new("203.0.113.5:1").path;
    for (bytes, reason) in [
        (b"".as_slice(), DropReason::NotStun),
        (b"GET / HTTP/1.1\r\n\r\n", DropReason::Truncated),
        (b"\x16\x03\x01", DropReason::NotStun),
        (b"\xFF", DropReason::NotStun),
        (b"\x00\x01", DropReason::Malformed),
        (b"\x40", DropReason::Truncated),
        (b"\x40\x00\x00\x00", DropReason::NoAllocation),
        (
            b"\x01\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl",
            DropReason::Unexpected,
        ),
        (
            b"\x00\x0A\x00\x00\x21\x12\xa4\x42abcdefghijkl",
            DropReason::Unexpected,
        ),
    ] {
        let before = world.dropped(reason);
        assert_eq!(world.send(path, bytes), None);
        assert_eq!(world.dropped(reason), before + 1, "{reason:?}");
        assert!(world.sent.is_empty());
    }
}

fn limited(change: impl FnOnce(&mut ServerLimits)) -> ServerConfig {
    let mut config = config();
    change(&mut config.limits);
    config
}

fn udp(writer: &mut MessageWriter<'_>) {
    writer.attribute(&RequestedTransport(17));
}
