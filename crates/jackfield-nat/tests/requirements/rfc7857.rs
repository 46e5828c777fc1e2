//! RFC 7857, by its headings, as its requirements have no numbers. "Port Overlapping", "Port Parity" and "ICMP Query
//! Mappings Timeout" allow and bind to nothing; "Hairpinning" is RFC 5508 REQ-7.

use std::collections::BTreeSet;

use jackfield_nat::packet::{IcmpError, build};
use jackfield_nat::profile::{Profile, Requirement, Rfc};
use jackfield_nat::{Protocol, Verdict};

use crate::rig::*;

fn check(requirement: &'static str, check: fn(Profile) -> Outcome) {
    check_all(Requirement(Rfc::Rfc7857, requirement), Profile::ALL, check);
}

#[test]
fn tcp_session_tracking_tells_opening_open_and_closing_apart() {
    let mut rig = Rig::with(Profile::FULL_CONE, |config| {
        config.timers.tcp_opening = secs(30);
        config.timers.tcp_established = secs(1000);
        config.timers.tcp_closing = secs(60);
    });
    rig.tcp_out((A, 1), (C, 7), SYN).unwrap();
    let external = rig.tcp_out((A, 2), (C, 7), SYN).unwrap();
    rig.tcp_in((C, 7), external, SYN_ACK).unwrap();
    rig.wait(secs(31));
    assert_eq!(
        rig.nat.mapping_count(),
        1,
        "the opening one is gone, the open one is not"
    );
    rig.tcp_out((A, 2), (C, 7), FIN).unwrap();
    rig.tcp_in((C, 7), external, FIN).unwrap();
    rig.wait(secs(59));
    assert_eq!(rig.nat.mapping_count(), 1);
    rig.tcp_out((A, 2), (C, 7), ACK).unwrap();
    rig.wait(secs(2));
    assert_eq!(
        rig.nat.mapping_count(),
        0,
        "an ACK after both FINs keeps nothing"
    );
}

#[test]
fn tcp_rst_is_translated_and_leaves_the_session_for_four_minutes() {
    check("TCP RST", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.tcp_out((A, 5000), (C, 7), SYN).ok_or("no mapping")?;
        rig.tcp_in((C, 7), external, SYN_ACK);
        rig.tcp_out((A, 5000), (C, 7), ACK);
        ensure!(rig.tcp_in((C, 7), external, RST).is_some(), "RST dropped");
        rig.wait(secs(239));
        let arrived = rig.tcp_in((C, 7), external, ACK);
        ensure!(
            arrived == Some(at(A, 5000)),
            "forgotten within four minutes"
        );
        Ok(())
    });
}

#[test]
fn outbound_errors_and_resets_refresh_nothing() {
    let mut rig = Rig::new(Profile::FULL_CONE);
    let external = rig.udp_out((A, 5000), (C, 7)).unwrap();
    let before = rig.nat.mappings().next().unwrap().expires;
    rig.wait(secs(100));
    let mut received = build::udp(at(C, 7), external, DATA);
    assert_eq!(rig.inbound(&mut received), Verdict::Forward);
    let mut error = IcmpError::PortUnreachable
        .about(ip(A).into(), &received)
        .unwrap();
    assert_eq!(rig.outbound(&mut error), Verdict::Forward);
    assert_eq!(rig.nat.mappings().next().unwrap().expires, before);

    let external = rig.tcp_out((A, 5001), (C, 7), SYN).unwrap();
    rig.wait(secs(200));
    rig.tcp_out((A, 5001), (C, 7), RST).unwrap();
    rig.wait(secs(41));
    assert_eq!(rig.tcp_in((C, 7), external, SYN_ACK), None);
}

#[test]
fn eif_mappings_are_not_kept_alive_by_strangers() {
    let mut rig = Rig::new(Profile::FULL_CONE);
    let external = rig.udp_out((A, 5000), (C, 7)).unwrap();
    for _ in 0..29 {
        rig.wait(secs(10));
        assert!(rig.udp_in((D, 9), external).is_some());
    }
    rig.wait(secs(10));
    assert_eq!(rig.udp_in((D, 9), external), None);
}

#[test]
fn port_randomization_is_the_default() {
    let mut rig = Rig::new(Profile::FULL_CONE);
    let ports: BTreeSet<_> = (0..50)
        .filter_map(|n| rig.udp_out((A, 5000 + n), (C, 7)))
        .map(|external| external.port() / 1024)
        .collect();
    assert!(ports.len() > 20, "{ports:?}");
}

#[test]
fn ip_identifications_of_two_hosts_do_not_clash() {
    check("IP identification", |profile| {
        let mut rig = Rig::with_one_address(profile);
        let mut ids = BTreeSet::new();
        for host in [A, B, A, B] {
            let mut bytes = build::udp(at(host, 5000), at(C, 7), DATA);
            ensure!(rig.outbound(&mut bytes) == Verdict::Forward, "no mapping");
            ensure!(
                ids.insert(bytes[4..6].to_vec()),
                "the same identification twice"
            );
        }
        Ok(())
    });
}

#[test]
fn a_flow_from_a_stranger_counts_against_the_host() {
    let mut rig = Rig::with(Profile::FULL_CONE, |config| {
        config.limits.flows_per_host = 10;
    });
    let external = rig.udp_out((A, 5000), (C, 7)).unwrap();
    let in_all = (0..30).filter_map(|n| rig.udp_in((D, 100 + n), external));
    assert_eq!(in_all.count(), 9);
    assert_eq!(
        rig.nat
            .mappings()
            .filter(|it| it.protocol == Protocol::Udp)
            .count(),
        1
    );
}

#[test]
fn eim_and_eif_of_one_protocol_are_nothing_to_another() {
    let mut rig = Rig::new(Profile::FULL_CONE);
    let udp = rig.udp_out((A, 5000), (C, 7)).unwrap();
    assert_eq!(rig.tcp_in((D, 9), udp, SYN), None);
    assert_eq!(rig.pong_in(C, udp), None);
    let tcp = rig.tcp_out((A, 5000), (C, 7), SYN).unwrap();
    assert_eq!(rig.nat.mapping_count(), 2);
    assert_eq!(rig.udp_in((D, 9), tcp), None);
}

#[test]
fn address_pooling_paired_holds_for_all_protocols_of_a_host() {
    for profile in Profile::ALL {
        if profile.deviates(Requirement(Rfc::Rfc4787, "REQ-2")) {
            continue;
        }
        let mut rig = Rig::new(*profile);
        for host in [A, B] {
            let udp = rig.udp_out((host, 5000), (C, 7)).unwrap().ip();
            let tcp = rig.tcp_out((host, 5000), (D, 7), SYN).unwrap().ip();
            let icmp = rig.ping_out(host, C, 7).unwrap().ip();
            assert_eq!((tcp, icmp), (udp, udp), "{profile}");
        }
    }
}

#[test]
fn tcp_transitory_timers_are_four_minutes_and_apart() {
    for profile in Profile::ALL {
        let timers = Rig::new(*profile).nat.config().timers.clone();
        let short = [timers.tcp_opening, timers.tcp_closing]
            .iter()
            .any(|timer| *timer < secs(240));
        let deviates = profile.deviates(Requirement(Rfc::Rfc5382, "REQ-5"));
        assert!(!short || deviates, "{profile}");
    }
}
