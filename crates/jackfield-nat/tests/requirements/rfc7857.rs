//! RFC 7857, by its headings, as its requirements have no numbers.

use std::collections::BTreeSet;

use jackfield_nat::packet::{IcmpError, TcpFlags, build};
use jackfield_nat::profile::{Profile, Requirement, Rfc};
use jackfield_nat::{Assignment, Filtering, Protocol, Refresh, Side, Verdict};

use crate::rig::*;

fn check(requirement: &'static str, check: fn(Profile) -> Outcome) {
    check_all(Requirement(Rfc::Rfc7857, requirement), Profile::ALL, check);
}

//= https://www.rfc-editor.org/rfc/rfc7857#section-2.1
//# This document clarifies that a NAT SHOULD provide different configurable parameters for
//# configuring the open and closing idle timeouts.
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

//= https://www.rfc-editor.org/rfc/rfc7857#section-2
//# The TCP state machine depicted in Figure 1, adapted from [RFC6146], SHOULD be implemented
//# by a NAT for TCP session tracking purposes.
#[test]
fn tcp_session_tracking_follows_the_figure() {
    let lifetimes = |flags: &[(Side, TcpFlags)]| {
        let mut rig = Rig::with(Profile::FULL_CONE, |config| {
            config.timers.tcp_opening = secs(10);
            config.timers.tcp_established = secs(1000);
            config.timers.tcp_closing = secs(100);
            config.timers.tcp_reset = secs(50);
        });
        let external = at(EXTERNALS[0], 0);
        let mut external = external;
        for (from, flags) in flags {
            match from {
                Side::Inside => external = rig.tcp_out((A, 2), (C, 7), *flags).unwrap(),
                Side::Outside => {
                    rig.tcp_in((C, 7), external, *flags).unwrap();
                }
            }
        }
        let start = rig.now;
        while rig.nat.mapping_count() > 0 {
            let next = rig.nat.next_timeout().unwrap();
            rig.wait(next - rig.now);
        }
        (rig.now - start).as_secs()
    };
    let (client, server) = (Side::Inside, Side::Outside);
    let open = [(client, SYN), (server, SYN_ACK)];
    let and = |more: &[(Side, TcpFlags)]| lifetimes(&[&open, more].concat());
    assert_eq!(lifetimes(&[(client, SYN)]), 10, "INIT");
    assert_eq!(and(&[]), 1000, "ESTABLISHED by the server's SYN");
    for (one, other) in [(client, server), (server, client)] {
        assert_eq!(and(&[(one, FIN)]), 1000, "FIN of one");
        assert_eq!(and(&[(one, FIN), (other, FIN)]), 100, "FINs of both");
        assert_eq!(and(&[(one, FIN), (one, FIN)]), 1000, "FIN again");
        assert_eq!(and(&[(one, RST)]), 50, "TRANS by RST");
        assert_eq!(and(&[(one, RST), (other, ACK)]), 1000, "data after RST");
    }
}

//= https://www.rfc-editor.org/rfc/rfc7857#section-2.2
//# Concretely, when the NAT receives a TCP RST matching an existing mapping, it MUST
//# translate the packet according to the NAT mapping entry. Moreover, the NAT SHOULD wait for
//# 4 minutes before deleting the session and removing any state associated with it if no
//# packets are received during that 4-minute timeout.
#[test]
fn tcp_rst_is_translated_and_leaves_the_session_for_four_minutes() {
    check("TCP RST", |profile| {
        for from in [Side::Inside, Side::Outside] {
            let mut rig = Rig::new(profile);
            let external = rig.tcp_out((A, 5000), (C, 7), SYN).ok_or("no mapping")?;
            rig.tcp_in((C, 7), external, SYN_ACK);
            rig.tcp_out((A, 5000), (C, 7), ACK);
            let passed = match from {
                Side::Inside => rig.tcp_out((A, 5000), (C, 7), RST),
                Side::Outside => rig.tcp_in((C, 7), external, RST),
            };
            ensure!(passed.is_some(), "RST from {from:?} dropped");
            rig.wait(secs(239));
            let arrived = rig.tcp_in((C, 7), external, ACK);
            ensure!(
                arrived == Some(at(A, 5000)),
                "forgotten within four minutes"
            );
        }
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc7857#section-3
//# This document clarifies that this port overlapping behavior may be extended to connections
//# originating from different internal source IP addresses and ports as long as their
//# destinations are different.
#[test]
fn port_overlapping_is_for_different_destinations() {
    for profile in Profile::ALL {
        if profile.deviates(Requirement(Rfc::Rfc4787, "REQ-3")) {
            continue;
        }
        let mut rig = Rig::with_one_address(*profile);
        let mut seen = BTreeSet::new();
        for host in 20..40 {
            let from = at(&format!("192.168.1.{host}"), 5000);
            for to in [at(C, 7), at(C, 8), at(D, 7)] {
                if let Some(external) = rig.udp_out(from, to) {
                    assert!(seen.insert((external, to)), "{profile}: {external}, {to}");
                }
            }
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc7857#section-4
//# This document clarifies that if APP is enabled, new sessions from a host that already has
//# a mapping associated with an external IP that ran out of ports SHOULD be dropped.
#[test]
fn address_pooling_paired_drops_what_the_hosts_address_has_no_port_for() {
    for profile in Profile::ALL {
        if profile.deviates(Requirement(Rfc::Rfc4787, "REQ-2")) {
            continue;
        }
        // A NAT that gives a port out twice never runs out of them, nor does connection tracking,
        // which has one port for as many destinations as there are.
        let overloads = profile.deviates(Requirement(Rfc::Rfc4787, "REQ-3"));
        if overloads || Rig::new(*profile).nat.config().conntrack.is_some() {
            continue;
        }
        let mut rig = Rig::with(*profile, |config| {
            config.one_to_one.clear();
            config.ports.range = 2000..=2007;
            config.ports.parity = false;
            config.limits.evict_unanswered = false;
            if let Assignment::Block { size } = &mut config.ports.assignment {
                *size = 8;
            }
        });
        let udp = (0..8).map(|n| rig.udp_out((A, 2000 + n), (C, 7)));
        let udp: BTreeSet<_> = udp.map(|external| external.unwrap().ip()).collect();
        let tcp = (0..8).map(|n| rig.tcp_out((A, 2000 + n), (C, 7), SYN));
        let tcp: BTreeSet<_> = tcp.map(|external| external.unwrap().ip()).collect();
        assert_eq!((udp.len(), &udp), (1, &tcp), "{profile}");
        assert_eq!(rig.udp_out((A, 2008), (C, 7)), None, "{profile}");
        assert_eq!(rig.tcp_out((A, 2008), (C, 7), SYN), None, "{profile}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc7857#section-7.1
//# In the case of NAT outbound refresh behavior, ICMP Errors or TCP RST outbound packets sent
//# as a response to inbound packets SHOULD NOT refresh the mapping.
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

//= https://www.rfc-editor.org/rfc/rfc7857#section-7
//# This document clarifies that even when a NAT has an inbound refresh behavior set to
//# "TRUE", such packets SHOULD NOT refresh the mapping. Otherwise, a simple attack of a
//# packet every two minutes can keep the mapping indefinitely.
#[test]
fn eif_mappings_are_not_refreshed_by_what_starts_no_session() {
    let mut rig = Rig::with(Profile::FULL_CONE, |config| {
        config.refresh = Refresh::Both;
        config.limits.inbound_flows_per_host = 0;
    });
    let external = rig.udp_out((A, 5000), (C, 7)).unwrap();
    let tcp = rig.tcp_out((A, 5000), (C, 7), SYN).unwrap();
    let expires = |rig: &Rig| -> Vec<_> { rig.nat.mappings().map(|it| it.expires).collect() };
    let before = expires(&rig);
    rig.wait(secs(100));
    assert_eq!(rig.udp_in((D, 9), external), None);
    assert_eq!(rig.tcp_in((D, 9), tcp, SYN), None);
    assert_eq!(expires(&rig), before);
    rig.wait(secs(140));
    assert_eq!(rig.tcp_in((C, 7), tcp, SYN_ACK), None, "TCP was refreshed");
}

//= https://www.rfc-editor.org/rfc/rfc7857#section-8
//# A NAT MAY disable port parity preservation for all dynamic mappings. Nevertheless, A NAT
//# SHOULD support means to explicitly request to preserve port parity (e.g., [RFC7753]).
#[test]
fn port_parity_can_be_given_up_and_asked_for() {
    for parity in [false, true] {
        let mut rig = Rig::with_one_address(Profile::FULL_CONE);
        let mut config = rig.nat.config().clone();
        config.ports.parity = parity;
        rig.nat.reconfigure(config);
        let kept = (0..20).filter(|n| {
            let external = rig.udp_out((A, 5000 + n), (C, 7)).unwrap();
            external.port() % 2 == n % 2
        });
        assert_eq!(kept.count() == 20, parity);
    }
}

//= https://www.rfc-editor.org/rfc/rfc7857#section-9
//# A NAPT that does implement port preservation SHOULD obfuscate the ephemeral port of a
//# packet only if the port must be changed as a result of the port being already in use for
//# some other session.
//= https://www.rfc-editor.org/rfc/rfc7857#section-9
//# A NAPT that performs parity preservation and that must change the ephemeral port during
//# translation of a packet SHOULD obfuscate the ephemeral ports.
#[test]
fn port_randomization_makes_changed_ports_hard_to_guess() {
    check("Port randomization", |profile| {
        let mut rig = Rig::with_one_address(profile);
        let ports: Vec<_> = (20..60)
            .filter_map(|host| rig.udp_out((&*format!("192.168.1.{host}"), 6000), (C, 7)))
            .map(|external| external.port())
            .filter(|port| *port != 6000)
            .collect();
        let steps: BTreeSet<_> = ports
            .windows(2)
            .map(|it| it[1].wrapping_sub(it[0]))
            .collect();
        ensure!(
            ports.len() < 2 || steps.len() > 20,
            "ports come in sequence: {ports:?}"
        );
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc7857#section-9
//# A NAPT that does not implement port preservation [RFC4787] [RFC5382] SHOULD obfuscate
//# selection of the ephemeral port of a packet when it is changed during translation of that
//# packet.
#[test]
fn port_randomization_is_the_default() {
    let mut rig = Rig::new(Profile::FULL_CONE);
    let ports: BTreeSet<_> = (0..50)
        .filter_map(|n| rig.udp_out((A, 5000 + n), (C, 7)))
        .map(|external| external.port() / 1024)
        .collect();
    assert!(ports.len() > 20, "{ports:?}");
}

//= https://www.rfc-editor.org/rfc/rfc7857#section-10
//# A NAT SHOULD handle the Identification field of translated IPv4 packets as specified in
//# Section 5.3.1 of [RFC6864].
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
fn ip_identifications_of_hairpinned_packets_do_not_clash() {
    let mut rig = Rig::with_one_address(Profile::FULL_CONE);
    let third = at("192.168.1.12", 5000);
    let external = rig.udp_out(third, (C, 7)).unwrap();
    let mut ids = BTreeSet::new();
    for host in [A, B, A, B] {
        let mut bytes = build::udp(at(host, 5000), external, DATA);
        assert_eq!(rig.outbound(&mut bytes), Verdict::Hairpin);
        assert!(ids.insert(bytes[4..6].to_vec()), "twice");
    }
}

//= https://www.rfc-editor.org/rfc/rfc7857#section-11
//# ICMP Query mappings MAY be deleted once the last session using the mapping is deleted.
#[test]
fn icmp_query_mappings_end_with_their_last_session() {
    let mut rig = Rig::new(Profile::FULL_CONE);
    rig.ping_out(A, C, 7).unwrap();
    rig.wait(secs(30));
    rig.ping_out(A, D, 7).unwrap();
    rig.wait(secs(59));
    assert_eq!((rig.nat.flow_count(), rig.nat.mapping_count()), (1, 1));
    rig.wait(secs(1));
    assert_eq!((rig.nat.flow_count(), rig.nat.mapping_count()), (0, 0));
}

//= https://www.rfc-editor.org/rfc/rfc7857#section-12
//# This implicitly means that address mappings from external address to internal address
//# (similar to Endpoint-
//# Independent Filters) must be maintained to allow inbound ICMP Query sessions. If an ICMP
//# Query is received on an external address, a NAT can then translate to an internal IP.
#[test]
fn hairpinning_for_icmp_lets_queries_in_at_an_address_that_is_one_hosts() {
    for filtering in Filtering::ALL {
        let mut rig = Rig::with(Profile::FULL_CONE, |config| {
            config.icmp_filtering = filtering;
            config.one_to_one = vec![(ip(A), ip("203.0.113.10"))];
        });
        let mut ping = build::echo(ip(C), ip("203.0.113.10"), 7, 1, false, DATA);
        let enters = rig.inbound(&mut ping) == Verdict::Forward;
        assert_eq!(enters, filtering == Filtering::EndpointIndependent);
        if enters {
            assert_eq!(destination(&ping), at(A, 7));
            let mut pong = build::echo(ip(A), ip(C), 7, 1, true, DATA);
            assert_eq!(rig.outbound(&mut pong), Verdict::Forward);
            assert_eq!(source(&pong), at("203.0.113.10", 7));
        }
        // At an address that hosts share, the query names none of them.
        let mut ping = build::echo(ip(C), ip(EXTERNALS[0]), 7, 1, false, DATA);
        assert!(matches!(rig.inbound(&mut ping), Verdict::Drop(_)));
    }
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

//= https://www.rfc-editor.org/rfc/rfc7857#section-5
//# EIM mappings SHOULD be protocol dependent.
//= https://www.rfc-editor.org/rfc/rfc7857#section-6
//# EIF filtering SHOULD be protocol dependent.
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

//= https://www.rfc-editor.org/rfc/rfc7857#section-4
//# This behavior SHOULD apply also for TCP.
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

//= https://www.rfc-editor.org/rfc/rfc7857#section-2.1
//# However, a minimum default transitory connection idle-timeout of 4 minutes is RECOMMENDED.
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
