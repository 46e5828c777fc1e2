//! An allocation's life: made, kept, ended.

use jackfield_sansio::Transport;
use jackfield_stun::ErrorCode;
use jackfield_stun::attribute::AttributeType;
use jackfield_stun::{Class, Message};
use jackfield_turn::Credentials;
use jackfield_turn::attribute::{AddressFamily, method};
use jackfield_turn::client::{Event, Failure};

use super::world::{PEER, World, address, client_config, path, secs, server_config, udp};

#[test]
fn a_client_gets_an_allocation_and_learns_its_addresses() {
    let mut world = World::new();
    world.settle();
    let relayed = world.client.relayed().unwrap();
    assert_eq!(relayed.v4.unwrap().ip(), address(super::world::SERVER).ip());
    assert_eq!(relayed.v6, None);
    assert_eq!(world.client.mapped(), Some(udp().local));
    let allocated = Event::Allocated {
        relayed,
        mapped: udp().local,
        lifetime: secs(600),
    };
    assert_eq!(world.events, [allocated]);
}

#[test]
fn the_strongest_password_algorithm_and_the_hidden_username_are_chosen() {
    let world = World::allocated();
    let signed = Message::parse(&world.sent[1]).unwrap();
    assert!(signed.has_sha256() && !signed.has_sha1());
    assert!(signed.has(AttributeType::USERHASH) && !signed.has(AttributeType::USERNAME));
    assert!(signed.has(AttributeType::PASSWORD_ALGORITHMS));
}

#[test]
fn a_server_of_rfc_5389_gets_md5_and_a_username() {
    let mut config = server_config();
    config.password_algorithms = false;
    let mut world = World::with(client_config(), config, udp());
    world.settle();
    assert!(world.client.relayed().is_some());
    let signed = Message::parse(&world.sent[1]).unwrap();
    assert!(signed.has_sha1() && !signed.has_sha256());
    assert!(signed.has(AttributeType::USERNAME));
}

#[test]
fn minted_credentials_are_names_in_the_clear() {
    let mut config = server_config();
    config.credentials = Credentials::new().with_secret("north star");
    let now = secs(1_700_000_000);
    let minted = jackfield_turn::credential::mint("north star", "alice", secs(60), now);
    let mut client = client_config();
    client.credential =
        Some(jackfield_turn::client::Credential::new(minted.username, minted.password).unwrap());
    let mut world = World::with(client, config, udp());
    world.settle();
    assert!(world.client.relayed().is_some(), "{:?}", world.events);
}

#[test]
fn what_is_lost_is_sent_again() {
    let mut world = World::new();
    world.lose = 3; // a request, its repetition, and then an answer
    world.pass(secs(5));
    assert!(world.client.relayed().is_some());
    assert!(world.client.counters().transmissions > world.client.counters().requests);
}

#[test]
fn over_a_stream_nothing_is_sent_twice() {
    let stream = path(Transport::Tcp, super::world::SERVER);
    let mut world = World::with(client_config(), server_config(), stream);
    world.lose = usize::MAX;
    world.pass(secs(39));
    assert_eq!(world.sent.len(), 1);
    assert_eq!(world.events, []);
    world.pass(secs(1));
    assert_eq!(world.events, [Event::Failed(Failure::TimedOut)]);
}

#[test]
fn an_allocation_with_its_peers_lives_for_a_day() {
    let mut world = World::allocated();
    world.send(PEER, b"first");
    for _ in 0..24 * 12 {
        world.pass(secs(300));
        world.send(PEER, b"again");
        assert_eq!(world.at_peers.pop_back().unwrap().2, b"again");
        assert_eq!(
            world.hear(PEER, b"answer"),
            Some((address(PEER), b"answer".to_vec(), true))
        );
    }
    let bad = |event: &&Event| {
        !matches!(
            event,
            Event::Refreshed { .. } | Event::Permitted(_) | Event::ChannelBound { .. }
        )
    };
    assert_eq!(world.events.iter().find(bad), None);
    let news = |event: &&Event| matches!(event, Event::Permitted(_) | Event::ChannelBound { .. });
    assert_eq!(world.events.iter().filter(news).count(), 2, "once each");
}

#[test]
fn a_stale_nonce_costs_a_round_trip_and_nothing_else() {
    let mut config = server_config();
    config.nonce_lifetime = secs(60);
    let mut world = World::with(client_config(), config, udp());
    world.pass(secs(7_200));
    assert!(world.client.relayed().is_some(), "{:?}", world.events);
    let server = world.server.counters();
    assert!(server.errors(ErrorCode::STALE_NONCE) > 5);
    assert_eq!(server.errors(ErrorCode::UNAUTHENTICATED), 1);
}

#[test]
fn a_refresh_that_is_lost_is_asked_again_while_the_allocation_lasts() {
    let mut world = World::allocated();
    world.pass(secs(500));
    world.lose = 9;
    world.pass(secs(200));
    assert!(world.client.relayed().is_some(), "{:?}", world.events);
    world.lose = usize::MAX;
    world.pass(secs(700));
    assert_eq!(world.events.last(), Some(&Event::Failed(Failure::Expired)));
    assert!(world.client.has_ended());
    assert_eq!(world.client.relayed(), None);
}

#[test]
fn closing_deletes_the_allocation_on_the_server() {
    let mut world = World::allocated();
    world.send(PEER, b"hello");
    world.client.close(world.now);
    world.settle();
    assert_eq!(world.events.last(), Some(&Event::Closed));
    assert_eq!(world.server.counters().allocations, 0);
    let waits_for_nothing = world.settle();
    assert_eq!(waits_for_nothing, None);
}

#[test]
fn closing_ends_also_when_the_server_is_gone() {
    let mut world = World::allocated();
    world.lose = usize::MAX;
    world.client.close(world.now);
    world.pass(secs(60));
    assert_eq!(world.events, [Event::Closed]);
}

#[test]
fn the_family_that_was_asked_for_is_given() {
    let mut config = client_config();
    config.family = Some(AddressFamily::V6);
    let mut server = server_config();
    server.relay_addresses = ["198.51.100.1", "2001:db8::1"]
        .map(|ip| jackfield_turn::RelayAddress {
            local: ip.parse().unwrap(),
            advertised: ip.parse().unwrap(),
        })
        .into();
    let mut world = World::with(config, server, udp());
    world.settle();
    let relayed = world.client.relayed().unwrap();
    assert_eq!(relayed.v4, None);
    assert_eq!(relayed.v6.unwrap().ip().to_string(), "2001:db8::1");
}

#[test]
fn a_silent_client_reminds_nats_of_itself_over_udp_alone() {
    let keepalives = |world: &World| {
        let is_one = |bytes: &&Vec<u8>| {
            Message::parse(bytes).is_ok_and(|message| {
                message.class() == Class::Indication && message.method() != method::SEND
            })
        };
        world.sent.iter().filter(is_one).count()
    };
    let mut world = World::allocated();
    world.pass(secs(100));
    assert_eq!(keepalives(&world), 6);
    let stream = path(Transport::Tls, super::world::SERVER);
    let mut world = World::with(client_config(), server_config(), stream);
    world.pass(secs(100));
    assert_eq!(keepalives(&world), 0);
}

#[test]
fn a_connection_that_ends_ends_the_allocation() {
    let mut world = World::allocated();
    world.client.handle_closed(world.now);
    world.settle();
    assert_eq!(world.events, [Event::Failed(Failure::Disconnected)]);
}
