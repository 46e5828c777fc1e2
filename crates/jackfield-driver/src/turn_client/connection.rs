//! The connection to the server: datagrams, or a stream that is cut into messages.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use jackfield_sansio::{FiveTuple, Transport};
use jackfield_stun::framing::{MAX_MESSAGE, message_length};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

use super::error::ConnectError;
use super::options::{ClientTransport, Options, Tls};
use crate::proxy::connect_from;
use crate::tap::Tapped;

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) path: FiveTuple,
}

/// Any stream.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug> Stream for S {}

/// Where messages come from.
#[derive(Debug)]
pub(crate) enum Reader {
    Datagrams {
        socket: Arc<Tapped<UdpSocket>>,
        room: Box<[u8]>,
    },
    Stream {
        half: ReadHalf<Box<dyn Stream>>,
        /// What was read and is not yet a whole message.
        unread: BytesMut,
    },
}

/// Where messages go to.
#[derive(Debug)]
pub(crate) enum Writer {
    Datagrams {
        socket: Arc<Tapped<UdpSocket>>,
        waiting: VecDeque<Vec<u8>>,
    },
    Stream {
        half: WriteHalf<Box<dyn Stream>>,
        waiting: BytesMut,
        /// Whether the stream may hold back what was written to it, as TLS does.
        unflushed: bool,
    },
}

/// How other tasks send.
#[derive(Debug, Clone)]
pub(crate) enum MessageSender {
    Datagrams(Arc<Tapped<UdpSocket>>),
    Stream(mpsc::Sender<Vec<u8>>),
}

/// The connection's task has ended.
#[derive(Debug)]
pub(crate) struct Disconnected;

impl Connection {
    /// Connects to a server; `domain` is the name its certificate has to be for, if not the one of
    /// the options.
    pub(crate) async fn open(
        server: SocketAddr,
        options: &Options,
        domain: Option<String>,
    ) -> Result<Self, ConnectError> {
        match &options.transport {
            ClientTransport::Udp => Self::udp(server, options.local).await,
            ClientTransport::Tcp => {
                let (stream, local) = limit(options, tcp(server, options)).await?;
                Ok(Self::halves(stream, path(Transport::Tcp, local, server)))
            }
            ClientTransport::Tls(tls) => {
                limit(options, Self::tls(server, options, tls, domain)).await
            }
        }
    }

    async fn udp(server: SocketAddr, local: Option<IpAddr>) -> Result<Self, ConnectError> {
        let local = SocketAddr::new(local.unwrap_or_else(|| unspecified(server)), 0);
        let socket = UdpSocket::bind(local).await.map_err(ConnectError::Local)?;
        // Datagrams from any other address are not the server's.
        socket
            .connect(server)
            .await
            .map_err(ConnectError::Unreachable)?;
        let local = socket.local_addr().map_err(ConnectError::Local)?;
        let path = path(Transport::Udp, local, server);
        let socket = Arc::new(Tapped::new(socket, path));
        Ok(Self {
            reader: Reader::Datagrams {
                socket: Arc::clone(&socket),
                room: vec![0; MAX_DATAGRAM].into(),
            },
            writer: Writer::Datagrams {
                socket,
                waiting: VecDeque::new(),
            },
            path,
        })
    }

    async fn tls(
        server: SocketAddr,
        options: &Options,
        tls: &Tls,
        domain: Option<String>,
    ) -> Result<Self, ConnectError> {
        let name = match domain {
            Some(domain) => ServerName::try_from(domain)
                .map_err(|error| ConnectError::Tls(io::Error::other(error)))?,
            None => tls.name.clone(),
        };
        let (stream, local) = tcp(server, options).await?;
        let connector = TlsConnector::from(Arc::clone(&tls.config));
        let stream = connector
            .connect(name, stream)
            .await
            .map_err(ConnectError::Tls)?;
        Ok(Self::halves(
            Box::new(stream),
            path(Transport::Tls, local, server),
        ))
    }

    fn halves(stream: Box<dyn Stream>, path: FiveTuple) -> Self {
        let stream: Box<dyn Stream> = Box::new(Tapped::new(stream, path));
        let (reader, writer) = tokio::io::split(stream);
        Self {
            reader: Reader::Stream {
                half: reader,
                unread: BytesMut::new(),
            },
            writer: Writer::Stream {
                half: writer,
                waiting: BytesMut::new(),
                unflushed: false,
            },
            path,
        }
    }
}

impl Reader {
    /// Waits for a message; nothing is lost when the wait is given up. Data of a stream that cannot
    /// be followed is an error.
    pub(crate) async fn receive(&mut self) -> io::Result<Bytes> {
        match self {
            Self::Datagrams { socket, room } => {
                let length = socket.recv(room).await?;
                Ok(Bytes::copy_from_slice(room.get(..length).unwrap_or(room)))
            }
            Self::Stream { half, unread } => loop {
                if let Some(message) = cut(unread)? {
                    return Ok(message);
                }
                unread.reserve(READ_SIZE);
                if half.read_buf(unread).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            },
        }
    }

    /// Returns a message if one is there already.
    pub(crate) fn try_receive(&mut self) -> Option<Bytes> {
        match self {
            Self::Datagrams { socket, room } => {
                let length = socket.try_recv(room).ok()?;
                room.get(..length).map(Bytes::copy_from_slice)
            }
            // What cannot be followed is found again by the next receive, which can say so.
            Self::Stream { unread, .. } => cut(unread).ok().flatten(),
        }
    }
}

impl Writer {
    /// Queues a message.
    pub(crate) fn push(&mut self, bytes: Vec<u8>) {
        match self {
            Self::Datagrams { waiting, .. } => waiting.push_back(bytes),
            Self::Stream { waiting, .. } => waiting.extend_from_slice(&bytes),
        }
    }

    /// Returns whether something waits to be sent.
    pub(crate) fn has_work(&self) -> bool {
        match self {
            Self::Datagrams { waiting, .. } => !waiting.is_empty(),
            Self::Stream {
                waiting, unflushed, ..
            } => *unflushed || !waiting.is_empty(),
        }
    }

    /// Returns whether there is room for data; requests are always taken.
    pub(crate) fn has_room(&self) -> bool {
        match self {
            Self::Datagrams { .. } => true,
            Self::Stream { waiting, .. } => waiting.len() < MAX_WAITING,
        }
    }

    /// Sends what waits, or part of it; nothing is lost or doubled when the wait is given up.
    pub(crate) async fn send(&mut self) -> io::Result<()> {
        match self {
            Self::Datagrams { socket, waiting } => {
                while let Some(bytes) = waiting.front() {
                    let sent = socket.send(bytes).await;
                    waiting.pop_front();
                    sent?;
                }
            }
            Self::Stream {
                half,
                waiting,
                unflushed,
            } => {
                while !waiting.is_empty() {
                    *unflushed = true;
                    if half.write_buf(waiting).await? == 0 {
                        return Err(io::ErrorKind::WriteZero.into());
                    }
                }
                half.flush().await?;
                *unflushed = false;
            }
        }
        Ok(())
    }

    /// Returns how other tasks send, and where what they send comes out.
    pub(crate) fn out(&self, queue: usize) -> (MessageSender, Option<mpsc::Receiver<Vec<u8>>>) {
        match self {
            Self::Datagrams { socket, .. } => (MessageSender::Datagrams(Arc::clone(socket)), None),
            Self::Stream { .. } => {
                let (sender, receiver) = mpsc::channel(queue.max(1));
                (MessageSender::Stream(sender), Some(receiver))
            }
        }
    }
}

impl MessageSender {
    /// Sends a message; waits for room in the stream.
    pub(crate) async fn send(&self, message: Vec<u8>) -> Result<(), Disconnected> {
        match self {
            Self::Datagrams(socket) => {
                // A datagram that the network refuses is lost, as any datagram may be.
                if let Err(error) = socket.send(&message).await {
                    tracing::trace!(%error, "Datagram not sent");
                }
                Ok(())
            }
            Self::Stream(queue) => queue.send(message).await.or(Err(Disconnected)),
        }
    }
}

/// Takes the message at the front, if all of it is there.
fn cut(unread: &mut BytesMut) -> io::Result<Option<Bytes>> {
    let length = message_length(unread, MAX_MESSAGE)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(length
        .filter(|length| unread.len() >= *length)
        .map(|length| unread.split_to(length).freeze()))
}

/// Connects to the server, through the proxy if there is one; returns our end, too.
async fn tcp(
    server: SocketAddr,
    options: &Options,
) -> Result<(Box<dyn Stream>, SocketAddr), ConnectError> {
    if let Some(proxy) = &options.proxy {
        let tunnel = proxy.connect(server.into()).await?;
        let local = tunnel.local_addr();
        return Ok((Box::new(tunnel), local));
    }
    let stream = connect_from(options.local, server)
        .await
        .map_err(ConnectError::Unreachable)?;
    let local = stream.local_addr().map_err(ConnectError::Local)?;
    Ok((Box::new(stream), local))
}

async fn limit<T>(
    options: &Options,
    connecting: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, ConnectError> {
    let connected = tokio::time::timeout(options.connect_timeout, connecting).await;
    connected.unwrap_or(Err(ConnectError::TimedOut))
}

fn path(transport: Transport, local: SocketAddr, remote: SocketAddr) -> FiveTuple {
    FiveTuple {
        transport,
        local,
        remote,
    }
}

fn unspecified(server: SocketAddr) -> IpAddr {
    if server.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    }
}

const MAX_DATAGRAM: usize = 65_536;
const READ_SIZE: usize = 16 * 1_024;

/// Bytes that may wait for a server that reads slowly before our own senders have to wait.
const MAX_WAITING: usize = 256 * 1_024;
