//! Finds out what NAT this machine is behind: the driver of [`jackfield_stun::behaviour`], the
//! routers on the way ([`hops`]), from which [`layers`] concludes how many NATs are among them.
//!
//! ```
//! use jackfield_driver::discovery::discover;
//! use jackfield_stun::behaviour::{DiscoveryConfig, Finding};
//! # let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
//! # let address = server.local_addr().unwrap();
//! # std::thread::spawn(move || {
//! #     let mut room = [0; 2048];
//! #     while let Ok((length, from)) = server.recv_from(&mut room) {
//! #         let request = jackfield_stun::Message::parse(&room[..length]).unwrap();
//! #         let mut answer = Vec::new();
//! #         jackfield_stun::binding::answer(&request, from, &mut answer).unwrap();
//! #         server.send_to(&answer, from).unwrap();
//! #     }
//! # });
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let report = discover(DiscoveryConfig::new(vec![address])).await?;
//! assert_eq!(report.nat, Finding::Known(false));
//! # Ok::<(), std::io::Error>(()) }).unwrap();
//! ```

mod ask;
#[cfg(target_os = "linux")]
pub mod hops;
#[cfg(target_os = "linux")]
mod icmp;
#[cfg(target_os = "linux")]
pub mod mtu;
mod race;
mod resolve;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use jackfield_sansio::{FiveTuple, Transport};
use jackfield_stun::behaviour::{Discovery, DiscoveryConfig, NotBound, Output, Report, SocketId};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::tap::{self, Tap, Way};

pub use ask::{Binding, ask, ask_first};
pub use jackfield_stun::behaviour::layers;
pub use race::race;
pub use resolve::resolve;

/// Runs a discovery to its end.
///
/// With the defaults that takes about five seconds, as silence is an answer to some of its
/// questions.
///
/// # Errors
/// Fails without a route to the first server, without a server, and without randomness.
pub async fn discover(config: DiscoveryConfig) -> io::Result<Report> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    let local = match config.servers.first() {
        Some(server) => source_for(*server)?,
        None => return Err(io::ErrorKind::InvalidInput.into()),
    };
    let (inbox, arrivals) = mpsc::channel(QUEUE);
    let run = Run {
        discovery: Discovery::new(config, seed),
        local,
        sockets: Vec::new(),
        receivers: JoinSet::new(),
        inbox,
        arrivals,
        tap: tap::current(),
    };
    Ok(run.finish().await)
}

/// Returns the address that this machine sends from to `destination`; nothing is sent.
///
/// # Errors
/// Fails without a route to it.
pub fn source_for(destination: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = if destination.is_ipv4() {
        [0; 4].into()
    } else {
        [0; 16].into()
    };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.connect(destination)?;
    Ok(socket.local_addr()?.ip())
}

/// A datagram that arrived at one of the sockets.
type Arrival = (SocketId, SocketAddr, Vec<u8>);

/// Datagrams that may wait; a discovery sends few, and loses nothing that it does not ask for
/// again.
const QUEUE: usize = 256;

struct Run {
    discovery: Discovery,
    /// The address that sockets are bound to.
    local: IpAddr,
    sockets: Vec<Option<Arc<UdpSocket>>>,
    receivers: JoinSet<()>,
    inbox: mpsc::Sender<Arrival>,
    arrivals: mpsc::Receiver<Arrival>,
    tap: Option<Arc<dyn Tap>>,
}

impl Run {
    async fn finish(mut self) -> Report {
        loop {
            match self.discovery.poll_output() {
                Output::Bind(socket) => self.bind(socket).await,
                Output::Transmit {
                    socket,
                    destination,
                    bytes,
                } => self.send(socket, destination, &bytes).await,
                Output::Wait(Some(until)) => self.wait(until).await,
                Output::Wait(None) => return self.discovery.report(),
            }
        }
    }

    async fn bind(&mut self, id: SocketId) {
        let bound = UdpSocket::bind((self.local, 0)).await;
        let bound = bound.and_then(|socket| Ok((socket.local_addr()?, socket)));
        let local = match bound {
            Ok((local, socket)) => {
                let socket = Arc::new(socket);
                let receiver = receive(id, Arc::clone(&socket), self.inbox.clone());
                self.receivers.spawn(receiver);
                self.keep(id, socket);
                Ok(local)
            }
            Err(error) => {
                tracing::debug!(%error, "A socket for discovery could not be bound");
                Err(NotBound)
            }
        };
        self.discovery.handle_bound(Instant::now(), id, local);
    }

    fn keep(&mut self, id: SocketId, socket: Arc<UdpSocket>) {
        if self.sockets.len() <= id.index() {
            self.sockets.resize(id.index() + 1, None);
        }
        if let Some(place) = self.sockets.get_mut(id.index()) {
            *place = Some(socket);
        }
    }

    async fn send(&self, id: SocketId, destination: SocketAddr, bytes: &[u8]) {
        self.record(id, destination, Way::Sent, bytes);
        let socket = self.sockets.get(id.index()).and_then(Option::as_ref);
        if let Some(socket) = socket
            && let Err(error) = socket.send_to(bytes, destination).await
        {
            // The datagram counts as lost: the core sends it again, and at last takes the server
            // for silent.
            tracing::debug!(%destination, %error, "A request could not be sent");
        }
    }

    fn record(&self, id: SocketId, remote: SocketAddr, way: Way, bytes: &[u8]) {
        let socket = self.sockets.get(id.index()).and_then(Option::as_ref);
        if let Some(tap) = &self.tap
            && let Some(Ok(local)) = socket.map(|socket| socket.local_addr())
        {
            let path = FiveTuple {
                transport: Transport::Udp,
                local,
                remote,
            };
            tap.record(path, way, bytes);
        }
    }

    async fn wait(&mut self, until: Instant) {
        tokio::select! {
            Some((id, from, bytes)) = self.arrivals.recv() => {
                self.record(id, from, Way::Received, &bytes);
                self.discovery.handle_datagram(Instant::now(), id, from, &bytes);
            }
            () = tokio::time::sleep_until(until.into()) => {
                self.discovery.handle_timeout(Instant::now());
            }
        }
    }
}

/// Hands on what comes to a socket, until the discovery ends.
async fn receive(id: SocketId, socket: Arc<UdpSocket>, inbox: mpsc::Sender<Arrival>) {
    let mut room = vec![0; LARGEST];
    let mut errors = 0;
    while errors < FATAL {
        match socket.recv_from(&mut room).await {
            Ok((length, from)) => {
                let bytes = room.get(..length).unwrap_or_default().to_vec();
                if inbox.send((id, from, bytes)).await.is_err() {
                    return;
                }
            }
            // Some systems report here an ICMP error about an earlier send.
            Err(error) => {
                errors += 1;
                tracing::debug!(%error, "A receive failed");
            }
        }
    }
}

/// The largest datagram there is.
const LARGEST: usize = 65_535;

/// Receives that may fail before a socket is given up.
const FATAL: usize = 100;
