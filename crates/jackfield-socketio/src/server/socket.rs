//! One client in one namespace.

mod emit;
mod run;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use bytestring::ByteString;
use serde_json::Value;

use super::ack::Pending;
use super::client::ClientState;
use super::handlers::Handlers;
use super::inbox::Inbox;
use super::namespace::NamespaceInner;
use super::{BroadcastOperator, DisconnectReason, Event, Extensions, Handshake, Namespace, Room};

use crate::engine::{EngineSocket, Transport, Version};
use crate::sync::lock;

/// The public id of a socket; it is not the id of the session, which only this client may know.
///
/// Clients of Socket.IO 2 make their ids from the session's, so theirs is not public.
pub type SocketId = Arc<str>;

/// One client in one namespace. Clones are the same socket.
#[derive(Clone)]
pub struct Socket(Arc<Inner>);

pub(crate) struct Inner {
    id: SocketId,
    namespace: Arc<NamespaceInner>,
    engine: EngineSocket,
    client: Arc<ClientState>,
    handshake: Handshake,
    state: AtomicU8,
    inbox: Inbox,
    handlers: Mutex<Option<Box<Handlers>>>,
    acks: Mutex<Pending>,
    /// The rooms that the socket was in when it was disconnected.
    last_rooms: Mutex<Vec<Room>>,
    data: Mutex<Value>,
    extensions: Extensions,
}

impl Socket {
    pub(crate) fn new(
        id: SocketId,
        namespace: Arc<NamespaceInner>,
        engine: EngineSocket,
        client: Arc<ClientState>,
        auth: Option<ByteString>,
    ) -> Self {
        let request = Arc::clone(engine.request());
        Self(Arc::new(Inner {
            id,
            namespace,
            engine,
            client,
            handshake: Handshake { request, auth },
            state: AtomicU8::new(CONNECTING),
            inbox: Inbox::default(),
            handlers: Mutex::default(),
            acks: Mutex::default(),
            last_rooms: Mutex::default(),
            data: Mutex::default(),
            extensions: Extensions::default(),
        }))
    }

    /// Returns the socket's id.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     println!("{} connects", socket.id());
    /// });
    /// ```
    #[must_use]
    pub fn id(&self) -> &SocketId {
        &self.0.id
    }

    /// Returns the namespace that the socket is in.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     assert_eq!(socket.namespace().name(), "/");
    /// });
    /// ```
    #[must_use]
    pub fn namespace(&self) -> Namespace {
        Namespace(Arc::clone(&self.0.namespace))
    }

    pub(crate) fn namespace_name(&self) -> &str {
        &self.0.namespace.name
    }

    /// Returns what the client brought when it connected.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     let handshake = socket.handshake();
    ///     println!("from {:?} by {}", handshake.address, handshake.url);
    /// });
    /// ```
    #[must_use]
    pub fn handshake(&self) -> &Handshake {
        &self.0.handshake
    }

    /// Returns whether the socket is connected: it is from the time that the middlewares have let
    /// it in.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # let io = Io::new(IoConfig::default());
    /// io.use_middleware(async |socket: Socket| {
    ///     assert!(!socket.is_connected());
    ///     Ok(())
    /// });
    /// io.on_connect(async |socket: Socket| assert!(socket.is_connected()));
    /// ```
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.0.state.load(Ordering::Acquire) == CONNECTED
    }

    /// Returns the transport that carries the client's packets at the moment.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     println!("by {}", socket.transport().name()); // may change to "websocket" later
    /// });
    /// ```
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.0.engine.transport()
    }

    /// Returns the Engine.IO revision that the client speaks.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # use jackfield_socketio::engine::Version;
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     if socket.engine_version() == Version::V3 {
    ///         println!("a client of Socket.IO 2");
    ///     }
    /// });
    /// ```
    #[must_use]
    pub fn engine_version(&self) -> Version {
        self.0.engine.version()
    }

    /// Returns how many bytes wait for the client to read them, over all namespaces.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     if socket.buffered() > 1 << 20 {
    ///         socket.disconnect(true);
    ///     }
    /// });
    /// ```
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.0.engine.buffered()
    }

    /// Returns the value that [`RemoteSocket::data`](super::RemoteSocket::data) shows for this
    /// socket.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.set_data("Ann");
    ///     assert_eq!(socket.data(), "Ann");
    /// });
    /// ```
    #[must_use]
    pub fn data(&self) -> Value {
        lock(&self.0.data).clone()
    }

    /// Sets that value.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.set_data(serde_json::json!({ "name": "Ann", "level": 3 }));
    /// });
    /// ```
    pub fn set_data(&self, data: impl Into<Value>) {
        *lock(&self.0.data) = data.into();
    }

    /// Returns the application's own values for this socket.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// #[derive(Clone)]
    /// struct User(u64);
    ///
    /// # let io = Io::new(IoConfig::default());
    /// io.use_middleware(async |socket: Socket| {
    ///     socket.extensions().insert(User(7));
    ///     Ok(())
    /// });
    /// io.on_connect(async |socket: Socket| {
    ///     let user = socket.extensions().get::<User>().map(|user| user.0);
    ///     assert_eq!(user, Some(7));
    /// });
    /// ```
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        &self.0.extensions
    }

    /// Handles the event `name`. Several handlers of one event run one after the other, in the
    /// order of registration; the next event of this socket waits for them. Spawn a task for what
    /// may take long.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # use jackfield_socketio::Event;
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.on("add", async |_socket, event: Event| {
    ///         let (a, b): (i64, i64) = event.parse().unwrap_or_default();
    ///         event.ack(&(a + b)).ok();
    ///     });
    /// });
    /// ```
    pub fn on<F, R>(&self, name: &str, handler: F)
    where
        F: Fn(Self, Event) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let handler = Arc::new(move |socket, event| Box::pin(handler(socket, event)) as _);
        self.with_handlers(|handlers| handlers.on(name, handler, false));
    }

    /// Handles the next event `name` only.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.once("ready", async |socket: Socket, _event| {
    ///         socket.emit("start", &()).ok();
    ///     });
    /// });
    /// ```
    pub fn once<F, R>(&self, name: &str, handler: F)
    where
        F: Fn(Self, Event) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let handler = Arc::new(move |socket, event| Box::pin(handler(socket, event)) as _);
        self.with_handlers(|handlers| handlers.on(name, handler, true));
    }

    /// Handles every event, before the handlers of its name.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # use jackfield_socketio::Event;
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.on_any(async |_socket, event: Event| println!("{}", event.name()));
    /// });
    /// ```
    pub fn on_any<F, R>(&self, handler: F)
    where
        F: Fn(Self, Event) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let handler = Arc::new(move |socket, event| Box::pin(handler(socket, event)) as _);
        self.with_handlers(|handlers| handlers.on_any(handler));
    }

    /// Forgets the handlers of the event `name`.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.on("draw", async |_socket, _event| {});
    ///     socket.off("draw");
    /// });
    /// ```
    pub fn off(&self, name: &str) {
        self.with_handlers(|handlers| handlers.off(name));
    }

    /// Forgets the handlers of every event.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.on_any(async |_socket, _event| {});
    ///     socket.off_any();
    /// });
    /// ```
    pub fn off_any(&self) {
        self.with_handlers(Handlers::off_any);
    }

    /// Handles the end of the socket, after the handlers of all its events. The socket has left
    /// its rooms by then; [`Self::rooms`] still names them.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.on_disconnect(async |socket: Socket, reason| {
    ///         println!("{} left {:?}: {reason}", socket.id(), socket.rooms());
    ///     });
    /// });
    /// ```
    pub fn on_disconnect<F, R>(&self, handler: F)
    where
        F: Fn(Self, DisconnectReason) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let handler = Arc::new(move |socket, reason| Box::pin(handler(socket, reason)) as _);
        self.with_handlers(|handlers| handlers.on_disconnect(handler));
    }

    fn with_handlers(&self, act: impl FnOnce(&mut Handlers)) {
        let mut handlers = lock(&self.0.handlers);
        // A socket that is over would never let go of a handler, which often holds the socket.
        if self.0.state.load(Ordering::Acquire) != ENDED {
            // The list is made on first use: many sockets have no handlers but their namespace's.
            act(handlers.get_or_insert_default());
        }
    }

    /// Joins a room.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.join("room 7");
    /// });
    /// ```
    pub fn join(&self, room: impl Into<Room>) {
        self.join_all([room]);
    }

    /// Joins several rooms.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.join_all(["room 7", "room 8"]);
    /// });
    /// ```
    pub fn join_all<R: Into<Room>>(&self, rooms: impl IntoIterator<Item = R>) {
        let rooms: Vec<Room> = rooms.into_iter().map(Into::into).collect();
        if self.is_connected() {
            self.0.namespace.adapter.join(self, &rooms);
            if !self.is_connected() {
                // It was disconnected in between and has left its rooms already.
                self.0.namespace.adapter.remove(self);
            }
        }
    }

    /// Leaves a room.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.join("lobby");
    ///     socket.leave("lobby");
    /// });
    /// ```
    pub fn leave(&self, room: impl Into<Room>) {
        self.0.namespace.adapter.leave(self, &room.into());
    }

    /// Returns the rooms that the socket is in, its own (named by its id) among them; once it is
    /// disconnected, those that it was in.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.join("lobby");
    ///     assert!(socket.rooms().contains("lobby") && socket.rooms().contains(&**socket.id()));
    /// });
    /// ```
    #[must_use]
    pub fn rooms(&self) -> BTreeSet<Room> {
        let mut rooms = BTreeSet::from([Room::from_arc(Arc::clone(&self.0.id))]);
        if self.is_connected() {
            rooms.extend(self.0.namespace.adapter.rooms(self));
        } else {
            rooms.extend(lock(&self.0.last_rooms).iter().cloned());
        }
        rooms
    }

    /// Sends to the others in a room.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.to("lobby").emit("joined", &**socket.id()).ok();
    /// });
    /// ```
    pub fn to(&self, room: impl Into<Room>) -> BroadcastOperator {
        self.broadcast().to(room)
    }

    /// As [`Self::to`].
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.in_("lobby").in_("garden").emit("joined", &()).ok();
    /// });
    /// ```
    pub fn in_(&self, room: impl Into<Room>) -> BroadcastOperator {
        self.to(room)
    }

    /// Sends to the others that are not in a room.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.except("muted").emit("joined", &()).ok();
    /// });
    /// ```
    pub fn except(&self, room: impl Into<Room>) -> BroadcastOperator {
        self.broadcast().except(room)
    }

    /// Sends to all others in the namespace.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.broadcast().emit("joined", &()).ok();
    /// });
    /// ```
    pub fn broadcast(&self) -> BroadcastOperator {
        BroadcastOperator::new(Arc::clone(&self.0.namespace)).except_socket(&self.0.id)
    }

    /// Disconnects the client from this namespace, or with `close` from all and closes its
    /// connection. Events that have not been handled are dropped.
    ///
    /// ```
    /// # use jackfield_socketio::{Io, IoConfig, Socket};
    /// # let io = Io::new(IoConfig::default());
    /// io.on_connect(async |socket: Socket| {
    ///     socket.disconnect(true);
    /// });
    /// ```
    pub fn disconnect(&self, close: bool) {
        if !self.is_connected() {
            return;
        }
        if close {
            self.0.client.disconnect_all();
        } else {
            self.0.client.disconnect(self);
        }
    }

    pub(crate) fn max_attachments(&self) -> usize {
        self.0.namespace.config.max_attachments
    }

    pub(crate) fn engine(&self) -> &EngineSocket {
        &self.0.engine
    }

    pub(crate) fn inbox(&self) -> &Inbox {
        &self.0.inbox
    }
}

impl PartialEq for Socket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Socket {}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("id", &self.0.id)
            .field("namespace", &self.0.namespace.name)
            .finish_non_exhaustive()
    }
}

const CONNECTING: u8 = 0;
const CONNECTED: u8 = 1;
/// It was connected; the handlers of its end have not run yet.
const DISCONNECTED: u8 = 2;
/// Nothing runs on it any more, or ever did.
const ENDED: u8 = 3;
