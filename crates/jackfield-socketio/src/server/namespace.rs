//! A namespace: its middlewares, handlers, sockets and rooms.

use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock, Weak};

use bytestring::ByteString;
use jackfield_socketio_proto::packet::DecodeError;
use serde::Serialize;

use super::adapter::{AckSink, Delivery, EventBody, Selection, WeakNamespace};
use super::broadcast::BroadcastAcks;
use super::handlers::{Handlers, OnDisconnect, OnEvent};
use super::operator::BroadcastOperator;
use super::panic::poll_handler;
use super::server_event::{OnServerEvent, ServerEvent, ServerHandlers};
use super::{Adapter, BoxFuture, ConnectError, DisconnectReason, EmitError, Event, Room, Socket};
use crate::config::IoConfig;
use crate::stats::Stats;
use crate::sync::{read, write};

type Middleware = Arc<dyn Fn(Socket) -> BoxFuture<Result<(), ConnectError>> + Send + Sync>;
type OnConnect = Arc<dyn Fn(Socket) -> BoxFuture<()> + Send + Sync>;

/// A namespace: clients join it, and what is sent in it stays in it. Clones are the same namespace.
#[derive(Clone)]
pub struct Namespace(pub(crate) Arc<NamespaceInner>);

pub(crate) struct NamespaceInner {
    pub(crate) name: ByteString,
    pub(crate) config: Arc<IoConfig>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) adapter: Arc<dyn Adapter>,
    middlewares: RwLock<Vec<Middleware>>,
    on_connect: RwLock<Vec<OnConnect>>,
    handlers: RwLock<Handlers>,
    server_handlers: RwLock<ServerHandlers>,
    /// Acknowledgement ids are the namespace's, so that one packet can go to many sockets.
    ack_ids: AtomicU64,
}

impl Namespace {
    pub(crate) fn new(
        name: ByteString,
        config: Arc<IoConfig>,
        stats: Arc<Stats>,
        make_adapter: impl FnOnce(&WeakNamespace) -> Arc<dyn Adapter>,
    ) -> Self {
        Self(Arc::new_cyclic(|inner| NamespaceInner {
            adapter: make_adapter(&WeakNamespace {
                name: name.clone(),
                inner: Weak::clone(inner),
            }),
            name,
            config,
            stats,
            middlewares: RwLock::default(),
            on_connect: RwLock::default(),
            handlers: RwLock::default(),
            server_handlers: RwLock::default(),
            ack_ids: AtomicU64::new(0),
        }))
    }

    /// Returns the namespace's name, `/` for the main one.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let chat = Io::new(IoConfig::default()).of("/chat");
    /// assert_eq!(chat.name(), "/chat");
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Has each client that asks for the namespace judged, after the middlewares that were added
    /// before.
    ///
    /// An error refuses the client, which gets its message and data as a `connect_error`. The
    /// socket is not connected yet: nothing can be sent to it, but handlers and values can be
    /// attached.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let chat = Io::new(IoConfig::default()).of("/chat");
    /// # use jackfield_socketio::{ConnectError, Socket};
    /// chat.use_middleware(async |socket: Socket| {
    ///     let auth: serde_json::Value = socket.handshake().auth().map_err(|_| "bad credentials")?;
    ///     match auth["name"].as_str() {
    ///         Some(name) => socket.set_data(name),
    ///         None => return Err(ConnectError::new("a name is needed").with_data(10)),
    ///     }
    ///     Ok(())
    /// });
    /// ```
    pub fn use_middleware<F, R>(&self, middleware: F)
    where
        F: Fn(Socket) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), ConnectError>> + Send + 'static,
    {
        let middleware: Middleware = Arc::new(move |socket| Box::pin(middleware(socket)));
        write(&self.0.middlewares).push(middleware);
    }

    /// Handles each new socket. Its events are handled once this is done: spawn a task for what
    /// takes long.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let chat = Io::new(IoConfig::default()).of("/chat");
    /// # use jackfield_socketio::Socket;
    /// chat.on_connect(async |socket: Socket| {
    ///     socket.join("lobby");
    ///     socket.to("lobby").emit("joined", &**socket.id()).ok();
    /// });
    /// ```
    pub fn on_connect<F, R>(&self, handler: F)
    where
        F: Fn(Socket) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let handler: OnConnect = Arc::new(move |socket| Box::pin(handler(socket)));
        write(&self.0.on_connect).push(handler);
    }

    /// Handles the event `name` of every socket in the namespace, before the sockets' own
    /// handlers. It costs a socket nothing, where [`Socket::on`] costs each socket some memory.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let chat = Io::new(IoConfig::default()).of("/chat");
    /// # use jackfield_socketio::{Event, Socket};
    /// chat.on("say", async |socket: Socket, event: Event| {
    ///     let Ok((room, text)) = event.parse::<(String, String)>() else { return };
    ///     socket.to(room).emit("said", &text).ok();
    /// });
    /// ```
    pub fn on<F, R>(&self, name: &str, handler: F)
    where
        F: Fn(Socket, Event) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let handler: OnEvent = Arc::new(move |socket, event| Box::pin(handler(socket, event)));
        write(&self.0.handlers).on(name, handler, false);
    }

    /// Handles every event of every socket in the namespace, before all other handlers.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let chat = Io::new(IoConfig::default()).of("/chat");
    /// # use jackfield_socketio::{Event, Socket};
    /// chat.on_any(async |socket: Socket, event: Event| {
    ///     println!("{} sends {}", socket.id(), event.name());
    /// });
    /// ```
    pub fn on_any<F, R>(&self, handler: F)
    where
        F: Fn(Socket, Event) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let handler: OnEvent = Arc::new(move |socket, event| Box::pin(handler(socket, event)));
        write(&self.0.handlers).on_any(handler);
    }

    /// Handles the end of every socket in the namespace, as [`Socket::on_disconnect`].
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let chat = Io::new(IoConfig::default()).of("/chat");
    /// # use jackfield_socketio::{DisconnectReason, Socket};
    /// chat.on_disconnect(async |socket: Socket, reason: DisconnectReason| {
    ///     println!("{} left: {reason}", socket.id());
    /// });
    /// ```
    pub fn on_disconnect<F, R>(&self, handler: F)
    where
        F: Fn(Socket, DisconnectReason) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let handler: OnDisconnect =
            Arc::new(move |socket, reason| Box::pin(handler(socket, reason)));
        write(&self.0.handlers).on_disconnect(handler);
    }

    /// Handles the event `name` that other processes send with [`Self::server_side_emit`].
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let chat = Io::new(IoConfig::default()).of("/chat");
    /// # use jackfield_socketio::ServerEvent;
    /// chat.on_server_event("ban", async |event: ServerEvent| {
    ///     let Ok(name) = event.get::<String>(0) else { return };
    ///     println!("another process bans {name}");
    /// });
    /// ```
    pub fn on_server_event<F, R>(&self, name: &str, handler: F)
    where
        F: Fn(ServerEvent) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let handler: OnServerEvent = Arc::new(move |event| Box::pin(handler(event)));
        let mut handlers = write(&self.0.server_handlers);
        handlers.entry(name.into()).or_default().push(handler);
    }

    /// Sends an event to the other processes of the namespace, for their [`Self::on_server_event`]
    /// handlers.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let chat = Io::new(IoConfig::default()).of("/chat");
    /// chat.server_side_emit("ban", "mallory")?;
    /// # Ok::<(), jackfield_socketio::EmitError>(())
    /// ```
    ///
    /// # Errors
    /// When the event cannot be written as JSON.
    pub fn server_side_emit<T: Serialize + ?Sized>(
        &self,
        name: &str,
        args: &T,
    ) -> Result<(), EmitError> {
        self.operator().server_side_emit(name, args)
    }

    /// Sends an event to the other processes of the namespace and returns what each of them
    /// answers.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let chat = Io::new(IoConfig::default()).of("/chat");
    /// let acks = chat.server_side_emit_with_ack("load", &())?.collect().await;
    /// assert!(acks.is_complete() && acks.answers.is_empty()); // there is no other process
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::server_side_emit`].
    pub fn server_side_emit_with_ack<T: Serialize + ?Sized>(
        &self,
        name: &str,
        args: &T,
    ) -> Result<BroadcastAcks, EmitError> {
        self.operator().server_side_emit_with_ack(name, args)
    }

    /// Runs the handlers of an event that came from another process, for adapters; their answers
    /// go to `acks`, if any are wanted. This returns once they are done.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let chat = Io::new(IoConfig::default()).of("/chat");
    /// use jackfield_socketio::ServerEvent;
    /// use jackfield_socketio::adapter::{EventBody, acks};
    ///
    /// chat.on_server_event("double", async |event: ServerEvent| {
    ///     let number: u32 = event.get(0).unwrap_or_default();
    ///     event.ack(&(2 * number)).ok();
    /// });
    /// let (sink, mut answers) = acks();
    /// let body = EventBody::from_parts(r#"["double",21]"#.into(), Vec::new())?;
    /// chat.handle_server_event(&body, Some(sink)).await?;
    /// assert_eq!(answers.next().await.ok_or("an answer")?.get::<u32>(0)?, 42);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the body cannot be read as an event.
    pub async fn handle_server_event(
        &self,
        body: &EventBody,
        acks: Option<AckSink>,
    ) -> Result<(), DecodeError> {
        let event = ServerEvent::read(body, acks)?;
        let handlers = read(&self.0.server_handlers)
            .get(event.name())
            .cloned()
            .unwrap_or_default();
        for handler in handlers {
            // A handler that panics must not end the adapter's task.
            let mut running = handler(event.clone());
            poll_fn(|context| poll_handler(&self.0.stats, &mut running, context)).await;
        }
        Ok(())
    }

    /// Returns how many processes serve the namespace, this one included.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let chat = Io::new(IoConfig::default()).of("/chat");
    /// assert_eq!(chat.server_count().await, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn server_count(&self) -> usize {
        self.0.adapter.server_count().await
    }

    /// Sends an event to every client in the namespace. Arguments are as in [`Socket::emit`].
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let chat = Io::new(IoConfig::default()).of("/chat");
    /// let delivery = chat.emit("closing", &"in five minutes")?;
    /// assert_eq!(delivery.full, 0);
    /// # Ok::<(), jackfield_socketio::EmitError>(())
    /// ```
    ///
    /// # Errors
    /// When the event cannot be a packet; clients that could not be reached are counted in the
    /// [`Delivery`].
    pub fn emit<T: Serialize + ?Sized>(&self, name: &str, args: &T) -> Result<Delivery, EmitError> {
        self.operator().emit(name, args)
    }

    /// Addresses the clients in a room.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let chat = Io::new(IoConfig::default()).of("/chat");
    /// chat.to("lobby").except("muted").emit("news", &1)?;
    /// # Ok::<(), jackfield_socketio::EmitError>(())
    /// ```
    pub fn to(&self, room: impl Into<Room>) -> BroadcastOperator {
        self.operator().to(room)
    }

    /// As [`Self::to`].
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let chat = Io::new(IoConfig::default()).of("/chat");
    /// chat.in_("lobby").volatile().emit("typing", "ann")?;
    /// # Ok::<(), jackfield_socketio::EmitError>(())
    /// ```
    pub fn in_(&self, room: impl Into<Room>) -> BroadcastOperator {
        self.to(room)
    }

    /// Addresses the clients that are not in a room.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let chat = Io::new(IoConfig::default()).of("/chat");
    /// chat.except("muted").emit("news", &1)?;
    /// # Ok::<(), jackfield_socketio::EmitError>(())
    /// ```
    pub fn except(&self, room: impl Into<Room>) -> BroadcastOperator {
        self.operator().except(room)
    }

    /// Addresses every client in the namespace.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let chat = Io::new(IoConfig::default()).of("/chat");
    /// let acks = chat.operator().emit_with_ack("are you there?", &())?;
    /// assert!(acks.collect().await.is_complete());
    /// # Ok(())
    /// # }
    /// ```
    pub fn operator(&self) -> BroadcastOperator {
        BroadcastOperator::new(Arc::clone(&self.0))
    }

    /// Returns the sockets of this process in the namespace.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig};
    /// # let chat = Io::new(IoConfig::default()).of("/chat");
    /// assert!(chat.sockets().is_empty());
    /// ```
    #[must_use]
    pub fn sockets(&self) -> Vec<Socket> {
        self.0.adapter.select(&Selection::default())
    }
}

impl NamespaceInner {
    pub(crate) fn middlewares(&self) -> Vec<Middleware> {
        // The lock is not held while they run: a middleware may be slow, or add another one.
        read(&self.middlewares).clone()
    }

    pub(crate) fn connect_handlers(&self) -> Vec<OnConnect> {
        read(&self.on_connect).clone()
    }

    pub(crate) fn disconnect_handlers(&self) -> Vec<OnDisconnect> {
        read(&self.handlers).disconnects()
    }

    pub(crate) fn list_handlers(&self, name: &str, out: &mut Vec<OnEvent>) {
        read(&self.handlers).list(name, out);
    }

    pub(crate) fn next_ack_id(&self) -> u64 {
        // Only that it differs matters, so no order is needed.
        self.ack_ids.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn add(&self, socket: &Socket) {
        if self.adapter.add(socket) {
            self.stats.sockets.increment();
        }
    }

    pub(crate) fn remove(&self, socket: &Socket) {
        if self.adapter.remove(socket) {
            self.stats.sockets.decrement();
        }
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespace")
            .field("name", &self.0.name)
            .finish_non_exhaustive()
    }
}
