//! A server on a loopback port, and clients that speak raw HTTP and WebSocket.

#![expect(
    dead_code,
    reason = "each test file uses the part of this module that it needs"
)]

#[path = "../../examples/protocol_fixture/profile.rs"]
mod profile;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use jackfield_socketio::Io;
use jackfield_socketio::engine::{ConnectionInfo, Service};
use jackfield_ws::{self as ws, Error, Message, WebSocket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use self::profile::Profile;
pub(crate) use self::profile::Times;

/// Nothing in these tests takes that long unless it hangs.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Times in which a test sees no ping and loses no client, also on a machine that stalls.
const QUIET: Times = Times {
    ping_interval: LONG,
    ping_timeout: LONG,
    connect_timeout: LONG,
};

/// Starts the protocol fixture and returns its address.
pub(crate) async fn fixture(eio3: bool) -> SocketAddr {
    fixture_with(eio3, QUIET).await
}

/// Starts the protocol fixture with other times.
pub(crate) async fn fixture_with(eio3: bool, times: Times) -> SocketAddr {
    let profile = Profile::new(eio3, times);
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::spawn(profile.clone().serve(stream, peer));
        }
    });
    address
}

/// Starts a server and returns its address.
pub(crate) async fn serve(io: &Io) -> SocketAddr {
    serve_service(io.service()).await
}

/// Starts a service and returns its address.
pub(crate) async fn serve_service(service: Service) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let service = service.clone();
            let handle =
                hyper::service::service_fn(move |mut request: Request<hyper::body::Incoming>| {
                    let secure = false;
                    request
                        .extensions_mut()
                        .insert(ConnectionInfo { peer, secure });
                    let service = service.clone();
                    async move { Ok::<_, std::convert::Infallible>(service.handle(request).await) }
                });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), handle);
            tokio::spawn(connection.with_upgrades());
        }
    });
    address
}

/// Waits for what the server will have done soon.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, wait).await.expect("the condition comes true");
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An HTTP response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The number in an error's body.
    pub(crate) fn code(&self) -> u64 {
        let error: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        error["code"].as_u64().expect("the code is a number")
    }
}

/// Makes a request on a connection of its own.
pub(crate) async fn request(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &str,
    body: &[u8],
) -> Reply {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A server that refuses a body by its length does not read it.
    stream.write_all(body).await.ok();
    read_reply(&mut stream).await
}

/// Reads a response to its end.
pub(crate) async fn read_reply(stream: &mut TcpStream) -> Reply {
    let mut all = Vec::new();
    let mut buffer = vec![0; 65_536];
    loop {
        let length = timeout(LONG, stream.read(&mut buffer))
            .await
            .expect("an answer")
            .unwrap_or(0);
        all.extend_from_slice(&buffer[..length]);
        if length == 0 || is_complete(&all) {
            break;
        }
    }
    let end = all
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("a head");
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = all[end + 4..].to_vec();
    Reply { status, head, body }
}

fn is_complete(all: &[u8]) -> bool {
    let Some(end) = all.windows(4).position(|window| window == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&all[..end]).to_lowercase();
    let length = head.split("content-length: ").nth(1);
    let length = length.and_then(|rest| rest.split("\r\n").next()?.parse::<usize>().ok());
    length.is_some_and(|length| all.len() >= end + 4 + length)
}

pub(crate) async fn get(address: SocketAddr, target: &str) -> Reply {
    request(address, "GET", target, "", b"").await
}

/// A polling session.
#[derive(Debug, Clone)]
pub(crate) struct Polling {
    pub(crate) address: SocketAddr,
    pub(crate) sid: String,
    path: String,
}

impl Polling {
    /// Opens a session; `target` is the path with `EIO` and what else the handshake says.
    pub(crate) async fn open(address: SocketAddr, target: &str) -> Self {
        let reply = get(address, &format!("{target}&transport=polling")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let (_, json) = reply.text().split_once('0').unwrap();
        let json = &json[json.find('{').unwrap()..=json.rfind('}').unwrap()];
        let open: serde_json::Value = serde_json::from_str(json).unwrap();
        Self {
            address,
            sid: open["sid"].as_str().unwrap().to_owned(),
            path: target.to_owned(),
        }
    }

    pub(crate) fn target(&self) -> String {
        format!("{}&transport=polling&sid={}", self.path, self.sid)
    }

    pub(crate) async fn get(&self) -> Reply {
        get(self.address, &self.target()).await
    }

    /// Asks until the session is over; returns what the server has sent.
    pub(crate) async fn get_to_the_end(&self) -> Vec<String> {
        let mut sent = Vec::new();
        loop {
            let reply = self.get().await;
            if reply.status != 200 {
                assert_eq!(reply.code(), 1, "{reply:?}");
                return sent;
            }
            sent.push(reply.text().to_owned());
        }
    }

    /// Starts a GET that waits, and returns once the server has it.
    pub(crate) async fn waiting_get(&self) -> Waiting {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\n\r\n",
            self.target(),
            self.address
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // The server takes requests in the order in which they come; this one comes later.
        for _ in 0..2 {
            get(self.address, "/elsewhere").await;
        }
        Waiting(stream)
    }

    pub(crate) async fn post(&self, body: impl AsRef<[u8]>) -> Reply {
        self.post_as("Content-Type: text/plain;charset=UTF-8\r\n", body)
            .await
    }

    pub(crate) async fn post_as(&self, headers: &str, body: impl AsRef<[u8]>) -> Reply {
        request(self.address, "POST", &self.target(), headers, body.as_ref()).await
    }

    /// Opens a WebSocket for this session.
    pub(crate) async fn websocket(&self) -> Ws {
        let target = format!("{}&transport=websocket&sid={}", self.path, self.sid);
        Ws::connect(self.address, &target).await.unwrap()
    }
}

/// A GET that waits for its answer; dropping it gives it up.
#[derive(Debug)]
pub(crate) struct Waiting(TcpStream);

impl Waiting {
    pub(crate) async fn answer(mut self) -> Reply {
        read_reply(&mut self.0).await
    }
}

/// A WebSocket that sends what the test gives it.
#[derive(Debug)]
pub(crate) struct Ws(pub(crate) WebSocket<TcpStream>);

impl Ws {
    /// Opens a WebSocket.
    pub(crate) async fn connect(address: SocketAddr, target: &str) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let request = Request::builder()
            .uri(target)
            .header("Host", address.to_string())
            .body(())
            .unwrap();
        let config = Arc::new(ws::WsConfig {
            ping_interval: None,
            ..ws::WsConfig::default()
        });
        ws::connect(stream, &request, &config).await.map(Self)
    }

    /// Opens a session and takes its open packet.
    pub(crate) async fn open(address: SocketAddr, target: &str) -> Self {
        let mut ws = Self::connect(address, &format!("{target}&transport=websocket"))
            .await
            .unwrap();
        assert!(ws.text().await.starts_with("0{"));
        ws
    }

    /// Opens a session, joins the main namespace and takes what the fixture sends for that.
    pub(crate) async fn join(address: SocketAddr) -> Self {
        let mut ws = Self::open(address, "/socket.io/?EIO=4").await;
        ws.send("40").await;
        assert!(ws.text().await.starts_with("40{"));
        ws
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.0.send(&Message::text(text)).await.unwrap();
    }

    pub(crate) async fn send_binary(&mut self, bytes: &[u8]) {
        self.0.send(&Message::binary(bytes.to_vec())).await.unwrap();
    }

    /// The next message; `None` at the end of the connection.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        let message = timeout(LONG, self.0.recv())
            .await
            .expect("a message or the end");
        message.and_then(Result::ok)
    }

    pub(crate) async fn text(&mut self) -> String {
        let message = self.next().await.expect("a message, not the end");
        message.as_text().expect("a text message").to_owned()
    }

    /// The next text that is not a ping, which is answered.
    pub(crate) async fn event(&mut self) -> String {
        loop {
            let text = self.text().await;
            if text != "2" {
                return text;
            }
            self.send("3").await;
        }
    }

    pub(crate) async fn binary(&mut self) -> Vec<u8> {
        let message = self.next().await.expect("a message, not the end");
        assert_eq!(message.kind(), ws::Kind::Binary);
        message.data().to_vec()
    }

    /// Waits for the end of the connection, whatever comes before it.
    pub(crate) async fn closed(&mut self) {
        while self.next().await.is_some() {}
    }
}
