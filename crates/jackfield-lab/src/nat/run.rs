//! Runs a router: interfaces, control socket, capture, and the router between them.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use jackfield_nat::Nat;
use jackfield_router::{Router, RouterConfig, Tap, Tun, TunConfig};
use tokio::signal::unix::{SignalKind, signal};

use super::control::{Control, Controller};
use super::{Interface, RouterError, Settings, View};

/// How `nat run` sets up a router, besides its settings.
#[derive(Debug, Clone)]
pub struct RouterOptions {
    /// The interface of the hosts behind the NAT.
    pub inside: Interface,
    /// The interface of the outside.
    pub outside: Interface,
    /// Whether the NAT is the default route of the inside namespace.
    pub default_route: bool,
    /// Whether the kernel may hand over trains of packets, up to 64 KiB at a time.
    pub offload: bool,
    /// How many queues each interface has, with a thread for each; at least 1.
    pub queues: usize,
    /// The path of the control socket.
    pub control: PathBuf,
    /// The capture file to write; `None` captures nothing.
    pub capture: Option<PathBuf>,
    /// The seed of random ports and losses; `None` takes one from the system.
    pub seed: Option<u64>,
}

/// The interfaces and files of a router, as `nat run` and labs both need them.
#[derive(Debug, Clone)]
pub(crate) struct RouterSetup {
    /// The interface of the hosts behind the NAT.
    pub(crate) inside: TunConfig,
    /// The interface of the outside.
    pub(crate) outside: TunConfig,
    /// Whether the kernel may hand over trains of packets, up to 64 KiB at a time.
    pub(crate) offload: bool,
    /// How many queues each interface has, with a thread for each; at least 1.
    pub(crate) queues: usize,
    /// The path of the control socket.
    pub(crate) control: PathBuf,
    /// The capture file to write; `None` captures nothing.
    pub(crate) capture: Option<PathBuf>,
    /// The seed of random ports and losses; `None` takes one from the system.
    pub(crate) seed: Option<u64>,
}

impl RouterSetup {
    fn new(settings: &Settings, options: &RouterOptions) -> Self {
        let externals = host_routes(&settings.externals);
        Self {
            inside: options.inside.tun(default_routes(options), settings.mtu),
            outside: options.outside.tun(externals, settings.mtu),
            offload: options.offload,
            queues: options.queues,
            control: options.control.clone(),
            capture: options.capture.clone(),
            seed: options.seed,
        }
    }
}

/// Makes the interfaces and routes until SIGINT or SIGTERM; calls `ready` when packets can come.
/// Returns a last view of the router.
///
/// # Errors
/// Fails when an interface or the control socket cannot be made, and when an interface disappears.
pub fn run_router(
    settings: Settings,
    options: &RouterOptions,
    ready: impl FnOnce(),
) -> Result<View, RouterError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RouterError::EventQueue)?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(RouterError::Signals)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(RouterError::Signals)?;
        let stop = async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        let setup = RouterSetup::new(&settings, options);
        route(settings, &setup, stop, ready).await
    })
}

/// Makes the interfaces and routes until `stop` resolves; calls `ready` when packets can come.
/// Returns a last view of the router.
///
/// # Errors
/// As [`run_router`].
pub(crate) async fn route(
    settings: Settings,
    setup: &RouterSetup,
    stop: impl Future<Output = ()>,
    ready: impl FnOnce(),
) -> Result<View, RouterError> {
    let inside = Tun::open_queues(&setup.inside, setup.queues)?;
    let outside = Tun::open_queues(&setup.outside, setup.queues)?;
    let (seed, loss_seed) = seeds(setup.seed)?;
    let config = RouterConfig {
        uplink: settings.link.config(),
        trains: setup.offload,
        seed: loss_seed,
        ..RouterConfig::default()
    };
    let nat = Nat::new(settings.config(), seed);
    let (mut router, handle) =
        Router::new(nat, inside, outside, &config).map_err(RouterError::Wait)?;
    router.map_ports(settings.leasing());
    if let Some(path) = &setup.capture {
        let tap = Tap::create(path).map_err(|error| RouterError::Capture {
            path: path.clone(),
            error,
        })?;
        router.capture(tap);
    }
    // The socket comes last, so that a router that can be asked is one that works.
    let control = Control::bind(&setup.control).await?;
    let controller = Arc::new(Controller::new(handle, settings));
    ready();
    let stop = async {
        tokio::select! {
            () = stop => {}
            // Serving goes on until the router stops.
            () = control.serve(Arc::clone(&controller)) => {}
        }
    };
    let report = router.run(stop).await.map_err(RouterError::Disappeared)?;
    Ok(View::new(&controller.settings().await, &report))
}

/// Returns the default route of the inside namespace, in the family of the host's address.
fn default_routes(options: &RouterOptions) -> Vec<(IpAddr, u8)> {
    let address = options.inside.address.filter(|_| options.default_route);
    let everything = address.map(|(ip, _)| match ip {
        IpAddr::V4(_) => (IpAddr::from([0; 4]), 0),
        IpAddr::V6(_) => (IpAddr::from([0; 16]), 0),
    });
    everything.into_iter().collect()
}

/// Returns a route to each single address.
fn host_routes(addresses: &[IpAddr]) -> Vec<(IpAddr, u8)> {
    let route = |ip: &IpAddr| (*ip, if ip.is_ipv4() { 32 } else { 128 });
    addresses.iter().map(route).collect()
}

/// Returns the seeds of the NAT and of the link.
fn seeds(given: Option<u64>) -> Result<([u8; 32], u64), RouterError> {
    let mut seed = [0; 32];
    match given {
        Some(given) => {
            for chunk in seed.chunks_mut(8) {
                chunk.copy_from_slice(&given.to_le_bytes());
            }
        }
        None => getrandom::fill(&mut seed).map_err(RouterError::Randomness)?,
    }
    // Losses need no secret: the process id is enough to have two routers lose different packets.
    let loss = given.unwrap_or_else(|| u64::from(std::process::id()));
    Ok((seed, loss))
}
