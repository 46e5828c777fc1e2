//! Moves datagrams and HTTP exchanges between a client of port mapping and its sockets.

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
    /// Receives announcements; `None` where another program does not share their port.
    listener: Option<UdpSocket>,
    /// Searches for UPnP gateways; `None` where there is no multicast.
    searcher: Option<UdpSocket>,
    fetches: JoinSet<(FetchId, Option<Vec<u8>>)>,
}

/// What the driver was woken by.
enum Input {
    Answer(io::Result<(usize, SocketAddr)>),
    Announcement(io::Result<(usize, SocketAddr)>),
    Presence(io::Result<(usize, SocketAddr)>),
    Fetched(FetchId, Option<Vec<u8>>),
    Time,
}

impl Driver {
    /// Opens the sockets and begins to ask; `learn` says whether to learn the outside address in
    /// every dialect.
    pub(super) fn open(mut config: ClientConfig, learn: bool) -> io::Result<Self> {
        let gateway = config.gateway;
        let searcher = searcher(config.local);
        if let Err(error) = &searcher {
            tracing::debug!(%error, "UPnP gateways cannot be searched");
        }
        let asker = std::net::UdpSocket::bind((config.local, 0))?;
        asker.set_nonblocking(true)?;
        // A client learns the outside address from a mapping of a port. This socket's does no
        // harm: it takes datagrams of the gateway alone.
        config.learn_external = learn.then_some(asker.local_addr()?.port());
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(io::Error::other)?;
        let client = Client::new(Instant::now(), config, seed);
        // A connected socket reports ICMP errors, and takes datagrams of the gateway alone.
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

    /// Does what the client wants, then waits for input or a deadline, unless there are events to
    /// return. A cancelled call loses nothing.
    pub(super) async fn turn(&mut self) -> Vec<Event> {
        let (events, next) = self.drain().await;
        if !events.is_empty() {
            return events;
        }
        let mut buffer = [0; LONGEST];
        let mut heard = [0; LONGEST];
        let mut found = [0; LONGEST];
        let wake = next.unwrap_or_else(Instant::now);
        let input = tokio::select! {
            read = self.asker.recv_from(&mut buffer) => Input::Answer(read),
            read = receive(self.listener.as_ref(), &mut heard) => Input::Announcement(read),
            read = receive(self.searcher.as_ref(), &mut found) => Input::Presence(read),
            Some(fetched) = self.fetches.join_next() => match fetched {
                Ok((id, response)) => Input::Fetched(id, response),
                // A fetch is never cancelled and does not panic. If one did, the client's own
                // timer would end its wait.
                Err(_) => Input::Time,
            },
            () = sleep_until(wake.into()), if next.is_some() => Input::Time,
        };
        let now = Instant::now();
        match input {
            Input::Answer(Ok((length, from))) => {
                let bytes = buffer.get(..length).unwrap_or_default();
                self.client.handle_datagram(now, from, bytes);
            }
            Input::Announcement(Ok((length, from))) => {
                let bytes = heard.get(..length).unwrap_or_default();
                self.client.handle_datagram(now, from, bytes);
            }
            Input::Presence(Ok((length, from))) => {
                let bytes = found.get(..length).unwrap_or_default();
                self.client.handle_ssdp(now, from, bytes);
            }
            Input::Fetched(id, response) => {
                self.client.handle_response(now, id, response.as_deref());
            }
            Input::Presence(Err(error)) => tracing::debug!(%error, "Cannot hear UPnP"),
            Input::Answer(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                self.client.handle_unreachable(now);
            }
            Input::Answer(Err(error)) => tracing::debug!(%error, "Cannot hear the gateway"),
            Input::Announcement(Err(error)) => {
                tracing::debug!(%error, "Cannot hear announcements");
                self.listener = None;
            }
            Input::Time => {}
        }
        self.client.handle_timeout(now);
        self.drain().await.0
    }

    /// Sends what the client still wants to send.
    pub(super) async fn flush(&mut self) {
        self.drain().await;
    }

    /// Sends what the client wants to send. Returns its events, and when it wants to be woken.
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
        // The kernel reports an ICMP error about an earlier datagram at the next send, and does
        // not send that one.
        if refused.kind() == io::ErrorKind::ConnectionRefused {
            self.client.handle_unreachable(Instant::now());
        }
    }
}

async fn receive(socket: Option<&UdpSocket>, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    match socket {
        Some(socket) => socket.recv_from(buffer).await,
        None => std::future::pending().await,
    }
}

/// Opens a socket for announcements, on a port that other programs may share.
fn listener(gateway: IpAddr) -> io::Result<UdpSocket> {
    let IpAddr::V4(_) = gateway else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, ANNOUNCE_PORT)).into())?;
    // Every host is in this group by RFC 1112, but some systems deliver to it only after a join.
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

/// Returns the address that this machine would send from to reach another one.
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
/// The TTL that UPnP Device Architecture 1.1 §1.3.2 recommends for searches.
const SEARCH_TTL: u32 = 2;
/// No message of a gateway is longer.
const LONGEST: usize = 2048;
