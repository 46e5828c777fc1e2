//! The discovery itself: hands outcomes to its tests, and writes the report.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Instant;

use super::config::DiscoveryConfig;
use super::exchange::{Answer, Exchanges, Outcome, Purpose};
use super::finding::{Finding, Reason};
use super::report::{Observation, Report};
use super::{filtering, fragments, hairpinning, lifetime, mapping, ports};

/// A client that finds out what kind of NAT is on the way to its servers; see the [module](super).
///
/// The same configuration, seed and inputs give the same outputs.
#[derive(Debug, Clone)]
pub struct Discovery {
    config: DiscoveryConfig,
    exchanges: Exchanges,
    sockets: Vec<Socket>,
    mapping: Vec<mapping::Round>,
    filtering: Vec<filtering::Round>,
    hairpinning: hairpinning::Test,
    fragments: fragments::Test,
    lifetime: Option<lifetime::Test>,
    observations: Vec<Observation>,
    other: Option<SocketAddr>,
}

/// Names a socket of one discovery: they count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(usize);

impl SocketId {
    /// Returns the socket's number.
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }

    /// Returns the socket of this number.
    #[must_use]
    pub fn new(index: usize) -> Self {
        Self(index)
    }
}

/// What a discovery wants done; take them with [`Discovery::poll_output`] until [`Output::Wait`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Bind a UDP socket to a port of the system's choice, on the address that leads to the
    /// servers, and answer with [`Discovery::handle_bound`] before the next poll.
    Bind(SocketId),
    /// Send a datagram from a socket; those that are too large for the way have to go in fragments.
    Transmit {
        /// The socket.
        socket: SocketId,
        /// Where to.
        destination: SocketAddr,
        /// What.
        bytes: Vec<u8>,
    },
    /// Nothing more to do before this instant, or before the next datagram: always the last output
    /// of a drain.
    ///
    /// Call [`Discovery::handle_timeout`] when the instant has come. `None` says that everything
    /// was tried, and that [`Discovery::report`] is complete.
    Wait(Option<Instant>),
}

/// No socket could be bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no socket could be bound")]
pub struct NotBound;

#[derive(Debug, Clone, Copy)]
struct Socket {
    owner: Owner,
    /// Where it is bound.
    local: Option<SocketAddr>,
    /// Whether the server has said what it sees of it.
    is_observed: bool,
}

/// Which test a socket belongs to.
#[derive(Debug, Clone, Copy)]
enum Owner {
    Mapping(usize),
    Filtering(usize),
    Hairpinning(usize),
    Fragments,
    Idle(usize),
    Asker,
}

impl Discovery {
    /// Makes a discovery. `seed` is for transaction ids: 32 random bytes.
    pub fn new(config: DiscoveryConfig, seed: [u8; 32]) -> Self {
        let rounds = if config.servers.is_empty() {
            0
        } else {
            config.rounds
        };
        let mut discovery = Self {
            exchanges: Exchanges::new(config.clone(), seed),
            sockets: Vec::new(),
            mapping: vec![mapping::Round::default(); rounds],
            filtering: vec![filtering::Round::default(); rounds],
            hairpinning: hairpinning::Test::default(),
            fragments: fragments::Test::new(),
            lifetime: config.lifetime.map(lifetime::Test::new),
            observations: Vec::new(),
            other: None,
            config,
        };
        if !discovery.config.servers.is_empty() {
            discovery.want_sockets(rounds);
        }
        discovery
    }

    fn want_sockets(&mut self, rounds: usize) {
        for index in 0..rounds {
            self.want(Owner::Mapping(index));
            self.want(Owner::Filtering(index));
        }
        if self.config.hairpinning {
            self.want(Owner::Hairpinning(0));
            self.want(Owner::Hairpinning(1));
        }
        if self.config.padding.is_some() {
            self.want(Owner::Fragments);
        }
        if let Some(search) = self.config.lifetime {
            for index in 0..search.sockets {
                let socket = self.want(Owner::Idle(index));
                if let Some(test) = &mut self.lifetime {
                    test.add(socket);
                }
            }
            self.want(Owner::Asker);
        }
    }

    fn want(&mut self, owner: Owner) -> SocketId {
        let id = SocketId(self.sockets.len());
        self.sockets.push(Socket {
            owner,
            local: None,
            is_observed: false,
        });
        self.exchanges.outputs.push_back(Output::Bind(id));
        id
    }

    /// Takes the answer to [`Output::Bind`]: the address, as the servers would see it without a
    /// NAT, and the port.
    pub fn handle_bound(
        &mut self,
        now: Instant,
        socket: SocketId,
        local: Result<SocketAddr, NotBound>,
    ) {
        let (Ok(local), Some(server)) = (local, self.server()) else {
            return;
        };
        let Some(known) = self.sockets.get_mut(socket.0) else {
            return;
        };
        known.local = Some(SocketAddr::new(local.ip().to_canonical(), local.port()));
        let exchanges = &mut self.exchanges;
        match known.owner {
            Owner::Mapping(index) => {
                if let Some(round) = self.mapping.get_mut(index) {
                    round.start(now, index, socket, server, exchanges);
                }
            }
            Owner::Filtering(index) => {
                if let Some(round) = self.filtering.get_mut(index) {
                    round.start(now, index, socket, server, exchanges);
                }
            }
            Owner::Hairpinning(side) => {
                self.hairpinning.start(now, side, socket, server, exchanges);
            }
            Owner::Fragments => self.fragments.start(now, socket, server, exchanges),
            Owner::Idle(index) => {
                if let Some(test) = &mut self.lifetime {
                    test.bound(index);
                }
            }
            Owner::Asker => {
                if let Some(test) = &mut self.lifetime {
                    test.start(now, socket, server, exchanges);
                }
            }
        }
    }

    /// Takes a datagram that came to a socket.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        socket: SocketId,
        source: SocketAddr,
        bytes: &[u8],
    ) {
        self.exchanges.handle_datagram(now, socket, source, bytes);
        self.take_outcomes(now);
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.exchanges.handle_timeout(now);
        if let (Some(server), Some(test)) = (self.server(), &mut self.lifetime) {
            test.handle_timeout(now, server, &mut self.exchanges);
        }
        self.take_outcomes(now);
    }

    /// Returns the next thing to do; call it until it returns [`Output::Wait`].
    #[must_use]
    pub fn poll_output(&mut self) -> Output {
        match self.exchanges.outputs.pop_front() {
            Some(output) => output,
            None => Output::Wait(self.next_timeout()),
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        let idle = self
            .lifetime
            .as_ref()
            .and_then(lifetime::Test::next_timeout);
        self.exchanges.next_timeout().into_iter().chain(idle).min()
    }

    fn server(&self) -> Option<SocketAddr> {
        self.config.servers.first().copied()
    }

    fn take_outcomes(&mut self, now: Instant) {
        while let Some((purpose, outcome)) = self.exchanges.outcomes.pop_front() {
            if let Outcome::Answered(answer) = outcome {
                self.observe(&answer);
            }
            self.take_outcome(now, purpose, outcome);
        }
    }

    fn take_outcome(&mut self, now: Instant, purpose: Purpose, outcome: Outcome) {
        let Some(server) = self.server() else {
            return;
        };
        let exchanges = &mut self.exchanges;
        match purpose {
            Purpose::Mapping(index, step) => {
                if let Some(round) = self.mapping.get_mut(index) {
                    let servers = &self.config.servers;
                    round.handle(now, index, step, outcome, servers, exchanges);
                }
            }
            Purpose::Filtering(index, step) => {
                if let Some(round) = self.filtering.get_mut(index) {
                    round.handle(now, index, step, outcome, server, exchanges);
                }
            }
            Purpose::Hairpinning(step) => self.hairpinning.handle(now, step, outcome, exchanges),
            Purpose::Fragments(step) => {
                let how = (server, self.config.padding);
                self.fragments.handle(now, step, outcome, how, exchanges);
            }
            Purpose::Lifetime(step) => {
                if let Some(test) = &mut self.lifetime {
                    test.handle(now, step, outcome, server, exchanges);
                }
            }
        }
    }

    /// Notes what the server says of a socket, the first time it does.
    fn observe(&mut self, answer: &Answer) {
        if Some(answer.source) != self.server() {
            return;
        }
        self.other = self.other.or(answer.other);
        if let Some(socket) = self.sockets.get_mut(answer.from.0)
            && let Some(local) = socket.local
            && !socket.is_observed
        {
            socket.is_observed = true;
            self.observations.push(Observation {
                local,
                mapped: answer.mapped,
                in_the_clear: answer.in_the_clear,
            });
        }
    }

    /// Returns what was found out so far; what is still being tried is [`Reason::NotFinished`].
    pub fn report(&self) -> Report {
        let first = self.observations.first();
        let silent = || match self.mapping.first().map(mapping::Round::finding) {
            Some(Finding::Unknown(reason)) => reason,
            _ if self.config.servers.is_empty() => Reason::NotTested,
            _ => Reason::NoAnswer,
        };
        let of_first = |observation: Option<SocketAddr>| {
            observation.map_or_else(|| Finding::Unknown(silent()), Finding::Known)
        };
        let nat = match first {
            Some(_) => Finding::Known(self.observations.iter().any(|it| it.local != it.mapped)),
            None => Finding::Unknown(silent()),
        };
        let reached = filtering::Reachability {
            other_address: self
                .mapping
                .iter()
                .any(mapping::Round::reaches_other_address),
            other_port: self.mapping.iter().any(mapping::Round::reaches_other_port),
        };
        let (mapping, mapping_stability) = mapping::of_rounds(&self.mapping);
        let (filtering, filtering_stability) = filtering::of_rounds(&self.filtering, reached);
        let mut externals: BTreeSet<_> =
            self.observations.iter().map(|it| it.mapped.ip()).collect();
        let has_several_at_server = externals.len() > 1;
        // Where traffic is shared out by destination, only other servers see the other addresses.
        let elsewhere = self.mapping.iter().flat_map(mapping::Round::mapped);
        externals.extend(elsewhere.map(|mapped| mapped.ip()));
        let round_trip = self.exchanges.round_trip;
        Report {
            server: self.server(),
            other: self.other,
            round_trip: round_trip.map_or_else(|| Finding::Unknown(silent()), Finding::Known),
            local: of_first(first.map(|it| it.local)),
            mapped: of_first(first.map(|it| it.mapped)),
            nat,
            mapping,
            mapping_stability,
            filtering,
            filtering_stability,
            ports: ports::assignment(&self.observations, nat),
            hairpinning: if self.config.hairpinning {
                self.hairpinning
                    .finding(nat, mapping, has_several_at_server)
            } else {
                Finding::Unknown(Reason::NotTested)
            },
            externals: externals.into_iter().collect(),
            alg: self.alg(),
            fragments: match self.config.padding {
                Some(_) => self.fragments.finding(),
                None => Finding::Unknown(Reason::NotTested),
            },
            lifetime: match &self.lifetime {
                Some(test) => test.finding(),
                None => Finding::Unknown(Reason::NotTested),
            },
            observations: self.observations.clone(),
        }
    }

    /// Returns whether addresses in the clear were changed on the way.
    fn alg(&self) -> Finding<bool> {
        if self.observations.is_empty() {
            return Finding::Unknown(Reason::NoAnswer);
        }
        let told = self
            .observations
            .iter()
            .filter_map(|it| Some((it.mapped, it.in_the_clear?)));
        let changed: Vec<bool> = told.map(|(xored, clear)| xored != clear).collect();
        if changed.is_empty() {
            return Finding::Unknown(Reason::NotTold);
        }
        Finding::Known(changed.contains(&true))
    }
}
