//! Runs a grid: hosts on threads of their own, and an ICE agent on either side of every pair.

use std::io;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use jackfield_ice::Role;
use jackfield_nat::oracle::Pair;
use jackfield_router::Netns;
use jackfield_turn::client::{Credential, CredentialError};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc as signals, watch};
use tokio::task::JoinSet;

use super::agent::{Side, SideError, View};
use super::expect::{Expected, reason};
use super::network::{Network, NetworkType};
use super::report::{Cell, Grid, PathView};
use crate::plan::Plan;
use crate::spec::{HostSpec, Spec};
use crate::world::World;

/// Why a grid could not be run. Its text names the cause, too.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GridError {
    /// The world is not one of [`lab`]: a host is missing.
    #[error("a host is missing")]
    NoHost,
    /// The system has no thread for a host.
    #[error("no thread: {0}")]
    Thread(io::Error),
    /// A host's thread cannot enter its network, or has no event queue.
    #[error("{0}")]
    Enter(#[from] io::Error),
    /// A host's thread ended before the grid did.
    #[error("a host's thread ended early")]
    ThreadEnded,
    /// An attempt panicked.
    #[error("an attempt ended early: {0}")]
    Attempt(tokio::task::JoinError),
    /// A host has no ICE agent, for lack of sockets mostly.
    #[error("a host has no ICE agent: {0}")]
    Agent(String),
    /// The server's credential is not one.
    #[error("{0}")]
    Credential(#[from] CredentialError),
}

/// How a grid is run.
#[derive(Debug, Clone)]
pub struct GridOptions {
    /// The networks, which are lines and columns.
    pub types: Vec<NetworkType>,
    /// How many pairs are tried at the same time.
    pub parallel: usize,
}

/// Returns the lab that a grid is run in: two sites with a host each for every
/// type, so that each can meet its like.
pub fn lab(types: &[NetworkType]) -> Spec {
    let mut spec = Spec {
        // One user makes all allocations of the grid, from one network: more than the quotas.
        serve: Some(
            [
                "--user",
                &format!("{USER}:{PASSWORD}"),
                "--turn-max-allocations-per-user",
                "10000",
                "--turn-max-allocations-per-network",
                "10000",
            ]
            .map(str::to_owned)
            .to_vec(),
        ),
        ..Spec::default()
    };
    for (place, network_type) in types.iter().enumerate() {
        for side in [LINE, COLUMN] {
            let name = host(side, place);
            spec.sites.push(network_type.site(&name));
            spec.hosts.push(HostSpec {
                site: Some(name.clone()),
                name,
            });
        }
    }
    spec
}

/// Tries every pair; calls `progress` with how many of how many are over.
///
/// # Errors
/// Fails when this machine has no sockets or threads for it.
pub async fn run(
    options: &GridOptions,
    plan: &Plan,
    world: &World,
    mut progress: impl FnMut(usize, usize),
) -> Result<Grid, GridError> {
    let begun = Instant::now();
    let count = options.types.len();
    let lines = GridHost::all(LINE, count, plan, world)?;
    let columns = GridHost::all(COLUMN, count, plan, world)?;
    let room = Arc::new(Semaphore::new(options.parallel.max(1)));
    let mut attempts = JoinSet::new();
    for (line, a) in lines.iter().enumerate() {
        for (column, b) in columns.iter().enumerate() {
            let place = line * count + column;
            let (room, a, b) = (Arc::clone(&room), a.clone(), b.clone());
            attempts.spawn(async move {
                let _permit = room.acquire_owned().await;
                (place, try_pair(&a, &b).await)
            });
        }
    }
    let total = attempts.len();
    let mut found = vec![None; total];
    while let Some(attempt) = attempts.join_next().await {
        let (place, outcome) = attempt.map_err(GridError::Attempt)?;
        if let Some(slot) = found.get_mut(place) {
            *slot = outcome?;
        }
        progress(total - attempts.len(), total);
    }
    let mut found = found.into_iter();
    let mut cells = Vec::new();
    for (a, line) in options.types.iter().zip(&lines) {
        for (b, column) in options.types.iter().zip(&columns) {
            let networks = (&line.network, &column.network);
            cells.push(cell((a, b), networks, found.next().flatten()));
        }
    }
    Ok(Grid {
        agrees: cells.iter().all(|cell| cell.agrees),
        types: options.types.clone(),
        cells,
        seconds: tenths(begun.elapsed().as_secs_f64()),
    })
}

fn cell(
    (a, b): (&NetworkType, &NetworkType),
    (of_a, of_b): (&Network, &Network),
    path: Option<PathView>,
) -> Cell {
    let must = Expected::new(of_a, of_b);
    Cell {
        a: a.name.clone(),
        b: b.name.clone(),
        best: path.map(|path| path.transport()),
        path,
        expected: must.names(),
        agrees: must.agrees(path.as_ref()),
        why: reason(("A", of_a), ("B", of_b)),
    }
}

/// A host of the grid, with what its network lets through.
#[derive(Debug, Clone)]
struct GridHost {
    /// Runs tasks on the host's own thread.
    runtime: Handle,
    network: Network,
}

impl GridHost {
    fn all(side: &str, count: usize, plan: &Plan, world: &World) -> Result<Vec<Self>, GridError> {
        (0..count)
            .map(|place| Self::new(&host(side, place), plan, world))
            .collect()
    }

    fn new(name: &str, plan: &Plan, world: &World) -> Result<Self, GridError> {
        let netns = world.host(name).ok_or(GridError::NoHost)?.clone();
        let (here, there) = mpsc::channel();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                if let Err(error) = host_thread(&netns, &here) {
                    // `new` waits for a handle or an error, and may have got the handle already.
                    let _ = here.send(Err(error));
                }
            })
            .map_err(GridError::Thread)?;
        let runtime = there.recv().or(Err(GridError::ThreadEnded))??;
        Ok(Self {
            runtime,
            network: Network::new(plan, name),
        })
    }
}

/// Runs tasks inside a namespace for as long as the process lives; sends back the handle that
/// takes them.
fn host_thread(netns: &Netns, here: &mpsc::Sender<io::Result<Handle>>) -> io::Result<()> {
    netns.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let _ = here.send(Ok(runtime.handle().clone()));
        // Tasks come by the handle for as long as the lab lives; the thread ends with the process.
        runtime.block_on(std::future::pending::<()>());
        Ok(())
    })?
}

/// Has agents of two hosts look for a path; returns the one that both agree on, if any.
async fn try_pair(a: &GridHost, b: &GridHost) -> Result<Option<PathView>, GridError> {
    let must = Expected::new(&a.network, &b.network);
    let ((from_a, to_b), (from_b, to_a)) =
        (signals::unbounded_channel(), signals::unbounded_channel());
    let (view_a, mut of_a) = watch::channel(View::default());
    let (view_b, mut of_b) = watch::channel(View::default());
    let (stop, stopped) = watch::channel(false);
    let begun = Instant::now();
    let credential = Credential::new(USER, PASSWORD)?;
    let side = |host: &GridHost, role, signals, heard, view| {
        let side = Side {
            role,
            credential: credential.clone(),
            network: host.network.clone(),
            begun,
            signals,
            heard,
            view,
            stop: stopped.clone(),
        };
        host.runtime.spawn(side.run())
    };
    let nat64 = [a, b].map(|host| host.network.is_nat64);
    let a = side(a, Role::Controlling, from_a, to_a, view_a);
    let b = side(b, Role::Controlled, from_b, to_b, view_b);
    let settled = async {
        loop {
            let path = path(*of_a.borrow_and_update(), *of_b.borrow_and_update(), nat64);
            let is_right = path.is_some() && must.agrees(path.as_ref());
            let changed = async {
                tokio::select! {
                    changed = of_a.changed() => changed,
                    changed = of_b.changed() => changed,
                }
            };
            // What is right for a moment may be on the way to something else.
            tokio::select! {
                changed = changed => if changed.is_err() { return },
                () = tokio::time::sleep(SETTLE), if is_right => return,
            }
        }
    };
    // What has not become right by then is what came out.
    let _too_late = tokio::time::timeout(must.patience(), settled).await;
    let found = path(*of_a.borrow(), *of_b.borrow(), nat64);
    let _both_have_ended = stop.send(true);
    for side in [a, b] {
        let ended: Result<Result<(), SideError>, GridError> =
            side.await.or(Err(GridError::ThreadEnded));
        ended?.map_err(|error| GridError::Agent(error.to_string()))?;
    }
    Ok(found)
}

/// Returns the path that both sides see, once data of both has come back; `nat64` says which side
/// is behind one. Each candidate is of the type that the other side sees.
fn path(a: View, b: View, nat64: [bool; 2]) -> Option<PathView> {
    let (ours, theirs) = (a.pair?, b.pair?);
    let after = a.echoed_after?.max(b.echoed_after?);
    let agree = ours.is_seen_by(theirs, nat64[1]) && theirs.is_seen_by(ours, nat64[0]);
    agree.then(|| PathView {
        pair: Pair {
            a: theirs.remote,
            b: ours.remote,
            tcp: ours.tcp,
        },
        relays: [ours.way, theirs.way],
        ms: tenths(after.as_secs_f64() * 1000.0),
    })
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

fn host(side: &str, place: usize) -> String {
    format!("{side}-{}", place + 1)
}

/// How long a path has to stay as it is.
const SETTLE: Duration = Duration::from_millis(500);
const LINE: &str = "line";
const COLUMN: &str = "column";
/// The credentials of a server that only the lab reaches.
const USER: &str = "grid";
const PASSWORD: &str = "grid";
