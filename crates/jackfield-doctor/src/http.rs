//! The few requests that a doctor has for an HTTP server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::HOST;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use jackfield_ws as ws;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::target::{Http, Target};
use super::trust::Trust;

/// How long one request may take, connection and all.
const PATIENCE: Duration = Duration::from_secs(6);

/// The most bytes of a body that are read.
const LARGEST_BODY: usize = 256 * 1024;

/// A connection in the clear or inside TLS.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A server to ask, and where it was found.
#[derive(Debug, Clone)]
pub(super) struct Site<'a> {
    pub(super) target: &'a Target,
    pub(super) addresses: &'a [SocketAddr],
    pub(super) trust: &'a Trust,
}

impl Site<'_> {
    /// Asks for a page; returns its body and how long it took, or what went wrong.
    pub(super) async fn get(&self, path: &str) -> Result<(Bytes, Duration), String> {
        let start = Instant::now();
        let body = tokio::time::timeout(PATIENCE, self.fetch(path))
            .await
            .map_err(|_| no_answer())??;
        Ok((body, start.elapsed()))
    }

    /// Opens a WebSocket and waits for its first message; returns how long that took.
    pub(super) async fn hear(&self, path: &str) -> Result<Duration, String> {
        let start = Instant::now();
        tokio::time::timeout(PATIENCE, self.listen(path))
            .await
            .map_err(|_| no_answer())??;
        Ok(start.elapsed())
    }

    async fn fetch(&self, path: &str) -> Result<Bytes, String> {
        let stream = TokioIo::new(self.connect().await?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream)
            .await
            .map_err(|error| error.to_string())?;
        let connection = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "An HTTP connection broke");
            }
        });
        let request = self.request(path, Empty::<Bytes>::new())?;
        let answer = sender
            .send_request(request)
            .await
            .map_err(|error| format!("it speaks no HTTP ({error})"))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LARGEST_BODY)
            .collect()
            .await
            .map_err(|error| error.to_string())?;
        connection.abort();
        if status.is_success() {
            Ok(body.to_bytes())
        } else {
            Err(format!("it answers {status}"))
        }
    }

    async fn listen(&self, path: &str) -> Result<(), String> {
        let stream = self.connect().await?;
        let config = std::sync::Arc::new(ws::WsConfig::default());
        let request = self.request(path, ())?;
        let mut socket = ws::connect(stream, &request, &config)
            .await
            .map_err(|error| error.to_string())?;
        match socket.recv().await {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("it was closed without a word".to_owned()),
        }
    }

    fn request<B>(&self, path: &str, body: B) -> Result<http::Request<B>, String> {
        http::Request::builder()
            .uri(path)
            .header(HOST, self.target.authority())
            .body(body)
            .map_err(|error| error.to_string())
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, String> {
        let stream = TcpStream::connect(self.addresses)
            .await
            .map_err(|error| in_words(&error))?;
        if self.target.http != Http::Secure {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(self.target.host.clone())
            .map_err(|_| "its name is none that a certificate could be for".to_owned())?;
        let connector = TlsConnector::from(std::sync::Arc::clone(self.trust.config()));
        let stream = connector.connect(name, stream);
        let stream = stream.await.map_err(|error| format!("TLS: {error}"))?;
        Ok(Box::new(stream))
    }
}

fn no_answer() -> String {
    format!("no answer in {} s", PATIENCE.as_secs())
}

/// Says what kind of error a connection had, without the system's number for it.
pub(super) fn in_words(error: &std::io::Error) -> String {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => "nobody listens there".to_owned(),
        Kind::TimedOut => "no answer".to_owned(),
        Kind::NetworkUnreachable | Kind::HostUnreachable => "no way leads there".to_owned(),
        Kind::ConnectionReset => "the connection was cut".to_owned(),
        _ => error.to_string(),
    }
}
