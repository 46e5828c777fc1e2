//! Candidates that come early, late or too often, and what becomes of them.

use std::net::IpAddr;

use jackfield_ice::{
    AgentConfig, Candidate, CandidateKind, CandidateTransport, Event, PairState,
    RemoteCandidateError, mdns,
};
use jackfield_sansio::Transport;

use super::world::{LEFT, RIGHT, World, ms, secs, with_relay};

#[test]
fn candidates_without_a_username_fragment_may_come_before_the_parameters() {
    let mut world = World::new();
    world.trickle = false;
    world.add_socket(LEFT, "192.0.2.1:1000");
    world.add_socket(RIGHT, "198.51.100.1:2000");
    for peer in [LEFT, RIGHT] {
        let now = world.now;
        for mut candidate in world.candidates_of(1 - peer) {
            candidate.ufrag = None;
            world
                .agent(peer)
                .add_remote_candidate(now, candidate)
                .unwrap();
        }
        world.drain(peer);
    }
    world.run(secs(1));
    assert!(!world.is_connected());
    let start = world.elapsed();
    world.connect();
    let at = world.run_until(secs(1), |world| world.is_connected());
    assert_eq!(at - start, ms(100));
    assert_eq!(world.selected(LEFT).remote.kind, CandidateKind::Host);
}

#[test]
fn the_interface_that_is_named_first_is_preferred_on_both_sides() {
    let mut world = World::new();
    for host in [7, 3, 5] {
        world.add_socket(LEFT, &format!("192.0.2.{host}:1000"));
    }
    world.add_socket(RIGHT, "198.51.100.1:2000");
    world.connect();
    world.run(secs(3));
    let first = "192.0.2.7:1000".parse().unwrap();
    assert_eq!(world.selected(LEFT).path.local, first);
    assert_eq!(world.selected(RIGHT).path.remote, first);
}

#[test]
fn pairs_in_reserve_are_checked_every_fifteen_seconds_and_others_not_at_all() {
    let mut world = World::direct();
    for host in 2..=5 {
        world.add_socket(LEFT, &format!("192.0.2.{host}:1000"));
    }
    world.connect();
    world.run(secs(10));
    let requests = |world: &mut World| -> Vec<(u32, u64)> {
        let pairs = world.agent(LEFT).stats().pairs;
        let count = |pair: &jackfield_ice::PairStats| (pair.local, pair.counters.requests_sent);
        pairs.iter().map(count).collect()
    };
    let before = requests(&mut world);
    world.run(secs(150));
    let after = requests(&mut world);
    let mut sent: Vec<u64> = after
        .iter()
        .map(|(local, now)| {
            let then = before.iter().find(|(id, _)| id == local);
            now - then.map_or(0, |(_, count)| *count)
        })
        .collect();
    sent.sort_unstable();
    // Two in reserve, each after 12 to 18 s, and the selected one after 4 to 6 s.
    let [first, second, selected] = sent[..] else {
        panic!("{sent:?}");
    };
    assert!(
        (8..=12).contains(&first) && (8..=12).contains(&second),
        "{sent:?}"
    );
    assert!((25..=38).contains(&selected), "{sent:?}");
}

/// A relay cannot reach the address that a name hides, and its server would learn it.
#[test]
fn no_relayed_candidate_is_paired_with_a_name() {
    let mut world = World::with(with_relay(&[Transport::Udp]), AgentConfig::default());
    world.add_socket(LEFT, "192.0.2.1:1000");
    world.set_parameters(LEFT);
    world.run(secs(1));
    let named = name(1);
    let now = world.now;
    world.agent(LEFT).add_remote_candidate(now, named).unwrap();
    world.drain(LEFT);
    let asked = world.peers[LEFT].names[0].clone();
    let address = "198.51.100.1".parse().unwrap();
    world
        .agent(LEFT)
        .handle_resolved(now, &asked, Some(address));
    world.drain(LEFT);
    let stats = world.agent(LEFT).stats();
    let relayed = |id: &u32| {
        let mut locals = stats.local_candidates.iter();
        let local = locals.find(|local| local.id == *id).unwrap();
        local.kind == CandidateKind::Relayed
    };
    let has_relay = stats.local_candidates.iter().any(|it| relayed(&it.id));
    assert!(has_relay, "there is a relay");
    assert_eq!(stats.pairs.len(), 1);
    assert!(stats.pairs.iter().all(|pair| !relayed(&pair.local)));
}

#[test]
fn no_more_names_are_looked_up_than_the_limit_allows() {
    let mut world = World::direct();
    world.connect();
    let now = world.now;
    let refused = (1..=20)
        .map(|number| world.agent(LEFT).add_remote_candidate(now, name(number)))
        .filter(|added| *added == Err(RemoteCandidateError::TooManyNames));
    assert_eq!(refused.count(), 20 - 8);
    world.drain(LEFT);
    assert_eq!(world.peers[LEFT].names.len(), 8);
    // One that was looked up before is not looked up again.
    let other_port: Candidate = name(1).to_string().replace(" 9 ", " 10 ").parse().unwrap();
    world
        .agent(LEFT)
        .add_remote_candidate(now, other_port)
        .unwrap();
    world.drain(LEFT);
    assert_eq!(world.peers[LEFT].names.len(), 8);
}

/// After a restart, too, a check may come before the candidate that it comes from.
#[test]
fn a_check_that_overtakes_signaling_after_a_restart_is_a_candidate() {
    let mut world = World::direct();
    world.connect();
    world.run(secs(2));
    world.trickle = false;
    let now = world.now;
    world.agent(LEFT).restart(now);
    world.drain(LEFT);
    world.set_parameters(RIGHT);
    world.set_parameters(LEFT);
    // The left side hears no candidate of the new generation.
    world.signal_candidates(LEFT);
    world.run(secs(2));
    let remote = world.selected(LEFT).remote;
    assert_eq!(remote.kind, CandidateKind::PeerReflexive);
    world.signal_candidates(RIGHT);
    world.run(ms(1));
    assert_eq!(world.selected(LEFT).remote.kind, CandidateKind::Host);
    assert!(world.send(LEFT, b"x") && world.send(RIGHT, b"y"));
    let pairs = world.agent(LEFT).stats().pairs;
    assert!(pairs.iter().any(|pair| pair.state == PairState::Succeeded));
}

/// Returns a host candidate behind a name.
fn name(number: u32) -> Candidate {
    let line = format!(
        "candidate:{number} 1 udp 2130706431 {number:08x}-ea17-4bcf-a596-105139dfd8bf.local 9 typ host"
    );
    let candidate: Candidate = line.parse().unwrap();
    assert_eq!(candidate.transport, CandidateTransport::Udp);
    candidate
}

#[test]
fn a_name_hides_an_address_in_all_that_is_signaled() {
    let mut world = World::with(with_relay(&[Transport::Udp]), AgentConfig::default());
    let inside: IpAddr = "192.168.1.2".parse().unwrap();
    let name = mdns::random_name([1; 16]);
    world.peers[LEFT].nat = Some("203.0.113.1".parse().unwrap());
    world.agent(LEFT).show_name(inside, name.clone());
    world.add_socket(LEFT, "192.168.1.2:1000");
    world.add_listener(LEFT, "192.168.1.2:1000");
    world.add_socket(RIGHT, "198.51.100.1:2000");
    world.connect();
    world.run_until(secs(2), |world| world.is_connected());
    world.run(secs(1));
    let shown = world.candidates_of(LEFT);
    let of_kind = |kind| shown.iter().filter(move |it| it.kind == kind);
    assert_eq!(of_kind(CandidateKind::Host).count(), 3);
    assert!(of_kind(CandidateKind::Host).all(|it| it.to_string().contains(name.as_str())));
    for kind in [CandidateKind::ServerReflexive, CandidateKind::Relayed] {
        assert_ne!(of_kind(kind).count(), 0);
    }
    let tells = |candidate: &Candidate| candidate.to_string().contains("192.168.1.2");
    assert!(!shown.iter().any(tells), "{shown:?}");

    let now = world.now;
    world
        .agent(LEFT)
        .remove_socket(now, "192.168.1.2:1000".parse().unwrap());
    world.drain(LEFT);
    let events = world.peers[LEFT].events.iter();
    let removed: Vec<&Candidate> = events
        .filter_map(|(_, event)| match event {
            Event::LocalCandidateRemoved(candidate) => Some(candidate),
            _ => None,
        })
        .collect();
    assert!(removed.iter().all(|candidate| shown.contains(candidate)));
    assert!(removed.iter().any(|it| it.kind == CandidateKind::Host));
}
