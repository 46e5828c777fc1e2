//! Lesser servers: with one address, without any of RFC 5780, with a helper, or with a second
//! address that is dead.

use std::time::Duration;

use jackfield_internet::Link;
use jackfield_nat::profile::Profile;
use jackfield_stun::behaviour::answer::{Alternate, ServerAddresses};
use jackfield_stun::behaviour::{
    DiscoveryConfig, Filtering, Finding, Label, Mapping, Reason, Report,
};

use crate::world::{HELPER, SERVER, Server, Setup, Way, server_address};

const FIRST: &[&str] = &["198.51.100.1"];

fn discover(servers: Vec<(&[&str], Server)>, asked: &[&str], profile: Profile) -> Report {
    Way::new(Setup {
        servers,
        nats: vec![profile.config(&["203.0.113.1".parse().unwrap()])],
        link: Link::latency(Duration::from_millis(2)),
        config: DiscoveryConfig::new(asked.iter().map(|server| server.parse().unwrap()).collect()),
        seed: 9,
    })
    .discover()
}

fn addresses(alternate: Option<Alternate>) -> Vec<ServerAddresses> {
    vec![ServerAddresses {
        primary: server_address("198.51.100.1"),
        alternate,
        ports: [3478, 3479],
    }]
}

#[test]
fn a_plain_server_tells_of_a_nat_and_not_of_its_kind() {
    let report = discover(
        vec![(FIRST, Server::new(Vec::new()))],
        &[SERVER],
        Profile::FULL_CONE,
    );
    assert_eq!(report.nat, Finding::Known(true));
    let unknown = Reason::NoOtherAddress;
    assert_eq!(report.mapping, Finding::Unknown(unknown));
    assert_eq!(report.filtering, Finding::Unknown(unknown));
    assert_eq!(report.alg, Finding::Unknown(Reason::NotTold));
    assert_eq!(report.fragments, Finding::Unknown(Reason::Refused));
    assert_eq!(report.label(), None);
}

#[test]
fn two_plain_servers_tell_whether_the_mapping_varies() {
    let second = "192.0.2.9:3478";
    for (profile, expected) in [
        (
            Profile::PORT_RESTRICTED_CONE,
            Finding::Known(Mapping::EndpointIndependent),
        ),
        (
            Profile::SYMMETRIC,
            Finding::Unknown(Reason::VariesByDestination),
        ),
    ] {
        let servers = vec![
            (FIRST, Server::new(Vec::new())),
            (&["192.0.2.9"][..], Server::new(Vec::new())),
        ];
        let report = discover(servers, &[SERVER, second], profile);
        assert_eq!(report.mapping, expected, "{profile}");
        assert_eq!(report.filtering, Finding::Unknown(Reason::NoOtherAddress));
    }
}

#[test]
fn one_address_with_two_ports_tells_whether_ports_matter_to_the_filter() {
    for (profile, expected) in [
        (Profile::FULL_CONE, Reason::NotPortDependent),
        (Profile::PORT_RESTRICTED_CONE, Reason::NoOtherAddress),
    ] {
        let report = discover(
            vec![(FIRST, Server::new(addresses(None)))],
            &[SERVER],
            profile,
        );
        assert_eq!(report.filtering, Finding::Unknown(expected), "{profile}");
    }
}

#[test]
fn a_helper_elsewhere_is_as_good_as_a_second_address() {
    for (profile, label) in [
        (Profile::FULL_CONE, Label::FullCone),
        (Profile::RESTRICTED_CONE, Label::RestrictedCone),
        (Profile::PORT_RESTRICTED_CONE, Label::PortRestrictedCone),
        (Profile::SYMMETRIC, Label::Symmetric),
    ] {
        let other = Alternate::Helper(HELPER.parse().unwrap());
        let servers = vec![
            (FIRST, Server::new(addresses(Some(other)))),
            (&[HELPER][..], Server::new(Vec::new())),
        ];
        let report = discover(servers, &[SERVER], profile);
        assert_eq!(report.label(), Some(label), "{report:?}");
        assert_eq!(
            report.other,
            Some(format!("{HELPER}:3479").parse().unwrap())
        );
    }
}

#[test]
fn a_second_address_that_is_dead_is_not_mistaken_for_a_filter() {
    let other = Alternate::Own(server_address("198.51.100.77"));
    let servers = vec![(FIRST, Server::new(addresses(Some(other))))];
    let report = discover(servers, &[SERVER], Profile::PORT_RESTRICTED_CONE);
    let silent = Reason::OtherAddressSilent;
    assert_eq!(report.mapping, Finding::Unknown(silent));
    assert_eq!(report.filtering, Finding::Unknown(silent));
}

#[test]
fn a_symmetric_nat_is_known_by_ports_alone_when_the_second_address_is_dead() {
    let other = Alternate::Own(server_address("198.51.100.77"));
    let servers = vec![(FIRST, Server::new(addresses(Some(other))))];
    let report = discover(servers, &[SERVER], Profile::SYMMETRIC);
    assert_eq!(
        report.mapping,
        Finding::Known(Mapping::AddressAndPortDependent)
    );
    assert_ne!(
        report.filtering,
        Finding::Known(Filtering::EndpointIndependent)
    );
}
