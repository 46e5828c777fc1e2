//! What an agent takes: no allocation for a packet of data, and little memory when it is idle.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic on what it does not expect"
)]

use std::time::{Duration, Instant};

use jackfield_ice::{Agent, AgentConfig, Event, Output, Role};
use jackfield_sansio::FiveTuple;
use jackfield_testing::{CountingAllocator, allocations, epoch, held_bytes};

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
fn an_idle_agent_takes_at_most_eight_kibibytes() {
    // One pair of agents first, for what the process allocates once.
    drop(connected());
    let before = held_bytes();
    let (agents, _) = connected();
    let each = (held_bytes() - before) / 2 + size_of::<Agent>() as i64;
    assert!(
        each <= 8 * 1_024,
        "{each} bytes, {} of them inline",
        size_of::<Agent>()
    );
    drop(agents);
}

/// Returns two agents that have been connected for a minute.
fn connected() -> ([Agent; 2], Instant) {
    let mut now = epoch();
    let config = |role| AgentConfig {
        role,
        ..AgentConfig::default()
    };
    let mut agents = [
        Agent::new(config(Role::Controlling), now, [1; 32]),
        Agent::new(config(Role::Controlled), now, [2; 32]),
    ];
    agents[0].add_socket(now, "192.0.2.1:1000".parse().unwrap());
    agents[1].add_socket(now, "198.51.100.1:2000".parse().unwrap());
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
