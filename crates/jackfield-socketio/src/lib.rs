//! A Socket.IO server for hyper, axum and anything else that speaks [`tower_service`], on tokio.
//!
//! Clients are the stock ones: `socket.io-client` 3 and 4, and with [`IoConfig::allow_eio3`] also
//! 2. They connect by HTTP long-polling or WebSocket, and move from the first to the second. The
//! API follows the JavaScript server's: see [`Io`], [`Namespace`] and [`Socket`].
//!
//! ```no_run
//! use jackfield_socketio::{IoConfig, Io, Socket};
//!
//! # async fn run() -> std::io::Result<()> {
//! let io = Io::new(IoConfig::default());
//! io.on_connect(async |socket: Socket| {
//!     socket.on("join", async |socket, event| {
//!         let Ok(room) = event.get::<String>(0) else { return };
//!         socket.join(&room);
//!         socket.to(&room).emit("joined", &**socket.id()).ok();
//!         event.ack(&"welcome").ok();
//!     });
//!     if let Ok(answer) = socket.emit_with_ack("ready?", &()).await {
//!         let _yes: bool = answer.get(0).unwrap_or_default();
//!     }
//! });
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! loop {
//!     let (stream, _) = listener.accept().await?;
//!     let service = hyper_util::service::TowerToHyperService::new(io.service());
//!     tokio::spawn(
//!         hyper::server::conn::http1::Builder::new()
//!             .serve_connection(hyper_util::rt::TokioIo::new(stream), service)
//!             .with_upgrades(),
//!     );
//! }
//! # }
//! ```
//!
//! With axum 0.8: `Router::new().route_service("/socket.io/", io.service())`.
//!
//! # What runs where
//! A session is shared: polling requests of one client may come to any thread. Its locks are
//! short, and never held while a handler runs or something is awaited. A WebSocket is one task,
//! which reads and writes; a polling session is none. One timer task serves the heartbeats of all
//! sessions. What happens on one socket happens in order: connecting, events and the disconnect
//! are handled one after the other, each awaited before the next. Acknowledgements are not: they
//! resolve at once, so a handler may await one.
//!
//! # Standards
//! - [x] Engine.IO 4: polling, WebSocket, upgrade, heartbeat, errors by number, CORS, cookie
//! - [x] Engine.IO 3 with [`IoConfig::allow_eio3`]
//! - [x] Socket.IO protocol 5 (and 4 for Engine.IO 3): namespaces, acknowledgements both ways,
//!   binary attachments, middlewares, rooms, volatile packets, broadcasts with acknowledgements
//! - [x] several processes as one server, by an [`adapter`] that the application brings
//! - [ ] adapters for Redis and NATS, dynamic namespaces, socket middlewares, connection state
//!   recovery, msgpack, WebTransport
//! - [ ] JSONP polling, serving the client's script: left out on purpose
//!
//! # Bad input
//! Every limit is a field of [`IoConfig`] and counted in [`Stats`]. What breaks the protocol ends
//! its session; nothing that a client sends is logged.

mod config;
pub mod engine;
mod id;
mod server;
mod stats;
mod sync;

pub use adapter::Delivery;
pub use config::{AllowRequest, Cookie, Cors, IoConfig, Origins, SlowConsumer, Verdict};
pub use jackfield_sansio::Rate;
pub use jackfield_socketio_proto::packet::EncodeError;
pub use jackfield_socketio_proto::{Args, Binary};
pub use server::{
    Ack, AckError, BroadcastAcks, BroadcastOperator, CollectedAcks, ConnectError, DisconnectReason,
    EmitError, EmitWithAck, Event, Extensions, FetchedSockets, Handshake, Io, Namespace,
    NotAnObject, RemoteSocket, Room, ServerEvent, Socket, SocketId, adapter,
};
pub use stats::{Counter, Stat, StatKind, Stats};

// The README's code is compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
