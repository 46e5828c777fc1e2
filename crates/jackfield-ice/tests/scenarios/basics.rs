//! Connecting, on paths without and with filters.

use jackfield_ice::{AgentConfig, CandidateKind, Pacing, Role, State};
use jackfield_sansio::{FiveTuple, Transport};

use super::world::{LEFT, RIGHT, World, ms, secs};

#[test]
fn a_direct_path_takes_one_round_trip() {
    let mut world = World::direct();
    world.connect();
    let at = world.run_until(secs(1), |world| world.is_connected());
    assert_eq!(at, ms(100));
    assert!(world.send(LEFT, b"ping") && world.send(RIGHT, b"pong"));
    world.run(ms(50));
    assert_eq!(world.peers[RIGHT].data, [(ms(150), b"ping".to_vec())]);
    assert_eq!(world.peers[LEFT].data, [(ms(150), b"pong".to_vec())]);
    let pair = world.selected(LEFT);
    assert_eq!(
        (pair.local.kind, pair.remote.kind),
        (CandidateKind::Host, CandidateKind::Host)
    );
    assert_eq!(pair.rtt, Some(ms(100)));
}

#[test]
fn both_sides_complete_when_there_is_nothing_left_to_check() {
    let mut world = World::direct();
    world.connect();
    world.run(secs(2));
    for peer in [LEFT, RIGHT] {
        use State::{Checking, Completed, Connected};
        assert_eq!(world.peers[peer].states(), [Checking, Connected, Completed]);
    }
    assert_eq!(world.agent(LEFT).role(), Role::Controlling);
}

#[test]
fn two_port_restricted_filters_cost_nothing_if_both_sides_begin_at_once() {
    let mut world = World::new();
    for (peer, inside, nat) in [
        (LEFT, "192.168.1.2:1000", "192.0.2.1"),
        (RIGHT, "192.168.7.2:2000", "198.51.100.1"),
    ] {
        world.peers[peer].nat = Some(nat.parse().unwrap());
        world.add_socket(peer, inside);
        world.map(peer, inside);
    }
    world.exchange_parameters();
    let at = world.run_until(secs(1), |world| world.is_connected());
    // Both begin at once, and the checks that cross open both filters. The host candidates came
    // first and took the first place; 5 ms later it is the reflexive ones' turn.
    assert_eq!(at, ms(105));
    let pair = world.selected(LEFT);
    assert_eq!(pair.local.kind, CandidateKind::ServerReflexive);
    assert_eq!(pair.remote.kind, CandidateKind::ServerReflexive);
}

#[test]
fn a_check_that_a_filter_dropped_is_repeated_when_the_other_side_is_heard() {
    let mut world = World::new();
    for (peer, inside, nat) in [
        (LEFT, "192.168.1.2:1000", "192.0.2.1"),
        (RIGHT, "192.168.7.2:2000", "198.51.100.1"),
    ] {
        world.peers[peer].nat = Some(nat.parse().unwrap());
        world.add_socket(peer, inside);
        world.map(peer, inside);
    }
    // The left side begins 60 ms before the right one, so that its check of 0 ms meets a filter
    // that is still closed; the right one's check of 60 ms passes and triggers another at 110 ms.
    world.delay = ms(50);
    world.set_parameters(LEFT);
    world.run(ms(60));
    world.set_parameters(RIGHT);
    let at = world.run_until(secs(1), |world| world.is_connected());
    assert!(
        at <= ms(60 + 50 + 100),
        "{at:?} and not one and a half round trips after both know"
    );
}

/// A pair by which the other side was heard works in one direction at least: when our check is
/// lost, the repetition comes before those of sixty pairs that lead nowhere.
#[test]
fn a_lost_check_of_a_pair_that_was_heard_is_repeated_before_all_others() {
    let slow = AgentConfig {
        pacing: Pacing::RFC_8445,
        ..AgentConfig::default()
    };
    let mut world = World::with(AgentConfig::default(), slow);
    world.trickle = false;
    world.delay = ms(20);
    world.add_socket(LEFT, "192.0.2.1:1000");
    world.add_socket(RIGHT, "198.51.100.1:2000");
    world.connect();
    for host in 1..=60 {
        let line = format!("candidate:1 1 udp 2130706431 203.0.113.{host} 9 typ host");
        let now = world.now;
        let _ = world
            .agent(LEFT)
            .add_remote_candidate(now, line.parse().unwrap());
    }
    world.drain(LEFT);
    // The left side is busy with these when the right one's check comes, and its own is lost.
    world.run(ms(500));
    let hosts = ["192.0.2.1", "198.51.100.1"].map(|ip| ip.parse().unwrap());
    world.cut.insert((hosts[0], hosts[1]));
    world.signal_candidates(LEFT);
    let heard = |world: &mut World| world.agent(LEFT).counters().requests_accepted > 0;
    let heard = world.run_until(secs(1), heard);
    world.run(ms(1));
    world.cut.clear();
    let connected = |world: &mut World| world.peers[LEFT].agent.state().is_connected();
    let at = world.run_until(secs(5), connected);
    // 50 ms, one Ta of the right side, and a round trip; that side repeats its check after 500 ms.
    assert!(at <= heard + ms(50 + 50 + 40), "{heard:?} {at:?}");
}

#[test]
fn candidates_that_come_all_at_once_connect_as_well() {
    let mut world = World::new();
    world.trickle = false;
    world.add_socket(LEFT, "192.0.2.1:1000");
    world.add_socket(RIGHT, "198.51.100.1:2000");
    world.connect();
    world.run(secs(1));
    assert_eq!(world.peers[LEFT].agent.state(), State::New);
    world.signal_candidates(LEFT);
    world.run(secs(1));
    // The right side's check reveals it, although its candidates were never signaled.
    assert!(world.is_connected());
    assert_eq!(
        world.selected(LEFT).remote.kind,
        CandidateKind::PeerReflexive
    );
    world.signal_candidates(RIGHT);
    world.run(ms(1));
    assert_eq!(world.selected(LEFT).remote.kind, CandidateKind::Host);
    assert_eq!(
        world.peers[RIGHT].reached(State::Connected),
        Some(ms(1_100))
    );
}

#[test]
fn packets_of_strangers_are_neither_answered_nor_passed_on() {
    let mut world = World::direct();
    world.connect();
    world.run(secs(1));
    let path = FiveTuple {
        transport: Transport::Udp,
        local: "198.51.100.1:2000".parse().unwrap(),
        remote: "203.0.113.9:9".parse().unwrap(),
    };
    let before = world.peers[RIGHT].sent;
    world.enqueue_packet(RIGHT, path, b"\x16\xfe\xfd a ClientHello".to_vec());
    let mut request = b"\0\x01\0\0\x21\x12\xa4\x42".to_vec();
    request.extend_from_slice(b"twelve bytes");
    world.enqueue_packet(RIGHT, path, request);
    world.run(ms(1));
    assert_eq!(world.peers[RIGHT].sent, before);
    assert!(world.peers[RIGHT].data.is_empty());
    let counters = world.peers[RIGHT].agent.counters();
    assert_eq!(
        (counters.dropped_unverified, counters.dropped_unsigned),
        (1, 1)
    );
}
