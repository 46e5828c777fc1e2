//! RFC 5382: TCP.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use jackfield_nat::packet::{IcmpError, build};
use jackfield_nat::profile::{Profile, Requirement, Rfc};
use jackfield_nat::{
    DropReason, Endpoint, Filtering, Forward, Mapping, Protocol, Side, UnsolicitedSyn, Verdict,
};

use crate::rig::*;

fn check(requirement: &'static str, check: fn(Profile) -> Outcome) {
    check_all(Requirement(Rfc::Rfc5382, requirement), Profile::ALL, check);
}

//= https://www.rfc-editor.org/rfc/rfc5382#section-4.1
//# REQ-1: A NAT MUST have an "Endpoint-Independent Mapping" behavior for TCP.
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

//= https://www.rfc-editor.org/rfc/rfc5382#section-4.2
//# REQ-2: A NAT MUST support all valid sequences of TCP packets (defined in [RFC0793]) for
//# connections initiated both internally as well as externally when the connection is
//# permitted by the NAT.
#[test]
fn req_2_connections_from_inside_and_from_outside_are_followed_from_open_to_close() {
    check("REQ-2", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.tcp_out((A, 5000), (C, 7), SYN).ok_or("no mapping")?;
        ensure!(rig.tcp_in((C, 7), external, SYN_ACK).is_some(), "SYN+ACK");
        ensure!(rig.tcp_out((A, 5000), (C, 7), ACK).is_some(), "ACK");
        ensure!(rig.tcp_in((C, 7), external, FIN).is_some(), "FIN in");
        ensure!(rig.tcp_out((A, 5000), (C, 7), ACK).is_some(), "ACK of FIN");
        ensure!(rig.tcp_out((A, 5000), (C, 7), FIN).is_some(), "FIN out");
        ensure!(rig.tcp_in((C, 7), external, ACK).is_some(), "last ACK");
        // From outside, by a forward; both ends close at once.
        let server = SocketAddr::from(forward(&mut rig, 7777)?);
        ensure!(
            rig.tcp_in((D, 9), server, SYN).is_some(),
            "SYN from outside"
        );
        for (flags, what) in [(SYN_ACK, "SYN+ACK"), (FIN, "FIN"), (ACK, "ACK")] {
            let answer = rig.tcp_out((B, 9000), (D, 9), flags);
            ensure!(answer == Some(server), "{what} of the server");
            ensure!(rig.tcp_in((D, 9), server, flags).is_some(), "{what}");
        }
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc5382#section-4.2
//# a) In addition to handling the TCP 3-way handshake mode of connection initiation, A NAT
//# MUST handle the TCP simultaneous-
//# open mode of connection initiation.
#[test]
fn req_2a_a_simultaneous_open_is_followed() {
    check("REQ-2a", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.tcp_out((A, 5001), (C, 8), SYN).ok_or("no mapping")?;
        ensure!(rig.tcp_in((C, 8), external, SYN).is_some(), "SYN in");
        let answer = rig.tcp_out((A, 5001), (C, 8), SYN_ACK);
        ensure!(answer == Some(external), "SYN+ACK out");
        ensure!(
            rig.tcp_in((C, 8), external, SYN_ACK).is_some(),
            "SYN+ACK in"
        );
        ensure!(rig.tcp_out((A, 5001), (C, 8), ACK).is_some(), "ACK out");
        Ok(())
    });
}

/// Forwards a port to a server at B.
fn forward(rig: &mut Rig, port: u16) -> Result<Endpoint, String> {
    let mut external = endpoint(EXTERNALS[0], port);
    let internal = rig.inside(B, 9000);
    if let Some((_, own)) = rig.nat.config().one_to_one.last() {
        external = Endpoint::new(*own, 9000);
    }
    let forward = Forward {
        protocol: Protocol::Tcp,
        external,
        internal,
    };
    let added = rig.nat.add_forward(rig.now, forward);
    added.map_err(|why| why.to_string())?;
    Ok(external)
}

//= https://www.rfc-editor.org/rfc/rfc5382#section-4.3
//# REQ-3: If application transparency is most important, it is RECOMMENDED that a NAT have an
//# "Endpoint-Independent Filtering" behavior for TCP. If a more stringent filtering behavior
//# is most important, it is RECOMMENDED that a NAT have an "Address-Dependent Filtering"
//# behavior.
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

//= https://www.rfc-editor.org/rfc/rfc5382#section-4.3
//# a) The filtering behavior MAY be an option configurable by the administrator of the NAT.
//= https://www.rfc-editor.org/rfc/rfc5382#section-4.3
//# b) The filtering behavior for TCP MAY be independent of the filtering behavior for UDP.
#[test]
fn req_3a_and_b_the_filtering_is_the_configs_and_not_that_of_udp() {
    for filtering in Filtering::ALL {
        let mut rig = Rig::with(Profile::RESTRICTED_CONE, |config| {
            config.tcp.filtering = filtering;
        });
        let external = rig.tcp_out((A, 5000), (C, 7), SYN).unwrap();
        let by_port = filtering == Filtering::AddressAndPortDependent;
        assert_eq!(rig.tcp_in((C, 8), external, SYN).is_none(), by_port);
        let open = filtering == Filtering::EndpointIndependent;
        assert_eq!(rig.tcp_in((D, 7), external, SYN).is_some(), open);
        let external = rig.udp_out((A, 5000), (C, 7)).unwrap();
        assert!(rig.udp_in((C, 8), external).is_some());
        assert!(rig.udp_in((D, 7), external).is_none());
    }
}

//= https://www.rfc-editor.org/rfc/rfc5382#section-4.3
//# REQ-4: A NAT MUST NOT respond to an unsolicited inbound SYN packet for at least 6 seconds
//# after the packet is received.
#[test]
fn req_4_an_unsolicited_syn_is_not_answered_within_six_seconds() {
    check("REQ-4", |profile| {
        let mut rig = Rig::new(profile);
        let mut syn = build::tcp(at(C, 7), at(EXTERNALS[0], 4444), SYN, b"");
        let _ = rig.inbound(&mut syn);
        ensure!(rig.sent.is_empty(), "answered at once");
        rig.wait(secs(6) - Duration::from_millis(1));
        ensure!(rig.sent.is_empty(), "answered within six seconds");
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc5382#section-4.3
//# Otherwise, the NAT SHOULD send an ICMP Port Unreachable error (Type 3, Code 3) for the
//# original SYN, unless REQ-4a applies.
#[test]
fn req_4_then_it_is_refused() {
    check("REQ-4 (SHOULD)", |profile| {
        let mut rig = Rig::new(profile);
        let mut syn = build::tcp(at(C, 7), at(EXTERNALS[0], 4444), SYN, b"");
        let _ = rig.inbound(&mut syn);
        let mut sent = rig.sent.clone();
        rig.wait(secs(10));
        sent.append(&mut rig.sent);
        let error = sent.first().ok_or("never answered")?;
        ensure!(error.side == Side::Outside, "answered inside");
        ensure!(error.bytes[20..22] == [3, 3], "not «port unreachable»");
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc5382#section-4.3
//# If during this interval the NAT receives and translates an outbound SYN for the connection
//# the NAT MUST silently drop the original unsolicited inbound SYN packet.
#[test]
fn req_4_a_syn_from_inside_silences_the_refusal() {
    for profile in Profile::ALL {
        if profile.deviates(Requirement(Rfc::Rfc5382, "REQ-4")) {
            continue;
        }
        // A filter that stops the SYN, behind which the inside has the endpoint that it came to.
        let mut rig = Rig::with(*profile, |config| {
            config.externals.truncate(1);
            config.tcp.mapping = Mapping::EndpointIndependent;
            config.tcp.filtering = Filtering::AddressAndPortDependent;
        });
        let external = rig.tcp_out((A, 5000), (D, 1), SYN).unwrap();
        assert_eq!(rig.tcp_in((C, 7), external, SYN), None, "{profile}");
        rig.wait(secs(3));
        assert_eq!(rig.tcp_out((A, 5000), (C, 7), SYN), Some(external));
        rig.wait(secs(20));
        assert_eq!(rig.sent, [], "{profile}");
        let arrived = rig.tcp_in((C, 7), external, SYN);
        assert_eq!(arrived, Some(at(A, 5000)), "{profile}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc5382#section-4.3
//# a) The NAT MUST silently drop the original SYN packet if sending a response violates the
//# security policy of the NAT.
#[test]
fn req_4a_a_nat_that_sends_no_answers_drops_the_syn_in_silence() {
    let mut rig = Rig::with(Profile::RESTRICTED_CONE, |config| {
        config.unsolicited_syn = UnsolicitedSyn::Drop;
    });
    let mut syn = build::tcp(at(C, 7), at(EXTERNALS[0], 4444), SYN, b"");
    let verdict = rig.inbound(&mut syn);
    assert_eq!(verdict, Verdict::Drop(DropReason::NoMapping));
    rig.wait(secs(60));
    assert_eq!(rig.nat.counters().transmitted, 0);
}

//= https://www.rfc-editor.org/rfc/rfc5382#section-5
//# REQ-5: If a NAT cannot determine whether the endpoints of a TCP connection are active, it
//# MAY abandon the session if it has been idle for some time. In such cases, the value of the
//# "established connection idle-timeout" MUST NOT be less than 2 hours 4 minutes. The value
//# of the "transitory connection idle-timeout" MUST NOT be less than 4 minutes.
#[test]
fn req_5_connections_may_idle_for_two_hours_and_openings_and_closings_for_four_minutes() {
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
            rig.tcp_in((C, 7), external, FIN).is_some(),
            "open connection forgotten within two hours four minutes"
        );
        ensure!(rig.tcp_out((A, 5000), (C, 7), FIN).is_some(), "FIN out");
        rig.wait(secs(4 * 60 - 1));
        ensure!(
            rig.tcp_in((C, 7), external, ACK).is_some(),
            "closing connection forgotten within four minutes"
        );
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc5382#section-5
//# a) The value of the NAT idle-timeouts MAY be configurable.
#[test]
fn req_5a_the_timers_are_the_configs() {
    let mut rig = Rig::with(Profile::FULL_CONE, |config| {
        config.timers.tcp_opening = secs(10);
        config.timers.tcp_established = secs(100);
    });
    let external = rig.tcp_out((A, 5000), (C, 7), SYN).unwrap();
    rig.tcp_out((A, 5001), (C, 7), SYN).unwrap();
    rig.tcp_in((C, 7), external, SYN_ACK).unwrap();
    rig.wait(secs(10));
    assert_eq!(rig.nat.mapping_count(), 1);
    rig.wait(secs(89));
    assert_eq!(rig.nat.mapping_count(), 1);
    rig.wait(secs(1));
    assert_eq!(rig.nat.mapping_count(), 0);
}

//= https://www.rfc-editor.org/rfc/rfc5382#section-6
//# REQ-6: If a NAT includes ALGs that affect TCP, it is RECOMMENDED that all of those ALGs
//# (except for FTP [RFC0959]) be disabled by default.
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

// One port for several destinations is no overloading (RFC 7857 section 3): what counts is that
// two hosts reach the same one.
//= https://www.rfc-editor.org/rfc/rfc5382#section-7.1
//# REQ-7: A NAT MUST NOT have a "Port assignment" behavior of "Port overloading" for TCP.
#[test]
fn req_7_two_hosts_with_one_port_reach_one_destination() {
    check("REQ-7", |profile| {
        let mut rig = Rig::with_one_address(profile);
        let mut seen = BTreeSet::new();
        for host in 20..36 {
            for port in 0..100 {
                let from = at(&format!("192.168.1.{host}"), 5000 + port);
                if let Some(external) = rig.tcp_out(from, (D, 7), SYN) {
                    ensure!(seen.insert(external), "{external} is given out twice");
                }
            }
        }
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc5382#section-7.2
//# REQ-8: A NAT MUST support "hairpinning" for TCP.
//= https://www.rfc-editor.org/rfc/rfc5382#section-7.2
//# a) A NAT's hairpinning behavior MUST be of type "External source IP address and port".
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

//= https://www.rfc-editor.org/rfc/rfc5382#section-7.3
//# REQ-9: If a NAT translates TCP, it SHOULD translate ICMP Destination Unreachable (Type 3)
//# messages.
#[test]
fn req_9_unreachable_messages_are_translated() {
    check("REQ-9", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.tcp_out((A, 5000), (C, 7), SYN).ok_or("no mapping")?;
        for error in UNREACHABLE {
            let about = build::tcp(external, at(C, 7), SYN, b"");
            let mut bytes = error.about(ip(C).into(), &about).unwrap();
            let rest = bytes[24..28].to_vec();
            let verdict = rig.inbound(&mut bytes);
            ensure!(verdict == Verdict::Forward, "{error:?}: {verdict}");
            ensure!(
                source(&bytes[28..]) == at(A, 5000),
                "{error:?} quotes {}",
                source(&bytes[28..])
            );
            ensure!(bytes[24..28] == rest, "{error:?}: another MTU");
        }
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc5382#section-7.3
//# REQ-10: Receipt of any sort of ICMP message MUST NOT terminate the NAT mapping or TCP
//# connection for which the ICMP was generated.
#[test]
fn req_10_icmp_ends_no_connection() {
    check("REQ-10", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.tcp_out((A, 5000), (C, 7), SYN).ok_or("no mapping")?;
        for error in UNREACHABLE {
            let about = build::tcp(external, at(C, 7), SYN, b"");
            let mut bytes = error.about(ip(C).into(), &about).unwrap();
            let _ = rig.inbound(&mut bytes);
        }
        let arrived = rig.tcp_in((C, 7), external, SYN_ACK);
        ensure!(arrived == Some(at(A, 5000)), "the connection is gone");
        Ok(())
    });
}

const UNREACHABLE: [IcmpError; 4] = [
    IcmpError::PortUnreachable,
    IcmpError::HostUnreachable,
    IcmpError::Prohibited,
    IcmpError::TooBig { mtu: 1400 },
];
