//! Memory of idle agents, by the counting allocator.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_ice::gather::GatherConfig;
use jackfield_testing::{SplitMix64, epoch, held_bytes};

use crate::agents::{Contender, Kind, Local};
use crate::args::Args;
use crate::scene::bytes;

/// Prints the bytes that an agent holds: fresh with its candidates, and connected and at rest.
pub fn main(args: &Args) -> Result<(), String> {
    println!("| agent | candidates | fresh, bytes | connected, bytes |");
    println!("|---|---|---|---|");
    for kind in args.agents() {
        for &candidates in &args.candidates {
            let [fresh, connected] = measure(kind, candidates.clamp(1, 100))?;
            println!("| {} | {candidates} | {fresh} | {connected} |", kind.name());
        }
    }
    Ok(())
}

/// Two agents without anything between them.
struct Pair([Box<dyn Contender>; 2]);

fn measure(kind: Kind, candidates: u8) -> Result<[i64; 2], String> {
    let now = epoch();
    let mut random = SplitMix64::new(1);
    let mut pairs: Vec<Pair> = Vec::with_capacity(PAIRS);
    // The first agent may set up what all share.
    drop(Pair::new(kind, now, candidates, &mut random));
    let before = held_bytes();
    for _ in 0..PAIRS {
        pairs.push(Pair::new(kind, now, candidates, &mut random));
    }
    let fresh = held_bytes() - before;
    for pair in &mut pairs {
        pair.connect(now)?;
    }
    let connected = held_bytes() - before;
    let agents = 2 * PAIRS as i64;
    Ok([fresh / agents, connected / agents])
}

impl Pair {
    fn new(kind: Kind, now: Instant, candidates: u8, random: &mut SplitMix64) -> Self {
        let mut side = 0;
        Self([true, false].map(|controlling| {
            let mut agent = kind.build(now, controlling, bytes(random), GatherConfig::default());
            side += 1;
            for number in 0..candidates {
                let address = SocketAddr::from(([10, side, number, 2], 50_000));
                agent.add_local(now, Local::Host(address));
            }
            agent
        }))
    }

    /// Connects the two, and lets some time pass after that.
    fn connect(&mut self, start: Instant) -> Result<(), String> {
        let signals = self.0.each_mut().map(|agent| {
            let credentials = agent.credentials();
            (credentials, agent.candidates())
        });
        for (side, agent) in self.0.iter_mut().enumerate() {
            let ((ufrag, password), candidates) = &signals[1 - side];
            agent.set_remote(start, ufrag, password);
            for candidate in candidates {
                agent.add_remote(start, candidate);
            }
            agent.end_of_remotes(start);
        }
        let (mut now, end) = (start, start + REST);
        for _ in 0..1_000_000 {
            let Some(next) = self.exchange(now).filter(|next| *next <= end) else {
                let are_connected =
                    |agent: &mut Box<dyn Contender>| agent.send(end, &[0x80]).is_some();
                if self.0.iter_mut().all(are_connected) {
                    return Ok(());
                }
                return Err("two agents without a network between them do not connect".into());
            };
            now = now.max(next);
            for agent in &mut self.0 {
                agent.handle_timeout(now);
            }
        }
        Err("an agent has something to do for ever".into())
    }

    /// Passes datagrams until there are no more; returns when something is due.
    fn exchange(&mut self, now: Instant) -> Option<Instant> {
        loop {
            let mut next: Option<Instant> = None;
            let mut is_quiet = true;
            for side in [0, 1] {
                let mut out = Vec::new();
                let wait = self.0[side].poll(now, &mut out);
                next = [next, wait].into_iter().flatten().min();
                for datagram in out {
                    is_quiet = false;
                    let (from, to) = (datagram.source, datagram.destination);
                    self.0[1 - side].handle_datagram(now, to, from, &datagram.data);
                }
            }
            if is_quiet {
                return next;
            }
        }
    }
}

const PAIRS: usize = 50;
/// Long enough for checks and retransmissions to end.
const REST: Duration = Duration::from_secs(60);
