//! The driver of [`jackfield_turn::client::Client`]: an allocation on a TURN server over UDP, TCP
//! or TLS, used like a socket.
//!
//! ```
//! use jackfield_driver::turn_client::{ClientTransport, TurnClient};
//! use jackfield_turn::client::Credential;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let server = "198.51.100.1:3478".parse()?;
//! let credential = Credential::new("alice", "secret")?;
//! let mut client = TurnClient::connect(server, ClientTransport::Udp, credential).await?;
//! println!("peers may send to {:?}", client.relayed());
//! let peer = "203.0.113.9:4000".parse()?;
//! client.send_to(b"hello", peer).await?;
//! let packet = client.recv_from().await?;
//! println!("{} bytes from {}", packet.data.len(), packet.peer);
//! client.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! A task of the runtime keeps the allocation, its permissions and its channels alive until the
//! client is closed or dropped.

pub(crate) mod connection;
mod driver;
mod error;
mod options;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use jackfield_sansio::FiveTuple;
use jackfield_turn::Relayed;
use jackfield_turn::client::{Client, ClientCounters, Credential, Failure, Outgoing};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub use error::{ConnectError, TurnError};
pub use options::{ClientTransport, Options, Tls};

use connection::MessageSender;
use driver::{Driver, Shared};

/// An allocation on a TURN server. Dropping it deletes the allocation in the background.
#[derive(Debug)]
pub struct TurnClient {
    relayed: Relayed,
    mapped: SocketAddr,
    sender: TurnSender,
    incoming: mpsc::Receiver<Packet>,
    task: Option<JoinHandle<()>>,
}

/// Sends through an allocation; cheap to clone, for any task.
#[derive(Debug, Clone)]
pub struct TurnSender {
    shared: Arc<Shared>,
    out: MessageSender,
}

/// What a peer sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Which peer.
    pub peer: SocketAddr,
    /// What.
    pub data: Bytes,
    /// Whether it came by a channel.
    pub by_channel: bool,
}

impl TurnClient {
    /// Makes an allocation with the defaults of [`Options`].
    ///
    /// # Errors
    /// When there is no way to the server, or it makes no allocation; [`ConnectError`] says whose
    /// fault it is. Over UDP a server that keeps silent is given up after 39.5 s; a caller in a
    /// hurry puts a timeout around it.
    pub async fn connect(
        server: SocketAddr,
        transport: ClientTransport,
        credential: Credential,
    ) -> Result<Self, ConnectError> {
        Self::connect_with(server, Options::new(transport, credential)).await
    }

    /// Makes an allocation.
    ///
    /// # Errors
    /// As [`TurnClient::connect`].
    pub async fn connect_with(server: SocketAddr, options: Options) -> Result<Self, ConnectError> {
        let driver = Driver::establish(server, &options).await?;
        let shared = driver.shared();
        let (out, written) = driver.out(options.queue);
        let (packets, incoming) = mpsc::channel(options.queue.max(1));
        let (relayed, mapped) = {
            let core = shared.core();
            let addresses = core.relayed().zip(core.mapped());
            addresses.ok_or(ConnectError::Refused(Failure::Malformed))?
        };
        let task = tokio::spawn(driver.run(packets, written));
        Ok(Self {
            relayed,
            mapped,
            sender: TurnSender { shared, out },
            incoming,
            task: Some(task),
        })
    }

    /// Returns the relayed transport addresses that peers may send to.
    #[must_use]
    pub fn relayed(&self) -> Relayed {
        self.relayed
    }

    /// Returns where the server sees us.
    #[must_use]
    pub fn mapped(&self) -> SocketAddr {
        self.mapped
    }

    /// Returns the path to the server, which another one may have named.
    #[must_use]
    pub fn path(&self) -> FiveTuple {
        self.sender.shared.core().path()
    }

    /// Returns a way to send from other tasks.
    #[must_use]
    pub fn sender(&self) -> TurnSender {
        self.sender.clone()
    }

    /// Sends a datagram to a peer, see [`TurnSender::send_to`].
    ///
    /// # Errors
    /// As [`TurnSender::send_to`].
    pub async fn send_to(&self, payload: &[u8], peer: SocketAddr) -> Result<(), TurnError> {
        self.sender.send_to(payload, peer).await
    }

    /// Lets a peer's address in, see [`TurnSender::permit`].
    ///
    /// # Errors
    /// As [`TurnSender::permit`].
    pub async fn permit(&self, peer: IpAddr) -> Result<(), TurnError> {
        self.sender.permit(peer).await
    }

    /// Waits for a datagram from a peer. No datagram is lost when the wait is given up.
    ///
    /// # Errors
    /// When there is no allocation any more.
    pub async fn recv_from(&mut self) -> Result<Packet, TurnError> {
        match self.incoming.recv().await {
            Some(packet) => Ok(packet),
            None => Err(self.sender.shared.end()),
        }
    }

    /// Returns the core's counters.
    #[must_use]
    pub fn counters(&self) -> ClientCounters {
        *self.sender.shared.core().counters()
    }

    /// Returns how many datagrams were dropped because the receiver's queue was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.sender.shared.dropped.value()
    }

    /// Deletes the allocation, and waits for the server to say so, for a second at most.
    pub async fn close(mut self) {
        self.sender.shared.close();
        if let Some(task) = self.task.take() {
            // A server that does not answer lets the allocation run out; the task goes on asking
            // for a while.
            let _too_late = tokio::time::timeout(CLOSE_PATIENCE, task).await;
        }
    }
}

impl Drop for TurnClient {
    fn drop(&mut self) {
        self.sender.shared.close();
    }
}

impl TurnSender {
    /// Sends a datagram to a peer. Before the server has let the peer in it waits inside, and so
    /// may be dropped.
    ///
    /// # Errors
    /// When it cannot be sent: see [`TurnError`].
    pub async fn send_to(&self, payload: &[u8], peer: SocketAddr) -> Result<(), TurnError> {
        let message = {
            let mut core = self.shared.core();
            let asked = core.counters().requests;
            let message = core
                .send(Instant::now(), peer, payload)
                .map_err(|why| self.shared.explain(&core, why))?
                .map(assemble);
            if core.counters().requests != asked {
                self.shared.wake.notify_one();
            }
            message
        };
        match message {
            Some(message) => self.out.send(message).await.map_err(|_| self.shared.end()),
            None => Ok(()),
        }
    }

    /// Asks the server to let a peer's address in, and waits until it does: then that peer may
    /// speak first.
    ///
    /// # Errors
    /// When the server does not let it in, or there is no allocation any more.
    pub async fn permit(&self, peer: IpAddr) -> Result<(), TurnError> {
        self.with_core(|core| core.permit(Instant::now(), peer))?;
        loop {
            let changed = self.shared.changed.notified();
            {
                let core = self.shared.core();
                if core.is_permitted(Instant::now(), peer) {
                    return Ok(());
                }
                if let Some(why) = core.refusal(peer) {
                    return Err(TurnError::PeerRefused(why));
                }
                if core.relayed().is_none() {
                    drop(core);
                    return Err(self.shared.end());
                }
            }
            changed.await;
        }
    }

    /// Stops keeping a peer's address alive.
    pub fn forget(&self, peer: IpAddr) {
        self.shared.core().forget(peer);
    }

    fn with_core(
        &self,
        act: impl FnOnce(&mut Client) -> Result<(), jackfield_turn::client::SendError>,
    ) -> Result<(), TurnError> {
        let mut core = self.shared.core();
        act(&mut core).map_err(|why| self.shared.explain(&core, why))?;
        self.shared.wake.notify_one();
        Ok(())
    }
}

fn assemble(outgoing: Outgoing<'_>) -> Vec<u8> {
    let header = outgoing.header.as_bytes();
    let padding = usize::from(outgoing.padding);
    let length = header.len() + outgoing.payload.len() + padding;
    let mut bytes = Vec::with_capacity(length);
    bytes.extend_from_slice(header);
    bytes.extend_from_slice(outgoing.payload);
    bytes.resize(length, 0);
    bytes
}

/// How long [`TurnClient::close`] waits for the server.
const CLOSE_PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);
