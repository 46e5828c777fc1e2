//! RFC 5508: ICMP.

use std::time::Duration;

use jackfield_nat::packet::{Headers, IcmpError, build, verify};
use jackfield_nat::profile::{Profile, Requirement, Rfc};
use jackfield_nat::{DropReason, Filtering, Forward, Policy, Protocol, Refusal, Side, Verdict};

use crate::rig::*;

fn check(requirement: &'static str, check: fn(Profile) -> Outcome) {
    check_all(Requirement(Rfc::Rfc5508, requirement), Profile::ALL, check);
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-3.1
//# REQ-1: Unless explicitly overridden by local policy, a NAT device MUST permit ICMP Queries
//# and their associated responses, when the Query is initiated from a private host to the
//# external hosts.
#[test]
fn req_1_queries_and_their_responses_pass() {
    check("REQ-1", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.ping_out(A, C, 77).ok_or("query refused")?;
        let arrived = rig.pong_in(C, external);
        ensure!(arrived == Some(at(A, 77)), "response refused");
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-3.1
//# a) NAT mapping of ICMP Query Identifiers SHOULD be external-
//# host independent.
#[test]
fn req_1a_an_identifier_is_mapped_alike_for_every_destination() {
    check("REQ-1a", |profile| {
        let mut rig = Rig::with_one_address(profile);
        rig.ping_out(B, D, 77)
            .ok_or("query of another host refused")?;
        let external = rig.ping_out(A, C, 77).ok_or("query refused")?;
        let other = rig.ping_out(A, D, 77);
        ensure!(other == Some(external), "{external} became {other:?}");
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-3.2
//# REQ-2: An ICMP Query session timer MUST NOT expire in less than 60 seconds.
#[test]
fn req_2_a_query_session_lives_for_a_minute() {
    check("REQ-2", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.ping_out(A, C, 77).ok_or("query refused")?;
        rig.wait(secs(60) - Duration::from_millis(1));
        ensure!(
            rig.pong_in(C, external) == Some(at(A, 77)),
            "gone within a minute"
        );
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-3.2
//# a) It is RECOMMENDED that the ICMP Query session timer be made configurable.
#[test]
fn req_2a_the_timer_is_the_configs() {
    let mut rig = Rig::with(Profile::FULL_CONE, |config| config.timers.icmp = secs(90));
    rig.ping_out(A, C, 77).unwrap();
    rig.wait(secs(89));
    assert_eq!(rig.nat.mapping_count(), 1);
    rig.wait(secs(1));
    assert_eq!(rig.nat.mapping_count(), 0);
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-4.1
//# REQ-3: When an ICMP Error packet is received, if the ICMP checksum fails to validate, the
//# NAT SHOULD silently drop the ICMP Error packet.
//= https://www.rfc-editor.org/rfc/rfc5508#section-4.1
//# a) If the IP checksum of the embedded packet fails to validate, the NAT SHOULD silently
//# drop the Error packet; and
#[test]
fn req_3_errors_with_wrong_checksums_are_dropped() {
    check("REQ-3", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.udp_out((A, 5000), (C, 7)).ok_or("no mapping")?;
        let about = build::udp(external, at(C, 7), DATA);
        let error = IcmpError::PortUnreachable
            .about(ip(C).into(), &about)
            .unwrap();
        let mut wrong = error;
        wrong[22] ^= 1;
        ensure!(
            matches!(rig.inbound(&mut wrong), Verdict::Drop(_)),
            "wrong checksum"
        );
        ensure!(rig.sent.is_empty(), "not silent");
        // REQ-3a: the header of the embedded packet.
        let mut broken = about;
        broken[11] ^= 1;
        let mut wrong = IcmpError::PortUnreachable
            .about(ip(C).into(), &broken)
            .unwrap();
        ensure!(
            matches!(rig.inbound(&mut wrong), Verdict::Drop(_)),
            "REQ-3a"
        );
        ensure!(rig.sent.is_empty(), "REQ-3a: not silent");
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-4.1
//# b) If the embedded packet includes IP options, the NAT device MUST traverse past the IP
//# options to locate the start of the transport header for the embedded packet; and
#[test]
fn req_3b_options_of_the_embedded_packet_are_passed_over() {
    let mut rig = Rig::new(Profile::FULL_CONE);
    let external = rig.udp_out((A, 5000), (C, 7)).unwrap();
    let plain = build::udp(external, at(C, 7), DATA);
    let mut about = plain[..20].to_vec();
    about[0] = 0x46;
    about[3] += 4;
    about.extend([1, 1, 1, 1]);
    about.extend(&plain[20..]);
    let (mut header, rest) = etherparse::Ipv4Header::from_slice(&about).unwrap();
    header.header_checksum = header.calc_header_checksum();
    let rest = rest.to_vec();
    about = header.to_bytes().to_vec();
    about.extend(rest);
    let mut error = IcmpError::PortUnreachable
        .about(ip(C).into(), &about)
        .unwrap();
    assert_eq!(rig.inbound(&mut error), Verdict::Forward);
    let quoted = Headers::parse_quoted(&error[28..]).unwrap();
    assert_eq!(quoted.source_endpoint(), Some(endpoint(A, 5000)));
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-4.2.1
//# a) Revert the IP and transport headers of the embedded IP packet to their original form,
//# using the matching mapping; and
//= https://www.rfc-editor.org/rfc/rfc5508#section-4.2.1
//# c) Modify the destination IP address of the outer IP header to be the same as the source
//# IP address of the embedded packet after translation.
#[test]
fn req_4_errors_from_outside_show_the_inside_its_own_packet() {
    check("REQ-4", |profile| {
        let mut rig = Rig::new(profile);
        let mut sent = build::udp(at(A, 5000), at(C, 7), DATA);
        let original = sent.clone();
        ensure!(rig.outbound(&mut sent) == Verdict::Forward, "no mapping");
        let mut error = IcmpError::Prohibited.about(ip(D).into(), &sent).unwrap();
        let verdict = rig.inbound(&mut error);
        ensure!(verdict == Verdict::Forward, "{verdict}");
        let quoted = &error[28..];
        ensure!(
            quoted[12..] == original[12..],
            "REQ-4a: quotes something else"
        );
        let headers = Headers::parse(&error).unwrap();
        ensure!(
            headers.destination == ip(A).into(),
            "REQ-4c: went elsewhere"
        );
        ensure!(headers.source == ip(D).into(), "the source changed");
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-4.2.1
//# b) Leave the ICMP Error type and code unchanged; and
#[test]
fn req_4b_an_error_keeps_its_type_and_code() {
    check("REQ-4b", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.udp_out((A, 5000), (C, 7)).ok_or("no mapping")?;
        let about = build::udp(external, at(C, 7), DATA);
        for error in [IcmpError::Prohibited, IcmpError::TimeExceeded] {
            let mut bytes = error.about(ip(D).into(), &about).unwrap();
            let before = bytes[20..22].to_vec();
            let _ = rig.inbound(&mut bytes);
            ensure!(bytes[20..22] == before, "{before:?} changed");
        }
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-4.2.1
//# REQ-4: If a NAT device receives an ICMP Error packet from an external realm, and the NAT
//# device does not have an active mapping for the embedded payload, the NAT SHOULD silently
//# drop the ICMP Error packet.
#[test]
fn req_4_an_error_about_nothing_is_dropped_in_silence() {
    for profile in Profile::ALL {
        let mut rig = Rig::new(*profile);
        let about = build::udp(at(EXTERNALS[0], 5000), at(C, 7), DATA);
        let mut error = IcmpError::Prohibited.about(ip(C).into(), &about).unwrap();
        assert!(
            matches!(rig.inbound(&mut error), Verdict::Drop(_)),
            "{profile}"
        );
        assert_eq!(rig.sent, [], "{profile}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-4.2.2
//# a) Revert the IP and transport headers of the embedded IP packet to their original form,
//# using the matching mapping; and
#[test]
fn req_5_errors_from_inside_show_the_outside_its_own_packet() {
    check("REQ-5", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.udp_out((A, 5000), (C, 7)).ok_or("no mapping")?;
        let mut received = build::udp(at(C, 7), external, DATA);
        let original = received.clone();
        ensure!(
            rig.inbound(&mut received) == Verdict::Forward,
            "not answered"
        );
        // A router inside sends it, not the host: REQ-5c.
        let router = ip("192.168.1.200").into();
        let mut error = IcmpError::PortUnreachable.about(router, &received).unwrap();
        let verdict = rig.outbound(&mut error);
        ensure!(verdict == Verdict::Forward, "{verdict}");
        ensure!(
            error[28 + 12..] == original[12..],
            "REQ-5a: quotes something else"
        );
        let headers = Headers::parse(&error).unwrap();
        ensure!(headers.destination == ip(C).into(), "went elsewhere");
        // A router without an outside address of its own shows one of the NAT's, not its host's.
        let own = EXTERNALS.map(|own| ip(own).into());
        ensure!(
            own.contains(&headers.source),
            "REQ-5c: came from {}",
            headers.source
        );
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-4.2.2
//# REQ-5: If a NAT device receives an ICMP Error packet from the private realm, and the NAT
//# does not have an active mapping for the embedded payload, the NAT SHOULD silently drop the
//# ICMP Error packet.
#[test]
fn req_5_an_error_about_nothing_is_dropped_in_silence() {
    for profile in Profile::ALL {
        let mut rig = Rig::new(*profile);
        let about = build::udp(at(C, 7), at(A, 5000), DATA);
        let mut error = IcmpError::PortUnreachable
            .about(ip(A).into(), &about)
            .unwrap();
        let verdict = rig.outbound(&mut error);
        assert!(matches!(verdict, Verdict::Drop(_)), "{profile}: {verdict}");
        assert_eq!(rig.sent, [], "{profile}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-4.2.2
//# b) Leave the ICMP Error type and code unchanged; and
#[test]
fn req_5b_an_error_keeps_its_type_and_code() {
    check("REQ-5b", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.udp_out((A, 5000), (C, 7)).ok_or("no mapping")?;
        let mut received = build::udp(at(C, 7), external, DATA);
        ensure!(
            rig.inbound(&mut received) == Verdict::Forward,
            "not answered"
        );
        for error in [IcmpError::Prohibited, IcmpError::PortUnreachable] {
            let mut bytes = error.about(ip(A).into(), &received).unwrap();
            let before = bytes[20..22].to_vec();
            let _ = rig.outbound(&mut bytes);
            ensure!(bytes[20..22] == before, "{before:?} changed");
        }
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-4.2.2
//# c) If the NAT enforces Basic NAT function ([NAT-TRAD]), and the NAT has active mapping for
//# the IP address that sent the ICMP Error, translate the source IP address of the ICMP Error
//# packet with the public IP address in the mapping. In all other cases, translate the source
//# IP address of the ICMP Error packet with its own public IP address.
#[test]
fn req_5c_who_has_an_outside_address_of_its_own_sends_errors_from_there() {
    let router = "192.168.1.200";
    let senders = [
        (A, "203.0.113.10"),
        (router, "203.0.113.20"),
        (B, EXTERNALS[0]),
    ];
    for (sender, shown) in senders {
        let mut rig = basic_nat(&[(A, "203.0.113.10"), (router, "203.0.113.20")]);
        let external = rig.udp_out((A, 5000), (C, 7)).unwrap();
        assert_eq!(external, at("203.0.113.10", 5000));
        let mut received = build::udp(at(C, 7), external, DATA);
        assert_eq!(rig.inbound(&mut received), Verdict::Forward);
        let mut error = IcmpError::HostUnreachable
            .about(ip(sender).into(), &received)
            .unwrap();
        assert_eq!(rig.outbound(&mut error), Verdict::Forward, "{sender}");
        let headers = Headers::parse(&error).unwrap();
        assert_eq!(headers.source, ip(shown).into(), "{sender}");
    }
}

/// A NAT that pairs inside and outside addresses one to one and admits any remote.
fn basic_nat(pairs: &[(&str, &str)]) -> Rig {
    let pairs = pairs
        .iter()
        .map(|(inside, outside)| (ip(inside), ip(outside)));
    Rig::with(Profile::FULL_CONE, |config| {
        config.externals.truncate(1);
        config.icmp_filtering = Filtering::EndpointIndependent;
        config.one_to_one = pairs.collect();
    })
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-4.3
//# REQ-6: While processing an ICMP Error packet pertaining to an ICMP Query or Query response
//# message, a NAT device MUST NOT refresh or delete the NAT Session that pertains to the
//# embedded payload within the ICMP Error packet.
#[test]
fn req_6_errors_refresh_nothing() {
    check("REQ-6", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.ping_out(A, C, 77).ok_or("query refused")?;
        let lifetime = rig.nat.config().timers.icmp;
        for _ in 0..4 {
            rig.wait(lifetime / 4 - Duration::from_millis(1));
            let about = build::echo(external.ip(), ip(C), external.port(), 1, false, DATA);
            let mut error = IcmpError::TimeExceeded.about(ip(D).into(), &about).unwrap();
            let _ = rig.inbound(&mut error);
            let about = build::echo(ip(C), ip(A), 77, 1, true, DATA);
            let mut error = IcmpError::TimeExceeded.about(ip(A).into(), &about).unwrap();
            let _ = rig.outbound(&mut error);
        }
        ensure!(
            rig.pong_in(C, external).is_some(),
            "the session was deleted"
        );
        rig.wait(lifetime);
        rig.wait(secs(1));
        ensure!(
            rig.pong_in(C, external).is_none(),
            "the session was refreshed"
        );
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-5
//# All NAT devices (i.e., Basic NAT as well as NAPT devices) MUST support the traversal of
//# hairpinned ICMP Error messages:
//= https://www.rfc-editor.org/rfc/rfc5508#section-5
//# a) When forwarding a hairpinned ICMP Error message, the NAT device MUST translate the
//# destination IP address of the outer IP header to be same as the source IP address of the
//# embedded IP packet after the translation.
#[test]
fn req_7_errors_about_hairpinned_packets_find_their_way() {
    check("REQ-7", |profile| {
        let mut rig = Rig::new(profile);
        let forward = Forward {
            protocol: Protocol::Udp,
            external: endpoint(EXTERNALS[0], 7777),
            internal: rig.inside(B, 9000),
        };
        rig.nat
            .add_forward(rig.now, forward)
            .map_err(|e| e.to_string())?;
        let mut sent = build::udp(at(A, 5000), at(EXTERNALS[0], 7777), DATA);
        let original = sent.clone();
        let verdict = rig.outbound(&mut sent);
        ensure!(verdict == Verdict::Hairpin, "{verdict}");
        let mut error = IcmpError::PortUnreachable
            .about(ip(B).into(), &sent)
            .unwrap();
        let verdict = rig.outbound(&mut error);
        ensure!(verdict == Verdict::Hairpin, "the error: {verdict}");
        ensure!(error[28 + 12..] == original[12..], "quotes something else");
        let headers = Headers::parse(&error).unwrap();
        ensure!(
            headers.destination == ip(A).into(),
            "REQ-7a: went elsewhere"
        );
        verify(&error).map_err(|e| e.to_string())?;
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-5
//# REQ-7: NAT devices enforcing Basic NAT [NAT-TRAD] MUST support the traversal of hairpinned
//# ICMP Query sessions.
#[test]
fn req_7_hosts_with_outside_addresses_of_their_own_ping_each_other_there() {
    let (mine, yours) = ("203.0.113.10", "203.0.113.11");
    let mut rig = basic_nat(&[(A, mine), (B, yours)]);
    let mut ping = build::echo(ip(A), ip(yours), 77, 1, false, DATA);
    assert_eq!(rig.outbound(&mut ping), Verdict::Hairpin);
    assert_eq!(
        (source(&ping), destination(&ping)),
        (at(mine, 77), at(B, 77))
    );
    let mut pong = build::echo(ip(B), ip(mine), 77, 1, true, DATA);
    assert_eq!(rig.outbound(&mut pong), Verdict::Hairpin);
    let ends = (source(&pong), destination(&pong));
    assert_eq!(ends, (at(yours, 77), at(A, 77)));
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-6
//# Section 5.2.7.1 of [RFC1812] recommends routers use ICMP code 13 (Communication
//# administratively prohibited) when they administratively filter packets.
#[test]
fn req_8_what_the_firewall_refuses_aloud_is_answered_with_code_13() {
    for profile in Profile::ALL {
        let mut rig = Rig::with(*profile, |config| {
            config.policy = Policy::no_udp();
            config.policy.silent = false;
        });
        let mut bytes = build::udp(at(A, 5001), at(C, 7), DATA);
        let verdict = rig.outbound(&mut bytes);
        assert_eq!(verdict, Verdict::Drop(DropReason::Policy), "{profile}");
        let told = rig.sent.iter().filter(|it| it.side == Side::Inside).count();
        let tells = rig.nat.config().refusal != Refusal::Silent;
        assert_eq!(told, usize::from(tells), "{profile}");
    }
    let mut rig = Rig::with(Profile::FULL_CONE, |config| {
        config.policy = Policy::no_udp();
        config.policy.silent = false;
    });
    assert_eq!(rig.udp_out((A, 5000), (C, 7)), None);
    assert_eq!(rig.sent[0].bytes[20..22], [3, 13]);
    let mut rig = Rig::with(Profile::FULL_CONE, |config| {
        config.policy = Policy::no_udp();
    });
    assert_eq!(rig.udp_out((A, 5000), (C, 7)), None);
    assert_eq!(rig.sent, [], "a silent firewall");
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-7
//# REQ-9: A NAT device MAY implement a policy control that prevents ICMP messages being
//# generated toward certain interface(s).
#[test]
fn req_9_a_nat_may_send_no_errors_of_its_own() {
    let mut rig = Rig::with(Profile::FULL_CONE, |config| {
        config.limits.errors_per_second = 0;
    });
    let mut bytes = build::udp(at(A, 5000), at(C, 7), DATA);
    bytes[8] = 1;
    fix_ip_checksum(&mut bytes);
    let expired = Verdict::Drop(DropReason::TtlExpired);
    assert_eq!(rig.outbound(&mut bytes), expired);
    assert_eq!(
        (rig.sent.len(), rig.nat.counters().errors_suppressed),
        (0, 1)
    );
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-6
//# REQ-8: When a NAT device is unable to establish a NAT Session for a new transport-layer
//# (TCP, UDP, ICMP, etc.) flow due to resource constraints or administrative restrictions,
//# the NAT device SHOULD send an ICMP destination unreachable message, with a code of 13
//# (Communication administratively prohibited) to the sender, and drop the original packet.
#[test]
fn req_8_a_host_over_its_quota_is_told_so() {
    check("REQ-8", |profile| {
        let mut rig = Rig::with(profile, |config| config.limits.mappings_per_host = 1);
        rig.udp_out((A, 5000), (C, 7)).ok_or("no mapping")?;
        let mut bytes = build::udp(at(A, 5001), at(C, 7), DATA);
        let verdict = rig.outbound(&mut bytes);
        ensure!(
            verdict == Verdict::Drop(DropReason::HostMappings),
            "{verdict}"
        );
        let error = rig.sent.first().ok_or("in silence")?;
        ensure!(error.side == Side::Inside, "told the outside");
        ensure!(error.bytes[20..22] == [3, 13], "not code 13");
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-7
//# a. MUST support: 1. Destination Unreachable Message, as described in Section 7.1 of this
//# document. 2. Time Exceeded Message, as described in Section 7.2 of this document.
//= https://www.rfc-editor.org/rfc/rfc5508#section-7.1.1
//# If the DF bit is set on a transit IP packet and the NAT device cannot forward the packet
//# without fragmentation, the NAT device MUST send a "Packet Too Big" ICMP message (ICMP type
//# 3, code 4) with the next-hop MTU back to the sender and drop the original IP packet.
//= https://www.rfc-editor.org/rfc/rfc5508#section-7.1.2
//# When the NAT device is the recipient of a "Packet Too Big" ICMP message from the network,
//# the NAT device MUST forward the ICMP message back to the intended recipient, pursuant to
//# the previously stated requirements (REQ-3, REQ-4, and REQ-5).
//= https://www.rfc-editor.org/rfc/rfc5508#section-7.2
//# A NAT device MUST generate a "Time Exceeded" ICMP Error message when it discards a packet
//# due to an expired Time to Live (TTL) field.
#[test]
fn req_10a_what_cannot_go_on_is_answered_and_what_others_answer_passes() {
    check("REQ-10a", |profile| {
        let mut rig = Rig::new(profile);
        let dying = |from, to| {
            let mut bytes = build::udp(from, to, DATA);
            bytes[8] = 1;
            fix_ip_checksum(&mut bytes);
            bytes
        };
        let verdict = rig.outbound(&mut dying(at(A, 5000), at(C, 7)));
        ensure!(
            verdict == Verdict::Drop(DropReason::TtlExpired),
            "{verdict}"
        );
        let error = rig.sent.first().ok_or("no answer")?;
        ensure!(error.bytes[20..22] == [11, 0], "not «time exceeded»");
        ensure!(rig.nat.mapping_count() == 0, "made a mapping");
        let external = rig.udp_out((A, 5000), (C, 7)).ok_or("no mapping")?;
        let verdict = rig.inbound(&mut dying(at(C, 7), external));
        ensure!(
            verdict == Verdict::Drop(DropReason::TtlExpired),
            "from outside: {verdict}"
        );
        let error = rig.sent.first().ok_or("no answer outside")?;
        ensure!(error.side == Side::Outside, "told the inside");

        let mut rig = Rig::with(profile, |config| config.mtu = Some(1400));
        let external = rig.udp_out((A, 5000), (C, 7)).ok_or("no mapping")?;
        let mut large = build::udp(at(C, 7), external, &[7; 1472]);
        large[6] = 0x40; // DF
        fix_ip_checksum(&mut large);
        let verdict = rig.inbound(&mut large);
        ensure!(verdict == Verdict::Drop(DropReason::TooBig), "{verdict}");
        let error = rig.sent.first().ok_or("no answer")?;
        ensure!(error.side == Side::Outside, "told the inside");
        ensure!(error.bytes[20..22] == [3, 4], "not «fragmentation needed»");
        let about = build::udp(external, at(C, 7), &[7; 1300]);
        let error = IcmpError::TooBig { mtu: 1300 };
        let mut error = error.about(ip(D).into(), &about).unwrap();
        let verdict = rig.inbound(&mut error);
        ensure!(verdict == Verdict::Forward, "{verdict}");
        ensure!(error[20..22] == [3, 4], "another type and code");
        ensure!(error[26..28] == 1300_u16.to_be_bytes(), "another MTU");
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-7
//# b. MAY support: 1. Redirect Message, as described in Section 4.3.3.2 of [RFC1812]. 2.
//# Timestamp and Timestamp Reply Messages, as described in Section 4.3.3.8 of [RFC1812]. 3.
//# Source Route Options, as described in Section 7.3 of this document. 4. Address Mask
//# Request/Reply Message, as described in Section 7.4 of this document. 5. Parameter Problem
//# Message, as described in Section 7.5 of this document. 6. Router Advertisement and
//# Solicitations, as described in Section 7.6 of this document.
//= https://www.rfc-editor.org/rfc/rfc5508#section-7.3
//# If a NAT device does not support forwarding packets with the source route option, the NAT
//# device SHOULD NOT forward outbound ICMP messages that contain the source route option in
//# the outer or inner IP header.
#[test]
fn req_10b_timestamps_and_masks_are_queries_and_source_routes_stay_inside() {
    let mut rig = Rig::new(Profile::FULL_CONE);
    for (kind, answer, length) in [(13, 14, 20), (17, 18, 12)] {
        let message = |kind, id: u16| {
            let mut message = vec![0; length];
            message[0] = kind;
            message[4..6].copy_from_slice(&id.to_be_bytes());
            message
        };
        let mut query = build::ip(ip(A), ip(C), 1, &message(kind, 9));
        assert_eq!(rig.outbound(&mut query), Verdict::Forward, "type {kind}");
        let id = source(&query).port();
        let mut response = build::ip(ip(C), ip_of(&query), 1, &message(answer, id));
        assert_eq!(rig.inbound(&mut response), Verdict::Forward);
        assert_eq!(destination(&response), at(A, 9));
    }
    let stays = Verdict::Drop(DropReason::SourceRoute);
    let ping = build::echo(ip(A), ip(C), 7, 1, false, DATA);
    assert_eq!(rig.outbound(&mut with_source_route(&ping)), stays);
    let external = rig.udp_out((A, 5000), (C, 7)).unwrap();
    let mut received = build::udp(at(C, 7), external, DATA);
    assert_eq!(rig.inbound(&mut received), Verdict::Forward);
    let received = with_source_route(&received);
    let mut error = IcmpError::PortUnreachable
        .about(ip(A).into(), &received)
        .unwrap();
    assert_eq!(rig.outbound(&mut error), stays);
}

/// Puts a loose source route of one address, which has been reached, into an IPv4 header.
fn with_source_route(packet: &[u8]) -> Vec<u8> {
    let option = [131, 7, 8, 192, 168, 1, 1, 0];
    let mut bytes = [&packet[..20], &option, &packet[20..]].concat();
    bytes[0] = 0x47;
    let length = bytes.len() as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    let (mut header, rest) = etherparse::Ipv4Header::from_slice(&bytes).unwrap();
    header.header_checksum = header.calc_header_checksum();
    [&header.to_bytes()[..], rest].concat()
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-8
//# REQ-11: A NAT MAY drop or appropriately handle Non-QueryError ICMP messages.
#[test]
fn req_11_messages_that_are_neither_query_nor_error_are_dropped() {
    let mut rig = Rig::new(Profile::FULL_CONE);
    let dropped = Verdict::Drop(DropReason::IcmpOther);
    for kind in [5, 9, 10] {
        let message = [kind, 0, 0, 0, 0, 0, 0, 0];
        let mut bytes = build::ip(ip(A), ip(C), 1, &message);
        assert_eq!(rig.outbound(&mut bytes), dropped, "type {kind}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-4.1
//# c) The NAT device SHOULD NOT validate the transport checksum of the embedded packet within
//# an ICMP Error message, even when it is possible to do so; and
//= https://www.rfc-editor.org/rfc/rfc5508#section-4.1
//# d) If the ICMP Error payload contains ICMP extensions [ICMP-EXT], the NAT device MUST
//# exclude the optional zero-
//# padding and the ICMP extensions when evaluating transport checksum for the embedded
//# packet.
#[test]
fn req_3c_and_d_what_is_wrong_or_extra_behind_the_embedded_header_is_no_reason_to_drop() {
    for profile in Profile::IPV4 {
        if profile.deviates(Requirement(Rfc::Rfc5508, "REQ-4")) {
            continue;
        }
        let mut rig = Rig::new(*profile);
        let mut sent = build::udp(at(A, 5000), at(C, 7), DATA);
        assert_eq!(rig.outbound(&mut sent), Verdict::Forward);
        // REQ-3c: the embedded transport checksum is wrong, and that is not looked at.
        let mut broken = sent.clone();
        broken[26] ^= 1;
        let mut error = IcmpError::TimeExceeded
            .about(ip(D).into(), &broken)
            .unwrap();
        assert_eq!(rig.inbound(&mut error), Verdict::Forward, "{profile}");
        // REQ-3d: zero-padding and an extension behind it (RFC 4884) arrive as they were sent.
        let mut original = sent.clone();
        original.resize(128, 0);
        let extension = [0x20, 0, 0, 0, 0, 8, 1, 1, 0xde, 0xad, 0xbe, 0xef];
        let message = [&[11, 0, 0, 0, 0, 32, 0, 0], &original[..], &extension].concat();
        let mut error = build::ip(ip(D), ip_of(&sent), 1, &message);
        assert_eq!(rig.inbound(&mut error), Verdict::Forward, "{profile}");
        assert_eq!(error[28 + 128..], extension, "{profile}");
        assert!(error[28 + sent.len()..28 + 128].iter().all(|it| *it == 0));
    }
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-7
//# c. SHOULD NOT support: 1. Source Quench Message, as described in Section 4.3.3.3 of
//# [RFC1812]. 2. Information Request/reply, as described in Section 4.3.3.7 of [RFC1812].
#[test]
fn req_10a_unreachable_time_exceeded_and_echo_pass_and_10c_source_quench_and_information_do_not() {
    for profile in Profile::ALL {
        let mut rig = Rig::new(*profile);
        let mut sent = build::udp(at(A, 5000), at(C, 7), DATA);
        assert_eq!(rig.outbound(&mut sent), Verdict::Forward);
        let drops_errors = profile.deviates(Requirement(Rfc::Rfc5508, "REQ-4"));
        for kind in [3, 11] {
            let message = [&[kind, 0, 0, 0, 0, 0, 0, 0], &sent[..]].concat();
            let mut error = build::ip(ip(D), ip_of(&sent), 1, &message);
            let passes = rig.inbound(&mut error) == Verdict::Forward;
            assert_eq!(passes, !drops_errors, "{profile}: type {kind}");
        }
        let message = [&[4, 0, 0, 0, 0, 0, 0, 0], &sent[..]].concat();
        let mut quench = build::ip(ip(D), ip_of(&sent), 1, &message);
        let dropped = Verdict::Drop(DropReason::IcmpOther);
        assert_eq!(rig.inbound(&mut quench), dropped, "{profile}");
        if *profile != Profile::NAT64 {
            let mut information = build::ip(ip(A), ip(C), 1, &[15, 0, 0, 0, 0, 7, 0, 1]);
            assert_eq!(rig.outbound(&mut information), dropped, "{profile}");
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-7
//# d. DS Field Usage, as described in Section 7.7 of this document.
//= https://www.rfc-editor.org/rfc/rfc5508#section-7.7
//# When generating an ICMP message, a NAT device SHOULD copy the diffserv class of the
//# message that causes the sending of the ICMP error message.
#[test]
fn req_10d_an_error_has_the_diffserv_class_of_the_packet_it_is_about() {
    for profile in Profile::IPV4 {
        let mut rig = Rig::new(*profile);
        let mut bytes = build::udp(at(A, 5000), at(C, 7), DATA);
        (bytes[1], bytes[8]) = (0xb9, 1);
        fix_ip_checksum(&mut bytes);
        let _ = rig.outbound(&mut bytes);
        assert_eq!(rig.sent[0].bytes[1], 0xb8, "{profile}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc5508#section-7
//# e. When Not to Send ICMP Errors, as described in Section 4.3.2.7 of [RFC1812].
//= https://www.rfc-editor.org/rfc/rfc5508#section-7
//# f. Rate Limiting, as described in Section 4.3.2.8 of [RFC1812].
#[test]
fn req_10e_and_f_errors_are_not_about_everything_nor_without_end() {
    for profile in Profile::IPV4 {
        let mut rig = Rig::new(*profile);
        let dying = |mut bytes: Vec<u8>| {
            bytes[8] = 1;
            fix_ip_checksum(&mut bytes);
            bytes
        };
        let quoted = build::udp(at(C, 7), at(A, 5000), DATA);
        let error = IcmpError::PortUnreachable.about(ip(A).into(), &quoted);
        let silent = [
            error.unwrap(),
            build::udp(at(A, 5000), at("224.0.0.251", 5353), DATA),
            build::udp(at("0.0.0.0", 68), at(C, 67), DATA),
            fragments(at(A, 5000), at(C, 7)).remove(1),
        ];
        for bytes in silent {
            let _ = rig.outbound(&mut dying(bytes));
            assert_eq!(rig.sent, [], "{profile}");
        }
        rig.wait(secs(1));
        let before = rig.nat.counters().transmitted;
        for _ in 0..5000 {
            let _ = rig.outbound(&mut dying(build::udp(at(A, 5000), at(C, 7), DATA)));
        }
        let sent = rig.nat.counters().transmitted - before;
        assert_eq!(sent, u64::from(rig.nat.config().limits.errors_per_host));
        rig.wait(secs(1));
        let _ = rig.outbound(&mut dying(build::udp(at(A, 5000), at(C, 7), DATA)));
        assert_eq!(rig.sent.len(), 1, "{profile}: a second later");
    }
}

/// The source of a packet.
fn ip_of(bytes: &[u8]) -> std::net::IpAddr {
    Headers::parse(bytes).unwrap().source.into()
}

#[test]
fn req_4_an_error_to_another_address_than_its_packet_came_from_is_dropped() {
    let mut rig = Rig::new(Profile::FULL_CONE);
    let external = rig.udp_out((A, 5000), (C, 7)).unwrap();
    let others = EXTERNALS.map(ip).into_iter();
    let other = others.into_iter().find(|it| *it != external.ip()).unwrap();
    let about = build::udp(external, at(C, 7), DATA);
    let mut error = IcmpError::PortUnreachable
        .about(ip(C).into(), &about)
        .unwrap();
    let mut forged = build::ip(ip(C), other, 1, &error[20..]);
    let dropped = Verdict::Drop(DropReason::IcmpNoFlow);
    assert_eq!(rig.inbound(&mut forged), dropped);
    assert_eq!(rig.inbound(&mut error), Verdict::Forward);
}
