//! What a room needs of a peer connection; `webrtc.rs` has the real one, tests one in a process.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use crate::channel::Channel;

/// Makes peer connections.
pub trait Connector: Send + 'static {
    /// What it makes.
    type Connection: Connection;

    /// Makes a connection that uses the `iceServers` of the server, and says what happens to it on
    /// `events`.
    ///
    /// # Errors
    /// What the system said when it has no socket for it.
    fn connect(
        &mut self,
        ice_servers: &Value,
        events: Events,
    ) -> impl Future<Output = io::Result<Self::Connection>> + Send;

    /// Prepares for connections that use these `iceServers`, such as by looking up their names.
    ///
    /// What takes long goes into the future, which the room waits for before it makes the first
    /// connection, and meanwhile does everything else. When the server names others later, earlier
    /// ones are used until the new ones are ready.
    fn prepare(&mut self, ice_servers: &Value) -> Preparation {
        let _nothing = ice_servers;
        Box::pin(std::future::ready(()))
    }

    /// Returns whether its connections use relays alone, so that no direct path is looked for.
    fn is_relay_only(&self) -> bool {
        false
    }
}

/// What a [`Connector`] does before it can connect.
pub type Preparation = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where a connection says what happens to it.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(ConnectionEvent) -> Telling + Send + Sync>);

type Telling = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Events {
    /// Passes events on to `tell`.
    #[must_use]
    pub fn new<T>(tell: impl Fn(ConnectionEvent) -> T + Send + Sync + 'static) -> Self
    where
        T: Future<Output = ()> + Send + 'static,
    {
        Self(Arc::new(move |event| Box::pin(tell(event))))
    }

    /// Tells of something that happened; waits while too much of what happened is not taken.
    pub async fn tell(&self, event: ConnectionEvent) {
        (self.0)(event).await;
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Events").finish_non_exhaustive()
    }
}

/// One peer connection. Dropping it ends it, too, with what waits on its channels perhaps lost.
pub trait Connection: Send + 'static {
    /// Returns an offer, which stays pending until an answer or an offer of the other side is
    /// applied; with `restart` ICE begins anew.
    fn offer(
        &mut self,
        restart: bool,
    ) -> impl Future<Output = Result<String, ConnectionError>> + Send;

    /// Applies an offer of the other side, withdraws a pending one of ours, and returns the answer.
    fn accept(
        &mut self,
        offer: &str,
    ) -> impl Future<Output = Result<String, ConnectionError>> + Send;

    /// Applies the answer to the pending offer.
    fn complete(
        &mut self,
        answer: &str,
    ) -> impl Future<Output = Result<(), ConnectionError>> + Send;

    /// Takes a candidate of the other side; an empty one says that there are no more.
    fn add_candidate(
        &mut self,
        candidate: &str,
        ufrag: Option<&str>,
    ) -> impl Future<Output = Result<(), ConnectionError>> + Send;

    /// Opens a reliable, ordered channel; with `negotiated` the other side opens it, too.
    fn open_channel(
        &mut self,
        label: &str,
        protocol: &str,
        negotiated: Option<u16>,
    ) -> impl Future<Output = Result<Channel, ConnectionError>> + Send;

    /// Sends what waits on the channels, and closes the connection.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// Why a peer connection does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConnectionError(pub String);

/// What happens to a peer connection.
#[derive(Debug)]
pub enum ConnectionEvent {
    /// A candidate of ours, for the other side.
    Candidate {
        /// The candidate's attribute (RFC 8839 section 5.1), without `a=`; empty when there are no
        /// more.
        candidate: String,
        /// The username fragment of the ICE session that it belongs to.
        ufrag: String,
    },
    /// The connection's state has changed.
    State(ConnectionState),
    /// Another path is in use, or its round-trip time was measured for the first time.
    Path(Path),
    /// The other side has opened a channel.
    Channel {
        /// What the other side calls it.
        label: String,
        /// The protocol that is spoken on it.
        protocol: String,
        /// Our end.
        channel: Channel,
    },
}

/// How a peer connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionState {
    /// It looks for a path.
    Connecting,
    /// Channels work.
    Connected,
    /// Nothing comes on the path, for the moment.
    Disconnected,
    /// No path is left.
    Failed,
    /// The other side has closed it.
    Closed,
}

/// The way that packets take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The relay of ours on the way, by how we reach it.
    pub relay: Option<Relay>,
    /// The type of our candidate: `host`, `srflx`, `prflx` or `relay`.
    pub local: &'static str,
    /// The type of the other side's candidate.
    pub remote: &'static str,
    /// `udp` or `tcp`.
    pub protocol: &'static str,
    /// The round-trip time in milliseconds, if it is known.
    pub rtt_ms: Option<u64>,
}

impl Path {
    /// Returns whether it is the same way as another. A round trip that took longer makes no
    /// difference.
    #[must_use]
    pub fn is_same_way(&self, other: &Self) -> bool {
        let way = |path: &Self| (path.relay, path.local, path.remote, path.protocol);
        way(self) == way(other)
    }
}

/// How a relay is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relay {
    /// Over UDP.
    Udp,
    /// Over TCP.
    Tcp,
    /// Over TLS on TCP.
    Tls,
}

impl Relay {
    /// Returns `udp`, `tcp` or `tls`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}
