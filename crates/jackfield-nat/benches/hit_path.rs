//! Packets of flows that exist: what a NAT does nearly all the time. 10,000 mappings; packets of all of them in turn.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use jackfield_nat::packet::{Packet, build};
use jackfield_nat::profile::Profile;
use jackfield_nat::{Nat, Verdict};

const MAPPINGS: u32 = 10_000;

/// Bytes of a packet: 160 of data, as in a call of G.711.
const PACKET: usize = 188;

fn hit_path(criterion: &mut Criterion) {
    for profile in [
        Profile::FULL_CONE,
        Profile::RESTRICTED_CONE,
        Profile::SYMMETRIC,
        Profile::LINUX,
    ] {
        let mut bench = Bench::new(profile);
        let mut group = criterion.benchmark_group(profile.name());
        group.throughput(Throughput::Elements(u64::from(MAPPINGS)));
        for (name, packets, inbound) in [
            ("outbound", bench.outbound.clone(), false),
            ("inbound", bench.inbound.clone(), true),
        ] {
            group.bench_function(name, |bencher| {
                bencher.iter_batched_ref(
                    || packets.concat(),
                    |packets| bench.translate(packets, inbound),
                    BatchSize::LargeInput,
                );
            });
        }
        group.finish();
    }
}

struct Bench {
    nat: Nat,
    now: Instant,
    outbound: Vec<Vec<u8>>,
    inbound: Vec<Vec<u8>>,
}

impl Bench {
    #[expect(clippy::disallowed_methods, reason = "a benchmark needs some instant")]
    fn new(profile: Profile) -> Self {
        let mut bench = Self {
            nat: Nat::new(
                profile.config(&["203.0.113.1".parse().expect("an address")]),
                [7; 32],
            ),
            now: Instant::now(),
            outbound: Vec::new(),
            inbound: Vec::new(),
        };
        let server = SocketAddr::from(([198, 51, 100, 9], 3478));
        for n in 0..MAPPINGS {
            let host = Ipv4Addr::from_bits(0x0a00_0000 + n / 10);
            let from = SocketAddr::from((host, 40_000 + (n % 10) as u16));
            let packet = build::udp(from, server, &[0; 160]);
            let mut translated = packet.clone();
            let verdict = bench
                .nat
                .outbound(bench.now, &mut Packet::new(&mut translated));
            assert_eq!(verdict, Verdict::Forward);
            let headers = jackfield_nat::packet::Headers::parse(&translated).expect("a packet");
            let external = headers.source_endpoint().expect("a port").into();
            bench.outbound.push(packet);
            bench.inbound.push(build::udp(server, external, &[0; 160]));
        }
        bench
    }

    /// Translates packets that lie one after the other, as a batch from a device does.
    fn translate(&mut self, packets: &mut [u8], inbound: bool) {
        for bytes in packets.chunks_exact_mut(PACKET) {
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

criterion_group!(benches, hit_path);
criterion_main!(benches);
