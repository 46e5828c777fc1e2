//! One server with two addresses, and NATs of every kind.

use std::net::IpAddr;
use std::time::Duration;

use jackfield_internet::{Link, Loss};
use jackfield_nat::{
    Assignment, Behaviour, Filtering, Fragments as NatFragments, Hairpinning, Mapping, NatConfig,
    Pooling,
};
use jackfield_stun::behaviour::answer::{Alternate, ServerAddresses};
use jackfield_stun::behaviour::{
    DiscoveryConfig, Finding, Fragments, Label, LifetimeSearch, PortAssignment, Reason, Report,
};
use proptest::prelude::*;

use crate::world::{SECOND_ADDRESS, Server, Setup, Way, config, server_address};

/// A server with two addresses.
fn two_addresses() -> Server {
    Server::new(vec![ServerAddresses {
        primary: server_address("198.51.100.1"),
        alternate: Some(Alternate::Own(server_address(SECOND_ADDRESS))),
        ports: [3478, 3479],
    }])
}

fn discover(nats: Vec<NatConfig>, config: DiscoveryConfig, link: Link, seed: u64) -> Report {
    let addresses = ["198.51.100.1", SECOND_ADDRESS];
    Way::new(Setup {
        servers: vec![(&addresses, two_addresses())],
        nats,
        link,
        config,
        seed,
    })
    .discover()
}

fn nat(mapping: Mapping, filtering: Filtering) -> NatConfig {
    let external: IpAddr = "203.0.113.1".parse().unwrap();
    NatConfig {
        externals: vec![external],
        udp: Behaviour { mapping, filtering },
        ..NatConfig::default()
    }
}

#[test]
fn all_nine_kinds_are_distinguished_and_four_of_them_have_a_name() {
    let mut names = Vec::new();
    for map in Mapping::ALL {
        for filter in Filtering::ALL {
            let report = discover(vec![nat(map, filter)], config(), fast(), 1);
            assert_eq!(report.mapping, Finding::Known(map), "{map:?} {filter:?}");
            assert_eq!(
                report.filtering,
                Finding::Known(filter),
                "{map:?} {filter:?}"
            );
            assert_eq!(report.mapping_stability.to_string(), "3/3");
            assert_eq!(report.filtering_stability.to_string(), "3/3");
            assert_eq!(report.nat, Finding::Known(true));
            names.extend(report.label());
        }
    }
    assert_eq!(
        names,
        [
            Label::FullCone,
            Label::RestrictedCone,
            Label::PortRestrictedCone,
            Label::Symmetric
        ]
    );
}

#[test]
fn without_a_nat_there_is_none_and_nothing_is_said_of_its_ports() {
    let report = discover(Vec::new(), config(), fast(), 2);
    assert_eq!(report.nat, Finding::Known(false));
    assert_eq!(report.label(), Some(Label::Open));
    assert_eq!(report.ports, Finding::Unknown(Reason::NoNat));
    assert_eq!(report.hairpinning, Finding::Unknown(Reason::NoNat));
    assert_eq!(report.fragments, Finding::Known(Fragments::BothWays));
    assert_eq!(report.lifetime, Finding::Unknown(Reason::NotTested));
}

#[test]
fn a_gateway_that_rewrites_addresses_in_messages_is_found_out() {
    let config_of = |alg| NatConfig {
        alg,
        ..nat(Mapping::EndpointIndependent, Filtering::EndpointIndependent)
    };
    let evil = discover(vec![config_of(true)], config(), fast(), 3);
    assert_eq!(evil.alg, Finding::Known(true));
    let good = discover(vec![config_of(false)], config(), fast(), 3);
    assert_eq!(good.alg, Finding::Known(false));
}

#[test]
fn two_nats_are_as_strict_as_their_strictest_parts() {
    let inner = nat(
        Mapping::EndpointIndependent,
        Filtering::AddressAndPortDependent,
    );
    let mut outer = nat(Mapping::AddressDependent, Filtering::EndpointIndependent);
    let mut inner = inner;
    inner.externals = vec!["10.0.1.2".parse().unwrap()];
    outer.externals = vec!["203.0.113.1".parse().unwrap()];
    let report = discover(vec![inner, outer], config(), fast(), 4);
    assert_eq!(report.mapping, Finding::Known(Mapping::AddressDependent));
    assert_eq!(
        report.filtering,
        Finding::Known(Filtering::AddressAndPortDependent)
    );
    assert_eq!(report.label(), None);
}

#[test]
fn blocked_udp_is_no_answer_and_nothing_more() {
    let link = Link {
        loss: Loss::even(1_000_000),
        ..Link::default()
    };
    let nat = nat(Mapping::EndpointIndependent, Filtering::EndpointIndependent);
    let report = discover(vec![nat], config(), link, 5);
    let silent = Reason::NoAnswer;
    assert_eq!(report.nat, Finding::Unknown(silent));
    assert_eq!(report.mapping, Finding::Unknown(silent));
    assert_eq!(report.filtering, Finding::Unknown(silent));
    assert_eq!(report.hairpinning, Finding::Unknown(silent));
    assert_eq!(report.fragments, Finding::Unknown(silent));
    assert_eq!(report.ports, Finding::Unknown(silent));
    assert_eq!(report.label(), None);
}

#[test]
fn several_external_addresses_are_listed_and_hide_the_lifetime() {
    let nat = NatConfig {
        externals: (1..=4).map(|n| IpAddr::from([203, 0, 113, n])).collect(),
        pooling: Pooling::Arbitrary,
        ..nat(Mapping::EndpointIndependent, Filtering::AddressDependent)
    };
    let config = DiscoveryConfig {
        lifetime: Some(LifetimeSearch::default()),
        ..config()
    };
    let report = discover(vec![nat], config, fast(), 6);
    assert!(report.externals.len() > 1, "{:?}", report.externals);
    assert_eq!(
        report.lifetime,
        Finding::Unknown(Reason::SeveralExternalAddresses)
    );
    assert_eq!(
        report.filtering,
        Finding::Known(Filtering::AddressDependent)
    );
}

fn fast() -> Link {
    Link::latency(Duration::from_millis(2))
}

/// Any NAT whose behaviour the discovery has words for.
fn any_nat() -> impl Strategy<Value = NatConfig> {
    let assignment = prop_oneof![
        Just(Assignment::Preserve),
        Just(Assignment::Random),
        (1u16..4).prop_map(|step| Assignment::Sequential {
            step,
            per_host: false
        }),
    ];
    let hairpinning = prop_oneof![
        Just(Hairpinning::Off),
        Just(Hairpinning::InternalSource),
        Just(Hairpinning::ExternalSource),
    ];
    let fragments = prop_oneof![
        Just(NatFragments::AnyOrder),
        Just(NatFragments::InOrder),
        Just(NatFragments::Drop),
    ];
    (
        (0usize..3, 0usize..3),
        assignment,
        hairpinning,
        fragments,
        15u64..150,
    )
        .prop_map(
            |((map, filter), assignment, hairpinning, fragments, idle)| {
                let mut config = nat(Mapping::ALL[map], Filtering::ALL[filter]);
                config.ports.assignment = assignment;
                config.hairpinning = hairpinning;
                config.fragments = fragments;
                config.timers.udp = Duration::from_secs(idle);
                config.timers.udp_filter = Duration::from_secs(idle);
                config
            },
        )
}

/// Returns what the discovery should say of how a NAT chooses ports.
fn ports(config: &NatConfig) -> PortAssignment {
    match config.ports.assignment {
        Assignment::Preserve => PortAssignment::Preserved,
        Assignment::Sequential { .. } => PortAssignment::Sequential,
        Assignment::Random | Assignment::Block { .. } => PortAssignment::Random,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_nat_is_found_to_be_what_it_is(config_of_nat in any_nat(), seed: u64) {
        let config = DiscoveryConfig { lifetime: Some(LifetimeSearch::default()), ..config() };
        let report = discover(vec![config_of_nat.clone()], config, fast(), seed);
        let behaviour = config_of_nat.udp;
        prop_assert_eq!(report.mapping, Finding::Known(behaviour.mapping));
        prop_assert_eq!(report.filtering, Finding::Known(behaviour.filtering));
        // Where a port is taken, a NAT that preserves ports gives another.
        prop_assert_eq!(report.ports, Finding::Known(ports(&config_of_nat)));
        prop_assert_eq!(report.alg, Finding::Known(false));
        let fragments = match config_of_nat.fragments {
            NatFragments::Drop => Fragments::Dropped,
            NatFragments::AnyOrder | NatFragments::InOrder => Fragments::BothWays,
        };
        prop_assert_eq!(report.fragments, Finding::Known(fragments));
        match (config_of_nat.hairpinning, report.hairpinning) {
            (Hairpinning::Off, Finding::Known(true)) => prop_assert!(false, "a hairpin that there is not"),
            (Hairpinning::Off, _) => {}
            // The sender's inside endpoint was never sent to, so only an open filter admits it.
            (Hairpinning::InternalSource, Finding::Known(false)) =>
                prop_assert_ne!(behaviour.filtering, Filtering::EndpointIndependent),
            (_, found) if behaviour.mapping == Mapping::EndpointIndependent =>
                prop_assert_eq!(found, Finding::Known(true)),
            (_, found) => prop_assert_ne!(found, Finding::Known(false)),
        }
        let Finding::Known(lifetime) = report.lifetime else {
            return Err(TestCaseError::fail(format!("{:?}", report.lifetime)));
        };
        let real = config_of_nat.timers.udp;
        let at_most = lifetime.at_most.unwrap();
        prop_assert!(lifetime.at_least <= real && real <= at_most, "{:?} for {:?}", lifetime, real);
        prop_assert!(at_most - lifetime.at_least < Duration::from_secs(15), "{:?}", lifetime);
    }

    #[test]
    fn loss_changes_nothing_of_it(config_of_nat in any_nat(), seed: u64, percent in 1u32..=10, length in 1u32..4) {
        let link = Link { loss: Loss::bursts(percent * 10_000, length), ..fast() };
        let report = discover(vec![config_of_nat.clone()], config(), link, seed);
        let behaviour = config_of_nat.udp;
        prop_assert_eq!(report.mapping, Finding::Known(behaviour.mapping));
        prop_assert_eq!(report.filtering, Finding::Known(behaviour.filtering));
        if config_of_nat.hairpinning == Hairpinning::Off {
            prop_assert_ne!(report.hairpinning, Finding::Known(true));
        }
    }
}
