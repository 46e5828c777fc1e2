//! Stateful NAT64 (RFC 6146), with the addresses of RFC 6052 and the packets of RFC 7915, on the wire.
//!
//! What RFC 4787, 5382 and 5508 ask for is asked of the profile `nat64` as of every other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_nat::packet::{Headers, IcmpError, Packet, build, protocol, verify};
use jackfield_nat::profile::Profile;
use jackfield_nat::{
    DropReason, Filtering, HoldReason, Nat, NatConfig, Prefix, Side, Translation, Transmit, Verdict,
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
    sent: Vec<Transmit>,
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

#[test]
fn section_3_5_2_2_a_connection_from_outside_has_six_seconds_to_be_answered() {
    let mut gateway = Gateway::new();
    let external = gateway.out(&build::tcp(at(HOST), six(SERVER), SYN, b""));
    let external = source(&external.unwrap());
    let stranger = at("192.0.2.9:4242");
    let syn = build::tcp(stranger, external, SYN, b"");
    assert_eq!(destination(&gateway.back(&syn).unwrap()), at(HOST));
    assert_eq!(gateway.nat.flow_count(), 2);
    gateway.wait(Duration::from_secs(6));
    assert_eq!(gateway.nat.flow_count(), 1, "TCP_INCOMING_SYN is 6 s");
    gateway.back(&syn).unwrap();
    let answer = build::tcp(at(HOST), six("192.0.2.9:4242"), SYN_ACK, b"");
    gateway.out(&answer).unwrap();
    gateway.wait(Duration::from_secs(7000));
    assert_eq!(gateway.nat.flow_count(), 1, "an answered one stays");
}

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
    }
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
        "above 1260 bytes nobody may cut it"
    );
}

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
        if let Ok(out) = out {
            verify(&out).unwrap();
            assert_eq!(out.len(), plain.len() - 20);
        }
    }
}

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
