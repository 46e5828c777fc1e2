//! The driver of [`jackfield_turn::Server`]: one core a shard, fed by the shard's UDP listeners,
//! client connections and relay sockets.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::{Duration, Instant};
//! use jackfield_driver::shard::{Shards, ShardsConfig};
//! use jackfield_driver::turn::{TurnConfig, TurnShard};
//! use jackfield_driver::udp::{UdpConfig, UdpSocket};
//! use jackfield_sansio::Epoch;
//! use jackfield_turn::{Credentials, NonceKey, Registry, Server, ServerConfig};
//!
//! let users = Credentials::new().with_user("alice", "secret");
//! let config = ServerConfig::new("example.org", users, NonceKey::new([7; 32]), Arc::new(Registry::new()));
//! let address = jackfield_driver::port::claim("127.0.0.1:0".parse().unwrap()).unwrap();
//! let (shards, _) = Shards::start(&ShardsConfig::default(), move |context| {
//!     let config = config.clone();
//!     async move {
//!         let epoch = Epoch::new(Instant::now(), Duration::from_secs(1_800_000_000)); // the time of day
//!         let server = Server::new(config, epoch, [context.index() as u8; 32]); // random bytes
//!         let turn = TurnShard::new(&context, server, TurnConfig::default());
//!         let socket = UdpSocket::bind(address, &UdpConfig::default(), turn.stats().listeners.clone())?;
//!         let listener = turn.clone();
//!         context.spawn("turn-udp", async move { listener.serve_udp(socket).await });
//!         Ok::<_, std::io::Error>(turn.handle())
//!     }
//! })
//! .unwrap();
//! shards.stop();
//! shards.join();
//! ```

mod engine;
mod listener;
mod queue;
mod relay;
mod stats;
mod stream;

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jackfield_sansio::{Budget, Epoch, FiveTuple, PacketType};
use jackfield_turn::{AllocationId, Cidr, Event, Server, ServerCounters};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};

pub use stats::{DriverStats, StreamStats, TurnStats};

use crate::shard::ShardContext;
use crate::udp::{Datagram, UdpConfig, UdpSocket};
use engine::Engine;

/// How the driver of a shard behaves.
#[derive(Debug, Clone)]
pub struct TurnConfig {
    /// How relay sockets are set up.
    pub relay: UdpConfig,
    /// Messages that one receive takes from a listener; each may be a train of datagrams.
    pub batch: usize,
    /// Messages that one receive takes from a relay socket.
    pub relay_batch: usize,
    /// Connections of one shard; more are closed at once.
    pub streams: usize,
    /// How long a connection without an allocation may be silent.
    pub stream_idle: Duration,
    /// Bytes that may wait for a client that reads slowly; data above it is dropped, answers are
    /// not.
    pub stream_queue: usize,
    /// The longest message of a connection, padding included.
    pub stream_message: usize,
    /// What waits for connections is charged to this, with all else that shares it; `None`, the
    /// default, leaves it to [`Self::stream_queue`].
    pub budget: Option<Budget>,
}

impl Default for TurnConfig {
    fn default() -> Self {
        Self {
            relay: UdpConfig::relay(),
            batch: 64,
            relay_batch: 8,
            streams: 10_000,
            stream_idle: Duration::from_secs(30),
            stream_queue: 256 * 1024,
            stream_message: jackfield_stun::framing::MAX_MESSAGE,
            budget: None,
        }
    }
}

/// A shard's TURN server: cheap to clone, stays on its thread.
#[derive(Debug, Clone)]
pub struct TurnShard {
    engine: Rc<Engine>,
    requests: mpsc::UnboundedSender<Request>,
}

impl TurnShard {
    /// Starts the driver of `server` on this shard. Events are logged at debug level.
    #[must_use]
    pub fn new(context: &ShardContext, server: Server, config: TurnConfig) -> Self {
        Self::with_events(context, server, config, |_| {})
    }

    /// Starts the driver of `server` on this shard, and calls `on_event` with each of its events.
    ///
    /// `on_event` runs between two packets, and must not wait for anything.
    pub fn with_events(
        context: &ShardContext,
        server: Server,
        config: TurnConfig,
        on_event: impl FnMut(&Event) + 'static,
    ) -> Self {
        let (requests, inbox) = mpsc::unbounded_channel();
        let engine = Engine::new(context.clone(), server, config, Box::new(on_event));
        context.spawn("turn", Rc::clone(&engine).run(inbox));
        Self { engine, requests }
    }

    /// Serves the clients of a UDP socket until the shard stops. What is neither STUN nor
    /// ChannelData is counted and dropped.
    pub async fn serve_udp(&self, socket: UdpSocket) {
        let stats = Arc::clone(self.stats());
        let count = move |kind: PacketType, _: Datagram<'_>| match kind {
            PacketType::Dtls => stats.driver.dropped_dtls.add(1),
            PacketType::QuicShort | PacketType::QuicLong => stats.driver.dropped_quic.add(1),
            _ => stats.driver.dropped_other.add(1),
        };
        self.serve_udp_with(socket, count).await;
    }

    /// Serves the clients of a UDP socket until the shard stops, and gives `other` what is neither
    /// STUN nor ChannelData.
    pub async fn serve_udp_with(
        &self,
        socket: UdpSocket,
        other: impl FnMut(PacketType, Datagram<'_>),
    ) {
        listener::serve(&self.engine, socket, other).await;
    }

    /// Serves the client of one TCP or TLS connection until it ends. `already_read` is what was
    /// read to find out that it speaks STUN.
    pub async fn serve_stream<S>(&self, stream: S, path: FiveTuple, already_read: Bytes)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        stream::serve(&self.engine, stream, path, &already_read).await;
    }

    /// Returns whether a relay socket of this shard is bound to `address`.
    #[must_use]
    pub fn is_relayed(&self, address: SocketAddr) -> bool {
        self.engine.is_relayed(address)
    }

    /// Returns the driver's counters.
    #[must_use]
    pub fn stats(&self) -> &Arc<TurnStats> {
        self.engine.stats()
    }

    /// Returns a way to reach this server from other threads.
    #[must_use]
    pub fn handle(&self) -> TurnHandle {
        TurnHandle {
            stats: Arc::clone(self.stats()),
            requests: self.requests.clone(),
        }
    }
}

/// A way to reach a shard's TURN server from any thread.
#[derive(Debug, Clone)]
pub struct TurnHandle {
    stats: Arc<TurnStats>,
    requests: mpsc::UnboundedSender<Request>,
}

impl TurnHandle {
    /// Returns the driver's counters.
    #[must_use]
    pub fn driver_stats(&self) -> &Arc<TurnStats> {
        &self.stats
    }

    /// Returns the core's counters; `None` once the shard has stopped.
    pub async fn stats(&self) -> Option<ServerCounters> {
        let (answer, stats) = oneshot::channel();
        self.requests.send(Request::Stats(answer)).ok()?;
        stats.await.ok()
    }

    /// Ends an allocation for the operator, if this shard has it.
    pub fn deallocate(&self, id: AllocationId) {
        // A shard that has stopped has no allocations.
        let _stopped = self.requests.send(Request::Deallocate(id));
    }

    /// Tells the core which addresses and networks this machine has since its interfaces changed
    /// ([`Server::set_local_networks`]).
    pub fn set_local_networks(&self, own_addresses: Vec<IpAddr>, connected: Vec<Cidr>) {
        // A shard that has stopped relays nothing.
        let _stopped = self
            .requests
            .send(Request::SetLocalNetworks(own_addresses, connected));
    }

    /// Tells the core that the wall clock was stepped.
    pub fn set_epoch(&self, epoch: Epoch) {
        // A shard that has stopped needs no clock.
        let _stopped = self.requests.send(Request::SetEpoch(epoch));
    }
}

/// What other threads ask of a shard's server.
#[derive(Debug)]
enum Request {
    Stats(oneshot::Sender<ServerCounters>),
    Deallocate(AllocationId),
    SetEpoch(Epoch),
    SetLocalNetworks(Vec<IpAddr>, Vec<Cidr>),
}
