//! Checksums over a header, a voice packet, a full packet and a train, and trains made of
//! datagrams.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jackfield_nat::packet::trains::{Support, Trains};
use jackfield_nat::packet::{Offload, build, checksum};

fn sums(criterion: &mut Criterion) {
    let bytes: Vec<u8> = (0..64_000_u32).map(|n| n as u8).collect();
    let mut group = criterion.benchmark_group("checksum");
    for length in [20, 200, 1_480, 64_000] {
        let part = bytes.get(..length).unwrap_or_default();
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function(length.to_string(), |bencher| {
            bencher.iter(|| checksum::sum(black_box(part)));
        });
    }
    group.finish();
}

/// 32 datagrams of one flow, which become one train, and of 32 flows, which do not.
fn trains(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("trains");
    group.throughput(Throughput::Elements(DATAGRAMS.into()));
    for (name, flows) in [("one-flow", 1), ("many-flows", DATAGRAMS)] {
        let framed: Vec<Vec<u8>> = (0..DATAGRAMS).map(|n| datagram(n % flows)).collect();
        let mut trains = Trains::new(Support::TcpAndUdp);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut written = 0;
                let mut write = |_: Offload, bytes: &[u8]| written += bytes.len();
                for framed in &framed {
                    trains.push(Offload::NONE, framed, &mut write);
                }
                trains.flush(&mut write);
                written
            });
        });
    }
    group.finish();
}

/// A datagram with the bytes of an empty [`Offload`] in front.
fn datagram(flow: u16) -> Vec<u8> {
    let from = ([10, 0, 0, 2], 5_000 + flow).into();
    let packet = build::udp(from, ([192, 0, 2, 1], 7).into(), &[0; 1_200]);
    [&Offload::NONE.bytes()[..], &packet].concat()
}

const DATAGRAMS: u16 = 32;

criterion_group!(benches, sums, trains);
criterion_main!(benches);
