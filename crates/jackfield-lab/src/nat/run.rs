use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use jackfield_nat::Nat;
use jackfield_router::{Router, RouterConfig, Tap, Tun, TunConfig};
use tokio::signal::unix::{SignalKind, signal};

use super::control::{Control, Controller};
use super::{Interface, Settings, View};

/// What a router needs besides its settings.
#[derive(Debug, Clone)]
pub struct RouterOptions {
    /// The interface of the hosts behind the NAT.
    pub inside: Interface,
    /// The interface of everybody else.
    pub outside: Interface,
    /// Whether the inside host sends everything through the NAT that it has no better route for.
    pub default_route: bool,
    /// Whether packets may come in trains.
    pub offload: bool,
    /// How many queues each interface has, with a thread each; at least 1.
    pub queues: usize,
    /// Where the control socket shall be.
    pub control: PathBuf,
    /// The capture file to write, if there is to be one.
    pub capture: Option<PathBuf>,
    /// What decides random ports and losses; random itself when absent.
    pub seed: Option<u64>,
}

/// What a router is plugged into.
#[derive(Debug, Clone)]
pub(crate) struct RouterSetup {
    /// The interface of the hosts behind the NAT.
    pub(crate) inside: TunConfig,
    /// The interface of everybody else.
    pub(crate) outside: TunConfig,
    /// Whether packets may come in trains.
    pub(crate) offload: bool,
    /// How many queues each interface has, with a thread each; at least 1.
    pub(crate) queues: usize,
    /// Where the control socket shall be.
    pub(crate) control: PathBuf,
    /// The capture file to write, if there is to be one.
    pub(crate) capture: Option<PathBuf>,
    /// What decides random ports and losses; random itself when absent.
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

/// Makes the interfaces and routes until SIGINT or SIGTERM; `ready` is called when all is in place. Returns how it went.
///
/// # Errors
/// Fails when an interface or the control socket cannot be made, and when an interface is taken away.
pub fn run_router(
    settings: Settings,
    options: &RouterOptions,
    ready: impl FnOnce(),
) -> Result<View> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no event queue to wait for packets")?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
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

/// Makes the interfaces and routes until `stop`; `ready` is called when all is in place. Returns how it went.
///
/// # Errors
/// As [`run_router`].
pub(crate) async fn route(
    settings: Settings,
    setup: &RouterSetup,
    stop: impl Future<Output = ()>,
    ready: impl FnOnce(),
) -> Result<View> {
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
    let (mut router, handle) = Router::new(nat, inside, outside, &config)
        .context("the interfaces cannot be waited for")?;
    router.map_ports(settings.leasing());
    if let Some(path) = &setup.capture {
        let tap = Tap::create(path)
            .with_context(|| format!("the capture {} cannot be written", path.display()))?;
        router.capture(tap);
    }
    let control = Control::bind(&setup.control).await?;
    let controller = Arc::new(Controller::new(handle, settings));
    ready();
    let stop = async {
        tokio::select! {
            () = stop => {}
            // Serving does not end by itself.
            () = control.serve(Arc::clone(&controller)) => {}
        }
    };
    let report = router.run(stop).await.context("an interface is gone")?;
    Ok(View::new(&controller.settings().await, &report))
}

/// The way out of the inside host's namespace, for each family that it has an address of.
fn default_routes(options: &RouterOptions) -> Vec<(IpAddr, u8)> {
    let address = options.inside.address.filter(|_| options.default_route);
    let everything = address.map(|(ip, _)| match ip {
        IpAddr::V4(_) => (IpAddr::from([0; 4]), 0),
        IpAddr::V6(_) => (IpAddr::from([0; 16]), 0),
    });
    everything.into_iter().collect()
}

/// The ways to single addresses.
fn host_routes(addresses: &[IpAddr]) -> Vec<(IpAddr, u8)> {
    let route = |ip: &IpAddr| (*ip, if ip.is_ipv4() { 32 } else { 128 });
    addresses.iter().map(route).collect()
}

/// Returns the seed of the NAT and the one of losses.
fn seeds(given: Option<u64>) -> Result<([u8; 32], u64)> {
    let mut seed = [0; 32];
    match given {
        Some(given) => {
            for chunk in seed.chunks_mut(8) {
                chunk.copy_from_slice(&given.to_le_bytes());
            }
        }
        None => getrandom::fill(&mut seed)
            .map_err(|error| anyhow::anyhow!("the system has no randomness: {error}"))?,
    }
    let loss = given.unwrap_or_else(|| u64::from(std::process::id()));
    Ok((seed, loss))
}
