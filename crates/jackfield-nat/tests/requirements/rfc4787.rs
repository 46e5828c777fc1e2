//! RFC 4787, requirement by requirement, for every profile.

use std::collections::BTreeSet;

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_nat::packet::{Headers, IcmpError, build};
use jackfield_nat::profile::{Profile, Requirement, Rfc};
use jackfield_nat::{Filtering, Forward, Fragments, HoldReason, Protocol, Refresh, Side, Verdict};

use crate::rig::*;

fn check(requirement: &'static str, check: fn(Profile) -> Outcome) {
    check_all(Requirement(Rfc::Rfc4787, requirement), Profile::ALL, check);
}

//= https://www.rfc-editor.org/rfc/rfc4787#section-4.1
//# REQ-1: A NAT MUST have an "Endpoint-Independent Mapping" behavior.
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

//= https://www.rfc-editor.org/rfc/rfc4787#section-4.1
//# REQ-2: It is RECOMMENDED that a NAT have an "IP address pooling" behavior of "Paired".
//# Note that this requirement is not applicable to NATs that do not support IP address
//# pooling.
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

// One port for several destinations is no overloading (RFC 7857 section 3): what counts is that
// two hosts reach the same one.
//= https://www.rfc-editor.org/rfc/rfc4787#section-4.2.1
//# REQ-3: A NAT MUST NOT have a "Port assignment" behavior of "Port overloading".
#[test]
fn req_3_two_hosts_with_one_port_reach_one_destination() {
    check("REQ-3", |profile| {
        let mut rig = Rig::with_one_address(profile);
        let mut seen = BTreeSet::new();
        for host in 20..36 {
            for port in 0..100 {
                let from = at(&format!("192.168.1.{host}"), 5000 + port);
                if let Some(external) = rig.udp_out(from, (D, 7)) {
                    ensure!(seen.insert(external), "{external} is given out twice");
                }
            }
        }
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc4787#section-4.2.1
//# a) If the host's source port was in the range 0-1023, it is RECOMMENDED the NAT's source
//# port be in the same range. If the host's source port was in the range 1024-65535, it is
//# RECOMMENDED that the NAT's source port be in that range.
#[test]
fn req_3a_ports_below_1024_stay_below_1024() {
    check("REQ-3a", |profile| {
        let mut rig = Rig::with_one_address(profile);
        for host in [A, B] {
            let low = rig.udp_out((host, 123), (C, 123)).ok_or("no mapping")?;
            ensure!(low.port() < 1024, "123 became {low}");
            let high = rig.udp_out((host, 1234), (C, 123)).ok_or("no mapping")?;
            ensure!(high.port() >= 1024, "1234 became {high}");
        }
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc4787#section-4.2.2
//# REQ-4: It is RECOMMENDED that a NAT have a "Port parity preservation" behavior of "Yes".
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

//= https://www.rfc-editor.org/rfc/rfc4787#section-4.3
//# REQ-5: A NAT UDP mapping timer MUST NOT expire in less than two minutes, unless REQ-5a
//# applies.
#[test]
fn req_5_a_mapping_lives_for_two_minutes() {
    check("REQ-5", |profile| outlives(profile, secs(120)));
}

//= https://www.rfc-editor.org/rfc/rfc4787#section-4.3
//# c) A default value of five minutes or more for the NAT UDP mapping timer is RECOMMENDED.
#[test]
fn req_5c_five_minutes_are_better() {
    check("REQ-5c", |profile| outlives(profile, secs(300)));
}

/// Checks that a mapping is there right before this time has passed, whether an answer came or
/// not.
fn outlives(profile: Profile, time: Duration) -> Outcome {
    for answered in [false, true] {
        let mut rig = Rig::new(profile);
        let external = rig.udp_out((A, 5000), (C, 7777)).ok_or("no mapping")?;
        if answered {
            rig.udp_in((C, 7777), external).ok_or("no answer")?;
        }
        rig.wait(time - Duration::from_millis(1));
        let arrived = rig.udp_in((C, 7777), external);
        ensure!(
            arrived == Some(at(A, 5000)),
            "gone within {time:?}, answered: {answered}"
        );
    }
    Ok(())
}

//= https://www.rfc-editor.org/rfc/rfc4787#section-4.3
//# b) The value of the NAT UDP mapping timer MAY be configurable.
#[test]
fn req_5b_the_timer_is_the_configs() {
    for time in [secs(130), secs(1000)] {
        let mut rig = Rig::with(Profile::FULL_CONE, |config| {
            (config.timers.udp, config.timers.udp_filter) = (time, time);
        });
        rig.udp_out((A, 5000), (C, 7)).unwrap();
        rig.wait(time - Duration::from_millis(1));
        assert_eq!(rig.nat.mapping_count(), 1);
        rig.wait(Duration::from_millis(1));
        assert_eq!(rig.nat.mapping_count(), 0);
    }
}

//= https://www.rfc-editor.org/rfc/rfc4787#section-4.3
//# REQ-6: The NAT mapping Refresh Direction MUST have a "NAT Outbound refresh behavior" of
//# "True".
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

//= https://www.rfc-editor.org/rfc/rfc4787#section-4.3
//# a) The NAT mapping Refresh Direction MAY have a "NAT Inbound refresh behavior" of "True".
#[test]
fn req_6a_inbound_packets_may_refresh_a_mapping_too() {
    for (refresh, lives) in [(Refresh::Outbound, false), (Refresh::Both, true)] {
        let mut rig = Rig::with(Profile::FULL_CONE, |config| config.refresh = refresh);
        let external = rig.udp_out((A, 5000), (C, 7777)).unwrap();
        for _ in 0..2 {
            rig.wait(secs(200));
            let _ = rig.udp_in((C, 7777), external);
        }
        assert_eq!(rig.nat.mapping_count() == 1, lives, "{refresh:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc4787#section-4.4
//# REQ-7: A NAT device whose external IP interface can be configured dynamically MUST either
//# (1) automatically ensure that its internal network uses IP addresses that do not conflict
//# with its external network, or (2) be able to translate and forward traffic between all
//# internal nodes and all external nodes whose IP addresses numerically conflict with the
//# internal network.
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

//= https://www.rfc-editor.org/rfc/rfc4787#section-5
//# REQ-8: If application transparency is most important, it is RECOMMENDED that a NAT have an
//# "Endpoint-Independent Filtering" behavior. If a more stringent filtering behavior is most
//# important, it is RECOMMENDED that a NAT have an "Address-Dependent Filtering" behavior.
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

//= https://www.rfc-editor.org/rfc/rfc4787#section-5
//# a) The filtering behavior MAY be an option configurable by the administrator of the NAT.
#[test]
fn req_8a_the_filtering_is_the_configs() {
    for filtering in Filtering::ALL {
        let mut rig = Rig::with(Profile::FULL_CONE, |config| {
            config.udp.filtering = filtering;
        });
        let external = rig.udp_out((A, 5000), (C, 7777)).unwrap();
        assert!(rig.udp_in((C, 7777), external).is_some());
        let by_port = filtering == Filtering::AddressAndPortDependent;
        assert_eq!(rig.udp_in((C, 7778), external).is_none(), by_port);
        let open = filtering == Filtering::EndpointIndependent;
        assert_eq!(rig.udp_in((D, 7777), external).is_some(), open);
    }
}

//= https://www.rfc-editor.org/rfc/rfc4787#section-6
//# REQ-9: A NAT MUST support "Hairpinning".
//= https://www.rfc-editor.org/rfc/rfc4787#section-6
//# a) A NAT Hairpinning behavior MUST be "External source IP address and port".
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

//= https://www.rfc-editor.org/rfc/rfc4787#section-7
//# REQ-10: To eliminate interference with UNSAF NAT traversal mechanisms and allow integrity
//# protection of UDP communications, NAT ALGs for UDP-based protocols SHOULD be turned off.
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

//= https://www.rfc-editor.org/rfc/rfc4787#section-7
//# a) If a NAT includes ALGs, it is RECOMMENDED that the NAT allow the NAT administrator to
//# enable or disable each ALG separately.
#[test]
fn req_10a_the_one_gateway_can_be_turned_on_and_off() {
    for on in [false, true] {
        let mut rig = Rig::with(Profile::FULL_CONE, |config| config.alg = on);
        let inside = [0x01, 192, 168, 1, 10, 0x13, 0x88];
        let mut bytes = build::udp(at(A, 5000), at(C, 7777), &inside);
        assert_eq!(rig.outbound(&mut bytes), Verdict::Forward);
        assert_eq!(bytes.ends_with(&inside), !on);
    }
}

//= https://www.rfc-editor.org/rfc/rfc4787#section-8
//# REQ-11: A NAT MUST have deterministic behavior, i.e., it MUST NOT change the NAT
//# translation (Section 4) or the Filtering (Section 5) Behavior at any point in time, or
//# under any particular conditions.
#[test]
fn req_11_behaviour_does_not_change_when_a_port_is_taken() {
    check("REQ-11", |profile| {
        let behaviour = |taken: bool| {
            let mut rig = Rig::with_one_address(profile);
            if taken {
                rig.udp_out((B, 5000), (C, 7));
            }
            let to = [at(D, 7), at(D, 8), at(C, 7), at(C, 8)];
            let seen: BTreeSet<_> = to.iter().map(|to| rig.udp_out((A, 5000), *to)).collect();
            let last = rig.udp_out((A, 5000), (C, 8));
            let enters = |from| {
                let mut rig = rig.clone();
                last.is_some_and(|last| rig.udp_in(from, last) == Some(at(A, 5000)))
            };
            let peers = [at(C, 8), at(C, 9), at("192.0.2.99", 8)];
            (seen.len(), peers.map(enters))
        };
        let (free, taken) = (behaviour(false), behaviour(true));
        ensure!(
            free == taken,
            "external endpoints and who may send: {free:?}, {taken:?} when the port is taken"
        );
        Ok(())
    });
}

const ERRORS: [IcmpError; 3] = [
    IcmpError::PortUnreachable,
    IcmpError::HostUnreachable,
    IcmpError::TimeExceeded,
];

//= https://www.rfc-editor.org/rfc/rfc4787#section-9
//# REQ-12: Receipt of any sort of ICMP message MUST NOT terminate the NAT mapping.
#[test]
fn req_12_no_icmp_message_ends_a_mapping() {
    check("REQ-12", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.udp_out((A, 5000), (C, 7777)).ok_or("no mapping")?;
        for error in ERRORS {
            let _ = error_in(&mut rig, error, D, external);
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

//= https://www.rfc-editor.org/rfc/rfc4787#section-9
//# a) The NAT's default configuration SHOULD NOT filter ICMP messages based on their source
//# IP address.
#[test]
fn req_12a_who_sends_an_icmp_message_does_not_matter() {
    check("REQ-12a", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.udp_out((A, 5000), (C, 7777)).ok_or("no mapping")?;
        for error in ERRORS {
            let verdicts =
                [C, D, "203.0.113.254"].map(|from| error_in(&mut rig, error, from, external));
            ensure!(
                verdicts.iter().all(|verdict| *verdict == verdicts[0]),
                "{error:?}: {verdicts:?}"
            );
        }
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc4787#section-9
//# b) It is RECOMMENDED that a NAT support ICMP Destination Unreachable messages.
#[test]
fn req_12b_destination_unreachable_reaches_the_host() {
    check("REQ-12b", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.udp_out((A, 5000), (C, 7777)).ok_or("no mapping")?;
        for error in ERRORS {
            let verdict = error_in(&mut rig, error, D, external);
            ensure!(verdict == Verdict::Forward, "{error:?}: {verdict}");
        }
        Ok(())
    });
}

/// Sends an error about a packet from a mapping.
fn error_in(rig: &mut Rig, error: IcmpError, from: &str, external: SocketAddr) -> Verdict {
    let about = build::udp(external, at(C, 7777), DATA);
    let mut bytes = error.about(ip(from).into(), &about).unwrap();
    rig.inbound(&mut bytes)
}

//= https://www.rfc-editor.org/rfc/rfc4787#section-10
//# REQ-13: If the packet received on an internal IP address has DF=1, the NAT MUST send back
//# an ICMP message "Fragmentation needed and DF set" to the host, as described in [RFC0792].
#[test]
fn req_13_a_packet_that_may_not_be_cut_is_refused_with_the_mtu() {
    check("REQ-13", |profile| {
        let mut rig = Rig::with(profile, |config| config.mtu = Some(1400));
        let mut whole = build::udp(at(A, 5000), at(C, 7777), &[7; 1472]);
        whole[6] = 0x40; // DF
        fix_ip_checksum(&mut whole);
        let verdict = rig.outbound(&mut whole);
        ensure!(matches!(verdict, Verdict::Drop(_)), "{verdict}");
        let error = rig.sent.first().ok_or("no error")?;
        ensure!(error.side == Side::Inside, "the error went outside");
        ensure!(error.bytes[20..22] == [3, 4], "not «fragmentation needed»");
        ensure!(error.bytes[26..28] == 1400_u16.to_be_bytes(), "wrong MTU");
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc4787#section-10
//# a) If the packet has DF=0, the NAT MUST fragment the packet and SHOULD send the fragments
//# in order.
#[test]
fn req_13a_another_packet_is_cut_and_its_pieces_leave_in_order() {
    check("REQ-13a", |profile| {
        let mut rig = Rig::with(profile, |config| config.mtu = Some(1400));
        let mut whole = build::udp(at(A, 5000), at(C, 7777), &[7; 1472]);
        let verdict = rig.outbound(&mut whole);
        ensure!(
            verdict == Verdict::Hold(HoldReason::Fragmented),
            "{verdict}"
        );
        let mut offset = 0;
        for piece in &rig.sent {
            let headers = Headers::parse(&piece.bytes).unwrap();
            ensure!(headers.length <= 1400, "a piece of {}", headers.length);
            let fragment = headers.fragment.ok_or("a whole packet")?;
            ensure!(fragment.offset == offset, "out of order");
            offset += headers.length - headers.transport_at;
        }
        ensure!(offset == 1480, "{offset} bytes in all");
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc4787#section-11
//# REQ-14: A NAT MUST support receiving in-order and out-of-order fragments, so it MUST have
//# "Received Fragment Out of Order" behavior.
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

//= https://www.rfc-editor.org/rfc/rfc4787#section-11
//# a) A NAT's out-of-order fragment processing mechanism MUST be designed so that
//# fragmentation-based DoS attacks do not compromise the NAT's ability to process in-order
//# and unfragmented IP packets.
#[test]
fn req_14a_a_flood_of_fragments_costs_other_packets_nothing() {
    for profile in Profile::ALL {
        let mut rig = Rig::new(*profile);
        let later = &fragments(at(A, 5000), at(C, 7777))[1];
        for id in 0..5000_u16 {
            let mut piece = later.clone();
            piece[4..6].copy_from_slice(&id.to_be_bytes());
            fix_ip_checksum(&mut piece);
            let _ = rig.outbound(&mut piece);
        }
        assert!(rig.udp_out((B, 5000), (C, 7)).is_some(), "{profile}: whole");
        let config = rig.nat.config();
        let (takes, most) = (config.fragments, config.limits.datagrams_per_host as u64);
        let mut pieces = fragments(at(B, 5000), at(C, 7));
        for piece in pieces.iter_mut().filter(|_| takes != Fragments::Drop) {
            assert_eq!(rig.outbound(piece), Verdict::Forward, "{profile}: in order");
        }
        rig.wait(secs(60));
        let held = if takes == Fragments::AnyOrder {
            most
        } else {
            0
        };
        assert_eq!(rig.nat.counters().fragments_expired, held, "{profile}");
    }
}
