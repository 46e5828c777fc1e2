//! How two peers meet: roles, families, transports, and who knows what first. The behaviours are
//! those that libwebrtc's tests of its transport channel ask for.

use jackfield_ice::{
    Candidate, CandidateAddress, CandidateKind, CandidatePolicy, CandidateTransport, Event, Role,
    State,
};
use jackfield_internet::{Link, Site};

use crate::peer::Signal;
use crate::scene::{BOTH, Scene, Seen, ip, millis, secs};

const HOST_PAIR: Seen = Seen {
    local: CandidateKind::Host,
    remote: CandidateKind::Host,
    tcp: false,
};

#[test]
fn two_open_hosts_are_connected_after_one_and_a_half_round_trips() {
    for rtt in [millis(4), millis(40), millis(400)] {
        let mut scene = Scene::open(1, rtt);
        let start = scene.gather_first();
        assert!(scene.run_until(secs(5), Scene::is_connected));
        let took = scene.world.now() - start;
        assert!(took <= rtt * 3 / 2, "{took:?} for a round trip of {rtt:?}");
    }
}

/// All candidates are known on both sides. A direct path takes one and a half round trips; through
/// a relay it takes two and a half, each of them twice as long, for the permission comes first.
#[test]
fn hosts_behind_nats_are_connected_as_fast_as_their_path_is_long() {
    let rtt = millis(200);
    let cases = [
        (Site::FullCone, Site::FullCone, rtt * 3 / 2),
        (Site::PortRestricted, Site::PortRestricted, rtt * 3 / 2),
        (Site::Symmetric, Site::AddressRestricted, rtt * 3 / 2),
        (Site::PortRestricted, Site::Symmetric, 2 * rtt * 5 / 2),
        (Site::WebOnly, Site::PortRestricted, 2 * rtt * 5 / 2),
    ];
    for (a, b, most) in cases {
        let (mut scene, _) = Scene::at_sites(1, Link::latency(rtt / 4), [a, b]);
        let start = scene.gather_first();
        assert!(scene.run_until(secs(20), Scene::is_connected));
        let took = scene.world.now() - start;
        assert!(took <= most + millis(50), "{a} {b}: {took:?}");
    }
}

#[test]
fn agents_that_use_relays_alone_show_no_other_address() {
    let mut scene = Scene::new(1, Link::latency(millis(10)));
    for side in BOTH {
        let mut options = scene.options();
        options.config.policy = CandidatePolicy::RelayOnly;
        let address = ip(&format!("203.0.113.{}", side + 10));
        scene.peer(scene.internet, address, options);
    }
    scene.connect(secs(3));
    let kind = CandidateKind::Relayed;
    let seen = scene.seen(0).unwrap();
    assert_eq!((seen.local, seen.remote), (kind, kind));
    assert_eq!(scene.exchange(), [10, 10]);
    for side in BOTH {
        let own = format!("203.0.113.{}", side + 10);
        for (_, event) in &scene.get(side).events {
            if let Event::LocalCandidate(candidate) = event {
                let line = candidate.to_string();
                assert!(!line.contains(&own), "{line}");
            }
        }
    }
}

#[test]
fn a_check_that_comes_before_signaling_is_answered_once_the_parameters_are_known() {
    let mut scene = Scene::open(1, millis(40));
    scene.signaling = None;
    scene.start();
    // The controlled side hears everything; the controlling side hears the parameters late, and
    // candidates later still.
    let [first, second] = BOTH.map(|side| signals(&mut scene, side));
    for signal in first {
        hear(&mut scene, 1, signal);
    }
    scene.run_for(millis(300));
    assert!(scene.get(0).agent.selected_pair().is_none());
    let (parameters, candidates): (Vec<_>, Vec<_>) = second
        .into_iter()
        .partition(|signal| matches!(signal, Signal::Parameters(_)));
    for signal in parameters {
        hear(&mut scene, 0, signal);
    }
    assert!(scene.run_until(millis(100), Scene::is_connected));
    let remote = scene.get(0).agent.selected_pair().unwrap().remote;
    assert_eq!(remote.kind, CandidateKind::PeerReflexive);
    // Signaling then says what the candidate is, and the pair stays.
    for signal in candidates {
        hear(&mut scene, 0, signal);
    }
    scene.run_for(secs(1));
    assert_eq!(scene.seen(0), Some(HOST_PAIR), "{}", scene.describe());
    assert_eq!(scene.exchange(), [10, 10]);
}

#[test]
fn an_address_that_signaling_has_not_shown_is_in_no_statistics() {
    let mut scene = Scene::open(1, millis(40));
    scene.signaling = None;
    scene.start();
    let [first, second] = BOTH.map(|side| signals(&mut scene, side));
    for signal in first {
        hear(&mut scene, 1, signal);
    }
    for signal in second {
        if matches!(signal, Signal::Parameters(_)) {
            hear(&mut scene, 0, signal);
        }
    }
    assert!(scene.run_until(secs(1), Scene::is_connected));
    let stats = scene.get(0).agent.stats();
    let remotes = &stats.remote_candidates;
    assert!(!remotes.is_empty());
    assert!(remotes.iter().all(|remote| remote.address.is_none()));
}

#[test]
fn two_agents_of_one_role_agree_on_two() {
    for role in [Role::Controlling, Role::Controlled] {
        for seed in 0..20 {
            let mut scene = Scene::new(seed, Link::latency(millis(10)));
            for side in BOTH {
                let mut options = scene.options();
                options.config.role = role;
                let address = ip(&format!("203.0.113.{}", side + 10));
                scene.peer(scene.internet, address, options);
            }
            scene.connect(secs(2));
            let roles = BOTH.map(|side| scene.get(side).agent.role());
            assert_ne!(roles[0], roles[1]);
            assert_eq!(scene.exchange(), [10, 10]);
            let changes = BOTH.map(|side| scene.get(side).agent.counters().role_conflicts);
            assert_eq!(changes[0] + changes[1], 1, "one side gives way, once");
        }
    }
}

#[test]
fn a_lite_agent_is_found_and_controlled() {
    let mut scene = Scene::new(1, Link::latency(millis(10)));
    for side in BOTH {
        let mut options = scene.options();
        options.config.lite = side == 1;
        let address = ip(&format!("203.0.113.{}", side + 10));
        scene.peer(scene.internet, address, options);
    }
    scene.connect(secs(2));
    assert_eq!(scene.get(1).agent.role(), Role::Controlled);
    assert_eq!(scene.exchange(), [10, 10]);
}

#[test]
fn two_hosts_with_both_families_meet_by_ipv6() {
    for seed in 0..10 {
        let mut scene = Scene::open(seed, millis(40));
        for side in BOTH {
            let address = ip(&format!("2001:db8:{}::2", side + 1));
            scene
                .world
                .add_interface(scene.peers[side], scene.internet, address);
        }
        scene.connect(secs(1));
        scene.run_for(secs(1));
        for side in BOTH {
            let pair = scene.get(side).agent.selected_pair().unwrap();
            assert!(pair.path.remote.is_ipv6(), "{pair:?}");
        }
    }
}

#[test]
fn hosts_on_one_lan_meet_there() {
    let mut scene = Scene::new(1, Link::latency(millis(10)));
    let place = scene
        .world
        .site("home", scene.internet, 1, Site::PortRestricted);
    for side in BOTH {
        let options = scene.options();
        let address = ip(&format!("192.168.1.{}", side + 20));
        scene.peer(place.network, address, options);
    }
    scene.connect(secs(2));
    scene.run_for(secs(5));
    assert_eq!(scene.seen(0), Some(HOST_PAIR));
}

#[test]
fn without_udp_sockets_one_side_dials_and_the_other_accepts() {
    for seed in 0..10 {
        let mut scene = Scene::new(seed, Link::latency(millis(10)));
        for side in BOTH {
            let mut options = scene.options();
            options.udp_port = None;
            let address = ip(&format!("203.0.113.{}", side + 10));
            scene.peer(scene.internet, address, options);
        }
        scene.connect(secs(2));
        scene.run_for(secs(5));
        let kinds = BOTH.map(|side| {
            let pair = scene.get(side).agent.selected_pair().unwrap();
            pair.local.transport
        });
        let active = CandidateTransport::TcpActive;
        let dials = kinds.iter().filter(|kind| **kind == active).count();
        assert_eq!(dials, 1, "{kinds:?}");
        assert_eq!(scene.exchange(), [10, 10]);
    }
}

#[test]
fn candidates_for_tcp_say_their_type() {
    let scene = {
        let mut scene = Scene::open(1, millis(40));
        scene.connect(secs(2));
        scene
    };
    let events = scene.get(0).events.iter();
    let lines: Vec<String> = events
        .filter_map(|(_, event)| match event {
            Event::LocalCandidate(candidate) => Some(candidate.to_string()),
            _ => None,
        })
        .collect();
    let of_tcp = |line: &&String| line.contains(" tcp ");
    assert!(lines.iter().any(|line| line.contains("tcptype passive")));
    assert!(lines.iter().any(|line| line.contains("tcptype active")));
    assert!(
        lines
            .iter()
            .filter(of_tcp)
            .all(|line| line.contains("tcptype"))
    );
}

#[test]
fn a_host_behind_an_mdns_name_is_found_and_stays_hidden() {
    let mut scene = Scene::open(1, millis(40));
    scene.signaling = None;
    let name = "1f4712db-ea17-4bcf-a596-105139dfd8bf.local";
    let address = ip("203.0.113.18");
    scene.act(0, |peer, _, _| {
        peer.names.insert(name.to_owned(), address);
    });
    scene.start();
    let [first, second] = BOTH.map(|side| signals(&mut scene, side));
    for signal in first {
        hear(&mut scene, 1, signal);
    }
    for signal in second {
        hear(&mut scene, 0, hidden(signal, name));
    }
    assert!(scene.run_until(secs(1), Scene::is_connected));
    scene.run_for(secs(1));
    let peer = scene.get(0);
    assert_eq!(peer.resolved.first().map(String::as_str), Some(name));
    let remote = peer.agent.selected_pair().unwrap().remote;
    assert!(
        matches!(remote.address, CandidateAddress::Mdns { .. }),
        "{remote:?}"
    );
    let shown = format!("{:?}", peer.agent.stats().remote_candidates);
    assert!(!shown.contains("203.0.113.18"), "{shown}");
}

#[test]
fn agents_connect_although_a_name_is_not_resolved() {
    let mut scene = Scene::open(1, millis(40));
    scene.signaling = None;
    scene.start();
    let [first, second] = BOTH.map(|side| signals(&mut scene, side));
    for signal in first {
        hear(&mut scene, 1, signal);
    }
    for signal in second {
        let name = "1f4712db-ea17-4bcf-a596-105139dfd8bf.local";
        hear(&mut scene, 0, hidden(signal, name));
    }
    assert!(scene.run_until(secs(1), Scene::is_connected));
    scene.run_for(secs(1));
    let remote = scene.get(0).agent.selected_pair().unwrap().remote;
    assert_eq!(remote.kind, CandidateKind::PeerReflexive);
    let shown = format!("{:?}", scene.get(0).agent.stats().remote_candidates);
    assert!(!shown.contains("203.0.113.18"), "{shown}");
}

#[test]
fn the_end_of_candidates_completes_a_session() {
    let mut scene = Scene::open(1, millis(40));
    scene.connect(secs(2));
    let completed = |scene: &Scene| {
        let states = BOTH.map(|side| scene.get(side).agent.state());
        states == [State::Completed; 2]
    };
    assert!(scene.run_until(secs(40), completed), "{}", scene.describe());
}

fn signals(scene: &mut Scene, side: usize) -> Vec<Signal> {
    scene.act(side, |peer, _, _| peer.signals.drain(..).collect())
}

fn hear(scene: &mut Scene, side: usize, signal: Signal) {
    scene.act(side, |peer, now, stack| peer.hear(now, stack, signal));
}

/// Hides the address of a host candidate behind a name, as browsers do.
fn hidden(signal: Signal, name: &str) -> Signal {
    let Signal::Candidate(text) = signal else {
        return signal;
    };
    let candidate: Candidate = text.parse().unwrap();
    let CandidateAddress::Ip(address) = candidate.address else {
        return Signal::Candidate(text);
    };
    let ip = address.ip().to_string();
    Signal::Candidate(text.replacen(&ip, name, 1))
}
