//! Moves datagrams, and what comes over HTTP, between a client and its sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use jackfield_portmap::ANNOUNCE_PORT;
use jackfield_portmap::client::{Client, ClientConfig, Event, FetchId, Output};
use socket2::{Domain, Socket, Type};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::fetch::fetch;

/// A client with its sockets.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) client: Client,
    asker: UdpSocket,
    /// Hears announcements; absent where another program keeps their port to itself.
    listener: Option<UdpSocket>,
    /// Searches by UPnP; absent where there is no multicast.
    searcher: Option<UdpSocket>,
    fetches: JoinSet<(FetchId, Option<Vec<u8>>)>,
}

/// What woke the driver.
enum Came {
    Answer(io::Result<(usize, SocketAddr)>),
    Announcement(io::Result<(usize, SocketAddr)>),
    Presence(io::Result<(usize, SocketAddr)>),
    Fetched(FetchId, Option<Vec<u8>>),
    Time,
}

impl Driver {
    /// Opens the sockets and begins to ask; `learn` says whether to learn the outside address in every dialect.
    pub(super) fn open(mut config: ClientConfig, learn: bool) -> io::Result<Self> {
        let gateway = config.gateway;
        let searcher = searcher(config.local);
        if let Err(error) = &searcher {
            tracing::debug!(%error, "UPnP gateways cannot be searched");
        }
        let asker = std::net::UdpSocket::bind((config.local, 0))?;
        asker.set_nonblocking(true)?;
        // What is mapped for a moment is this socket, which hears nobody but the gateway.
        config.learn_external = learn.then_some(asker.local_addr()?.port());
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(io::Error::other)?;
        let client = Client::new(Instant::now(), config, seed);
        // Connected, the socket hears of ICMP errors, and of nobody but the gateway.
        asker.connect(client.server())?;
        let listener = listener(gateway);
        if let Err(error) = &listener {
            tracing::debug!(%error, "Announcements of the gateway are not heard");
        }
        Ok(Self {
            client,
            asker: UdpSocket::from_std(asker)?,
            listener: listener.ok(),
            searcher: searcher.ok(),
            fetches: JoinSet::new(),
        })
    }

    /// Does what the client wants, then waits for something to come in or to be due, unless there are events to tell.
    /// Cancelling it loses nothing.
    pub(super) async fn turn(&mut self) -> Vec<Event> {
        let (events, next) = self.drain().await;
        if !events.is_empty() {
            return events;
        }
        let mut buffer = [0; LONGEST];
        let mut heard = [0; LONGEST];
        let mut found = [0; LONGEST];
        let wake = next.unwrap_or_else(Instant::now);
        let came = tokio::select! {
            read = self.asker.recv_from(&mut buffer) => Came::Answer(read),
            read = hear(self.listener.as_ref(), &mut heard) => Came::Announcement(read),
            read = hear(self.searcher.as_ref(), &mut found) => Came::Presence(read),
            Some(fetched) = self.fetches.join_next() => match fetched {
                Ok((id, response)) => Came::Fetched(id, response),
                // Nothing cancels a fetch or makes it panic; its timer is still set.
                Err(_) => Came::Time,
            },
            () = sleep_until(wake.into()), if next.is_some() => Came::Time,
        };
        let now = Instant::now();
        match came {
            Came::Answer(Ok((length, from))) => {
                let bytes = buffer.get(..length).unwrap_or_default();
                self.client.handle_datagram(now, from, bytes);
            }
            Came::Announcement(Ok((length, from))) => {
                let bytes = heard.get(..length).unwrap_or_default();
                self.client.handle_datagram(now, from, bytes);
            }
            Came::Presence(Ok((length, from))) => {
                let bytes = found.get(..length).unwrap_or_default();
                self.client.handle_ssdp(now, from, bytes);
            }
            Came::Fetched(id, response) => {
                self.client.handle_response(now, id, response.as_deref());
            }
            Came::Presence(Err(error)) => tracing::debug!(%error, "Cannot hear UPnP"),
            Came::Answer(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                self.client.handle_unreachable(now);
            }
            Came::Answer(Err(error)) => tracing::debug!(%error, "Cannot hear the gateway"),
            Came::Announcement(Err(error)) => {
                tracing::debug!(%error, "Cannot hear announcements");
                self.listener = None;
            }
            Came::Time => {}
        }
        self.client.handle_timeout(now);
        self.drain().await.0
    }

    /// Sends what the client still wants to send.
    pub(super) async fn flush(&mut self) {
        self.drain().await;
    }

    /// Sends what the client wants to send; returns what it tells, and when it wants to be woken.
    async fn drain(&mut self) -> (Vec<Event>, Option<Instant>) {
        let mut events = Vec::new();
        loop {
            match self.client.poll_output() {
                Output::Transmit { to, bytes } => self.send(to, &bytes).await,
                Output::Search { to, bytes } => self.search(to, &bytes).await,
                Output::Fetch { id, to, request } => {
                    self.fetches
                        .spawn(async move { (id, fetch(to, &request).await) });
                }
                Output::Event(event) => events.push(event),
                Output::Wait(next) => return (events, next),
            }
        }
    }

    async fn search(&self, to: SocketAddr, bytes: &[u8]) {
        if let Some(searcher) = &self.searcher
            && let Err(error) = searcher.send_to(bytes, to).await
        {
            tracing::debug!(%error, %to, "UPnP gateways cannot be searched");
        }
    }

    async fn send(&mut self, to: SocketAddr, bytes: &[u8]) {
        let Err(refused) = self.asker.send(bytes).await else {
            return;
        };
        tracing::debug!(error = %refused, %to, "Gateway cannot be asked");
        // An error of an earlier datagram comes with a later one, which is not sent then.
        if refused.kind() == io::ErrorKind::ConnectionRefused {
            self.client.handle_unreachable(Instant::now());
        }
    }
}

async fn hear(socket: Option<&UdpSocket>, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    match socket {
        Some(socket) => socket.recv_from(buffer).await,
        None => std::future::pending().await,
    }
}

/// Opens a socket for announcements, which other programs may have as well.
fn listener(gateway: IpAddr) -> io::Result<UdpSocket> {
    let IpAddr::V4(_) = gateway else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, ANNOUNCE_PORT)).into())?;
    // Every host is in this group; the system may want to hear it all the same.
    let joined = socket.join_multicast_v4(&ALL_HOSTS, &Ipv4Addr::UNSPECIFIED);
    if let Err(error) = joined {
        tracing::debug!(%error, "The group of all hosts cannot be joined");
    }
    UdpSocket::from_std(socket.into())
}

/// Opens a socket that searches on the network of one of our addresses.
fn searcher(local: IpAddr) -> io::Result<UdpSocket> {
    let IpAddr::V4(interface) = local else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_multicast_if_v4(&interface)?;
    socket.set_multicast_ttl_v4(SEARCH_TTL)?;
    socket.bind(&SocketAddr::new(local, 0).into())?;
    UdpSocket::from_std(socket.into())
}

/// Returns the address that this machine sends to another one from.
pub(super) fn local_towards(other: IpAddr) -> io::Result<IpAddr> {
    let any: SocketAddr = match other {
        IpAddr::V4(_) => ([0; 4], 0).into(),
        IpAddr::V6(_) => ([0; 16], 0).into(),
    };
    let socket = std::net::UdpSocket::bind(any)?;
    socket.connect((other, jackfield_portmap::SERVER_PORT))?;
    Ok(socket.local_addr()?.ip())
}

const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
/// As UPnP Device Architecture §1.3.2 has it.
const SEARCH_TTL: u32 = 2;
/// No message of a gateway is longer.
const LONGEST: usize = 2048;
