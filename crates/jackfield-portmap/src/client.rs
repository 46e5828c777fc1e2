//! The client: finds out which protocols a gateway supports, requests mappings, and keeps them
//! alive.
//!
//! A [`Client`] asks in all three protocols at once and uses the best that answers: PCP, then
//! NAT-PMP, then UPnP. It renews a mapping at half of its lifetime, requests all mappings again as
//! soon as the gateway shows that it has lost its state
//! ([RFC 6887 §8.5](https://www.rfc-editor.org/rfc/rfc6887#section-8.5)), and tries the next
//! protocol when one refuses.

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

/// The configuration of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// The gateway.
    pub gateway: IpAddr,
    /// The local address that the gateway sees; PCP refuses a request that states another one.
    pub local: IpAddr,
    /// The protocols to try.
    pub dialects: Dialects,
    /// A local UDP port that may be mapped for a moment to learn the outside address, if the
    /// protocol has no request for the address
    /// ([RFC 6887 §11.6](https://www.rfc-editor.org/rfc/rfc6887#section-11.6)). The example of the
    /// RFC is port 9, which many gateways refuse, some of them after they have tried every other
    /// port.
    pub learn_external: Option<u16>,
    /// How often a request is sent before the gateway counts as silent.
    pub attempts: u32,
    /// How long the client waits for the first answer; the time doubles with each attempt.
    pub first_pause: Duration,
    /// How long after a refusal a mapping is requested again.
    pub retry: Duration,
    /// The limit of mappings.
    pub mappings: usize,
}

impl ClientConfig {
    /// Returns a configuration for a gateway, with defaults for the rest.
    #[must_use]
    pub fn new(gateway: IpAddr, local: IpAddr) -> Self {
        Self {
            gateway,
            local,
            dialects: Dialects::ALL,
            learn_external: None,
            // RFC 6886 §3.1 makes nine attempts, in two minutes. The gateway is one hop away and a
            // program waits for the mapping, so silence counts much earlier.
            attempts: 3,
            // RFC 6886 §3.1; PCP would wait three seconds (RFC 6887 §8.1.1).
            first_pause: Duration::from_millis(250),
            retry: Duration::from_secs(60),
            mappings: 64,
        }
    }
}

/// What a driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a datagram from the socket whose received datagrams go to [`Client::handle_datagram`].
    Transmit {
        /// Where to.
        to: SocketAddr,
        /// What.
        bytes: Vec<u8>,
    },
    /// Send a datagram from the socket whose received datagrams go to [`Client::handle_ssdp`]; the
    /// destination may be a multicast group.
    Search {
        /// Where to.
        to: SocketAddr,
        /// What.
        bytes: Vec<u8>,
    },
    /// Connect by TCP, send the request, and pass everything that comes back to
    /// [`Client::handle_response`], within a few seconds.
    Fetch {
        /// The identifier for [`Client::handle_response`].
        id: FetchId,
        /// Where to.
        to: SocketAddr,
        /// What to send.
        request: Vec<u8>,
    },
    /// Report an event.
    Event(Event),
    /// Wait until this time, or until input arrives. This is always the last output of a drain.
    Wait(Option<Instant>),
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Whether the gateway supports a protocol is known.
    Probed(Dialect, Support),
    /// A port is mapped, or its mapping has moved to another outside endpoint.
    Mapped(MapId, Lease),
    /// A mapping was renewed.
    Renewed(MapId, Lease),
    /// A port cannot be mapped at present; the client tries again later.
    Failed(MapId, MapError),
    /// A mapping was lost before its end; the client requests it again.
    Lost(MapId),
    /// A mapping was ended on request. The flag says whether the gateway has confirmed it.
    Unmapped(MapId, bool),
    /// The gateway has lost its state in a protocol.
    GatewayRestarted(Dialect),
}

/// The timers of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timeout {
    Find(Dialect),
    Map(MapId),
    Expire(MapId),
}

/// A port mapping client for one gateway; see the [module](self).
#[derive(Debug, Clone)]
pub struct Client {
    config: ClientConfig,
    services: BTreeMap<Dialect, DialectState>,
    epochs: BTreeMap<Dialect, Epoch>,
    entries: BTreeMap<MapId, Entry>,
    next_id: u64,
    timers: Timers<Timeout>,
    /// What is known of the UPnP device.
    device: Device,
    outputs: VecDeque<Output>,
    /// The nonce of the mapping that is made only to learn the outside address.
    learning: Nonce,
    rng: ChaCha8Rng,
}

impl Client {
    /// Creates a client, which begins at once.
    ///
    /// The seed determines the nonces. Keep it secret: who knows a nonce can change the mapping.
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
        // All protocols are asked at once: one after the other, silence in the first would delay
        // the rest.
        client.probe_all(now);
        client.handle_timeout(now);
        client
    }

    /// Requests a mapping and its renewal until [`Client::unmap`]. Returns `None` when the limit
    /// of mappings is reached.
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

    /// Ends a mapping; [`Event::Unmapped`] follows when it has ended.
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

    /// Returns the address of the server port of the gateway. Datagrams from other addresses are
    /// ignored.
    #[must_use]
    pub fn server(&self) -> SocketAddr {
        SocketAddr::new(self.config.gateway, SERVER_PORT)
    }

    /// Takes a datagram that came to the request socket or to the announcement socket
    /// ([`super::ANNOUNCE_PORT`] of 224.0.0.1 or ff02::1).
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        // Anyone on the link can send here, so answers from other addresses are dropped (RFC 6886
        // §3.3, RFC 6887 §8.3).
        if from == self.server() {
            match bytes.first() {
                // Version 0 is NAT-PMP. Every other version, known or not, is an answer in the
                // format of PCP (RFC 6887 §9).
                Some(0) => self.handle_nat_pmp(now, bytes),
                _ => self.handle_pcp(now, bytes),
            }
        }
    }

    /// Takes an ICMP error which says that nothing listens on the server port of the gateway.
    pub fn handle_unreachable(&mut self, now: Instant) {
        for dialect in [Dialect::Pcp, Dialect::NatPmp] {
            // The error may be forged or late. It ends a probe only, and no mapping that exists.
            if self.is_probing(dialect) {
                self.conclude(now, dialect, Support::Absent(AbsenceReason::Unreachable));
            }
        }
    }

    /// Does what is due: repeats requests, gives up, renews.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(due) = self.timers.expire(now) {
            match due {
                Timeout::Find(dialect) => self.probe(now, dialect),
                Timeout::Map(id) => self.map_due(now, id),
                Timeout::Expire(id) => self.expired(now, id),
            }
        }
    }

    /// Takes the next output. Call it until it returns [`Output::Wait`] after every other call.
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
