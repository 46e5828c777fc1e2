//! The profile that the protocol documents describe for testing a server.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jackfield_socketio::engine::{self, CloseReason, ConnectionInfo, Handler, Message, Peer};
use jackfield_socketio::{Cors, Io, IoConfig, Socket};
use serde_json::value::RawValue;
use tokio::net::TcpStream;

/// How often the server pings, and how long it waits for a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) ping_interval: Duration,
    pub(crate) ping_timeout: Duration,
    pub(crate) connect_timeout: Duration,
}

impl Times {
    /// The times of the protocol documents.
    pub(crate) const DOCUMENT: Self = Self {
        ping_interval: Duration::from_millis(300),
        ping_timeout: Duration::from_millis(200),
        connect_timeout: Duration::from_secs(1),
    };

    /// Pings as often, and gives up no client that a busy machine keeps from answering.
    pub(crate) const PATIENT: Self = Self {
        ping_timeout: Duration::from_secs(60),
        connect_timeout: Duration::from_secs(60),
        ..Self::DOCUMENT
    };
}

/// The profile's limits, with times.
fn config(path: &str, eio3: bool, times: Times) -> IoConfig {
    IoConfig {
        path: path.to_owned(),
        ping_interval: times.ping_interval,
        ping_timeout: times.ping_timeout,
        connect_timeout: times.connect_timeout,
        max_payload: 1_000_000,
        cors: Some(Cors::any()),
        allow_eio3: eio3,
        ..IoConfig::default()
    }
}

/// `/engine.io/` and `/socket.io/` on one listener.
#[derive(Clone)]
pub(crate) struct Profile {
    engine: engine::Service,
    socket: engine::Service,
}

impl Profile {
    pub(crate) fn new(eio3: bool, times: Times) -> Self {
        let config = |path| config(path, eio3, times);
        Self {
            engine: engine::Server::new(config("/engine.io/"), Echo).service(),
            socket: socket_io(config("/socket.io/")).service(),
        }
    }

    /// Serves one TCP connection until it ends.
    pub(crate) async fn serve(self, stream: TcpStream, peer: SocketAddr) {
        let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            let profile = self.clone();
            let secure = false;
            request
                .extensions_mut()
                .insert(ConnectionInfo { peer, secure });
            async move {
                let service = if profile.engine.serves(request.uri().path()) {
                    profile.engine
                } else {
                    profile.socket
                };
                Ok::<_, Infallible>(service.handle(request).await)
            }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // Clients go away as they like.
        connection.with_upgrades().await.ok();
    }
}

/// Echoes every engine message.
struct Echo;

struct EchoPeer(engine::EngineSocket);

impl Handler for Echo {
    fn open(&self, socket: &engine::EngineSocket) -> Box<dyn Peer> {
        Box::new(EchoPeer(socket.clone()))
    }
}

impl Peer for EchoPeer {
    fn message(&mut self, message: Message) {
        // A client that closed before its echo does not miss it.
        self.0.send(message).ok();
    }

    fn close(&mut self, _: CloseReason) {}
}

fn socket_io(config: IoConfig) -> Io {
    let io = Io::new(config);
    for name in ["/", "/custom"] {
        let namespace = io.of(name);
        namespace.on_connect(async |socket: Socket| {
            let auth: Box<RawValue> = socket.handshake().auth().unwrap_or_default();
            socket.emit("auth", &auth).ok();
        });
        namespace.on("message", async |socket, event| {
            socket.emit("message-back", event.args()).ok();
        });
        namespace.on("message-with-ack", async |_, event| {
            event.ack(event.args()).ok();
        });
    }
    io
}
