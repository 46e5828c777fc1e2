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
//!
//! # Ways to the other side
//! Datagrams go directly where they can, over TCP where UDP is blocked (RFC 6544), and by the TURN
//! servers of [`PeerOptions::servers`] over UDP, TCP or TLS, through an HTTP or SOCKS proxy if
//! [`PeerOptions::network`] has one. Interfaces may come and go.
//!
//! A [`PeerEndpoint`] is one port for any number of peers; a peer that is given none has one of its
//! own. What is asked of the network is [`ice`](crate::ice)'s to say.

mod channel;
mod endpoint;
mod error;
mod inner;
mod options;
mod servers;

use std::io;
use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

pub use channel::DataChannel;
pub use endpoint::PeerEndpoint;
pub use error::{ChannelError, PeerError};
pub use inner::PeerEvent;
pub use jackfield_ice::{CandidatePolicy, SelectedPair};
pub use jackfield_peer::{
    Certificate, ChannelConfig, ChannelStats, CloseReason, ConnectionState, PeerStats,
    ReceivedMessage, Reliability,
};
pub use options::PeerOptions;
pub use servers::{RtcIceServer, resolve_servers};

use crate::ice::Session;
use inner::Inner;
use jackfield_ice::gather::RelaySockets;
use jackfield_peer::{Peer as PeerCore, PeerConfig};

/// One side of a connection, for tokio: what the web calls `RTCPeerConnection`.
///
/// Clones are the same peer. The peer is closed when the last handle of it and of its channels is
/// gone; what was written to its channels still arrives.
#[derive(Debug, Clone)]
pub struct Peer {
    handle: Arc<Handle>,
}

/// What happens to a peer, one after the other; see [`PeerEvent`].
///
/// Of events that nobody takes, the latest are lost: there is room for
/// [`EndpointLimits::events`](crate::ice::EndpointLimits::events).
#[derive(Debug)]
pub struct PeerEvents(Option<Arc<Session<Inner>>>);

impl PeerEvents {
    /// Waits for the next event; `None` after [`PeerEvent::Closed`].
    pub async fn next(&mut self) -> Option<PeerEvent> {
        let session = self.0.as_ref()?;
        let reason = tokio::select! {
            biased;
            Some(event) = session.event() => return Some(event),
            reason = closed(session) => reason,
        };
        // What has happened before the end was queued before it.
        if let Some(event) = session.try_event() {
            return Some(event);
        }
        self.0 = None;
        Some(PeerEvent::Closed(reason))
    }
}

impl Drop for PeerEvents {
    fn drop(&mut self) {
        if let Some(session) = &self.0 {
            session.ignore_events();
        }
    }
}

impl Peer {
    /// Starts a peer, on the endpoint of the options or on one of its own.
    ///
    /// # Errors
    /// What the operating system says about sockets or randomness, and that the endpoint has as
    /// many peers as allowed.
    ///
    /// # Panics
    /// Outside a tokio runtime, if it needs an endpoint of its own.
    pub fn new(options: PeerOptions) -> io::Result<(Self, PeerEvents)> {
        let endpoint = match options.endpoint {
            Some(endpoint) => endpoint,
            None => PeerEndpoint::bind(options.network)?,
        };
        let certificate = match options.certificate {
            Some(certificate) => certificate,
            None => Certificate::from_seed(random()?),
        };
        let mut config = PeerConfig::new(certificate);
        config.polite = options.polite;
        config.ice = options.ice;
        config.association.max_message_size = options.max_message_size;
        config.association.max_channels = options.max_channels;
        config.probe_path = options.probe_path;
        config.association.max_buffered = options.max_buffered;
        // ICE refuses the other side's loopback addresses, unless ours are of that kind, too.
        config.ice.remote.loopback |= endpoint.is_on_loopback();
        // A TURN server knows an allocation by the addresses of both ends, and peers share a port.
        config.ice.gather.relay_sockets = RelaySockets::Own;
        let servers = Arc::clone(&config.ice.gather.servers);
        let core = PeerCore::new(config, Instant::now(), random()?);
        let session = endpoint.open(Inner::new(core, options.max_received), servers)?;
        let session = Arc::new(session);
        let handle = Arc::new(Handle(Arc::clone(&session)));
        Ok((Self { handle }, PeerEvents(Some(session))))
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
        self.with(PeerCore::restart);
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
        let id = self.session().with(|inner, now| {
            let id = inner.core.open_channel(now, config.clone())?;
            inner.open(id, config.clone());
            Ok::<_, PeerError>(id)
        })?;
        let channel = DataChannel::new(Arc::clone(&self.handle), id, config);
        channel.opened().await?;
        Ok(channel)
    }

    /// Waits for a channel that the other side opens; `None` once the peer is closed.
    pub async fn accept_channel(&self) -> Option<DataChannel> {
        let accept =
            |context: &mut Context<'_>| self.session().look(|inner| inner.poll_accept(context));
        let (id, config) = std::future::poll_fn(accept).await?;
        Some(DataChannel::new(Arc::clone(&self.handle), id, config))
    }

    /// Returns a picture of the peer.
    #[must_use]
    pub fn stats(&self) -> PeerStats {
        self.session().look(|inner| inner.core.stats())
    }

    /// Returns how far the peer is.
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        self.session().look(|inner| inner.core.state())
    }

    /// Ends the peer once everything written is sent, and waits for that.
    pub async fn close(&self) -> CloseReason {
        self.with(PeerCore::close);
        self.closed().await
    }

    /// Waits until the peer is closed, and returns why.
    pub async fn closed(&self) -> CloseReason {
        closed(self.session()).await
    }

    fn session(&self) -> &Session<Inner> {
        &self.handle.0
    }

    fn with<R>(&self, call: impl FnOnce(&mut PeerCore, Instant) -> R) -> R {
        self.session().with(|inner, now| call(&mut inner.core, now))
    }
}

/// The last one to go closes the peer.
#[derive(Debug)]
struct Handle(Arc<Session<Inner>>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.with(|inner, now| inner.core.close(now));
        if self.0.look(|inner| inner.closed()).is_none() {
            // What was written still has to arrive.
            let session = Arc::clone(&self.0);
            self.0
                .runtime()
                .spawn(async move { closed(&session).await });
        }
    }
}

/// Waits until a peer is closed, and returns why.
async fn closed(session: &Session<Inner>) -> CloseReason {
    std::future::poll_fn(|context| session.look(|inner| inner.poll_closed(context))).await
}

fn random() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    Ok(seed)
}
