//! What becomes of a session when the network under it changes, and of its data meanwhile.

use std::net::IpAddr;
use std::time::Duration;

use jackfield_ice::{Event, State};
use jackfield_internet::{InterfaceId, Link, Loss, Site};
use jackfield_nat::Nat;

use crate::peer::Signal;
use crate::scene::{BOTH, Scene, TURN, ip, millis, secs};

#[test]
fn data_goes_on_when_an_interface_of_either_side_is_lost() {
    for side in BOTH {
        for seed in 0..10 {
            let mut scene = multihomed(seed);
            let interface = selected_interface(&scene, side);
            scene.world.set_up(interface, false);
            let silence = scene.longest_silence(secs(5));
            assert!(
                silence < secs(4),
                "{side} {silence:?}\n{}",
                scene.describe()
            );
            assert_eq!(scene.exchange(), [10, 10]);
            no_restart(&scene);
        }
    }
}

#[test]
fn data_goes_on_when_a_network_swallows_all_packets() {
    for side in BOTH {
        for seed in 0..10 {
            let mut scene = multihomed(seed);
            let interface = selected_interface(&scene, side);
            scene.world.set_link(interface, dead(), dead());
            let silence = scene.longest_silence(secs(10));
            assert!(
                silence < secs(6),
                "{side} {silence:?}\n{}",
                scene.describe()
            );
            assert_eq!(scene.exchange(), [10, 10]);
            no_restart(&scene);
        }
    }
}

#[test]
fn a_better_network_that_comes_later_is_used_without_a_restart() {
    for seed in 0..10 {
        let mut scene = Scene::open(seed, millis(40));
        scene.connect(secs(2));
        scene.run_for(secs(10));
        for side in BOTH {
            let address = ip(&format!("2001:db8:{}::2", side + 1));
            scene
                .world
                .add_interface(scene.peers[side], scene.internet, address);
        }
        scene.post();
        let silence = scene.longest_silence(secs(5));
        assert!(silence < millis(300), "{silence:?}");
        for side in BOTH {
            let pair = scene.get(side).agent.selected_pair().unwrap();
            assert!(pair.path.remote.is_ipv6(), "{}", scene.describe());
        }
        no_restart(&scene);
    }
}

#[test]
fn both_sides_use_the_same_pair_after_all_changes() {
    for seed in 0..10 {
        let mut scene = multihomed(seed);
        for _ in 0..4 {
            let interface = selected_interface(&scene, 0);
            scene.world.set_up(interface, false);
            scene.longest_silence(secs(5));
            scene.world.set_up(interface, true);
            scene.post();
            scene.longest_silence(secs(5));
            let paths = BOTH.map(|side| scene.get(side).agent.selected_pair().unwrap().path);
            assert_eq!(paths[0].local, paths[1].remote, "{}", scene.describe());
            assert_eq!(paths[0].remote, paths[1].local);
        }
    }
}

#[test]
fn a_restart_costs_no_packet_and_ends_the_old_candidates() {
    for side in BOTH {
        let mut scene = Scene::open(1, millis(40));
        scene.connect(secs(2));
        scene.run_for(secs(5));
        let old = scene.get(side).agent.local_parameters().clone();
        let events = scene.get(side).events.iter();
        let stale: Vec<String> = events
            .filter_map(|(_, event)| match event {
                Event::LocalCandidate(candidate) => Some(candidate.to_string()),
                _ => None,
            })
            .collect();
        scene.act(side, |peer, now, stack| {
            peer.act(now, stack, |agent| agent.restart(now));
            let parameters = peer.agent.local_parameters().clone();
            peer.signals.push_front(Signal::Parameters(parameters));
        });
        scene.post();
        let silence = scene.longest_silence(secs(3));
        assert!(silence < millis(200), "{silence:?}\n{}", scene.describe());
        let new = scene.get(side).agent.local_parameters();
        assert_ne!(old.credentials, new.credentials);
        assert_eq!(scene.exchange(), [10, 10]);
        // A candidate of the old generation that signaling brings late is of no use.
        let remotes = |scene: &Scene| scene.get(1 - side).agent.stats().remote_candidates.len();
        let before = remotes(&scene);
        scene.act(1 - side, |peer, now, stack| {
            peer.hear(now, stack, Signal::Candidate(stale[0].clone()));
        });
        scene.run_for(secs(5));
        assert_eq!(remotes(&scene), before);
    }
}

#[test]
fn a_restart_behind_symmetric_nats_finds_a_path_again() {
    for sites in [[Site::Symmetric, Site::FullCone], [Site::Symmetric; 2]] {
        let (mut scene, _) = Scene::at_sites(1, Link::latency(millis(10)), sites);
        scene.connect(secs(5));
        scene.run_for(secs(5));
        let before = scene.seen(0);
        scene.act(0, |peer, now, stack| {
            peer.act(now, stack, |agent| agent.restart(now));
            let parameters = peer.agent.local_parameters().clone();
            peer.signals.push_front(Signal::Parameters(parameters));
        });
        scene.post();
        let silence = scene.longest_silence(secs(10));
        assert!(silence < millis(300), "{silence:?}\n{}", scene.describe());
        assert_eq!(scene.seen(0), before);
        assert_eq!(scene.exchange(), [10, 10]);
    }
}

#[test]
fn a_network_that_is_gone_for_ten_seconds_is_survived() {
    for seed in 0..10 {
        let mut scene = Scene::open(seed, millis(40));
        scene.connect(secs(2));
        scene.run_for(secs(5));
        let interface = selected_interface(&scene, 0);
        scene.world.set_link(interface, dead(), dead());
        scene.longest_silence(secs(10));
        for side in BOTH {
            let state = scene.get(side).agent.state();
            assert_eq!(state, State::Disconnected, "{}", scene.describe());
        }
        scene.world.set_link(interface, alive(), alive());
        scene.longest_silence(secs(10));
        assert!(scene.is_connected(), "{}", scene.describe());
        assert_eq!(scene.exchange(), [10, 10]);
    }
}

#[test]
fn a_peer_that_is_gone_for_good_is_told_to_the_application_once() {
    let mut scene = Scene::open(1, millis(40));
    scene.connect(secs(2));
    scene.run_for(secs(5));
    let interface = selected_interface(&scene, 0);
    scene.world.set_link(interface, dead(), dead());
    scene.longest_silence(secs(60));
    let peer = scene.get(1);
    assert_eq!(peer.agent.state(), State::Failed, "{}", scene.describe());
    let asked = peer.events.iter();
    let asked = asked.filter(|(_, event)| *event == Event::RestartNeeded);
    assert_eq!(asked.count(), 1);
    // Its allocations go on, as a restart may need them; the peer gets nothing.
    let to_peer = |scene: &Scene| {
        let sent = scene.get(1).sent.iter();
        sent.filter(|(_, to, _)| to.ip() != ip(TURN)).count()
    };
    let before = to_peer(&scene);
    scene.longest_silence(secs(60));
    assert_eq!(to_peer(&scene), before);
    assert_eq!(scene.exchange(), [0, 0]);
}

#[test]
fn when_udp_stops_the_session_goes_on_by_tcp_and_comes_back_later() {
    for seed in 0..10 {
        let mut scene = Scene::open(seed, millis(40));
        scene.connect(secs(2));
        scene.run_for(secs(5));
        assert!(!scene.seen(0).unwrap().tcp);
        scene.act(0, |peer, _, _| peer.blocks_udp = true);
        let silence = scene.longest_silence(secs(15));
        assert!(silence < secs(8), "{silence:?}\n{}", scene.describe());
        assert!(scene.seen(0).unwrap().tcp, "{}", scene.describe());
        assert_eq!(scene.exchange(), [10, 10]);
        scene.act(0, |peer, _, _| peer.blocks_udp = false);
        let silence = scene.longest_silence(secs(60));
        assert!(silence < secs(1), "{silence:?}");
        assert!(!scene.seen(0).unwrap().tcp, "{}", scene.describe());
        no_restart(&scene);
    }
}

/// The NATs have forgotten what they let in, and not yet where they map to.
#[test]
fn a_direct_path_through_nats_is_found_again_when_udp_comes_back_after_consent_is_over() {
    for seed in 0..5 {
        let link = Link::latency(millis(10));
        let (mut scene, _) = Scene::at_sites(seed, link, [Site::PortRestricted; 2]);
        scene.connect(secs(5));
        scene.run_for(secs(5));
        assert!(!scene.seen(0).unwrap().is_relayed());
        for side in BOTH {
            scene.act(side, |peer, _, _| peer.blocks_udp = true);
        }
        scene.longest_silence(secs(100));
        assert_eq!(scene.exchange(), [10, 10], "{}", scene.describe());
        for side in BOTH {
            scene.act(side, |peer, _, _| peer.blocks_udp = false);
        }
        let silence = scene.longest_silence(secs(60));
        assert!(silence < secs(1), "{silence:?}");
        assert!(!scene.seen(0).unwrap().is_relayed(), "{}", scene.describe());
        no_restart(&scene);
    }
}

/// A firewall that has forgotten a connection drops its segments, and TCP by itself tries for
/// minutes.
#[test]
fn a_connection_that_a_firewall_on_the_way_has_forgotten_is_replaced() {
    for seed in 0..10 {
        let link = Link::latency(millis(10));
        let (mut scene, places) = Scene::at_sites(seed, link, [Site::NoUdp; 2]);
        scene.connect(secs(5));
        scene.run_for(secs(5));
        assert!(scene.seen(0).unwrap().tcp);
        for place in &places {
            scene.world.with_nat(place.boxes[0], Nat::reboot);
        }
        let silence = scene.longest_silence(secs(20));
        assert!(silence < secs(8), "{silence:?}\n{}", scene.describe());
        assert!(scene.is_connected(), "{}", scene.describe());
        assert_eq!(scene.exchange(), [10, 10]);
        assert!(scene.seen(0).unwrap().tcp);
        no_restart(&scene);
    }
}

/// Connects two hosts with two interfaces each, and lets them settle.
fn multihomed(seed: u64) -> Scene {
    let mut scene = Scene::open(seed, millis(40));
    for side in BOTH {
        let address = ip(&format!("203.0.113.{}", 200 + side));
        scene
            .world
            .add_interface(scene.peers[side], scene.internet, address);
    }
    scene.connect(secs(2));
    scene.run_for(secs(5));
    scene
}

/// Returns the interface that the selected pair of a side uses.
fn selected_interface(scene: &Scene, side: usize) -> InterfaceId {
    let pair = scene.get(side).agent.selected_pair().unwrap();
    let local: IpAddr = pair.path.local.ip();
    let addresses = scene.world.addresses(scene.peers[side]);
    let place = addresses.iter().position(|it| *it == local).unwrap();
    let mut interfaces = scene.world.interfaces_of(scene.peers[side]);
    interfaces.nth(place).unwrap()
}

fn no_restart(scene: &Scene) {
    for side in BOTH {
        let peer = scene.get(side);
        let asked = peer.first(|event| *event == Event::RestartNeeded);
        assert_eq!(asked, None, "{}", scene.describe());
    }
}

fn dead() -> Link {
    Link {
        loss: Loss::even(1_000_000),
        ..alive()
    }
}

fn alive() -> Link {
    Link::latency(Duration::from_millis(10))
}
