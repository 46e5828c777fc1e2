//! NAT-PMP against the gateway (RFC 6886).

use std::time::Duration;

use jackfield_portmap::nat_pmp::{Answer, Request, Response, ResultCode};
use jackfield_portmap::{Dialect, Dialects, TransportProtocol};

use crate::rig::{EXTERNAL, HOST, OTHER_HOST, Rig, STRANGER, at, ip};

/// Asks for a mapping; returns the result, the outside port and the lifetime.
fn map(
    rig: &mut Rig,
    host: &str,
    protocol: TransportProtocol,
    internal_port: u16,
    suggested_port: u16,
    lifetime: u32,
) -> (ResultCode, u16, u32) {
    let request = Request::Map {
        protocol,
        internal_port,
        suggested_port,
        lifetime,
    };
    let response = Response::decode(&rig.ask(host, &request.encode())).unwrap();
    let Answer::Map {
        protocol: about,
        internal_port: of,
        external_port,
        lifetime,
    } = response.answer
    else {
        panic!("{response:?}");
    };
    assert_eq!((about, of), (protocol, internal_port));
    (response.result, external_port, lifetime)
}

const UDP: TransportProtocol = TransportProtocol::Udp;
const OK: ResultCode = ResultCode::Success;

#[test]
fn the_outside_address_is_told_with_the_age_of_the_table() {
    let mut rig = Rig::new(|_| {});
    rig.pass(Duration::from_secs(77));
    let bytes = rig.ask(HOST, &Request::ExternalAddress.encode());
    let expected = Response {
        result: OK,
        epoch: 77,
        answer: Answer::ExternalAddress(EXTERNAL.parse().unwrap()),
    };
    assert_eq!(Response::decode(&bytes), Ok(expected));
}

#[test]
fn a_mapped_port_lets_strangers_in_through_a_symmetric_nat() {
    let mut rig = Rig::new(|_| {});
    assert_eq!(rig.arrives(STRANGER, at(EXTERNAL, 5000)), None);
    assert_eq!(map(&mut rig, HOST, UDP, 5000, 5000, 3600), (OK, 5000, 3600));
    assert_eq!(
        rig.arrives(STRANGER, at(EXTERNAL, 5000)),
        Some(at(HOST, 5000))
    );
    assert_eq!(
        rig.syn_arrives(STRANGER, at(EXTERNAL, 5000)),
        None,
        "TCP was not asked for"
    );
    assert_eq!(
        map(&mut rig, HOST, TransportProtocol::Tcp, 5000, 5000, 3600),
        (OK, 5000, 3600)
    );
    assert_eq!(
        rig.syn_arrives(STRANGER, at(EXTERNAL, 5000)),
        Some(at(HOST, 5000))
    );
    let lease = &rig.leases()[0];
    assert_eq!(
        (lease.internal, lease.dialect),
        (at(HOST, 5000), Dialect::NatPmp)
    );
}

//= https://www.rfc-editor.org/rfc/rfc6886#section-3.3
//# While a NAT gateway MUST NOT automatically create mappings for TCP when the client
//# requests UDP, and vice versa, the NAT gateway MUST reserve the companion port so the same
//# client can choose to map it in the future.
#[test]
fn a_taken_port_is_answered_with_another_one() {
    let mut rig = Rig::new(|_| {});
    assert_eq!(map(&mut rig, HOST, UDP, 5000, 5000, 3600).1, 5000);
    let (result, port, _) = map(&mut rig, OTHER_HOST, UDP, 5000, 5000, 3600);
    assert_eq!(result, OK);
    assert_ne!(port, 5000);
    assert_eq!(
        rig.arrives(STRANGER, at(EXTERNAL, port)),
        Some(at(OTHER_HOST, 5000))
    );
    // The same number of TCP stays with the host that has it for UDP.
    assert_ne!(
        map(
            &mut rig,
            OTHER_HOST,
            TransportProtocol::Tcp,
            5000,
            5000,
            3600
        )
        .1,
        5000
    );
    assert_eq!(
        map(&mut rig, HOST, TransportProtocol::Tcp, 5000, 5000, 3600).1,
        5000
    );
}

#[test]
fn asking_again_prolongs_the_mapping_and_keeps_its_port() {
    let mut rig = Rig::new(|_| {});
    assert_eq!(map(&mut rig, HOST, UDP, 5000, 7000, 600), (OK, 7000, 600));
    rig.pass(Duration::from_secs(500));
    assert_eq!(map(&mut rig, HOST, UDP, 5000, 8000, 600), (OK, 7000, 600));
    rig.pass(Duration::from_secs(500));
    assert_eq!(
        rig.arrives(STRANGER, at(EXTERNAL, 7000)),
        Some(at(HOST, 5000))
    );
    rig.pass(Duration::from_secs(101));
    assert_eq!(rig.arrives(STRANGER, at(EXTERNAL, 7000)), None);
    assert!(rig.leases().is_empty());
    assert_eq!(rig.gateway.counters().expired, 1);
}

//= https://www.rfc-editor.org/rfc/rfc6886#section-3.3
//# The NAT gateway MAY reduce the lifetime from what the client requested. The NAT gateway
//# SHOULD NOT offer a lease lifetime greater than that requested by the client.
#[test]
fn no_lease_is_longer_than_asked_for_or_than_a_day() {
    let mut rig = Rig::new(|_| {});
    for asked in [1, 60, 3600] {
        assert_eq!(map(&mut rig, HOST, UDP, 5000, 0, asked).2, asked);
    }
    assert_eq!(map(&mut rig, HOST, UDP, 5000, 0, u32::MAX).2, 86_400);
}

//= https://www.rfc-editor.org/rfc/rfc6886#section-3.4
//# The NAT gateway MUST respond to a request to destroy a mapping that does not exist as if
//# the request were successful.
#[test]
fn a_lifetime_of_zero_ends_a_mapping_and_its_absence_is_no_error() {
    let mut rig = Rig::new(|_| {});
    map(&mut rig, HOST, UDP, 5000, 5000, 3600);
    assert_eq!(map(&mut rig, OTHER_HOST, UDP, 5000, 0, 0), (OK, 0, 0));
    assert_eq!(
        rig.arrives(STRANGER, at(EXTERNAL, 5000)),
        Some(at(HOST, 5000))
    );
    assert_eq!(map(&mut rig, HOST, UDP, 5000, 0, 0), (OK, 0, 0));
    assert_eq!(rig.arrives(STRANGER, at(EXTERNAL, 5000)), None);
    assert_eq!(map(&mut rig, HOST, UDP, 5000, 0, 0), (OK, 0, 0));
}

//= https://www.rfc-editor.org/rfc/rfc6886#section-3.4
//# After receiving such a deletion request, the gateway MUST delete all its UDP or TCP port
//# mappings (depending on the opcode).
#[test]
fn an_internal_port_of_zero_ends_all_of_the_hosts_mappings_of_the_protocol() {
    let mut rig = Rig::new(|_| {});
    for port in [5000, 5001, 5002] {
        map(&mut rig, HOST, UDP, port, port, 3600);
    }
    map(&mut rig, HOST, TransportProtocol::Tcp, 5000, 5000, 3600);
    map(&mut rig, OTHER_HOST, UDP, 6000, 6000, 3600);
    assert_eq!(map(&mut rig, HOST, UDP, 0, 0, 0), (OK, 0, 0));
    let left: Vec<_> = rig
        .leases()
        .iter()
        .map(|lease| lease.external.port())
        .collect();
    assert_eq!(left, [6000, 5000]);
}

#[test]
fn a_host_has_its_quota_and_cannot_take_that_of_others() {
    let mut rig = Rig::new(|config| {
        config.leases_per_host = 2;
        config.leases = 3;
    });
    assert_eq!(map(&mut rig, HOST, UDP, 1, 0, 600).0, OK);
    assert_eq!(map(&mut rig, HOST, UDP, 2, 0, 600).0, OK);
    let refused = ResultCode::OutOfResources;
    assert_eq!(map(&mut rig, HOST, UDP, 3, 0, 600), (refused, 0, 0));
    assert_eq!(rig.gateway.counters().over_quota, 1);
    assert_eq!(map(&mut rig, OTHER_HOST, UDP, 1, 0, 600).0, OK);
    assert_eq!(map(&mut rig, OTHER_HOST, UDP, 2, 0, 600).0, refused);
    assert_eq!(rig.gateway.counters().no_resources, 1);
    assert_eq!(
        map(&mut rig, HOST, UDP, 2, 0, 600).0,
        OK,
        "renewing goes on"
    );
}

#[test]
fn ports_that_are_not_to_be_given_out_are_not() {
    let mut rig = Rig::new(|config| {
        config.denied_ports = vec![5000..=5000, 8000..=8999];
        config.external_ports = 8000..=9001;
    });
    let refused = ResultCode::NotAuthorized;
    assert_eq!(map(&mut rig, HOST, UDP, 5000, 9000, 600).0, refused);
    assert_eq!(map(&mut rig, HOST, UDP, 0, 9000, 600).0, refused);
    let (_, port, _) = map(&mut rig, HOST, UDP, 5001, 8500, 600);
    assert!([9000, 9001].contains(&port));
    let (_, port, _) = map(&mut rig, HOST, UDP, 5002, 8500, 600);
    assert!([9000, 9001].contains(&port));
    let full = ResultCode::OutOfResources;
    assert_eq!(map(&mut rig, HOST, UDP, 5003, 8500, 600).0, full);
}

#[test]
fn a_flood_of_requests_is_cut_off_for_its_sender_alone() {
    let mut rig = Rig::new(|config| config.requests_per_second = 5);
    let question = Request::ExternalAddress.encode();
    for _ in 0..5 {
        rig.ask(HOST, &question);
    }
    assert!(rig.ask_all(HOST, &question).is_empty());
    assert_eq!(rig.gateway.counters().rate_limited, 1);
    rig.ask(OTHER_HOST, &question);
    rig.pass(Duration::from_secs(1));
    rig.ask(HOST, &question);
}

#[test]
fn requests_from_outside_are_counted_and_never_answered() {
    let mut rig = Rig::new(|_| {});
    for to in [at(EXTERNAL, 5351), at("192.168.1.1", 5351)] {
        assert_eq!(rig.arrives("192.168.1.2:6000", to), None);
    }
    assert_eq!(rig.gateway.counters().from_outside, 2);
    assert_eq!(rig.gateway.poll_packet(), None);
}

//= https://www.rfc-editor.org/rfc/rfc6886#section-3.2.1
//# To accommodate packet loss, the NAT gateway SHOULD multicast 10 address notifications. The
//# interval between the first two notifications SHOULD be 250 ms, and the interval between
//# each subsequent notification SHOULD double.
#[test]
fn a_reboot_of_the_nat_begins_a_new_epoch_and_is_announced() {
    let mut rig = Rig::new(|config| {
        config.announcements = 10;
        config.dialects.upnp = false;
    });
    map(&mut rig, HOST, UDP, 5000, 5000, 3600);
    rig.pass(Duration::from_secs(500));
    while rig.gateway.poll_transmit().is_some() {}
    rig.nat.renumber(vec![ip("203.0.113.7")]);
    rig.pass(Duration::from_secs(10));
    assert!(rig.leases().is_empty());
    assert_eq!(rig.gateway.counters().lost, 1);
    let first = rig.gateway.poll_transmit().unwrap();
    assert_eq!(first.destination, at("224.0.0.1", 5350));
    assert_eq!(first.source, at("192.168.1.1", 5351));
    let told = Response::decode(&first.data).unwrap();
    assert_eq!(told.epoch, 0);
    assert_eq!(
        told.answer,
        Answer::ExternalAddress("203.0.113.7".parse().unwrap())
    );
    let pcp = rig.gateway.poll_transmit().unwrap();
    assert_eq!(pcp.data[..4], [2, 0x80, 0, 0]);
    let before = rig.gateway.counters().announced - 2;
    for _ in 0..60 {
        rig.pass(Duration::from_secs(5));
    }
    let announced = rig.gateway.counters().announced - before;
    assert_eq!(announced, 2 * 10, "ten times in each dialect");
}

#[test]
fn a_gateway_without_an_outside_address_says_so() {
    let mut nat = crate::rig::symmetric();
    nat.externals.clear();
    let mut rig = Rig::with_nat(nat, |_| {});
    let bytes = rig.ask(HOST, &Request::ExternalAddress.encode());
    let response = Response::decode(&bytes).unwrap();
    assert_eq!(response.result, ResultCode::NetworkFailure);
    let failed = ResultCode::NetworkFailure;
    assert_eq!(map(&mut rig, HOST, UDP, 5000, 5000, 3600).0, failed);
}

//= https://www.rfc-editor.org/rfc/rfc6886#section-3.5
//# If the version in the request is not zero, then the NAT-PMP server MUST return the
//# following "Unsupported Version" error response to the client:
#[test]
fn without_pcp_a_pcp_request_is_answered_with_the_version() {
    let mut rig = Rig::new(|config| {
        config.dialects = Dialects {
            nat_pmp: true,
            ..Dialects::NONE
        };
    });
    assert_eq!(rig.ask(HOST, &[2, 1, 0, 0]), [0, 0x81, 0, 1, 0, 0, 0, 0]);
    assert!(rig.ask_all(HOST, &[2, 0x81, 0, 0]).is_empty());
    assert!(rig.ask_all(HOST, &[]).is_empty());
}

#[test]
fn without_any_dialect_the_port_is_unreachable() {
    let mut rig = Rig::new(|config| config.dialects = Dialects::NONE);
    let from = at(HOST, 6000);
    let packet = jackfield_nat::packet::build::udp(from, at("192.168.1.1", 5351), &[0, 0]);
    rig.gateway.handle_packet(rig.now, &mut rig.nat, &packet);
    let error = rig.gateway.poll_packet().unwrap();
    assert!(jackfield_nat::packet::describe(&error).starts_with("ICMP port unreachable"));
}

//= https://www.rfc-editor.org/rfc/rfc6886#section-3.4
//# If the client attempts to delete a port mapping that was manually assigned by some kind of
//# configuration tool, the NAT gateway MUST respond with a "Not Authorized" error, result
//# code 2.
//= https://www.rfc-editor.org/rfc/rfc6886#section-3.4
//# If the gateway is unable to delete a port mapping, for example, because the mapping was
//# manually configured by the administrator, the gateway MUST still delete as many port
//# mappings as possible, but respond with a non-zero result code.
#[test]
fn what_is_not_to_be_ended_stays_and_is_told() {
    let mut nat = crate::rig::symmetric();
    nat.forwards = vec![jackfield_nat::Forward {
        protocol: jackfield_nat::Protocol::Udp,
        external: at(EXTERNAL, 8080).into(),
        internal: at(HOST, 5000).into(),
    }];
    let mut rig = Rig::with_nat(nat, |_| {});
    let refused = (ResultCode::NotAuthorized, 0, 0);
    assert_eq!(map(&mut rig, HOST, UDP, 5000, 0, 0), refused);
    map(&mut rig, HOST, UDP, 5001, 5001, 3600);
    assert_eq!(map(&mut rig, HOST, UDP, 0, 0, 0), refused, "of all");
    assert!(rig.leases().is_empty(), "the others end");
    assert_eq!(rig.arrives(STRANGER, at(EXTERNAL, 5001)), None);
    let inside = Some(at(HOST, 5000));
    assert_eq!(rig.arrives(STRANGER, at(EXTERNAL, 8080)), inside);
    assert_eq!(map(&mut rig, OTHER_HOST, UDP, 0, 0, 0), (OK, 0, 0));
}

//= https://www.rfc-editor.org/rfc/rfc6886#section-3.3
//# If a mapping already exists for a given internal address and port (whether that mapping
//# was created explicitly using NAT-PMP, implicitly as a result of an outgoing TCP SYN
//# packet, or manually by a human administrator) and that client requests another mapping for
//# the same internal port (possibly requesting a different external port), then the mapping
//# request should succeed, returning the already-assigned external port.
#[test]
fn a_port_that_the_host_has_already_is_told() {
    let mut nat = crate::rig::symmetric();
    nat.udp.mapping = jackfield_nat::Mapping::EndpointIndependent;
    nat.forwards = vec![jackfield_nat::Forward {
        protocol: jackfield_nat::Protocol::Udp,
        external: at(EXTERNAL, 8080).into(),
        internal: at(HOST, 5001).into(),
    }];
    let mut rig = Rig::with_nat(nat, |_| {});
    let remote = STRANGER.parse().unwrap();
    let mut packet = jackfield_nat::packet::build::udp(at(HOST, 5000), remote, b"x");
    let mut out = jackfield_nat::packet::Packet::new(&mut packet);
    assert_eq!(
        rig.nat.outbound(rig.now, &mut out),
        jackfield_nat::Verdict::Forward
    );
    let own = rig.nat.mappings().find(|it| it.internal.port == 5000);
    let own = own.unwrap().external.port;
    assert_eq!(map(&mut rig, HOST, UDP, 5000, own ^ 2, 600), (OK, own, 600));
    assert_eq!(map(&mut rig, HOST, UDP, 5001, 7000, 600), (OK, 8080, 600));
}

//= https://www.rfc-editor.org/rfc/rfc6886#section-3.8
//# A network device that is capable of NAT (and NAT-PMP) but is currently configured not to
//# perform that function (e.g., it is acting as a traditional IP router, forwarding packets
//# without modifying them) MUST NOT respond to NAT-PMP requests from clients nor send
//# spontaneous NAT-PMP address-change announcements.
//= https://www.rfc-editor.org/rfc/rfc6886#section-3.8
//# If a network device not currently acting in the role of NAT gateway receives UDP packets
//# addressed to port 5351, it SHOULD respond immediately with an "ICMP Port Unreachable"
//# message to tell the client that it needn't continue with timeouts and retransmissions, and
//# it should assume that NAT-PMP is not available and not needed on this network.
#[test]
fn a_firewall_that_is_no_nat_does_not_speak_nat_pmp() {
    let mut nat = crate::rig::symmetric();
    nat.translation = jackfield_nat::Translation::None;
    let mut rig = Rig::with_nat(nat, |config| {
        config.dialects = Dialects {
            nat_pmp: true,
            ..Dialects::NONE
        };
        config.announcements = 10;
    });
    let packet = jackfield_nat::packet::build::udp(
        at(HOST, 6000),
        at("192.168.1.1", 5351),
        &Request::ExternalAddress.encode(),
    );
    rig.gateway.handle_packet(rig.now, &mut rig.nat, &packet);
    let error = rig.gateway.poll_packet().unwrap();
    assert!(jackfield_nat::packet::describe(&error).starts_with("ICMP port unreachable"));
    rig.pass(Duration::from_secs(600));
    assert_eq!(rig.gateway.poll_packet(), None, "nothing is announced");
}
