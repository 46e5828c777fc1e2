//! What a server allows, and how much of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use jackfield_sansio::{Budget, Rate};

/// Choices, times and limits of a server. Every field has a default; every limit that hits is
/// counted in [`Stats`](crate::Stats).
#[derive(Debug, Clone)]
pub struct IoConfig {
    /// The path that is served (`/socket.io/`); a missing slash at either end is added.
    pub path: String,
    /// Whether HTTP long-polling is offered (true).
    pub polling: bool,
    /// Whether WebSocket is offered (true).
    pub websocket: bool,
    /// The subprotocols of WebSocket that are picked where a client offers them, in the client's
    /// order; empty, the default, picks the client's first, as Node.js does. Socket.IO itself has
    /// none, but a browser whose application offers some connects only if one is picked.
    pub subprotocols: Vec<String>,
    /// Whether a polling session may move to WebSocket (true).
    pub allow_upgrades: bool,
    /// Whether Socket.IO 2 clients (Engine.IO 3) may connect (false).
    pub allow_eio3: bool,
    /// Time between two pings (25 s).
    pub ping_interval: Duration,
    /// How long the answer to a ping may take (20 s).
    pub ping_timeout: Duration,
    /// How long the move to WebSocket may take (10 s).
    pub upgrade_timeout: Duration,
    /// How long a client may take to join its first namespace (45 s).
    pub connect_timeout: Duration,
    /// How long the body of a POST may take to arrive (30 s).
    pub body_timeout: Duration,
    /// How long a polling client has to fetch its last packets after the server closed the session
    /// (30 s).
    pub close_timeout: Duration,
    /// How long an acknowledgement may take unless the call names a timeout (30 s).
    pub ack_timeout: Duration,
    /// How long [`Io::close`](crate::Io::close) waits for clients to take their last packets (5 s).
    pub shutdown_timeout: Duration,
    /// The largest POST body or WebSocket message that is read, in bytes (1,000,000).
    pub max_payload: usize,
    /// How many binary attachments a packet may have, from a client and to one (10, as clients of
    /// JavaScript take by default).
    pub max_attachments: usize,
    /// How many bytes may wait for one client to read them (16 MiB). A packet costs its bytes and
    /// some 128 more.
    pub max_buffered: usize,
    /// What happens to a client whose buffer is full.
    pub slow_consumer: SlowConsumer,
    /// How many bytes of events may wait for the handlers of one client before nothing more is
    /// read from it (1 MiB). Where a handler awaits an acknowledgement, or the client is in several
    /// namespaces, what they wait for may stand behind these events: then it is eight times as
    /// many. The heartbeat goes on meanwhile.
    pub max_inbound: usize,
    /// How many sessions may be open at once (100,000). Where all places are taken, a session that
    /// was opened by polling and has asked for nothing since yields to a newcomer.
    pub max_connections: usize,
    /// How many of these one network (/24 of IPv4, /64 of IPv6) may have (25,000). It counts where
    /// the listener gives [`ConnectionInfo`](crate::engine::ConnectionInfo).
    pub max_connections_per_network: usize,
    /// What all that waits for clients is charged to, together with what else shares the budget;
    /// `None`, the default, leaves it to [`Self::max_buffered`] and [`Self::max_inbound`]. A
    /// session that has to go ends as [`SlowConsumer::Disconnect`] ends it.
    pub budget: Option<Budget>,
    /// How many handshakes one network (/24 of IPv4, /64 of IPv6) may make; `None` for no limit,
    /// the default.
    pub handshake_rate: Option<Rate>,
    /// Which other origins may use the server from a browser; `None`, the default, lets none.
    pub cors: Option<Cors>,
    /// The cookie that carries the session's id, for load balancers with sticky sessions; `None`,
    /// the default, sets none.
    pub cookie: Option<Cookie>,
    /// Decides about each handshake before a session exists; `None`, the default, lets all in.
    pub allow_request: Option<AllowRequest>,
    /// Whether the handshake's HTTP headers are kept for [`Handshake`](crate::Handshake) (true);
    /// each connection is about 1 KB smaller without them.
    pub keep_headers: bool,
}

impl Default for IoConfig {
    fn default() -> Self {
        Self {
            path: "/socket.io/".to_owned(),
            polling: true,
            websocket: true,
            subprotocols: Vec::new(),
            allow_upgrades: true,
            allow_eio3: false,
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(45),
            body_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(30),
            ack_timeout: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(5),
            max_payload: 1_000_000,
            max_attachments: 10,
            max_buffered: 16 << 20,
            slow_consumer: SlowConsumer::default(),
            max_inbound: 1 << 20,
            max_connections: 100_000,
            max_connections_per_network: 25_000,
            budget: None,
            handshake_rate: None,
            cors: None,
            cookie: None,
            allow_request: None,
            keep_headers: true,
        }
    }
}

/// What happens when a packet does not fit into a client's buffer ([`IoConfig::max_buffered`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SlowConsumer {
    /// The client is disconnected with the reason `slow consumer`: it missed something and must
    /// start afresh.
    #[default]
    Disconnect,
    /// The packet is not sent and the call returns [`EmitError::Full`](crate::EmitError::Full); a
    /// broadcast counts it.
    DropNewest,
}

/// Cross-origin access for browsers.
#[derive(Debug, Clone)]
pub struct Cors {
    /// Which origins.
    pub origins: Origins,
    /// Whether requests may carry cookies.
    pub credentials: bool,
    /// How long a browser may remember the answer to a preflight request; `None` leaves that to it.
    pub max_age: Option<Duration>,
}

impl Cors {
    /// Lets every origin in, without cookies.
    #[must_use]
    pub const fn any() -> Self {
        Self {
            origins: Origins::Any,
            credentials: false,
            max_age: None,
        }
    }

    /// Lets these origins in (`https://example.org`, no path), without cookies.
    #[must_use]
    pub fn origins<T: Into<String>>(origins: impl IntoIterator<Item = T>) -> Self {
        Self {
            origins: Origins::List(origins.into_iter().map(Into::into).collect()),
            ..Self::any()
        }
    }
}

/// Which origins have cross-origin access.
#[derive(Debug, Clone)]
pub enum Origins {
    /// Every origin.
    Any,
    /// The origins in the list, compared byte for byte.
    List(Vec<String>),
}

/// The cookie that carries the session's id. It is always `HttpOnly`.
#[derive(Debug, Clone)]
pub struct Cookie {
    /// The cookie's name (`io`).
    pub name: String,
    /// The cookie's path (`/`).
    pub path: String,
    /// The value of `SameSite`, if it is set (`Lax`).
    pub same_site: Option<String>,
    /// Whether the cookie is for HTTPS only (false).
    pub secure: bool,
    /// The cookie's age; `None`, the default, makes it end with the browser's session.
    pub max_age: Option<Duration>,
}

impl Default for Cookie {
    fn default() -> Self {
        Self {
            name: "io".to_owned(),
            path: "/".to_owned(),
            same_site: Some("Lax".to_owned()),
            secure: false,
            max_age: None,
        }
    }
}

/// The verdict of [`IoConfig::allow_request`]: `Err` holds the message that the client gets with
/// code 4 and status 403.
pub type Verdict = Result<(), String>;

/// Decides about a handshake by its HTTP request, at once: look up what takes time in a
/// namespace's middleware.
#[derive(Clone)]
pub struct AllowRequest(Arc<dyn Fn(&Parts) -> Verdict + Send + Sync>);

impl AllowRequest {
    /// Wraps a function.
    pub fn new(judge: impl Fn(&Parts) -> Verdict + Send + Sync + 'static) -> Self {
        Self(Arc::new(judge))
    }

    pub(crate) fn judge(&self, request: &Parts) -> Verdict {
        (self.0)(request)
    }
}

impl fmt::Debug for AllowRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AllowRequest")
    }
}
