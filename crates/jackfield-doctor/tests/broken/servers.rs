//! Servers on loopback that are broken in one way each; they live as long as the test.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::certificates::Shown;

/// What is done with each connection.
#[derive(Clone)]
pub(crate) enum Behaviour {
    /// It is held open.
    Silence,
    /// These bytes are written at once.
    Raw(String),
    /// Each request is answered so, in HTTP.
    Http(String),
    /// TLS, and then an answer in HTTP.
    Tls(TlsAcceptor),
    /// The same; and plain HTTP is answered in plain HTTP, with a complaint.
    TlsOrComplaint(TlsAcceptor),
}

pub(crate) fn say_nothing() -> Behaviour {
    Behaviour::Silence
}

pub(crate) fn raw(text: &str) -> Behaviour {
    Behaviour::Raw(text.to_owned())
}

pub(crate) fn answer(status: &str, headers: &str) -> Behaviour {
    let body = "<html></html>\n";
    Behaviour::Http(format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ))
}

pub(crate) async fn serve_tls(shown: Shown) -> SocketAddr {
    listen(Behaviour::Tls(acceptor(shown))).await
}

pub(crate) async fn refuse_http(shown: Shown) -> SocketAddr {
    listen(Behaviour::TlsOrComplaint(acceptor(shown))).await
}

/// Returns an address where nothing listens, neither by TCP nor by UDP.
pub(crate) fn close() -> SocketAddr {
    let held = TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = held.local_addr().unwrap();
    // It listens never, and keeps others from the port for as long as this process runs.
    std::mem::forget(held);
    address
}

pub(crate) async fn listen(behaviour: Behaviour) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let behaviour = behaviour.clone();
            tokio::spawn(async move {
                // A client that goes away early is none of a server's failures.
                let _gone = serve(stream, behaviour).await;
            });
        }
    });
    address
}

async fn serve(mut stream: TcpStream, behaviour: Behaviour) -> std::io::Result<()> {
    match behaviour {
        Behaviour::Silence => {
            let mut room = [0; 1024];
            while stream.read(&mut room).await? > 0 {}
            Ok(())
        }
        Behaviour::Raw(text) => stream.write_all(text.as_bytes()).await,
        Behaviour::Http(text) => {
            read_request(&mut stream).await?;
            stream.write_all(text.as_bytes()).await
        }
        Behaviour::Tls(acceptor) => serve_inside(stream, &acceptor).await,
        Behaviour::TlsOrComplaint(acceptor) => {
            let mut first = [0; 1];
            stream.peek(&mut first).await?;
            if first == [TLS_HANDSHAKE] {
                return serve_inside(stream, &acceptor).await;
            }
            read_request(&mut stream).await?;
            let complaint = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(complaint.as_bytes()).await
        }
    }
}

async fn serve_inside(stream: TcpStream, acceptor: &TlsAcceptor) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    read_request(&mut stream).await?;
    stream
        .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        .await
}

fn acceptor((chain, key): Shown) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Reads the head of a request.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(())
}

/// The first byte of a TLS connection (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 22;
