//! Many agents of ours on one UDP port, found by username fragment and then by the other side's
//! address.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_ice::gather::GatherConfig;
use jackfield_ice::username;
use jackfield_internet::Datagram;
use jackfield_sansio::Timers;
use jackfield_testing::{SplitMix64, epoch, held_bytes};

use crate::agents::{Contender, Kind, Local};
use crate::args::Args;
use crate::scene::bytes;

/// Connects as many agents on one port with one agent each on ports of their own, all within a
/// second, and prints what that took.
pub fn main(args: &Args) -> Result<(), String> {
    let count = args.shared as usize;
    let mut world = Port::new(count);
    let before = held_bytes();
    let mut random = SplitMix64::new(args.first_seed);
    world.add_agents(count, &mut random);
    let now = world.now;
    let end = now + Duration::from_secs(1) + REST;
    for number in 0..count {
        let at = Duration::from_secs(1).mul_f64(number as f64 / count as f64);
        world.run_until(now + at);
        world.start(number);
    }
    world.run_until(end);
    let held = held_bytes() - before;
    let mut times: Vec<Duration> = world.connected.iter().flatten().copied().collect();
    times.sort();
    let of = |percent: usize| {
        let rank = (times.len() * percent).div_ceil(100).max(1);
        let time = times.get(rank - 1).copied();
        time.map_or_else(
            || "-".into(),
            |time| format!("{:.0}", time.as_secs_f64() * 1e3),
        )
    };
    println!(
        "| agents on the port | connected | p50, ms | p95, ms | p99, ms | datagrams to the port | not for any agent | bytes an agent |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    println!(
        "| {count} | {} | {} | {} | {} | {} | {} | {} |",
        times.len(),
        of(50),
        of(95),
        of(99),
        world.received,
        world.unknown,
        held / (2 * count as i64),
    );
    Ok(())
}

/// The port with its agents, their peers, and a network that takes 25 ms one way.
struct Port {
    now: Instant,
    /// The agents on the port first, then their peers in the same order.
    agents: Vec<Box<dyn Contender>>,
    timers: Timers<usize>,
    arrivals: BinaryHeap<Reverse<(Instant, u64)>>,
    under_way: BTreeMap<u64, Datagram>,
    next: u64,
    by_ufrag: BTreeMap<String, usize>,
    by_address: BTreeMap<SocketAddr, usize>,
    started: Vec<Option<Instant>>,
    /// When data has arrived at an agent, peers included.
    heard: Vec<Option<Instant>>,
    connected: Vec<Option<Duration>>,
    has_sent: Vec<bool>,
    received: u64,
    unknown: u64,
}

impl Port {
    fn new(count: usize) -> Self {
        Self {
            now: epoch(),
            agents: Vec::with_capacity(2 * count),
            timers: Timers::new(),
            arrivals: BinaryHeap::new(),
            under_way: BTreeMap::new(),
            next: 0,
            by_ufrag: BTreeMap::new(),
            by_address: BTreeMap::new(),
            started: vec![None; count],
            heard: vec![None; 2 * count],
            connected: vec![None; count],
            has_sent: vec![false; 2 * count],
            received: 0,
            unknown: 0,
        }
    }

    fn add_agents(&mut self, count: usize, random: &mut SplitMix64) {
        for controlling in [false, true] {
            for number in 0..count {
                let mut agent = Kind::Jackfield.build(
                    self.now,
                    controlling,
                    bytes(random),
                    GatherConfig::default(),
                );
                let local = if controlling {
                    peer_address(number)
                } else {
                    PORT
                };
                agent.add_local(self.now, Local::Host(local));
                self.agents.push(agent);
            }
        }
    }

    /// Delivers to both sides what the other has signaled.
    fn start(&mut self, number: usize) {
        let peer = number + self.started.len();
        self.started[number] = Some(self.now);
        let signals = [peer, number].map(|other| {
            let agent = &mut self.agents[other];
            (agent.credentials(), agent.candidates())
        });
        let (ufrag, _) = self.agents[number].credentials();
        self.by_ufrag.insert(ufrag, number);
        for (own, ((ufrag, password), candidates)) in [number, peer].into_iter().zip(signals) {
            let agent = &mut self.agents[own];
            agent.set_remote(self.now, &ufrag, &password);
            for candidate in &candidates {
                agent.add_remote(self.now, candidate);
            }
            agent.end_of_remotes(self.now);
            self.settle(own);
        }
    }

    fn settle(&mut self, own: usize) {
        let mut out = Vec::new();
        let wait = self.agents[own].poll(self.now, &mut out);
        match wait {
            Some(at) => self.timers.set(own, at.max(self.now)),
            None => {
                self.timers.cancel(&own);
            }
        }
        if !self.has_sent[own]
            && let Some(datagram) = self.agents[own].send(self.now, &[0x80; 36])
        {
            self.has_sent[own] = true;
            out.push(datagram);
        }
        for datagram in out {
            self.next += 1;
            self.arrivals.push(Reverse((self.now + ONE_WAY, self.next)));
            self.under_way.insert(self.next, datagram);
        }
    }

    fn run_until(&mut self, end: Instant) {
        loop {
            let arrival = self.arrivals.peek().map(|Reverse((at, _))| *at);
            let next = arrival.into_iter().chain(self.timers.next()).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            if arrival == Some(next)
                && let Some(Reverse((_, id))) = self.arrivals.pop()
                && let Some(datagram) = self.under_way.remove(&id)
            {
                self.arrive(&datagram);
            } else if let Some(own) = self.timers.expire(self.now) {
                self.agents[own].handle_timeout(self.now);
                self.settle(own);
            }
        }
    }

    fn arrive(&mut self, datagram: &Datagram) {
        let Some(own) = self.owner(datagram) else {
            self.unknown += 1;
            return;
        };
        let Datagram {
            source,
            destination,
            data,
        } = datagram;
        if self.agents[own].handle_datagram(self.now, *destination, *source, data) {
            self.hear(own);
        }
        self.settle(own);
    }

    /// Returns the agent that a datagram is for.
    fn owner(&mut self, datagram: &Datagram) -> Option<usize> {
        if datagram.destination != PORT {
            return peer_number(datagram.destination).map(|number| number + self.started.len());
        }
        self.received += 1;
        if let Some(own) = self.by_address.get(&datagram.source) {
            return Some(*own);
        }
        let (local, _) = username(&datagram.data)?;
        let own = *self.by_ufrag.get(local)?;
        self.by_address.insert(datagram.source, own);
        Some(own)
    }

    fn hear(&mut self, own: usize) {
        self.heard[own].get_or_insert(self.now);
        let count = self.started.len();
        let number = own % count;
        if let (Some(first), Some(second), Some(start)) = (
            self.heard[number],
            self.heard[number + count],
            self.started[number],
        ) {
            self.connected[number].get_or_insert(first.max(second) - start);
        }
    }
}

fn peer_address(number: usize) -> SocketAddr {
    let ip = Ipv4Addr::from_bits(PEERS.to_bits() + (number / PORTS) as u32);
    SocketAddr::new(ip.into(), (FIRST_PORT + number % PORTS) as u16)
}

fn peer_number(address: SocketAddr) -> Option<usize> {
    let SocketAddr::V4(address) = address else {
        return None;
    };
    let ip = address.ip().to_bits().checked_sub(PEERS.to_bits())? as usize;
    let port = usize::from(address.port()).checked_sub(FIRST_PORT)?;
    Some(ip * PORTS + port)
}

const PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)), 3478);
const PEERS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 0);
/// The ports of each peer address, and the first.
const PORTS: usize = 1_000;
const FIRST_PORT: usize = 40_000;
const ONE_WAY: Duration = Duration::from_millis(25);
const REST: Duration = Duration::from_secs(10);
