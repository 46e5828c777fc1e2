//! The TCP stack: two of them on a wire that delays, loses and reorders.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic on what it does not expect"
)]

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_nat::packet::{IcmpError, build};
use jackfield_tcp::{ConnectError, ConnectionId, Event, ResetReason, Stack, StackLimits};
use jackfield_testing::epoch;
use proptest::prelude::*;

/// Two stacks, and the packets under way between them.
#[derive(Clone)]
struct Wire {
    now: Instant,
    stacks: [Stack; 2],
    /// Packets by arrival, with the stack that they are for.
    under_way: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    number: u64,
    /// Draws of a small generator of its own decide what gets lost.
    dice: u64,
    loss_percent: u64,
    jitter_ms: u64,
    events: [Vec<Event>; 2],
    /// Everything that was sent, for comparison.
    log: Vec<(Instant, usize, Vec<u8>)>,
}

impl Wire {
    fn new(limits: [StackLimits; 2]) -> Self {
        let [one, two] = limits;
        Self {
            now: epoch(),
            stacks: [
                Stack::with_limits(&[ip("192.0.2.1"), ip("2001:db8::1")], [1; 32], one),
                Stack::with_limits(&[ip("192.0.2.2"), ip("2001:db8::2")], [2; 32], two),
            ],
            under_way: BTreeMap::new(),
            number: 0,
            dice: 1,
            loss_percent: 0,
            jitter_ms: 0,
            events: [Vec::new(), Vec::new()],
            log: Vec::new(),
        }
    }

    fn draw(&mut self) -> u64 {
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.dice >> 33
    }

    fn drain(&mut self) {
        for side in 0..2 {
            while let Some(packet) = self.stacks[side].poll_packet() {
                self.log.push((self.now, side, packet.clone()));
                let lost = self.draw() % 100 < self.loss_percent;
                let jitter = self.draw() % (self.jitter_ms + 1);
                if !lost {
                    let at = self.now + Duration::from_millis(10 + jitter);
                    self.under_way.insert((at, self.number), (1 - side, packet));
                    self.number += 1;
                }
            }
            while let Some(event) = self.stacks[side].poll_event() {
                self.events[side].push(event);
            }
        }
    }

    /// Lets the next thing happen; `false` when nothing does within `limit`.
    fn step(&mut self, end: Instant) -> bool {
        self.drain();
        let arrival = self.under_way.first_key_value().map(|((at, _), _)| *at);
        let timers = self.stacks.each_ref().map(Stack::next_timeout);
        let next = arrival
            .into_iter()
            .chain(timers.into_iter().flatten())
            .min();
        let Some(next) = next.filter(|next| *next <= end) else {
            self.now = end;
            return false;
        };
        self.now = self.now.max(next);
        if arrival.is_some_and(|at| at <= self.now) {
            let (_, (to, packet)) = self.under_way.pop_first().unwrap();
            self.stacks[to].handle_packet(self.now, &packet);
        } else {
            for stack in &mut self.stacks {
                stack.handle_timeout(self.now);
            }
        }
        self.drain();
        true
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
    }

    fn connect(&mut self) -> (ConnectionId, ConnectionId) {
        self.stacks[1].listen(80);
        let id = self.stacks[0]
            .connect(self.now, 0, socket("192.0.2.2:80"))
            .unwrap();
        self.run(Duration::from_secs(5));
        let accepted = self.events[1].iter().find_map(|event| match event {
            Event::Connected { id, .. } => Some(*id),
            _ => None,
        });
        (id, accepted.unwrap())
    }

    /// Sends `data` from one side to the other, which reads as it comes; returns what arrived by
    /// `limit`.
    fn transfer(
        &mut self,
        from: (usize, ConnectionId),
        to: ConnectionId,
        data: &[u8],
        limit: Duration,
    ) -> Vec<u8> {
        let end = self.now + limit;
        let (side, id) = from;
        let mut sent = 0;
        let mut came = Vec::new();
        loop {
            sent += self.stacks[side].send(self.now, id, &data[sent..]);
            came.extend(self.stacks[1 - side].recv(self.now, to, 4000));
            let waits = self.stacks[1 - side].readable(to) > 0;
            if came.len() == data.len() || !(self.step(end) || waits) {
                return came;
            }
        }
    }
}

#[test]
fn data_goes_both_ways_and_both_sides_close() {
    for (to, mtu) in [("192.0.2.2:80", 1500), ("[2001:db8::2]:80", 1280)] {
        let limits = StackLimits {
            mtu,
            ..StackLimits::default()
        };
        let mut wire = Wire::new([limits.clone(), limits]);
        wire.stacks[1].listen(80);
        let client = wire.stacks[0].connect(wire.now, 4321, socket(to)).unwrap();
        wire.run(Duration::from_secs(1));
        let Event::Connected {
            id: server,
            remote,
            accepted: true,
            ..
        } = wire.events[1][0]
        else {
            panic!("{:?}", wire.events)
        };
        assert_eq!(remote.port(), 4321);
        let up: Vec<u8> = (0..300_000_u32).map(|n| (n * 7) as u8).collect();
        let minute = Duration::from_secs(60);
        assert!(wire.transfer((0, client), server, &up, minute) == up);
        assert!(wire.transfer((1, server), client, &up, minute) == up);
        assert!(wire.log.iter().all(|(_, _, packet)| packet.len() <= mtu));
        wire.stacks[0].close(wire.now, client);
        wire.run(Duration::from_secs(1));
        assert_eq!(wire.events[1].last(), Some(&Event::Finished(server)));
        wire.stacks[1].close(wire.now, server);
        wire.run(Duration::from_secs(60));
        assert!(wire.events[0].contains(&Event::Closed(client)));
        assert!(wire.events[1].contains(&Event::Closed(server)));
        assert!(wire.stacks.iter().all(|it| it.connections().count() == 0));
    }
}

#[test]
fn after_a_half_close_the_other_half_still_carries_data() {
    let mut wire = Wire::new(default_limits());
    let (client, server) = wire.connect();
    wire.stacks[0].close(wire.now, client);
    wire.run(Duration::from_secs(1));
    let late = vec![7; 200_000];
    let came = wire.transfer((1, server), client, &late, Duration::from_secs(60));
    assert!(came == late);
    assert_eq!(wire.stacks[0].send(wire.now, client, b"no"), 0);
}

#[test]
fn two_syns_that_cross_make_one_connection() {
    let mut wire = Wire::new(default_limits());
    let now = wire.now;
    let one = wire.stacks[0]
        .connect(now, 5000, socket("192.0.2.2:6000"))
        .unwrap();
    let two = wire.stacks[1]
        .connect(now, 6000, socket("192.0.2.1:5000"))
        .unwrap();
    wire.run(Duration::from_secs(5));
    assert!(matches!(wire.events[0][..], [Event::Connected { .. }]));
    assert!(matches!(wire.events[1][..], [Event::Connected { .. }]));
    let data = vec![1; 10_000];
    let minute = Duration::from_secs(60);
    assert!(wire.transfer((0, one), two, &data, minute) == data);
    assert!(wire.transfer((1, two), one, &data, minute) == data);
}

#[test]
fn a_client_that_forgot_its_connection_can_open_it_anew() {
    let mut wire = Wire::new(default_limits());
    wire.stacks[1].listen(80);
    let to = socket("192.0.2.2:80");
    wire.stacks[0].connect(wire.now, 4321, to).unwrap();
    wire.run(Duration::from_secs(5));
    wire.stacks[0] = Stack::new(&[ip("192.0.2.1")], [3; 32]);
    wire.events = [Vec::new(), Vec::new()];
    let again = wire.stacks[0].connect(wire.now, 4321, to).unwrap();
    wire.run(Duration::from_secs(5));
    assert!(matches!(
        wire.events[1][..],
        [
            Event::Reset(_, ResetReason::ByPeer),
            Event::Connected { accepted: true, .. }
        ]
    ));
    assert!(matches!(wire.events[0][..], [Event::Connected { id, .. }] if id == again));
}

#[test]
fn a_simultaneous_open_ends_well_whatever_gets_lost() {
    for dice in 0..200 {
        let patient = StackLimits {
            handshake: Duration::from_secs(3600),
            ..StackLimits::default()
        };
        let mut wire = Wire::new([patient.clone(), patient]);
        (wire.dice, wire.loss_percent, wire.jitter_ms) = (dice * 977, 30, 30);
        let (one, two) = (socket("192.0.2.1:5000"), socket("192.0.2.2:6000"));
        wire.stacks[0].connect(wire.now, 5000, two).unwrap();
        wire.stacks[1].connect(wire.now, 6000, one).unwrap();
        wire.run(Duration::from_secs(3000));
        for events in &wire.events {
            assert!(
                matches!(events[..], [Event::Connected { .. }]),
                "seed {dice}: {:?}",
                wire.events
            );
        }
    }
}

#[test]
fn a_port_without_a_listener_refuses() {
    let mut wire = Wire::new(default_limits());
    let id = wire.stacks[0]
        .connect(wire.now, 0, socket("192.0.2.2:81"))
        .unwrap();
    wire.run(Duration::from_secs(1));
    assert_eq!(wire.events[0], [Event::Reset(id, ResetReason::Refused)]);
    assert_eq!(wire.stacks[1].counters().refused, 1);
    assert_eq!(wire.stacks[0].next_timeout(), None);
}

#[test]
fn an_abort_resets_the_peer() {
    let mut wire = Wire::new(default_limits());
    let (client, server) = wire.connect();
    wire.stacks[0].abort(wire.now, client);
    wire.run(Duration::from_secs(1));
    assert_eq!(
        wire.events[1].last(),
        Some(&Event::Reset(server, ResetReason::ByPeer))
    );
    assert!(wire.stacks.iter().all(|it| it.connections().count() == 0));
}

#[test]
fn an_icmp_error_ends_what_is_not_open_and_nothing_else() {
    let mut wire = Wire::new(default_limits());
    let router = ip("203.0.113.1").into();
    let id = wire.stacks[0]
        .connect(wire.now, 0, socket("192.0.2.2:80"))
        .unwrap();
    let syn = wire.stacks[0].poll_packet().unwrap();
    let error = IcmpError::HostUnreachable.about(router, &syn).unwrap();
    wire.stacks[0].handle_packet(wire.now, &error);
    assert_eq!(
        wire.stacks[0].poll_event(),
        Some(Event::Reset(id, ResetReason::Refused))
    );
    let (client, _) = wire.connect();
    wire.stacks[0].send(wire.now, client, b"hello");
    let data = wire.stacks[0].poll_packet().unwrap();
    let error = IcmpError::HostUnreachable.about(router, &data).unwrap();
    wire.stacks[0].handle_packet(wire.now, &error);
    assert_eq!(wire.stacks[0].poll_event(), None);
    assert!(wire.stacks[0].path(client).is_some());
}

#[test]
fn silence_ends_connections_at_every_stage_with_a_counter() {
    let mut wire = Wire::new(default_limits());
    wire.loss_percent = 100;
    let id = wire.stacks[0]
        .connect(wire.now, 0, socket("192.0.2.2:80"))
        .unwrap();
    wire.run(Duration::from_secs(61));
    assert_eq!(wire.events[0], [Event::Reset(id, ResetReason::TimedOut)]);
    assert_eq!(wire.stacks[0].counters().handshake_timeouts, 1);
    let syns = wire.log.len();
    assert!((4..12).contains(&syns), "{syns} SYNs in a minute");

    let mut wire = Wire::new(default_limits());
    let (client, _) = wire.connect();
    wire.loss_percent = 100;
    wire.stacks[0].send(wire.now, client, b"hello");
    wire.run(Duration::from_secs(119));
    assert!(wire.stacks[0].path(client).is_some());
    wire.run(Duration::from_secs(2));
    let last = wire.events[0].last();
    assert_eq!(last, Some(&Event::Reset(client, ResetReason::TimedOut)));
    assert_eq!(wire.stacks[0].counters().timeouts, 1);

    let mut wire = Wire::new(default_limits());
    let (client, server) = wire.connect();
    wire.run(Duration::from_secs(7000));
    assert!(wire.stacks[0].path(client).is_some());
    wire.run(Duration::from_secs(500));
    for (side, id) in [(0, client), (1, server)] {
        assert!(wire.stacks[side].path(id).is_none());
    }
    let idle: u64 = wire
        .stacks
        .iter()
        .map(|it| it.counters().idle_timeouts)
        .sum();
    assert!(idle >= 1);
}

#[test]
fn a_syn_that_is_never_followed_up_is_forgotten_in_silence() {
    let mut wire = Wire::new(default_limits());
    wire.stacks[1].listen(80);
    wire.stacks[0]
        .connect(wire.now, 0, socket("192.0.2.2:80"))
        .unwrap();
    let syn = wire.stacks[0].poll_packet().unwrap();
    wire.stacks[1].handle_packet(wire.now, &syn);
    wire.loss_percent = 100;
    wire.run(Duration::from_secs(61));
    assert!(wire.events[1].is_empty());
    assert_eq!(wire.stacks[1].connections().count(), 0);
    assert_eq!(wire.stacks[1].counters().handshake_timeouts, 1);
}

#[test]
fn each_limit_on_connections_counts_what_it_ignores() {
    let flood = |limits: StackLimits, from: &dyn Fn(u16) -> SocketAddr| {
        let mut stack = Stack::with_limits(&[ip("192.0.2.1")], [1; 32], limits);
        stack.listen(80);
        for n in 0..20 {
            let flags = jackfield_nat::packet::TcpFlags(2);
            let syn = build::tcp(from(n), socket("192.0.2.1:80"), flags, b"");
            stack.handle_packet(epoch(), &syn);
        }
        (stack.connections().count(), stack.counters())
    };
    let strangers = |n: u16| SocketAddr::new(ip(&format!("203.0.113.{}", n + 1)), 999);
    let one = |n: u16| SocketAddr::new(ip("203.0.113.1"), 1000 + n);
    let few = |limit: fn(&mut StackLimits)| {
        let mut limits = StackLimits::default();
        limit(&mut limits);
        limits
    };
    let (count, counters) = flood(few(|it| it.connections = 5), &strangers);
    assert_eq!((count, counters.too_many_connections), (5, 15));
    let (count, counters) = flood(few(|it| it.half_open = 4), &strangers);
    assert_eq!((count, counters.too_many_half_open), (4, 16));
    let (count, counters) = flood(few(|it| it.connections_per_address = 3), &one);
    assert_eq!((count, counters.too_many_per_address), (3, 17));
    let (_, counters) = flood(few(|it| it.packets = 2), &strangers);
    assert_eq!(counters.packets_dropped, 18);
}

#[test]
fn a_reader_that_does_not_read_stops_the_writer_and_loses_nothing() {
    let mut wire = Wire::new(default_limits());
    let (client, server) = wire.connect();
    let data: Vec<u8> = (0..400_000_u32).map(|n| (n / 3) as u8).collect();
    let mut sent = wire.stacks[0].send(wire.now, client, &data);
    for _ in 0..5 {
        wire.run(Duration::from_secs(20));
        sent += wire.stacks[0].send(wire.now, client, &data[sent..]);
    }
    assert!(sent < 140_000, "{sent} bytes in two buffers of 65,535");
    assert!(wire.stacks[0].path(client).is_some());
    let mut came = Vec::new();
    while came.len() < data.len() {
        came.extend(wire.stacks[1].recv(wire.now, server, 10_000));
        wire.run(Duration::from_secs(2));
        let writable = wire.events[0].contains(&Event::Writable(client));
        wire.events[0].clear();
        if writable {
            sent += wire.stacks[0].send(wire.now, client, &data[sent..]);
        }
    }
    assert!(came == data);
}

#[test]
fn connections_begin_only_where_they_can() {
    let mut stack = Stack::new(&[ip("192.0.2.1")], [1; 32]);
    let now = epoch();
    let to = socket("192.0.2.2:80");
    assert!(stack.connect(now, 5000, to).is_ok());
    let cases = [
        (5000, "192.0.2.2:80", ConnectError::PortInUse),
        (0, "[2001:db8::2]:80", ConnectError::NoAddress),
        (0, "192.0.2.2:0", ConnectError::Destination),
        (0, "224.0.0.1:80", ConnectError::Destination),
        (0, "0.0.0.0:80", ConnectError::Destination),
    ];
    for (port, to, error) in cases {
        assert_eq!(stack.connect(now, port, socket(to)), Err(error), "{to}");
    }
    let others = socket("192.0.2.9:0");
    assert_eq!(
        stack.connect_from(now, others, to),
        Err(ConnectError::NoAddress)
    );
}

#[test]
fn a_clone_without_a_journal_knows_that_it_lost_the_connection() {
    let limits = StackLimits {
        journal: 1000,
        ..StackLimits::default()
    };
    let mut wire = Wire::new([limits, StackLimits::default()]);
    let (client, _) = wire.connect();
    let mut clone = wire.stacks[0].clone();
    assert!(clone.path(client).is_some());
    assert_eq!(clone.poll_event(), None);
    wire.stacks[0].send(wire.now, client, &[7; 2000]);
    wire.run(Duration::from_secs(1));
    let mut clone = wire.stacks[0].clone();
    let lost = Event::Reset(client, ResetReason::NotCloned);
    assert_eq!(clone.poll_event(), Some(lost));
    assert_eq!(clone.counters().not_cloned, 1);
    assert!(wire.stacks[0].path(client).is_some());
}

#[test]
fn a_segment_for_another_address_changes_nothing() {
    let mut stack = Stack::new(&[ip("192.0.2.1")], [1; 32]);
    let flags = jackfield_nat::packet::TcpFlags(2);
    let other = build::tcp(socket("192.0.2.2:1"), socket("192.0.2.3:80"), flags, b"");
    stack.handle_packet(epoch(), &other);
    let mut broken = build::tcp(socket("192.0.2.2:1"), socket("192.0.2.1:80"), flags, b"");
    broken[30] ^= 1;
    stack.handle_packet(epoch(), &broken);
    let counters = stack.counters();
    assert_eq!((counters.not_ours, counters.malformed), (1, 1));
    assert_eq!(stack.poll_packet(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn everything_arrives_in_order_over_a_bad_wire(
        seed in any::<u64>(),
        loss in 0..25_u64,
        jitter in 0..40_u64,
        length in 0..150_000_usize,
    ) {
        // However long the wire is bad: that a connection ends when nothing comes through is
        // another test's.
        let patient = StackLimits { timeout: Duration::from_secs(7200), ..StackLimits::default() };
        let mut wire = Wire::new([patient.clone(), patient]);
        (wire.dice, wire.loss_percent, wire.jitter_ms) = (seed, loss, jitter);
        wire.stacks[1].listen(80);
        let client = wire.stacks[0].connect(wire.now, 0, socket("192.0.2.2:80")).unwrap();
        wire.run(Duration::from_secs(40));
        let Some(Event::Connected { id: server, .. }) = wire.events[1].first().copied() else {
            return Ok(()); // every SYN was lost
        };
        let data: Vec<u8> = (0..length).map(|n| (n / 5) as u8).collect();
        let hour = Duration::from_secs(3600);
        let came = wire.transfer((0, client), server, &data, hour);
        prop_assert_eq!(came.len(), data.len());
        prop_assert!(came == data);
        let half = data.len() / 2;
        wire.stacks[0].close(wire.now, client);
        wire.run(Duration::from_secs(60));
        let back = wire.transfer((1, server), client, &data[half..], hour);
        prop_assert!(back == data[half..]);
    }

    #[test]
    fn a_clone_goes_on_byte_for_byte(
        seed in any::<u64>(),
        loss in 0..20_u64,
        steps in 0..300_usize,
    ) {
        let mut wire = Wire::new(default_limits());
        (wire.dice, wire.loss_percent, wire.jitter_ms) = (seed, loss, 5);
        wire.stacks[1].listen(80);
        let client = wire.stacks[0].connect(wire.now, 0, socket("192.0.2.2:80")).unwrap();
        let mut inputs: VecDeque<Vec<u8>> = (0..40_u8).map(|n| vec![n; 3000]).collect();
        let end = wire.now + Duration::from_secs(600);
        let go_on = |wire: &mut Wire, inputs: &mut VecDeque<Vec<u8>>, steps: usize| {
            for step in 0..steps {
                if step % 3 == 0 && wire.stacks[0].room(client) >= 3000
                    && let Some(data) = inputs.pop_front() {
                    wire.stacks[0].send(wire.now, client, &data);
                    if inputs.is_empty() {
                        wire.stacks[0].close(wire.now, client);
                    }
                }
                if step % 5 == 0 {
                    for id in wire.stacks[1].connections().collect::<Vec<_>>() {
                        wire.stacks[1].recv(wire.now, id, 2000);
                    }
                }
                wire.step(end);
            }
        };
        go_on(&mut wire, &mut inputs, steps);
        let (mut twin, mut twin_inputs) = (wire.clone(), inputs.clone());
        let mut late_twin = twin.clone();
        let mut late_inputs = inputs.clone();
        go_on(&mut wire, &mut inputs, 400);
        go_on(&mut twin, &mut twin_inputs, 400);
        go_on(&mut late_twin, &mut late_inputs, 400);
        prop_assert!(wire.log == twin.log);
        prop_assert!(wire.log == late_twin.log);
        prop_assert_eq!(&wire.events, &twin.events);
        prop_assert_eq!(wire.stacks[1].counters(), twin.stacks[1].counters());
    }

    #[test]
    fn no_bytes_harm_a_stack(packets in proptest::collection::vec(any_packet(), 0..40)) {
        let mut stack = Stack::new(&[ip("192.0.2.1")], [1; 32]);
        stack.listen(80);
        let mut now = epoch();
        let _ = stack.connect(now, 5000, socket("203.0.113.1:999"));
        for packet in packets {
            now += Duration::from_millis(300);
            stack.handle_packet(now, &packet);
            while let Some(event) = stack.poll_event() {
                if let Event::Connected { id, .. } | Event::Data(id) = event {
                    stack.send(now, id, b"hello");
                    stack.recv(now, id, 1000);
                }
            }
            while stack.poll_packet().is_some() {}
            stack.handle_timeout(now);
        }
    }
}

fn any_packet() -> impl Strategy<Value = Vec<u8>> {
    let ports = prop_oneof![Just((999, 80)), Just((999, 5000)), any::<(u16, u16)>()];
    let numbers = (
        0..4_u32,
        0..4_u32,
        any::<u32>(),
        any::<u32>(),
        any::<bool>(),
    );
    let rest = (any::<u8>(), any::<u16>(), 5..16_u8);
    let data = proptest::collection::vec(any::<u8>(), 0..60);
    (ports, numbers, rest, data).prop_map(
        |((source, to), numbers, (flags, window, offset), data)| {
            let (near, far, any_seq, any_ack, wild) = numbers;
            let (seq, ack) = if wild {
                (any_seq, any_ack)
            } else {
                (near, far)
            };
            let mut segment = Vec::new();
            segment.extend(u16::to_be_bytes(source));
            segment.extend(u16::to_be_bytes(to));
            segment.extend(seq.to_be_bytes());
            segment.extend(ack.to_be_bytes());
            segment.extend([offset << 4, flags]);
            segment.extend(window.to_be_bytes());
            segment.extend([0; 4]);
            segment.extend(data);
            build::ip(ip("203.0.113.1"), ip("192.0.2.1"), 6, &segment)
        },
    )
}

fn default_limits() -> [StackLimits; 2] {
    [StackLimits::default(), StackLimits::default()]
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}
