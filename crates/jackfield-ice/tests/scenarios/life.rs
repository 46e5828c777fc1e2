//! After the connection: role conflicts, restarts, consent, loss, lite agents, lost interfaces.

use jackfield_ice::{
    AgentConfig, CandidateKind, CandidateStats, Credentials, Event, PairState, ParametersError,
    RemoteCandidateError, Role, State,
};
use jackfield_sansio::{FiveTuple, Transport};

use super::world::{LEFT, RIGHT, World, ms, secs};

#[test]
fn a_role_conflict_is_settled_and_both_connect() {
    for both in [Role::Controlling, Role::Controlled] {
        let mut world = World::direct();
        world.set_role(both);
        world.connect();
        let at = world.run_until(secs(1), |world| world.is_connected());
        let roles = [LEFT, RIGHT].map(|peer| world.agent(peer).role());
        assert_ne!(roles[0], roles[1], "both began {both:?}");
        assert!(at <= ms(200), "{at:?}");
        world.run(secs(2));
        assert!(world.send(LEFT, b"x") && world.send(RIGHT, b"y"));
        let changes = [LEFT, RIGHT].map(|peer| world.agent(peer).counters().role_conflicts);
        assert_eq!(changes.iter().sum::<u64>(), 1, "one side gave way, once");
    }
}

#[test]
fn a_role_may_be_settled_after_there_are_sockets() {
    let mut world = World::direct();
    world.set_role(Role::Controlling);
    let now = world.now;
    world.agent(RIGHT).set_role(now, Role::Controlled);
    world.connect();
    let at = world.run_until(secs(1), |world| world.is_connected());
    assert_eq!(at, ms(100));
    let conflicts = |world: &mut World, peer| world.agent(peer).counters().role_conflicts;
    assert_eq!(
        conflicts(&mut world, LEFT) + conflicts(&mut world, RIGHT),
        0
    );
}

#[test]
fn checks_that_come_before_the_parameters_are_answered_and_kept() {
    let mut world = World::new();
    // The right side knows the left one's parameters and candidates; the left one knows nothing.
    world.trickle = false;
    world.add_socket(LEFT, "192.0.2.1:1000");
    world.add_socket(RIGHT, "198.51.100.1:2000");
    world.set_parameters(RIGHT);
    world.signal_all(LEFT);
    world.run(ms(120));
    // It was answered: the right side's pair works, and data may be sent on it.
    assert_eq!(world.peers[RIGHT].agent.state(), State::Connected);
    assert_eq!(world.peers[LEFT].agent.state(), State::New);
    world.set_parameters(LEFT);
    let at = world.run_until(secs(1), |world| world.is_connected());
    assert_eq!(at, ms(220), "the kept check triggers one at once");
    assert_eq!(
        world.selected(LEFT).remote.kind,
        CandidateKind::PeerReflexive
    );
    // Statistics do not tell an address that signaling has not.
    let stats = world.agent(LEFT).stats();
    assert_eq!(stats.remote_candidates[0].address, None);
    world.signal_all(RIGHT);
    world.run(ms(1));
    assert_eq!(world.selected(LEFT).remote.kind, CandidateKind::Host);
    let stats = world.agent(LEFT).stats();
    assert!(stats.remote_candidates[0].address.is_some());
    // The other one is the active TCP candidate.
    assert_eq!(stats.remote_candidates.len(), 2);
}

/// The answer to an early check lets the other side send: its DTLS ClientHello comes right behind,
/// and would be sent again only after a second.
#[test]
fn data_that_comes_right_behind_an_early_check_waits_for_the_parameters() {
    let mut world = World::new();
    world.trickle = false;
    world.add_socket(LEFT, "192.0.2.1:1000");
    world.add_socket(RIGHT, "198.51.100.1:2000");
    world.set_parameters(RIGHT);
    world.signal_all(LEFT);
    world.run(ms(120));
    for part in 0..10_u8 {
        assert!(world.send(RIGHT, &[vec![22, part], vec![0; 1_198]].concat()));
    }
    // A stranger's data is not kept, whatever there is room for.
    let stranger = FiveTuple {
        transport: Transport::Udp,
        local: "192.0.2.1:1000".parse().unwrap(),
        remote: "203.0.113.9:9".parse().unwrap(),
    };
    world.enqueue_packet(LEFT, stranger, vec![22, 99]);
    world.run(ms(60));
    assert!(world.peers[LEFT].data.is_empty());
    let counters = *world.agent(LEFT).counters();
    assert_eq!(
        (counters.dropped_early, counters.dropped_unverified),
        (7, 1)
    );
    world.set_parameters(LEFT);
    let parts: Vec<u8> = early_data(&world).iter().map(|bytes| bytes[1]).collect();
    assert_eq!(parts, [0, 1, 2], "4,096 bytes of the first");
    world.run(secs(1));
    assert!(world.is_connected());
}

/// A sender that knows our password is not the other side by that: the parameters that come later
/// say whose checks count.
#[test]
fn early_data_of_someone_else_than_the_parameters_name_is_dropped() {
    let mut world = World::new();
    world.trickle = false;
    world.add_socket(LEFT, "192.0.2.1:1000");
    world.add_socket(RIGHT, "198.51.100.1:2000");
    world.set_parameters(RIGHT);
    world.signal_all(LEFT);
    world.run(ms(120));
    assert!(world.send(RIGHT, &[22; 100]));
    world.run(ms(60));
    let third = World::new().peers[RIGHT].agent.local_parameters().clone();
    let now = world.now;
    let mut third = third;
    third.credentials = Credentials::new("another", "thatNoOtherAgentHasAtAll").unwrap();
    world.agent(LEFT).set_remote_parameters(now, third).unwrap();
    world.drain(LEFT);
    assert!(early_data(&world).is_empty());
    assert_eq!(world.agent(LEFT).counters().dropped_unverified, 1);
}

#[test]
fn a_restart_keeps_the_old_pair_until_the_new_one_works() {
    let mut world = World::direct();
    world.connect();
    world.run(secs(2));
    let old = world.agent(LEFT).local_parameters().clone();
    let now = world.now;
    world.agent(LEFT).restart(now);
    world.drain(LEFT);
    assert_ne!(
        world.agent(LEFT).local_parameters().credentials,
        old.credentials
    );
    // Ten seconds of signaling later, data has passed all the time.
    for _ in 0..20 {
        world.run(ms(500));
        assert!(world.send(LEFT, b"still") && world.send(RIGHT, b"here"));
    }
    assert!(world.is_connected());
    let right = world.agent(RIGHT).local_parameters().clone();
    world.set_parameters(RIGHT);
    assert_ne!(
        world.agent(RIGHT).local_parameters().credentials,
        right.credentials
    );
    world.set_parameters(LEFT);
    world.run(secs(1));
    assert!(world.is_connected());
    let sent = world.peers[RIGHT].data.len();
    assert!(world.send(LEFT, b"anew"));
    world.run(secs(20));
    assert_eq!(world.peers[RIGHT].data.len(), sent + 1);
    for peer in [LEFT, RIGHT] {
        let states = world.peers[peer].states();
        assert!(!states.contains(&State::Disconnected), "{states:?}");
        assert_eq!(world.agent(peer).stats().pairs.len(), 1);
        assert_eq!(world.agent(peer).counters().consent_lost, 0);
    }
}

#[test]
fn nothing_of_an_old_generation_gets_into_the_new_one() {
    let mut world = World::direct();
    world.connect();
    world.run(secs(1));
    let old = world.candidates_of(RIGHT).remove(0);
    let stale = world.agent(RIGHT).local_parameters().clone();
    let now = world.now;
    world.agent(LEFT).restart(now);
    world.drain(LEFT);
    assert_eq!(
        world.agent(LEFT).add_remote_candidate(now, old),
        Err(RemoteCandidateError::Outdated)
    );
    assert_eq!(
        world.agent(LEFT).set_remote_parameters(now, stale),
        Err(ParametersError::NotRestarted)
    );
    assert!(world.agent(LEFT).stats().remote_candidates.is_empty());
}

#[test]
fn a_candidate_that_overtakes_its_restart_waits_for_it() {
    let mut world = World::direct();
    world.connect();
    world.run(secs(1));
    let now = world.now;
    world.trickle = false;
    world.agent(RIGHT).restart(now);
    world.drain(RIGHT);
    world.signal_candidates(RIGHT);
    world.run(ms(1));
    // The old candidates alone, UDP and active TCP; the new ones, at the same addresses, are held.
    assert_eq!(world.agent(LEFT).stats().remote_candidates.len(), 2);
    world.set_parameters(LEFT);
    assert_eq!(world.agent(LEFT).stats().remote_candidates.len(), 2);
    world.set_parameters(RIGHT);
    world.run(secs(1));
    assert!(world.is_connected());
}

#[test]
fn consent_ends_after_thirty_seconds_without_an_answer() {
    let mut world = World::direct();
    world.connect();
    world.run(secs(2));
    world.udp = false;
    let cut = world.elapsed();
    world.run_until(secs(10), |world| {
        world.peers[LEFT].agent.state() == State::Disconnected
    });
    let disconnected = world.elapsed() - cut;
    assert!(disconnected <= secs(6 + 3), "{disconnected:?}");
    world.run_until(secs(10), |world| world.asked_restart(LEFT));
    // Consent holds on, so data may still be sent in the hope of better times.
    assert!(world.send(LEFT, b"anybody there?"));
    world.run_until(secs(40), |world| {
        world.peers[LEFT].agent.state() == State::Failed
    });
    assert!(!world.send(LEFT, b"no"));
    let requests = world.agent(LEFT).stats().pairs[0].counters.requests_sent;
    world.run(secs(60));
    assert_eq!(
        world.agent(LEFT).stats().pairs[0].counters.requests_sent,
        requests
    );
    assert_eq!(world.agent(LEFT).counters().consent_lost, 1);
    assert_eq!(world.agent(LEFT).stats().pairs[0].state, PairState::Failed);
}

#[test]
fn a_side_whose_consent_is_over_has_the_other_one_stop_too() {
    for tenths in 0..20 {
        let mut world = World::direct();
        world.connect();
        world.run(secs(2) + ms(300 * tenths));
        world.udp = false;
        // One side's consent ends before the other's, as their checks are not in step.
        world.run_until(secs(60), |world| {
            let lost = |peer: usize| world.peers[peer].agent.counters().consent_lost;
            lost(LEFT) + lost(RIGHT) > 0
        });
        world.udp = true;
        world.run(secs(60));
        for peer in [LEFT, RIGHT] {
            let state = world.peers[peer].agent.state();
            assert_eq!(state, State::Failed, "side {peer}, {tenths}");
            assert!(!world.send(peer, b"no"));
            assert!(world.asked_restart(peer));
        }
    }
}

#[test]
fn an_outage_of_ten_seconds_passes() {
    let mut world = World::direct();
    world.connect();
    world.run(secs(2));
    world.udp = false;
    world.run(secs(10));
    assert_eq!(world.peers[LEFT].agent.state(), State::Disconnected);
    world.udp = true;
    world.run(secs(4));
    assert!(world.is_connected());
    assert!(world.send(LEFT, b"again"));
}

#[test]
fn data_without_an_echo_has_the_pair_probed_at_once() {
    let mut world = World::direct();
    world.connect();
    world.run(ms(6_050));
    world.udp = false;
    let cut = world.elapsed();
    while world.peers[LEFT].agent.state() != State::Disconnected {
        world.run(ms(20));
        world.send(LEFT, b"a voice");
    }
    let noticed = world.elapsed() - cut;
    // A second of silence, and four probes half a second apart.
    assert!(noticed <= ms(3_200), "{noticed:?}");
}

#[test]
fn lossy_paths_connect_and_stay_connected() {
    for loss in [5, 20, 40] {
        let mut world = World::direct();
        world.loss = loss;
        world.connect();
        let at = world.run_until(secs(10), |world| world.is_connected());
        assert!(at <= secs(4), "{loss} % loss: {at:?}");
        world.run(secs(60));
        assert!(world.is_connected() || loss == 40, "{loss} % loss");
    }
}

#[test]
fn a_long_round_trip_is_no_failure() {
    let mut world = World::direct();
    world.delay = ms(1_500);
    world.connect();
    let at = world.run_until(secs(10), |world| world.is_connected());
    assert_eq!(at, secs(3));
    world.run(secs(60));
    assert!(world.is_connected());
    let states = world.peers[LEFT].states();
    assert!(!states.contains(&State::Disconnected), "{states:?}");
}

#[test]
fn a_lite_agent_answers_and_uses_what_the_full_one_nominates() {
    let lite = AgentConfig {
        lite: true,
        ..AgentConfig::default()
    };
    // The full agent is controlling, whatever it was told.
    for role in [Role::Controlling, Role::Controlled] {
        let full = AgentConfig {
            role,
            ..AgentConfig::default()
        };
        let mut world = World::with(full, lite.clone());
        world.add_socket(LEFT, "192.0.2.1:1000");
        world.add_socket(RIGHT, "198.51.100.1:2000");
        world.connect();
        let at = world.run_until(secs(1), |world| world.is_connected());
        assert_eq!(at, ms(100));
        assert_eq!(world.agent(LEFT).role(), Role::Controlling);
        assert_eq!(world.agent(RIGHT).role(), Role::Controlled);
        assert!(world.send(LEFT, b"x") && world.send(RIGHT, b"y"));
        let checks = world.agent(RIGHT).stats().pairs[0].counters.requests_sent;
        assert_eq!(checks, 0);
        world.run(secs(60));
        assert!(world.is_connected());
        // A lite agent notices by silence alone.
        world.udp = false;
        world.run(secs(45));
        assert!(!world.peers[RIGHT].agent.state().is_connected());
        assert!(!world.send(RIGHT, b"z"));
    }
}

#[test]
fn two_lite_agents_pick_one_pair_without_a_check() {
    let lite = AgentConfig {
        lite: true,
        ..AgentConfig::default()
    };
    let mut world = World::with(lite.clone(), lite);
    for (peer, hosts) in [
        (LEFT, ["192.0.2.1:1", "[2001:db8::1]:1", "192.0.2.9:1"]),
        (
            RIGHT,
            ["198.51.100.1:2", "198.51.100.9:2", "[2001:db8::2]:2"],
        ),
    ] {
        for host in hosts {
            world.add_socket(peer, host);
        }
    }
    world.connect();
    world.run(secs(2));
    let paths = [LEFT, RIGHT].map(|peer| world.selected(peer).path);
    assert_eq!(paths[0].local, paths[1].remote);
    assert_eq!(paths[0].remote, paths[1].local);
    assert!(paths[0].local.is_ipv6(), "RFC 6724 prefers IPv6");
    let roles = [LEFT, RIGHT].map(|peer| world.agent(peer).role());
    assert_eq!(roles, [Role::Controlling, Role::Controlled]);
    for peer in [LEFT, RIGHT] {
        assert_eq!(world.peers[peer].agent.state(), State::Completed);
        assert_eq!(world.peers[peer].sent, 0, "no check was sent");
    }
    // There is no consent to lose.
    world.run(secs(120));
    assert!(world.send(LEFT, b"one way") && world.send(RIGHT, b"and back"));
    world.run(ms(60));
    assert_eq!(world.peers[RIGHT].data.len(), 1);
    assert_eq!(world.peers[LEFT].data.len(), 1);
}

/// What was forgotten while a pair worked is made anew when none does.
#[test]
fn pairs_that_were_forgotten_are_checked_again_when_all_others_are_lost() {
    let mut world = World::new();
    for host in 1..=4 {
        world.add_socket(LEFT, &format!("192.0.2.{host}:1000"));
        world.add_socket(RIGHT, &format!("198.51.100.{host}:2000"));
    }
    world.connect();
    world.run(secs(60));
    for peer in [LEFT, RIGHT] {
        let pairs = world.agent(peer).stats().pairs;
        assert!(
            pairs.len() <= 3,
            "{}: the selected one, two in reserve",
            pairs.len()
        );
    }
    let is_kept = |world: &mut World, left: &str, right: &str| {
        let stats = world.agent(LEFT).stats();
        let address = |list: &[CandidateStats], id| {
            let found = list.iter().find(|it| it.id == id);
            found
                .and_then(|it| it.address.clone())
                .unwrap()
                .ip()
                .unwrap()
                .ip()
        };
        stats.pairs.iter().any(|pair| {
            let local = address(&stats.local_candidates, pair.local);
            let remote = address(&stats.remote_candidates, pair.remote);
            (local.to_string(), remote.to_string()) == (left.to_owned(), right.to_owned())
        })
    };
    // Only one pair stays open, and it is one that was forgotten.
    let (left, right) = ("192.0.2.4", "198.51.100.4");
    assert!(!is_kept(&mut world, left, right));
    for one in 1..=4 {
        for other in 1..=4 {
            let ends = [format!("192.0.2.{one}"), format!("198.51.100.{other}")];
            if ends != [left, right] {
                let ends = ends.map(|end| end.parse().unwrap());
                world.cut.insert((ends[0], ends[1]));
                world.cut.insert((ends[1], ends[0]));
            }
        }
    }
    let at = world.elapsed();
    let moved = world.run_until(secs(15), |world| {
        let on_it = |peer: usize, ip: &str| {
            let pair = world.peers[peer].agent.selected_pair();
            pair.is_some_and(|pair| pair.path.local.ip().to_string() == ip)
        };
        world.is_connected() && on_it(LEFT, left) && on_it(RIGHT, right)
    });
    // The next consent check is at most 6 s away, four probes follow, and then the new checks.
    assert!(moved - at <= secs(6 + 3 + 2), "{:?}", moved - at);
    assert!(world.send(LEFT, b"there"));
    world.run(ms(60));
    assert_eq!(world.peers[RIGHT].data.len(), 1);
}

#[test]
fn a_much_shorter_round_trip_decides_between_pairs_of_one_kind() {
    for (slow, moves) in [(ms(80), true), (ms(8), false)] {
        let mut world = World::direct();
        world.delay = ms(10);
        // The priorities prefer IPv6, and its way is the longer one.
        world.add_socket(LEFT, "[2001:db8::1]:1000");
        world.add_socket(RIGHT, "[2001:db8::2]:2000");
        world.slow.insert("2001:db8::1".parse().unwrap(), slow);
        world.connect();
        world.run(secs(3));
        assert!(world.selected(LEFT).path.local.is_ipv6());
        world.run(secs(120));
        for peer in [LEFT, RIGHT] {
            assert_eq!(world.selected(peer).path.local.is_ipv4(), moves, "{slow:?}");
        }
        // A little change afterwards moves nothing, and neither does time.
        let changes = |world: &World| {
            let changed = |(_, event): &&(_, Event)| matches!(event, Event::SelectedPairChanged(_));
            world.peers[LEFT].events.iter().filter(changed).count()
        };
        let before = changes(&world);
        let less = slow * 3 / 4;
        world.slow.insert("2001:db8::1".parse().unwrap(), less);
        world.run(secs(300));
        assert_eq!(changes(&world), before);
    }
}

#[test]
fn an_interface_that_goes_is_replaced_by_another_one() {
    let mut world = World::direct();
    world.add_socket(LEFT, "192.0.2.77:1000");
    world.connect();
    world.run(secs(3));
    let used = world.selected(LEFT).path.local;
    let other = if used.ip().to_string() == "192.0.2.1" {
        "192.0.2.77:1000"
    } else {
        "192.0.2.1:1000"
    };
    let now = world.now;
    world.agent(LEFT).remove_socket(now, used);
    world.drain(LEFT);
    assert!(world.peers[LEFT].agent.state().is_connected());
    assert_eq!(world.selected(LEFT).path.local, other.parse().unwrap());
    let removed = |(_, event): &(_, Event)| matches!(event, Event::LocalCandidateRemoved(_));
    assert!(world.peers[LEFT].events.iter().any(removed));
    world.run(secs(1));
    assert_eq!(world.selected(RIGHT).path.remote, other.parse().unwrap());
    assert!(world.send(RIGHT, b"there"));
}

#[test]
fn an_interface_that_comes_later_is_used_if_it_is_better() {
    let mut world = World::direct();
    world.connect();
    world.run(secs(2));
    world.add_socket(LEFT, "[2001:db8::1]:1000");
    world.add_socket(RIGHT, "[2001:db8::2]:2000");
    world.run(secs(2));
    for peer in [LEFT, RIGHT] {
        assert!(world.selected(peer).path.local.is_ipv6());
        assert!(world.is_connected());
    }
}

#[test]
fn a_remote_candidate_that_is_taken_back_takes_its_pairs_along() {
    let mut world = World::direct();
    world.add_socket(RIGHT, "198.51.100.9:2000");
    world.connect();
    world.run(secs(2));
    let used = world.selected(LEFT).remote;
    let now = world.now;
    world.agent(LEFT).remove_remote_candidate(now, &used);
    world.drain(LEFT);
    assert_ne!(world.selected(LEFT).remote.address, used.address);
    world.run(secs(1));
    assert!(world.is_connected());
}

#[test]
fn an_agent_without_an_answer_fails_when_its_patience_ends_and_not_before() {
    let mut world = World::direct();
    world.udp = false;
    world.connect();
    world.run(ms(39_400));
    assert_eq!(world.peers[LEFT].agent.state(), State::Checking);
    let at = world.run_until(secs(1), |world| {
        world.peers[LEFT].agent.state() == State::Failed
    });
    assert_eq!(at, ms(39_500));
    // Seven sendings, and one every eight seconds after that.
    assert!(
        world.peers[LEFT].sent <= 7 + 4,
        "{} packets",
        world.peers[LEFT].sent
    );
    // A check of the other side still helps.
    world.udp = true;
    world.run(secs(1));
    assert_eq!(world.peers[LEFT].agent.state(), State::Failed);
}

#[test]
fn a_closed_agent_sends_nothing_more() {
    let mut world = World::direct();
    world.connect();
    world.run(secs(1));
    let now = world.now;
    world.agent(LEFT).close(now);
    world.drain(LEFT);
    let sent = world.peers[LEFT].sent;
    world.run(secs(60));
    assert_eq!(world.peers[LEFT].sent, sent);
    assert_eq!(world.peers[LEFT].agent.state(), State::Closed);
    assert!(!world.send(LEFT, b"x"));
}

/// Returns the datagrams that the left side's application got late.
fn early_data(world: &World) -> Vec<&[u8]> {
    let events = world.peers[LEFT].events.iter();
    let data = events.filter_map(|(_, event)| match event {
        Event::EarlyData(bytes) => Some(&bytes[..]),
        _ => None,
    });
    data.collect()
}
