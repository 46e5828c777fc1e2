//! Stateful NAT64 (RFC 6146), with the addresses of RFC 6052 and the packets of RFC 7915, on the
//! wire.
//!
//! What RFC 4787, 5382 and 5508 ask for is asked of the profile `nat64` as of every other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_nat::packet::{Headers, IcmpError, Packet, build, protocol, verify};
use jackfield_nat::profile::Profile;
use jackfield_nat::{
    DropReason, Filtering, HoldReason, Nat, NatConfig, OriginatedPacket, Prefix, Refusal, Side,
    Translation, Verdict,
};
use jackfield_testing::epoch;

use crate::rig::{ACK, FIN, RST, SYN, SYN_ACK};

const HOST: &str = "[2001:db8:1::10]:5000";
const OTHER: &str = "[2001:db8:2::11]:5000";
const SERVER: &str = "198.51.100.7:80";
const EXTERNAL: &str = "203.0.113.1";
const ROUTER: &str = "192.0.2.254";

/// A NAT64, told the time by hand.
struct Gateway {
    nat: Nat,
    now: Instant,
    sent: Vec<OriginatedPacket>,
}

impl Gateway {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut NatConfig)) -> Self {
        let mut config = Profile::NAT64.config(&[EXTERNAL.parse().unwrap()]);
        config.inside = Some("2001:db8:1::1".parse().unwrap());
        change(&mut config);
        Self {
            nat: Nat::new(config, [9; 32]),
            now: epoch(),
            sent: Vec::new(),
        }
    }

    fn pass(&mut self, from: Side, bytes: &[u8]) -> Result<Vec<u8>, Verdict> {
        let mut buffer = [&[0; Packet::HEADROOM], bytes].concat();
        let mut packet = Packet::with_headroom(&mut buffer, Packet::HEADROOM);
        let verdict = match from {
            Side::Inside => self.nat.outbound(self.now, &mut packet),
            Side::Outside => self.nat.inbound(self.now, &mut packet),
        };
        let bytes = packet.bytes().to_vec();
        self.sent = std::iter::from_fn(|| self.nat.poll_transmit()).collect();
        match verdict {
            Verdict::Forward | Verdict::Hairpin => Ok(bytes),
            verdict => Err(verdict),
        }
    }

    fn out(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Verdict> {
        self.pass(Side::Inside, bytes)
    }

    fn back(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Verdict> {
        self.pass(Side::Outside, bytes)
    }

    /// Sends UDP from a host to a server; returns the outside endpoint.
    fn open(&mut self, from: &str, to: &str) -> SocketAddr {
        let bytes = self.out(&build::udp(at(from), six(to), b"open")).unwrap();
        source(&bytes)
    }

    fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(at) = self.nat.next_timeout().filter(|at| *at <= end) {
            self.now = at;
            self.nat.handle_timeout(at);
        }
        self.now = end;
        self.sent = std::iter::from_fn(|| self.nat.poll_transmit()).collect();
    }
}

#[test]
fn section_3_5_1_udp_leaves_as_ipv4_and_answers_come_back_as_ipv6() {
    let mut gateway = Gateway::new();
    let mut bytes = build::udp(at(HOST), six(SERVER), b"hello");
    bytes[0] = 0x6b; // traffic class 0xb8
    bytes[1] = 0x8f; // and some of a flow label
    let out = gateway.out(&bytes).unwrap();
    verify(&out).unwrap();
    let (ip, _) = etherparse::Ipv4Header::from_slice(&out).unwrap();
    assert_eq!(ip.source, [203, 0, 113, 1]);
    assert_eq!(ip.destination, [198, 51, 100, 7]);
    assert_eq!((ip.dscp.value(), ip.ecn.value()), (0xb8 >> 2, 0));
    assert_eq!(ip.time_to_live, build::TTL - 1);
    assert!(!ip.dont_fragment, "it fits every IPv6 link");
    assert_eq!(&out[28..], b"hello");
    let back = gateway
        .back(&build::udp(at(SERVER), source(&out), b"answer"))
        .unwrap();
    verify(&back).unwrap();
    assert_eq!(source(&back), six(SERVER));
    assert_eq!(destination(&back), at(HOST));
    assert_eq!(&back[48..], b"answer");
}

//= https://www.rfc-editor.org/rfc/rfc6146#section-3.5.1
//# If the NAT64 applies Address-Dependent Filters on its IPv4 interface, then the NAT64
//# checks to see if the incoming packet is allowed according to the Address-Dependent
//# Filtering rule.
#[test]
fn section_3_5_1_a_binding_is_one_for_all_remotes_and_lets_them_in_by_the_filter() {
    for filtering in Filtering::ALL {
        let mut gateway = Gateway::with(|config| config.udp.filtering = filtering);
        let external = gateway.open(HOST, SERVER);
        assert_eq!(gateway.open(HOST, "192.0.2.9:53"), external);
        let enters = |gateway: &mut Gateway, from| {
            let bytes = build::udp(at(from), external, b"?");
            gateway.back(&bytes).is_ok()
        };
        assert!(enters(&mut gateway, SERVER));
        assert_eq!(
            enters(&mut gateway, "198.51.100.7:81"),
            filtering != Filtering::AddressAndPortDependent
        );
        assert_eq!(
            enters(&mut gateway, "198.51.100.8:80"),
            filtering == Filtering::EndpointIndependent
        );
    }
}

#[test]
fn section_3_5_2_tcp_is_followed_through_its_life() {
    let mut gateway = Gateway::new();
    let (host, server) = (at(HOST), at(SERVER));
    let syn = gateway
        .out(&build::tcp(host, six(SERVER), SYN, b""))
        .unwrap();
    let external = source(&syn);
    for (flags, wait) in [(SYN_ACK, 0), (ACK, 7000), (ACK, 7000)] {
        gateway.wait(Duration::from_secs(wait));
        let bytes = build::tcp(server, external, flags, b"");
        assert!(gateway.back(&bytes).is_ok(), "TCP_EST is 2 h 4 min");
    }
    gateway
        .out(&build::tcp(host, six(SERVER), FIN, b""))
        .unwrap();
    gateway
        .back(&build::tcp(server, external, FIN, b""))
        .unwrap();
    gateway.wait(Duration::from_secs(239));
    assert_eq!(gateway.nat.flow_count(), 1);
    gateway.wait(Duration::from_secs(1));
    assert_eq!(gateway.nat.flow_count(), 0, "TCP_TRANS is 4 min");
    gateway
        .out(&build::tcp(host, six(SERVER), SYN, b""))
        .unwrap();
    gateway
        .back(&build::tcp(server, external, SYN_ACK, b""))
        .ok();
    gateway
        .out(&build::tcp(host, six(SERVER), RST, b""))
        .unwrap();
    gateway.wait(Duration::from_secs(240));
    assert_eq!(gateway.nat.mapping_count(), 0);
}

//= https://www.rfc-editor.org/rfc/rfc6146#section-3.5.2.2
//# If the NAT64 is not performing Address-Dependent Filtering, the lifetime of the STE is set
//# to at least TCP_TRANS (the transitory connection idle timeout as defined in [RFC5382]),
//# and it translates and forwards the packet as described in the following sections.
#[test]
fn section_3_5_2_2_a_connection_from_outside_has_four_minutes_to_be_answered() {
    let mut gateway = Gateway::new();
    let external = gateway.out(&build::tcp(at(HOST), six(SERVER), SYN, b""));
    let external = source(&external.unwrap());
    gateway.wait(Duration::from_secs(10));
    let stranger = at("192.0.2.9:4242");
    let syn = build::tcp(stranger, external, SYN, b"");
    assert_eq!(destination(&gateway.back(&syn).unwrap()), at(HOST));
    assert_eq!(gateway.nat.flow_count(), 2);
    gateway.wait(Duration::from_secs(239));
    assert_eq!(gateway.nat.flow_count(), 1, "only the first has ended");
    gateway.wait(Duration::from_secs(1));
    assert_eq!(gateway.nat.flow_count(), 0, "TCP_TRANS is 4 min");
    gateway
        .out(&build::tcp(at(HOST), six(SERVER), SYN, b""))
        .unwrap();
    let external = gateway.nat.mappings().next().unwrap().external;
    let syn = build::tcp(stranger, external.into(), SYN, b"");
    gateway.back(&syn).unwrap();
    let answer = build::tcp(at(HOST), six("192.0.2.9:4242"), SYN_ACK, b"");
    gateway.out(&answer).unwrap();
    gateway.wait(Duration::from_secs(7000));
    assert_eq!(gateway.nat.flow_count(), 1, "an answered one stays");
}

//= https://www.rfc-editor.org/rfc/rfc6146#section-3.5.2.2
//# If the lifetime expires, then the NAT64 SHOULD send a probe packet (as defined next) to at
//# least one of the endpoints of the TCP connection. The probe packet is a TCP segment for
//# the connection with no data. The sequence number and the acknowledgment number are set to
//# zero. All flags but the ACK flag are set to zero. The state is moved to TRANS.
#[test]
fn section_3_5_2_2_the_end_of_an_idle_connection_is_asked_whether_it_lives() {
    let mut gateway = Gateway::new();
    let (host, server) = (at(HOST), at(SERVER));
    let syn = gateway.out(&build::tcp(host, six(SERVER), SYN, b""));
    let external = source(&syn.unwrap());
    gateway
        .back(&build::tcp(server, external, SYN_ACK, b""))
        .unwrap();
    gateway.wait(Duration::from_secs(7199));
    assert_eq!(gateway.sent, []);
    gateway.wait(Duration::from_secs(1));
    let probe = &gateway.sent[0];
    assert_eq!(probe.side, Side::Inside);
    assert_eq!(
        (source(&probe.bytes), destination(&probe.bytes)),
        (six(SERVER), host)
    );
    assert_eq!(probe.bytes[44..52], [0; 8], "both numbers are zero");
    assert_eq!((probe.bytes[53], probe.bytes.len()), (ACK.0, 60));
    // The host answers, and two more hours begin.
    gateway.wait(Duration::from_secs(239));
    gateway
        .out(&build::tcp(host, six(SERVER), ACK, b""))
        .unwrap();
    gateway.wait(Duration::from_secs(7199));
    assert_eq!((gateway.sent.len(), gateway.nat.flow_count()), (0, 1));
    // Now it does not.
    gateway.wait(Duration::from_secs(1));
    assert_eq!((gateway.sent.len(), gateway.nat.flow_count()), (1, 1));
    gateway.wait(Duration::from_secs(239));
    assert_eq!(gateway.nat.flow_count(), 1);
    gateway.wait(Duration::from_secs(1));
    assert_eq!(gateway.nat.flow_count(), 0);
}

//= https://www.rfc-editor.org/rfc/rfc6146#section-3.5.2.2
//# If any packet other than the V6 FIN is received, the packet is translated and forwarded.
//# The lifetime of the TCP Session Table Entry is set to at least the maximum session
//# lifetime.
#[test]
fn section_3_5_2_2_a_reset_after_a_fin_starts_the_short_timer() {
    let mut gateway = Gateway::new();
    let (host, server) = (at(HOST), at(SERVER));
    let syn = gateway.out(&build::tcp(host, six(SERVER), SYN, b""));
    let external = source(&syn.unwrap());
    gateway
        .back(&build::tcp(server, external, SYN_ACK, b""))
        .unwrap();
    gateway
        .out(&build::tcp(host, six(SERVER), FIN, b""))
        .unwrap();
    gateway
        .back(&build::tcp(server, external, RST, b""))
        .unwrap();
    gateway.wait(Duration::from_secs(240));
    assert_eq!(gateway.nat.flow_count(), 0);
}

//= https://www.rfc-editor.org/rfc/rfc6146#section-3.5.2.2
//# If there is a corresponding entry in the TCP BIB, the packet SHOULD be translated and
//# forwarded if the security policy allows doing so.
#[test]
fn section_3_5_2_2_what_starts_no_connection_and_belongs_to_none_is_dropped() {
    let mut gateway = Gateway::new();
    let syn = gateway.out(&build::tcp(at(HOST), six(SERVER), SYN, b""));
    let external = source(&syn.unwrap());
    let dropped = Err(Verdict::Drop(DropReason::TcpOutOfState));
    let stray = build::tcp(at("192.0.2.9:4242"), external, ACK, b"");
    assert_eq!(gateway.back(&stray), dropped);
    let stray = build::tcp(at(HOST), six("192.0.2.9:4242"), ACK, b"");
    assert_eq!(gateway.out(&stray), dropped);
}

//= https://www.rfc-editor.org/rfc/rfc6146#section-3.4
//# If the incoming packet is an IPv6 packet that contains a protocol other than TCP, UDP, or
//# ICMPv6 in the last Next Header, then the packet SHOULD be discarded and, if the security
//# policy permits, the NAT64 SHOULD send an ICMPv6 Destination Unreachable error message with
//# Code 4 (Port Unreachable) to the source address of the received packet.
//= https://www.rfc-editor.org/rfc/rfc6146#section-3.4
//# If the incoming packet is an IPv4 packet that contains a protocol other than TCP, UDP, or
//# ICMPv4, then the packet SHOULD be discarded and, if the security policy permits, the NAT64
//# SHOULD send an ICMPv4 Destination Unreachable error message with Code 2 (Protocol
//# Unreachable) to the source address of the received packet.
#[test]
fn section_3_4_other_protocols_are_refused_aloud() {
    let mut gateway = Gateway::new();
    let dropped = Err(Verdict::Drop(DropReason::UnknownProtocol));
    let sctp = build::ip(at(HOST).ip(), six(SERVER).ip(), 132, &[0; 12]);
    assert_eq!(gateway.out(&sctp), dropped);
    assert_eq!(gateway.sent[0].bytes[40..42], [1, 4]);
    let sctp = build::ip(at(SERVER).ip(), EXTERNAL.parse().unwrap(), 132, &[0; 12]);
    assert_eq!(gateway.back(&sctp), dropped);
    assert_eq!(gateway.sent[0].bytes[20..22], [3, 2]);
    let mut gateway = Gateway::with(|config| config.refusal = Refusal::Silent);
    let sctp = build::ip(at(HOST).ip(), six(SERVER).ip(), 132, &[0; 12]);
    assert_eq!(gateway.out(&sctp), dropped);
    assert_eq!(gateway.sent, []);
}

//= https://www.rfc-editor.org/rfc/rfc6146#section-3.5.2.2
//# If the NAT64 is performing Address-Dependent Filtering, the lifetime of the STE entry is
//# set to TCP_INCOMING_SYN as per [RFC5382], and the packet is stored.
//= https://www.rfc-editor.org/rfc/rfc6146#section-3.5.2.2
//# If the lifetime expires, an ICMP Port Unreachable error (Type 3, Code 3) containing the
//# IPv4 SYN packet stored is sent back to the source of the v4 SYN, the Session Table Entry
//# is deleted, and the state is moved to CLOSED.
#[test]
fn section_3_5_2_2_an_unsolicited_syn_waits_six_seconds_for_one_from_inside() {
    let mut gateway = Gateway::with(|config| config.tcp.filtering = Filtering::AddressDependent);
    let external = gateway.out(&build::tcp(at(HOST), six(SERVER), SYN, b""));
    let external = source(&external.unwrap());
    let stranger = "192.0.2.9:4242";
    let syn = build::tcp(at(stranger), external, SYN, b"");
    assert_eq!(
        gateway.back(&syn),
        Err(Verdict::Hold(HoldReason::UnsolicitedSyn))
    );
    gateway
        .out(&build::tcp(at(HOST), six(stranger), SYN, b""))
        .unwrap();
    gateway.wait(Duration::from_secs(6));
    assert_eq!(gateway.sent, [], "a simultaneous open");
    let other = build::tcp(at("192.0.2.8:4242"), external, SYN, b"");
    assert!(gateway.back(&other).is_err());
    gateway.wait(Duration::from_secs(6));
    assert_eq!(&gateway.sent[0].bytes[20..22], [3, 3], "port unreachable");
}

#[test]
fn section_3_5_3_pings_are_translated_and_other_queries_are_not() {
    let mut gateway = Gateway::new();
    let (host, server) = (at(HOST).ip(), at(SERVER).ip());
    let ping = build::echo(host, six(SERVER).ip(), 7, 3, false, b"ping");
    let out = gateway.out(&ping).unwrap();
    verify(&out).unwrap();
    assert_eq!((out[9], out[20], out[21]), (protocol::ICMP, 8, 0));
    let external = source(&out);
    let pong = build::echo(server, external.ip(), external.port(), 3, true, b"ping");
    let back = gateway.back(&pong).unwrap();
    verify(&back).unwrap();
    assert_eq!((back[6], back[40]), (protocol::ICMPV6, 129));
    assert_eq!(destination(&back), SocketAddr::new(host, 7));
    let mut timestamp = pong;
    timestamp[20] = 14;
    let value = u16::from_be_bytes([timestamp[22], timestamp[23]]);
    timestamp[22..24].copy_from_slice(&(value - (14 << 8)).to_be_bytes());
    verify(&timestamp).unwrap();
    let refused = Err(Verdict::Drop(DropReason::Untranslatable));
    assert_eq!(gateway.back(&timestamp), refused);
    gateway.wait(Duration::from_secs(60));
    assert_eq!(gateway.nat.mapping_count(), 0, "ICMP_DEFAULT is 60 s");
}

//= https://www.rfc-editor.org/rfc/rfc6146#section-3.5
//# Irrespective of the transport protocol used, the NAT64 MUST silently discard all incoming
//# IPv6 packets containing a source address that contains the Pref64::/n.
//= https://www.rfc-editor.org/rfc/rfc6052#section-3.1
//# Address translators MUST NOT translate packets in which an address is composed of the
//# Well-Known Prefix and a non-
//# global IPv4 address; they MUST drop these packets.
//= https://www.rfc-editor.org/rfc/rfc7915#section-5.4
//# If the IPv6 packet is discarded, then the translator SHOULD send back an ICMPv6 error
//# message to the original sender of the packet, unless the discarded packet is itself an
//# ICMPv6 message.
#[test]
fn section_3_5_packets_that_pretend_or_lead_nowhere_are_dropped() {
    let mut gateway = Gateway::new();
    let refused = Err(Verdict::Drop(DropReason::Untranslatable));
    let from_prefix = build::udp(six(SERVER), six("192.0.2.9:53"), b"loop");
    assert_eq!(gateway.out(&from_prefix), refused);
    let elsewhere = build::udp(at(HOST), at("[2001:db8:9::1]:53"), b"v6");
    assert_eq!(gateway.out(&elsewhere), refused);
    for private in [
        "10.0.0.1:53",
        "127.0.0.1:53",
        "100.64.0.1:53",
        "224.0.0.1:53",
    ] {
        let bytes = build::udp(at(HOST), six(private), b"RFC 6052 section 3.1");
        assert_eq!(gateway.out(&bytes), refused, "{private}");
        assert_eq!(gateway.sent[0].bytes[40..42], [1, 1], "{private}");
    }
    let ping = build::echo(at(HOST).ip(), six("10.0.0.1:53").ip(), 7, 1, false, b"");
    assert_eq!(gateway.out(&ping), refused);
    assert_eq!(gateway.sent, [], "ICMPv6 is not answered");
    let own = "2001:db8:64::/96".parse().unwrap();
    let mut gateway = Gateway::with(|config| {
        config.translation = Translation::Nat64 { prefix: own };
    });
    let private = own.embed(Ipv4Addr::new(10, 0, 0, 1)).unwrap();
    let bytes = build::udp(at(HOST), SocketAddr::new(private.into(), 53), b"own");
    assert!(gateway.out(&bytes).is_ok(), "a network's own prefix may");
    let v4 = build::udp(at("192.168.1.2:5"), at(SERVER), b"v4");
    assert_eq!(
        gateway.out(&v4),
        Err(Verdict::Drop(DropReason::WrongFamily))
    );
}

//= https://www.rfc-editor.org/rfc/rfc6146#section-3.5.1.1
//# If it is not possible to allocate an appropriate IPv4 transport address or create a BIB
//# entry, then the packet is discarded. The NAT64 SHOULD send an ICMPv6 Destination
//# Unreachable error message with Code 3 (Address Unreachable).
#[test]
fn section_3_5_1_1_a_host_is_told_when_no_port_is_left() {
    let mut gateway = Gateway::with(|config| config.limits.mappings_per_host = 1);
    gateway.open(HOST, SERVER);
    let second = build::udp(at("[2001:db8:1::10]:5001"), six(SERVER), b"more");
    assert!(gateway.out(&second).is_err());
    let error = &gateway.sent[0];
    assert_eq!(error.side, Side::Inside);
    assert_eq!(&error.bytes[40..42], [1, 3], "address unreachable");
}

#[test]
fn section_3_8_hosts_meet_by_their_outside_endpoints() {
    let mut gateway = Gateway::new();
    let external = gateway.open(OTHER, SERVER);
    let caller = gateway.open(HOST, SERVER);
    let bytes = build::udp(at(HOST), six(&external.to_string()), b"hairpin");
    let back = gateway.out(&bytes).unwrap();
    verify(&back).unwrap();
    assert_eq!(destination(&back), at(OTHER));
    assert_eq!(source(&back), six(&caller.to_string()));
    let error = IcmpError::PortUnreachable
        .about(at(OTHER).ip().into(), &back)
        .unwrap();
    let told = gateway.out(&error).unwrap();
    verify(&told).unwrap();
    let headers = Headers::parse(&told).unwrap();
    assert_eq!(IpAddr::from(headers.destination), at(HOST).ip());
    let quoted = Headers::parse_quoted(&told[48..]).unwrap();
    assert_eq!(quoted.source_endpoint().unwrap(), at(HOST).into());
    assert_eq!(
        quoted.destination_endpoint().unwrap(),
        six(&external.to_string()).into()
    );
}

//= https://www.rfc-editor.org/rfc/rfc6146#section-3.7
//# When translating an IP header (Sections 4.1 and 5.1 of [RFC6145]), the source and
//# destination IP address fields are set to the source and destination IP addresses from the
//# outgoing tuple as determined in Section 3.6.
#[test]
fn rfc_7915_section_4_2_errors_from_outside_come_in_as_icmpv6() {
    let rows: &[Row] = &[
        ([3, 0], 0, Some(([1, 0], 0))),
        ([3, 1], 0, Some(([1, 0], 0))),
        ([3, 2], 0, Some(([4, 1], 6))),
        ([3, 3], 0, Some(([1, 4], 0))),
        ([3, 4], 1400, Some(([2, 0], 1420))),
        ([3, 4], 576, Some(([2, 0], 1280))),
        ([3, 4], 0, Some(([2, 0], 1280))),
        ([3, 5], 0, Some(([1, 0], 0))),
        ([3, 9], 0, Some(([1, 1], 0))),
        ([3, 10], 0, Some(([1, 1], 0))),
        ([3, 12], 0, Some(([1, 0], 0))),
        ([3, 13], 0, Some(([1, 1], 0))),
        ([3, 14], 0, None),
        ([3, 15], 0, Some(([1, 1], 0))),
        ([4, 0], 0, None),
        ([11, 0], 0, Some(([3, 0], 0))),
        ([11, 1], 0, Some(([3, 1], 0))),
        ([12, 0], 8 << 24, Some(([4, 0], 7))),
        ([12, 0], 16 << 24, Some(([4, 0], 24))),
        ([12, 0], 6 << 24, None),
        ([12, 1], 0, None),
        ([12, 2], 9 << 24, Some(([4, 0], 6))),
    ];
    for (kind, rest, expected) in rows {
        let mut gateway = Gateway::new();
        let sent = gateway
            .out(&build::udp(at(HOST), six(SERVER), b"lost"))
            .unwrap();
        let error = icmp(ROUTER, EXTERNAL, *kind, *rest, &sent);
        let Some((kind, rest)) = expected else {
            assert!(gateway.back(&error).is_err(), "{kind:?} has no equal");
            continue;
        };
        let told = gateway.back(&error).unwrap();
        verify(&told).unwrap();
        assert_eq!(&told[40..42], kind);
        assert_eq!(&told[44..48], rest.to_be_bytes());
        let headers = Headers::parse(&told).unwrap();
        let router: Ipv4Addr = ROUTER.parse().unwrap();
        let router = Prefix::WELL_KNOWN_64.embed(router).unwrap();
        assert_eq!(IpAddr::from(headers.source), IpAddr::from(router));
        let quoted = Headers::parse_quoted(&told[48..]).unwrap();
        assert_eq!(quoted.source_endpoint().unwrap(), at(HOST).into());
        assert_eq!(quoted.destination_endpoint().unwrap(), six(SERVER).into());
        assert_eq!(quoted.length, 40 + 8 + 4);
    }
}

#[test]
fn rfc_7915_section_5_2_errors_from_inside_go_out_as_icmp() {
    let rows: &[Row] = &[
        ([1, 0], 0, Some(([3, 1], 0))),
        ([1, 1], 0, Some(([3, 10], 0))),
        ([1, 2], 0, Some(([3, 1], 0))),
        ([1, 3], 0, Some(([3, 1], 0))),
        ([1, 4], 0, Some(([3, 3], 0))),
        ([1, 5], 0, None),
        ([2, 0], 1280, Some(([3, 4], 1260))),
        ([3, 0], 0, Some(([11, 0], 0))),
        ([3, 1], 0, Some(([11, 1], 0))),
        ([4, 0], 7, Some(([12, 0], 8 << 24))),
        ([4, 0], 24, Some(([12, 0], 16 << 24))),
        ([4, 0], 2, None),
        ([4, 1], 0, Some(([3, 2], 0))),
        ([4, 2], 0, None),
    ];
    for (kind, rest, expected) in rows {
        let mut gateway = Gateway::new();
        let external = gateway.open(HOST, SERVER);
        let arrived = gateway
            .back(&build::udp(at(SERVER), external, b"answer"))
            .unwrap();
        let about = at(HOST).ip().to_string();
        let to = six(SERVER).ip().to_string();
        let error = icmp(&about, &to, *kind, *rest, &arrived);
        let Some((kind, rest)) = expected else {
            assert!(gateway.out(&error).is_err(), "{kind:?} has no equal");
            continue;
        };
        let told = gateway.out(&error).unwrap();
        verify(&told).unwrap();
        assert_eq!(&told[20..22], kind);
        assert_eq!(&told[24..28], rest.to_be_bytes());
        let headers = Headers::parse(&told).unwrap();
        assert_eq!(IpAddr::from(headers.source), external.ip());
        assert_eq!(IpAddr::from(headers.destination), at(SERVER).ip());
        let quoted = Headers::parse_quoted(&told[28..]).unwrap();
        assert_eq!(quoted.source_endpoint().unwrap(), at(SERVER).into());
        assert_eq!(quoted.destination_endpoint().unwrap(), external.into());
    }
}

//= https://www.rfc-editor.org/rfc/rfc7915#section-4.1
//# If the DF flag is not set and the IPv4 packet will result in an IPv6 packet larger than a
//# user-defined length (hereinafter referred to as "lowest-ipv6-mtu", and which defaults to
//# 1280 bytes), the packet SHOULD be fragmented so that the resulting IPv6 packet (with
//# Fragment Header added to each fragment) will be less than or equal to lowest-
//# ipv6-mtu,
#[test]
fn rfc_7915_section_4_a_packet_that_may_be_cut_is_cut_to_what_every_link_carries() {
    let mut gateway = Gateway::new();
    let external = gateway.open(HOST, SERVER);
    let data: Vec<u8> = (0..1400_u32).map(|n| n as u8).collect();
    let whole = build::udp(at(SERVER), external, &data);
    assert_eq!(
        gateway.back(&whole),
        Err(Verdict::Hold(HoldReason::Fragmented))
    );
    let mut segment = Vec::new();
    for piece in &gateway.sent {
        assert!(piece.bytes.len() <= 1280 && piece.side == Side::Inside);
        let headers = Headers::parse(&piece.bytes).unwrap();
        assert_eq!(headers.fragment.unwrap().offset, segment.len());
        assert_eq!(IpAddr::from(headers.destination), at(HOST).ip());
        segment.extend(&piece.bytes[48..]);
    }
    let (from, to) = (six(SERVER), at(HOST));
    let joined = build::ip(from.ip(), to.ip(), protocol::UDP, &segment);
    assert_eq!(joined[40..], segment, "the checksum was right already");
    assert_eq!(segment[8..], data);
    let mut kept = build::udp(at(SERVER), external, &data);
    kept[6] = 0x40;
    crate::rig::fix_ip_checksum(&mut kept);
    let arrived = gateway.back(&kept).unwrap();
    assert_eq!(
        arrived.len(),
        kept.len() + 20,
        "one that may not stays whole"
    );
}

//= https://www.rfc-editor.org/rfc/rfc7915#section-4.1
//# If the DF bit is set and the MTU of the next-hop interface is less than the total length
//# value of the IPv4 packet plus 20, the translator MUST send an ICMPv4 "Fragmentation
//# Needed" error message to the IPv4 source address.
//= https://www.rfc-editor.org/rfc/rfc7915#section-5.1
//# If the size of the translated IPv4 packet is less than or equal to 1260 bytes, it is set
//# to zero; otherwise, it is set to one.
#[test]
fn rfc_7915_section_4_and_5_sizes_differ_by_twenty() {
    let mut gateway = Gateway::with(|config| config.mtu = Some(1400));
    let external = gateway.open(HOST, SERVER);
    let mut large = build::udp(at(SERVER), external, &[0; 1360]);
    large[6] = 0x40;
    crate::rig::fix_ip_checksum(&mut large);
    assert_eq!(gateway.back(&large), Err(Verdict::Drop(DropReason::TooBig)));
    assert_eq!(
        &gateway.sent[0].bytes[20..28],
        too_big_v4(&gateway.sent[0].bytes, 1380)
    );
    let large = build::udp(at(HOST), six(SERVER), &[0; 1373]);
    assert_eq!(gateway.out(&large), Err(Verdict::Drop(DropReason::TooBig)));
    assert_eq!(&gateway.sent[0].bytes[40..42], [2, 0]);
    assert_eq!(&gateway.sent[0].bytes[44..48], 1420_u32.to_be_bytes());
    let fits = build::udp(at(HOST), six(SERVER), &[0; 1372]);
    let out = gateway.out(&fits).unwrap();
    assert_eq!(
        (out.len(), out[6]),
        (1400, 0x40),
        "above 1260 bytes no router may fragment it"
    );
}

//= https://www.rfc-editor.org/rfc/rfc6146#section-3.4
//# The NAT64 MUST handle fragments. In particular, NAT64 MUST handle fragments arriving out
//# of order,
#[test]
fn section_3_4_fragments_are_translated_in_any_order() {
    let mut gateway = Gateway::new();
    let external = gateway.open(HOST, SERVER);
    let pieces = crate::rig::fragments(at(SERVER), external);
    assert_eq!(
        gateway.back(&pieces[2]),
        Err(Verdict::Hold(HoldReason::Fragment))
    );
    let first = gateway.back(&pieces[0]).unwrap();
    assert_eq!(gateway.sent.len(), 1, "the one that waited");
    let last = gateway.sent[0].bytes.clone();
    let middle = gateway.back(&pieces[1]).unwrap();
    let mut segment = Vec::new();
    for piece in [first, middle, last] {
        let headers = Headers::parse(&piece).unwrap();
        let fragment = headers.fragment.unwrap();
        assert_eq!((fragment.id, fragment.offset), (0x1234, segment.len()));
        segment.extend(&piece[48..]);
    }
    let joined = build::ip(six(SERVER).ip(), at(HOST).ip(), protocol::UDP, &segment);
    verify(&joined).unwrap();
    assert_eq!(joined[40..], segment);
    // And out again: the same segment in two IPv6 fragments.
    let segment = build::udp(at(HOST), six(SERVER), &[7; 56])[40..].to_vec();
    let mut whole = Vec::new();
    for (data, place) in [(&segment[..32], 1_u16), (&segment[32..], 32)] {
        let mut bytes = build::ip(at(HOST).ip(), six(SERVER).ip(), protocol::FRAGMENT, &[]);
        bytes[4..6].copy_from_slice(&(8 + data.len() as u16).to_be_bytes());
        bytes.extend([protocol::UDP, 0]);
        bytes.extend(place.to_be_bytes());
        bytes.extend(0xabcd_4321_u32.to_be_bytes());
        bytes.extend(data);
        let out = gateway.out(&bytes).unwrap();
        let headers = Headers::parse(&out).unwrap();
        assert_eq!(headers.fragment.unwrap().id, 0x4321);
        assert!(!headers.dont_fragment);
        whole.extend(&out[20..]);
    }
    let joined = build::ip(external.ip(), at(SERVER).ip(), protocol::UDP, &whole);
    assert_eq!(joined[20..], whole);
}

//= https://www.rfc-editor.org/rfc/rfc7915#section-4.1
//# If the translator gets an illegal source address (e.g., 0.0.0.0, 127.0.0.1, etc.), the
//# translator SHOULD silently discard the packet (as discussed in Section 5.3.7 of
//# [RFC1812]). Note when translating ICMPv4 Error Messages into ICMPv6, the "illegal" source
//# address will be translated for the purpose of trouble shooting.
//= https://www.rfc-editor.org/rfc/rfc7915#section-5.1
//# If the translator gets an illegal source address (e.g., ::1, etc.), the translator SHOULD
//# silently drop the packet.
//= https://www.rfc-editor.org/rfc/rfc6052#section-3.1
//# The Well-Known Prefix MUST NOT be used to represent non-global IPv4 addresses, such as
//# those defined in [RFC1918] or listed in Section 3 of [RFC5735].
#[test]
fn rfc_7915_sections_4_1_and_5_1_what_comes_from_nowhere_is_dropped() {
    let mut gateway = Gateway::new();
    let external = gateway.open(HOST, SERVER);
    let refused = Err(Verdict::Drop(DropReason::Untranslatable));
    for from in ["127.0.0.1:7", "0.0.0.0:7", "224.0.0.1:7", "10.0.0.1:7"] {
        let bytes = build::udp(at(from), external, b"?");
        assert_eq!(gateway.back(&bytes), refused, "{from}");
        assert_eq!(gateway.sent, []);
        let about = build::udp(external, at(SERVER), b"open");
        let error = icmp(&at(from).ip().to_string(), EXTERNAL, [3, 3], 0, &about);
        assert!(gateway.back(&error).is_ok(), "{from}: an error");
    }
    for from in ["[::1]:7", "[::]:7", "[ff02::1]:7"] {
        let bytes = build::udp(at(from), six(SERVER), b"?");
        assert_eq!(gateway.out(&bytes), refused, "{from}");
        assert_eq!(gateway.sent, []);
    }
}

//= https://www.rfc-editor.org/rfc/rfc7915#section-4.2
//# The MTU field MUST be adjusted for the difference between the IPv4 and IPv6 header sizes,
//# but MUST NOT be set to a value smaller than the minimum IPv6 MTU (1280 bytes). That is, it
//# should be set to maximum(1280, minimum((MTU value in the Packet Too Big Message) + 20,
//# MTU_of_IPv6_nexthop, (MTU_of_IPv4_nexthop) + 20)).
#[test]
fn rfc_7915_section_4_2_no_more_is_said_to_fit_than_the_next_link_carries() {
    let mut gateway = Gateway::with(|config| config.mtu = Some(1500));
    let sent = gateway
        .out(&build::udp(at(HOST), six(SERVER), b"lost"))
        .unwrap();
    for (said, told) in [(9000, 1500_u32), (1490, 1500), (1400, 1420)] {
        let error = icmp(ROUTER, EXTERNAL, [3, 4], said, &sent);
        assert_eq!(gateway.back(&error).unwrap()[44..48], told.to_be_bytes());
    }
}

//= https://www.rfc-editor.org/rfc/rfc7915#section-5.2
//# The MTU field MUST be adjusted for the difference between the IPv4 and IPv6 header sizes,
//# taking into account whether or not the packet in error includes a Fragment Header, i.e.,
//# minimum((MTU value in the Packet Too Big Message)-20, MTU_of_IPv4_nexthop,
//# (MTU_of_IPv6_nexthop)-20).
#[test]
fn rfc_7915_section_5_2_no_more_is_said_to_fit_than_the_next_link_carries() {
    let mut gateway = Gateway::with(|config| config.mtu = Some(1500));
    let external = gateway.open(HOST, SERVER);
    let whole = build::udp(at(SERVER), external, b"answer");
    let piece = crate::rig::fragments(at(SERVER), external).remove(0);
    let (host, server) = (at(HOST).ip().to_string(), six(SERVER).ip().to_string());
    // A fragment is 28 bytes shorter in IPv4, as it has no fragment header there.
    for (bytes, difference) in [(whole, 20), (piece, 28)] {
        let arrived = gateway.back(&bytes).unwrap();
        for (said, least) in [(9000, 1500), (1400, 1400_u32)] {
            let error = icmp(&host, &server, [2, 0], said, &arrived);
            let told = gateway.out(&error).unwrap();
            assert_eq!(told[24..28], (least - difference).to_be_bytes());
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc7915#section-4.2
//# If the received ICMPv4 packet contains an ICMPv4 Extension [RFC4884], the translation of
//# the ICMPv4 packet will cause the ICMPv6 packet to change length. When this occurs, the
//# ICMPv6 Extension length attribute MUST be adjusted accordingly (e.g., longer due to the
//# translation from IPv4 to IPv6). If the ICMPv4 Extension exceeds the maximum size of an
//# ICMPv6 message on the outgoing interface, the ICMPv4 extension SHOULD be simply truncated.
#[test]
fn rfc_7915_sections_4_2_and_5_2_extensions_go_along() {
    let extension = [0x20, 0, 0, 0, 0, 8, 1, 1, 0xde, 0xad, 0xbe, 0xef];
    let mut gateway = Gateway::new();
    let sent = gateway
        .out(&build::udp(at(HOST), six(SERVER), b"lost"))
        .unwrap();
    let mut about = sent.clone();
    about.resize(128, 0);
    about.extend(extension);
    for (kind, extended) in [([11, 0], true), ([3, 3], true), ([3, 4], false)] {
        let rest = (32 << 16) | if kind == [3, 4] { 1400 } else { 0 };
        let error = icmp(ROUTER, EXTERNAL, kind, rest, &about);
        let told = gateway.back(&error).unwrap();
        verify(&told).unwrap();
        assert_eq!(told.ends_with(&extension), extended, "{kind:?}");
        if extended {
            // 128 bytes of IPv4 are 148 of IPv6, in words of eight bytes.
            assert_eq!((told[44], told.len()), (19, 48 + 152 + 12));
        }
    }
    let external = source(&sent);
    let answer = build::udp(at(SERVER), external, b"answer");
    let mut about = gateway.back(&answer).unwrap();
    about.resize(128, 0);
    about.extend(extension);
    let (host, server) = (at(HOST).ip().to_string(), six(SERVER).ip().to_string());
    let error = icmp(&host, &server, [1, 4], 16 << 24, &about);
    let told = gateway.out(&error).unwrap();
    verify(&told).unwrap();
    assert_eq!((told[25], told.len()), (32, 28 + 128 + 12));
    assert!(told.ends_with(&extension));
}

//= https://www.rfc-editor.org/rfc/rfc7915#section-5.1.1
//# If an IPv6 packet that is smaller than or equal to 1280 bytes results (after translation)
//# in an IPv4 packet that is larger than the MTU of the next-hop interface, then the
//# translator MUST perform IPv4 fragmentation on that packet such that it can be transferred
//# over the constricting link.
#[test]
fn rfc_7915_section_5_1_1_small_ipv6_packets_are_cut_for_smaller_links() {
    let mut gateway = Gateway::with(|config| config.mtu = Some(600));
    let data: Vec<u8> = (0..1200_u32).map(|n| n as u8).collect();
    let small = build::udp(at(HOST), six(SERVER), &data);
    assert_eq!(
        gateway.out(&small),
        Err(Verdict::Hold(HoldReason::Fragmented))
    );
    let mut segment = Vec::<u8>::new();
    for piece in &gateway.sent {
        verify(&piece.bytes).unwrap();
        assert!(piece.bytes.len() <= 600 && piece.side == Side::Outside);
        let headers = Headers::parse(&piece.bytes).unwrap();
        assert_eq!(headers.fragment.unwrap().offset, segment.len());
        segment.extend(&piece.bytes[20..]);
    }
    assert_eq!(segment[8..], data);
    let large = build::udp(at(HOST), six(SERVER), &[0; 1300]);
    assert_eq!(gateway.out(&large), Err(Verdict::Drop(DropReason::TooBig)));
    let told = &gateway.sent[0].bytes[44..48];
    assert_eq!(told, 1280_u32.to_be_bytes(), "no IPv6 link carries less");
}

//= https://www.rfc-editor.org/rfc/rfc7915#section-5.1.1
//# If the Next Header field of the Fragment Header is an extension header (except ESP, but
//# including the Authentication Header (AH)), then the packet SHOULD be dropped and logged.
#[test]
fn rfc_7915_section_5_1_1_extension_headers_in_a_fragment_are_refused() {
    let mut gateway = Gateway::new();
    let segment = build::udp(at(HOST), six(SERVER), &[7; 56])[40..].to_vec();
    let piece = |next: u8, extension: &[u8], place: u16| {
        let data = [extension, &segment[..32]].concat();
        let mut bytes = vec![next, 0];
        bytes.extend(place.to_be_bytes());
        bytes.extend(0xabcd_4321_u32.to_be_bytes());
        bytes.extend(data);
        build::ip(at(HOST).ip(), six(SERVER).ip(), protocol::FRAGMENT, &bytes)
    };
    let refused = Err(Verdict::Drop(DropReason::Untranslatable));
    let options = [protocol::UDP, 0, 1, 4, 0, 0, 0, 0];
    let first = piece(protocol::DESTINATION_OPTIONS, &options, 1);
    assert_eq!(gateway.out(&first), refused);
    assert!(gateway.out(&piece(protocol::UDP, &[], 1)).is_ok());
}

//= https://www.rfc-editor.org/rfc/rfc7915#section-4.5
//# In order to ease debugging and troubleshooting, translators MUST forward all transport
//# protocols as described in the "Next Header" step of Section 4.1.
#[test]
fn rfc_7915_section_4_5_a_stateless_translator_carries_every_protocol() {
    let clat = crate::rig::clat();
    let through = |number: u8| {
        let data = *b"any protocol";
        let bytes = build::ip(
            "192.168.1.2".parse().unwrap(),
            at(SERVER).ip(),
            number,
            &data,
        );
        let mut buffer = [&[0; Packet::HEADROOM], &bytes[..]].concat();
        let mut packet = Packet::with_headroom(&mut buffer, Packet::HEADROOM);
        let there = clat.to_v6(&mut packet);
        (there, packet.bytes().to_vec())
    };
    for number in [132, 33, 50, 47] {
        let (there, bytes) = through(number);
        assert_eq!(there, Ok(()), "protocol {number}");
        assert_eq!((bytes[6], &bytes[40..]), (number, &b"any protocol"[..]));
    }
    assert_eq!(through(2).0, Err(DropReason::Untranslatable), "IGMP");
}

//= https://www.rfc-editor.org/rfc/rfc6146#section-3.4
//# For incoming IPv4 packets carrying UDP packets with a zero checksum, if the NAT64 has
//# enough resources, the NAT64 MUST reassemble the packets and MUST calculate the checksum.
//# If the NAT64 does not have enough resources, then it MUST silently discard the packets.
#[test]
fn rfc_7915_section_4_5_a_udp_packet_without_checksum_gets_one() {
    let mut gateway = Gateway::new();
    let external = gateway.open(HOST, SERVER);
    let mut bytes = build::udp(at(SERVER), external, b"no sum");
    bytes[26..28].fill(0);
    let arrived = gateway.back(&bytes).unwrap();
    verify(&arrived).unwrap();
    assert_ne!(&arrived[46..48], [0, 0]);
    let mut first = crate::rig::fragments(at(SERVER), external).remove(0);
    first[26..28].fill(0);
    let refused = Err(Verdict::Drop(DropReason::Untranslatable));
    assert_eq!(gateway.back(&first), refused, "the rest of it is unknown");
}

//= https://www.rfc-editor.org/rfc/rfc7915#section-4.1
//# However, if an unexpired source route option is present, then the packet MUST instead be
//# discarded, and an ICMPv4 "Destination Unreachable, Source Route Failed" (Type 3, Code 5)
//# error message SHOULD be returned to the sender.
//= https://www.rfc-editor.org/rfc/rfc7915#section-5.1
//# If a Routing header with a non-zero Segments Left field is present, then the packet MUST
//# NOT be translated, and an ICMPv6 "parameter problem/erroneous header field encountered"
//# (Type 4, Code 0) error message, with the Pointer field indicating the first byte of the
//# Segments Left field, SHOULD be returned to the sender.
#[test]
fn rfc_7915_sections_4_1_and_5_1_routes_that_are_not_done_are_refused() {
    let mut gateway = Gateway::new();
    let external = gateway.open(HOST, SERVER);
    let plain = build::udp(at(SERVER), external, b"routed");
    for (pointer, passes) in [(4, false), (8, true)] {
        let mut bytes = plain[..20].to_vec();
        bytes[0] = 0x47;
        bytes.extend([131, 7, pointer, 192, 0, 2, 1, 0]);
        bytes.extend(&plain[20..]);
        let length = bytes.len() as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        assert_eq!(gateway.back(&bytes).is_ok(), passes, "pointer {pointer}");
        let told = gateway.sent.first().map(|it| it.bytes[20..22].to_vec());
        assert_eq!(told, (!passes).then(|| vec![3, 5]));
    }
    let plain = build::udp(at(HOST), six(SERVER), b"routed");
    for (left, passes) in [(1, false), (0, true)] {
        let mut bytes = plain[..40].to_vec();
        bytes[6] = protocol::ROUTING;
        bytes.extend([protocol::UDP, 0, 253, left, 0, 0, 0, 0]);
        bytes.extend(&plain[40..]);
        let length = (bytes.len() - 40) as u16;
        bytes[4..6].copy_from_slice(&length.to_be_bytes());
        let out = gateway.out(&bytes);
        assert_eq!(out.is_ok(), passes, "{left} segments left");
        let told = gateway.sent.first().map(|it| it.bytes.clone());
        let error = told.map(|bytes| ([bytes[40], bytes[41]], bytes[47]));
        assert_eq!(error, (!passes).then_some(([4, 0], 43)));
        if let Ok(out) = out {
            verify(&out).unwrap();
            assert_eq!(out.len(), plain.len() - 20);
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc6146#section-3.5.4
//# NAT64 MUST support the algorithm for generating IPv6 representations of IPv4 addresses
//# defined in Section 2.3 of [RFC6052]. The aforementioned algorithm SHOULD be used as
//# default algorithm.
#[test]
fn every_prefix_length_of_rfc_6052_works() {
    for length in [32, 40, 48, 56, 64, 96] {
        let base: Ipv6Addr = "2001:db8:122:344::".parse().unwrap();
        let prefix = Prefix::new(base.into(), length).unwrap();
        let mut gateway = Gateway::with(|config| {
            config.translation = Translation::Nat64 { prefix };
        });
        let to = prefix.embed(Ipv4Addr::new(198, 51, 100, 7)).unwrap();
        let to = SocketAddr::new(to.into(), 80);
        let host = at("[2001:db9::5]:5000");
        let out = gateway.out(&build::udp(host, to, b"x")).unwrap();
        verify(&out).unwrap();
        assert_eq!(destination(&out), at(SERVER));
        let back = gateway.back(&build::udp(at(SERVER), source(&out), b"y"));
        assert_eq!(source(&back.unwrap()), to);
    }
}

#[test]
fn a_buffer_without_headroom_is_no_reason_to_panic() {
    let mut gateway = Gateway::new();
    let external = gateway.open(HOST, SERVER);
    let mut bytes = build::udp(at(SERVER), external, b"tight");
    let verdict = gateway
        .nat
        .inbound(gateway.now, &mut Packet::new(&mut bytes));
    assert_eq!(verdict, Verdict::Drop(DropReason::NoHeadroom));
    let about = build::udp(external, at(SERVER), b"open");
    let mut error = IcmpError::PortUnreachable
        .about(at(SERVER).ip().into(), &about)
        .unwrap();
    let verdict = gateway
        .nat
        .inbound(gateway.now, &mut Packet::new(&mut error));
    assert_eq!(verdict, Verdict::Drop(DropReason::NoHeadroom));
}

/// Type and code, the four bytes after the checksum, and what they become in the other version.
type Row = ([u8; 2], u32, Option<([u8; 2], u32)>);

/// An ICMP or ICMPv6 error about a packet.
fn icmp(from: &str, to: &str, [kind, code]: [u8; 2], rest: u32, about: &[u8]) -> Vec<u8> {
    let from: IpAddr = from.parse().unwrap();
    let protocol = if from.is_ipv4() {
        protocol::ICMP
    } else {
        protocol::ICMPV6
    };
    let mut message = vec![kind, code, 0, 0];
    message.extend(rest.to_be_bytes());
    message.extend(about);
    build::ip(from, to.parse().unwrap(), protocol, &message)
}

/// The start of «fragmentation needed» with this MTU, whatever its checksum is.
fn too_big_v4(bytes: &[u8], mtu: u16) -> [u8; 8] {
    let [high, low] = mtu.to_be_bytes();
    [3, 4, bytes[22], bytes[23], 0, 0, high, low]
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// An IPv4 endpoint as hosts inside know it.
fn six(text: &str) -> SocketAddr {
    let SocketAddr::V4(v4) = at(text) else {
        panic!("{text} is no IPv4 endpoint");
    };
    let ip = Prefix::WELL_KNOWN_64.embed(*v4.ip()).unwrap();
    SocketAddr::new(ip.into(), v4.port())
}

fn source(bytes: &[u8]) -> SocketAddr {
    let headers = Headers::parse(bytes).unwrap();
    headers.source_endpoint().unwrap().into()
}

fn destination(bytes: &[u8]) -> SocketAddr {
    let headers = Headers::parse(bytes).unwrap();
    headers.destination_endpoint().unwrap().into()
}
