//! The client: finds out what a gateway speaks, has ports mapped, and keeps them mapped.
//!
//! A [`Client`] asks in all three dialects at once and uses the best that answers: PCP, then NAT-PMP, then UPnP. It asks
//! again at half of a mapping's lifetime, at once when the gateway shows that it has forgotten everything
//! ([RFC 6887 §8.5](https://www.rfc-editor.org/rfc/rfc6887#section-8.5)), and in the next dialect when it is refused.

mod entry;
mod epoch;
mod find;
mod map;
mod nat_pmp;
mod pcp;
mod upnp;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_sansio::Timers;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

pub use entry::{Lease, MapError, MapId, MapRequest};
pub use find::{AbsenceReason, Support};
pub use upnp::{FetchId, is_whole};

use entry::Entry;
use epoch::Epoch;
use find::DialectState;
use upnp::Device;

use super::pcp::Nonce;
use super::{Dialect, Dialects, SERVER_PORT};

/// Whom a client asks, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// The gateway.
    pub gateway: IpAddr,
    /// The address of ours that the gateway sees; PCP refuses another one.
    pub local: IpAddr,
    /// Which dialects to try.
    pub dialects: Dialects,
    /// A UDP port of ours that may be mapped for a moment to learn the outside address, where the dialect has no question
    /// for it ([RFC 6887 §11.6](https://www.rfc-editor.org/rfc/rfc6887#section-11.6)). The RFC's example, port 9, is one
    /// that many gateways refuse, some of them after having tried every other one.
    pub learn_external: Option<u16>,
    /// How often a question is asked before silence counts as an answer.
    pub attempts: u32,
    /// How long the first answer may take; it doubles with each attempt.
    pub first_pause: Duration,
    /// After how long what was refused is asked for again.
    pub retry: Duration,
    /// How many mappings there may be.
    pub mappings: usize,
}

impl ClientConfig {
    /// Returns what to ask a gateway, with defaults for the rest.
    #[must_use]
    pub fn new(gateway: IpAddr, local: IpAddr) -> Self {
        Self {
            gateway,
            local,
            dialects: Dialects::ALL,
            learn_external: None,
            attempts: 3,
            first_pause: Duration::from_millis(250),
            retry: Duration::from_secs(60),
            mappings: 64,
        }
    }
}

/// What a driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a datagram from the socket whose datagrams go to [`Client::handle_datagram`].
    Transmit {
        /// Where to.
        to: SocketAddr,
        /// What.
        bytes: Vec<u8>,
    },
    /// Send a datagram from the socket whose datagrams go to [`Client::handle_ssdp`]; the destination may be a
    /// group.
    Search {
        /// Where to.
        to: SocketAddr,
        /// What.
        bytes: Vec<u8>,
    },
    /// Connect by TCP, send this, and give all that comes back to [`Client::handle_response`], within a few seconds.
    Fetch {
        /// What to give it back under.
        id: FetchId,
        /// Where to.
        to: SocketAddr,
        /// What to send.
        request: Vec<u8>,
    },
    /// Something happened.
    Event(Event),
    /// Nothing until then, or until something comes in; always the last of a drain.
    Wait(Option<Instant>),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It is known whether the gateway speaks a dialect, and what it told.
    Probed(Dialect, Support),
    /// A port is mapped, or mapped elsewhere from now on.
    Mapped(MapId, Lease),
    /// A mapping lives on.
    Renewed(MapId, Lease),
    /// A port cannot be mapped at present; it is tried again later.
    Failed(MapId, MapError),
    /// A mapping has ended although it should not have; it is asked for again.
    Lost(MapId),
    /// A mapping was ended on request; the flag says whether the gateway has confirmed it.
    Unmapped(MapId, bool),
    /// The gateway has forgotten everything that it knew in a dialect.
    GatewayRestarted(Dialect),
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timeout {
    Find(Dialect),
    Map(MapId),
    Expire(MapId),
}

/// Maps ports at one gateway; see the [module](self).
#[derive(Debug, Clone)]
pub struct Client {
    config: ClientConfig,
    services: BTreeMap<Dialect, DialectState>,
    epochs: BTreeMap<Dialect, Epoch>,
    entries: BTreeMap<MapId, Entry>,
    next_id: u64,
    timers: Timers<Timeout>,
    /// The gateway as UPnP shows it.
    device: Device,
    outputs: VecDeque<Output>,
    /// The nonce of the mapping that only serves to learn the outside address.
    learning: Nonce,
    rng: ChaCha8Rng,
}

impl Client {
    /// Returns a client that begins to ask at once.
    ///
    /// The seed decides nonces; keep it secret.
    #[must_use]
    pub fn new(now: Instant, config: ClientConfig, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed);
        let mut client = Self {
            services: BTreeMap::new(),
            epochs: BTreeMap::new(),
            entries: BTreeMap::new(),
            next_id: 0,
            timers: Timers::new(),
            device: Device::default(),
            outputs: VecDeque::new(),
            learning: nonce(&mut rng),
            rng,
            config,
        };
        client.probe_all(now);
        client.handle_timeout(now);
        client
    }

    /// Asks for a mapping, and for its renewal until [`Client::unmap`]; `None` when there are as many as there may be.
    pub fn map(&mut self, now: Instant, request: MapRequest) -> Option<MapId> {
        if self.entries.len() >= self.config.mappings {
            return None;
        }
        let id = MapId(self.next_id);
        self.next_id += 1;
        let entry = Entry::new(request, nonce(&mut self.rng));
        self.entries.insert(id, entry);
        self.assign_dialects(now);
        Some(id)
    }

    /// Ends a mapping; [`Event::Unmapped`] tells when it has ended.
    pub fn unmap(&mut self, now: Instant, id: MapId) {
        self.begin_to_unmap(now, id);
    }

    /// Ends every mapping.
    pub fn unmap_all(&mut self, now: Instant) {
        let all: Vec<MapId> = self.entries.keys().copied().collect();
        for id in all {
            self.begin_to_unmap(now, id);
        }
    }

    /// Returns how many mappings there are, those that are being ended included.
    #[must_use]
    pub fn mappings(&self) -> usize {
        self.entries.len()
    }

    /// Returns the address of the gateway's server port: nobody else's datagrams mean anything.
    #[must_use]
    pub fn server(&self) -> SocketAddr {
        SocketAddr::new(self.config.gateway, SERVER_PORT)
    }

    /// Takes a datagram that came to the socket that asks, or to the one that hears announcements
    /// ([`super::ANNOUNCE_PORT`] of 224.0.0.1 or ff02::1).
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        if from == self.server() {
            match bytes.first() {
                Some(0) => self.handle_nat_pmp(now, bytes),
                _ => self.handle_pcp(now, bytes),
            }
        }
    }

    /// Takes note that nothing listens at the gateway's server port, as an ICMP error says.
    pub fn handle_unreachable(&mut self, now: Instant) {
        for dialect in [Dialect::Pcp, Dialect::NatPmp] {
            if self.is_probing(dialect) {
                self.conclude(now, dialect, Support::Absent(AbsenceReason::Unreachable));
            }
        }
    }

    /// Does what is due: asks again, gives up, renews.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(due) = self.timers.expire(now) {
            match due {
                Timeout::Find(dialect) => self.probe(now, dialect),
                Timeout::Map(id) => self.map_due(now, id),
                Timeout::Expire(id) => self.expired(now, id),
            }
        }
    }

    /// Takes the next thing to do; drain it until [`Output::Wait`] after every other call.
    #[must_use]
    pub fn poll_output(&mut self) -> Output {
        let next = self.timers.next();
        self.outputs.pop_front().unwrap_or(Output::Wait(next))
    }

    fn transmit(&mut self, bytes: Vec<u8>) {
        let to = self.server();
        self.outputs.push_back(Output::Transmit { to, bytes });
    }

    fn emit(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Returns how long to wait for the answer to an attempt, counted from one.
    fn pause(&self, attempt: u32) -> Duration {
        self.config.first_pause * (1 << (attempt.saturating_sub(1)).min(10))
    }
}

fn nonce(rng: &mut ChaCha8Rng) -> Nonce {
    let mut nonce = [0; 12];
    rng.fill_bytes(&mut nonce);
    Nonce(nonce)
}
