//! TCP candidates (RFC 6544).

use jackfield_ice::{AgentConfig, CandidateKind, CandidateTransport, State};

use super::world::{LEFT, RIGHT, World, ms, secs};

#[test]
fn a_passive_candidate_is_connected_to_where_udp_does_not_pass() {
    let mut world = World::new();
    world.udp = false;
    world.add_socket(LEFT, "192.0.2.1:1000");
    world.add_socket(RIGHT, "198.51.100.1:2000");
    world.add_listener(RIGHT, "198.51.100.1:2001");
    world.connect();
    let at = world.run_until(secs(1), |world| world.is_connected());
    // The UDP pair has the first place. Then the connection takes one round trip, the check another
    // one, and the check of the passive side, which it triggers, half of one more.
    assert_eq!(at, ms(5 + 100 + 100 + 50));
    let (left, right) = (world.selected(LEFT), world.selected(RIGHT));
    assert_eq!(left.local.transport, CandidateTransport::TcpActive);
    assert_eq!(left.remote.kind, CandidateKind::Host);
    assert_eq!(right.local.transport, CandidateTransport::TcpPassive);
    assert_eq!(right.remote.kind, CandidateKind::PeerReflexive);
    assert!(world.send(LEFT, b"over TCP"));
    world.run(ms(50));
    assert_eq!(world.peers[RIGHT].data.len(), 1);
}

#[test]
fn a_udp_pair_that_stops_is_left_for_the_tcp_pair_in_reserve() {
    let mut world = World::direct();
    world.add_listener(RIGHT, "198.51.100.1:2001");
    world.connect();
    world.run(secs(3));
    assert_eq!(
        world.selected(LEFT).local.transport,
        CandidateTransport::Udp
    );
    world.udp = false;
    let over_tcp = |world: &World, peer| world.selected(peer).path.transport.is_stream();
    let at = world.run_until(secs(10), |world| {
        over_tcp(world, LEFT) && over_tcp(world, RIGHT)
    });
    // The next consent check is at most 6 s away, and four probes of half a second follow.
    assert!(at <= secs(3 + 6 + 3), "{at:?}");
    assert!(world.peers[LEFT].agent.state().is_connected());
    assert!(!world.peers[LEFT].states().contains(&State::Failed));
}

#[test]
fn a_closed_connection_ends_its_pair_at_once() {
    let mut world = World::direct();
    world.udp = false;
    world.add_listener(RIGHT, "198.51.100.1:2001");
    world.connect();
    world.run_until(secs(1), |world| world.is_connected());
    let path = world.selected(LEFT).path;
    let now = world.now;
    world.agent(LEFT).handle_closed(now, path);
    world.drain(LEFT);
    assert_eq!(world.peers[LEFT].agent.state(), State::Disconnected);
}

/// RFC 6544 §3: where no host takes connections, both dial at once from the ports of their
/// listeners, and each SYN opens its own firewall for the other one.
#[test]
fn two_firewalls_that_drop_incoming_connections_are_passed_by_a_simultaneous_open() {
    for simultaneous in [true, false] {
        let config = AgentConfig {
            tcp_simultaneous_open: simultaneous,
            ..AgentConfig::default()
        };
        let mut world = World::with(config.clone(), config);
        world.udp = false;
        world.incoming_tcp = false;
        for (peer, host) in [(LEFT, "192.0.2.1"), (RIGHT, "198.51.100.1")] {
            world.add_socket(peer, &format!("{host}:1000"));
            world.add_listener(peer, &format!("{host}:1001"));
        }
        world.connect();
        world.run(secs(5));
        assert_eq!(world.is_connected(), simultaneous);
        if simultaneous {
            for peer in [LEFT, RIGHT] {
                let pair = world.selected(peer);
                let transport = CandidateTransport::TcpSimultaneousOpen;
                assert_eq!(pair.local.transport, transport);
                assert_eq!(pair.path.local.port(), 1001);
            }
            assert!(world.send(LEFT, b"one way") && world.send(RIGHT, b"and back"));
            world.run(ms(60));
            assert_eq!(world.peers[RIGHT].data.len(), 1);
            assert_eq!(world.peers[LEFT].data.len(), 1);
        }
    }
}

#[test]
fn a_connection_that_falls_silent_is_dialed_anew() {
    let mut world = World::direct();
    world.udp = false;
    world.add_listener(RIGHT, "198.51.100.1:2001");
    world.connect();
    world.run(secs(2));
    let before = world.selected(LEFT).path;
    // What is between forgets the connection, without a word to either end.
    world.forget_streams();
    world.run(secs(12));
    let after = world.selected(LEFT).path;
    assert_ne!(before, after);
    assert_eq!((after.local, after.remote), {
        let path = world.selected(RIGHT).path;
        (path.remote, path.local)
    });
    assert!(world.send(LEFT, b"by another") && world.send(RIGHT, b"connection"));
    world.run(ms(60));
    assert_eq!(world.peers[RIGHT].data.len(), 1);
    assert_eq!(world.peers[LEFT].data.len(), 1);
}
