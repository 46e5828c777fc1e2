//! The life of an allocation, one stage a section, through the public API.

use crate::world::*;
use jackfield_sansio::Transport;
use jackfield_stun::attribute::{Nonce, PasswordAlgorithms, Realm, Software, XorMappedAddress};
use jackfield_stun::{ErrorCode, Message, Method};
use jackfield_turn::attribute::{Data, Lifetime, RequestedTransport, XorPeerAddress, method};
use jackfield_turn::{BindError, DropReason, EndReason, Event};

// ---- Binding ----

#[test]
fn a_binding_request_is_answered_without_any_state() {
    let mut world = World::new(config());
    let client = Client::new("203.0.113.5:4000");
    let request = client.request(world.transaction(), Method::BINDING, |_| {});
    let answer = world.ask(client.path, &request).unwrap();
    assert_eq!(answer.get(), Some(XorMappedAddress(client.path.remote)));
    assert_eq!(answer.0.len(), 32);
    assert_eq!(world.server.counters().bindings, 1);
    assert_eq!(world.wait, None);
}

// ---- The challenge ----

#[test]
fn a_challenge_says_how_to_authenticate_and_nothing_else() {
    let mut world = World::new(config());
    let client = Client::new("203.0.113.5:4000");
    let request = client.request(world.transaction(), method::ALLOCATE, |writer| {
        writer.attribute(&RequestedTransport(17));
    });
    let answer = world.ask(client.path, &request).unwrap();
    assert_eq!(answer.code(), 401);
    assert_eq!(answer.get(), Some(Realm(REALM)));
    assert_eq!(answer.get(), Some(PasswordAlgorithms::ALL));
    assert!(answer.get::<Nonce<'_>>().is_some());
    assert!(answer.get::<Software<'_>>().is_none());
    assert!(answer.0.len() <= 100, "{} bytes", answer.0.len());
    assert_eq!(
        world.server.counters().errors(ErrorCode::UNAUTHENTICATED),
        1
    );
}

#[test]
fn a_wrong_password_and_an_unknown_user_get_the_same_answer() {
    let mut world = World::new(config());
    for (username, password) in [
        ("user", "wrong"),
        ("nobody", "pass"),
        ("1800000000:x", "pass"),
    ] {
        let mut client = Client::new("203.0.113.5:4000").named(username, password);
        let answer = client.ask(&mut world, method::ALLOCATE, |writer| {
            writer.attribute(&RequestedTransport(17));
        });
        assert_eq!(answer.code(), 401);
    }
}

#[test]
fn an_old_nonce_gets_438_and_a_new_one() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    client.allocate(&mut world);
    let old = client.nonce.clone();
    for _ in 0..7 {
        world.pass(secs(599));
        assert_eq!(client.refresh(&mut world, 600), 0);
    }
    assert_ne!(client.nonce, old);
    assert_eq!(world.server.counters().errors(ErrorCode::STALE_NONCE), 1);
}

#[test]
fn a_nonce_is_good_from_every_port_of_its_address_and_from_no_other_address() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    client.allocate(&mut world);
    let mut twin = Client::new("203.0.113.5:4001");
    twin.nonce = client.nonce.clone();
    twin.allocate(&mut world);
    assert_eq!(world.server.counters().errors(ErrorCode::STALE_NONCE), 0);
    let mut thief = Client::new("203.0.113.6:4000");
    thief.nonce = client.nonce;
    thief.allocate(&mut world);
    assert_eq!(world.server.counters().errors(ErrorCode::STALE_NONCE), 1);
}

#[test]
fn integrity_without_its_companions_is_a_bad_request() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    client.nonce = Some(String::new());
    let mut request = client.request(world.transaction(), method::ALLOCATE, |_| {});
    // USERNAME becomes an unknown attribute that is comprehension-optional.
    request[20..22].copy_from_slice(&[0xFF, 0xFF]);
    let answer = world.ask(client.path, &request).unwrap();
    assert_eq!(answer.code(), 400);
}

// ---- Allocate ----

#[test]
fn an_allocation_has_a_relayed_address_a_lifetime_and_the_clients_own_address() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    let answer = client.ask(&mut world, method::ALLOCATE, |writer| {
        writer.attribute(&RequestedTransport(17));
    });
    let relayed = answer.relayed();
    assert_eq!(relayed.ip(), client.path.local.ip());
    assert!((49_152..=65_535).contains(&relayed.port()));
    assert!(world.sockets.contains(&relayed));
    assert_eq!(answer.get(), Some(Lifetime(600)));
    assert_eq!(answer.get(), Some(XorMappedAddress(client.path.remote)));
    assert_eq!(answer.get(), Some(Software("test")));
    assert!(matches!(&world.events[0], Event::Allocated { username, .. } if &**username == "user"));
}

#[test]
fn a_repeated_allocate_gets_the_same_answer_and_a_new_one_437() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    client.allocate(&mut world);
    let first = client.request(world.transaction(), method::ALLOCATE, |writer| {
        writer.attribute(&RequestedTransport(17));
    });
    assert_eq!(world.ask(client.path, &first).unwrap().code(), 437);
    assert_eq!(client.refresh(&mut world, 0), 0);
    let once = world.ask(client.path, &first).unwrap();
    let twice = world.ask(client.path, &first).unwrap();
    assert_eq!(once.0, twice.0);
    assert_eq!(world.sockets.len(), 1);
}

#[test]
fn a_repeat_while_the_socket_is_being_bound_is_not_answered_twice() {
    let mut world = World::new(config());
    world.hold_binds = true;
    let mut client = Client::new("203.0.113.5:4000");
    let challenge = client.request(world.transaction(), method::ALLOCATE, |_| {});
    let answer = world.ask(client.path, &challenge).unwrap();
    client.nonce = Some(answer.get::<Nonce<'_>>().unwrap().0.to_owned());
    let request = client.request(world.transaction(), method::ALLOCATE, |writer| {
        writer.attribute(&RequestedTransport(17));
    });
    assert!(world.ask(client.path, &request).is_none());
    assert!(world.ask(client.path, &request).is_none());
    assert_eq!(world.dropped(DropReason::InProgress), 1);
    let (id, local) = world.binds.pop().unwrap();
    assert!(world.binds.is_empty());
    world.sockets.insert(local);
    world.server.handle_bound(world.now, id, Ok(local));
    world.drain();
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn a_port_in_use_is_replaced_by_another_and_other_failures_are_508() {
    let mut world = World::new(config());
    world.bind_errors = [BindError::InUse; 3].into();
    Client::new("203.0.113.5:4000").allocate(&mut world);
    for error in [
        BindError::NoResources,
        BindError::NotAvailable,
        BindError::Other,
    ] {
        world.bind_errors = [error].into();
        let mut client = Client::new("203.0.113.5:4001");
        let answer = client.ask(&mut world, method::ALLOCATE, |writer| {
            writer.attribute(&RequestedTransport(17));
        });
        assert_eq!(answer.code(), 508);
    }
    world.bind_errors = [BindError::InUse; 99].into();
    let answer = Client::new("203.0.113.5:4001").ask(&mut world, method::ALLOCATE, |writer| {
        writer.attribute(&RequestedTransport(17));
    });
    assert_eq!(answer.code(), 508);
    assert_eq!(world.bind_errors.len(), 99 - 16);
    assert_eq!(world.server.counters().allocations, 1);
}

#[test]
fn only_udp_is_relayed() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    let tcp = client.ask(&mut world, method::ALLOCATE, |writer| {
        writer.attribute(&RequestedTransport(6));
    });
    assert_eq!(tcp.code(), 442);
    let none = client.ask(&mut world, method::ALLOCATE, |_| {});
    assert_eq!(none.code(), 400);
}

#[test]
fn a_lifetime_is_brought_between_the_default_and_the_maximum() {
    let mut world = World::new(config());
    for (port, wish, granted) in [(1, 1, 600), (2, 1_000, 1_000), (3, 999_999, 3_600)] {
        let mut client = Client::new(&format!("203.0.113.5:{port}"));
        let answer = client.ask(&mut world, method::ALLOCATE, |writer| {
            writer.attribute(&RequestedTransport(17));
            writer.attribute(&Lifetime(wish));
        });
        assert_eq!(answer.get(), Some(Lifetime(granted)));
    }
}

// ---- Refresh ----

#[test]
fn an_allocation_that_is_not_refreshed_ends() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    let relayed = client.allocate(&mut world);
    world.pass(secs(599));
    assert!(world.sockets.contains(&relayed));
    assert_eq!(client.refresh(&mut world, 600), 0);
    world.pass(secs(599));
    assert!(world.sockets.contains(&relayed));
    world.pass(secs(1));
    assert!(world.sockets.is_empty());
    assert_eq!(ends(&world), [EndReason::Expired]);
    assert_eq!(client.refresh(&mut world, 600), 437);
    assert_eq!(world.wait, None);
}

#[test]
fn a_refresh_with_lifetime_zero_deletes_the_allocation() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    client.allocate(&mut world);
    assert_eq!(client.refresh(&mut world, 0), 0);
    assert!(world.sockets.is_empty());
    assert_eq!(ends(&world), [EndReason::Deleted]);
    assert_eq!(client.refresh(&mut world, 0), 437);
    client.allocate(&mut world);
}

#[test]
fn only_its_user_may_touch_an_allocation() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    client.allocate(&mut world);
    let mut other = client.clone().named("other", "pass");
    assert_eq!(other.refresh(&mut world, 0), 441);
    assert_eq!(other.permit(&mut world, &[PEER]), 441);
    assert_eq!(other.bind(&mut world, 0x4000, PEER), 441);
    assert_eq!(world.sockets.len(), 1);
}

#[test]
fn requests_without_an_allocation_get_437() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    assert_eq!(client.refresh(&mut world, 600), 437);
    assert_eq!(client.permit(&mut world, &[PEER]), 437);
    assert_eq!(client.bind(&mut world, 0x4000, PEER), 437);
}

// ---- Permissions, Send and Data ----

#[test]
fn data_flows_both_ways_with_a_permission_and_neither_way_without() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    let relayed = client.allocate(&mut world);
    let send = send_indication(PEER, b"hello");
    assert_eq!(world.send(client.path, &send), None);
    assert_eq!(world.dropped(DropReason::NoPermission), 1);
    assert_eq!(world.datagram(relayed, PEER, b"hi"), None);
    assert_eq!(world.dropped(DropReason::PeerWithoutPermission), 1);

    assert_eq!(client.permit(&mut world, &[PEER]), 0);
    let sent = to_peer(world.send(client.path, &send));
    assert_eq!(sent, (relayed, address(PEER), b"hello".to_vec()));
    // A permission is for an address: any port of it may answer.
    let (path, bytes) = to_client(world.datagram(relayed, "198.41.0.4:1", b"hi"));
    assert_eq!(path, client.path);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.method(), method::DATA);
    assert_eq!(
        message.get(),
        Ok(Some(XorPeerAddress(address("198.41.0.4:1"))))
    );
    assert_eq!(message.get(), Ok(Some(Data(b"hi"))));
    assert_eq!(world.datagram(relayed, OTHER_PEER, b"hi"), None);
}

#[test]
fn a_permission_lasts_five_minutes() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    let relayed = client.allocate(&mut world);
    client.permit(&mut world, &[PEER, OTHER_PEER]);
    world.pass(secs(200));
    client.permit(&mut world, &[PEER]);
    world.pass(secs(100));
    assert!(world.datagram(relayed, PEER, b"hi").is_some());
    assert!(world.datagram(relayed, OTHER_PEER, b"hi").is_none());
    world.pass(secs(200));
    assert!(world.datagram(relayed, PEER, b"hi").is_none());
}

#[test]
fn permissions_are_made_for_all_peers_or_none() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    let relayed = client.allocate(&mut world);
    assert_eq!(client.permit(&mut world, &[PEER, "10.0.0.1:1"]), 403);
    assert_eq!(client.permit(&mut world, &[PEER, PEER_V6]), 443);
    assert_eq!(client.permit(&mut world, &[]), 400);
    assert!(world.datagram(relayed, PEER, b"hi").is_none());
}

#[test]
fn an_indication_without_peer_or_data_or_with_an_unknown_attribute_is_dropped() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    client.allocate(&mut world);
    client.permit(&mut world, &[PEER]);
    let mut send = send_indication(PEER, b"hello");
    send[20..22].copy_from_slice(&[0xFF, 0xFF]);
    assert_eq!(world.send(client.path, &send), None);
    assert_eq!(world.dropped(DropReason::Malformed), 1);
    send[20..22].copy_from_slice(&[0x7F, 0xFF]);
    assert_eq!(world.send(client.path, &send), None);
    assert_eq!(world.dropped(DropReason::UnknownAttribute), 1);
}

// ---- Channels ----

#[test]
fn a_channel_carries_data_both_ways() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    let relayed = client.allocate(&mut world);
    assert_eq!(client.bind(&mut world, 0x4ABC, PEER), 0);
    let message = channel_data(0x4ABC, b"hello");
    let sent = to_peer(world.send(client.path, &message));
    assert_eq!(sent, (relayed, address(PEER), b"hello".to_vec()));
    let (_, bytes) = to_client(world.datagram(relayed, PEER, b"hello"));
    assert_eq!(bytes, message);
    // Another port of the peer has the permission, and not the channel.
    let (_, bytes) = to_client(world.datagram(relayed, "198.41.0.4:1", b"hello"));
    assert!(Message::parse(&bytes).is_ok());
    assert!(
        world
            .events
            .iter()
            .any(|event| matches!(event, Event::ChannelBound { .. }))
    );
}

#[test]
fn over_a_stream_channel_data_is_padded() {
    let mut world = World::new(config());
    let mut client = Client::on(Transport::Tcp, "203.0.113.5:4000", "198.51.100.1:3478");
    let relayed = client.allocate(&mut world);
    assert_eq!(client.bind(&mut world, 0x4000, PEER), 0);
    let (_, bytes) = to_client(world.datagram(relayed, PEER, b"hello"));
    assert_eq!(bytes, b"\x40\x00\x00\x05hello\0\0\0");
    let padded = b"\x40\x00\x00\x05hello\0\0\0";
    assert_eq!(to_peer(world.send(client.path, padded)).2, b"hello");
}

#[test]
fn channel_data_longer_than_what_arrived_is_dropped() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    client.allocate(&mut world);
    client.bind(&mut world, 0x4000, PEER);
    for bytes in [
        b"\x40\x00\x00\x06hello".as_slice(),
        b"\x40\x00\x00",
        b"\x40\x00\xff\xffhello",
    ] {
        assert_eq!(world.send(client.path, bytes), None);
    }
    assert_eq!(world.dropped(DropReason::Truncated), 3);
    assert_eq!(world.send(client.path, b"\x40\x01\x00\x05hello"), None);
    assert_eq!(world.dropped(DropReason::NoChannel), 1);
    assert!(
        world.send(client.path, b"\x40\x00\x00\x00").is_some(),
        "an empty payload is data"
    );
}

#[test]
fn a_channel_stands_for_one_peer_and_a_peer_for_one_channel() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    client.allocate(&mut world);
    assert_eq!(client.bind(&mut world, 0x4000, PEER), 0);
    assert_eq!(client.bind(&mut world, 0x4000, PEER), 0);
    assert_eq!(client.bind(&mut world, 0x4000, OTHER_PEER), 400);
    assert_eq!(client.bind(&mut world, 0x4001, PEER), 400);
    assert_eq!(client.bind(&mut world, 0x4001, OTHER_PEER), 0);
}

#[test]
fn channel_numbers_end_at_7fff_or_where_rfc_8656_ends_them() {
    for (rfc5766_channels, above) in [(true, 0), (false, 400)] {
        let mut world = World::new(jackfield_turn::ServerConfig {
            rfc5766_channels,
            ..config()
        });
        let mut client = Client::new("203.0.113.5:4000");
        client.allocate(&mut world);
        for (number, code) in [
            (0x3FFFu16, 400),
            (0x4000, 0),
            (0x4FFF, 0),
            (0x5000, above),
            (0x7FFF, above),
            (0x8000, 400),
        ] {
            let peer = format!("198.41.0.4:{}", number | 1);
            let answer = client.ask(&mut world, method::CHANNEL_BIND, |writer| {
                writer.attribute(&XorPeerAddress(address(&peer)));
                writer.attribute(&RawChannelNumber(number));
            });
            assert_eq!(answer.code(), code, "{number:#x}");
        }
        let bytes = channel_data(0x5000, b"hello");
        assert_eq!(
            world.server.has_channel(world.now, &client.path, &bytes),
            rfc5766_channels
        );
        assert_eq!(world.send(client.path, &bytes).is_some(), rfc5766_channels);
        assert!(
            !world
                .server
                .has_channel(world.now, &client.path, b"\x50\x01")
        );
        assert!(!world.server.has_channel(world.now, &client.path, b"\x50"));
    }
}

#[test]
fn a_channel_lasts_ten_minutes_and_its_permission_five() {
    let mut world = World::new(config());
    let mut client = Client::new("203.0.113.5:4000");
    let relayed = client.allocate(&mut world);
    client.refresh(&mut world, 3_600);
    client.bind(&mut world, 0x4000, PEER);
    world.pass(secs(300));
    assert!(world.datagram(relayed, PEER, b"hi").is_none());
    assert!(world.send(client.path, b"\x40\x00\x00\x02hi").is_some());
    client.permit(&mut world, &[PEER]);
    let (_, bytes) = to_client(world.datagram(relayed, PEER, b"hi"));
    assert_eq!(bytes[..2], [0x40, 0x00]);
    world.pass(secs(300));
    assert!(world.send(client.path, b"\x40\x00\x00\x02hi").is_none());
    assert!(
        world
            .events
            .iter()
            .any(|event| matches!(event, Event::ChannelUnbound { .. }))
    );
    assert_eq!(
        client.bind(&mut world, 0x4001, PEER),
        0,
        "number and peer are free again"
    );
}

// ---- The end ----

#[test]
fn an_allocation_ends_with_its_connection() {
    let mut world = World::new(config());
    let mut client = Client::on(Transport::Tls, "203.0.113.5:4000", "198.51.100.1:443");
    let relayed = client.allocate(&mut world);
    client.permit(&mut world, &[PEER]);
    assert!(world.datagram(relayed, PEER, b"12345").is_some());
    world.server.handle_client_closed(world.now, client.path);
    world.drain();
    assert!(world.sockets.is_empty());
    let Some(Event::Deallocated {
        traffic, reason, ..
    }) = world.events.last()
    else {
        panic!("{:?}", world.events);
    };
    assert_eq!(*reason, EndReason::Disconnected);
    assert_eq!((traffic.packets_to_client, traffic.bytes_to_client), (1, 5));
    assert_eq!(world.server.counters().allocations, 0);
}

#[test]
fn a_socket_bound_for_a_client_that_has_gone_is_closed() {
    let mut world = World::new(config());
    let mut client = Client::on(Transport::Tcp, "203.0.113.5:4000", "198.51.100.1:3478");
    assert_eq!(client.refresh(&mut world, 600), 437);
    world.hold_binds = true;
    let request = client.request(world.transaction(), method::ALLOCATE, |writer| {
        writer.attribute(&RequestedTransport(17));
    });
    assert!(world.ask(client.path, &request).is_none());
    world.server.handle_client_closed(world.now, client.path);
    let (id, local) = world.binds.pop().unwrap();
    world.sockets.insert(local);
    world.server.handle_bound(world.now, id, Ok(local));
    world.drain();
    assert!(world.sockets.is_empty());
    assert!(world.sent.is_empty());
    assert_eq!(world.server.counters().allocated, 0);
}

#[test]
fn the_operator_can_end_an_allocation() {
    let mut world = World::new(config());
    Client::new("203.0.113.5:4000").allocate(&mut world);
    let Some(Event::Allocated { id, .. }) = world.events.pop() else {
        panic!("{:?}", world.events);
    };
    world.server.deallocate(world.now, id);
    world.server.deallocate(world.now, id);
    world.drain();
    assert_eq!(ends(&world), [EndReason::Revoked]);
    assert!(world.sockets.is_empty());
}

// ---- Two clients of one server ----

#[test]
fn two_clients_reach_each_other_through_their_relayed_addresses() {
    let mut world = World::new(config());
    let mut alice = Client::new("203.0.113.5:4000");
    let mut bob = Client::new("203.0.113.6:4000");
    let (a, b) = (alice.allocate(&mut world), bob.allocate(&mut world));
    assert_eq!(alice.permit(&mut world, &[&b.to_string()]), 0);
    assert_eq!(bob.bind(&mut world, 0x4000, &a.to_string()), 0);
    let send = send_indication(&b.to_string(), b"hello");
    let (from, to, payload) = to_peer(world.send(alice.path, &send));
    assert_eq!((from, to), (a, b));
    let (path, bytes) = to_client(world.datagram(to, &from.to_string(), &payload));
    assert_eq!(path, bob.path);
    assert_eq!(bytes, b"\x40\x00\x00\x05hello");
    // Only the relayed addresses of this machine are open, not its other ports.
    let send = send_indication("198.51.100.1:22", b"hello");
    assert_eq!(world.send(alice.path, &send), None);
    assert_eq!(world.dropped(DropReason::PeerDenied), 1);
    // And only as long as they live.
    assert_eq!(bob.refresh(&mut world, 0), 0);
    let send = send_indication(&b.to_string(), b"hello");
    assert_eq!(world.send(alice.path, &send), None);
    assert_eq!(world.dropped(DropReason::PeerDenied), 2);
}

fn ends(world: &World) -> Vec<EndReason> {
    world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Deallocated { reason, .. } => Some(*reason),
            _ => None,
        })
        .collect()
}

/// A CHANNEL-NUMBER of any value.
struct RawChannelNumber(u16);

impl<'a> jackfield_stun::attribute::Attribute<'a> for RawChannelNumber {
    const TYPE: jackfield_stun::attribute::AttributeType =
        jackfield_turn::attribute::kind::CHANNEL_NUMBER;

    fn decode(
        _: &'a [u8],
        _: &jackfield_stun::TransactionId,
    ) -> Result<Self, jackfield_stun::DecodeError> {
        unreachable!("only written")
    }

    fn encode(&self, _: &jackfield_stun::TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
    }
}
