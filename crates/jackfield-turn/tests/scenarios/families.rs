//! IPv4, IPv6, and both at once (RFC 8656 §7.2 and §8.2).

use jackfield_stun::MessageWriter;
use jackfield_turn::attribute::{
    AdditionalAddressFamily, AddressErrorCode, AddressFamily, EvenPort, Lifetime,
    RequestedAddressFamily, RequestedTransport, ReservationToken, XorRelayedAddress, method,
};
use jackfield_turn::{BindError, DefaultFamily, DropReason, RelayAddress, ServerConfig};

use crate::world::*;

fn dual_stack() -> ServerConfig {
    let pair = |ip: &str| RelayAddress {
        local: ip.parse().unwrap(),
        advertised: ip.parse().unwrap(),
    };
    ServerConfig {
        relay_addresses: vec![pair("198.51.100.1"), pair("2001:db8::1")],
        ..config()
    }
}

#[test]
fn a_client_gets_the_family_it_asks_for() {
    let mut world = World::new(dual_stack());
    for (port, family) in [(1, AddressFamily::V4), (2, AddressFamily::V6)] {
        let mut client = Client::new("203.0.113.5:4000").at(port);
        let answer = client.ask(&mut world, method::ALLOCATE, |writer| {
            udp(writer);
            writer.attribute(&RequestedAddressFamily(family));
        });
        assert_eq!(AddressFamily::of(answer.relayed().ip()), family);
    }
}

#[test]
fn a_client_that_names_no_family_gets_its_own_or_ipv4_to_the_letter_of_the_rfc() {
    for (default_family, is_ipv4) in [(DefaultFamily::Client, false), (DefaultFamily::Ipv4, true)] {
        let mut world = World::new(ServerConfig {
            default_family,
            ..dual_stack()
        });
        let mut v4 = Client::new("203.0.113.5:4000");
        assert!(v4.allocate(&mut world).is_ipv4());
        let mut v6 = Client::on(v4.path.transport, "[2a00::5]:4000", "[2001:db8::1]:3478");
        assert_eq!(v6.allocate(&mut world).is_ipv4(), is_ipv4);
        // A dual-stack socket shows IPv4 clients as IPv4-mapped.
        let mut mapped = Client::on(
            v4.path.transport,
            "[::ffff:203.0.113.6]:4000",
            "[::ffff:198.51.100.1]:3478",
        );
        assert!(mapped.allocate(&mut world).is_ipv4());
    }
}

#[test]
fn a_family_we_have_no_address_of_is_not_supported() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    let answer = client.ask(&mut world, method::ALLOCATE, |writer| {
        udp(writer);
        writer.attribute(&RequestedAddressFamily(AddressFamily::V6));
    });
    assert_eq!(answer.code(), 440);
}

#[test]
fn a_machine_with_both_families_gives_both_without_being_configured() {
    let mut config = config();
    config.peers.own_addresses = ["::1", "fe80::1", "2a00::77", "127.0.0.1", "198.51.100.1"]
        .map(|ip| ip.parse().unwrap())
        .to_vec();
    let mut world = World::new(config);
    for (port, local, relayed) in [
        (1, "198.51.100.1:3478", "2a00::77"),
        (2, "127.0.0.1:3478", "::1"),
    ] {
        let mut client =
            Client::on(jackfield_sansio::Transport::Udp, "203.0.113.5:1", local).at(port);
        let answer = client.ask(&mut world, method::ALLOCATE, |writer| {
            udp(writer);
            writer.attribute(&RequestedAddressFamily(AddressFamily::V6));
        });
        assert_eq!(answer.relayed().ip().to_string(), relayed);
    }
}

#[test]
fn peers_are_reached_from_the_address_of_their_family() {
    let mut world = World::new(dual_stack());
    let mut client = Client::new("203.0.113.5:4000");
    let answer = client.ask(&mut world, method::ALLOCATE, both);
    assert_eq!(answer.code(), 0);
    let relayed: Vec<_> = answer
        .message()
        .all::<XorRelayedAddress>()
        .map(|relayed| relayed.unwrap().0)
        .collect();
    assert_eq!(relayed.len(), 2);
    assert!(answer.get::<AddressErrorCode<'_>>().is_none());
    assert_eq!(client.permit(&mut world, &[PEER, PEER_V6]), 0);
    for (peer, relayed) in [(PEER, relayed[0]), (PEER_V6, relayed[1])] {
        let send = send_indication(peer, b"hello");
        assert_eq!(to_peer(world.send(client.path, &send)).0, relayed);
        assert_eq!(
            to_client(world.datagram(relayed, peer, b"hi")).0,
            client.path
        );
    }
}

#[test]
fn a_success_names_the_family_that_failed_and_its_reason() {
    // No IPv6 address at all.
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    let answer = client.ask(&mut world, method::ALLOCATE, both);
    let failure: AddressErrorCode<'_> = answer.get().unwrap();
    assert_eq!(
        (failure.family, failure.error.code.value()),
        (AddressFamily::V6, 440)
    );
    assert!(answer.relayed().is_ipv4());
    // No socket for IPv4.
    let mut world = World::new(dual_stack());
    world.bind_errors = [BindError::NoResources].into();
    let answer = client.ask(&mut world, method::ALLOCATE, both);
    let failure: AddressErrorCode<'_> = answer.get().unwrap();
    assert_eq!(
        (failure.family, failure.error.code.value()),
        (AddressFamily::V4, 508)
    );
    assert!(answer.relayed().is_ipv6());
    // No socket at all.
    let mut world = World::new(dual_stack());
    world.bind_errors = [BindError::NoResources; 2].into();
    let answer = client.ask(&mut world, method::ALLOCATE, both);
    assert_eq!(answer.code(), 508);
    assert!(world.sockets.is_empty());
}

#[test]
fn one_family_of_two_is_refreshed_or_deleted_alone() {
    let mut world = World::new(dual_stack());
    let mut client = Client::new("203.0.113.5:4000");
    assert_eq!(client.ask(&mut world, method::ALLOCATE, both).code(), 0);
    client.bind(&mut world, 0x4000, PEER);
    client.bind(&mut world, 0x4001, PEER_V6);
    let only = |family, seconds| {
        move |writer: &mut MessageWriter<'_>| {
            writer.attribute(&RequestedAddressFamily(family));
            writer.attribute(&Lifetime(seconds));
        }
    };
    world.pass(secs(300));
    let answer = client.ask(&mut world, method::REFRESH, only(AddressFamily::V4, 900));
    assert_eq!(answer.get(), Some(Lifetime(900)));
    assert_eq!(client.bind(&mut world, 0x4001, PEER_V6), 0);
    world.pass(secs(300));
    assert_eq!(world.sockets.len(), 1, "the IPv6 address was not refreshed");
    assert_eq!(world.send(client.path, b"\x40\x01\x00\x00"), None);
    assert_eq!(world.dropped(DropReason::NoChannel), 1);
    assert_eq!(client.permit(&mut world, &[PEER_V6]), 443);
    let answer = client.ask(&mut world, method::REFRESH, only(AddressFamily::V6, 600));
    assert_eq!(answer.code(), 443);
    let answer = client.ask(&mut world, method::REFRESH, only(AddressFamily::V4, 0));
    assert_eq!(answer.get(), Some(Lifetime(0)));
    assert!(world.sockets.is_empty());
    assert_eq!(client.refresh(&mut world, 600), 437);
}

#[test]
fn wishes_that_contradict_each_other_are_bad_requests() {
    let mut world = World::new(dual_stack());
    let mut client = Client::new("203.0.113.5:4000");
    let v6 = AddressFamily::V6;
    let cases: &[&dyn Fn(&mut MessageWriter<'_>)] = &[
        &|writer| {
            writer.attribute(&RequestedAddressFamily(v6));
            writer.attribute(&AdditionalAddressFamily(v6));
        },
        &|writer| writer.attribute(&AdditionalAddressFamily(AddressFamily::V4)),
        &|writer| {
            writer.attribute(&AdditionalAddressFamily(v6));
            writer.attribute(&EvenPort { reserve_next: true });
        },
        &|writer| {
            writer.attribute(&ReservationToken([1; 8]));
            writer.attribute(&EvenPort {
                reserve_next: false,
            });
        },
        &|writer| {
            writer.attribute(&ReservationToken([1; 8]));
            writer.attribute(&RequestedAddressFamily(v6));
        },
        &|writer| {
            writer.attribute(&ReservationToken([1; 8]));
            writer.attribute(&AdditionalAddressFamily(v6));
        },
    ];
    for case in cases {
        let answer = client.ask(&mut world, method::ALLOCATE, |writer| {
            udp(writer);
            case(writer);
        });
        assert_eq!(answer.code(), 400);
    }
    assert!(world.sockets.is_empty());
}

fn udp(writer: &mut MessageWriter<'_>) {
    writer.attribute(&RequestedTransport(17));
}

fn both(writer: &mut MessageWriter<'_>) {
    udp(writer);
    writer.attribute(&AdditionalAddressFamily(AddressFamily::V6));
}
