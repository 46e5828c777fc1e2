//! What a NAT does nearly all the time, packets of flows that exist, and what it does least often,
//! the first packet of a flow. 10,000 mappings; packets of all of them in turn, lying one after
//! the other as a batch from a device does.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use jackfield_nat::packet::{Headers, Packet, TcpFlags, build};
use jackfield_nat::profile::Profile;
use jackfield_nat::{Nat, Verdict};
use jackfield_testing::epoch;

const MAPPINGS: u32 = 10_000;

/// Bytes of data in a packet, as in a call of G.711.
const DATA: [u8; 160] = [0; 160];

const PROFILES: [Profile; 4] = [
    Profile::FULL_CONE,
    Profile::RESTRICTED_CONE,
    Profile::SYMMETRIC,
    Profile::LINUX,
];

fn hit_path(criterion: &mut Criterion) {
    for profile in PROFILES {
        let mut group = criterion.benchmark_group(profile.name());
        group.throughput(Throughput::Elements(u64::from(MAPPINGS)));
        for (name, transport) in [("udp", UDP), ("tcp", TCP)] {
            let mut bench = Bench::new(profile, transport);
            for (way, packets, inbound) in [
                ("out", bench.outbound.clone(), false),
                ("in", bench.inbound.clone(), true),
            ] {
                group.bench_function(format!("{name}-{way}"), |bencher| {
                    bencher.iter_batched_ref(
                        || packets.concat(),
                        |packets| bench.translate(packets, transport.length, inbound),
                        BatchSize::LargeInput,
                    );
                });
            }
        }
        group.finish();
    }
}

/// The first packet of each flow: a mapping, a flow, a port, timers, and the tables growing.
fn miss_path(criterion: &mut Criterion) {
    for profile in PROFILES {
        let mut group = criterion.benchmark_group(profile.name());
        group.throughput(Throughput::Elements(u64::from(MAPPINGS)));
        for (name, transport) in [("udp", UDP), ("tcp", TCP)] {
            let firsts: Vec<Vec<u8>> = (0..MAPPINGS).map(|n| (transport.first)(host(n))).collect();
            let length = firsts.first().map_or(0, Vec::len);
            group.bench_function(format!("{name}-first"), |bencher| {
                bencher.iter_batched_ref(
                    || (Bench::empty(profile), firsts.concat()),
                    |(bench, packets)| bench.translate(packets, length, false),
                    BatchSize::LargeInput,
                );
            });
        }
        group.finish();
    }
}

/// How packets of a protocol are built.
#[derive(Clone, Copy)]
struct Transport {
    first: fn(SocketAddr) -> Vec<u8>,
    answer: fn(SocketAddr) -> Vec<u8>,
    outbound: fn(SocketAddr) -> Vec<u8>,
    inbound: fn(SocketAddr) -> Vec<u8>,
    /// Bytes of the packets that make up the flow.
    length: usize,
}

const UDP: Transport = Transport {
    first: |host| build::udp(host, server(), &DATA),
    answer: |external| build::udp(server(), external, &DATA),
    outbound: |host| build::udp(host, server(), &DATA),
    inbound: |external| build::udp(server(), external, &DATA),
    length: 28 + DATA.len(),
};

const TCP: Transport = Transport {
    first: |host| build::tcp(host, server(), TcpFlags(TcpFlags::SYN), b""),
    answer: |external| {
        let flags = TcpFlags(TcpFlags::SYN | TcpFlags::ACK);
        build::tcp(server(), external, flags, b"")
    },
    outbound: |host| build::tcp(host, server(), TcpFlags(TcpFlags::ACK), &DATA),
    inbound: |external| build::tcp(server(), external, TcpFlags(TcpFlags::ACK), &DATA),
    length: 40 + DATA.len(),
};

struct Bench {
    nat: Nat,
    now: Instant,
    outbound: Vec<Vec<u8>>,
    inbound: Vec<Vec<u8>>,
}

impl Bench {
    fn empty(profile: Profile) -> Self {
        let config = profile.config(&["203.0.113.1".parse().expect("an address")]);
        Self {
            nat: Nat::new(config, [7; 32]),
            now: epoch(),
            outbound: Vec::new(),
            inbound: Vec::new(),
        }
    }

    fn new(profile: Profile, transport: Transport) -> Self {
        let mut bench = Self::empty(profile);
        for n in 0..MAPPINGS {
            let mut first = (transport.first)(host(n));
            let verdict = bench.nat.outbound(bench.now, &mut Packet::new(&mut first));
            assert_eq!(verdict, Verdict::Forward);
            let headers = Headers::parse(&first).expect("a packet");
            let external = headers.source_endpoint().expect("a port").into();
            let mut answer = (transport.answer)(external);
            let verdict = bench.nat.inbound(bench.now, &mut Packet::new(&mut answer));
            assert_eq!(verdict, Verdict::Forward);
            bench.outbound.push((transport.outbound)(host(n)));
            bench.inbound.push((transport.inbound)(external));
        }
        bench
    }

    fn translate(&mut self, packets: &mut [u8], length: usize, inbound: bool) {
        for bytes in packets.chunks_exact_mut(length) {
            let mut packet = Packet::new(bytes);
            let verdict = if inbound {
                self.nat.inbound(self.now, &mut packet)
            } else {
                self.nat.outbound(self.now, &mut packet)
            };
            assert_eq!(black_box(verdict), Verdict::Forward);
        }
    }
}

/// Ten ports of each of a thousand hosts.
fn host(n: u32) -> SocketAddr {
    let address = Ipv4Addr::from_bits(0x0a00_0000 + n / 10);
    SocketAddr::from((address, 40_000 + (n % 10) as u16))
}

fn server() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 9], 3478))
}

criterion_group!(benches, hit_path, miss_path);
criterion_main!(benches);
