//! Gathering: what STUN and TURN servers have for us ([RFC 8445 §5.1.1.2]).
//!
//! A [`Gatherer`] is given local addresses and asks every server from each of them: STUN servers
//! for the address that they see, TURN servers for one that they relay. It keeps both alive, and
//! lets peers in by every allocation. An [`Agent`](crate::Agent) owns one; alone it is of use to a
//! program that wants the candidates and no more.
//!
//! ```
//! use std::time::Instant;
//! use jackfield_ice::gather::{GatherConfig, Gatherer, IceServer, Output};
//!
//! let now = Instant::now();
//! let servers = [IceServer::stun("198.51.100.1:3478".parse().unwrap())].into();
//! let config = GatherConfig { servers, ..GatherConfig::default() };
//! let mut gatherer = Gatherer::new(config, now, [42; 32]); // 32 random bytes
//! gatherer.add_socket(now, "192.168.1.2:50000".parse().unwrap());
//! let Output::Transmit(request) = gatherer.poll_output() else { panic!("no request") };
//! assert_eq!(request.path.remote, "198.51.100.1:3478".parse().unwrap());
//! ```
//!
//! # Silence holds nothing back
//! Each answer is an event at once. A server that stays silent delays [`Event::Complete`] alone, by
//! 3.75 s with the default retransmission, or 5 s over a stream; an address that cannot reach a
//! server by its kind (loopback, link-local, the other family) does not ask it.
//!
//! # Ways to a TURN server
//! Over UDP the allocation is made from the socket that checks are sent from, or from a new one
//! ([`RelaySockets`]); over TCP and TLS a driver opens the connection ([`Output::Connect`]). All
//! ways are tried at once and kept, so that one is left when the network stops passing another.
//! Where the servers' ports are scarce, [`GatherConfig::fallback`] has the slower ways tried later,
//! and not at all while a faster one works. Each allocation asks for an IPv4 and an IPv6 address
//! (RFC 8656, ADDITIONAL-ADDRESS-FAMILY).
//!
//! # Where we differ
//! - [RFC 8445 §14.3] allows no RTO below 500 ms. It is 250 ms here, as in libwebrtc: a server
//!   on the other side of the world answers in that time, and one lost packet costs half as much.
//! - A reflexive address stays a candidate if its server falls silent later: the NAT's binding is
//!   as good as before, and checks tell if it is not.
//!
//! [RFC 8445 §14.3]: https://www.rfc-editor.org/rfc/rfc8445#section-14.3
//! [RFC 8445 §5.1.1.2]: https://www.rfc-editor.org/rfc/rfc8445#section-5.1.1.2

mod allocate;
#[cfg(any(test, feature = "internals"))]
mod audit;
mod config;
mod counters;
mod output;
mod query;
mod reflexive;
mod relay;
mod server;

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use jackfield_sansio::{FiveTuple, PacketType, Transport};
use jackfield_stun::Message;
use jackfield_turn::client::{Outgoing, SendError};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

pub use config::{GatherConfig, GatherLimits, RelaySockets};
pub use counters::GatherCounters;
pub use output::{Event, GatheringError, Output};
pub use server::{IceServer, ServerKind};

use query::Query;
use relay::{Relay, RelayState};

/// What STUN and TURN servers have for one ICE agent.
///
/// Calls on network bytes return no errors: what is not understood is dropped and counted in
/// [`GatherCounters`].
pub struct Gatherer {
    config: GatherConfig,
    random: ChaCha12Rng,
    /// Sockets, and addresses without one, in the order in which they were added.
    bases: Vec<SocketAddr>,
    queries: Vec<Query>,
    relays: Vec<Relay>,
    /// Addresses that every allocation lets in, the oldest first.
    peers: VecDeque<IpAddr>,
    /// When the next transaction may start.
    next_start: Instant,
    /// Whether no more sockets are awaited for now.
    all_sockets: bool,
    is_complete: bool,
    is_closed: bool,
    next_connection: u32,
    outputs: VecDeque<Output>,
    counters: GatherCounters,
}

/// What a packet was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handled<'b> {
    /// Not from a server, or not for the gatherer.
    NotOurs,
    /// A message of a server.
    Consumed,
    /// What a peer sent to a relayed address.
    Data {
        /// The relayed address.
        relayed: SocketAddr,
        /// The peer.
        peer: SocketAddr,
        /// What, in the buffer that was given.
        data: &'b [u8],
    },
}

impl Gatherer {
    /// Returns a gatherer without local addresses.
    ///
    /// `seed` is for transaction ids: 32 random bytes, different for each gatherer. The same
    /// arguments and inputs give the same outputs.
    #[must_use]
    pub fn new(config: GatherConfig, now: Instant, seed: [u8; 32]) -> Self {
        Self {
            config,
            random: ChaCha12Rng::from_seed(seed),
            bases: Vec::new(),
            queries: Vec::new(),
            relays: Vec::new(),
            peers: VecDeque::new(),
            next_start: now,
            all_sockets: false,
            is_complete: false,
            is_closed: false,
            next_connection: u32::MAX,
            outputs: VecDeque::new(),
            counters: GatherCounters::default(),
        }
    }

    /// Asks every server from this UDP socket, an address of an interface and never a wildcard.
    pub fn add_socket(&mut self, now: Instant, local: SocketAddr) {
        self.add_base(now, local);
    }

    /// Asks TURN servers over TCP and TLS from an address without a UDP socket. What they relay has
    /// this address and port 0 as its base.
    ///
    /// An address that has a socket needs no mention: [`Gatherer::add_socket`] asks over every
    /// transport.
    pub fn add_address(&mut self, now: Instant, local: IpAddr) {
        self.add_base(now, without_socket(local));
    }

    fn add_base(&mut self, now: Instant, local: SocketAddr) {
        if self.is_closed || self.bases.contains(&local) {
            return;
        }
        if self.bases.len() >= self.config.limits.sockets {
            self.counters.ignored_sockets += 1;
            return;
        }
        self.bases.push(local);
        let has_socket = local != without_socket(local.ip());
        let servers = self.config.servers.clone();
        let count = self.config.limits.servers;
        self.counters.ignored_servers += servers.len().saturating_sub(count) as u64;
        for (index, server) in servers.iter().enumerate().take(count) {
            if !server::can_reach(local.ip(), server.address.ip())
                || !has_socket && !server.transport.is_stream()
            {
                continue;
            }
            if server.is_turn() {
                self.want_relay(now, local, index, server.transport);
            } else if self.config.reflexive && server.transport == Transport::Udp {
                self.queries.push(Query::new(local, index));
            }
        }
        self.advance(now);
    }

    /// Forgets a socket whose interface is gone, and what servers have for it.
    pub fn remove_socket(&mut self, now: Instant, local: SocketAddr) {
        self.remove_base(now, local);
    }

    /// Forgets an address of [`Gatherer::add_address`] that is gone, and what servers have for it.
    pub fn remove_address(&mut self, now: Instant, local: IpAddr) {
        self.remove_base(now, without_socket(local));
    }

    fn remove_base(&mut self, now: Instant, local: SocketAddr) {
        self.bases.retain(|base| *base != local);
        self.forget_queries(local);
        self.forget_relays(|relay| relay.base == local);
        self.advance(now);
    }

    /// Notes that all sockets are known for now, so that [`Event::Complete`] can come.
    pub fn end_of_sockets(&mut self, now: Instant) {
        self.all_sockets = true;
        self.advance(now);
    }

    /// Asks every server once more, for an ICE restart: a NAT on the way may have forgotten what it
    /// knew. What they have given stays and is not said again, unless they say otherwise.
    pub fn restart(&mut self, now: Instant) {
        if self.is_closed {
            return;
        }
        self.is_complete = false;
        self.ask_again();
        self.renew_relays(now);
        self.advance(now);
    }

    /// Gives all allocations back, and forgets all sockets; there are no more events.
    ///
    /// A driver in haste takes the outputs once and goes. One that feeds answers and time until
    /// [`Gatherer::has_ended`] knows that the servers have heard.
    pub fn close(&mut self, now: Instant) {
        self.is_closed = true;
        self.bases.clear();
        self.queries.clear();
        self.peers.clear();
        self.release_relays(now);
    }

    /// Returns whether it was closed and every server knows, or was given up.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let is_active = |relay: &Relay| matches!(relay.state, RelayState::Active(..));
        self.is_closed && !self.relays.iter().any(is_active)
    }

    /// Lets packets of a peer's address pass through every allocation of its family, those to come
    /// included, and keeps it so.
    ///
    /// The earlier it is asked for, the earlier a relay works: the server has to be asked.
    pub fn permit(&mut self, now: Instant, peer: IpAddr) {
        if self.is_closed || self.peers.contains(&peer) {
            return;
        }
        if self.peers.len() >= self.config.limits.peers
            && let Some(oldest) = self.peers.front().copied()
        {
            self.counters.displaced_peers += 1;
            self.forget(oldest);
        }
        self.peers.push_back(peer);
        self.permit_by_relays(now, peer);
        self.advance(now);
    }

    /// Stops keeping a peer's address let in.
    pub fn forget(&mut self, peer: IpAddr) {
        self.peers.retain(|known| *known != peer);
        for relay in &mut self.relays {
            if let RelayState::Active(client, _) = &mut relay.state {
                client.forget(peer);
            }
        }
    }

    /// Takes a packet that came along `path`: a datagram, or a message of a stream to a server as
    /// `jackfield_stun::framing` cuts it.
    pub fn handle_datagram<'b>(
        &mut self,
        now: Instant,
        path: FiveTuple,
        bytes: &'b [u8],
    ) -> Handled<'b> {
        // Queries come first: an allocation from the same socket on the same server has the same
        // path, and its client drops an answer that is not its own.
        let may_answer = path.transport == Transport::Udp
            && !self.queries.is_empty()
            && PacketType::of(bytes) == PacketType::Stun;
        if may_answer
            && let Ok(message) = Message::parse(bytes)
            && self.handle_answer(now, path, &message)
        {
            self.advance(now);
            return Handled::Consumed;
        }
        let is_of_path = |relay: &Relay| relay.path() == Some(path);
        match self.relays.iter().position(is_of_path) {
            Some(index) => self.handle_relay(now, index, bytes),
            None => Handled::NotOurs,
        }
    }

    /// Takes the connection of [`Output::Connect`]; returns whether it is one of this gatherer.
    pub fn handle_connected(&mut self, now: Instant, id: u32, path: FiveTuple) -> bool {
        let is_ours = self.relay_connected(now, id, path);
        self.advance(now);
        is_ours
    }

    /// Notes that a connection of [`Output::Connect`] could not be made; returns whether it is one
    /// of this gatherer.
    pub fn handle_connect_failed(&mut self, now: Instant, id: u32) -> bool {
        let is_ours = self.relay_unconnected(now, id);
        self.advance(now);
        is_ours
    }

    /// Takes the end of a connection to a server; returns whether it is one of this gatherer.
    pub fn handle_closed(&mut self, now: Instant, path: FiveTuple) -> bool {
        let is_ours = self.relay_closed(now, path);
        self.advance(now);
        is_ours
    }

    /// Notes that the system can send nothing along a path (no route, host or network unreachable):
    /// its server is given up at once.
    pub fn handle_unreachable(&mut self, now: Instant, path: FiveTuple) {
        self.queries_unreachable(path);
        self.relay_unreachable(now, path);
        self.advance(now);
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.queries_due(now);
        self.relays_due(now);
        self.advance(now);
    }

    /// Sends `payload` to `peer` from a relayed address: what is returned goes along the path as
    /// one message.
    ///
    /// `Ok(None)` says that it waits inside until the server lets the peer in.
    ///
    /// # Errors
    /// When it cannot be sent; see [`SendError`].
    pub fn send<'b>(
        &mut self,
        now: Instant,
        relayed: SocketAddr,
        peer: SocketAddr,
        payload: &'b [u8],
    ) -> Result<Option<(FiveTuple, Outgoing<'b>)>, SendError> {
        let relay = self.relays.iter_mut().find(|relay| relay.relays(relayed));
        let Some(RelayState::Active(client, _)) = relay.map(|relay| &mut relay.state) else {
            return Err(SendError::NotAllocated);
        };
        let path = client.path();
        if client
            .refusal(peer.ip())
            .is_some_and(|why| why.is_passing())
        {
            client.permit(now, peer.ip())?;
        }
        let outgoing = client.send(now, peer, payload)?;
        if outgoing.is_none() {
            // The server is asked to let the peer in, which makes outputs.
            self.drain_relays(now);
        }
        Ok(outgoing.map(|outgoing| (path, outgoing)))
    }

    /// Asks for a channel from a relayed address to a peer, which saves 32 bytes a packet from then
    /// on: for the pair that data takes.
    pub fn bind_channel(&mut self, now: Instant, relayed: SocketAddr, peer: SocketAddr) {
        let relay = self.relays.iter_mut().find(|relay| relay.relays(relayed));
        if let Some(RelayState::Active(client, _)) = relay.map(|relay| &mut relay.state) {
            if client.bind_channel(now, peer).is_err() {
                self.counters.refused_channels += 1;
            }
            self.drain_relays(now);
        }
    }

    /// Asks the server of a relayed address whether it is still there, if it is reached by a
    /// stream: nothing comes by the address any more.
    ///
    /// A stream whose other end has vanished looks like one that has nothing to say. One that
    /// leaves the question unanswered for [`GatherConfig::connect_timeout`] gets another one beside
    /// it, which takes its place. By UDP a server that does not answer is the end of its
    /// allocation, and a network that was away for some seconds would cost the relay.
    pub fn ask_after(&mut self, now: Instant, relayed: SocketAddr) {
        let relay = self.relays.iter_mut().find(|relay| relay.relays(relayed));
        if let Some(RelayState::Active(client, _)) = relay.map(|relay| &mut relay.state)
            && client.path().transport.is_stream()
            && !client.awaits_answer()
        {
            client.refresh_now(now);
            self.drain_relays(now);
        }
    }

    /// Returns the next thing to do; call it until it returns [`Output::Wait`].
    #[must_use]
    pub fn poll_output(&mut self) -> Output {
        match self.outputs.pop_front() {
            Some(output) => output,
            None => Output::Wait(self.deadline()),
        }
    }

    /// Returns the path to the server of a relayed address.
    #[must_use]
    pub fn path(&self, relayed: SocketAddr) -> Option<FiveTuple> {
        let relay = self.relays.iter().find(|relay| relay.relays(relayed));
        relay.and_then(Relay::path)
    }

    /// Returns whether every server has answered or was given up.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Returns the counters.
    #[must_use]
    pub fn counters(&self) -> &GatherCounters {
        &self.counters
    }

    /// Gives back memory that was of use while servers were asked.
    pub(crate) fn shrink(&mut self) {
        self.bases.shrink_to_fit();
        self.queries.shrink_to_fit();
        self.relays.shrink_to_fit();
        self.peers.shrink_to_fit();
        self.outputs.shrink_to_fit();
    }

    /// Starts what may start by now, and says when all is done.
    fn advance(&mut self, now: Instant) {
        if self.is_closed {
            return;
        }
        self.release_held(now);
        while self.next_start <= now && self.start_one(now) {
            self.next_start = now + self.config.pacing;
        }
        let is_pending = self.queries.iter().any(Query::is_pending)
            || self.relays.iter().any(Relay::is_pending)
            || self.has_held();
        if self.all_sockets && !self.is_complete && !is_pending {
            self.is_complete = true;
            self.event(Event::Complete);
        }
    }

    /// Starts a transaction that waits for its turn; returns whether there was one.
    ///
    /// Each kind of server comes before more of the same kind: queries and allocations take turns,
    /// so that many STUN servers do not hold back a relay.
    fn start_one(&mut self, now: Instant) -> bool {
        let relays_first = self.counters.starts % 2 == 1;
        let started = match relays_first {
            true => self.start_relay(now) || self.start_query(now),
            false => self.start_query(now) || self.start_relay(now),
        };
        self.counters.starts += u64::from(started);
        started
    }

    fn deadline(&self) -> Option<Instant> {
        let queries = self.queries.iter().filter_map(Query::deadline);
        let relays = self.relays.iter().filter_map(Relay::deadline);
        let start = self.has_waiting().then_some(self.next_start);
        queries.chain(relays).chain(start).min()
    }

    fn has_waiting(&self) -> bool {
        let is_waiting = |relay: &Relay| matches!(relay.state, RelayState::Waiting);
        self.queries.iter().any(Query::is_waiting) || self.relays.iter().any(is_waiting)
    }

    fn event(&mut self, event: Event) {
        if self.is_closed {
            return;
        }
        tracing::debug!(?event, "Gathering");
        self.outputs.push_back(Output::Event(event));
    }

    /// Says that a server gave nothing.
    fn error(&mut self, local: SocketAddr, server: usize, code: Option<u16>, text: String) {
        let url = self.config.servers.get(server).map(IceServer::to_string);
        self.event(Event::Error(GatheringError {
            local,
            server,
            url: url.unwrap_or_default(),
            code: code.unwrap_or(NO_ANSWER),
            text,
        }));
    }

    fn random_bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill_bytes(&mut bytes);
        bytes
    }
}

impl fmt::Debug for Gatherer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gatherer")
            .field("bases", &self.bases)
            .field("is_complete", &self.is_complete)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// Returns what stands for an address without a UDP socket where a socket's address would stand.
fn without_socket(local: IpAddr) -> SocketAddr {
    SocketAddr::new(local, 0)
}

/// W3C's code for a server that cannot be reached.
const NO_ANSWER: u16 = 701;
