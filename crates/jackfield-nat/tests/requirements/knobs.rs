//! Knobs that no requirement speaks of, or that do what requirements forbid.

use std::collections::BTreeSet;

use jackfield_nat::packet::{IcmpError, build};
use jackfield_nat::profile::Profile;
use jackfield_nat::{
    Assignment, Conflict, DropReason, Fragments, Hairpinning, IcmpErrors, NatConfig, Refresh,
    Verdict,
};

use crate::rig::*;

#[test]
fn ports_in_sequence_follow_each_other() {
    let ports = |per_host| {
        let mut rig = cone(|config| {
            config.ports.assignment = Assignment::Sequential { step: 3, per_host };
            config.ports.parity = false;
        });
        let hosts = [A, A, B, A];
        hosts.map(|host| {
            let port = 5000 + rig.nat.mapping_count() as u16;
            rig.udp_out((host, port), (C, 7)).unwrap().port()
        })
    };
    assert_eq!(ports(false), [1024, 1027, 1030, 1033]);
    assert_eq!(ports(true), [1024, 1027, 1025, 1030]);
}

#[test]
fn a_taken_port_goes_by_the_conflict_rule() {
    let second = |conflict| {
        let mut rig = cone(|config| {
            config.ports.assignment = Assignment::Preserve;
            config.ports.conflict = conflict;
            config.ports.parity = false;
        });
        assert_eq!(rig.udp_out((A, 5000), (C, 7)).unwrap().port(), 5000);
        rig.udp_out((B, 5000), (C, 8))
            .map(|external| external.port())
    };
    assert_eq!(second(Conflict::Next), Some(5001));
    assert_eq!(second(Conflict::Overload), Some(5000));
    assert_eq!(second(Conflict::Refuse), None);
    assert_ne!(second(Conflict::Random), Some(5000));
}

#[test]
fn an_overloaded_port_serves_each_host_by_its_peer() {
    let mut rig = cone(|config| {
        config.ports.assignment = Assignment::Preserve;
        config.ports.conflict = Conflict::Overload;
    });
    let external = rig.udp_out((A, 5000), (C, 7)).unwrap();
    rig.udp_out((B, 5000), (D, 7)).unwrap();
    assert_eq!(rig.udp_in((C, 7), external), Some(at(A, 5000)));
    assert_eq!(rig.udp_in((D, 7), external), Some(at(B, 5000)));
}

#[test]
fn a_flood_from_one_host_starves_no_other() {
    let mut rig = cone(|_| {});
    for n in 0..60_000_u32 {
        let to = at(C, 1 + (n % 60_000) as u16);
        rig.udp_out((A, 1 + (n % 65_000) as u16), to);
    }
    let limit = NatConfig::default().limits.mappings_per_host;
    assert_eq!(rig.nat.mapping_count(), limit);
    assert!(rig.nat.counters().dropped(DropReason::HostMappings) > 0);
    assert!(rig.udp_out((B, 5000), (C, 7)).is_some());
}

#[test]
fn the_evil_gateway_rewrites_plain_addresses_and_not_hidden_ones() {
    let mut rig = Rig::new(Profile::OLD_HOME_ROUTER);
    let external = rig.udp_out((A, 5000), (C, 7)).unwrap();
    let plain = [0xff, 203, 0, 113, 1, 0];
    let mut bytes = build::udp(at(C, 7), external, &plain);
    assert_eq!(rig.inbound(&mut bytes), Verdict::Forward);
    assert!(bytes.ends_with(&[0xff, 192, 168, 1, 10, 0]));
    let hidden = plain.map(|byte| byte ^ 0x21);
    let mut bytes = build::udp(at(C, 7), external, &hidden);
    assert_eq!(rig.inbound(&mut bytes), Verdict::Forward);
    assert!(bytes.ends_with(&hidden));
}

#[test]
fn an_icmp_error_can_kill_a_mapping() {
    let mut rig = cone(|config| config.icmp_errors = IcmpErrors::KillMapping);
    let external = rig.udp_out((A, 5000), (C, 7)).unwrap();
    let about = build::udp(external, at(C, 7), DATA);
    let mut error = IcmpError::PortUnreachable
        .about(ip(C).into(), &about)
        .unwrap();
    assert_eq!(rig.inbound(&mut error), Verdict::Forward);
    assert_eq!(rig.nat.mapping_count(), 0);
    assert_eq!(rig.udp_in((C, 7), external), None);
}

#[test]
fn a_nat_that_only_inbound_packets_refresh_forgets_talkers() {
    let mut rig = cone(|config| config.refresh = Refresh::Inbound);
    let external = rig.udp_out((A, 5000), (C, 7)).unwrap();
    for _ in 0..4 {
        rig.wait(secs(100));
        rig.udp_out((A, 5000), (C, 7)).unwrap();
    }
    assert_ne!(rig.udp_out((A, 5000), (C, 7)), Some(external));
}

#[test]
fn hairpinning_with_the_internal_source_shows_it() {
    let mut rig = cone(|config| config.hairpinning = Hairpinning::InternalSource);
    let external = rig.udp_out((B, 9000), (C, 7)).unwrap();
    let mut bytes = build::udp(at(A, 5000), external, DATA);
    assert_eq!(rig.outbound(&mut bytes), Verdict::Hairpin);
    assert_eq!(source(&bytes), at(A, 5000));
    assert_eq!(destination(&bytes), at(B, 9000));
}

#[test]
fn one_to_one_addresses_keep_their_ports_and_are_reached_first() {
    let mut rig = cone(|config| config.one_to_one = vec![(ip(A), ip("203.0.113.10"))]);
    assert_eq!(
        rig.udp_in((C, 7), ("203.0.113.10", 5000)),
        Some(at(A, 5000))
    );
    assert_eq!(
        rig.udp_out((A, 5001), (C, 7)),
        Some(at("203.0.113.10", 5001))
    );
    assert_ne!(
        rig.udp_out((B, 5001), (C, 7)).unwrap().ip(),
        ip("203.0.113.10")
    );
}

#[test]
fn a_reboot_forgets_everything_but_forwards() {
    let mut rig = cone(|config| {
        config.forwards = vec![jackfield_nat::Forward {
            protocol: jackfield_nat::Protocol::Udp,
            external: endpoint(EXTERNALS[0], 80),
            internal: endpoint(B, 8080),
        }];
    });
    let external = rig.udp_out((A, 5000), (C, 7)).unwrap();
    rig.nat.reboot();
    assert_eq!(rig.udp_in((C, 7), external), None);
    assert_eq!(rig.udp_in((D, 9), (EXTERNALS[0], 80)), Some(at(B, 8080)));
}

#[test]
fn fragments_can_be_refused() {
    let mut rig = cone(|config| config.fragments = Fragments::Drop);
    let mut piece = fragments(at(A, 5000), at(C, 7))[0].clone();
    let verdict = rig.outbound(&mut piece);
    assert_eq!(verdict, Verdict::Drop(DropReason::FragmentPolicy));
}

#[test]
fn the_same_seed_gives_the_same_ports_and_another_others() {
    let ports = |seed: u8| -> BTreeSet<u16> {
        let config = Profile::FULL_CONE.config(&[ip(EXTERNALS[0])]);
        let mut rig = Rig::of(config.clone());
        rig.nat = jackfield_nat::Nat::new(config, [seed; 32]);
        let out = (0..10).filter_map(|n| rig.udp_out((A, 5000 + n), (C, 7)));
        out.map(|external| external.port()).collect()
    };
    assert_eq!(ports(1), ports(1));
    assert_ne!(ports(1), ports(2));
}

/// A full cone NAT with one address.
fn cone(change: impl FnOnce(&mut NatConfig)) -> Rig {
    Rig::with(Profile::FULL_CONE, |config| {
        config.externals.truncate(1);
        change(config);
    })
}
