//! An endpoint: the sockets that sessions share, and what drives all of them.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Instant;

use jackfield_ice::gather::{GatherConfig, Gatherer, IceServer, RelaySockets};
use jackfield_ice::{Agent, AgentConfig};
use jackfield_sansio::Timers;
use tokio::sync::{Notify, OnceCell, Semaphore, mpsc};

use super::bindings::Bindings;
use super::config::EndpointConfig;
use super::core::Core;
use super::counters::EndpointCounters;
use super::routes::Routes;
use super::session::{Session, SessionId, Slot};
use super::shared::{Shared, Task, read};
use crate::watch::Watch;

/// Ports that any number of ICE sessions share, on every interface of this machine.
///
/// The endpoint's tasks run for as long as it or one of its sessions lives: two, and one for each
/// socket, listener and connection; none for a session.
pub struct IceEndpoint<C: Core = Agent> {
    inner: Arc<Inner<C>>,
}

/// What an endpoint and its sessions hold together.
pub(super) struct Inner<C: Core> {
    pub(super) shared: Arc<Shared<C>>,
    tasks: Vec<Task>,
}

/// Why a session cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There are as many as allowed ([`EndpointLimits::sessions`](super::EndpointLimits::sessions)).
    #[error("the endpoint has as many sessions as allowed")]
    TooMany,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

impl<C: Core> IceEndpoint<C> {
    /// Binds sockets to the addresses of this machine, and follows their changes.
    ///
    /// # Errors
    /// When there is no address to bind to, or the system refuses each.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn bind(config: EndpointConfig) -> io::Result<Self> {
        let seed = random()?;
        let servers = config.stun.iter().cloned().collect();
        let gather = GatherConfig {
            servers,
            ..GatherConfig::default()
        };
        let now = Instant::now();
        let shared = Arc::new_cyclic(|this| Shared {
            topology: Mutex::default(),
            sockets: RwLock::default(),
            own_sockets: Mutex::default(),
            sessions: RwLock::default(),
            routes: RwLock::new(Routes::new(config.limits.routes)),
            timers: Mutex::new(Timers::new()),
            timers_changed: Notify::new(),
            connections: Mutex::default(),
            gatherer: Mutex::new(Gatherer::new(gather, now, seed)),
            gatherer_changed: Notify::new(),
            sockets_changed: Notify::new(),
            strangers: Arc::new(Semaphore::new(config.limits.strangers)),
            resolutions: Arc::new(Semaphore::new(config.limits.resolutions)),
            system_tls: OnceCell::new(),
            next_session: AtomicU64::new(0),
            counters: EndpointCounters::default(),
            runtime: tokio::runtime::Handle::current(),
            this: this.clone(),
            config,
        });
        let mut bindings = Bindings::default();
        let watch = Watch::new(shared.config.poll);
        let refused = bindings.refresh(&shared)?;
        if bindings.sockets.is_empty() {
            return Err(refused.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()));
        }
        let mut tasks = vec![
            Task(tokio::spawn(Arc::clone(&shared).run_timers())),
            Task(tokio::spawn(Arc::clone(&shared).run_gatherer())),
            Task(tokio::spawn(bindings.run(Arc::clone(&shared), watch))),
        ];
        if let Some(config) = shared.config.port_mapping.clone() {
            let shared = Arc::clone(&shared);
            tasks.push(Task(tokio::spawn(async move {
                shared.run_mapper(config).await;
            })));
        }
        Ok(Self {
            inner: Arc::new(Inner { shared, tasks }),
        })
    }

    /// Opens a session for a core, whose [`CoreOutput::Connect`](super::CoreOutput::Connect) names
    /// a server by its index in `servers`.
    ///
    /// # Errors
    /// When there are too many.
    pub fn open(&self, core: C, servers: Arc<[IceServer]>) -> Result<Session<C>, OpenError> {
        let shared = &self.inner.shared;
        let limits = &shared.config.limits;
        let (events, event_receiver) = mpsc::channel(limits.events.max(1));
        let (packets, packet_receiver) = mpsc::channel(limits.packets.max(1));
        let id = SessionId(shared.next_session.fetch_add(1, Ordering::Relaxed));
        let slot = Arc::new(Slot::new(id, core, servers, events, packets));
        shared.add(&slot)?;
        Ok(Session::new(
            Arc::clone(&self.inner),
            slot,
            event_receiver,
            packet_receiver,
        ))
    }

    /// Returns the addresses of the UDP sockets, the preferred ones first.
    #[must_use]
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.inner.shared.local_sockets()
    }

    /// Returns whether all its addresses are loopback ones.
    pub(crate) fn is_on_loopback(&self) -> bool {
        let topology = self.inner.shared.topology();
        let with_port = topology.sockets.iter().chain(&topology.listeners);
        let mut with_port = with_port.map(SocketAddr::ip);
        with_port.all(|ip| ip.is_loopback()) && topology.addresses.iter().all(IpAddr::is_loopback)
    }

    /// Returns how many sessions there are.
    #[must_use]
    pub fn sessions(&self) -> usize {
        read(&self.inner.shared.sessions).len()
    }

    /// Returns the counters.
    #[must_use]
    pub fn counters(&self) -> &EndpointCounters {
        &self.inner.shared.counters
    }
}

impl IceEndpoint<Agent> {
    /// Opens a session for a new agent.
    ///
    /// Its allocations over UDP are made from sockets of its own, whatever the configuration says:
    /// a TURN server knows an allocation by the addresses of both ends, and the port is shared.
    ///
    /// # Errors
    /// When there are too many, or the system gives no random bytes.
    pub fn agent(&self, mut config: AgentConfig) -> Result<Session<Agent>, OpenError> {
        config.gather.relay_sockets = RelaySockets::Own;
        let servers = Arc::clone(&config.gather.servers);
        let seed = random().map_err(|_| OpenError::Random)?;
        let agent = Agent::new(config, Instant::now(), seed);
        self.open(agent, servers)
    }
}

impl<C: Core> Clone for IceEndpoint<C> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

fn random() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    Ok(seed)
}

impl<C: Core> fmt::Debug for IceEndpoint<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<C: Core> fmt::Debug for Inner<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceEndpoint")
            .field("topology", &self.shared.topology)
            .field("tasks", &self.tasks.len())
            .finish_non_exhaustive()
    }
}
