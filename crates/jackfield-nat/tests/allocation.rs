//! The hit path allocates nothing.

use std::net::SocketAddr;

use jackfield_nat::packet::{Headers, Packet, TcpFlags, Transport, build};
use jackfield_nat::profile::Profile;
use jackfield_nat::{Nat, Translation, Verdict};
use jackfield_testing::{CountingAllocator, allocations, epoch};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn a_packet_of_a_flow_that_exists_allocates_nothing() {
    for profile in Profile::ALL {
        let config = profile.config(&["203.0.113.1".parse().unwrap()]);
        let six = matches!(config.translation, Translation::Nat64 { .. });
        for packet in packets(six) {
            let mut nat = Nat::new(config.clone(), [7; 32]);
            let now = epoch();
            let mut first = with_headroom(&packet);
            let mut first = Packet::with_headroom(&mut first, Packet::HEADROOM);
            let verdict = nat.outbound(now, &mut first);
            assert_eq!(verdict, Verdict::Forward);
            let headers = Headers::parse(first.bytes()).unwrap();
            let external = headers.source_endpoint().unwrap().into();
            let mut answer = with_headroom(&answer(&headers, external));
            let mut answer = Packet::with_headroom(&mut answer, Packet::HEADROOM);
            let mut again = with_headroom(&packet);
            let mut again = Packet::with_headroom(&mut again, Packet::HEADROOM);
            let before = allocations();
            let out = nat.outbound(now, &mut again);
            let back = nat.inbound(now, &mut answer);
            let allocated = allocations() - before;
            assert_eq!(out, Verdict::Forward);
            assert_eq!(back, Verdict::Forward);
            assert_eq!(allocated, 0, "{profile}");
            assert!(before > 0, "the counter counts");
        }
    }
}

fn packets(six: bool) -> [Vec<u8>; 2] {
    let (from, to) = if six {
        let from = SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, 2], 5000));
        let to = SocketAddr::from(([0x64, 0xff9b, 0, 0, 0, 0, 0xc633, 0x6409], 7));
        (from, to)
    } else {
        (SocketAddr::from(([192, 168, 1, 2], 5000)), server())
    };
    let syn = TcpFlags(TcpFlags::SYN);
    [
        build::udp(from, to, b"hello"),
        build::tcp(from, to, syn, b""),
    ]
}

fn with_headroom(bytes: &[u8]) -> Vec<u8> {
    [&[0; Packet::HEADROOM], bytes].concat()
}

fn answer(headers: &Headers, to: SocketAddr) -> Vec<u8> {
    match headers.transport {
        Transport::Udp { .. } => build::udp(server(), to, b"answer"),
        _ => build::tcp(server(), to, TcpFlags(TcpFlags::SYN | TcpFlags::ACK), b""),
    }
}

fn server() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 9], 7))
}
