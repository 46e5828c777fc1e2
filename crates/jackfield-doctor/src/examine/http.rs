//! The few requests that a doctor has for an HTTP server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{HOST, LOCATION};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use jackfield_ws as ws;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::facts::{NetworkError, TlsError, WebError};
use crate::target::{Target, TargetScheme};
use crate::trust::Trust;

/// A connection in the clear or inside TLS.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A web server to ask, and where it was found.
#[derive(Debug, Clone)]
pub(super) struct Site<'a> {
    pub(super) target: &'a Target,
    pub(super) addresses: &'a [SocketAddr],
    pub(super) trust: &'a Trust,
}

impl Site<'_> {
    /// Asks for a page; returns its body and how long it took.
    pub(super) async fn get(&self, path: &str) -> Result<(Bytes, Duration), WebError> {
        let start = Instant::now();
        let stream = self.connect(self.target.scheme, self.trust).await?;
        let (status, body) = within(self.fetch(stream, path)).await?;
        match status {
            Answer::Status(status) if (200..300).contains(&status) => Ok((body, start.elapsed())),
            Answer::Status(status) => Err(WebError::Status(status)),
            Answer::Redirect(target) => Err(WebError::Redirected(target)),
        }
    }

    /// Opens a WebSocket and waits for its first message; returns how long that took.
    pub(super) async fn open_websocket(&self, path: &str) -> Result<Duration, WebError> {
        let start = Instant::now();
        let stream = self.connect(self.target.scheme, self.trust).await?;
        within(self.listen(stream, path)).await?;
        Ok(start.elapsed())
    }

    /// Returns whether the port speaks the other one of HTTP and HTTPS.
    pub(super) async fn speaks_other_scheme(&self) -> bool {
        match self.target.scheme {
            // Only a TLS server finishes the handshake, whatever its certificate is worth.
            TargetScheme::Http => self
                .connect(TargetScheme::Https, &Trust::anyone())
                .await
                .is_ok(),
            TargetScheme::Https => {
                let Ok(stream) = self.connect(TargetScheme::Http, self.trust).await else {
                    return false;
                };
                // HTTPS servers complain of plain HTTP in plain HTTP, with this status.
                match within(self.fetch(stream, "/")).await {
                    Ok((Answer::Status(status), _)) => status != 400,
                    Ok((Answer::Redirect(_), _)) => true,
                    Err(_) => false,
                }
            }
            TargetScheme::Stun => false,
        }
    }

    async fn fetch(
        &self,
        stream: Box<dyn Stream>,
        path: &str,
    ) -> Result<(Answer, Bytes), WebError> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| of_hyper(&error))?;
        let connection = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "An HTTP connection broke");
            }
        });
        let request = self.request(path, Empty::<Bytes>::new())?;
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|error| of_hyper(&error))?;
        let status = answer.status().as_u16();
        let location = answer.headers().get(LOCATION);
        let elsewhere = location
            .and_then(|location| location.to_str().ok())
            .filter(|location| location.starts_with("http"))
            .and_then(|location| location.parse::<Target>().ok())
            .filter(|target| (300..400).contains(&status) && target != self.target);
        let body = Limited::new(answer.into_body(), LARGEST_BODY)
            .collect()
            .await
            .map_err(|_| WebError::Unexpected)?;
        connection.abort();
        let answer = elsewhere.map_or(Answer::Status(status), Answer::Redirect);
        Ok((answer, body.to_bytes()))
    }

    async fn listen(&self, stream: Box<dyn Stream>, path: &str) -> Result<(), WebError> {
        let config = Arc::new(ws::WsConfig::default());
        let request = self.request(path, ())?;
        let mut socket = ws::connect(stream, &request, &config)
            .await
            .map_err(|error| of_websocket(&error))?;
        match socket.recv().await {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(of_websocket(&error)),
            None => Err(WebError::Closed),
        }
    }

    fn request<B>(&self, path: &str, body: B) -> Result<http::Request<B>, WebError> {
        http::Request::builder()
            .uri(path)
            .header(HOST, self.target.authority())
            .body(body)
            .map_err(|_| WebError::Unexpected)
    }

    async fn connect(
        &self,
        scheme: TargetScheme,
        trust: &Trust,
    ) -> Result<Box<dyn Stream>, WebError> {
        let stream = match timeout(PATIENCE, TcpStream::connect(self.addresses)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(WebError::Unreachable(NetworkError::of(&error))),
            Err(_) => return Err(WebError::Unreachable(NetworkError::TimedOut)),
        };
        if scheme != TargetScheme::Https {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(self.target.host.clone())
            .map_err(|_| WebError::Tls(TlsError::BadName))?;
        let connector = TlsConnector::from(Arc::clone(trust.config()));
        match timeout(PATIENCE, connector.connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(WebError::Tls(TlsError::of(&error))),
            Err(_) => Err(WebError::Silent),
        }
    }
}

/// What an HTTP server answered, without the body.
enum Answer {
    Status(u16),
    /// A 3xx status with the address of another server.
    Redirect(Target),
}

/// Gives up waiting for an answer after a while.
async fn within<T>(work: impl Future<Output = Result<T, WebError>>) -> Result<T, WebError> {
    timeout(PATIENCE, work)
        .await
        .unwrap_or(Err(WebError::Silent))
}

fn of_hyper(error: &hyper::Error) -> WebError {
    if error.is_parse() {
        WebError::NotHttp
    } else {
        WebError::Closed
    }
}

fn of_websocket(error: &ws::Error) -> WebError {
    match error {
        ws::Error::Silent | ws::Error::HandshakeTimeout => WebError::Silent,
        ws::Error::Disconnected | ws::Error::Io(_) => WebError::Closed,
        ws::Error::Handshake(ws::HandshakeError::Status(status)) => {
            WebError::Status(status.as_u16())
        }
        ws::Error::Handshake(ws::HandshakeError::NotHttp) => WebError::NotHttp,
        _ => WebError::Unexpected,
    }
}

/// How long a connection may take, and then its TLS, and then the answer.
const PATIENCE: Duration = Duration::from_secs(6);

/// The most bytes of a body that are read.
const LARGEST_BODY: usize = 256 * 1024;
