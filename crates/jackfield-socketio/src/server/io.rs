//! The server.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use bytestring::ByteString;
use serde::Serialize;

use super::adapter::{Adapter, LocalAdapter};
use super::adapter::{Delivery, WeakNamespace};
use super::broadcast::BroadcastAcks;
use super::client::Client;
use super::operator::BroadcastOperator;
use super::{ConnectError, EmitError, Namespace, Room, ServerEvent, Socket};
use crate::config::IoConfig;
use crate::engine::{self, EngineSocket, Handler, Peer};
use crate::stats::Stats;
use crate::sync::{read, write};

type MakeAdapter = Box<dyn Fn(&WeakNamespace) -> Arc<dyn Adapter> + Send + Sync>;

/// A Socket.IO server. Clones are the same server; it works on current-thread and multi-thread
/// tokio runtimes, on several at once too.
///
/// Sessions are shared: the requests of one client may arrive at any thread. A handler runs on the
/// thread that its event came to.
#[derive(Clone)]
pub struct Io {
    inner: Arc<IoInner>,
    engine: engine::Server,
}

pub(crate) struct IoInner {
    pub(crate) config: Arc<IoConfig>,
    pub(crate) stats: Arc<Stats>,
    namespaces: RwLock<BTreeMap<ByteString, Namespace>>,
    make_adapter: MakeAdapter,
    closing: AtomicBool,
}

impl Io {
    /// Makes a server whose rooms are in this process.
    ///
    /// ```
    /// use jackfield_socketio::{Io, IoConfig};
    ///
    /// let io = Io::new(IoConfig {
    ///     max_payload: 4 << 20,
    ///     ..IoConfig::default()
    /// });
    /// assert_eq!(io.config().max_payload, 4 << 20);
    /// ```
    #[must_use]
    pub fn new(config: IoConfig) -> Self {
        Self::with_adapter(config, |_| Arc::new(LocalAdapter::default()))
    }

    /// Makes a server with an [adapter](crate::adapter) for each namespace, which `make_adapter`
    /// makes when the namespace is made.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use jackfield_socketio::adapter::LocalAdapter;
    /// use jackfield_socketio::{Io, IoConfig};
    ///
    /// // The default. An adapter that joins processes would be made from the namespace's name.
    /// let io = Io::with_adapter(IoConfig::default(), |_namespace| Arc::new(LocalAdapter::default()));
    /// # let _ = io;
    /// ```
    pub fn with_adapter(
        config: IoConfig,
        make_adapter: impl Fn(&WeakNamespace) -> Arc<dyn Adapter> + Send + Sync + 'static,
    ) -> Self {
        let stats = Arc::<Stats>::default();
        let inner = Arc::new(IoInner {
            config: Arc::new(config.clone()),
            stats: Arc::clone(&stats),
            namespaces: RwLock::default(),
            make_adapter: Box::new(make_adapter),
            closing: AtomicBool::new(false),
        });
        let handler = OpenClients(Arc::clone(&inner));
        let io = Self {
            inner,
            engine: engine::Server::with_stats(config, handler, stats),
        };
        io.of("/");
        io
    }

    /// Returns the service that answers HTTP requests.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let io = Io::new(IoConfig::default());
    /// let service = io.service(); // for axum: Router::new().route_service("/socket.io/", service)
    /// assert!(service.serves("/socket.io/"));
    /// ```
    #[must_use]
    pub fn service(&self) -> engine::Service {
        self.engine.service()
    }

    /// Returns a namespace, making it if it does not exist: clients can join those that exist. A
    /// missing leading slash is added.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let io = Io::new(IoConfig::default());
    /// let admin = io.of("admin"); // from here on clients may join it
    /// assert_eq!(admin.name(), "/admin");
    /// ```
    #[expect(
        clippy::must_use_candidate,
        reason = "a namespace that was made without handlers can be joined, too"
    )]
    pub fn of(&self, name: &str) -> Namespace {
        let name: ByteString = if name.starts_with('/') {
            name.into()
        } else {
            format!("/{name}").into()
        };
        if let Some(namespace) = self.inner.namespace(&name) {
            return namespace;
        }
        // Another thread may have made it since the look above.
        let mut namespaces = write(&self.inner.namespaces);
        namespaces
            .entry(name.clone())
            .or_insert_with(|| {
                Namespace::new(
                    name,
                    Arc::clone(&self.inner.config),
                    Arc::clone(&self.inner.stats),
                    &self.inner.make_adapter,
                )
            })
            .clone()
    }

    /// Returns what the server has counted.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let io = Io::new(IoConfig::default());
    /// assert_eq!(io.stats().sessions.get(), 0);
    /// ```
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.inner.stats
    }

    /// Returns the server's configuration.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let io = Io::new(IoConfig::default());
    /// assert_eq!(io.config().ping_interval.as_secs(), 25);
    /// ```
    #[must_use]
    pub fn config(&self) -> &IoConfig {
        &self.inner.config
    }

    /// Closes every session and refuses new ones, for good. Sockets are disconnected with the
    /// reason `server shutting down`; clients get what was sent before, and try to reconnect.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let io = Io::new(IoConfig::default());
    /// // When the process has to stop:
    /// io.close().await;
    /// assert_eq!(io.stats().sessions.get(), 0);
    /// # }
    /// ```
    pub async fn close(&self) {
        self.inner.closing.store(true, Ordering::Release);
        self.engine.close().await;
        // Adapters close last: the ends of the sessions still go through them.
        let namespaces: Vec<_> = read(&self.inner.namespaces).values().cloned().collect();
        for namespace in namespaces {
            namespace.0.adapter.close().await;
        }
    }

    /// As [`Namespace::on_connect`] of the main namespace.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let io = Io::new(IoConfig::default());
    /// # use jackfield_socketio::Socket;
    /// io.on_connect(async |socket: Socket| {
    ///     socket.emit("welcome", &()).ok();
    /// });
    /// ```
    pub fn on_connect<F, R>(&self, handler: F)
    where
        F: Fn(Socket) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        self.of("/").on_connect(handler);
    }

    /// As [`Namespace::use_middleware`] of the main namespace.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let io = Io::new(IoConfig::default());
    /// # use jackfield_socketio::{ConnectError, Socket};
    /// io.use_middleware(async |socket: Socket| {
    ///     match socket.handshake().query.get("token").map(String::as_str) {
    ///         Some("secret") => Ok(()),
    ///         _ => Err(ConnectError::new("not authorized")),
    ///     }
    /// });
    /// ```
    pub fn use_middleware<F, R>(&self, middleware: F)
    where
        F: Fn(Socket) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), ConnectError>> + Send + 'static,
    {
        self.of("/").use_middleware(middleware);
    }

    /// As [`Namespace::emit`] of the main namespace.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let io = Io::new(IoConfig::default());
    /// let delivery = io.emit("news", &("headline", 1))?;
    /// assert_eq!(delivery.sent, 0); // no client is connected
    /// # Ok::<(), jackfield_socketio::EmitError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Namespace::emit`].
    pub fn emit<T: Serialize + ?Sized>(&self, name: &str, args: &T) -> Result<Delivery, EmitError> {
        self.of("/").emit(name, args)
    }

    /// As [`Namespace::on_server_event`] of the main namespace.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let io = Io::new(IoConfig::default());
    /// # use jackfield_socketio::ServerEvent;
    /// io.on_server_event("drop-cache", async |event: ServerEvent| {
    ///     let table: String = event.get(0).unwrap_or_default();
    ///     event.ack(&table.len()).ok();
    /// });
    /// ```
    pub fn on_server_event<F, R>(&self, name: &str, handler: F)
    where
        F: Fn(ServerEvent) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        self.of("/").on_server_event(name, handler);
    }

    /// As [`Namespace::server_side_emit`] of the main namespace.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let io = Io::new(IoConfig::default());
    /// io.server_side_emit("drop-cache", "users")?; // without an adapter no other server hears it
    /// # Ok::<(), jackfield_socketio::EmitError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Namespace::server_side_emit`].
    pub fn server_side_emit<T: Serialize + ?Sized>(
        &self,
        name: &str,
        args: &T,
    ) -> Result<(), EmitError> {
        self.of("/").server_side_emit(name, args)
    }

    /// As [`Namespace::server_side_emit_with_ack`] of the main namespace.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), jackfield_socketio::EmitError> {
    /// # let io = Io::new(IoConfig::default());
    /// let acks = io.server_side_emit_with_ack("count-users", &())?.collect().await;
    /// let users: u64 = acks.answers.iter().filter_map(|args| args.get::<u64>(0).ok()).sum();
    /// assert_eq!(users, 0); // without an adapter no other server answers
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Namespace::server_side_emit`].
    pub fn server_side_emit_with_ack<T: Serialize + ?Sized>(
        &self,
        name: &str,
        args: &T,
    ) -> Result<BroadcastAcks, EmitError> {
        self.of("/").server_side_emit_with_ack(name, args)
    }

    /// As [`Namespace::to`] of the main namespace.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let io = Io::new(IoConfig::default());
    /// io.to("room 7").emit("news", &1)?;
    /// # Ok::<(), jackfield_socketio::EmitError>(())
    /// ```
    pub fn to(&self, room: impl Into<Room>) -> BroadcastOperator {
        self.of("/").to(room)
    }

    /// As [`Namespace::in_`] of the main namespace.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let io = Io::new(IoConfig::default());
    /// io.in_("room 7").in_("room 8").emit("news", &1)?;
    /// # Ok::<(), jackfield_socketio::EmitError>(())
    /// ```
    pub fn in_(&self, room: impl Into<Room>) -> BroadcastOperator {
        self.to(room)
    }

    /// As [`Namespace::except`] of the main namespace.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let io = Io::new(IoConfig::default());
    /// io.except("muted").emit("news", &1)?;
    /// # Ok::<(), jackfield_socketio::EmitError>(())
    /// ```
    pub fn except(&self, room: impl Into<Room>) -> BroadcastOperator {
        self.of("/").except(room)
    }
}

impl IoInner {
    pub(crate) fn namespace(&self, name: &str) -> Option<Namespace> {
        read(&self.namespaces).get(name).cloned()
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}

struct OpenClients(Arc<IoInner>);

impl Handler for OpenClients {
    fn open(&self, socket: &EngineSocket) -> Box<dyn Peer> {
        Box::new(Client::open(&self.0, socket))
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}
