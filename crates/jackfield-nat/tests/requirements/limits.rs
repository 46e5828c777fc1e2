//! Timers, limits and the rarer ways to choose a port, one by one.

use jackfield_nat::packet::{TcpFlags, build};
use jackfield_nat::profile::Profile;
use jackfield_nat::{
    Assignment, Behaviour, DropReason, Filtering, Forward, ForwardError, HoldReason, Mapping,
    NatConfig, Protocol, UnsolicitedSyn, Verdict,
};

use crate::rig::*;

#[test]
fn no_two_hosts_draw_from_one_block() {
    let mut rig = one(|config| {
        config.ports.assignment = Assignment::Block { size: 4 };
        config.ports.range = 1024..=1031;
        config.ports.parity = false;
    });
    let mut block = |host: &str| {
        let ports = (0..4).map(|n| rig.udp_out((host, 5000 + n), (C, 7)).unwrap().port());
        let blocks: Vec<u16> = ports.map(|port| (port - 1024) / 4).collect();
        assert!(blocks.iter().all(|it| *it == blocks[0]), "{blocks:?}");
        blocks[0]
    };
    assert_ne!(block(A), block(B));
    assert_eq!(rig.udp_out((A, 6000), (C, 7)), None);
    assert_eq!(rig.udp_out(("192.168.1.12", 5000), (C, 7)), None);
}

//= https://www.rfc-editor.org/rfc/rfc4787#section-4.3
//# a) For specific destination ports in the well-known port range (ports 0-1023), a NAT MAY
//# have shorter UDP mapping timers that are specific to the IANA-registered application
//# running over that specific destination port.
#[test]
fn a_mapping_to_a_well_known_port_has_a_time_of_its_own() {
    let mut rig = one(|config| config.timers.udp_well_known = Some(secs(20)));
    rig.udp_out((A, 5000), (C, 53)).unwrap();
    rig.udp_out((B, 5000), (C, 5353)).unwrap();
    rig.wait(secs(19));
    assert_eq!(rig.nat.mapping_count(), 2);
    rig.wait(secs(1));
    assert_eq!(rig.nat.mapping_count(), 1);
    rig.wait(secs(280));
    assert_eq!(rig.nat.mapping_count(), 0);
}

#[test]
fn a_permission_may_end_before_its_mapping_whose_time_counts_from_the_last_packet() {
    let mut rig = one(|config| {
        config.timers.udp_filter = secs(60);
        config.udp.filtering = Filtering::AddressDependent;
    });
    let external = rig.udp_out((A, 5000), (C, 7)).unwrap();
    rig.wait(secs(50));
    rig.udp_out((A, 5000), (C, 7)).unwrap();
    rig.wait(secs(59));
    assert_eq!(rig.udp_in((C, 8), external), Some(at(A, 5000)));
    rig.wait(secs(1));
    assert_eq!(rig.udp_in((C, 7), external), None);
    rig.wait(secs(239));
    assert_eq!(rig.nat.mapping_count(), 1);
    rig.wait(secs(1));
    assert_eq!(rig.nat.mapping_count(), 0);
}

#[test]
fn so_many_unsolicited_syns_wait_and_no_more() {
    let mut rig = one(|config| {
        config.tcp.filtering = Filtering::AddressDependent;
        config.limits.held_syns = 2;
    });
    let verdicts: Vec<Verdict> = (0..3)
        .map(|n| {
            let mut syn = build::tcp(at(C, 7 + n), at(EXTERNALS[0], 5000), SYN, b"");
            rig.inbound(&mut syn)
        })
        .collect();
    let held = Verdict::Hold(HoldReason::UnsolicitedSyn);
    assert_eq!(verdicts, [held, held, Verdict::Drop(DropReason::NoMapping)]);
    rig.wait(secs(6));
    assert_eq!(rig.sent.len(), 2);
}

#[test]
fn an_unsolicited_syn_may_be_refused_at_once() {
    let mut rig = one(|config| config.unsolicited_syn = UnsolicitedSyn::Refuse);
    let mut syn = build::tcp(at(C, 7), at(EXTERNALS[0], 5000), SYN, b"");
    let refused = Verdict::Drop(DropReason::TcpUnsolicited);
    assert_eq!(rig.inbound(&mut syn), refused);
    assert_eq!(rig.sent.len(), 1);
}

#[test]
fn so_many_errors_are_sent_in_a_second_and_no_more() {
    let mut rig = one(|config| {
        config.limits.errors_per_second = 3;
        config.limits.errors_per_host = 100;
    });
    let mut errors = || {
        let sent = (0..10).map(|_| {
            let mut old = build::udp(at(A, 5000), at(C, 7), DATA);
            old[8] = 1;
            fix_ip_checksum(&mut old);
            assert_eq!(
                rig.outbound(&mut old),
                Verdict::Drop(DropReason::TtlExpired)
            );
            rig.sent.len()
        });
        let sent: usize = sent.sum();
        rig.wait(secs(1));
        sent
    };
    assert_eq!((errors(), errors()), (3, 3));
    assert_eq!(rig.nat.counters().errors_suppressed, 14);
}

#[test]
fn forwards_count_against_the_host() {
    let mut rig = one(|config| config.limits.mappings_per_host = 2);
    let mut forward = |host: &str, port| {
        let forward = Forward {
            protocol: Protocol::Udp,
            internal: endpoint(host, port),
            external: endpoint(EXTERNALS[0], port),
        };
        rig.nat.add_forward(rig.now, forward)
    };
    assert_eq!((forward(A, 1), forward(A, 2)), (Ok(()), Ok(())));
    assert_eq!(forward(A, 3), Err(ForwardError::HostMappings));
    assert_eq!(forward(B, 3), Ok(()));
}

#[test]
fn an_ipv6_host_is_its_64_bit_prefix() {
    let mut rig = Rig::with(Profile::FULL_CONE, |config| {
        config.externals = vec![ip("2001:db8:ffff::1")];
        config.limits.mappings_per_host = 2;
    });
    let mut out = |host: &str| rig.udp_out((host, 5000), ("2001:db8:9::1", 7)).is_some();
    assert!(out("fd00::1") && out("fd00::2"));
    assert!(!out("fd00::3"));
    assert!(out("fd00:0:0:1::3"));
}

#[test]
fn an_answer_to_no_query_opens_nothing() {
    let mut rig = one(|_| {});
    let mut reply = build::echo(ip(A), ip(C), 7, 1, true, DATA);
    let verdict = rig.outbound(&mut reply);
    assert_eq!(verdict, Verdict::Drop(DropReason::NoMapping));
    assert_eq!(rig.nat.mapping_count(), 0);
}

#[test]
fn a_loose_nat_takes_up_connections_but_not_resets() {
    let mut rig = one(|config| config.tcp_loose = true);
    for flags in [RST, TcpFlags(TcpFlags::RST | TcpFlags::ACK)] {
        assert_eq!(rig.tcp_out((A, 5000), (C, 7), flags), None);
    }
    assert!(rig.tcp_out((A, 5000), (C, 7), ACK).is_some());
}

#[test]
fn an_overlapping_port_is_shared_only_between_destinations() {
    let mut rig = one(|config| {
        config.udp = Behaviour {
            mapping: Mapping::AddressAndPortDependent,
            filtering: Filtering::AddressAndPortDependent,
        };
        config.ports.assignment = Assignment::Preserve;
        config.ports.overlap = true;
    });
    let mut port = |host, peer| rig.udp_out((host, 5000), (peer, 7)).unwrap().port();
    assert_eq!((port(A, C), port(B, D)), (5000, 5000));
    assert_ne!(port(B, C), 5000);
    let external = at(EXTERNALS[0], 5000);
    assert_eq!(rig.udp_in((C, 7), external), Some(at(A, 5000)));
    assert_eq!(rig.udp_in((D, 7), external), Some(at(B, 5000)));
}

#[test]
fn linux_keeps_the_port_that_a_clash_has_given() {
    let mut rig = Rig::with_one_address(Profile::LINUX);
    let mut port = |host, peer| rig.udp_out((host, 5000), (peer, 7)).unwrap().port();
    assert_eq!(port(A, C), 5000);
    let other = port(B, C);
    assert_ne!(other, 5000);
    assert_eq!(port(B, D), other);
}

/// A full cone NAT with one address.
fn one(change: impl FnOnce(&mut NatConfig)) -> Rig {
    Rig::with(Profile::FULL_CONE, |config| {
        config.externals.truncate(1);
        change(config);
    })
}
