//! The oracle against what two hosts achieve.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jackfield_internet::{HostId, Link, NetworkId, World};
use jackfield_nat::oracle::{Path, Traits, oracle, oracle_behind};
use jackfield_nat::profile::Profile;
use jackfield_nat::{
    Assignment, Conflict, Conntrack, Filtering, Hairpinning, Mapping, NatConfig, Policy, Pooling,
    Refresh,
};
use proptest::prelude::*;

use crate::puncher::{Mirror, Puncher};
use crate::rig::{config, crosses, epoch, internet, nth, types};

/// Two hosts behind chains of NATs, and a server.
pub(crate) struct Duel {
    pub(crate) world: World,
    hosts: [HostId; 2],
}

impl Duel {
    /// `chains` are innermost first, and meet on the internet.
    fn new(chains: [&[NatConfig]; 2], seed: u64) -> Self {
        Self::over(Link::latency(Duration::from_millis(5)), chains, seed)
    }

    pub(crate) fn over(link: Link, chains: [&[NatConfig]; 2], seed: u64) -> Self {
        let (world, net) = internet(link, seed);
        Self::on(world, net, net, chains)
    }

    fn on(
        mut world: World,
        internet: NetworkId,
        meeting: NetworkId,
        chains: [&[NatConfig]; 2],
    ) -> Self {
        let server: SocketAddr = "198.51.100.9:3478".parse().unwrap();
        world.host("server", internet, server.ip(), Mirror::default());
        let mut hosts = Vec::new();
        for (side, chain) in chains.into_iter().enumerate() {
            let mut network = meeting;
            for (level, config) in chain.iter().enumerate().rev() {
                let mut config = config.clone();
                let count = config.externals.len().max(1);
                let first = if network == internet {
                    format!("203.0.113.{}", side * 100 + 1)
                } else {
                    format!("10.{side}.{}.2", level + 1)
                };
                config.externals = (0..count).map(|n| nth(&first, n)).collect();
                let prefix = if crosses(&config) {
                    format!("fd00:{side}:{level}::/64").parse().unwrap()
                } else {
                    format!("10.{side}.{level}.0/24").parse().unwrap()
                };
                network = world
                    .nat(&format!("nat{side}{level}"), network, prefix, config)
                    .inside;
            }
            let address: IpAddr = match chain.first() {
                None => nth("203.0.113.200", side),
                Some(nat) if crosses(nat) => format!("fd00:{side}:0::20").parse().unwrap(),
                Some(_) => nth(&format!("10.{side}.0.20"), 0),
            };
            let local = SocketAddr::new(address, 40_000);
            let app = Puncher::new(world.now(), local, server);
            hosts.push(world.host(&format!("host{side}"), network, address, app));
        }
        Self {
            world,
            hosts: [hosts[0], hosts[1]],
        }
    }

    /// Returns whether the hosts find a pair; both or neither do.
    pub(crate) fn play(&mut self) -> bool {
        self.play_for(Duration::from_secs(2))
    }

    pub(crate) fn play_for(&mut self, limit: Duration) -> bool {
        let hosts = self.hosts;
        let reflexive =
            |world: &World| hosts.map(|host| world.app::<Puncher>(host).unwrap().reflexive);
        self.world
            .run_until_true(limit, |world| reflexive(world).iter().all(Option::is_some));
        let reflexive = reflexive(&self.world);
        for (host, peer) in [(0, 1), (1, 0)] {
            if let Some(peer) = reflexive[peer] {
                self.world
                    .with_app(self.hosts[host], |app: &mut Puncher, now| {
                        app.learn(now, peer);
                    });
            }
        }
        self.world.run_until_true(limit, |world| {
            hosts
                .iter()
                .all(|host| world.app::<Puncher>(*host).unwrap().found.is_some())
        });
        let found = hosts.map(|host| self.world.app::<Puncher>(host).unwrap().found.is_some());
        assert_eq!(
            found[0],
            found[1],
            "only one side has a pair\n{}",
            self.world.diagram()
        );
        found[0]
    }
}

pub(crate) fn agree(path: Path, found: bool, duel: &Duel) {
    let right = match path {
        Path::Direct => found,
        Path::Nondeterministic => true,
        Path::Relay => !found,
    };
    assert!(
        right,
        "the oracle says {path:?}, the hosts {found}\n{}",
        duel.world.diagram()
    );
}

#[test]
fn the_oracle_is_right_about_all_nine_by_nine_types() {
    for a in types() {
        for b in types() {
            let (one, two) = (config(a), config(b));
            let path = oracle(&[Traits::of(&one)], &[Traits::of(&two)]);
            let mut duel = Duel::new([&[one], &[two]], 1);
            let found = duel.play();
            assert_ne!(path, Path::Nondeterministic);
            agree(path, found, &duel);
        }
    }
}

#[test]
fn the_oracle_is_right_about_every_pair_of_profiles() {
    for a in Profile::ALL {
        for b in Profile::ALL {
            let [one, two] =
                [a, b].map(|profile| profile.config(&["203.0.113.1".parse().unwrap()]));
            let path = oracle(&[Traits::of(&one)], &[Traits::of(&two)]);
            let mut duel = Duel::new([&[one], &[two]], 1);
            let found = duel.play();
            agree(path, found, &duel);
        }
    }
}

#[test]
fn the_oracle_is_right_about_double_nats() {
    for inner in types() {
        for outer in types() {
            for b in types() {
                let chain = [config(inner), config(outer)];
                let other = config(b);
                let path = oracle(&chain.each_ref().map(Traits::of), &[Traits::of(&other)]);
                let mut duel = Duel::new([&chain, &[other]], 1);
                duel.world.record(false);
                let found = duel.play();
                agree(path, found, &duel);
            }
        }
    }
}

#[test]
fn two_homes_behind_one_carrier_meet_by_hairpinning() {
    for home in types() {
        for carrier in types() {
            for hairpins in [true, false] {
                let mut shared = config(carrier);
                shared.externals = vec!["203.0.113.1".parse().unwrap()];
                if !hairpins {
                    shared.hairpinning = Hairpinning::Off;
                }
                let own = config(home);
                let path = oracle_behind(
                    &[Traits::of(&own)],
                    &[Traits::of(&own)],
                    &[Traits::of(&shared)],
                    hairpins,
                );
                let mut world = World::new(epoch(), 1);
                let internet = world.network("internet", Link::latency(Duration::from_millis(5)));
                let prefix = "10.0.0.0/8".parse().unwrap();
                let carrier = world.nat("carrier", internet, prefix, shared);
                let mut duel = Duel::on(
                    world,
                    internet,
                    carrier.inside,
                    [std::slice::from_ref(&own), std::slice::from_ref(&own)],
                );
                let found = duel.play();
                agree(path, found, &duel);
            }
        }
    }
}

#[test]
fn no_pair_meets_through_a_firewall_without_udp() {
    let blocked = NatConfig {
        policy: Policy::no_udp(),
        ..config((Mapping::EndpointIndependent, Filtering::EndpointIndependent))
    };
    let path = oracle(&[Traits::of(&blocked)], &[]);
    assert_eq!(path, Path::Relay);
    let mut duel = Duel::new([&[blocked], &[]], 1);
    let found = duel.play();
    agree(path, found, &duel);
}

#[test]
fn an_early_packet_spoils_the_punch_through_linux_that_answers_for_itself() {
    let linux = Profile::LINUX_OPEN_INPUT.config(&["203.0.113.1".parse().unwrap()]);
    let strict = config((
        Mapping::EndpointIndependent,
        Filtering::AddressAndPortDependent,
    ));
    let mut outcomes = Vec::new();
    for early in [false, true] {
        let mut duel = Duel::new(
            [std::slice::from_ref(&linux), std::slice::from_ref(&strict)],
            1,
        );
        duel.world.run_for(Duration::from_millis(200));
        let [a, b] = duel.hosts;
        let reflexive =
            |duel: &Duel, host| duel.world.app::<Puncher>(host).unwrap().reflexive.unwrap();
        let (to_a, to_b) = (reflexive(&duel, a), reflexive(&duel, b));
        let first = if early { (b, to_a) } else { (a, to_b) };
        duel.world
            .with_app(first.0, |app: &mut Puncher, now| app.learn(now, first.1));
        duel.world.run_for(Duration::from_millis(30));
        outcomes.push(duel.play());
    }
    assert_eq!(outcomes, [true, false]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_oracle_is_right_about_random_profiles(
        a in proptest::collection::vec(any_config(), 0..3),
        b in proptest::collection::vec(any_config(), 0..3),
        seed in any::<u64>(),
    ) {
        let traits = |chain: &[NatConfig]| chain.iter().map(Traits::of).collect::<Vec<_>>();
        let path = oracle(&traits(&a), &traits(&b));
        let mut duel = Duel::new([&a, &b], seed);
        let found = duel.play();
        agree(path, found, &duel);
    }
}

pub(crate) fn any_config() -> impl Strategy<Value = NatConfig> {
    let ports = prop_oneof![
        Just(Assignment::Preserve),
        (1..5_u16, any::<bool>())
            .prop_map(|(step, per_host)| Assignment::Sequential { step, per_host }),
        Just(Assignment::Random),
        Just(Assignment::Block { size: 512 }),
    ];
    let conflict = prop_oneof![
        Just(Conflict::Random),
        Just(Conflict::Next),
        Just(Conflict::Overload),
        Just(Conflict::Refuse),
        Just(Conflict::ChangeBehaviour),
    ];
    let behaviour = (0..3_usize, 0..3_usize);
    let switches = any::<[bool; 5]>();
    let addresses = 1..4_usize;
    let refresh = prop_oneof![
        Just(Refresh::Outbound),
        Just(Refresh::Inbound),
        Just(Refresh::Both)
    ];
    let conntrack = proptest::option::weighted(0.2, any::<bool>());
    (
        behaviour, ports, conflict, switches, addresses, refresh, conntrack,
    )
        .prop_map(
            |(
                (mapping, filtering),
                assignment,
                conflict,
                switches,
                addresses,
                refresh,
                conntrack,
            )| {
                let mut config = config((Mapping::ALL[mapping], Filtering::ALL[filtering]));
                config.ports.assignment = assignment;
                config.ports.conflict = conflict;
                config.ports.overlap = switches[0];
                config.ports.parity = switches[1];
                config.ports.keep_range = switches[2];
                if switches[3] {
                    config.ports.range = 1024..=65535;
                }
                if switches[4] {
                    config.pooling = Pooling::Arbitrary;
                }
                config.refresh = refresh;
                config.externals = vec!["203.0.113.1".parse().unwrap(); addresses];
                config.conntrack = conntrack.map(|accepts_input| Conntrack { accepts_input });
                config
            },
        )
}
