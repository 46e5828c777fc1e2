//! Packets and scenarios to begin with.

use std::net::{IpAddr, SocketAddr};

use super::any_nat;
use jackfield_nat::packet::{Headers, IcmpError, Packet, TcpFlags, build};
use jackfield_nat::{Prefix, Verdict};

pub(super) fn packets() -> Vec<(&'static str, Vec<u8>)> {
    let inside = "192.168.1.2:5000".parse().unwrap();
    let outside: SocketAddr = "198.51.100.9:3478".parse().unwrap();
    let external: SocketAddr = "203.0.113.1:5000".parse().unwrap();
    let hello = build::udp(inside, outside, b"hello");
    let reply = build::udp(outside, external, b"reply");
    let syn = build::tcp(inside, outside, TcpFlags(TcpFlags::SYN), b"");
    let stranger = build::tcp(outside, external, TcpFlags(TcpFlags::SYN), b"");
    let ping = build::echo(inside.ip(), outside.ip(), 7, 1, false, b"ping");
    let about = build::udp(external, outside, b"hello");
    let error = IcmpError::PortUnreachable
        .about(outside.ip().into(), &about)
        .unwrap();
    let hairpin = build::udp(inside, external, b"loop");
    let v6 = build::udp(
        "[2001:db8::2]:5000".parse().unwrap(),
        "[2001:db8:1::9]:3478".parse().unwrap(),
        b"six",
    );
    let large = build::udp(inside, outside, &[7; 1200]);
    let headers = Headers::parse(&large).unwrap();
    let pieces = jackfield_nat::packet::fragment::split(&large, &headers, 600).unwrap();
    let backwards: Vec<(u8, &[u8])> = pieces.iter().rev().map(|it| (0, &it[..])).collect();
    let inside: SocketAddr = "[2001:db8::2]:5000".parse().unwrap();
    let named = |v4: SocketAddr| {
        let IpAddr::V4(ip) = v4.ip() else {
            panic!("IPv4 only");
        };
        let ip = Prefix::WELL_KNOWN_64.embed(ip).unwrap();
        SocketAddr::new(ip.into(), v4.port())
    };
    let six = build::udp(inside, named(outside), b"six");
    // The port that this profile and seed give to the first mapping.
    let (mut nat, now) = any_nat(16);
    let mut buffer = [&[0; Packet::HEADROOM], &six[..]].concat();
    let mut packet = Packet::with_headroom(&mut buffer, Packet::HEADROOM);
    assert_eq!(nat.outbound(now, &mut packet), Verdict::Forward);
    let out = packet.bytes().to_vec();
    let mapped: SocketAddr = Headers::parse(&out)
        .unwrap()
        .source_endpoint()
        .unwrap()
        .into();
    let answer = build::udp(outside, mapped, b"four");
    let six_error = IcmpError::TooBig { mtu: 900 }
        .about(outside.ip().into(), &out)
        .unwrap();
    let six_large = build::udp(outside, mapped, &[7; 1300]);
    let headers = Headers::parse(&six_large).unwrap();
    let six_pieces = jackfield_nat::packet::fragment::split(&six_large, &headers, 600).unwrap();
    let mut six_pieces: Vec<(u8, &[u8])> = six_pieces.iter().map(|it| (1, &it[..])).collect();
    six_pieces.insert(0, (0, &six));
    let six_ping = build::echo(inside.ip(), named(outside).ip(), 7, 1, false, b"ping");
    let six_loop = build::udp(inside, named(mapped), b"loop");
    let mut old = hello.clone();
    old[8] = 1;
    vec![
        ("udp-both-ways", input(4, &[(0, &hello), (1, &reply)])),
        ("udp-after-a-while", input(0, &[(0, &hello), (41, &reply)])),
        ("tcp-open", input(2, &[(0, &syn), (0, &syn)])),
        (
            "tcp-stranger-waits",
            input(0, &[(1, &stranger), (6, &hello)]),
        ),
        ("ping", input(9, &[(0, &ping)])),
        ("error-about-a-flow", input(4, &[(0, &hello), (1, &error)])),
        ("error-about-nothing", input(0, &[(1, &error)])),
        ("hairpin", input(0, &[(0, &hello), (0, &hairpin)])),
        ("ipv6-through-ipv4", input(0, &[(0, &v6)])),
        ("fragments-backwards", input(0, &backwards)),
        ("cut-by-the-mtu", input(0x80, &[(0, &large)])),
        ("no-time-to-live", input(0, &[(0, &old)])),
        ("cut-short", input(0, &[(0, &hello[..21])])),
        ("empty-packet", input(0, &[(0, &[])])),
        ("rewrites-payloads", input(14, &[(0, &hello), (1, &reply)])),
        ("nat64-both-ways", input(16, &[(0, &six), (1, &answer)])),
        ("nat64-error", input(16, &[(0, &six), (1, &six_error)])),
        ("nat64-large", input(16, &[(0, &six), (1, &six_large)])),
        ("nat64-fragments", input(16, &six_pieces)),
        ("nat64-ping", input(16, &[(0, &six_ping)])),
        ("nat64-hairpin", input(16, &[(0, &six), (0, &six_loop)])),
    ]
}

fn input(profile: u8, packets: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![profile];
    for (how, packet) in packets {
        bytes.push(*how);
        bytes.extend((packet.len() as u16).to_be_bytes());
        bytes.extend(*packet);
    }
    bytes
}

pub(super) fn scenarios() -> Vec<(&'static str, Vec<u8>)> {
    let names = [
        "eim-eif",
        "adm-eif",
        "apdm-eif",
        "eim-adf",
        "adm-adf",
        "apdm-adf",
        "eim-apdf",
        "adm-apdf",
        "apdm-apdf",
        "nat64-eim-eif",
        "nat64-adm-eif",
        "nat64-apdm-eif",
        "nat64-eim-adf",
        "nat64-adm-adf",
        "nat64-apdm-adf",
        "nat64-eim-apdf",
        "nat64-adm-apdf",
        "nat64-apdm-apdf",
    ];
    let steps = [
        [0, 0, 0],
        [0, 0, 1],
        [0, 0, 5],
        [2, 0, 0],
        [2, 0, 9],
        [2, 1, 4],
        [1, 5, 0],
        [2, 2, 2],
        [0, 0, 2],
        [255, 0, 0],
        [2, 0, 1],
        [3, 0, 0],
        [0, 0, 0],
        [63, 0, 0],
        [2, 3, 0],
    ];
    names
        .into_iter()
        .zip(0_u8..)
        .map(|(name, choice)| (name, [&[choice], steps.concat().as_slice()].concat()))
        .collect()
}
