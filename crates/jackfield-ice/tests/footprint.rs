//! What an agent takes: no allocation for a packet of data, and little memory when it is idle.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic on what it does not expect"
)]

#[path = "scenarios/world.rs"]
#[expect(dead_code, reason = "the scenarios use the rest")]
mod world;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_ice::{Agent, AgentConfig, CandidateKind, Event, Output, Role};
use jackfield_sansio::{FiveTuple, Transport};
use jackfield_testing::{CountingAllocator, allocations, epoch, held_bytes};
use world::{LEFT, RIGHT, World, with_relay};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn no_packet_of_data_reaches_the_allocator() {
    let (mut agents, now) = connected();
    let before = allocations();
    assert!(before > 0, "the counter counts");
    for round in 0..1_000 {
        let now = now + Duration::from_micros(100) * round;
        let outgoing = agents[0].send(now, b"\x17 a DTLS record").unwrap();
        let path = turned(outgoing.path);
        let payload = outgoing.payload;
        assert!(matches!(agents[0].poll_output(), Output::Wait(Some(_))));
        let data = agents[1].handle_datagram(now, path, payload);
        assert_eq!(data, Some(payload));
        assert!(matches!(agents[1].poll_output(), Output::Wait(Some(_))));
    }
    assert_eq!(allocations() - before, 0);
}

#[test]
fn no_packet_of_data_reaches_the_allocator_on_a_relayed_pair_or_a_connection() {
    let mut relayed = scene(with_relay(&[Transport::Udp]));
    let ips = ["192.0.2.1", "198.51.100.1"].map(|ip| ip.parse().unwrap());
    relayed.cut.insert((ips[0], ips[1]));
    relayed.cut.insert((ips[1], ips[0]));
    let mut by_tcp = scene(AgentConfig::default());
    by_tcp.add_listener(RIGHT, "198.51.100.1:2001");
    by_tcp.udp = false;
    for (mut world, is_relayed) in [(relayed, true), (by_tcp, false)] {
        world.connect();
        world.run(Duration::from_secs(5));
        let pair = world.selected(LEFT);
        assert_eq!(pair.path.transport.is_stream(), !is_relayed);
        assert_eq!(pair.local.kind == CandidateKind::Relayed, is_relayed);
        let now = world.now;
        let agent = world.agent(LEFT);
        let mut buffer = Vec::with_capacity(2_000);
        let before = allocations();
        for round in 0..1_000 {
            let now = now + Duration::from_micros(100) * round;
            let outgoing = agent.send(now, b"\x17 a DTLS record").unwrap();
            // What comes back looks the same: channels have one number for both directions.
            buffer.clear();
            let header = outgoing.header.as_ref();
            buffer.extend_from_slice(header.map_or(&[], |header| header.as_bytes()));
            assert_eq!(buffer.is_empty(), !is_relayed);
            buffer.extend_from_slice(outgoing.payload);
            buffer.resize(buffer.len() + usize::from(outgoing.padding), 0);
            let path = outgoing.path;
            assert!(matches!(agent.poll_output(), Output::Wait(Some(_))));
            let data = agent.handle_datagram(now, path, &buffer);
            assert_eq!(data, Some(&b"\x17 a DTLS record"[..]));
            assert!(matches!(agent.poll_output(), Output::Wait(Some(_))));
        }
        assert_eq!(allocations() - before, 0);
    }
}

/// Returns two agents with a public address each.
fn scene(left: AgentConfig) -> World {
    let mut world = World::with(left, AgentConfig::default());
    world.add_socket(LEFT, "192.0.2.1:1000");
    world.add_socket(RIGHT, "198.51.100.1:2000");
    world
}

#[test]
fn an_idle_agent_takes_few_kibibytes_however_many_pairs_it_has_checked() {
    for (candidates, limit) in [(1, 5), (4, 8), (20, 24)] {
        // One pair of agents first, for what the process allocates once.
        drop(connected_by(candidates));
        let before = held_bytes();
        let (agents, _) = connected_by(candidates);
        let each = (held_bytes() - before) / 2 + size_of::<Agent>() as i64;
        assert!(
            each <= limit * 1_024,
            "{each} bytes with {candidates} candidates a side, {} of them inline",
            size_of::<Agent>()
        );
        drop(agents);
    }
}

fn connected() -> ([Agent; 2], Instant) {
    connected_by(1)
}

/// Returns two agents with some UDP candidates each that have been connected for a minute.
fn connected_by(candidates: u8) -> ([Agent; 2], Instant) {
    let mut now = epoch();
    let config = |role| AgentConfig {
        role,
        ..AgentConfig::default()
    };
    let mut agents = [
        Agent::new(config(Role::Controlling), now, [1; 32]),
        Agent::new(config(Role::Controlled), now, [2; 32]),
    ];
    for host in 1..=candidates {
        agents[0].add_socket(now, SocketAddr::from(([192, 0, 2, host], 1000)));
        agents[1].add_socket(now, SocketAddr::from(([198, 51, 100, host], 2000)));
    }
    let parameters = agents
        .each_ref()
        .map(|agent| agent.local_parameters().clone());
    agents[0]
        .set_remote_parameters(now, parameters[1].clone())
        .unwrap();
    agents[1]
        .set_remote_parameters(now, parameters[0].clone())
        .unwrap();
    for agent in &mut agents {
        agent.end_of_sockets(now);
    }
    let end = now + Duration::from_secs(60);
    while now < end {
        now += Duration::from_millis(10);
        for index in [0, 1] {
            agents[index].handle_timeout(now);
            exchange(&mut agents, index, now);
        }
    }
    assert!(agents.iter().all(|agent| agent.state().is_connected()));
    (agents, now)
}

fn exchange(agents: &mut [Agent; 2], index: usize, now: Instant) {
    loop {
        match agents[index].poll_output() {
            Output::Transmit(packet) => {
                agents[1 - index].handle_datagram(now, turned(packet.path), &packet.bytes);
            }
            Output::Event(Event::LocalCandidate(candidate)) => {
                agents[1 - index]
                    .add_remote_candidate(now, candidate)
                    .unwrap();
            }
            Output::Wait(_) => return,
            _ => {}
        }
    }
}

fn turned(path: FiveTuple) -> FiveTuple {
    FiveTuple {
        local: path.remote,
        remote: path.local,
        ..path
    }
}
