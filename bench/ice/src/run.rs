//! One connection.

use std::time::{Duration, Instant};

use crate::agents::Kind;
use crate::host::IceHost;
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

/// Connects two agents of a kind.
pub fn connect(kind: Kind, cell: Cell, seed: u64, skew: u64) -> Outcome {
    let mut scene = Scene::new(kind, cell, seed);
    let signals = scene.hosts.map(|host| {
        let signal = scene
            .world
            .with_app(host, |host: &mut IceHost, _| host.signal());
        signal.expect("a host runs it")
    });
    let begin = scene.world.now();
    let delays = [(); 2].map(|()| {
        let micros = scene.random.below(skew as usize * 1_000 + 1);
        Duration::from_micros(micros as u64)
    });
    let mut order = [0, 1];
    order.sort_by_key(|side| delays[*side]);
    for side in order {
        scene.world.run_until(begin + delays[side]);
        let signal = &signals[1 - side];
        let hear = |host: &mut IceHost, now| host.hear(now, signal);
        scene.world.with_app(scene.hosts[side], hear);
    }
    let start = scene.world.now();
    let end = start + LIMIT;
    let mut steps = 0;
    while last_data(&scene).is_none() && steps < STEPS {
        if scene.world.next_event().is_none_or(|at| at > end) {
            break;
        }
        scene.world.step();
        steps += 1;
    }
    let spent = scene.hosts.map(|host| host_of(&scene, host).spent);
    Outcome {
        time: last_data(&scene).map(|at| at.saturating_duration_since(start)),
        packets: spent.iter().map(|it| it.packets).sum(),
        bytes: spent.iter().map(|it| it.bytes).sum(),
    }
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
