//! The server that the Engine.IO and Socket.IO protocol documents describe for testing one.
//!
//! On `/engine.io/` it echoes every message. On `/socket.io/` the namespaces `/` and `/custom` emit `auth` with the
//! client's credentials, answer `message` with `message-back`, and acknowledge `message-with-ack` with its arguments.
//!
//! ```sh
//! cargo run --release -p jackfield-socketio --example protocol_fixture -- --listen 127.0.0.1:3000
//! ```

#![expect(
    clippy::print_stdout,
    reason = "a test waits for the line that tells the address"
)]

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jackfield_socketio::engine::{self, CloseReason, ConnectionInfo, Handler, Message, Peer};
use jackfield_socketio::{Config, Cors, Io, Socket};
use serde_json::value::RawValue;
use tokio::net::{TcpListener, TcpStream};

fn config(path: &str, eio3: bool) -> Config {
    Config {
        path: path.to_owned(),
        ping_interval: Duration::from_millis(300),
        ping_timeout: Duration::from_millis(200),
        connect_timeout: Duration::from_secs(1),
        max_payload: 1_000_000,
        cors: Some(Cors::any()),
        allow_eio3: eio3,
        ..Config::default()
    }
}

struct Echo;

struct EchoPeer(engine::Socket);

impl Handler for Echo {
    fn open(&self, socket: &engine::Socket) -> Box<dyn Peer> {
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

fn socket_io(eio3: bool) -> Io {
    let io = Io::new(config("/socket.io/", eio3));
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

#[derive(Clone)]
struct Services {
    engine: engine::Service,
    socket: engine::Service,
}

impl Services {
    async fn serve(self, stream: TcpStream, peer: SocketAddr) {
        let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            let services = self.clone();
            request.extensions_mut().insert(ConnectionInfo {
                peer,
                secure: false,
            });
            async move {
                let service = if services.engine.serves(request.uri().path()) {
                    services.engine
                } else {
                    services.socket
                };
                Ok::<_, Infallible>(service.handle(request).await)
            }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // Clients go away as they like.
        connection.with_upgrades().await.ok();
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let eio3 = arguments.iter().any(|argument| argument == "--eio3");
    let listen = arguments
        .iter()
        .skip_while(|argument| *argument != "--listen")
        .nth(1)
        .map_or("127.0.0.1:3000", String::as_str);
    let listener = TcpListener::bind(listen).await?;
    let echo = engine::Server::new(config("/engine.io/", eio3), Echo);
    let services = Services {
        engine: echo.service(),
        socket: socket_io(eio3).service(),
    };
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(services.clone().serve(stream, peer));
    }
}
