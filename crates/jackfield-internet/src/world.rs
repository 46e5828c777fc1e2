//! The world: its clock, and the packets under way.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_nat::packet::{Headers, build};
use jackfield_nat::{Address, Nat, Prefix};
use jackfield_portmap::Gateway;
use jackfield_sansio::Timers;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::app::App;
use super::host::Host;
use super::link::{Link, Passage, Pipe};
use super::trace::{HopOutcome, Trace, TraceEvent, TraceKind};

/// Identifies a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) usize);

/// Identifies a machine that runs a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub(crate) NodeId);

/// Identifies a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId(pub(crate) usize);

/// Identifies the attachment of a machine to a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceId(pub(crate) usize);

impl From<HostId> for NodeId {
    fn from(host: HostId) -> Self {
        host.0
    }
}

/// A virtual internet; see the [module](super).
#[derive(Debug, Clone)]
pub struct World {
    pub(super) start: Instant,
    pub(super) now: Instant,
    pub(super) rng: ChaCha8Rng,
    pub(super) nodes: Vec<Node>,
    pub(super) networks: Vec<Network>,
    pub(super) interfaces: Vec<Interface>,
    /// The port mapping gateways of NATs.
    pub(super) gateways: BTreeMap<NodeId, Gateway>,
    /// The packets under way, by arrival.
    arrivals: BinaryHeap<Reverse<Arrival>>,
    next_number: u64,
    timers: Timers<NodeId>,
    pub(super) trace: Trace,
}

/// A machine.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) kind: NodeKind,
}

#[derive(Debug, Clone)]
pub(super) enum NodeKind {
    Host(Host),
    /// Boxed, because a NAT is large.
    Nat {
        nat: Box<Nat>,
        inside: InterfaceId,
        outside: InterfaceId,
    },
    Router {
        interfaces: Vec<InterfaceId>,
    },
}

/// A network, on which every machine reaches every other.
#[derive(Debug, Clone)]
pub(super) struct Network {
    pub(super) name: String,
    /// The link between each of its interfaces and the network.
    pub(super) link: Link,
    pub(super) members: Vec<InterfaceId>,
    /// The interface for packets to other networks.
    pub(super) gateway: Option<InterfaceId>,
    /// The interfaces that lead to other networks.
    pub(super) routes: Vec<(Prefix, InterfaceId)>,
}

/// The attachment of a machine to a network.
#[derive(Debug, Clone)]
pub(super) struct Interface {
    pub(super) node: NodeId,
    pub(super) network: NetworkId,
    pub(super) addresses: Vec<Address>,
    /// From the machine to the network.
    pub(super) up: Pipe,
    /// From the network to the machine.
    pub(super) down: Pipe,
    pub(super) is_up: bool,
}

/// A packet under way.
#[derive(Debug, Clone)]
struct Arrival {
    at: Instant,
    number: u64,
    to: InterfaceId,
    bytes: Vec<u8>,
}

impl World {
    /// Creates an empty world that begins at `start`; everything random in it comes from `seed`.
    #[must_use]
    pub fn new(start: Instant, seed: u64) -> Self {
        Self {
            start,
            now: start,
            rng: ChaCha8Rng::seed_from_u64(seed),
            nodes: Vec::new(),
            networks: Vec::new(),
            interfaces: Vec::new(),
            gateways: BTreeMap::new(),
            arrivals: BinaryHeap::new(),
            next_number: 0,
            timers: Timers::new(),
            trace: Trace::default(),
        }
    }

    /// Returns the time in the world.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Processes the next event; returns `false` when there is none.
    pub fn step(&mut self) -> bool {
        let Some(at) = self.next_event() else {
            return false;
        };
        // A core may set a timer in the past. It fires at once, and the clock does not go back.
        self.now = self.now.max(at);
        let arrives = |Reverse(arrival): &Reverse<Arrival>| arrival.at <= at;
        // At one instant packets arrive before timers fire, so that an answer that comes exactly
        // at its timeout still counts, in every run.
        if self.arrivals.peek().is_some_and(arrives)
            && let Some(Reverse(arrival)) = self.arrivals.pop()
        {
            self.arrive(arrival.to, arrival.bytes);
        } else if let Some(node) = self.timers.expire(self.now) {
            self.node_timeout(node);
            self.settle(node);
        }
        true
    }

    /// Processes all events up to `end`, and sets the clock to it.
    pub fn run_until(&mut self, end: Instant) {
        while self.next_event().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = self.now.max(end);
    }

    /// Processes the events of this much time.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    /// Processes events until `done` returns true; returns `false` when that does not happen
    /// within `limit`.
    pub fn run_until_true(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit;
        while !done(self) {
            if self.next_event().is_none_or(|at| at > end) {
                self.now = end;
                return done(self);
            }
            self.step();
        }
        true
    }

    /// Returns the time of the next event.
    #[must_use]
    pub fn next_event(&self) -> Option<Instant> {
        let arrival = self.arrivals.peek().map(|Reverse(arrival)| arrival.at);
        arrival.into_iter().chain(self.timers.next()).min()
    }

    /// Returns the trace.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Turns recording on or off; it is on at first.
    pub fn record(&mut self, on: bool) {
        self.trace.off = !on;
    }

    /// Returns the program on a host, if it is a `T`.
    #[must_use]
    pub fn app<T: App>(&self, host: HostId) -> Option<&T> {
        let app: &dyn std::any::Any = self.host_of(host)?.app.as_ref();
        app.downcast_ref()
    }

    /// Changes the program on a host, and sends what the program then wants to send.
    pub fn with_app<T: App, R>(
        &mut self,
        host: HostId,
        act: impl FnOnce(&mut T, Instant) -> R,
    ) -> Option<R> {
        let now = self.now;
        let NodeKind::Host(inner) = &mut self.nodes.get_mut(host.0.0)?.kind else {
            return None;
        };
        let app: &mut dyn std::any::Any = inner.app.as_mut();
        let result = act(app.downcast_mut()?, now);
        self.settle(host.0);
        Some(result)
    }

    /// Sends a datagram from a port of a host.
    pub fn send(&mut self, host: HostId, port: u16, to: SocketAddr, data: &[u8]) {
        let family = |ip: &IpAddr| ip.is_ipv4() == to.is_ipv4();
        if let Some(from) = self.addresses(host).into_iter().find(family) {
            let bytes = build::udp(SocketAddr::new(from, port), to, data);
            self.send_from_host(host.0, bytes);
        }
    }

    /// Returns the addresses of a host, on all interfaces that are up.
    #[must_use]
    pub fn addresses(&self, host: HostId) -> Vec<IpAddr> {
        let mine = self
            .interfaces
            .iter()
            .filter(|it| it.node == host.0 && it.is_up);
        mine.flat_map(|it| it.addresses.iter().map(|address| IpAddr::from(*address)))
            .collect()
    }

    /// Returns the name of a machine.
    pub fn name(&self, node: impl Into<NodeId>) -> &str {
        let node = self.nodes.get(node.into().0);
        node.map_or("?", |node| node.name.as_str())
    }

    pub(super) fn host_of(&self, host: HostId) -> Option<&Host> {
        match &self.nodes.get(host.0.0)?.kind {
            NodeKind::Host(inner) => Some(inner),
            NodeKind::Nat { .. } | NodeKind::Router { .. } => None,
        }
    }

    /// Puts a packet on the link of an interface.
    pub(super) fn put(&mut self, from: InterfaceId, bytes: Vec<u8>) {
        if self.put_multicast(from, &bytes) {
            return;
        }
        let (outcome, arrives, again) = self.carry(from, &bytes);
        let at = self.now - self.start;
        let length = arrives - self.start;
        self.trace.record(|| TraceEvent {
            at,
            bytes: bytes.clone(),
            kind: TraceKind::Hop {
                from,
                outcome,
                arrives: length,
            },
        });
        if let HopOutcome::Arrived(to) = outcome {
            if let Some(again) = again {
                self.schedule(again, to, bytes.clone());
            }
            self.schedule(arrives, to, bytes);
        }
    }

    /// Decides where a packet goes on the network of an interface, and when it arrives.
    fn carry(&mut self, from: InterfaceId, bytes: &[u8]) -> (HopOutcome, Instant, Option<Instant>) {
        let fail = |outcome| (outcome, self.now, None);
        let Some(interface) = self.interfaces.get(from.0).filter(|it| it.is_up) else {
            return fail(HopOutcome::Down);
        };
        let Some(to) = self.next_hop(interface.network, from, bytes) else {
            return fail(HopOutcome::NoRoute);
        };
        self.carry_to(from, to, bytes.len())
    }

    /// Decides whether and when a packet of a length gets from one interface to another on the
    /// same network.
    pub(super) fn carry_to(
        &mut self,
        from: InterfaceId,
        to: InterfaceId,
        length: usize,
    ) -> (HopOutcome, Instant, Option<Instant>) {
        let is_up = |id: InterfaceId| self.interfaces.get(id.0).is_some_and(|it| it.is_up);
        if !is_up(from) || !is_up(to) {
            return (HopOutcome::Down, self.now, None);
        }
        let mut at = self.now;
        let mut again = None;
        for (id, up) in [(from, true), (to, false)] {
            let Some(interface) = self.interfaces.get_mut(id.0) else {
                break;
            };
            let pipe = if up {
                &mut interface.up
            } else {
                &mut interface.down
            };
            if length > pipe.link.mtu {
                return (HopOutcome::TooBig, at, None);
            }
            match pipe.pass(at, length, &mut self.rng) {
                Passage::Arrives {
                    at: then,
                    again: twice,
                } => {
                    at = then;
                    // A duplicate from the way up crosses the way down together with the original.
                    again = twice.or_else(|| again.map(|_| then));
                }
                Passage::Lost => return (HopOutcome::Lost, at, None),
                Passage::QueueFull => return (HopOutcome::QueueFull, at, None),
            }
        }
        (HopOutcome::Arrived(to), at, again)
    }

    /// Returns the interface that takes a packet on a network: that of the owner of its
    /// destination, that of a router to it, or the gateway.
    fn next_hop(&self, network: NetworkId, from: InterfaceId, bytes: &[u8]) -> Option<InterfaceId> {
        // A network looks at the destination alone. Whether the rest is valid is for hosts and
        // NATs to say.
        let destination = Headers::parse_quoted(bytes).ok()?.destination;
        let network = self.networks.get(network.0)?;
        let owns = |id: &&InterfaceId| {
            let interface = self.interfaces.get(id.0);
            interface.is_some_and(|it| it.addresses.contains(&destination))
        };
        // Addresses are compared here in place of ARP and neighbour discovery, which the
        // simulation leaves out.
        if let Some(owner) = network.members.iter().find(owns) {
            return Some(*owner);
        }
        let leads = network
            .routes
            .iter()
            .filter(|(prefix, via)| *via != from && prefix.contains(destination))
            .max_by_key(|(prefix, _)| prefix.length());
        leads
            .map(|(_, via)| *via)
            .or_else(|| network.gateway.filter(|gateway| *gateway != from))
    }

    pub(super) fn schedule(&mut self, at: Instant, to: InterfaceId, bytes: Vec<u8>) {
        let number = self.next_number;
        self.next_number += 1;
        self.arrivals.push(Reverse(Arrival {
            at,
            number,
            to,
            bytes,
        }));
    }

    /// Sends the packets that a machine has ready, and sets its timer.
    pub(super) fn settle(&mut self, node: NodeId) {
        self.drain(node);
        let next = match self.nodes.get(node.0).map(|node| &node.kind) {
            Some(NodeKind::Host(host)) => host.app.next_timeout(),
            Some(NodeKind::Nat { nat, .. }) => {
                let gateway = self.gateways.get(&node);
                let leases = gateway.and_then(Gateway::next_timeout);
                nat.next_timeout().into_iter().chain(leases).min()
            }
            _ => None,
        };
        match next {
            Some(at) => self.timers.set(node, at.max(self.now)),
            None => {
                self.timers.cancel(&node);
            }
        }
    }
}

impl PartialEq for Arrival {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Arrival {}

impl PartialOrd for Arrival {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Arrival {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}
