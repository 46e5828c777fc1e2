//! The table of conclusions: from two networks and a route to a verdict and its cause.

use super::*;
use crate::peer::{Loss, NatSight, Route, Throughput, words_of};

fn network(mapping: &str, filtering: &str) -> Sight {
    Sight {
        udp: true,
        nat: Some(NatSight {
            translates: true,
            mapping: mapping.to_owned(),
            filtering: filtering.to_owned(),
            several_addresses: false,
        }),
        relay_udp: true,
        relay_stream: true,
        mtu: Some(1500),
    }
}

fn home() -> Sight {
    network("endpoint-independent", "address-and-port-dependent")
}

fn symmetric() -> Sight {
    network("address-and-port-dependent", "address-and-port-dependent")
}

fn office() -> Sight {
    Sight {
        udp: false,
        nat: None,
        relay_udp: false,
        ..home()
    }
}

fn facts(here: Sight, there: Option<Sight>, route: Option<Option<Relay>>) -> PeerFacts {
    PeerFacts {
        server: "call.example.org".parse().unwrap(),
        peer: "bob".to_owned(),
        here,
        there,
        route: route.map(|relay| Route {
            relay,
            local: if relay.is_some() { "relay" } else { "srflx" },
            remote: "srflx",
            protocol: "udp",
        }),
        delay: None,
        loss: None,
        throughput: Throughput::default(),
        mtu: None,
    }
}

#[test]
fn each_pair_of_networks_has_its_verdict_cause_and_advice() {
    use {Cause as C, PeerVerdict as V};
    let lenient = || network("endpoint-independent", "address-dependent");
    let unknown = || Sight {
        nat: None,
        ..home()
    };
    let pooling = || {
        let mut sight = symmetric();
        sight.nat.as_mut().unwrap().several_addresses = true;
        sight
    };
    let (direct, udp, tls) = (Some(None), Some(Some(Relay::Udp)), Some(Some(Relay::Tls)));
    let (by_udp, by_tls) = (V::Relayed(Relay::Udp), V::Relayed(Relay::Tls));
    for (here, there, route, verdict, cause, say, advice) in [
        (
            home(),
            Some(home()),
            direct,
            V::Direct,
            None,
            "directly",
            "",
        ),
        (
            symmetric(),
            Some(home()),
            udp,
            by_udp,
            Some(C::Nats),
            "This machine's NAT opens another port towards bob",
            "at this network's router",
        ),
        (
            home(),
            Some(symmetric()),
            udp,
            by_udp,
            Some(C::Nats),
            "Bob's NAT opens another port towards this machine",
            "at bob's router",
        ),
        (
            symmetric(),
            Some(symmetric()),
            udp,
            by_udp,
            Some(C::Nats),
            "Both NATs open another port",
            "at one of the two routers",
        ),
        (
            pooling(),
            Some(lenient()),
            udp,
            by_udp,
            Some(C::Chance),
            "It depends on chance",
            "port mapping",
        ),
        (
            home(),
            Some(home()),
            udp,
            by_udp,
            Some(C::Unexpected),
            "a firewall",
            "through the firewalls",
        ),
        (
            office(),
            Some(home()),
            tls,
            by_tls,
            Some(C::UdpBlocked(Who::Here)),
            "No UDP leaves this machine's network.",
            "Let UDP out of this network: to port 3478",
        ),
        (
            home(),
            Some(office()),
            None,
            V::NoPath,
            Some(C::UdpBlocked(Who::There)),
            "No UDP leaves bob's network.",
            "Let UDP out of bob's network",
        ),
        (
            office(),
            Some(office()),
            None,
            V::NoPath,
            Some(C::UdpBlocked(Who::Both)),
            "nor bob's",
            "both networks",
        ),
        (
            home(),
            None,
            udp,
            by_udp,
            Some(C::Unknown(Who::There)),
            "Too little is known of bob's network",
            "second address",
        ),
        (
            unknown(),
            Some(home()),
            udp,
            by_udp,
            Some(C::Unknown(Who::Here)),
            "Too little is known of this machine's network",
            "second address",
        ),
    ] {
        let conclusions = PeerConclusions::of(facts(here, there, route));
        let words = words_of(&conclusions);
        let all = format!("{} {}", words.verdict, words.why_not.join(" "));
        assert_eq!(conclusions.verdict, verdict, "{all}");
        assert_eq!(conclusions.cause, cause, "{all}");
        assert!(all.contains(say), "{all}");
        assert!(words.advice.join(" ").contains(advice), "{words:?}");
        let is_direct = verdict == V::Direct;
        assert_eq!(conclusions.is_problem_found(), !is_direct, "{all}");
    }
}

#[test]
fn a_direct_path_that_the_nats_would_not_allow_is_explained_by_a_shared_network() {
    let conclusions = PeerConclusions::of(facts(symmetric(), Some(symmetric()), Some(None)));
    assert_eq!(conclusions.expected, Some(oracle::Path::Relay));
    let words = words_of(&conclusions);
    let path = words
        .lines
        .iter()
        .find(|line| line.topic == "path")
        .unwrap();
    assert!(path.means.contains("share a network"), "{path:?}");
    assert_eq!(conclusions.health, Health::Ok);
}

#[test]
fn a_path_that_is_slow_lossy_or_narrow_is_a_problem() {
    let ms = Duration::from_millis;
    let with = |change: fn(&mut PeerFacts)| {
        let mut facts = facts(home(), Some(home()), Some(None));
        facts.delay = crate::peer::Delay::of(vec![ms(20), ms(30), ms(400)]);
        facts.loss = Some(Loss {
            sent: 200,
            answered: 199,
        });
        facts.throughput = Throughput {
            to_peer: Some(1_000_000),
            from_peer: Some(1_000_000),
        };
        facts.mtu = Some(1500);
        change(&mut facts);
        let conclusions = PeerConclusions::of(facts);
        let kinds = conclusions.problems.iter().map(|it| it.kind());
        (kinds.collect::<Vec<_>>(), conclusions.health)
    };
    assert_eq!(with(|_| {}), (vec![], Health::Ok));
    let lossy = |facts: &mut PeerFacts| {
        facts.loss = Some(Loss {
            sent: 200,
            answered: 190,
        });
    };
    assert_eq!(with(lossy), (vec!["loss"], Health::Degraded));
    let slow = |facts: &mut PeerFacts| {
        facts.delay = crate::peer::Delay::of(vec![Duration::from_millis(301)]);
    };
    assert_eq!(with(slow), (vec!["slow"], Health::Degraded));
    let narrow = |facts: &mut PeerFacts| facts.throughput.from_peer = Some(100_000);
    assert_eq!(with(narrow), (vec!["narrow"], Health::Degraded));
    let half = |facts: &mut PeerFacts| facts.throughput.to_peer = None;
    assert_eq!(with(half), (vec![], Health::Ok));
    assert_eq!(
        with(|facts| facts.mtu = Some(1200)),
        (vec!["small-packets"], Health::Note)
    );
}

#[test]
fn what_the_other_side_says_is_shown_only_where_it_is_a_known_name() {
    let mut there = home();
    there.nat.as_mut().unwrap().mapping = "\u{1b}[2Jsomething else".to_owned();
    let conclusions = PeerConclusions::of(facts(home(), Some(there), Some(None)));
    assert_eq!(conclusions.expected, None);
    assert!(!format!("{:?}", words_of(&conclusions)).contains("something else"));
}
