//! Builds what a plan says: namespaces, cables between them, and routers.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use jackfield_router::namespace::wiring::{self, WiringError};
use jackfield_router::{Netns, TunConfig};
use tokio::sync::mpsc as async_mpsc;

use super::plan::{
    PREF64, Plan, ProxyPlan, SERVER, SERVER_GATEWAY, SERVER_GATEWAY6, SERVER_IP6, SERVER_IPS,
    SitePlan,
};
use super::proxy;
use crate::nat::{RouterError, RouterSetup, Settings, route};

/// A lab that was built. The kernel takes it away when this process ends.
#[derive(Debug)]
pub struct World {
    /// The network namespaces of the hosts, of the server, too.
    hosts: BTreeMap<String, Netns>,
    /// The namespaces of the internet and of each site's network, which exist as long as they are
    /// held.
    _networks: Vec<Netns>,
}

/// Receives the errors of a lab's routers.
#[derive(Debug)]
pub struct Failures(async_mpsc::UnboundedReceiver<WorldError>);

/// Why a world cannot be built, or why it works no longer. Its text names the cause, too.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorldError {
    /// A namespace, or a part of its network, cannot be made.
    #[error("{0}")]
    Wiring(#[from] WiringError),
    /// The plan lists a site before the one that it is behind.
    #[error("a site is planned before the one that it is behind")]
    SiteOrder,
    /// The router of a site cannot be made.
    #[error("the router of {site} cannot be made: {error}")]
    NoRouter {
        /// The site.
        site: String,
        /// Why.
        error: RouterEnd,
    },
    /// The proxy of a site cannot be started.
    #[error("the proxy of {site} cannot be started: {error}")]
    NoProxy {
        /// The site.
        site: String,
        /// What the system says.
        error: io::Error,
    },
    /// The router of a site ended while the lab was running.
    #[error("the router of {site} failed: {error}")]
    RouterFailed {
        /// The site.
        site: String,
        /// Why.
        error: RouterEnd,
    },
}

/// How a site's router came to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RouterEnd {
    /// The router ended without an error, though nothing had asked for it.
    #[error("it ended")]
    Ended,
    /// The router's thread panicked.
    #[error("it panicked")]
    Panicked,
    /// The router failed.
    #[error("{0}")]
    Failed(#[from] RouterError),
    /// The system has no thread for the router.
    #[error("the system has no thread for it: {0}")]
    NoThread(io::Error),
    /// The router did not say within the time limit that it routes.
    #[error("it does not answer: {0}")]
    NotReady(mpsc::RecvTimeoutError),
}

/// How a world is built, besides what the plan says.
#[derive(Debug, Clone)]
pub struct WorldOptions {
    /// Where the control setup of the routers are.
    pub folder: PathBuf,
    /// The folder for a capture file of each router; `None` captures nothing.
    pub capture: Option<PathBuf>,
    /// The seed of random ports and losses; `None` takes one from the system.
    pub seed: Option<u64>,
}

impl World {
    /// Builds a world. When this returns, every host and router works.
    ///
    /// # Errors
    /// Names the part that could not be made.
    pub fn build(plan: &Plan, options: &WorldOptions) -> Result<(Self, Failures), WorldError> {
        let internet = wiring::host(plan.ipv6)?;
        wiring::forward(&internet, plan.ipv6)?;
        wiring::black_hole(&internet, plan.ipv6)?;
        let mut hosts = BTreeMap::new();
        hosts.insert(SERVER.to_owned(), server(plan, &internet)?);
        let (report, failures) = async_mpsc::unbounded_channel();
        let mut addresses = Vec::new();
        if plan.ipv6 {
            addresses.push((internet.clone(), SERVER_GATEWAY6.into()));
            addresses.extend(
                hosts
                    .values()
                    .map(|server| (server.clone(), SERVER_IP6.into())),
            );
        }
        let mut networks = vec![internet];
        for (place, site) in plan.sites.iter().enumerate() {
            let network = site_network(plan, site)?;
            if let Some(proxy) = site.proxy {
                start_proxy(&network, proxy).map_err(|error| WorldError::NoProxy {
                    site: site.name.clone(),
                    error,
                })?;
            }
            for (number, host) in plan.hosts_of(place).enumerate() {
                let netns = wiring::host(plan.ipv6 || site.is_nat64())?;
                let port = format!("host{}", number + 1);
                wiring::connect((&network, &port), (&netns, "eth0"))?;
                wiring::add_to_bridge(&network, &port, LAN)?;
                wiring::address(&netns, "eth0", host.ip, site.prefix.1)?;
                if let (Some(ip6), Some(ipv6)) = (host.ip6, &site.ipv6) {
                    if host.ip != ip6 {
                        wiring::address(&netns, "eth0", ip6.into(), ipv6.prefix.1)?;
                    }
                    if site.proxy.is_none() {
                        wiring::route(&netns, DEFAULT_ROUTE6, ipv6.gateway)?;
                    }
                }
                // Without a route the proxy, which is on the link, is all that a host reaches.
                if site.proxy.is_none() {
                    wiring::route(&netns, to_ipv4(site), site.gateway)?;
                }
                // A network without hosts has no link, and so delivers nothing.
                let gateway = site.ipv6.as_ref().filter(|_| !site.is_nat64());
                addresses.extend(gateway.map(|ipv6| (network.clone(), ipv6.gateway)));
                let ip6 = host.ip6.filter(|_| site.ipv6.is_some());
                addresses.extend(ip6.map(|ip| (netns.clone(), ip.into())));
                hosts.insert(host.name.clone(), netns);
            }
            // The first network is the internet, the next the one of the first site.
            let outside = networks.get(site.parent.map_or(0, |parent| parent + 1));
            let outside = outside.ok_or(WorldError::SiteOrder)?;
            for router in routers(plan, place, site, (&network, outside), options) {
                start(router, report.clone()).map_err(|error| WorldError::NoRouter {
                    site: site.name.clone(),
                    error,
                })?;
            }
            networks.push(network);
        }
        for (netns, ip) in &addresses {
            wiring::await_delivery(netns, *ip)?;
        }
        let world = Self {
            hosts,
            _networks: networks,
        };
        Ok((world, Failures(failures)))
    }

    /// Returns the network namespace of a host, or of the server.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<&Netns> {
        self.hosts.get(name)
    }
}

impl Failures {
    /// Waits for a router to fail; returns its error.
    pub async fn next(&mut self) -> WorldError {
        match self.0.recv().await {
            Some(error) => error,
            // A lab without sites has no router that could fail.
            None => std::future::pending().await,
        }
    }
}

/// Returns the path of the control socket of a site's router.
#[must_use]
pub fn control(folder: &Path, site: &str) -> PathBuf {
    folder.join(format!("{site}.sock"))
}

fn server(plan: &Plan, internet: &Netns) -> Result<Netns, WiringError> {
    let netns = wiring::host(plan.ipv6)?;
    wiring::connect((internet, "server"), (&netns, "eth0"))?;
    wiring::address(internet, "server", SERVER_GATEWAY.into(), 24)?;
    for ip in SERVER_IPS {
        wiring::address(&netns, "eth0", ip.into(), 24)?;
    }
    wiring::route(&netns, DEFAULT_ROUTE, SERVER_GATEWAY.into())?;
    if plan.ipv6 {
        wiring::address(internet, "server", SERVER_GATEWAY6.into(), 64)?;
        wiring::address(&netns, "eth0", SERVER_IP6.into(), 64)?;
        wiring::route(&netns, DEFAULT_ROUTE6, SERVER_GATEWAY6.into())?;
    }
    Ok(netns)
}

/// Makes the namespace with the bridge that a site's hosts are plugged into.
fn site_network(plan: &Plan, site: &SitePlan) -> Result<Netns, WiringError> {
    let has_ipv6 = plan.ipv6 || site.is_nat64();
    let network = wiring::host(has_ipv6)?;
    wiring::forward(&network, has_ipv6)?;
    wiring::bridge(&network, LAN)?;
    wiring::address(&network, LAN, site.gateway, site.prefix.1)?;
    if let Some(ipv6) = site.ipv6.as_ref().filter(|_| !site.is_nat64()) {
        wiring::address(&network, LAN, ipv6.gateway, ipv6.prefix.1)?;
    }
    Ok(network)
}

/// Returns what a site's hosts have a route to by the NAT for IPv4.
fn to_ipv4(site: &SitePlan) -> (IpAddr, u8) {
    match site.is_nat64() {
        true => (PREF64.0.into(), PREF64.1),
        false => DEFAULT_ROUTE,
    }
}

/// Starts a site's proxy on a thread of its own, which ends with the process.
fn start_proxy(network: &Netns, plan: ProxyPlan) -> io::Result<()> {
    let (netns, (ready, is_ready)) = (network.clone(), mpsc::channel());
    let serve = move |ready: &mpsc::Sender<io::Result<()>>| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind(plan.address))?;
        // The starter waits for this or for an error.
        let _ = ready.send(Ok(()));
        runtime.block_on(proxy::serve(plan.kind, listener, plan.address.ip()));
        Ok(())
    };
    std::thread::Builder::new()
        .name("proxy".to_owned())
        .spawn(move || {
            let served = netns.run(|| serve(&ready)).and_then(|served| served);
            if let Err(error) = served {
                let _ = ready.send(Err(error));
            }
        })?;
    let started = is_ready.recv_timeout(START_TIMEOUT);
    started.map_err(io::Error::other)?
}

/// A router to start.
struct SiteRouter {
    name: String,
    settings: Settings,
    setup: RouterSetup,
}

/// Starts a router on a thread of its own, and waits until it routes.
///
/// A runtime for each router keeps a busy one from delaying the packets of the others.
fn start(
    router: SiteRouter,
    failures: async_mpsc::UnboundedSender<WorldError>,
) -> Result<(), RouterEnd> {
    let (ready, is_ready) = mpsc::channel();
    let work = move || {
        let when_ready = ready.clone();
        let routing = AssertUnwindSafe(|| {
            run_router(router.settings, &router.setup, move || {
                // `start` has given up on a router that took too long.
                let _timed_out = when_ready.send(Ok(()));
            })
        });
        // Without `catch_unwind` a panic would end this thread alone, and the lab would run on
        // with a router missing. No router ends as long as the lab lives, so its end is an error,
        // however it comes about.
        let error = match catch_unwind(routing) {
            Ok(Ok(())) => RouterEnd::Ended,
            Ok(Err(error)) => RouterEnd::Failed(error),
            Err(_) => RouterEnd::Panicked,
        };
        if let Err(mpsc::SendError(Err(error))) = ready.send(Err(error)) {
            let site = router.name;
            let _lab_is_gone = failures.send(WorldError::RouterFailed { site, error });
        }
    };
    std::thread::Builder::new()
        .name("router".to_owned())
        .spawn(work)
        .map_err(RouterEnd::NoThread)?;
    is_ready
        .recv_timeout(START_TIMEOUT)
        .map_err(RouterEnd::NotReady)?
}

fn run_router(
    settings: Settings,
    setup: &RouterSetup,
    ready: impl FnOnce(),
) -> Result<(), RouterError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RouterError::EventQueue)?;
    runtime
        .block_on(route(settings, setup, std::future::pending(), ready))
        .map(drop)
}

/// Returns the routers of a site: one for IPv4, and one for IPv6 if there is.
fn routers(
    plan: &Plan,
    place: usize,
    site: &SitePlan,
    (inside, outside): (&Netns, &Netns),
    options: &WorldOptions,
) -> Vec<SiteRouter> {
    let externals = &site.settings.externals;
    // The outside reaches a site with a NAT by the NAT's addresses alone. Hosts with public
    // addresses need a route to their network.
    let to_site = match externals.is_empty() {
        true => vec![site.prefix],
        false => externals.iter().map(|ip| (*ip, 32)).collect(),
    };
    let make = |settings: &Settings, mark: &str, routes: [Vec<(IpAddr, u8)>; 2]| {
        let [to_everything, to_site] = routes;
        let name = format!("{}{mark}", site.name);
        let interface = |name: String, netns: &Netns, routes| TunConfig {
            name,
            netns: Some(netns.clone()),
            addresses: Vec::new(),
            routes,
            mtu: None,
        };
        let capture = options.capture.as_ref();
        SiteRouter {
            settings: settings.clone(),
            setup: RouterSetup {
                inside: interface(format!("wan{mark}"), inside, to_everything),
                outside: interface(format!("site{}{mark}", site.number), outside, to_site),
                offload: true,
                queues: 1,
                control: control(&options.folder, &name),
                capture: capture.map(|folder| folder.join(format!("{name}.pcapng"))),
                seed: options
                    .seed
                    // With one seed for all, two routers would choose the same ports and lose the
                    // same packets.
                    .map(|seed| seed.wrapping_add(site.number.into())),
            },
            name,
        }
    };
    let mut routers = vec![make(&site.settings, "", [vec![to_ipv4(site)], to_site])];
    if let Some(ipv6) = &site.ipv6 {
        let all = plan.sites.iter().enumerate();
        // IPv6 addresses are the same on both sides of a router, so the outside needs a route to
        // every network behind it.
        let within = all.filter(|(inner, _)| plan.is_within(*inner, place));
        let prefixes = within.filter_map(|(_, site)| site.ipv6.as_ref().map(|ipv6| ipv6.prefix));
        let routes = [vec![DEFAULT_ROUTE6], prefixes.collect()];
        routers.push(make(&ipv6.settings, ".ipv6", routes));
    }
    routers
}

/// The name of a site's bridge.
const LAN: &str = "lan";
const DEFAULT_ROUTE: (IpAddr, u8) = (IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);
const DEFAULT_ROUTE6: (IpAddr, u8) = (IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED), 0);
/// How long a router may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(10);
