//! What TURN servers have for us.

use std::net::SocketAddr;

use jackfield_ice::gather::{Event, GatherConfig, GatherLimits, IceServer, RelaySockets};
use jackfield_sansio::Transport;
use jackfield_turn::client::{Credential, SendError};

use crate::world::*;

fn gathered() -> World {
    World::gathered(config(&[turn(Transport::Udp)]))
}

/// Returns the addresses at which servers see a socket, as they were told of.
fn reflexives(world: &World) -> Vec<SocketAddr> {
    let of_event = |event: &Event| match event {
        Event::Reflexive { address, .. } => Some(*address),
        _ => None,
    };
    world.events().into_iter().filter_map(of_event).collect()
}

#[test]
fn an_allocation_gives_an_address_of_each_family_and_the_reflexive_one() {
    let world = gathered();
    let [reflexive, v4, v6, complete] = world.events()[..] else {
        panic!("{:?}", world.events());
    };
    assert_eq!(
        reflexive,
        &Event::Reflexive {
            base: address(LOCAL),
            address: address(OUTSIDE),
            server: address(SERVER),
        }
    );
    for (event, family) in [(v4, "198.51.100.1"), (v6, "2001:db8::1")] {
        let &Event::Relayed {
            address: relayed,
            mapped,
            base,
            server,
            transport,
        } = event
        else {
            panic!("{event:?}");
        };
        assert_eq!(relayed.ip().to_string(), family);
        assert_eq!((mapped, base), (address(OUTSIDE), address(LOCAL)));
        assert_eq!((server, transport), (address(SERVER), Transport::Udp));
    }
    assert_eq!(complete, &Event::Complete);
    // 401 and then the allocation, from the first instant on.
    assert_eq!(world.completed(), Some(millis(20)));
}

#[test]
fn only_relays_are_told_of_where_nothing_else_is_wanted() {
    let world = World::gathered(GatherConfig {
        reflexive: false,
        ..config(&[turn(Transport::Udp), stun(OTHER_SERVER)])
    });
    assert_eq!(world.relayed().len(), 2);
    assert_eq!(world.events().len(), 3);
}

#[test]
fn data_passes_both_ways_once_the_peer_is_let_in() {
    let mut world = gathered();
    let relayed = world.relayed()[0];
    assert_eq!(world.hear(relayed, PEER, b"too early"), None);
    world.gatherer.permit(world.now, address(PEER).ip());
    world.pass(millis(50));
    world.send(relayed, PEER, b"hello");
    let expected = (relayed, address(PEER), b"hello".to_vec());
    assert_eq!(world.at_peers.pop_front(), Some(expected.clone()));
    assert_eq!(world.hear(relayed, PEER, b"hello"), Some(expected));
}

#[test]
fn peers_that_were_let_in_before_the_allocation_are_let_in_by_it() {
    let mut world = World::new(config(&[turn(Transport::Udp)]));
    world.gatherer.permit(world.now, address(PEER).ip());
    world.add(LOCAL);
    world.pass(secs(1));
    let relayed = world.relayed()[0];
    assert!(world.hear(relayed, PEER, b"hello").is_some());
}

#[test]
fn what_is_sent_before_the_peer_is_let_in_waits_inside() {
    let mut world = gathered();
    let relayed = world.relayed()[0];
    world.send(relayed, PEER, b"early");
    assert!(world.at_peers.is_empty());
    world.pass(millis(50));
    assert_eq!(world.at_peers.pop_front().unwrap().2, b"early");
}

#[test]
fn a_channel_makes_headers_short() {
    let mut world = gathered();
    let relayed = world.relayed()[0];
    world.gatherer.permit(world.now, address(PEER).ip());
    world.pass(millis(50));
    let now = world.now;
    let header = |world: &mut World| {
        let sent = world.gatherer.send(now, relayed, address(PEER), b"x");
        sent.unwrap().unwrap().1.header.as_bytes().len()
    };
    assert_eq!(header(&mut world), 36);
    world.gatherer.bind_channel(now, relayed, address(PEER));
    world.pass(millis(50));
    assert_eq!(header(&mut world), 4);
}

#[test]
fn an_allocation_is_kept_and_given_back() {
    let mut world = gathered();
    world.events.clear();
    world.pass(secs(3_600));
    assert_eq!(world.events(), [] as [&Event; 0]);
    assert_eq!(world.allocations, 1);
    world.gatherer.close(world.now);
    world.pass(secs(1));
    assert_eq!(world.allocations, 0);
    assert!(world.gatherer.has_ended());
    let relayed = address("198.51.100.1:50000");
    let sent = world.gatherer.send(world.now, relayed, address(PEER), b"x");
    assert_eq!(sent, Err(SendError::NotAllocated));
}

#[test]
fn an_allocation_that_the_server_has_lost_is_made_again() {
    let mut world = gathered();
    let relayed = world.relayed();
    world.gatherer.permit(world.now, address(PEER).ip());
    world.pass(secs(1));
    world.events.clear();
    // The server starts anew, and knows nothing of us.
    world.serve(address(SERVER));
    world.pass(secs(900));
    for address in relayed {
        assert!(world.events().contains(&&Event::RelayedLost { address }));
    }
    let again = world.relayed()[0];
    assert_eq!(world.errors(), [] as [&_; 0]);
    assert_eq!(world.gatherer.counters().lost_allocations, 1);
    assert!(world.hear(again, PEER, b"hello").is_some(), "let in again");
}

/// On a lossy path all requests to a server may be lost, and behind a NAT its answer shows the only
/// address for a direct path.
#[test]
fn a_server_that_was_silent_by_udp_is_asked_for_an_allocation_again() {
    let mut world = World::new(config(&[turn(Transport::Udp)]));
    world.silent.insert((Transport::Udp, address(SERVER)));
    world.add(LOCAL);
    world.gatherer.end_of_sockets(world.now);
    world.pass(secs(4));
    assert_eq!(world.errors().len(), 1);
    assert!(world.completed().is_some());
    assert!(world.relayed().is_empty());
    world.silent.clear();
    world.pass(secs(10));
    assert_eq!(world.relayed().len(), 2);
    let is_reflexive = |event: &&&Event| matches!(event, Event::Reflexive { .. });
    assert_eq!(world.events().iter().filter(is_reflexive).count(), 1);
    assert_eq!(world.errors().len(), 1);
}

#[test]
fn a_socket_that_is_removed_takes_its_relays_along() {
    let mut world = gathered();
    let relayed = world.relayed();
    world.events.clear();
    world.gatherer.remove_socket(world.now, address(LOCAL));
    world.settle();
    for address in relayed {
        assert!(world.events().contains(&&Event::RelayedLost { address }));
    }
    world.pass(secs(900));
    assert_eq!(world.events().len(), 3);
}

#[test]
fn a_wrong_password_is_an_error_with_the_servers_code() {
    let credential = Credential::new("user", "wrong").unwrap();
    let server = IceServer::turn(Transport::Udp, address(SERVER), credential);
    let world = World::gathered(config(&[server]));
    let [error] = world.errors()[..] else {
        panic!("{:?}", world.events());
    };
    assert_eq!(error.code, 401);
    assert_eq!(error.url, "turn:198.51.100.1:3478?transport=udp");
    // A Binding request follows the two for an allocation.
    assert_eq!(world.completed(), Some(millis(30)));
}

/// Behind a NAT the server's answer shows the only address for a direct path.
#[test]
fn a_server_that_gives_no_allocation_still_tells_where_it_sees_the_socket() {
    let credential = Credential::new("user", "wrong").unwrap();
    let refused = IceServer::turn(Transport::Udp, address(SERVER), credential);
    let world = World::gathered(config(&[refused]));
    //= https://www.rfc-editor.org/rfc/rfc8445#section-5.1.1.2
    //= type=test
    //# If the Allocate request is
    //# rejected because the server lacks resources to fulfill it, the agent
    //# SHOULD instead send a Binding request to obtain a server-reflexive
    //# candidate.
    assert_eq!(reflexives(&world), [address(OUTSIDE)]);
}

/// The server has made the allocation, but its answers are lost: it makes no second one between
/// the same two addresses (437).
#[test]
fn an_allocation_from_another_socket_leaves_the_reflexive_address_of_the_first() {
    let mut world = World::new(config(&[turn(Transport::Udp)]));
    world.add(LOCAL);
    world.gatherer.end_of_sockets(world.now);
    world.pass(millis(5));
    world.answers = Answers::Lost;
    world.pass(secs(4));
    world.answers = Answers::Pass;
    world.pass(secs(2));
    assert_eq!(world.connected().transport, Transport::Udp);
    world.pass(secs(1));
    assert_eq!(world.relayed().len(), 2);
    assert_eq!(reflexives(&world), [address(OUTSIDE)]);
}

/// Returns a world whose relay is reached by TCP, and a stream that has stalled after it was made:
/// the server was asked to let a peer in.
fn stalled() -> (World, SocketAddr) {
    let mut world = World::new(config(&[turn(Transport::Tcp)]));
    world.add(LOCAL);
    world.gatherer.end_of_sockets(world.now);
    world.settle();
    world.connected();
    world.pass(secs(1));
    let relayed = *world.relayed().first().expect("an allocation");
    world.events.clear();
    world.connects.clear();
    world.answers = Answers::Held;
    world.gatherer.permit(world.now, address(PEER).ip());
    (world, relayed)
}

/// No other connection can be opened: the network is away.
#[test]
fn a_stream_that_stalls_for_long_costs_no_permission() {
    let (mut world, relayed) = stalled();
    world.pass(secs(30));
    world.release();
    world.pass(millis(20));
    assert!(world.hear(relayed, PEER, b"hello").is_some());
    assert_eq!(world.events(), [] as [&Event; 0]);
}

#[test]
fn a_stream_that_stalls_is_replaced_by_one_that_can_be_opened() {
    let (mut world, relayed) = stalled();
    let old = world.gatherer.path(relayed).unwrap();
    world.pass(secs(4));
    assert!(world.connects.is_empty());
    world.pass(secs(2));
    assert_eq!(world.connects.len(), 1);
    assert_eq!(world.events(), [] as [&Event; 0]);
    world.answers = Answers::Pass;
    world.connected();
    world.pass(secs(1));
    assert_eq!(world.closed, [old]);
    let lost = Event::RelayedLost { address: relayed };
    assert!(world.events().contains(&&lost));
    let again = world.relayed()[0];
    assert!(world.hear(again, PEER, b"hello").is_some(), "let in again");
    assert_eq!(world.gatherer.counters().lost_allocations, 1);
}

#[test]
fn a_stream_that_goes_on_makes_the_one_beside_it_superfluous() {
    let (mut world, relayed) = stalled();
    world.pass(secs(6));
    assert_eq!(world.connects.len(), 1);
    world.release();
    world.pass(secs(1));
    let superfluous = world.connected();
    assert_eq!(world.closed, [superfluous]);
    world.pass(secs(60));
    assert!(world.hear(relayed, PEER, b"hello").is_some());
    assert_eq!(world.events(), [] as [&Event; 0]);
    assert_eq!(world.connects.len(), 1);
}

#[test]
fn a_stream_that_is_silent_before_the_allocation_is_opened_anew() {
    let mut world = World::new(config(&[turn(Transport::Tcp)]));
    world.silent.insert((Transport::Tcp, address(SERVER)));
    world.add(LOCAL);
    world.gatherer.end_of_sockets(world.now);
    world.settle();
    let first = world.connected();
    world.pass(secs(4));
    assert_eq!((world.completed(), &*world.closed), (None, &[] as &[_]));
    world.silent.clear();
    world.pass(secs(3));
    assert_eq!(world.closed, [first]);
    assert_eq!(world.completed(), Some(secs(5)));
    world.connected();
    world.pass(secs(1));
    assert_eq!(world.relayed().len(), 2);
}

#[test]
fn a_peer_about_which_the_server_was_silent_is_asked_for_with_the_next_packet() {
    let mut world = gathered();
    let relayed = world.relayed()[0];
    world.events.clear();
    world.silent.insert((Transport::Udp, address(SERVER)));
    world.gatherer.permit(world.now, address(PEER).ip());
    world.pass(secs(10));
    assert_eq!(world.events(), [] as [&Event; 0]);
    world.silent.clear();
    world.send(relayed, PEER, b"again");
    world.pass(millis(50));
    assert_eq!(world.at_peers.pop_front().unwrap().2, b"again");
}

#[test]
fn a_restart_refreshes_allocations_and_keeps_them() {
    let mut world = gathered();
    let relayed = world.relayed()[0];
    world.events.clear();
    world.sent.clear();
    world.gatherer.restart(world.now);
    world.pass(secs(1));
    assert_eq!(world.events(), [&Event::Complete]);
    assert_eq!(world.sent.len(), 1);
    assert!(world.gatherer.path(relayed).is_some());
}

#[test]
fn there_are_no_more_allocations_than_allowed() {
    let mut config = config(&[turn(Transport::Udp)]);
    config.limits = GatherLimits {
        allocations: 2,
        peers: 2,
        ..GatherLimits::default()
    };
    let mut world = World::new(config);
    for port in 1..=3 {
        world.add(&format!("192.168.1.2:{port}"));
    }
    world.gatherer.end_of_sockets(world.now);
    world.pass(secs(1));
    assert_eq!(world.allocations, 2);
    assert_eq!(world.gatherer.counters().ignored_allocations, 1);
    assert!(world.completed().is_some());
    for peer in ["198.41.0.4", "198.41.0.5", "198.41.0.6"] {
        world.gatherer.permit(world.now, peer.parse().unwrap());
    }
    assert_eq!(world.gatherer.counters().displaced_peers, 1);
}

#[test]
fn agents_on_one_port_have_sockets_of_their_own_for_relays() {
    let mut world = World::new(GatherConfig {
        relay_sockets: RelaySockets::Own,
        ..config(&[turn(Transport::Udp)])
    });
    world.add(LOCAL);
    world.gatherer.end_of_sockets(world.now);
    world.settle();
    let path = world.connected();
    assert_eq!(path.transport, Transport::Udp);
    world.pass(secs(1));
    assert_eq!(world.relayed().len(), 2);
    // The address where the server sees the other socket is no candidate of this one.
    assert_eq!(world.events().len(), 3);
    world.gatherer.remove_socket(world.now, address(LOCAL));
    world.settle();
    assert_eq!(world.closed, [path]);
}

#[test]
fn one_address_can_be_a_stun_and_a_turn_server() {
    for servers in [
        [stun(SERVER), turn(Transport::Udp)],
        [turn(Transport::Udp), stun(SERVER)],
    ] {
        let world = World::gathered(config(&servers));
        assert!(world.errors().is_empty(), "{:?}", world.errors());
        assert_eq!(world.relayed().len(), 2);
        assert!(world.completed().is_some_and(|at| at <= millis(30)));
    }
}
