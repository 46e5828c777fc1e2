//! The sessions of a server and what they share.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use http::request::Parts;
use jackfield_sansio::Account;
use jackfield_socketio_proto::engine::{
    CloseReason, LinkId, ServerSession, ServerSessionConfig, Version,
};
use jackfield_ws as ws;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::places::{Place, Places};
use super::rate::Rates;
use super::registry::Registry;
use super::timers::Timers;
use super::{EngineSocket, Handler, RequestInfo, Service, WeakSocket};
use crate::config::IoConfig;
use crate::id::Id;
use crate::stats::Stats;

/// An Engine.IO server. Clones are the same server.
///
/// ```
/// use jackfield_socketio::IoConfig;
/// use jackfield_socketio::engine::{CloseReason, Handler, Message, Peer, Server, EngineSocket};
///
/// struct Echo;
///
/// impl Handler for Echo {
///     fn open(&self, socket: &EngineSocket) -> Box<dyn Peer> {
///         Box::new(EchoPeer(socket.clone()))
///     }
/// }
///
/// struct EchoPeer(EngineSocket);
///
/// impl Peer for EchoPeer {
///     fn message(&mut self, message: Message) {
///         self.0.send(message).ok();
///     }
///
///     fn close(&mut self, reason: CloseReason) {
///         println!("closed: {reason}");
///     }
/// }
///
/// let server = Server::new(IoConfig { path: "/engine.io/".into(), ..IoConfig::default() }, Echo);
/// let service = server.service(); // for hyper or axum
/// # let _ = service;
/// ```
#[derive(Clone)]
pub struct Server(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) config: IoConfig,
    pub(super) session_config: Arc<ServerSessionConfig>,
    pub(super) ws_config: Arc<ws::WsConfig>,
    pub(super) stats: Arc<Stats>,
    pub(super) registry: Arc<Registry>,
    pub(super) timers: Arc<Timers>,
    pub(super) rates: Rates,
    pub(super) places: Places,
    handler: Box<dyn Handler>,
    /// A runtime for handlers that begin on a thread without one.
    runtime: OnceLock<Handle>,
    closing: AtomicBool,
    /// Wakes a graceful shutdown when a session or a WebSocket has ended.
    ended: Notify,
}

impl Server {
    /// Makes a server; it serves once its [`Self::service`] gets requests.
    pub fn new(config: IoConfig, handler: impl Handler) -> Self {
        Self::with_stats(config, handler, Arc::default())
    }

    pub(crate) fn with_stats(
        mut config: IoConfig,
        handler: impl Handler,
        stats: Arc<Stats>,
    ) -> Self {
        config.path = with_slashes(&config.path);
        Self(Arc::new(Inner {
            session_config: Arc::new(session_config(&config)),
            ws_config: Arc::new(ws_config(&config)),
            config,
            stats,
            registry: Arc::default(),
            timers: Arc::default(),
            rates: Rates::new(),
            places: Places::default(),
            handler: Box::new(handler),
            runtime: OnceLock::new(),
            closing: AtomicBool::new(false),
            ended: Notify::new(),
        }))
    }

    /// Returns the service that answers HTTP requests.
    #[must_use]
    pub fn service(&self) -> Service {
        Service::new(self.clone())
    }

    /// Returns what the server has counted.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.0.stats
    }

    /// Returns the server's configuration.
    #[must_use]
    pub fn config(&self) -> &IoConfig {
        &self.0.config
    }

    /// Closes every session and refuses new ones, for good.
    ///
    /// Clients get what was sent before; those that have not taken it after
    /// [`IoConfig::shutdown_timeout`] are cut off.
    pub async fn close(&self) {
        self.0.closing.store(true, Ordering::Release);
        for socket in self.0.registry.all() {
            socket.close();
        }
        let deadline = Instant::now() + self.0.config.shutdown_timeout;
        while self.0.is_busy() {
            // The wait is set up before the look, or the last end could come in between.
            let ended = self.0.ended.notified();
            if !self.0.is_busy() {
                break;
            }
            if tokio::time::timeout_at(deadline.into(), ended)
                .await
                .is_err()
            {
                break;
            }
        }
        for socket in self.0.registry.all() {
            socket.abort(CloseReason::ForcedClose);
        }
    }
}

/// A session that was opened on a WebSocket, with its first link.
pub(super) struct Opened {
    pub(super) socket: EngineSocket,
    pub(super) link: Option<LinkId>,
}

impl Inner {
    /// Opens a session at a place that was reserved for it.
    pub(super) fn open(self: &Arc<Self>, parts: &Parts, transport: OpenBy, seat: Seat) -> Opened {
        let by_polling = matches!(transport, OpenBy::Polling { .. });
        let sid = Id::random();
        let now = Instant::now();
        let config = Arc::clone(&self.session_config);
        let (core, link) = match transport {
            OpenBy::Polling {
                version,
                base64_only,
            } => {
                let core = ServerSession::polling(now, config, version, sid.as_str(), base64_only);
                (core, None)
            }
            OpenBy::WebSocket {
                version,
                base64_only,
            } => {
                let (core, link) =
                    ServerSession::websocket(now, config, version, sid.as_str(), base64_only);
                (core, Some(link))
            }
        };
        let info = RequestInfo::new(parts, self.config.keep_headers);
        let socket = EngineSocket::new(Arc::clone(self), sid, core, info, seat);
        if by_polling {
            self.places.opened_by_polling(&socket);
        }
        // Emits may come from threads without a runtime, and their handlers need one.
        self.runtime.get_or_init(Handle::current);
        self.timers.ensure_running(&self.registry);
        self.registry.insert(&socket);
        self.stats.handshakes.increment();
        Opened { socket, link }
    }

    /// Runs a future on this thread's runtime, or on the one that the first session was opened on.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        match (Handle::try_current(), self.runtime.get()) {
            (Ok(runtime), _) => _ = runtime.spawn(future),
            (Err(_), Some(runtime)) => _ = runtime.spawn(future),
            (Err(_), None) => tracing::error!("There is no runtime for a handler"),
        }
    }

    /// Lets the application take a session that [`Self::open`] has made.
    pub(super) fn start(&self, socket: &EngineSocket) {
        socket.start(self.handler.open(socket));
    }

    /// Counts the end of a session.
    pub(super) fn release(&self) {
        self.stats.sessions.decrement();
        self.ended.notify_waiters();
    }

    /// Takes a closed session out.
    pub(super) fn forget(&self, socket: &EngineSocket) {
        // A session has one place, which is given back once.
        if self.registry.remove(socket.sid()) {
            drop(socket.take_place());
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub(super) fn websocket_opened(&self) {
        self.stats.websockets.increment();
    }

    pub(super) fn websocket_closed(&self) {
        self.stats.websockets.decrement();
        self.ended.notify_waiters();
    }

    fn is_busy(&self) -> bool {
        self.stats.sessions.get() > 0 || self.stats.websockets.get() > 0
    }
}

/// What a session has before it is there: its place, and what counts its memory.
pub(super) struct Seat {
    pub(super) place: Place,
    pub(super) account: Arc<Account>,
    /// Where the budget finds the session once it is there.
    pub(super) evictable: Arc<OnceLock<WeakSocket>>,
}

/// The transport that a session is opened by.
pub(super) enum OpenBy {
    Polling { version: Version, base64_only: bool },
    WebSocket { version: Version, base64_only: bool },
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.timers.stop();
    }
}

/// Clients ask for a path with a slash at both ends.
fn with_slashes(path: &str) -> String {
    match path.trim_matches('/') {
        "" => "/".to_owned(),
        path => format!("/{path}/"),
    }
}

fn session_config(config: &IoConfig) -> ServerSessionConfig {
    ServerSessionConfig {
        ping_interval: config.ping_interval,
        ping_timeout: config.ping_timeout,
        upgrade_timeout: config.upgrade_timeout,
        close_timeout: config.close_timeout,
        allow_upgrades: config.allow_upgrades && config.websocket,
        max_payload: config.max_payload,
        max_buffered: config.max_buffered,
    }
}

fn ws_config(config: &IoConfig) -> ws::WsConfig {
    let mut ws = ws::WsConfig {
        // The session has its own heartbeat.
        ping_interval: None,
        // The session's own limits hold, and its packets are fed a little at a time.
        max_queued: usize::MAX,
        close_timeout: Duration::from_secs(5),
        ..ws::WsConfig::default()
    };
    ws.options.subprotocols.clone_from(&config.subprotocols);
    ws.options.any_subprotocol = config.subprotocols.is_empty();
    // A packet of revision 3 has its type in front.
    ws.limits.max_frame = config.max_payload + 1;
    ws.limits.max_message = config.max_payload + 1;
    ws
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_a_slash_at_both_ends() {
        for path in ["/a/b/", "a/b", "/a/b", "a/b/"] {
            assert_eq!(with_slashes(path), "/a/b/");
        }
        assert_eq!(with_slashes(""), "/");
    }
}
