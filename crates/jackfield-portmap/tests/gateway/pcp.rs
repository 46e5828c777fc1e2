//! PCP against the gateway (RFC 6887).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jackfield_nat::packet::{Headers, Packet, build};
use jackfield_nat::{Forward, Translation, Verdict};
use jackfield_portmap::pcp::{
    Body, Filter, Map, Nonce, PcpOption, Peer, Request, Response, ResultCode,
};
use jackfield_portmap::{Dialects, TransportProtocol};

use crate::rig::{EXTERNAL, HOST, OTHER_HOST, Rig, STRANGER, at, ip};

const MINE: Nonce = Nonce([1; 12]);
const THEIRS: Nonce = Nonce([2; 12]);
const UDP: u8 = 17;

fn request(host: &str, lifetime: u32, body: Body, options: &[PcpOption]) -> Request {
    Request {
        lifetime,
        client: ip(host),
        body,
        options: options.to_vec(),
    }
}

fn wish(nonce: Nonce, internal_port: u16, external_port: u16) -> Map {
    Map {
        nonce,
        protocol: UDP,
        internal_port,
        external_port,
        external_address: ip("0.0.0.0"),
    }
}

fn ask(rig: &mut Rig, host: &str, request: &Request) -> Response {
    Response::decode(&rig.ask(host, &request.encode())).unwrap()
}

fn map(rig: &mut Rig, host: &str, map: Map, lifetime: u32, options: &[PcpOption]) -> Response {
    let response = ask(rig, host, &request(host, lifetime, Body::Map(map), options));
    let Body::Map(about) = response.body else {
        panic!("{response:?}");
    };
    assert_eq!(
        (about.nonce, about.internal_port),
        (map.nonce, map.internal_port)
    );
    response
}

fn external(response: &Response) -> SocketAddr {
    assert_eq!(response.result, ResultCode::Success);
    match response.body {
        Body::Map(map) | Body::Peer(Peer { map, .. }) => {
            SocketAddr::new(map.external_address, map.external_port)
        }
        Body::Announce => panic!("no mapping"),
    }
}

#[test]
fn a_mapped_port_lets_strangers_in_through_a_symmetric_nat() {
    let mut rig = Rig::new(|_| {});
    let response = map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &[]);
    assert_eq!(external(&response), at(EXTERNAL, 5000));
    assert_eq!(response.lifetime, 3600);
    assert_eq!(
        rig.arrives(STRANGER, at(EXTERNAL, 5000)),
        Some(at(HOST, 5000))
    );
}

//= https://www.rfc-editor.org/rfc/rfc6887#section-11.3
//# If operating in the Simple Threat Model (Section 18.1), and the internal port, protocol,
//# and internal address match an existing explicit dynamic mapping, but the mapping nonce
//# does not match, the request MUST be rejected with a NOT_AUTHORIZED error with the lifetime
//# of the error indicating duration of that existing mapping.
#[test]
fn only_who_knows_the_nonce_changes_a_mapping() {
    let mut rig = Rig::new(|_| {});
    map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &[]);
    rig.pass(Duration::from_secs(600));
    for lifetime in [0, 7200] {
        let refused = map(&mut rig, HOST, wish(THEIRS, 5000, 5000), lifetime, &[]);
        assert_eq!(refused.result, ResultCode::NotAuthorized);
        assert_eq!(refused.lifetime, 3000, "as long as the mapping lasts");
    }
    let nat_pmp = [0, 1, 0, 0, 0x13, 0x88, 0, 0, 0, 0, 0, 0];
    assert_eq!(rig.ask(HOST, &nat_pmp)[..4], [0, 0x81, 0, 2]);
    let ended = map(&mut rig, HOST, wish(MINE, 5000, 5000), 0, &[]);
    assert_eq!((ended.result, ended.lifetime), (ResultCode::Success, 0));
    assert_eq!(rig.arrives(STRANGER, at(EXTERNAL, 5000)), None);
    let again = map(&mut rig, HOST, wish(THEIRS, 5000, 5000), 0, &[]);
    assert_eq!(
        again.result,
        ResultCode::Success,
        "nothing to end is no error"
    );
}

//= https://www.rfc-editor.org/rfc/rfc6887#section-13.2
//# If a PCP request contains the PREFER_FAILURE option and has zero in the Suggested External
//# Port field, then it is invalid. The PCP server MUST reject such a message with the
//# MALFORMED_OPTION error code.
#[test]
fn prefer_failure_fails_rather_than_to_give_another_port() {
    let mut rig = Rig::new(|_| {});
    map(&mut rig, OTHER_HOST, wish(MINE, 5000, 5000), 3600, &[]);
    let exact = [PcpOption::PreferFailure];
    let refused = map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &exact);
    assert_eq!(refused.result, ResultCode::CannotProvideExternal);
    assert_eq!(refused.lifetime, 30);
    let elsewhere = Map {
        external_address: ip("203.0.113.99"),
        ..wish(MINE, 5000, 6000)
    };
    let refused = map(&mut rig, HOST, elsewhere, 3600, &exact);
    assert_eq!(refused.result, ResultCode::CannotProvideExternal);
    let privileged = map(&mut rig, HOST, wish(MINE, 5000, 80), 3600, &exact);
    assert_eq!(privileged.result, ResultCode::CannotProvideExternal);
    let nothing = map(&mut rig, HOST, wish(MINE, 5000, 0), 3600, &exact);
    assert_eq!(nothing.result, ResultCode::MalformedOption);
    let given = map(&mut rig, HOST, wish(MINE, 5000, 6000), 3600, &exact);
    assert_eq!(external(&given), at(EXTERNAL, 6000));
    assert_eq!(given.options, exact);
    let other = map(&mut rig, HOST, wish(MINE, 5001, 5000), 3600, &[]);
    assert_ne!(external(&other).port(), 5000);
}

#[test]
fn a_filter_lets_in_only_its_remotes() {
    let mut rig = Rig::new(|_| {});
    let filter = |prefix_length, address: &str, remote_port| {
        PcpOption::Filter(Filter {
            prefix_length,
            remote_port,
            remote_address: ip(address),
        })
    };
    let options = [
        filter(128, "198.51.100.9", 3478),
        filter(120, "192.0.2.0", 0),
    ];
    let response = map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &options);
    assert_eq!(response.options, options);
    let to = external(&response);
    let inside = Some(at(HOST, 5000));
    assert_eq!(rig.arrives(STRANGER, to), inside);
    assert_eq!(rig.arrives("198.51.100.9:3479", to), None);
    assert_eq!(rig.arrives("192.0.2.77:1", to), inside);
    assert_eq!(rig.leases()[0].filters.len(), 2);
    map(
        &mut rig,
        HOST,
        wish(MINE, 5000, 5000),
        3600,
        &[filter(0, "0.0.0.0", 0)],
    );
    assert_eq!(rig.arrives("198.51.100.9:3479", to), inside);
    let many: Vec<_> = (0..17)
        .map(|n| filter(128, &format!("192.0.2.{n}"), 0))
        .collect();
    let refused = map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &many);
    assert_eq!(refused.result, ResultCode::ExcessiveRemotePeers);
}

//= https://www.rfc-editor.org/rfc/rfc6887#section-13.1
//# A PCP server receiving a THIRD_PARTY option specifying the same address as the source
//# address of the packet MUST return a MALFORMED_REQUEST result code.
//= https://www.rfc-editor.org/rfc/rfc6887#section-13.1
//# If this option is prohibited, and a PCP server receives a PCP MAP request with a
//# THIRD_PARTY option, it MUST generate a UNSUPP_OPTION response.
#[test]
fn a_third_party_is_refused_unless_it_is_allowed() {
    let third = [PcpOption::ThirdParty(ip(OTHER_HOST))];
    let mut rig = Rig::new(|_| {});
    let refused = map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &third);
    assert_eq!(refused.result, ResultCode::UnsuppOption);
    assert!(rig.leases().is_empty());
    let mut rig = Rig::new(|config| config.third_parties = true);
    let granted = map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &third);
    assert_eq!(
        rig.arrives(STRANGER, external(&granted)),
        Some(at(OTHER_HOST, 5000))
    );
    let oneself = [PcpOption::ThirdParty(ip(HOST))];
    let refused = map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &oneself);
    assert_eq!(refused.result, ResultCode::MalformedRequest);
}

//= https://www.rfc-editor.org/rfc/rfc6887#section-8.2
//# If they do not match, the error ADDRESS_MISMATCH MUST be returned.
#[test]
fn a_nat_between_client_and_gateway_is_noticed() {
    let mut rig = Rig::new(|_| {});
    let behind = request("10.9.9.9", 3600, Body::Map(wish(MINE, 5000, 5000)), &[]);
    let response = ask(&mut rig, HOST, &behind);
    assert_eq!(response.result, ResultCode::AddressMismatch);
    assert_eq!(response.lifetime, 1800);
}

#[test]
fn what_a_nat_cannot_map_is_refused() {
    let mut rig = Rig::new(|_| {});
    let mut refuse = |map_: Map| map(&mut rig, HOST, map_, 3600, &[]).result;
    let base = wish(MINE, 5000, 5000);
    assert_eq!(
        refuse(Map {
            protocol: 132,
            ..base
        }),
        ResultCode::UnsuppProtocol
    );
    assert_eq!(
        refuse(Map {
            protocol: 0,
            ..base
        }),
        ResultCode::MalformedRequest
    );
    let all = Map {
        protocol: 0,
        internal_port: 0,
        ..base
    };
    assert_eq!(refuse(all), ResultCode::UnsuppProtocol);
    assert_eq!(
        refuse(Map {
            internal_port: 0,
            ..base
        }),
        ResultCode::UnsuppProtocol
    );
}

#[test]
fn unknown_options_matter_when_they_have_to_be_understood() {
    let mut rig = Rig::new(|_| {});
    let unknown = |code| {
        [PcpOption::Unknown {
            code,
            data: vec![1, 2, 3],
        }]
    };
    let refused = map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &unknown(100));
    assert_eq!(refused.result, ResultCode::UnsuppOption);
    let granted = map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &unknown(200));
    assert_eq!(granted.result, ResultCode::Success);
    assert!(granted.options.is_empty());
    let twice = [PcpOption::PreferFailure, PcpOption::PreferFailure];
    let refused = map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &twice);
    assert_eq!(refused.result, ResultCode::MalformedOption);
}

#[test]
fn a_peer_is_kept_alive_for_as_long_as_was_asked_for() {
    let mut rig = Rig::new(|_| {});
    let remote: SocketAddr = STRANGER.parse().unwrap();
    let peer = |nonce| {
        Body::Peer(Peer {
            map: wish(nonce, 5000, 0),
            remote_port: remote.port(),
            remote_address: remote.ip(),
        })
    };
    let response = ask(&mut rig, HOST, &request(HOST, 3600, peer(MINE), &[]));
    let to = external(&response);
    assert_eq!(response.lifetime, 3600);
    let mut packet = build::udp(at(HOST, 5000), remote, b"x");
    let out = rig.nat.outbound(rig.now, &mut Packet::new(&mut packet));
    assert_eq!(out, Verdict::Forward);
    let source = Headers::parse(&packet).unwrap().source_endpoint().unwrap();
    assert_eq!(SocketAddr::from(source), to, "the flow that was promised");
    for wished in [3600, 0] {
        let refused = ask(&mut rig, HOST, &request(HOST, wished, peer(THEIRS), &[]));
        assert_eq!(refused.result, ResultCode::NotAuthorized);
        assert_eq!(refused.lifetime, 3600, "as long as the flow is another's");
    }
    for _ in 0..35 {
        rig.pass(Duration::from_secs(100));
        assert_eq!(rig.arrives(STRANGER, to), Some(at(HOST, 5000)));
        assert_eq!(
            rig.arrives("198.51.100.9:3479", to),
            None,
            "it is for one peer"
        );
    }
    assert_eq!(rig.leases()[0].peer, Some(remote));
    for _ in 0..5 {
        rig.pass(Duration::from_secs(100));
    }
    assert!(rig.leases().is_empty());
    assert_eq!(
        rig.arrives(STRANGER, to),
        None,
        "five minutes after the lease"
    );
}

#[test]
fn a_firewall_opens_the_hosts_own_port_in_ipv6() {
    let mut nat = crate::rig::symmetric();
    nat.translation = Translation::None;
    nat.inside = Some(ip("2001:db8:1::1"));
    let mut rig = Rig::with_nat(nat, |_| {});
    let (host, gateway): (IpAddr, IpAddr) = (ip("2001:db8:1::2"), ip("2001:db8:1::1"));
    let wanted = Map {
        external_address: ip("::"),
        ..wish(MINE, 5000, 7000)
    };
    let request = request("2001:db8:1::2", 3600, Body::Map(wanted), &[]);
    let packet = build::udp(
        SocketAddr::new(host, 6000),
        SocketAddr::new(gateway, 5351),
        &request.encode(),
    );
    assert!(
        rig.gateway
            .is_for(&rig.nat, jackfield_nat::Side::Inside, &packet)
    );
    let own = SocketAddr::new(host, 5000);
    assert_eq!(rig.arrives("[2001:db8:2::9]:9", own), None);
    rig.gateway.handle_packet(rig.now, &mut rig.nat, &packet);
    let answer = rig.gateway.poll_transmit().unwrap();
    let response = Response::decode(&answer.data).unwrap();
    assert_eq!(external(&response), own, "a firewall translates nothing");
    assert_eq!(rig.arrives("[2001:db8:2::9]:9", own), Some(own));
}

#[test]
fn a_mapping_of_either_dialect_is_the_same_mapping() {
    let mut rig = Rig::new(|_| {});
    let nat_pmp = [0, 1, 0, 0, 0x13, 0x88, 0x13, 0x88, 0, 0, 0x0e, 0x10];
    assert_eq!(rig.ask(HOST, &nat_pmp)[..4], [0, 0x81, 0, 0]);
    let response = map(&mut rig, HOST, wish(MINE, 5000, 6000), 7200, &[]);
    assert_eq!(external(&response), at(EXTERNAL, 5000));
    assert_eq!(rig.leases().len(), 1);
}

#[test]
fn an_announcement_tells_the_epoch_and_versions_are_negotiated() {
    let mut rig = Rig::new(|config| {
        config.dialects = Dialects {
            pcp: true,
            ..Dialects::NONE
        };
    });
    rig.pass(Duration::from_secs(9));
    let response = ask(&mut rig, HOST, &request(HOST, 0, Body::Announce, &[]));
    assert_eq!((response.result, response.epoch), (ResultCode::Success, 9));
    for version in [0, 1, 3] {
        let answer = rig.ask(HOST, &[version, 1]);
        assert_eq!(answer[..4], [2, 0x81, 0, 1], "version {version}");
    }
    assert_eq!(
        TransportProtocol::from_number(UDP),
        Some(TransportProtocol::Udp)
    );
}

//= https://www.rfc-editor.org/rfc/rfc6887#section-8.2
//# Otherwise, if the version is supported but the received message is shorter than 24 octets,
//# the message is silently dropped.
#[test]
fn a_message_without_a_whole_header_is_not_answered() {
    let mut rig = Rig::new(|_| {});
    let announce = request(HOST, 0, Body::Announce, &[]).encode();
    assert!(rig.ask_all(HOST, &announce[..20]).is_empty());
    assert_eq!(rig.ask_all(HOST, &announce).len(), 1);
}

//= https://www.rfc-editor.org/rfc/rfc6887#section-15.1
//# In requests where the requested Lifetime is 0, the Suggested External Address and
//# Suggested External Port fields MUST be set to zero on transmission and MUST be ignored on
//# reception, and these fields MUST be copied into the assigned external IP address and
//# assigned external port of the response.
#[test]
fn the_answer_to_an_end_repeats_what_was_suggested() {
    let mut rig = Rig::new(|_| {});
    map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &[]);
    for _ in 0..2 {
        let ended = map(&mut rig, HOST, wish(MINE, 5000, 7777), 0, &[]);
        assert_eq!(external(&ended), at("0.0.0.0", 7777));
        assert_eq!(ended.lifetime, 0);
    }
}

//= https://www.rfc-editor.org/rfc/rfc6887#section-15.1
//# If the PCP client attempts to delete a mapping that does not exist, the SUCCESS result
//# code is returned
//= https://www.rfc-editor.org/rfc/rfc6887#section-15.1
//# If the protocol is zero and the internal port is non-zero, then the request is invalid and
//# the PCP server MUST return a MALFORMED_REQUEST error to the client.
#[test]
fn the_end_of_what_does_not_exist_is_a_success_and_that_of_nonsense_is_not() {
    let mut rig = Rig::new(|_| {});
    let mut end = |protocol, internal_port| {
        let base = wish(MINE, internal_port, 0);
        map(&mut rig, HOST, Map { protocol, ..base }, 0, &[]).result
    };
    for (protocol, port) in [(UDP, 0), (0, 0), (132, 5000), (UDP, 5000)] {
        assert_eq!(
            end(protocol, port),
            ResultCode::Success,
            "{protocol} {port}"
        );
    }
    assert_eq!(end(0, 5000), ResultCode::MalformedRequest);
}

//= https://www.rfc-editor.org/rfc/rfc6887#section-11.3
//# If an option with value less than 128 exists (i.e., mandatory to process) but that option
//# does not make sense (e.g., the PREFER_FAILURE option is included in a request with
//# lifetime=0), the request is invalid and generates a MALFORMED_OPTION error.
//= https://www.rfc-editor.org/rfc/rfc6887#section-13.3
//# If a MAP request has a lifetime of 0 and contains the FILTER option, the error
//# MALFORMED_OPTION is returned.
#[test]
fn options_about_a_mapping_make_no_sense_at_its_end() {
    let mut rig = Rig::new(|_| {});
    map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, &[]);
    let filter = PcpOption::Filter(Filter {
        prefix_length: 128,
        remote_port: 0,
        remote_address: ip("192.0.2.1"),
    });
    for option in [PcpOption::PreferFailure, filter] {
        let refused = map(&mut rig, HOST, wish(MINE, 5000, 0), 0, &[option]);
        assert_eq!(refused.result, ResultCode::MalformedOption);
    }
    assert_eq!(rig.leases().len(), 1);
}

/// A NAT whose administrator has given a host a port.
fn administered() -> Rig {
    let mut nat = crate::rig::symmetric();
    nat.forwards = vec![Forward {
        protocol: jackfield_nat::Protocol::Udp,
        external: at(EXTERNAL, 8080).into(),
        internal: at(HOST, 5000).into(),
    }];
    Rig::with_nat(nat, |_| {})
}

//= https://www.rfc-editor.org/rfc/rfc6887#section-11.3
//# If the existing mapping is static (created outside of PCP), the PCP server MUST return the
//# external address and port of the existing mapping in its response and SHOULD indicate a
//# lifetime of 2^32-1 seconds, regardless of the suggested external address and port in the
//# request.
#[test]
fn a_static_mapping_is_told_whatever_was_suggested() {
    let mut rig = administered();
    let told = map(&mut rig, HOST, wish(MINE, 5000, 7000), 3600, &[]);
    assert_eq!(external(&told), at(EXTERNAL, 8080));
    assert_eq!(told.lifetime, u32::MAX);
    let exact = [PcpOption::PreferFailure];
    let refused = map(&mut rig, HOST, wish(MINE, 5000, 7000), 3600, &exact);
    assert_eq!(refused.result, ResultCode::CannotProvideExternal);
    let told = map(&mut rig, HOST, wish(THEIRS, 5000, 8080), 3600, &exact);
    assert_eq!(external(&told), at(EXTERNAL, 8080));
    assert!(rig.leases().is_empty());
}

//= https://www.rfc-editor.org/rfc/rfc6887#section-15.1
//# If the PCP client attempts to delete a static mapping (i.e., a mapping created outside of
//# PCP itself), or an outbound (implicit or PEER-created) mapping, the PCP server MUST return
//# NOT_AUTHORIZED.
#[test]
fn what_no_map_request_has_made_is_not_ended_by_one() {
    let mut rig = administered();
    let refused = map(&mut rig, HOST, wish(MINE, 5000, 0), 0, &[]);
    assert_eq!(refused.result, ResultCode::NotAuthorized);
    let inside = Some(at(HOST, 5000));
    assert_eq!(rig.arrives(STRANGER, at(EXTERNAL, 8080)), inside);
    let mut rig = Rig::with_nat(independent(), |_| {});
    sends(&mut rig, 5001);
    let refused = map(&mut rig, HOST, wish(MINE, 5001, 0), 0, &[]);
    assert_eq!(refused.result, ResultCode::NotAuthorized);
}

/// A NAT with one mapping for all remotes, that lets in only those that were sent to.
fn independent() -> jackfield_nat::NatConfig {
    let mut nat = crate::rig::symmetric();
    nat.udp.mapping = jackfield_nat::Mapping::EndpointIndependent;
    nat
}

/// Sends from a port of the host; returns the outside endpoint.
fn sends(rig: &mut Rig, port: u16) -> SocketAddr {
    let remote = STRANGER.parse().unwrap();
    let mut packet = build::udp(at(HOST, port), remote, b"x");
    let out = rig.nat.outbound(rig.now, &mut Packet::new(&mut packet));
    assert_eq!(out, Verdict::Forward);
    let source = Headers::parse(&packet).unwrap().source_endpoint();
    source.unwrap().into()
}

//= https://www.rfc-editor.org/rfc/rfc6887#section-11.3
//# If the existing mapping is dynamic outbound (created by outgoing traffic or a previous
//# PEER request), the PCP server SHOULD create a new explicit inbound mapping, replicating
//# the ports and addresses from the outbound mapping
#[test]
fn a_mapping_that_packets_have_made_is_taken_over() {
    let mut rig = Rig::with_nat(independent(), |_| {});
    let own = sends(&mut rig, 5000);
    let exact = [PcpOption::PreferFailure];
    let elsewhere = wish(MINE, 5000, own.port() ^ 2);
    let refused = map(&mut rig, HOST, elsewhere, 3600, &exact);
    assert_eq!(refused.result, ResultCode::CannotProvideExternal);
    let given = map(&mut rig, HOST, elsewhere, 3600, &[]);
    assert_eq!(external(&given), own);
    assert_eq!(rig.arrives("192.0.2.1:1", own), Some(at(HOST, 5000)));
}

//= https://www.rfc-editor.org/rfc/rfc6887#section-15
//# A PCP server MUST set the lifetime of a mapping to no less than the remaining time before
//# the mapping would expire if no further outbound traffic is seen for that mapping.
#[test]
fn what_the_host_itself_has_sent_outlives_the_mapping() {
    let mut rig = Rig::with_nat(independent(), |_| {});
    let own = sends(&mut rig, 5000);
    map(&mut rig, HOST, wish(MINE, 5000, 0), 3600, &[]);
    rig.pass(Duration::from_secs(100));
    let ended = map(&mut rig, HOST, wish(MINE, 5000, 0), 0, &[]);
    assert_eq!(ended.result, ResultCode::Success);
    assert!(rig.leases().is_empty());
    assert_eq!(rig.arrives("192.0.2.1:1", own), None, "strangers are out");
    assert_eq!(rig.arrives(STRANGER, own), Some(at(HOST, 5000)));
    // No other host gets the port as long as it is in use.
    let other = map(
        &mut rig,
        OTHER_HOST,
        wish(THEIRS, 5000, own.port()),
        3600,
        &[],
    );
    assert_ne!(external(&other), own);
    rig.pass(Duration::from_secs(200));
    assert_eq!(rig.arrives(STRANGER, own), None, "the idle time is over");
    assert!(rig.nat.is_free(jackfield_nat::Protocol::Udp, own.into()));
}

//= https://www.rfc-editor.org/rfc/rfc6887#section-11.3
//# A PCP server MUST NOT create client mappings for external UDP ports 5350 or 5351.
#[test]
fn the_ports_of_the_protocol_itself_are_not_given_out() {
    let mut rig = Rig::new(|_| {});
    for (internal, port) in [(5000, 5350), (5001, 5351), (5350, 0), (5351, 0)] {
        let given = map(&mut rig, HOST, wish(MINE, internal, port), 3600, &[]);
        assert!(![5350, 5351].contains(&external(&given).port()));
    }
    let tcp = Map {
        protocol: 6,
        ..wish(MINE, 5000, 5351)
    };
    let given = map(&mut rig, HOST, tcp, 3600, &[]);
    assert_eq!(external(&given).port(), 5351, "TCP's are like any other");
}

//= https://www.rfc-editor.org/rfc/rfc6887#section-13.3
//# If there is an existing mapping (with or without a filter) and the server receives a MAP
//# request with FILTER, the filters indicated in the new request are added to any existing
//# filters.
//= https://www.rfc-editor.org/rfc/rfc6887#section-13.3
//# To remove all existing filters, the Prefix Length 0 is used. There is no mechanism to
//# remove a specific filter.
#[test]
fn filters_are_added_to_those_there_are_until_they_are_forgotten() {
    let mut rig = Rig::new(|_| {});
    let filter = |prefix_length, address: &str| {
        PcpOption::Filter(Filter {
            prefix_length,
            remote_port: 0,
            remote_address: ip(address),
        })
    };
    let (one, other, none) = (
        filter(128, "192.0.2.1"),
        filter(128, "192.0.2.2"),
        filter(0, "0.0.0.0"),
    );
    let mut ask = |options: &[PcpOption]| {
        let given = map(&mut rig, HOST, wish(MINE, 5000, 5000), 3600, options);
        let to = external(&given);
        ["192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"].map(|from| rig.arrives(from, to).is_some())
    };
    assert_eq!(ask(std::slice::from_ref(&one)), [true, false, false]);
    assert_eq!(ask(std::slice::from_ref(&other)), [true, true, false]);
    assert_eq!(ask(std::slice::from_ref(&other)), [true, true, false]);
    assert_eq!(ask(&[]), [true, true, false], "none: no change");
    assert_eq!(ask(&[none.clone(), other]), [false, true, false]);
    assert_eq!(ask(&[none]), [true; 3]);
}

//= https://www.rfc-editor.org/rfc/rfc6887#section-12.3
//# If no matching mapping is found, and the suggested external address and port are either
//# zero or can be honored for the specified TransportProtocol, a new mapping is created.
//= https://www.rfc-editor.org/rfc/rfc6887#section-12.3
//# If no matching mapping is found, and the suggested external address and port cannot be
//# honored, then no new state is created, and the error CANNOT_PROVIDE_EXTERNAL is returned.
#[test]
fn a_peer_gets_the_outside_endpoint_that_it_had_or_none() {
    for nat in [crate::rig::symmetric(), independent()] {
        let mut rig = Rig::with_nat(nat, |_| {});
        let remote: SocketAddr = STRANGER.parse().unwrap();
        let peer = |rig: &mut Rig, host: &str, port: u16, suggested: u16| {
            let body = Body::Peer(Peer {
                map: wish(MINE, port, suggested),
                remote_port: remote.port(),
                remote_address: remote.ip(),
            });
            ask(rig, host, &request(host, 3600, body, &[]))
        };
        let given = peer(&mut rig, HOST, 5000, 7000);
        assert_eq!(external(&given), at(EXTERNAL, 7000));
        assert_eq!(sends(&mut rig, 5000), at(EXTERNAL, 7000));
        let stranger = rig.arrives("192.0.2.1:1", at(EXTERNAL, 7000));
        assert_eq!(stranger, None, "it is for the peer");
        let again = peer(&mut rig, HOST, 5000, 7002);
        assert_eq!(external(&again), at(EXTERNAL, 7000), "an earlier one stays");
        let refused = peer(&mut rig, OTHER_HOST, 5000, 7000);
        assert_eq!(refused.result, ResultCode::CannotProvideExternal);
        assert_eq!(rig.nat.mapping_count(), 1, "no new state");
        rig.pass(Duration::from_secs(3600));
        rig.pass(Duration::from_secs(300));
        assert_eq!(rig.nat.mapping_count(), 0);
    }
}
