//! What all shards share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use jackfield_sansio::{Budget, Epoch};
use jackfield_signal::{IceServerList, IceServers};
use jackfield_socketio::Io;
use tokio::sync::watch;

use super::admission::Admission;
use super::counters::Counters;
use super::ice::{IceMinter, Reached};
use super::listeners::ShardParts;
use super::local_networks::LocalNetworks;
use super::metrics_access::MetricsAccess;
use super::signal::{self, QueueLimits, SharedHub};
use super::site_policy::SitePolicy;
use super::stopping::Stopping;
use super::{memory, secret, turn};
use crate::config::Config;

/// What all shards share.
#[derive(Debug)]
pub(super) struct App {
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) ice: IceMinter,
    pub(super) hub: Arc<SharedHub>,
    pub(super) io: Io,
    /// The HTTP side of `io`.
    pub(super) socketio: jackfield_socketio::engine::Service,
    pub(super) admission: Arc<Admission>,
    /// The memory that waits for clients.
    pub(super) budget: Budget,
    pub(super) sites: SitePolicy,
    pub(super) metrics_access: MetricsAccess,
    pub(super) counters: Counters,
    /// Each shard, set once all have started.
    pub(super) shards: OnceLock<Vec<ShardParts>>,
    /// Signaling's WebSockets.
    pub(super) websocket: Arc<jackfield_ws::WsConfig>,
    /// True from the signal to stop on.
    pub(super) stop: watch::Sender<bool>,
    pub(super) stopping: Stopping,
    /// How a TURN core is configured, but for what differs between shards.
    pub(super) turn_config: jackfield_turn::ServerConfig,
    ready: AtomicBool,
}

impl App {
    /// Builds everything that needs no socket.
    ///
    /// # Errors
    ///
    /// Fails without a clock, randomness, or a secret.
    pub(super) fn new(mut config: Config, local: &LocalNetworks) -> Result<Arc<Self>> {
        let clock = Clock::new()?;
        let secrets = secrets(&config)?;
        let minting = secrets.first().cloned().context("there is no secret")?;
        let ice = IceMinter::new(&config, minting);
        let connections = &config.connections;
        let budget = memory::budget(
            connections.waiting_memory,
            connections.waiting_memory_per_network,
        );
        config.socketio.budget = Some(budget.clone());
        config.turn_driver.budget = Some(budget.clone());
        let hub = Arc::new(SharedHub::new(
            config.signal.clone(),
            Box::new(HubIce {
                ice: ice.clone(),
                clock,
            }),
            secret::random_bytes()?,
            QueueLimits {
                total: config.signal_max_queue,
                per_sender: config.signal_max_queue_per_sender,
            },
            budget.clone(),
        ));
        let io = signal::socketio::serve(&config, &hub);
        let stop = watch::Sender::new(false);
        Ok(Arc::new(Self {
            clock,
            socketio: io.service(),
            io,
            hub,
            admission: Arc::new(Admission::new(&config.connections)),
            budget,
            sites: SitePolicy::new(&config),
            metrics_access: MetricsAccess::new(&config),
            counters: Counters::default(),
            shards: OnceLock::new(),
            websocket: Arc::new(signal::websocket::ws_config(&config)),
            stopping: Stopping::new(stop.clone()),
            stop,
            turn_config: turn::config(&config, &secrets, local)?,
            ready: AtomicBool::new(false),
            ice,
            config,
        }))
    }

    /// Returns whether every listener is up and none is draining.
    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Says whether new clients are welcome.
    pub(super) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }
}

/// Returns the configured secrets, or the one in the data directory; without a place to keep it,
/// one that ends with us.
fn secrets(config: &Config) -> Result<Vec<String>> {
    if !config.secrets.is_empty() {
        return Ok(config.secrets.clone());
    }
    if let Some(dir) = &config.data_dir {
        return Ok(vec![secret::load_or_create(dir)?]);
    }
    let kept = secret::default_dir()
        .context("no home directory")
        .and_then(|dir| secret::load_or_create(&dir));
    match kept {
        Ok(secret) => Ok(vec![secret]),
        Err(error) => {
            tracing::warn!(
                reason = format!("{error:#}"),
                "The TURN secret cannot be kept: credentials will not outlive this process"
            );
            Ok(vec![secret::generate()?])
        }
    }
}

/// The two clocks of the process, read once together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Epoch);

impl Clock {
    fn new() -> Result<Self> {
        let unix = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .context("the clock stands before 1970")?;
        Ok(Self(Epoch::new(Instant::now(), unix)))
    }

    /// Returns how monotonic time maps to the calendar.
    pub(super) fn epoch(&self) -> Epoch {
        self.0
    }

    /// Returns the time since 1970.
    pub(super) fn unix(&self) -> Duration {
        self.0.unix(Instant::now())
    }
}

/// Mints ICE servers for the hub.
struct HubIce {
    ice: IceMinter,
    clock: Clock,
}

impl IceServers for HubIce {
    fn mint(&mut self, now: Instant, _name: &str, host: Option<&str>) -> IceServerList {
        let reached = host.and_then(Reached::from_url);
        let answer = self
            .ice
            .mint(self.clock.epoch().unix(now), None, reached.as_ref());
        IceServerList {
            json: serde_json::to_string(&answer.ice_servers)
                .expect("a list of texts has a JSON form"),
            ttl: Duration::from_secs(answer.ttl),
        }
    }
}
