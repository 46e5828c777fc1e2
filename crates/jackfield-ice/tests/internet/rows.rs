//! Networks beside the matrix: IPv6, shared and nested NATs, port mapping, reboots, expiry.

use std::net::{IpAddr, SocketAddr};

use jackfield_ice::CandidateKind;
use jackfield_internet::{Link, NatBox, NetworkId, Site};
use jackfield_nat::oracle::{Path, Traits, oracle, oracle_behind};
use jackfield_nat::profile::Profile;
use jackfield_nat::{
    Assignment, Behaviour, Endpoint, Filtering, Forward, Hairpinning, Mapping, Nat, NatConfig,
    Pooling, Protocol,
};
use proptest::prelude::*;

use crate::scene::{BOTH, Scene, UDP_PORT, ip, millis, secs};

#[test]
fn both_mappings_and_filters_of_every_kind_give_the_path_of_the_oracle() {
    for a in types() {
        for b in types() {
            judge(1, [&[config(a)], &[config(b)]]);
        }
    }
}

#[test]
fn every_pair_of_profiles_gives_the_path_of_the_oracle() {
    for (index, a) in Profile::IPV4.iter().enumerate() {
        for b in &Profile::IPV4[index..] {
            judge(2, [&[a.config(&[])], &[b.config(&[])]]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_nats_give_the_path_of_the_oracle(
        a in proptest::collection::vec(any_config(), 0..3),
        b in proptest::collection::vec(any_config(), 0..3),
        seed in any::<u64>(),
    ) {
        judge(seed, [&a, &b]);
    }
}

#[test]
fn two_hosts_behind_one_nat_meet_on_their_lan_whether_it_hairpins_or_not() {
    for hairpinning in [Hairpinning::Off, Hairpinning::ExternalSource] {
        let mut scene = Scene::new(1, Link::latency(millis(10)));
        let nat = NatConfig {
            hairpinning,
            ..Profile::PORT_RESTRICTED_CONE.config(&[ip("203.0.113.1")])
        };
        let prefix = "192.168.1.0/24".parse().unwrap();
        let home = scene.world.nat("home", scene.internet, prefix, nat);
        for side in BOTH {
            let options = scene.options();
            let address = ip(&format!("192.168.1.{}", side + 20));
            scene.peer(home.inside, address, options);
        }
        scene.connect(secs(5));
        settle(&mut scene);
        let seen = scene.seen(0).unwrap();
        assert_eq!(seen.local, CandidateKind::Host, "{}", scene.describe());
    }
}

#[test]
fn two_homes_behind_one_carrier_nat_meet_directly_exactly_if_it_hairpins() {
    for hairpinning in [Hairpinning::Off, Hairpinning::ExternalSource] {
        for home in [Profile::FULL_CONE, Profile::PORT_RESTRICTED_CONE] {
            let mut scene = Scene::new(1, Link::latency(millis(10)));
            let carrier = NatConfig {
                hairpinning,
                ..Profile::CGN.config(&[ip("203.0.113.1")])
            };
            let traits = Traits::of(&carrier);
            let prefix = "100.64.0.0/16".parse().unwrap();
            let carrier = scene.world.nat("carrier", scene.internet, prefix, carrier);
            let own = home.config(&[]);
            for side in BOTH {
                let outside = ip(&format!("100.64.0.{}", side + 10));
                nat_and_peer(&mut scene, carrier.inside, outside, &own);
            }
            scene.connect(secs(5));
            settle(&mut scene);
            let own = [Traits::of(&own)];
            let hairpins = hairpinning == Hairpinning::ExternalSource;
            let path = oracle_behind(&own, &own, &[traits], hairpins);
            let relayed = scene.seen(0).unwrap().is_relayed();
            assert_eq!(
                relayed,
                path == Path::Relay,
                "{hairpins} {}",
                scene.describe()
            );
            assert_eq!(scene.exchange(), [10, 10]);
        }
    }
}

#[test]
fn a_cloud_host_with_an_address_of_its_own_needs_no_relay() {
    for other in [Profile::PORT_RESTRICTED_CONE, Profile::FULL_CONE] {
        let mut scene = Scene::new(1, Link::latency(millis(10)));
        let mut cloud = Profile::CLOUD_ONE_TO_ONE.config(&[]);
        cloud.one_to_one = vec![(ip("10.9.0.20"), ip("203.0.113.9"))];
        let prefix = "10.9.0.0/24".parse().unwrap();
        let cloud = scene.world.nat("cloud", scene.internet, prefix, cloud);
        let options = scene.options();
        scene.peer(cloud.inside, ip("10.9.0.20"), options);
        let internet = scene.internet;
        nat_and_peer(
            &mut scene,
            internet,
            ip("203.0.113.101"),
            &other.config(&[]),
        );
        scene.connect(secs(5));
        settle(&mut scene);
        assert!(!scene.seen(0).unwrap().is_relayed(), "{}", scene.describe());
    }
}

#[test]
fn a_mapped_port_makes_a_symmetric_nat_direct() {
    let strict = config((
        Mapping::EndpointIndependent,
        Filtering::AddressAndPortDependent,
    ));
    let symmetric = Profile::SYMMETRIC.config(&[]);
    for mapped in [true, false] {
        let mut scene = Scene::new(1, Link::latency(millis(10)));
        let internet = scene.internet;
        let nat = nat_and_peer(&mut scene, internet, ip("203.0.113.1"), &strict);
        nat_and_peer(&mut scene, internet, ip("203.0.113.101"), &symmetric);
        if mapped {
            let outside = SocketAddr::new(ip("203.0.113.1"), 45_000);
            let inside = SocketAddr::new(ip("192.168.0.20"), UDP_PORT);
            let now = scene.world.now();
            let forward = Forward {
                protocol: Protocol::Udp,
                external: Endpoint::from(outside),
                internal: Endpoint::from(inside),
            };
            scene
                .world
                .with_nat(nat, |nat| nat.add_forward(now, forward).unwrap());
            scene.act(0, |peer, now, stack| {
                peer.act(now, stack, |agent| {
                    agent.add_mapped_address(now, inside, outside);
                });
            });
        }
        scene.connect(secs(5));
        settle(&mut scene);
        let relayed = scene.seen(0).unwrap().is_relayed();
        assert_eq!(relayed, !mapped, "{}", scene.describe());
        assert_eq!(scene.exchange(), [10, 10]);
    }
}

#[test]
fn a_phone_of_ipv6_alone_meets_hosts_of_ipv4_through_a_nat64() {
    // The phone's programs reach IPv4 servers by the addresses that DNS64 or RFC 7050 gives them.
    let mut scene = Scene::new(1, Link::latency(millis(10)));
    let mut nat64 = Profile::NAT64.config(&[ip("203.0.113.1")]);
    nat64.udp.filtering = Filtering::EndpointIndependent;
    let prefix = "2001:db8:7::/64".parse().unwrap();
    let mobile = scene.world.nat("mobile", scene.internet, prefix, nat64);
    let mut options = scene.options();
    options.config.gather.servers = crate::scene::servers_at("64:ff9b::c633:6409");
    scene.peer(mobile.inside, ip("2001:db8:7::20"), options);
    let options = scene.options();
    scene.peer(scene.internet, ip("203.0.113.20"), options);
    scene.connect(secs(10));
    settle(&mut scene);
    assert_eq!(scene.exchange(), [10, 10], "{}", scene.describe());
}

#[test]
fn a_nat_that_forgets_idle_mappings_after_30_seconds_is_kept_awake() {
    for profile in [Profile::PORT_RESTRICTED_CONE, Profile::SYMMETRIC] {
        let (mut scene, _) = pair_with(profile, Profile::FULL_CONE);
        scene.connect(secs(5));
        scene.run_for(secs(1800));
        assert!(scene.is_connected(), "{}", scene.describe());
        assert_eq!(scene.exchange(), [10, 10]);
        for side in BOTH {
            let changes = scene.get(side).events.iter();
            let lost = changes.filter(|(_, event)| {
                matches!(
                    event,
                    jackfield_ice::Event::StateChanged(jackfield_ice::State::Disconnected)
                )
            });
            assert_eq!(lost.count(), 0, "{}", scene.describe());
        }
    }
}

#[test]
fn a_nat_that_reboots_is_survived_without_a_restart() {
    for profile in [
        Profile::FULL_CONE,
        Profile::PORT_RESTRICTED_CONE,
        Profile::SYMMETRIC,
    ] {
        let (mut scene, boxes) = pair_with(profile, Profile::PORT_RESTRICTED_CONE);
        scene.connect(secs(5));
        settle(&mut scene);
        scene.world.with_nat(boxes[0], Nat::reboot);
        let silence = scene.longest_silence(secs(30));
        assert!(silence < secs(15), "{silence:?} {}", scene.describe());
        assert!(scene.is_connected());
        assert_eq!(scene.exchange(), [10, 10], "{}", scene.describe());
    }
}

#[test]
fn no_packet_of_an_agent_is_too_long_for_a_path_of_1280_bytes() {
    let link = Link {
        mtu: 1280,
        ..Link::latency(millis(10))
    };
    for sites in [[Site::PortRestricted; 2], [Site::Symmetric; 2]] {
        let (mut scene, _) = Scene::at_sites(1, link.clone(), sites);
        scene.connect(secs(5));
        settle(&mut scene);
        assert_eq!(scene.exchange(), [10, 10]);
        for side in BOTH {
            let sent = scene.get(side).sent.iter();
            let longest = sent.map(|(_, _, bytes)| bytes.len()).max();
            assert!(longest.unwrap() <= 1280 - 48);
        }
    }
}

/// Adds a NAT with an outside address in front of a host with a peer.
fn nat_and_peer(
    scene: &mut Scene,
    outside: NetworkId,
    address: IpAddr,
    config: &NatConfig,
) -> NatBox {
    let side = scene.peers.len();
    let config = NatConfig {
        externals: vec![address],
        ..config.clone()
    };
    let prefix = format!("192.168.{side}.0/24").parse().unwrap();
    let name = format!("nat{side}");
    let nat = scene.world.nat(&name, outside, prefix, config);
    let options = scene.options();
    scene.peer(nat.inside, ip(&format!("192.168.{side}.20")), options);
    nat
}

/// Two hosts behind NATs that forget idle mappings after 30 s.
fn pair_with(first: Profile, second: Profile) -> (Scene, Vec<NatBox>) {
    let mut scene = Scene::new(1, Link::latency(millis(10)));
    let mut boxes = Vec::new();
    for (side, profile) in [first, second].into_iter().enumerate() {
        let mut config = profile.config(&[]);
        config.timers.udp = secs(30);
        config.timers.udp_filter = secs(30);
        let internet = scene.internet;
        let address = ip(&format!("203.0.113.{}", side * 100 + 1));
        boxes.push(nat_and_peer(&mut scene, internet, address, &config));
    }
    (scene, boxes)
}

/// Connects two hosts behind chains of NATs, innermost first, and compares the path with the
/// oracle's: direct exactly where it can be, and no relay once a direct path has lived for 5 s.
fn judge(seed: u64, chains: [&[NatConfig]; 2]) {
    let mut scene = Scene::new(seed, Link::latency(millis(10)));
    for (side, chain) in chains.into_iter().enumerate() {
        let mut network = scene.internet;
        for (level, config) in chain.iter().enumerate().rev() {
            let address = |n: usize| match network == scene.internet {
                true => ip(&format!("203.0.113.{}", side * 100 + 1 + n)),
                false => ip(&format!("10.{side}.{}.{}", level + 1, 2 + n)),
            };
            let count = config.externals.len().max(1);
            let config = NatConfig {
                externals: (0..count).map(address).collect(),
                ..config.clone()
            };
            let prefix = format!("10.{side}.{level}.0/24").parse().unwrap();
            let name = format!("nat{side}{level}");
            network = scene.world.nat(&name, network, prefix, config).inside;
        }
        let address = match chain.is_empty() {
            true => ip(&format!("203.0.113.{}", 220 + side)),
            false => ip(&format!("10.{side}.0.20")),
        };
        let options = scene.options();
        scene.peer(network, address, options);
    }
    let traits = chains.map(|chain| chain.iter().map(Traits::of).collect::<Vec<_>>());
    let tcp = chains.map(|chain| chain.iter().map(Traits::of_tcp).collect::<Vec<_>>());
    let path = oracle(&traits[0], &traits[1]);
    scene.connect(secs(30));
    settle(&mut scene);
    let seen = scene.seen(0).unwrap();
    // A host that can be dialed makes a direct path by TCP where UDP has none.
    let by_tcp = seen.tcp && oracle(&tcp[0], &tcp[1]) != Path::Relay;
    let right = match path {
        Path::Direct => !seen.is_relayed(),
        Path::Nondeterministic => true,
        Path::Relay => seen.is_relayed() || by_tcp,
    };
    assert!(
        right,
        "seed {seed}: the oracle says {path:?}, seen {seen:?}\n{chains:#?}\n{}",
        scene.describe()
    );
    assert_eq!(scene.exchange(), [10, 10], "{}", scene.describe());
}

/// Lets five seconds pass, after which no relay is used where a direct path works.
fn settle(scene: &mut Scene) {
    scene.run_for(secs(5));
}

fn types() -> impl Iterator<Item = (Mapping, Filtering)> {
    Mapping::ALL.into_iter().flat_map(|mapping| {
        let with = move |filtering| (mapping, filtering);
        Filtering::ALL.into_iter().map(with)
    })
}

fn config((mapping, filtering): (Mapping, Filtering)) -> NatConfig {
    let behaviour = Behaviour { mapping, filtering };
    NatConfig {
        udp: behaviour,
        tcp: behaviour,
        ..NatConfig::default()
    }
}

/// A NAT of any kind that does not refuse a host its second mapping, as that would refuse it the
/// TURN server as well.
fn any_config() -> impl Strategy<Value = NatConfig> {
    let ports = prop_oneof![
        Just(Assignment::Preserve),
        (1..5_u16, any::<bool>())
            .prop_map(|(step, per_host)| Assignment::Sequential { step, per_host }),
        Just(Assignment::Random),
        Just(Assignment::Block { size: 512 }),
    ];
    let kinds = (0..3_usize, 0..3_usize);
    (kinds, ports, any::<[bool; 2]>(), 1..4_usize).prop_map(
        |((mapping, filtering), assignment, switches, addresses)| {
            let mut config = config((Mapping::ALL[mapping], Filtering::ALL[filtering]));
            config.ports.assignment = assignment;
            config.ports.parity = switches[0];
            if switches[1] {
                config.pooling = Pooling::Arbitrary;
            }
            config.externals = vec![ip("203.0.113.1"); addresses];
            config
        },
    )
}
