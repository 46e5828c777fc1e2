//! TCP connections through an HTTP or SOCKS 5 proxy: the socket of [`jackfield_proxy::Handshake`].
//!
//! ```no_run
//! use jackfield_driver::proxy::Proxy;
//! use jackfield_proxy::ProxyRules;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let rules = ProxyRules::from_environment(|name| std::env::var(name).ok())?;
//! let target: jackfield_proxy::Target = "turn.example.org:443".parse()?;
//! if let Some(url) = rules.proxy_for(&target.host) {
//!     let stream = Proxy::new(url.clone()).connect(target).await?;
//!     println!("connected from {}", stream.local_addr());
//! }
//! # Ok(())
//! # }
//! ```

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use jackfield_proxy::{Handshake, HandshakeError, Progress, ProxyUrl, Scheme, Target, TargetHost};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use crate::discovery::race;
use crate::tcp;

/// A proxy, and how to reach it.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Where it is.
    pub url: ProxyUrl,
    /// The configuration for TLS with a proxy of `https`, which fails without one.
    pub tls: Option<Arc<ClientConfig>>,
    /// Which of our addresses to connect from; `None`: what the system chooses.
    pub local: Option<IpAddr>,
    /// The limit of time for the connection, TLS and the handshake together. Default: 10 s.
    pub timeout: Duration,
}

/// A connection through a proxy.
#[derive(Debug)]
pub struct Tunnel {
    stream: Box<dyn Stream>,
    local: SocketAddr,
    proxy: SocketAddr,
    /// What the target sent right behind the proxy's last answer.
    early: Bytes,
}

/// Why there is no connection through a proxy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The proxy's name is not found, or stands for no address.
    #[error("the proxy's name is not found: {0}")]
    NameNotFound(#[source] io::Error),
    /// The proxy cannot be reached, refuses connections, or the connection with it broke.
    #[error("no way to the proxy: {0}")]
    Unreachable(#[source] io::Error),
    /// The proxy did not answer in time, or the target did not answer the proxy.
    #[error("the proxy did not open the connection in time")]
    TimedOut,
    /// TLS with the proxy failed, or has no configuration.
    #[error("TLS with the proxy failed: {0}")]
    Tls(#[source] io::Error),
    /// The proxy made no tunnel.
    #[error(transparent)]
    Refused(#[from] HandshakeError),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug> Stream for S {}

impl Proxy {
    /// Returns a proxy with the defaults.
    #[must_use]
    pub fn new(url: ProxyUrl) -> Self {
        Self {
            url,
            tls: None,
            local: None,
            timeout: Duration::from_secs(10),
        }
    }

    /// Connects to a target.
    ///
    /// The name of a target goes to the proxy as it is, also with `socks5`: the caller resolves it
    /// before where it shall not.
    ///
    /// # Errors
    /// Fails when the proxy cannot be reached or makes no tunnel; see [`ProxyError`].
    pub async fn connect(&self, target: Target) -> Result<Tunnel, ProxyError> {
        let connecting = self.connect_without_limit(target);
        let connected = tokio::time::timeout(self.timeout, connecting).await;
        connected.unwrap_or(Err(ProxyError::TimedOut))
    }

    async fn connect_without_limit(&self, target: Target) -> Result<Tunnel, ProxyError> {
        let stream = self.reach().await?;
        let local = stream.local_addr().map_err(ProxyError::Unreachable)?;
        let proxy = stream.peer_addr().map_err(ProxyError::Unreachable)?;
        let mut stream: Box<dyn Stream> = match self.url.scheme() {
            Scheme::Https => Box::new(self.secure(stream).await.map_err(ProxyError::Tls)?),
            Scheme::Http | Scheme::Socks5 | Scheme::Socks5h => Box::new(stream),
        };
        let (handshake, first) = Handshake::new(&self.url, target);
        let early = converse(&mut stream, handshake, first).await?;
        Ok(Tunnel {
            stream,
            local,
            proxy,
            early,
        })
    }

    /// Connects to the proxy itself, at the first of its addresses that answers.
    async fn reach(&self) -> Result<TcpStream, ProxyError> {
        let target = self.url.target();
        let addresses: Vec<SocketAddr> = match &target.host {
            TargetHost::Address(ip) => vec![SocketAddr::new(*ip, target.port)],
            TargetHost::Name(name) => tokio::net::lookup_host((name.as_str(), target.port))
                .await
                .map_err(ProxyError::NameNotFound)?
                .collect(),
        };
        let connected = race(&addresses, |address| connect_from(self.local, address)).await;
        connected.map_err(|error| match error {
            Some(error) => ProxyError::Unreachable(error),
            None => ProxyError::NameNotFound(io::ErrorKind::NotFound.into()),
        })
    }

    async fn secure(&self, stream: TcpStream) -> io::Result<impl Stream + use<>> {
        let config = self.tls.clone().ok_or_else(|| {
            let message = "a proxy of https needs a configuration for TLS";
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })?;
        let name = match &self.url.target().host {
            TargetHost::Address(ip) => ServerName::from(*ip),
            TargetHost::Name(name) => {
                ServerName::try_from(name.as_str().to_owned()).map_err(io::Error::other)?
            }
        };
        TlsConnector::from(config).connect(name, stream).await
    }
}

impl Tunnel {
    /// Returns the local end of the connection with the proxy.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Returns the proxy's end of the connection with it.
    #[must_use]
    pub fn proxy_addr(&self) -> SocketAddr {
        self.proxy
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let length = self.early.len().min(buffer.remaining());
        buffer.put_slice(&self.early.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Speaks with the proxy until the tunnel is open; returns what has come through it by then.
async fn converse(
    stream: &mut Box<dyn Stream>,
    mut handshake: Handshake,
    first: Vec<u8>,
) -> Result<Bytes, ProxyError> {
    write(stream, &first).await?;
    let mut buffer = [0; 1024];
    loop {
        let length = stream
            .read(&mut buffer)
            .await
            .map_err(ProxyError::Unreachable)?;
        if length == 0 {
            handshake.handle_closed()?;
        }
        let mut progress = handshake.handle(buffer.get(..length).unwrap_or_default())?;
        // A proxy may have said several things at once.
        while let Progress::Send(message) = progress {
            write(stream, &message).await?;
            progress = handshake.handle(&[])?;
        }
        if let Progress::Done { rest, .. } = progress {
            return Ok(rest.into());
        }
    }
}

async fn write(stream: &mut Box<dyn Stream>, message: &[u8]) -> Result<(), ProxyError> {
    let written = async {
        stream.write_all(message).await?;
        stream.flush().await
    };
    written.await.map_err(ProxyError::Unreachable)
}

/// Connects to an address, from one of ours or from what the system chooses.
pub(crate) async fn connect_from(local: Option<IpAddr>, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if let Some(local) = local {
        socket.bind(SocketAddr::new(local, 0))?;
    }
    let stream = socket.connect(to).await?;
    tcp::prepare(&stream)?;
    Ok(stream)
}
