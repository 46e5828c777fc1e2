//! The NAT core: what [`Nat::outbound`] and [`Nat::inbound`] do with a packet, one step per file.

mod alg;
mod assign;
#[cfg(any(test, feature = "internals"))]
mod audit;
pub(crate) mod config;
mod entry;
mod expiry;
mod finish;
mod flow;
mod forwards;
mod fragments;
mod hairpin;
mod hit;
mod hosts;
mod icmp_error;
mod inbound;
mod index;
mod inspect;
mod key;
pub(crate) mod limiter;
mod limits;
mod nat64;
mod nptv6;
mod outbound;
mod policy;
mod pool;
mod ports;
mod queue;
mod quota;
mod slab;
mod syn;
mod table;
mod tcp;
mod timers;
mod translation;
mod verdict;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use jackfield_sansio::{Seed, SeededMap};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::packet::{Headers, IcmpError, Packet};
use crate::{Address, Endpoint};

pub use forwards::{ForwardError, RemoteFilter};
pub use inspect::MappingView;
pub use policy::{Policy, Rule};
pub use translation::Translation;
pub use verdict::{DropReason, HoldReason, NatCounters, Side, Verdict};

use config::NatConfig;
use fragments::Datagrams;
use hit::HitPath;
use hosts::Hosts;
use limiter::ErrorLimiter;
use pool::Pool;
use queue::Queue;
use syn::HeldSyns;
use table::Table;

/// A network address translator, which changes the addresses of packets in place or says why it
/// drops them.
///
/// It has no sockets and no clock. A driver passes each packet with the time, sends it on as the
/// [`Verdict`] says, sends what [`Nat::poll_transmit`] returns, and calls [`Nat::handle_timeout`]
/// at [`Nat::next_timeout`]. The same config, seed and packets give the same bytes. A clone is a
/// snapshot: both continue from the same state.
#[derive(Debug, Clone)]
pub struct Nat {
    config: NatConfig,
    /// The config's external addresses in the form in which packets carry them.
    externals: Vec<Address>,
    /// One-to-one pairs of an inside and an outside address.
    one_to_one: Vec<(Address, Address)>,
    table: Table,
    hit: HitPath,
    hosts: Hosts,
    /// How many hosts have been paired with an external address. Hosts are paired in turn, so that
    /// no address serves many more hosts than another.
    hosts_paired: usize,
    /// Ports in use, by external address and protocol.
    pools: BTreeMap<usize, Pool>,
    /// Ports without a mapping that wait in the queue to be free again.
    resting_ports: usize,
    /// The last port that sequential assignment chose.
    cursor: Option<u16>,
    /// The last IPv4 identification that the NAT wrote into a packet.
    last_id: u16,
    queue: Queue,
    datagrams: Datagrams,
    held_syns: HeldSyns,
    /// Connections to the router itself, with the time at which each ends. Connection tracking
    /// keeps them in one table with those of the hosts, so a host cannot use their endpoints.
    local: SeededMap<key::FlowKey, Instant>,
    /// Remote addresses that a restricted forward admits.
    forward_filters: BTreeMap<(config::Protocol, Endpoint), Vec<RemoteFilter>>,
    /// How often the NAT has lost its state.
    resets: u64,
    errors: ErrorLimiter,
    transmits: VecDeque<OriginatedPacket>,
    rng: ChaCha8Rng,
    counters: NatCounters,
}

/// A packet that the NAT itself sends: an ICMP error, a fragment, or a packet that it held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginatedPacket {
    /// The side on which the packet leaves.
    pub side: Side,
    /// The IP packet, header included.
    pub bytes: Vec<u8>,
}

impl Nat {
    /// Creates a NAT whose only mappings are the configured forwards.
    ///
    /// The seed determines every random port. Keep it secret where ports must be hard to guess.
    pub fn new(config: NatConfig, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed);
        let seed = Seed::new([rng.next_u64(), rng.next_u64()]);
        let externals = config.externals.iter().copied().map(Address::from);
        let mut nat = Self {
            externals: externals.collect(),
            one_to_one: pairs(&config),
            table: Table::new(seed),
            hit: HitPath::new(&config),
            hosts: Hosts::new(seed),
            hosts_paired: 0,
            pools: BTreeMap::new(),
            resting_ports: 0,
            cursor: None,
            last_id: rng.next_u32() as u16,
            queue: Queue::default(),
            datagrams: Datagrams::new(),
            held_syns: HeldSyns::new(seed),
            local: seed.map(),
            forward_filters: BTreeMap::new(),
            resets: 0,
            errors: ErrorLimiter::new(seed),
            transmits: VecDeque::new(),
            rng,
            counters: NatCounters::new(),
            config,
        };
        nat.install_forwards();
        nat
    }

    /// Translates a packet from inside.
    pub fn outbound(&mut self, now: Instant, packet: &mut Packet<'_>) -> Verdict {
        // State is expired before the packet is looked up, so that a packet that comes after the
        // timeout never revives a mapping, however late the driver calls `handle_timeout`.
        self.expire(now);
        if self.hit(now, Side::Inside, packet).is_some() {
            return Verdict::Forward;
        }
        let verdict = self
            .translate_outbound(now, packet)
            .unwrap_or_else(Verdict::Drop);
        self.count(Side::Inside, verdict);
        verdict
    }

    /// Translates a packet from outside.
    pub fn inbound(&mut self, now: Instant, packet: &mut Packet<'_>) -> Verdict {
        self.expire(now);
        if self.hit(now, Side::Outside, packet).is_some() {
            return Verdict::Forward;
        }
        let verdict = self
            .translate_inbound(now, packet)
            .unwrap_or_else(Verdict::Drop);
        self.count(Side::Outside, verdict);
        verdict
    }

    /// Ends mappings and flows that have been idle for too long at `now`, and refuses held SYNs
    /// whose wait is over.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.expire(now);
    }

    /// Returns when to call [`Nat::handle_timeout`]; at that time nothing may be due yet, because
    /// a timer is not moved when a packet refreshes its flow.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.queue.next()
    }

    /// Takes the next packet that the NAT itself sends. Call it until it returns `None` after
    /// every other call.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<OriginatedPacket> {
        self.transmits.pop_front()
    }

    /// Returns the counters of forwarded, held and dropped packets.
    #[must_use]
    pub fn counters(&self) -> &NatCounters {
        &self.counters
    }

    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &NatConfig {
        &self.config
    }

    fn count(&mut self, from: Side, verdict: Verdict) {
        self.counters.count(from, verdict);
        if let Verdict::Drop(reason) = verdict {
            tracing::trace!(?from, reason = reason.name(), "Dropped packet");
        }
    }

    fn transmit(&mut self, side: Side, bytes: Vec<u8>) {
        self.counters.transmitted += 1;
        self.transmits.push_back(OriginatedPacket { side, bytes });
    }

    /// Sends an ICMP error about the packet `about` to its sender on `side`, unless the rate
    /// limits suppress it.
    fn send_error(&mut self, now: Instant, side: Side, error: IcmpError, about: &[u8]) {
        // The limit is for the receiver of the error: a host that provokes errors must not use up
        // what others need (RFC 1812 §4.3.2.8 asks for a rate limit).
        let Ok(headers) = Headers::parse_quoted(about) else {
            return;
        };
        let limits = &self.config.limits;
        if !self.errors.passes(now, headers.source, limits) {
            self.counters.errors_suppressed += 1;
            return;
        }
        if let Some(bytes) = self
            .own_address(side, about)
            .and_then(|from| error.about(from, about))
        {
            self.transmit(side, bytes);
        }
    }

    /// Returns the source address of the ICMP errors that the NAT sends on a side, in the family
    /// of `about`.
    fn own_address(&self, side: Side, about: &[u8]) -> Option<Address> {
        let v4 = about.first().map(|byte| byte >> 4) == Some(4);
        let inside = self.config.inside.map(Address::from);
        let outside = self.externals.iter().copied();
        let mut candidates = inside
            .filter(|_| side == Side::Inside)
            .into_iter()
            .chain(outside);
        candidates.find(|address| address.is_v4() == v4)
    }

    /// Returns whether inside endpoints are mapped to ports of the NAT.
    fn translates_ports(&self) -> bool {
        match self.config.translation {
            Translation::Ports | Translation::Nat64 { .. } => true,
            Translation::None | Translation::Prefixes { .. } => false,
        }
    }

    fn external(&self, index: usize) -> Result<Address, DropReason> {
        self.externals
            .get(index)
            .copied()
            .ok_or(DropReason::WrongFamily)
    }

    fn external_index(&self, address: Address) -> Option<usize> {
        self.externals.iter().position(|mine| *mine == address)
    }

    /// Returns whether the NAT translates packets from outside to `address`.
    fn is_external(&self, address: Address) -> bool {
        self.translates_ports()
            && (self.externals.contains(&address) || self.one_to_one_internal(address).is_some())
    }

    /// Returns which external addresses an inside address may be mapped to.
    fn usable_externals(&self, internal: Address) -> Vec<usize> {
        let outside_v4 = internal.is_v4() || self.pref64().is_some();
        let fits = |address: &Address| address.is_v4() == outside_v4;
        let numbered = self.externals.iter().enumerate();
        numbered
            .filter(|(_, address)| fits(address))
            .map(|(index, _)| index)
            .collect()
    }

    fn one_to_one_external(&self, internal: Address) -> Option<Address> {
        let mut pairs = self.one_to_one.iter();
        pairs
            .find(|(inside, _)| *inside == internal)
            .map(|(_, outside)| *outside)
    }

    fn one_to_one_internal(&self, external: Address) -> Option<Address> {
        let mut pairs = self.one_to_one.iter();
        pairs
            .find(|(_, outside)| *outside == external)
            .map(|(inside, _)| *inside)
    }
}

/// Returns the one-to-one pairs that are valid: both addresses are of IP versions that the NAT
/// joins, and the NAT translates at all.
fn pairs(config: &NatConfig) -> Vec<(Address, Address)> {
    let pairs = match config.translation {
        Translation::Ports | Translation::Nat64 { .. } => config.one_to_one.iter(),
        Translation::None | Translation::Prefixes { .. } => [].iter(),
    };
    pairs
        .map(|(inside, outside)| (Address::from(*inside), Address::from(*outside)))
        .filter(|(inside, outside)| config.translation.joins(*inside, *outside))
        .collect()
}
