//! RFC 5382: TCP.

use std::collections::BTreeSet;

use jackfield_nat::packet::{IcmpError, build};
use jackfield_nat::profile::{Profile, Requirement, Rfc};
use jackfield_nat::{Forward, Protocol, Side, Verdict};

use crate::rig::*;

fn check(requirement: &'static str, check: fn(Profile) -> Outcome) {
    check_all(Requirement(Rfc::Rfc5382, requirement), Profile::ALL, check);
}

#[test]
fn req_1_mapping_is_endpoint_independent() {
    check("REQ-1", |profile| {
        let mut rig = Rig::with_one_address(profile);
        rig.tcp_out((B, 5000), (D, 9), SYN).ok_or("B got nothing")?;
        let first = rig.tcp_out((A, 5000), (C, 7), SYN).ok_or("no mapping")?;
        for to in [at(C, 8), at(D, 7), at(D, 9)] {
            let next = rig.tcp_out((A, 5000), to, SYN).ok_or("no mapping")?;
            ensure!(next == first, "{next} to {to}, {first} before");
        }
        Ok(())
    });
}

#[test]
fn req_2_both_kinds_of_open_and_close_are_followed() {
    check("REQ-2", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.tcp_out((A, 5000), (C, 7), SYN).ok_or("no mapping")?;
        ensure!(rig.tcp_in((C, 7), external, SYN_ACK).is_some(), "SYN+ACK");
        ensure!(rig.tcp_out((A, 5000), (C, 7), ACK).is_some(), "ACK");
        ensure!(rig.tcp_in((C, 7), external, FIN).is_some(), "FIN in");
        ensure!(rig.tcp_out((A, 5000), (C, 7), ACK).is_some(), "ACK of FIN");
        ensure!(rig.tcp_out((A, 5000), (C, 7), FIN).is_some(), "FIN out");
        ensure!(rig.tcp_in((C, 7), external, ACK).is_some(), "last ACK");
        // REQ-2a: simultaneous open.
        let external = rig.tcp_out((A, 5001), (C, 8), SYN).ok_or("no mapping")?;
        ensure!(rig.tcp_in((C, 8), external, SYN).is_some(), "SYN in");
        ensure!(
            rig.tcp_out((A, 5001), (C, 8), SYN_ACK).is_some(),
            "SYN+ACK out"
        );
        ensure!(
            rig.tcp_in((C, 8), external, SYN_ACK).is_some(),
            "SYN+ACK in"
        );
        Ok(())
    });
}

#[test]
fn req_3_filtering_is_not_stricter_than_by_address() {
    check("REQ-3", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.tcp_out((A, 5000), (C, 7), SYN).ok_or("no mapping")?;
        let arrived = rig.tcp_in((C, 8), external, SYN);
        ensure!(
            arrived.is_some(),
            "another port of the same address is filtered"
        );
        Ok(())
    });
}

#[test]
fn req_4_an_unsolicited_syn_is_refused_after_six_seconds_and_not_before() {
    check("REQ-4", |profile| {
        let mut rig = Rig::new(profile);
        let mut syn = build::tcp(at(C, 7), at(EXTERNALS[0], 4444), SYN, b"");
        let _ = rig.inbound(&mut syn);
        ensure!(rig.sent.is_empty(), "answered at once");
        rig.wait(secs(6) - std::time::Duration::from_millis(1));
        ensure!(rig.sent.is_empty(), "answered within six seconds");
        rig.wait(secs(4));
        let error = rig.sent.first().ok_or("never answered")?;
        ensure!(error.side == Side::Outside, "answered inside");
        ensure!(error.bytes[20..22] == [3, 3], "not «port unreachable»");
        Ok(())
    });
}

#[test]
fn req_4_a_syn_from_inside_silences_the_refusal() {
    let mut rig = Rig::new(Profile::PORT_RESTRICTED_CONE);
    let external = rig.tcp_out((A, 5000), (D, 1), SYN).unwrap();
    assert_eq!(rig.tcp_in((C, 7), external, SYN), None);
    rig.wait(secs(3));
    assert_eq!(rig.tcp_out((A, 5000), (C, 7), SYN), Some(external));
    rig.wait(secs(30));
    assert_eq!(rig.sent, []);
    assert_eq!(rig.tcp_in((C, 7), external, SYN), Some(at(A, 5000)));
}

#[test]
fn req_5_connections_may_idle_for_two_hours_and_openings_for_four_minutes() {
    check("REQ-5", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.tcp_out((A, 5000), (C, 7), SYN).ok_or("no mapping")?;
        rig.wait(secs(4 * 60 - 1));
        ensure!(
            rig.tcp_in((C, 7), external, SYN_ACK).is_some(),
            "opening connection forgotten within four minutes"
        );
        rig.tcp_out((A, 5000), (C, 7), ACK);
        rig.wait(secs(2 * 3600 + 4 * 60 - 1));
        ensure!(
            rig.tcp_in((C, 7), external, ACK).is_some(),
            "open connection forgotten within two hours four minutes"
        );
        Ok(())
    });
}

#[test]
fn req_6_payloads_are_left_alone() {
    check("REQ-6", |profile| {
        let mut rig = Rig::new(profile);
        let inside = [0x01, 192, 168, 1, 10, 0x13, 0x88];
        let mut bytes = build::tcp(at(A, 5000), at(C, 7), SYN, &inside);
        ensure!(
            rig.outbound(&mut bytes) == Verdict::Forward,
            "not forwarded"
        );
        ensure!(bytes.ends_with(&inside), "the payload changed");
        Ok(())
    });
}

#[test]
fn req_7_no_two_hosts_share_an_external_port() {
    check("REQ-7", |profile| {
        let mut rig = Rig::with_one_address(profile);
        let mut seen = BTreeSet::new();
        for host in 20..36 {
            for port in 0..100 {
                let from = at(&format!("192.168.1.{host}"), 5000 + port);
                let to = at(D, 1000 + host * 100 + port);
                if let Some(external) = rig.tcp_out(from, to, SYN) {
                    ensure!(seen.insert(external), "{external} is given out twice");
                }
            }
        }
        Ok(())
    });
}

#[test]
fn req_8_connections_to_an_external_address_come_back_in() {
    check("REQ-8", |profile| {
        let mut rig = Rig::new(profile);
        let forward = Forward {
            protocol: Protocol::Tcp,
            external: endpoint(EXTERNALS[0], 7777),
            internal: rig.inside(B, 9000),
        };
        rig.nat
            .add_forward(rig.now, forward)
            .map_err(|e| e.to_string())?;
        let mut syn = build::tcp(at(A, 5000), at(EXTERNALS[0], 7777), SYN, b"");
        let verdict = rig.outbound(&mut syn);
        ensure!(verdict == Verdict::Hairpin, "{verdict}");
        ensure!(source(&syn).ip() != ip(A), "came from {}", source(&syn));
        let mut answer = build::tcp(at(B, 9000), source(&syn), SYN_ACK, b"");
        let verdict = rig.outbound(&mut answer);
        ensure!(verdict == Verdict::Hairpin, "the answer: {verdict}");
        ensure!(
            destination(&answer) == at(A, 5000),
            "the answer went elsewhere"
        );
        Ok(())
    });
}

#[test]
fn req_9_unreachable_messages_are_translated() {
    check("REQ-9", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.tcp_out((A, 5000), (C, 7), SYN).ok_or("no mapping")?;
        let about = build::tcp(external, at(C, 7), SYN, b"");
        let mut bytes = IcmpError::PortUnreachable
            .about(ip(C).into(), &about)
            .unwrap();
        let verdict = rig.inbound(&mut bytes);
        ensure!(verdict == Verdict::Forward, "{verdict}");
        ensure!(
            source(&bytes[28..]) == at(A, 5000),
            "quotes {}",
            source(&bytes[28..])
        );
        Ok(())
    });
}

#[test]
fn req_10_icmp_ends_no_connection() {
    check("REQ-10", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.tcp_out((A, 5000), (C, 7), SYN).ok_or("no mapping")?;
        for error in [IcmpError::PortUnreachable, IcmpError::Prohibited] {
            let about = build::tcp(external, at(C, 7), SYN, b"");
            let mut bytes = error.about(ip(C).into(), &about).unwrap();
            let _ = rig.inbound(&mut bytes);
        }
        let arrived = rig.tcp_in((C, 7), external, SYN_ACK);
        ensure!(arrived == Some(at(A, 5000)), "the connection is gone");
        Ok(())
    });
}
