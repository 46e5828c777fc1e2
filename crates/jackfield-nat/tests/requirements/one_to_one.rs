//! Hosts whose outside address is theirs alone, or their own.

use jackfield_nat::packet::{Headers, IcmpError, build};
use jackfield_nat::profile::Profile;
use jackfield_nat::{
    Behaviour, Filtering, Forward, ForwardError, Mapping, Protocol, Translation, Verdict,
};

use crate::rig::*;

const MINE: &str = "203.0.113.10";

#[test]
fn a_host_with_an_address_of_its_own_has_one_mapping_for_all_peers() {
    for mapping in Mapping::ALL {
        let mut rig = rig(mapping, Translation::Ports);
        for peer in [C, D] {
            assert_eq!(rig.udp_out((A, 5000), (peer, 7)), Some(at(MINE, 5000)));
        }
        assert_eq!(rig.nat.mapping_count(), 1, "{mapping:?}");
        for peer in [C, D] {
            // Another port of an address that was sent to, as address-dependent filtering allows.
            assert_eq!(rig.udp_in((peer, 8), (MINE, 5000)), Some(at(A, 5000)));
        }
        assert_eq!(rig.udp_in(("192.0.2.34", 8), (MINE, 5000)), None);
    }
}

#[test]
fn a_firewall_filters_by_all_that_a_host_has_sent() {
    for mapping in Mapping::ALL {
        let mut rig = rig(mapping, Translation::None);
        for peer in [C, D] {
            assert_eq!(rig.udp_out((A, 5000), (peer, 7)), Some(at(A, 5000)));
        }
        for peer in [C, D] {
            assert_eq!(rig.udp_in((peer, 8), (A, 5000)), Some(at(A, 5000)));
        }
    }
}

#[test]
fn a_firewall_has_the_forwards_of_its_config_and_no_pairs() {
    let mut rig = rig(Mapping::EndpointIndependent, Translation::None);
    assert_eq!(rig.udp_in((C, 7), (B, 9)), Some(at(B, 9)));
    rig.nat.reboot();
    assert_eq!(rig.udp_in((C, 7), (B, 9)), Some(at(B, 9)));
    assert_eq!(rig.udp_in((C, 7), (MINE, 9)), None);
    assert_eq!(rig.udp_out((A, 5000), (C, 7)), Some(at(A, 5000)));
}

#[test]
fn an_error_of_a_router_behind_a_firewall_keeps_its_source() {
    let mut rig = rig(Mapping::EndpointIndependent, Translation::None);
    let about = build::udp(at(C, 7), at(B, 9), DATA);
    assert_eq!(rig.inbound(&mut about.clone()), Verdict::Forward);
    let router = "192.168.1.254";
    let mut error = IcmpError::HostUnreachable
        .about(ip(router).into(), &about)
        .unwrap();
    assert_eq!(rig.outbound(&mut error), Verdict::Forward);
    let headers = Headers::parse(&error).unwrap();
    assert_eq!(headers.source, ip(router).into());
}

#[test]
fn nothing_is_forwarded_between_ip_versions_that_the_nat_does_not_join() {
    let six = "2001:db8::7";
    let mut rig = Rig::with(Profile::FULL_CONE, |config| {
        config.one_to_one = vec![(ip(six), ip(MINE))];
        config.forwards = vec![forward(six, EXTERNALS[0])];
    });
    assert_eq!(rig.nat.mapping_count(), 0);
    let refused = rig.nat.add_forward(rig.now, forward(six, EXTERNALS[0]));
    assert_eq!(refused, Err(ForwardError::WrongFamily));
    assert_eq!(rig.udp_in((C, 7), (MINE, 9)), None);
    let mut rig = Rig::with(Profile::NAT64, |_| {});
    let refused = rig.nat.add_forward(rig.now, forward(A, EXTERNALS[0]));
    assert_eq!(refused, Err(ForwardError::WrongFamily));
    let added = rig.nat.add_forward(rig.now, forward(six, EXTERNALS[0]));
    assert_eq!(added, Ok(()));
}

/// A NAT that filters by address, or a firewall that admits any remote at a port of one host.
fn rig(mapping: Mapping, translation: Translation) -> Rig {
    Rig::with(Profile::FULL_CONE, |config| {
        config.translation = translation;
        config.udp = Behaviour {
            mapping,
            filtering: Filtering::AddressDependent,
        };
        config.one_to_one = vec![(ip(A), ip(MINE))];
        config.forwards = vec![forward(B, B)];
    })
}

fn forward(internal: &str, external: &str) -> Forward {
    Forward {
        protocol: Protocol::Udp,
        internal: endpoint(internal, 9),
        external: endpoint(external, 9),
    }
}
