//! The few requests that a doctor has for an HTTP server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, HOST, HeaderMap, LOCATION};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use jackfield_driver::discovery::race;
use jackfield_driver::tap::Tapped;
use jackfield_sansio::{FiveTuple, Transport};
use jackfield_ws as ws;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::proxy::Named;
use crate::facts::{NetworkError, TlsError, WebError};
use crate::target::{Target, TargetScheme};
use crate::trust::{Trust, certificate_ends};

/// A connection in the clear or inside TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A web server to ask, and where it was found.
#[derive(Debug, Clone)]
pub(super) struct Site<'a> {
    pub(super) target: &'a Target,
    pub(super) addresses: &'a [SocketAddr],
    pub(super) trust: &'a Trust,
    /// The proxy that connects there, in place of this machine.
    pub(super) proxy: Option<&'a Named>,
}

/// A connection that came about.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    /// The last moment of the certificate that the server showed.
    pub(super) certificate_ends: Option<SystemTime>,
}

/// What an HTTP server answered.
pub(super) struct Page {
    pub(super) answer: Answer,
    pub(super) body: Bytes,
    /// Where the server sends clients, as it says that.
    pub(super) location: Option<String>,
    /// The time that the server had.
    pub(super) date: Option<SystemTime>,
    /// Whether it is a page for people.
    is_html: bool,
    /// How long it took, from the first packet on.
    pub(super) took: Duration,
    pub(super) certificate_ends: Option<SystemTime>,
}

impl Site<'_> {
    /// Asks for something; an answer that is no success is an error.
    pub(super) async fn get(&self, path: &str) -> Result<Page, WebError> {
        let page = self.ask(path).await?;
        match page.answer {
            Answer::Status(200..300) if page.is_html => Err(WebError::Page),
            Answer::Status(200..300) => Ok(page),
            Answer::Status(status) => Err(WebError::Status(status)),
            Answer::Redirect(target) => Err(WebError::Redirected(target)),
        }
    }

    /// Asks for something; returns whatever is answered.
    pub(super) async fn ask(&self, path: &str) -> Result<Page, WebError> {
        let start = Instant::now();
        let connection = self.connect(self.target.scheme, self.trust).await?;
        let page = within(self.fetch(connection.stream, path)).await?;
        Ok(Page {
            took: start.elapsed(),
            certificate_ends: connection.certificate_ends,
            ..page
        })
    }

    /// Opens a WebSocket and waits for its first message; returns how long that took.
    pub(super) async fn open_websocket(&self, path: &str) -> Result<Duration, WebError> {
        let start = Instant::now();
        let stream = self.connect(self.target.scheme, self.trust).await?;
        within(self.listen(stream.stream, path)).await?;
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
                match within(self.fetch(stream.stream, "/")).await {
                    Ok(page) => !matches!(page.answer, Answer::Status(400)),
                    Err(_) => false,
                }
            }
            TargetScheme::Stun => false,
        }
    }

    async fn fetch(&self, stream: Box<dyn Stream>, path: &str) -> Result<Page, WebError> {
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
        let header = |name| text(answer.headers(), name);
        let location = header(LOCATION).filter(|location| location.starts_with("http"));
        let elsewhere = location
            .as_ref()
            .and_then(|location| location.parse::<Target>().ok())
            .filter(|target| (300..400).contains(&status) && target != self.target);
        let date = header(DATE).and_then(|date| httpdate::parse_http_date(&date).ok());
        let is_html = header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"));
        let body = Limited::new(answer.into_body(), LARGEST_BODY)
            .collect()
            .await
            .map_err(|_| WebError::Unexpected)?;
        connection.abort();
        Ok(Page {
            answer: elsewhere.map_or(Answer::Status(status), Answer::Redirect),
            body: body.to_bytes(),
            location,
            date,
            is_html,
            took: Duration::ZERO,
            certificate_ends: None,
        })
    }

    async fn listen(&self, stream: Box<dyn Stream>, path: &str) -> Result<(), WebError> {
        // A capture of the connection is to be read by people.
        let mut config = ws::WsConfig::default();
        config.options.deflate = None;
        let config = Arc::new(config);
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

    /// Makes a connection to the server's port, by the proxy or by whichever address answers first.
    async fn reach(&self) -> Result<(Box<dyn Stream>, FiveTuple), WebError> {
        if let Some(proxy) = self.proxy {
            let (tunnel, path) = proxy
                .connect(self.target, self.trust)
                .await
                .map_err(|error| WebError::Proxy(Box::new(error)))?;
            return Ok((Box::new(tunnel), path));
        }
        let stream = race(self.addresses, tcp).await;
        let stream = stream
            .map_err(|error| WebError::Unreachable(error.unwrap_or(NetworkError::NoRoute)))?;
        let path = path_of(&stream).map_err(WebError::Unreachable)?;
        Ok((Box::new(stream), path))
    }

    /// Connects to the server, by whichever of its addresses answers first.
    pub(super) async fn connect(
        &self,
        scheme: TargetScheme,
        trust: &Trust,
    ) -> Result<Connection, WebError> {
        let (stream, path) = self.reach().await?;
        if scheme != TargetScheme::Https {
            return Ok(Connection {
                stream: Box::new(Tapped::new(stream, path)),
                certificate_ends: None,
            });
        }
        let path = FiveTuple {
            transport: Transport::Tls,
            ..path
        };
        let name = ServerName::try_from(self.target.host.clone())
            .map_err(|_| WebError::Tls(TlsError::BadName))?;
        let connector = TlsConnector::from(Arc::clone(trust.config()));
        match timeout(PATIENCE, connector.connect(name, stream)).await {
            Ok(Ok(stream)) => {
                let chain = stream.get_ref().1.peer_certificates();
                let shown = chain.and_then(<[_]>::first);
                Ok(Connection {
                    certificate_ends: shown.and_then(certificate_ends),
                    stream: Box::new(Tapped::new(stream, path)),
                })
            }
            Ok(Err(error)) => Err(WebError::Tls(TlsError::of(&error))),
            Err(_) => Err(WebError::Silent),
        }
    }
}

/// Returns the path of a connection.
pub(super) fn path_of(stream: &TcpStream) -> Result<FiveTuple, NetworkError> {
    let of = |address: std::io::Result<SocketAddr>| address.map_err(|it| NetworkError::of(&it));
    Ok(FiveTuple {
        transport: Transport::Tcp,
        local: of(stream.local_addr())?,
        remote: of(stream.peer_addr())?,
    })
}

/// Makes a TCP connection.
pub(super) async fn tcp(address: SocketAddr) -> Result<TcpStream, NetworkError> {
    match timeout(PATIENCE, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(NetworkError::of(&error)),
        Err(_) => Err(NetworkError::TimedOut),
    }
}

/// Returns a header that may be shown to people: a server's text is a stranger's.
fn text(headers: &HeaderMap, name: http::HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    let is_fit = value.len() <= LONGEST_HEADER
        && value
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ');
    is_fit.then(|| value.to_owned())
}

/// What an HTTP server answered, without the body.
pub(super) enum Answer {
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

/// The longest header that is looked at, in bytes.
const LONGEST_HEADER: usize = 300;

/// The most bytes of a body that are read.
const LARGEST_BODY: usize = 256 * 1024;
