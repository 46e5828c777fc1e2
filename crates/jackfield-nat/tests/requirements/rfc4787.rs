//! RFC 4787, requirement by requirement, for every profile.

use std::collections::BTreeSet;

use std::net::SocketAddr;

use jackfield_nat::packet::{Headers, IcmpError, build};
use jackfield_nat::profile::{Profile, Requirement, Rfc};
use jackfield_nat::{Forward, Hold, Protocol, Side, Verdict};

use crate::rig::*;

fn check(requirement: &'static str, check: fn(Profile) -> Outcome) {
    check_all(Requirement(Rfc::Rfc4787, requirement), Profile::ALL, check);
}

#[test]
fn req_1_mapping_is_endpoint_independent() {
    check("REQ-1", |profile| {
        let mut rig = Rig::with_one_address(profile);
        // Another host has the same port, towards one of the destinations.
        rig.udp_out((B, 5000), (D, 9)).ok_or("B got nothing")?;
        let first = rig.udp_out((A, 5000), (C, 7)).ok_or("no mapping")?;
        for to in [at(C, 8), at(D, 7), at(D, 9)] {
            let next = rig.udp_out((A, 5000), to).ok_or("no mapping")?;
            ensure!(next == first, "{next} to {to}, {first} before");
        }
        Ok(())
    });
}

#[test]
fn req_2_all_mappings_of_a_host_share_an_external_address() {
    check("REQ-2", |profile| {
        let mut rig = Rig::new(profile);
        let addresses: BTreeSet<_> = (0..32)
            .filter_map(|n| rig.udp_out((A, 5000 + n), (C, 7)))
            .map(|external| external.ip())
            .collect();
        ensure!(addresses.len() == 1, "{addresses:?}");
        Ok(())
    });
}

#[test]
fn req_3_no_two_hosts_share_an_external_port() {
    check("REQ-3", |profile| {
        let mut rig = Rig::with_one_address(profile);
        let mut seen = BTreeSet::new();
        for host in 20..36 {
            for port in 0..100 {
                let from = at(&format!("192.168.1.{host}"), 5000 + port);
                let to = at(D, 1000 + host * 100 + port);
                if let Some(external) = rig.udp_out(from, to) {
                    ensure!(seen.insert(external), "{external} is given out twice");
                }
            }
        }
        Ok(())
    });
}

#[test]
fn req_3a_ports_below_1024_stay_below_1024() {
    let mut rig = Rig::new(Profile::FULL_CONE);
    assert!(rig.udp_out((A, 123), (C, 123)).unwrap().port() < 1024);
    assert!(rig.udp_out((A, 1234), (C, 123)).unwrap().port() >= 1024);
}

#[test]
fn req_4_parity_is_kept() {
    check("REQ-4", |profile| {
        let mut rig = Rig::with_one_address(profile);
        for host in [A, B] {
            for port in (6000..6020).rev() {
                let external = rig.udp_out((host, port), (C, 7)).ok_or("no mapping")?;
                ensure!(external.port() % 2 == port % 2, "{port} became {external}");
            }
        }
        Ok(())
    });
}

#[test]
fn req_5_a_mapping_lives_for_two_minutes() {
    check("REQ-5", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.udp_out((A, 5000), (C, 7777)).ok_or("no mapping")?;
        rig.wait(secs(119));
        let arrived = rig.udp_in((C, 7777), external);
        ensure!(arrived == Some(at(A, 5000)), "gone after two minutes");
        // REQ-5c: five minutes or more are recommended.
        rig.udp_out((A, 5000), (C, 7777)).ok_or("no mapping")?;
        rig.wait(secs(299));
        let arrived = rig.udp_in((C, 7777), external);
        ensure!(arrived == Some(at(A, 5000)), "REQ-5c: gone after five");
        Ok(())
    });
}

#[test]
fn req_6_outbound_packets_refresh_a_mapping() {
    check("REQ-6", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.udp_out((A, 5000), (C, 7777)).ok_or("no mapping")?;
        for _ in 0..60 {
            rig.wait(secs(20));
            let again = rig.udp_out((A, 5000), (C, 7777)).ok_or("no mapping")?;
            ensure!(again == external, "{external} became {again}");
        }
        let arrived = rig.udp_in((C, 7777), external);
        ensure!(arrived == Some(at(A, 5000)), "gone although used");
        Ok(())
    });
}

#[test]
fn req_7_inside_and_outside_may_use_the_same_addresses() {
    check("REQ-7", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.udp_out((C, 5000), (C, 7)).ok_or("not forwarded")?;
        let arrived = rig.udp_in((C, 7), external);
        ensure!(
            arrived == Some(at(C, 5000)),
            "the answer went to {arrived:?}"
        );
        Ok(())
    });
}

#[test]
fn req_8_filtering_is_not_stricter_than_by_address() {
    check("REQ-8", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.udp_out((A, 5000), (C, 7777)).ok_or("no mapping")?;
        let arrived = rig.udp_in((C, 7778), external);
        ensure!(
            arrived.is_some(),
            "another port of the same address is filtered"
        );
        Ok(())
    });
}

#[test]
fn req_9_packets_to_an_external_address_come_back_in_from_an_external_source() {
    check("REQ-9", |profile| {
        let mut rig = Rig::new(profile);
        let forward = Forward {
            protocol: Protocol::Udp,
            external: endpoint(EXTERNALS[0], 7777),
            internal: rig.inside(B, 9000),
        };
        rig.nat
            .add_forward(rig.now, forward)
            .map_err(|e| e.to_string())?;
        let mut bytes = build::udp(at(A, 5000), at(EXTERNALS[0], 7777), DATA);
        let verdict = rig.outbound(&mut bytes);
        ensure!(verdict == Verdict::Hairpin, "{verdict}");
        ensure!(
            destination(&bytes) == at(B, 9000),
            "went to {}",
            destination(&bytes)
        );
        let shown = source(&bytes);
        ensure!(shown.ip() != ip(A), "REQ-9a: came from {shown}");
        let outside = rig
            .nat
            .mappings()
            .find(|it| it.internal == rig.inside(A, 5000));
        let outside = outside.ok_or("REQ-9a: no mapping")?.external;
        ensure!(
            shown == SocketAddr::from(outside),
            "REQ-9a: came from {shown}, not {outside}"
        );
        let mut answer = build::udp(at(B, 9000), source(&bytes), DATA);
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
fn req_10_payloads_are_left_alone() {
    check("REQ-10", |profile| {
        let mut rig = Rig::new(profile);
        let inside = [0x01, 192, 168, 1, 10, 0x13, 0x88];
        let mut bytes = build::udp(at(A, 5000), at(C, 7777), &inside);
        ensure!(
            rig.outbound(&mut bytes) == Verdict::Forward,
            "not forwarded"
        );
        ensure!(
            bytes.ends_with(&inside),
            "the payload changed on the way out"
        );
        Ok(())
    });
}

#[test]
fn req_11_behaviour_does_not_change_when_a_port_is_taken() {
    check("REQ-11", |profile| {
        let distinct = |taken: bool| {
            let mut rig = Rig::with_one_address(profile);
            if taken {
                rig.udp_out((B, 5000), (C, 7));
            }
            let to = [at(D, 7), at(D, 8), at(C, 7), at(C, 8)];
            let seen: BTreeSet<_> = to.iter().map(|to| rig.udp_out((A, 5000), *to)).collect();
            seen.len()
        };
        let (free, taken) = (distinct(false), distinct(true));
        ensure!(
            free == taken,
            "{free} external endpoints, {taken} when the port is taken"
        );
        Ok(())
    });
}

#[test]
fn req_12_icmp_is_translated_and_ends_no_mapping() {
    check("REQ-12", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.udp_out((A, 5000), (C, 7777)).ok_or("no mapping")?;
        let errors = [
            IcmpError::PortUnreachable,
            IcmpError::HostUnreachable,
            IcmpError::TimeExceeded,
        ];
        for error in errors {
            let about = build::udp(external, at(C, 7777), DATA);
            let mut bytes = error.about(ip(D).into(), &about).unwrap();
            let verdict = rig.inbound(&mut bytes);
            ensure!(verdict == Verdict::Forward, "{error:?}: {verdict}");
        }
        let arrived = rig.udp_in((C, 7777), external);
        ensure!(arrived == Some(at(A, 5000)), "the mapping is gone");
        ensure!(
            rig.udp_out((A, 5000), (C, 7777)) == Some(external),
            "another mapping"
        );
        Ok(())
    });
}

#[test]
fn req_13_a_packet_that_does_not_fit_is_refused_or_cut() {
    check("REQ-13", |profile| {
        let mut rig = Rig::with(profile, |config| config.mtu = Some(1400));
        let mut whole = build::udp(at(A, 5000), at(C, 7777), &[7; 1472]);
        whole[6] = 0x40; // DF
        fix_ip_checksum(&mut whole);
        let verdict = rig.outbound(&mut whole);
        ensure!(matches!(verdict, Verdict::Drop(_)), "{verdict}");
        let error = rig.sent.first().ok_or("REQ-13: no error")?;
        ensure!(error.side == Side::Inside, "the error went outside");
        ensure!(error.bytes[20..22] == [3, 4], "not «fragmentation needed»");
        ensure!(error.bytes[26..28] == 1400_u16.to_be_bytes(), "wrong MTU");
        if profile.deviates(Requirement(Rfc::Rfc4787, "REQ-14")) {
            return Ok(());
        }
        let mut cut = build::udp(at(A, 5000), at(C, 7777), &[7; 1472]);
        let verdict = rig.outbound(&mut cut);
        ensure!(
            verdict == Verdict::Held(Hold::Fragmented),
            "REQ-13a: {verdict}"
        );
        let mut offset = 0;
        for piece in &rig.sent {
            let headers = Headers::parse(&piece.bytes).unwrap();
            ensure!(
                headers.length <= 1400,
                "REQ-13a: a piece of {}",
                headers.length
            );
            let fragment = headers.fragment.ok_or("REQ-13a: a whole packet")?;
            ensure!(fragment.offset == offset, "REQ-13a: out of order");
            offset += headers.length - headers.transport_at;
        }
        ensure!(offset == 1480, "REQ-13a: {offset} bytes in all");
        Ok(())
    });
}

#[test]
fn req_14_fragments_pass_in_any_order() {
    check("REQ-14", |profile| {
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [1, 0, 2]] {
            let mut rig = Rig::new(profile);
            let pieces = fragments(at(A, 5000), at(C, 7777));
            let mut out = Vec::new();
            for index in order {
                let mut piece = pieces[index].clone();
                if rig.outbound(&mut piece) == Verdict::Forward {
                    out.push(piece);
                }
                out.extend(rig.sent.iter().map(|transmit| transmit.bytes.clone()));
            }
            ensure!(
                out.len() == 3,
                "{order:?}: {} fragments came out",
                out.len()
            );
            let ids: BTreeSet<_> = out.iter().map(|piece| piece[4..6].to_vec()).collect();
            ensure!(ids.len() == 1, "{order:?}: fragments of several datagrams");
            let sources: BTreeSet<_> = out.iter().map(|piece| piece[12..16].to_vec()).collect();
            ensure!(
                sources.len() == 1,
                "{order:?}: fragments from several sources"
            );
        }
        Ok(())
    });
}

#[test]
fn req_14a_a_flood_of_fragments_costs_whole_packets_nothing() {
    let mut rig = Rig::new(Profile::FULL_CONE);
    let later = &fragments(at(A, 5000), at(C, 7777))[1];
    for id in 0..5000_u16 {
        let mut piece = later.clone();
        piece[4..6].copy_from_slice(&id.to_be_bytes());
        fix_ip_checksum(&mut piece);
        let _ = rig.outbound(&mut piece);
    }
    assert!(rig.udp_out((B, 5000), (C, 7)).is_some());
    rig.wait(secs(60));
    let most = rig.nat.config().limits.datagrams_per_host as u64;
    assert_eq!(rig.nat.counters().fragments_expired, most);
    let mut pieces = fragments(at(A, 5000), at(C, 7777));
    assert_eq!(rig.outbound(&mut pieces[0]), Verdict::Forward);
    assert_eq!(rig.outbound(&mut pieces[1]), Verdict::Forward);
}
