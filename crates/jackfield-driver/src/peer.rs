//! WebRTC data channels for tokio: a [`Peer`] talks to a browser, or to another program.
//!
//! The two sides find each other by signaling, which is the program's: an offer, an answer and
//! candidates, all text. After that a [`DataChannel`] is a stream of bytes, or of messages.
//!
//! ```
//! use jackfield_driver::peer::{ChannelConfig, Peer, PeerEvent, PeerOptions};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! # fn local() -> PeerOptions { PeerOptions::new().addresses(["127.0.0.1".parse().unwrap()]) }
//! let (alice, _) = Peer::new(local()).unwrap();
//! let (bob, _) = Peer::new(local()).unwrap();
//! // What signaling carries: candidates that are known by now are in the descriptions.
//! let offer = alice.create_offer().unwrap();
//! let answer = bob.handle_offer(&offer).unwrap();
//! alice.handle_answer(&answer).unwrap();
//!
//! let mut here = alice.open_channel(ChannelConfig::new("chat")).await.unwrap();
//! let mut there = bob.accept_channel().await.unwrap();
//! here.send_text("hello").await.unwrap();
//! assert_eq!(there.recv().await.unwrap().as_bytes(), b"hello");
//! there.write_all(b"as bytes").await.unwrap();
//! let mut bytes = [0; 8];
//! here.read_exact(&mut bytes).await.unwrap();
//! assert_eq!(&bytes, b"as bytes");
//! # });
//! ```

mod channel;
mod error;
mod inner;
mod options;
mod servers;
mod task;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use tokio::sync::mpsc;

pub use channel::DataChannel;
pub use error::{ChannelError, PeerError};
pub use inner::PeerEvent;
pub use jackfield_ice::SelectedPair;
pub use jackfield_peer::{
    Certificate, ChannelConfig, ChannelStats, CloseReason, ConnectionState, PeerStats,
    ReceivedMessage, Reliability,
};
pub use options::PeerOptions;
pub use servers::{RtcIceServer, resolve_servers};

use inner::{Inner, Shared};
use jackfield_peer::{Peer as Core, PeerConfig};

/// One side of a connection, for tokio: what the web calls `RTCPeerConnection`.
///
/// It is a handle of a task; clones are the same peer. The peer is closed when the last handle of
/// it and of its channels is gone.
#[derive(Debug, Clone)]
pub struct Peer {
    handle: Arc<Handle>,
}

/// What happens to a peer, one after the other; see [`PeerEvent`].
#[derive(Debug)]
pub struct PeerEvents(mpsc::UnboundedReceiver<PeerEvent>);

impl PeerEvents {
    /// Waits for the next event; `None` after [`PeerEvent::Closed`].
    pub async fn next(&mut self) -> Option<PeerEvent> {
        self.0.recv().await
    }
}

impl Peer {
    /// Starts a peer, with a UDP socket at each of the machine's addresses.
    ///
    /// # Errors
    /// What the operating system says about sockets or randomness.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(options: PeerOptions) -> io::Result<(Self, PeerEvents)> {
        let sockets = options.bind()?;
        let certificate = match options.certificate {
            Some(certificate) => certificate,
            None => Certificate::from_seed(random()?),
        };
        let mut config = PeerConfig::new(certificate);
        config.polite = options.polite;
        config.ice = options.ice;
        config.association.max_message_size = options.max_message_size;
        config.association.max_channels = options.max_channels;
        config.association.max_buffered = options.max_buffered;
        // ICE refuses the other side's loopback addresses, unless ours are of that kind, too.
        config.ice.remote.loopback |=
            options.addresses.iter().all(IpAddr::is_loopback) && !options.addresses.is_empty();
        let now = Instant::now();
        let mut core = Core::new(config, now, random()?);
        for socket in &sockets {
            core.agent_mut().add_socket(now, socket.local_addr()?);
        }
        core.agent_mut().end_of_sockets(now);
        let (sender, receiver) = mpsc::unbounded_channel();
        let inner = Inner::new(core, sender, options.max_received);
        let shared = Arc::new(Shared::new(inner));
        tokio::spawn(task::run(Arc::clone(&shared), sockets));
        let handle = Arc::new(Handle(shared));
        Ok((Self { handle }, PeerEvents(receiver)))
    }

    /// Returns an offer with the candidates that are known by now; later ones are
    /// [`PeerEvent::LocalCandidate`]s.
    ///
    /// # Errors
    /// [`PeerError::Sdp`] once the peer is closed.
    pub fn create_offer(&self) -> Result<String, PeerError> {
        self.with(|core, now| core.create_offer(now).map_err(PeerError::from))
    }

    /// Takes an offer, and returns the answer.
    ///
    /// # Errors
    /// [`PeerError::Sdp`] says what is wrong with the offer; the peer goes on as before.
    pub fn handle_offer(&self, offer: &str) -> Result<String, PeerError> {
        self.with(|core, now| core.handle_offer(now, offer).map_err(PeerError::from))
    }

    /// Takes the answer to our offer.
    ///
    /// # Errors
    /// [`PeerError::Sdp`] says what is wrong with the answer; the offer still waits for a good one.
    pub fn handle_answer(&self, answer: &str) -> Result<(), PeerError> {
        self.with(|core, now| core.handle_answer(now, answer).map_err(PeerError::from))
    }

    /// Takes our offer back, if one waits for its answer.
    pub fn rollback(&self) {
        self.with(|core, _| core.rollback());
    }

    /// Gives ICE new credentials; the next offer tells them.
    pub fn restart(&self) {
        self.with(Core::restart);
    }

    /// Takes a candidate of the other side, `candidate:...`; an empty text ends them.
    ///
    /// # Errors
    /// [`PeerError::Candidate`] says why it is of no use; the peer goes on without it.
    pub fn add_remote_candidate(&self, candidate: &str) -> Result<(), PeerError> {
        self.with(|core, now| Ok(core.add_remote_candidate(now, candidate, None)?))
    }

    /// Opens a channel, and waits until it can be used. It may be opened before there is a
    /// connection: open one before the first offer, or offer without.
    ///
    /// # Errors
    /// [`PeerError::Open`] says which limit or rule the channel breaks, and [`PeerError::Closed`]
    /// that the other side refused it or the peer was closed.
    pub async fn open_channel(&self, config: ChannelConfig) -> Result<DataChannel, PeerError> {
        let id = {
            let mut inner = self.shared().lock();
            let id = inner.core.open_channel(Instant::now(), config.clone())?;
            inner.open(id, config.clone());
            id
        };
        self.shared().wake.notify_one();
        let channel = DataChannel::new(Arc::clone(&self.handle), id, config);
        channel.opened().await?;
        Ok(channel)
    }

    /// Waits for a channel that the other side opens; `None` once the peer is closed.
    pub async fn accept_channel(&self) -> Option<DataChannel> {
        let accept = |context: &mut Context<'_>| self.shared().lock().poll_accept(context);
        let (id, config) = std::future::poll_fn(accept).await?;
        Some(DataChannel::new(Arc::clone(&self.handle), id, config))
    }

    /// Returns a picture of the peer.
    #[must_use]
    pub fn stats(&self) -> PeerStats {
        self.shared().lock().core.stats()
    }

    /// Returns how far the peer is.
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        self.shared().lock().core.state()
    }

    /// Ends the peer once everything written is sent, and waits for that.
    pub async fn close(&self) -> CloseReason {
        self.with(Core::close);
        self.closed().await
    }

    /// Waits until the peer is closed, and returns why.
    pub async fn closed(&self) -> CloseReason {
        std::future::poll_fn(|context| self.shared().lock().poll_closed(context)).await
    }

    fn shared(&self) -> &Shared {
        &self.handle.0
    }

    /// Calls the core, and has the task do what it wants done.
    fn with<R>(&self, call: impl FnOnce(&mut Core, Instant) -> R) -> R {
        let result = call(&mut self.shared().lock().core, Instant::now());
        self.shared().wake.notify_one();
        result
    }
}

/// The last one to go closes the peer.
#[derive(Debug)]
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().core.close(Instant::now());
        self.0.wake.notify_one();
    }
}

fn random() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    Ok(seed)
}

/// Returns the addresses that the system would send from: its default routes'.
fn default_addresses() -> Vec<IpAddr> {
    // Connecting a UDP socket asks for a route and sends nothing.
    let from = |bind: &str, to: &str| -> io::Result<IpAddr> {
        let socket = std::net::UdpSocket::bind(bind)?;
        socket.connect(to)?;
        Ok(socket.local_addr()?.ip())
    };
    [
        from("0.0.0.0:0", "192.0.2.1:9"),
        from("[::]:0", "[2001:db8::1]:9"),
    ]
    .into_iter()
    .flatten()
    .collect()
}
