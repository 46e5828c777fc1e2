//! The server, which gives the ports of a NAT to hosts that ask.

mod announce;
mod config;
mod control;
mod counters;
mod grant;
mod http;
mod lease;
mod nat_pmp;
mod packet;
mod pcp;
mod peer;
mod search;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

pub use config::{Dialects, GatewayConfig};
pub use counters::GatewayCounters;
pub use lease::LeaseView;

use announce::Announcer;
use http::Visit;
use lease::Leases;
use peer::Peers;

use super::SERVER_PORT;
use super::upnp::SSDP_PORT;
use super::upnp::description::Description;
use jackfield_nat::packet::Datagram;
use jackfield_nat::{Nat, Translation};
use jackfield_sansio::{Rate, RateLimiter};
use jackfield_tcp::{ConnectionId, Stack, StackLimits};

/// The port mapping server of a NAT.
///
/// A driver calls [`Gateway::is_for`] for each packet and passes those that are for the gateway to
/// [`Gateway::handle_packet`]; a driver with sockets passes datagrams instead. It sends inside
/// what [`Gateway::poll_packet`] returns. It calls [`Gateway::handle_timeout`] at
/// [`Gateway::next_timeout`], and whenever the NAT was rebooted or changed: the gateway then drops
/// its leases, begins a new epoch and announces it.
#[derive(Debug, Clone)]
pub struct Gateway {
    config: GatewayConfig,
    /// When the current epoch began.
    started: Instant,
    /// The value of [`Nat::resets`] at that time.
    resets: u64,
    leases: Leases,
    peers: Peers,
    announcements: Announcer,
    /// How often each host may ask.
    requests: RateLimiter<IpAddr>,
    outbox: VecDeque<Datagram>,
    /// Whole packets to send inside.
    packets: VecDeque<Vec<u8>>,
    /// The UPnP description of the gateway.
    description: Description,
    /// When the gateway multicasts its next UPnP advertisement.
    next_notify: Option<Instant>,
    /// The TCP stack of the gateway.
    stack: Stack,
    visits: BTreeMap<ConnectionId, Visit>,
    rng: ChaCha8Rng,
    counters: GatewayCounters,
}

impl Gateway {
    /// Creates the gateway of a NAT, without any lease; its epoch begins now.
    ///
    /// The NAT needs an inside address; otherwise no host can reach the gateway. The seed
    /// determines the random ports.
    #[must_use]
    pub fn new(now: Instant, config: GatewayConfig, nat: &Nat, seed: [u8; 32]) -> Self {
        let mut announcements = Announcer::default();
        announcements.begin(now);
        let mut rng = ChaCha8Rng::from_seed(seed);
        let description = Description {
            name: config.name.clone(),
            uuid: uuid(&mut rng),
            version: config.igd_version.clamp(1, 2),
        };
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        let addresses: Vec<_> = nat.config().inside.into_iter().collect();
        let mut stack = Stack::with_limits(&addresses, seed, limits(&config));
        if config.dialects.upnp {
            stack.listen(config.http_port);
        }
        Self {
            next_notify: first_notify(now, &config),
            config,
            started: now,
            resets: nat.resets(),
            leases: Leases::default(),
            peers: Peers::default(),
            announcements,
            requests: RateLimiter::new(HOSTS),
            outbox: VecDeque::new(),
            packets: VecDeque::new(),
            description,
            stack,
            visits: BTreeMap::new(),
            rng,
            counters: GatewayCounters::default(),
        }
    }

    /// Takes a datagram that came from inside to an address of the gateway.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        source: SocketAddr,
        destination: SocketAddr,
        bytes: &[u8],
    ) {
        // Leases that are due end first, so that a request does not meet a port that is only
        // nominally taken.
        self.handle_timeout(now, nat);
        if !self.may_ask(now, source.ip()) {
            return;
        }
        let answer = match destination.port() {
            SERVER_PORT => self.answer_server_port(now, nat, source, bytes),
            SSDP_PORT if self.config.dialects.upnp => {
                self.answer_search(nat, source, bytes);
                None
            }
            _ => None,
        };
        if let Some(data) = answer {
            self.outbox.push_back(Datagram {
                source: destination,
                destination: source,
                data,
            });
        }
    }

    /// Counts a request of `host` against its rate, and returns whether it is answered.
    fn may_ask(&mut self, now: Instant, host: IpAddr) -> bool {
        let rate = Rate::per_second(self.config.requests_per_second);
        let passes = self.requests.take(now, host, rate);
        if !passes {
            self.counters.rate_limited += 1;
        }
        passes
    }

    /// Answers a datagram to the port that NAT-PMP and PCP share. The first byte is the version
    /// ([RFC 6887 §9](https://www.rfc-editor.org/rfc/rfc6887#section-9)); other versions are
    /// answered in the highest version that the gateway supports.
    fn answer_server_port(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        source: SocketAddr,
        bytes: &[u8],
    ) -> Option<Vec<u8>> {
        let nat_pmp = self.speaks_nat_pmp(nat);
        match bytes.first() {
            Some(0) if nat_pmp && source.is_ipv4() => self.answer_nat_pmp(now, nat, source, bytes),
            _ if self.config.dialects.pcp => self.answer_pcp(now, nat, source, bytes),
            _ if nat_pmp => self.refuse_version(now, bytes),
            _ => None,
        }
    }

    /// Returns whether NAT-PMP is answered: it is not where nothing is translated, or hosts would
    /// take a firewall for a NAT
    /// ([RFC 6886 §3.8](https://www.rfc-editor.org/rfc/rfc6886#section-3.8)).
    fn speaks_nat_pmp(&self, nat: &Nat) -> bool {
        self.config.dialects.nat_pmp && nat.config().translation == Translation::Ports
    }

    /// Ends leases, keeps flows alive and announces, as far as it is due, and checks whether the
    /// NAT has lost its state.
    pub fn handle_timeout(&mut self, now: Instant, nat: &mut Nat) {
        // A NAT that has rebooted has lost the forwards of all leases. The new epoch makes clients
        // request them again.
        if nat.resets() != self.resets {
            self.begin_epoch(now, nat);
        }
        self.expire(now, nat);
        self.refresh_flows(now, nat);
        self.announce(now, nat);
        self.notify(now, nat);
        self.stack.handle_timeout(now);
        self.handle_events(now, nat);
    }

    /// Returns when [`Gateway::handle_timeout`] has something to do.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let all = [
            self.leases.next(),
            self.peers.next(),
            self.announcements.next(),
            self.next_notify,
            self.stack.next_timeout(),
        ];
        all.into_iter().flatten().min()
    }

    /// Takes the next datagram to send inside. Call it until it returns `None` after every other
    /// call. A driver that passes whole packets uses [`Gateway::poll_packet`] instead.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Datagram> {
        self.outbox.pop_front()
    }

    /// Returns every lease, sorted by protocol and outside endpoint, then the flows that PCP keeps
    /// alive.
    pub fn leases(&self) -> impl Iterator<Item = LeaseView> {
        let leases = self.leases.iter();
        let views = leases.map(|((protocol, external), lease)| LeaseView {
            protocol: *protocol,
            internal: lease.internal,
            external: *external,
            peer: None,
            dialect: lease.dialect,
            description: lease.description.clone(),
            filters: lease.filters.clone(),
            expires: lease.expires,
        });
        views.chain(self.peers.views())
    }

    /// Supports these protocols from now on; leases stay.
    pub fn set_dialects(&mut self, now: Instant, nat: &Nat, dialects: Dialects) {
        let before = self.config.dialects;
        if before.upnp && !dialects.upnp {
            self.say_goodbye(nat);
            self.stack.unlisten(self.config.http_port);
        }
        self.config.dialects = dialects;
        if dialects.upnp && !before.upnp {
            self.stack.listen(self.config.http_port);
        }
        self.next_notify = first_notify(now, &self.config);
    }

    /// Ends every lease, and announces the departure of the UPnP device.
    pub fn end_all(&mut self, now: Instant, nat: &mut Nat) {
        let keys: Vec<lease::LeaseKey> = self.leases.iter().map(|(key, _)| *key).collect();
        for key in keys {
            self.end(now, nat, &key);
        }
        self.peers = Peers::default();
        self.say_goodbye(nat);
    }

    /// Returns the counters.
    #[must_use]
    pub fn counters(&self) -> &GatewayCounters {
        &self.counters
    }

    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &GatewayConfig {
        &self.config
    }

    /// Returns the age of the current epoch in seconds.
    fn epoch(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.started).as_secs() as u32
    }

    /// Drops all leases and begins a new epoch, because the NAT has lost the mappings.
    fn begin_epoch(&mut self, now: Instant, nat: &Nat) {
        self.counters.lost += (self.leases.len() + self.peers.len()) as u64;
        self.leases = Leases::default();
        self.peers = Peers::default();
        self.started = now;
        self.resets = nat.resets();
        self.announcements.begin(now);
        self.next_notify = first_notify(now, &self.config);
        let addresses: Vec<_> = nat.config().inside.into_iter().collect();
        self.stack.set_addresses(&addresses);
        tracing::debug!("Leases are lost, a new epoch begins");
    }
}

fn first_notify(now: Instant, config: &GatewayConfig) -> Option<Instant> {
    (config.dialects.upnp && config.announcements > 0).then_some(now)
}

/// Returns a random UUID ([RFC 9562 §5.4](https://www.rfc-editor.org/rfc/rfc9562#section-5.4)).
fn uuid(rng: &mut ChaCha8Rng) -> String {
    let (high, low) = (rng.next_u64(), rng.next_u64());
    let (high, low) = (high & !0xf000 | 0x4000, low & !(3 << 62) | 2 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// Returns the limits of the TCP stack: requests from hosts are short.
fn limits(config: &GatewayConfig) -> StackLimits {
    StackLimits {
        connections: config.connections,
        // Half-open connections cost a forger nothing, so they cannot take all the room.
        half_open: config.connections / 2,
        connections_per_address: config.connections_per_host,
        receive_buffer: 16 * 1024,
        send_buffer: 64 * 1024,
        handshake: config.patience,
        timeout: config.patience,
        idle: config.patience,
        journal: 256 * 1024,
        ..StackLimits::default()
    }
}

/// How many hosts the request limiter distinguishes. A network with more hosts at the same time is
/// one host with many addresses.
const HOSTS: usize = 4096;
