//! Runs a grid: hosts on threads of their own, and every pair by every transport.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Instant;

use jackfield_router::Netns;
use jackfield_turn::client::{Credential, CredentialError};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinSet;

use super::agent::{AgentSetup, Attempt, Server};
use super::checks::SelectedPair;
use super::expect::{Timeouts, expected, reason};
use super::network::{Network, NetworkType};
use super::report::{AttemptView, Cell, Grid};
use super::transport::Transport;
use crate::plan::{Plan, SERVER_IPS};
use crate::spec::{HostSpec, Spec};
use crate::world::World;

/// Why a grid could not be run. Its text names the cause, too.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GridError {
    /// The plan or the world is not one of [`lab`]: a host is missing.
    #[error("a host is missing{0}")]
    NoHost(&'static str),
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
    /// A host has no sockets.
    #[error("a host has no sockets: {0}")]
    Sockets(io::Error),
    /// The server's credential is not one.
    #[error("{0}")]
    Credential(#[from] CredentialError),
}

/// How a grid is run.
#[derive(Debug, Clone)]
pub struct GridOptions {
    /// The networks, which are lines and columns.
    pub types: Vec<NetworkType>,
    /// How many attempts are made at the same time.
    pub parallel: usize,
}

/// Returns the lab that a grid is run in: two sites with a host each for every
/// type, so that each can meet its like.
pub fn lab(types: &[NetworkType]) -> Spec {
    let mut spec = Spec {
        // One user makes all allocations of the grid, more than the default quota.
        serve: Some(
            [
                "--user",
                &format!("{USER}:{PASSWORD}"),
                "--turn-max-allocations-per-user",
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

/// Tries every pair by every transport; calls `progress` with how many of how many attempts are
/// over.
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
    let server = server()?;
    let room = Arc::new(Semaphore::new(options.parallel.max(1)));
    let mut attempts = JoinSet::new();
    for (line, a) in lines.iter().enumerate() {
        for (column, b) in columns.iter().enumerate() {
            for (way, transport) in Transport::ALL.into_iter().enumerate() {
                let place = (line * count + column) * Transport::ALL.len() + way;
                let attempt = Attempt {
                    transport,
                    session: place as u64,
                    server: server.clone(),
                };
                let must = expected(&a.network, &b.network, transport);
                let side = |stand: &GridHost| {
                    let timeouts = Timeouts::new(&stand.network, transport, must);
                    (stand.thread.clone(), timeouts)
                };
                let (room, a, b) = (Arc::clone(&room), side(a), side(b));
                attempts.spawn(async move {
                    let _permit = room.acquire_owned().await;
                    (place, try_pair(a, b, attempt).await)
                });
            }
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
            let ways = Transport::ALL.into_iter().zip(found.by_ref());
            let attempts = ways.map(|(transport, found)| {
                let must = expected(&line.network, &column.network, transport);
                AttemptView::new(transport, must, found)
            });
            let attempts = attempts.collect();
            let why = reason(("A", &line.network), ("B", &column.network));
            cells.push(Cell::new(a, b, why, attempts));
        }
    }
    Ok(Grid {
        agrees: cells.iter().all(|cell| cell.agrees),
        types: options.types.clone(),
        cells,
        seconds: (begun.elapsed().as_secs_f64() * 10.0).round() / 10.0,
    })
}

/// A host of the grid, with what its network lets through.
#[derive(Debug)]
struct GridHost {
    thread: HostThread,
    network: Network,
}

#[derive(Debug, Clone)]
struct HostThread {
    runtime: Handle,
    ip: IpAddr,
}

impl GridHost {
    fn all(side: &str, count: usize, plan: &Plan, world: &World) -> Result<Vec<Self>, GridError> {
        (0..count)
            .map(|place| Self::new(&host(side, place), plan, world))
            .collect()
    }

    fn new(name: &str, plan: &Plan, world: &World) -> Result<Self, GridError> {
        let planned = plan.hosts.iter().find(|host| host.name == name);
        let planned = planned.ok_or(GridError::NoHost(" in the plan"))?;
        let netns = world.host(name).ok_or(GridError::NoHost(""))?.clone();
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
            thread: HostThread {
                runtime,
                ip: planned.ip,
            },
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

/// Has two hosts look for a path; returns `None` when they find none.
async fn try_pair(
    a: (HostThread, Timeouts),
    b: (HostThread, Timeouts),
    attempt: Attempt,
) -> Result<Option<SelectedPair>, GridError> {
    let ((from_a, to_b), (from_b, to_a)) = (oneshot::channel(), oneshot::channel());
    let done = Arc::new(watch::channel(0).0);
    let side = |thread: &HostThread, timeouts, controlling, local_candidates, remote_candidates| {
        AgentSetup {
            host: thread.ip,
            timeouts,
            controlling,
            local_candidates,
            remote_candidates,
            done: Arc::clone(&done),
        }
    };
    let ((a, our_timeouts), (b, their_timeouts)) = (a, b);
    let ours = side(&a, our_timeouts, true, from_a, to_a);
    let theirs = side(&b, their_timeouts, false, from_b, to_b);
    let ours = a.runtime.spawn(ours.run(attempt.clone()));
    let theirs = b.runtime.spawn(theirs.run(attempt));
    let (ours, theirs) = tokio::join!(ours, theirs);
    let found = |result: Result<io::Result<Option<SelectedPair>>, _>| {
        let ended: Result<_, GridError> = result.or(Err(GridError::ThreadEnded));
        ended?.map_err(GridError::Sockets)
    };
    let (ours, theirs) = (found(ours)?, found(theirs)?);
    // Both sides have to agree that they have a path.
    Ok(ours.filter(|_| theirs.is_some()))
}

fn server() -> Result<Server, GridError> {
    let [ip, _] = SERVER_IPS;
    Ok(Server {
        plain: SocketAddr::new(ip.into(), 3478),
        tls: SocketAddr::new(ip.into(), 443),
        credential: Credential::new(USER, PASSWORD)?,
    })
}

fn host(side: &str, place: usize) -> String {
    format!("{side}-{}", place + 1)
}

const LINE: &str = "line";
const COLUMN: &str = "column";
/// The credentials of a server that only the lab reaches.
const USER: &str = "grid";
const PASSWORD: &str = "grid";
