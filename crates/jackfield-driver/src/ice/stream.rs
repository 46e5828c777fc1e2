//! TCP connections: to and from candidates, and to TURN servers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use jackfield_ice::gather::IceServer;
use jackfield_ice::{ConnectionId, framing, username};
use jackfield_proxy::{HostName, TargetHost};
use jackfield_sansio::{FiveTuple, Transport};
use jackfield_turn::client;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::core::Core;
use super::session::{SessionId, Slot};
use super::shared::Shared;
use crate::proxy::{Proxy, connect_from};
use crate::tcp;
use crate::tls;
use crate::turn_client::connection::{Connection, Reader, Writer};
use crate::turn_client::{ClientTransport, Options, Tls};

/// A connection that a core asks for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) id: ConnectionId,
    pub(super) transport: Transport,
    pub(super) local: Option<SocketAddr>,
    pub(super) remote: SocketAddr,
    pub(super) server: Option<usize>,
    pub(super) domain: Option<String>,
}

impl<C: Core> Shared<C> {
    /// Has a task open a connection and carry its packets.
    pub(super) fn spawn_connect(&self, id: SessionId, wanted: Wanted) {
        let this = self.this.clone();
        self.runtime.spawn(async move {
            let shared = this.upgrade();
            let found = shared.and_then(|shared| shared.session(id).map(|slot| (shared, slot)));
            if let Some((shared, slot)) = found {
                shared.connect(slot, wanted).await;
            }
        });
    }

    /// Opens a connection and carries its packets until either side closes it.
    pub(super) async fn connect(self: Arc<Self>, slot: Arc<Slot<C>>, wanted: Wanted) {
        let limit = self.config.limits.connect_timeout;
        let id = wanted.id;
        let done = match wanted.server {
            Some(server) => match timeout(limit, self.open_server(&slot, &wanted, server)).await {
                Ok(Ok(connection)) => {
                    self.carry_server(&slot, id, connection).await;
                    Ok(())
                }
                Ok(Err(error)) => Err(error),
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            },
            None => match timeout(limit, open_candidate(&wanted)).await {
                Ok(Ok((stream, path))) => {
                    let written = self.add_connection(slot.id, path);
                    self.call(&slot, |core, now| core.handle_connected(now, id, path));
                    let reader = framing::Reader::new(framing::MAX_PACKET);
                    self.carry(&slot, path, stream, reader, written).await;
                    Ok(())
                }
                Ok(Err(error)) => Err(error),
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            },
        };
        if let Err(error) = done {
            tracing::debug!(%error, remote = %wanted.remote, "Connection not made");
            self.call(&slot, |core, now| core.handle_connect_failed(now, id));
        }
    }

    async fn open_server(
        &self,
        slot: &Slot<C>,
        wanted: &Wanted,
        server: usize,
    ) -> io::Result<Connection> {
        let server = slot.servers.get(server);
        let server = server.ok_or_else(|| io::Error::other("the core names no server of ours"))?;
        let transport = match wanted.transport {
            Transport::Udp => ClientTransport::Udp,
            Transport::Tcp => ClientTransport::Tcp,
            Transport::Tls => {
                let config = self.tls().await?;
                let name = match &server.name {
                    Some(name) => ServerName::try_from(name.to_string()),
                    None => Ok(server.address.ip().into()),
                };
                let name = name.map_err(io::Error::other)?;
                ClientTransport::Tls(Tls { config, name })
            }
            Transport::Dtls => return Err(io::ErrorKind::Unsupported.into()),
        };
        let options = Options {
            local: wanted.local.map(|local| local.ip()),
            proxy: self.proxy_for(server),
            connect_timeout: self.config.limits.connect_timeout,
            ..Options::with_core(transport, client::ClientConfig::default())
        };
        Connection::open(wanted.remote, &options, wanted.domain.clone())
            .await
            .map_err(io::Error::other)
    }

    /// Returns how TLS is made.
    async fn tls(&self) -> io::Result<Arc<ClientConfig>> {
        if let Some(config) = &self.config.tls {
            return Ok(Arc::clone(config));
        }
        // Reading the system's certificates takes some milliseconds.
        let read = || async { tokio::task::spawn_blocking(tls::with_system_roots).await };
        let config = self.system_tls.get_or_try_init(|| async {
            let config = read().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>(Arc::new(config))
        });
        config.await.cloned()
    }

    /// Returns the proxy for connections to a server.
    fn proxy_for(&self, server: &IceServer) -> Option<Proxy> {
        let named = server.name.as_deref().and_then(HostName::new);
        let is_direct = |host| self.config.no_proxy.contains(&host);
        let is_direct = is_direct(TargetHost::Address(server.address.ip()))
            || named.is_some_and(|name| is_direct(TargetHost::Name(name)));
        self.config.proxy.clone().filter(|_| !is_direct)
    }

    /// Carries the messages of a connection to a TURN server.
    async fn carry_server(&self, slot: &Slot<C>, id: ConnectionId, connection: Connection) {
        let Connection {
            mut reader,
            mut writer,
            path,
        } = connection;
        let mut written = self.add_connection(slot.id, path);
        self.call(slot, |core, now| core.handle_connected(now, id, path));
        loop {
            if let Err(error) = self
                .turn(slot, path, &mut reader, &mut writer, &mut written)
                .await
            {
                tracing::debug!(%error, %path, "Connection to a TURN server ended");
                break;
            }
        }
        self.ended(slot, path);
    }

    async fn turn(
        &self,
        slot: &Slot<C>,
        path: FiveTuple,
        reader: &mut Reader,
        writer: &mut Writer,
        written: &mut mpsc::Receiver<Vec<u8>>,
    ) -> io::Result<()> {
        let has_room = writer.has_room();
        tokio::select! {
            received = reader.receive() => {
                self.deliver(slot, path, &received?);
                for _ in 1..BATCH {
                    let Some(message) = reader.try_receive() else {
                        break;
                    };
                    self.deliver(slot, path, &message);
                }
                self.flush(slot);
                Ok(())
            }
            sent = writer.send(), if writer.has_work() => sent,
            message = written.recv(), if has_room => {
                writer.push(message.ok_or(io::ErrorKind::ConnectionAborted)?);
                Ok(())
            }
        }
    }

    /// Accepts connections until the listener is dropped.
    pub(super) async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (stream, remote) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, mostly: it must not become a busy loop.
                    tracing::debug!(%error, "Accepting");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(permit) = Arc::clone(&self.strangers).try_acquire_owned() else {
                self.counters.refused_strangers.add();
                continue;
            };
            if let Err(error) = tcp::prepare(&stream) {
                tracing::debug!(%error, "A connection went before it was set up");
            }
            let shared = Arc::clone(&self);
            tokio::spawn(async move {
                let Ok(local) = stream.local_addr() else {
                    return;
                };
                let path = FiveTuple {
                    transport: Transport::Tcp,
                    local,
                    remote,
                };
                let limit = shared.config.limits.stranger_timeout;
                let met = timeout(limit, shared.meet(stream)).await;
                drop(permit);
                match met.ok().flatten() {
                    Some(met) => shared.admit(path, met).await,
                    None => shared.counters.unknown_streams.add(),
                }
            });
        }
    }

    /// Reads what a stranger sends first, until that says which session it is for.
    async fn meet(&self, mut stream: TcpStream) -> Option<Met<C>> {
        // A connectivity check is short; nothing else may come first.
        let mut reader = framing::Reader::new(MAX_FIRST);
        let mut room = [0; MAX_FIRST];
        let mut packets = Vec::new();
        while packets.is_empty() {
            let length = stream.read(&mut room).await.ok()?;
            let piece = room.get(..length).filter(|piece| !piece.is_empty())?;
            let read = reader.read(piece, |packet| packets.push(packet.to_vec()));
            read.ok()?;
        }
        let (ufrag, _) = username(packets.first()?)?;
        let slot = self.by_ufrag(ufrag)?;
        Some(Met {
            stream,
            // What was read of the next packet goes on with it, as long as that is one.
            reader: reader.with_max(framing::MAX_PACKET),
            packets,
            slot,
        })
    }

    async fn admit(&self, path: FiveTuple, met: Met<C>) {
        let Met {
            stream,
            reader,
            packets,
            slot,
        } = met;
        let written = self.add_connection(slot.id, path);
        self.call(&slot, |core, now| core.handle_accepted(now, path));
        for packet in packets {
            self.deliver(&slot, path, &packet);
        }
        self.flush(&slot);
        self.carry(&slot, path, stream, reader, written).await;
    }

    /// Carries the packets of a connection to a candidate.
    async fn carry(
        &self,
        slot: &Slot<C>,
        path: FiveTuple,
        stream: TcpStream,
        mut reader: framing::Reader,
        mut written: mpsc::Receiver<Vec<u8>>,
    ) {
        let (mut from, mut to) = stream.into_split();
        let reading = async {
            let mut room = vec![0; READ_SIZE];
            loop {
                let length = from.read(&mut room).await?;
                let piece = room.get(..length).unwrap_or_default();
                if piece.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                reader
                    .read(piece, |packet| self.deliver(slot, path, packet))
                    .map_err(io::Error::other)?;
                self.flush(slot);
            }
        };
        let writing = async {
            let mut framed = Vec::new();
            while let Some(packet) = written.recv().await {
                framed.clear();
                framing::write(&packet, &mut framed).map_err(io::Error::other)?;
                to.write_all(&framed).await?;
            }
            to.shutdown().await
        };
        let end: io::Result<()> = tokio::select! {
            read = reading => read,
            wrote = writing => wrote,
        };
        tracing::debug!(?end, %path, "Connection to a candidate ended");
        self.ended(slot, path);
    }

    /// Takes the end of a connection.
    fn ended(&self, slot: &Slot<C>, path: FiveTuple) {
        self.remove_connection(slot.id, path);
        self.call(slot, |core, now| core.handle_closed(now, path));
    }
}

/// An accepted connection whose session is known.
#[derive(Debug)]
struct Met<C: Core> {
    stream: TcpStream,
    reader: framing::Reader,
    packets: Vec<Vec<u8>>,
    slot: Arc<Slot<C>>,
}

async fn open_candidate(wanted: &Wanted) -> io::Result<(TcpStream, FiveTuple)> {
    let local = wanted.local.map(|local| local.ip());
    let stream = connect_from(local, wanted.remote).await?;
    let path = FiveTuple {
        transport: Transport::Tcp,
        local: stream.local_addr()?,
        remote: wanted.remote,
    };
    Ok((stream, path))
}

/// Longer than any connectivity check: a USERNAME of 513 bytes and some attributes.
const MAX_FIRST: usize = 2_048;

/// Messages of a TURN server that are taken before what they cause is sent.
const BATCH: usize = 64;

const READ_SIZE: usize = 16 * 1_024;
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);
