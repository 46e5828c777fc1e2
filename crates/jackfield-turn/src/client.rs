//! A TURN client ([RFC 8656]) without sockets: one allocation on one server, and what keeps it
//! alive.
//!
//! A [`Client`] asks for its allocation when it is made, and refreshes it, its permissions and its
//! channels ahead of their time. Data for a peer comes back from [`Client::send`] borrowed; before
//! the server has let the peer in it waits inside.
//!
//! ```
//! use std::time::Instant;
//! use jackfield_sansio::{FiveTuple, Transport};
//! use jackfield_turn::client::{Client, ClientConfig, Credential, Output};
//!
//! let path = FiveTuple {
//!     transport: Transport::Udp,
//!     local: "192.0.2.5:4000".parse().unwrap(),
//!     remote: "198.51.100.1:3478".parse().unwrap(), // the server
//! };
//! let config = ClientConfig::new(Credential::new("alice", "secret").unwrap());
//! let now = Instant::now();
//! let mut client = Client::new(config, now, path, [42; 32]);
//! let Output::Transmit(allocate) = client.poll_output() else { panic!("no request") };
//! assert_eq!(allocate.path, path);
//! // It is sent again if no answer comes in time.
//! let Output::Wait(Some(again)) = client.poll_output() else { panic!("no deadline") };
//! client.handle_timeout(again);
//! assert_eq!(client.poll_output(), Output::Transmit(allocate));
//! ```
//!
//! A driver feeds it what the server sends ([`Client::handle_server`]), tells it the time, and does
//! what [`Client::poll_output`] says until [`Output::Wait`].
//!
//! # Where we differ
//! - [RFC 8489 §6.3.4] wants a request that met an error of the 500s to be sent again four times at
//!   most. A refresh is sent again every five seconds until its allocation, permission or channel
//!   ends: twelve times with the usual lifetimes.
//! - [RFC 8489 §14.8] wants a 300 response to be signed. One that answers our first, unsigned
//!   request is followed without: coturn redirects before it asks for a credential, as §10 lets it.
//!   With TLS the certificate still has to fit.
//! - [RFC 8489 §6.2] asks for at most ten requests under way. There is one for each peer that the
//!   caller asks for, because the caller (an ICE agent) paces itself.
//! - [RFC 8656 §12.3] recommends a new allocation when a ChannelBind request meets an unexpected
//!   400. The peer is reached by Send indications then: a call would break for want of a channel.
//! - [RFC 8656 §12.6] recommends to check a permission before data of a channel is taken; a channel
//!   that was asked for is enough, as its data may come before the answer.
//! - [RFC 8656 §11.6]: a Data indication with an ICMP attribute is dropped.
//! - [RFC 8656 §5] wants SOFTWARE in Allocate and Refresh requests; there is none unless
//!   [`ClientConfig::software`] says so, because every hop on the path can read it.
//! - A server that sees an allocation of another client on our address (437) or that names another
//!   server (300) is followed by [`Output::Connect`], three times by default
//!   ([`ClientLimits::reconnects`]).
//!
//! [RFC 8489 §6.2]: https://www.rfc-editor.org/rfc/rfc8489#section-6.2
//! [RFC 8489 §6.3.4]: https://www.rfc-editor.org/rfc/rfc8489#section-6.3.4
//! [RFC 8489 §14.8]: https://www.rfc-editor.org/rfc/rfc8489#section-14.8
//! [RFC 8656 §5]: https://www.rfc-editor.org/rfc/rfc8656#section-5
//! [RFC 8656 §11.6]: https://www.rfc-editor.org/rfc/rfc8656#section-11.6
//! [RFC 8656 §12.3]: https://www.rfc-editor.org/rfc/rfc8656#section-12.3
//! [RFC 8656 §12.6]: https://www.rfc-editor.org/rfc/rfc8656#section-12.6
//! [RFC 8656]: https://www.rfc-editor.org/rfc/rfc8656

mod allocation;
mod channel;
mod config;
mod counters;
mod credential;
mod data;
mod failure;
mod output;
mod permission;
mod request;

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_sansio::{FiveTuple, PacketType, Timers};
use jackfield_stun::{MessageWriter, Method, TransactionId};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

pub use config::{ClientConfig, ClientLimits};
pub use counters::ClientCounters;
pub use credential::{Credential, CredentialError};
pub use data::{Outgoing, Received, SendError};
pub use failure::{Failure, Fault};
pub use output::{Event, Output};

use allocation::State;
use channel::Channels;
use credential::Challenge;
use data::SendQueue;
use permission::Permissions;
use request::Requests;

use crate::ChannelNumber;

/// One allocation on one server, from the client's side.
///
/// Calls on network bytes return no errors: what is not understood or not trusted is dropped and
/// counted in [`ClientCounters`].
pub struct Client {
    config: ClientConfig,
    path: FiveTuple,
    state: State,
    /// What the server asks of requests, once it has.
    challenge: Option<Challenge>,
    requests: Requests,
    permissions: Permissions,
    channels: Channels,
    /// Data for peers that the server has not let in yet.
    waiting: SendQueue,
    /// The servers asked so far, so that none sends us in circles.
    visited: Vec<SocketAddr>,
    /// How often a driver was asked for another connection.
    reconnects: usize,
    timers: Timers<Timer>,
    /// When something was last given out to be sent.
    last_sent: Instant,
    random: ChaCha12Rng,
    outputs: VecDeque<Output>,
    counters: ClientCounters,
}

/// What a deadline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// A request is to be sent again, or given up.
    Request(TransactionId),
    /// The allocation needs a refresh.
    Refresh,
    /// The allocation's time is over.
    Expiry,
    /// A permission needs a refresh.
    Permission(IpAddr),
    /// A channel needs a refresh.
    Channel(ChannelNumber),
    /// NATs on the path may forget us.
    Keepalive,
}

impl Client {
    /// Starts a client on a path whose remote end is the server; the first output is an Allocate
    /// request.
    ///
    /// `seed` is for transaction ids: 32 random bytes, different for each client. The same
    /// arguments and inputs give the same outputs.
    #[must_use]
    pub fn new(config: ClientConfig, now: Instant, path: FiveTuple, seed: [u8; 32]) -> Self {
        let mut client = Self {
            path,
            state: State::Allocating,
            challenge: None,
            requests: Requests::default(),
            permissions: Permissions::default(),
            channels: Channels::default(),
            waiting: SendQueue::default(),
            visited: vec![path.remote],
            reconnects: 0,
            timers: Timers::new(),
            last_sent: now,
            random: ChaCha12Rng::from_seed(seed),
            outputs: VecDeque::new(),
            counters: ClientCounters::default(),
            config,
        };
        client.allocate(now);
        client
    }

    /// Takes what the server sent: one datagram, or one message of a stream as
    /// `jackfield_stun::framing` cuts it.
    ///
    /// What a peer sent comes straight back, borrowed. Only bytes from [`Client::path`]'s remote
    /// end may be given.
    pub fn handle_server<'b>(&mut self, now: Instant, bytes: &'b [u8]) -> Option<Received<'b>> {
        if self.has_ended() {
            return None;
        }
        match PacketType::of(bytes) {
            PacketType::TurnChannel | PacketType::QuicShort => self.channel_data(now, bytes),
            PacketType::Stun => self.stun(now, bytes),
            _ => {
                self.counters.malformed += 1;
                None
            }
        }
    }

    /// Does what is due by `now`: sends again, refreshes, gives up.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(due) = self.timers.expire(now) {
            match due {
                Timer::Request(id) => self.request_due(now, id),
                Timer::Refresh => self.refresh(now),
                Timer::Expiry => self.fail(Failure::Expired),
                Timer::Permission(peer) => self.refresh_permission(now, peer),
                Timer::Channel(number) => self.refresh_channel(now, number),
                Timer::Keepalive => self.keep_alive(now),
            }
        }
    }

    /// Takes the answer to [`Output::Connect`]: the path of the new connection.
    pub fn handle_connected(&mut self, now: Instant, path: FiveTuple) {
        if self.state == State::Connecting {
            self.path = path;
            self.state = State::Allocating;
            self.allocate(now);
        }
    }

    /// Takes the end of the connection to the server, or that one could not be made.
    pub fn handle_closed(&mut self, now: Instant) {
        let _ = now;
        match self.state {
            State::Closing => self.end(Event::Closed),
            _ => self.fail(Failure::Disconnected),
        }
    }

    /// Returns the next thing to do; call it until it returns [`Output::Wait`].
    #[must_use]
    pub fn poll_output(&mut self) -> Output {
        match self.outputs.pop_front() {
            Some(output) => output,
            None => Output::Wait(self.timers.next()),
        }
    }

    /// Returns the path to the server.
    #[must_use]
    pub fn path(&self) -> FiveTuple {
        self.path
    }

    /// Returns the counters.
    #[must_use]
    pub fn counters(&self) -> &ClientCounters {
        &self.counters
    }

    /// Returns whether a request waits for its answer.
    #[must_use]
    pub fn awaits_answer(&self) -> bool {
        !self.requests.is_empty()
    }

    /// Returns whether the last event, [`Event::Closed`] or [`Event::Failed`], was given.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Checks that nothing inside has grown past its limit, and that nothing is left after the end.
    #[cfg(any(test, feature = "internals"))]
    #[doc(hidden)]
    pub fn check(&self) {
        let limits = &self.config.limits;
        let (packets, bytes) = self.waiting.size();
        let peers = self.permissions.len();
        assert!(packets <= limits.waiting_packets && bytes <= limits.waiting_bytes);
        assert!(peers <= limits.peers);
        // Allocate or Refresh, and for each peer a permission and its channels.
        assert!(self.requests.len() <= 1 + peers + self.channels.len());
        assert!(self.reconnects <= limits.reconnects);
        if self.has_ended() {
            let nothing = (0, 0, None);
            assert_eq!((packets, self.requests.len(), self.timers.next()), nothing);
        }
    }

    /// Ends with a failure, unless it has ended.
    fn fail(&mut self, why: Failure) {
        self.end(Event::Failed(why));
    }

    fn end(&mut self, event: Event) {
        if self.has_ended() {
            return;
        }
        tracing::debug!(path = %self.path, ?event, "Allocation ended");
        self.forget_all();
        self.state = State::Ended;
        self.outputs.push_back(Output::Event(event));
    }

    /// Forgets everything that belongs to an allocation.
    fn forget_all(&mut self) {
        self.requests = Requests::default();
        self.permissions = Permissions::default();
        self.channels = Channels::default();
        self.counters.dropped_waiting += self.waiting.clear();
        self.timers = Timers::new();
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Returns a transaction id that an attacker cannot guess.
    fn new_transaction(&mut self) -> TransactionId {
        let mut id = [0; 12];
        self.random.fill_bytes(&mut id);
        TransactionId::new(id)
    }

    /// Returns how long nothing may be sent, where that matters: at least a second, at most a day.
    fn keepalive(&self) -> Option<Duration> {
        let pause = self.config.keepalive?;
        let (least, most) = (Duration::from_secs(1), Duration::from_secs(86_400));
        (!self.path.transport.is_stream()).then(|| pause.clamp(least, most))
    }

    /// Sends a Binding indication if nothing else was sent for a while.
    fn keep_alive(&mut self, now: Instant) {
        let Some(pause) = self.keepalive() else {
            return;
        };
        let due = self.last_sent + pause;
        if due > now {
            self.timers.set(Timer::Keepalive, due);
            return;
        }
        let id = self.new_transaction();
        let mut bytes = Vec::with_capacity(20);
        let class = jackfield_stun::Class::Indication;
        let writer = MessageWriter::new(&mut bytes, class, Method::BINDING, id);
        if writer.finish().is_ok() {
            self.counters.keepalives += 1;
            self.transmit(now, bytes);
        }
        self.timers.set(Timer::Keepalive, now + pause);
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("path", &self.path)
            .field("state", &self.state)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
