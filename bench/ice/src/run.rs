//! One connection.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::agents::Kind;
use crate::args::Args;
use crate::host::{IceHost, Signal};
use crate::scene::{Cell, Scene};

/// What a connection has cost.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// Until data has arrived on both sides; `None` if that took too long.
    pub time: Option<Duration>,
    /// Of both sides together, until then.
    pub packets: u64,
    /// Bytes of IP packets, of both sides together.
    pub bytes: u64,
}

/// How signaling delivers what each side has to know of the other.
#[derive(Debug, Clone, Copy)]
pub struct Signaling {
    /// By how much one side may be later than the other, at most.
    pub skew: Duration,
    /// The time between candidates, the first of which comes with the parameters; zero delivers
    /// all at once.
    pub trickle: Duration,
}

impl Signaling {
    /// Returns what the command line asks for.
    pub fn new(args: &Args) -> Self {
        Self {
            skew: Duration::from_millis(args.skew.min(1_000)),
            trickle: Duration::from_millis(args.trickle.min(1_000)),
        }
    }
}

/// Something that reaches one side.
#[derive(Debug)]
struct Delivery {
    at: Instant,
    side: usize,
    /// The candidates; with the first ones come the parameters.
    candidates: Range<usize>,
}

/// Connects two agents of a kind.
pub fn connect(kind: Kind, cell: Cell, seed: u64, signaling: Signaling) -> Outcome {
    let mut scene = Scene::new(kind, cell, seed);
    let signals = scene.hosts.map(|host| {
        let signal = scene
            .world
            .with_app(host, |host: &mut IceHost, _| host.signal());
        signal.expect("a host runs it")
    });
    let (start, mut deliveries) = plan(&mut scene, &signals, signaling);
    let end = start + LIMIT;
    let mut steps = 0;
    while last_data(&scene).is_none() && steps < STEPS {
        let next = scene.world.next_event();
        let due = deliveries.front().map(|delivery| delivery.at);
        if due.is_some_and(|due| next.is_none_or(|next| due <= next))
            && let Some(delivery) = deliveries.pop_front()
        {
            scene.world.run_until(delivery.at);
            deliver(&mut scene, &signals[1 - delivery.side], delivery);
        } else if next.is_none_or(|at| at > end) {
            break;
        } else {
            scene.world.step();
        }
        steps += 1;
    }
    let spent = scene.hosts.map(|host| host_of(&scene, host).spent);
    Outcome {
        time: last_data(&scene).map(|at| at.saturating_duration_since(start)),
        packets: spent.iter().map(|it| it.packets).sum(),
        bytes: spent.iter().map(|it| it.bytes).sum(),
    }
}

/// Returns when the later side hears of the other, and what reaches which side when.
fn plan(
    scene: &mut Scene,
    signals: &[Signal; 2],
    signaling: Signaling,
) -> (Instant, VecDeque<Delivery>) {
    let begin = scene.world.now();
    let mut deliveries = Vec::new();
    let mut start = begin;
    for side in [0, 1] {
        let skew = scene.random.below(signaling.skew.as_micros() as usize + 1);
        let mut at = begin + Duration::from_micros(skew as u64);
        start = start.max(at);
        let count = signals[1 - side].candidates.len();
        let step = if signaling.trickle.is_zero() {
            count.max(1)
        } else {
            1
        };
        for first in (0..count.max(1)).step_by(step) {
            deliveries.push(Delivery {
                at,
                side,
                candidates: first..(first + step).min(count),
            });
            at += signaling.trickle;
        }
    }
    deliveries.sort_by_key(|delivery| delivery.at);
    (start, deliveries.into())
}

fn deliver(scene: &mut Scene, signal: &Signal, delivery: Delivery) {
    let host = scene.hosts[delivery.side];
    scene.world.with_app(host, |host: &mut IceHost, now| {
        if delivery.candidates.start == 0 {
            host.hear(now, signal);
        }
        let last = delivery.candidates.end == signal.candidates.len();
        host.hear_candidates(now, &signal.candidates[delivery.candidates], last);
    });
}

/// Returns when data had arrived on both sides.
fn last_data(scene: &Scene) -> Option<Instant> {
    let [first, second] = scene.hosts.map(|host| host_of(scene, host).first_data);
    Some(first?.max(second?))
}

fn host_of(scene: &Scene, host: jackfield_internet::HostId) -> &IceHost {
    scene.world.app(host).expect("a host runs it")
}

/// How long a connection may take.
pub const LIMIT: Duration = Duration::from_secs(30);
/// An agent that wants to be called again and again at one instant is given up.
const STEPS: u32 = 1_000_000;
