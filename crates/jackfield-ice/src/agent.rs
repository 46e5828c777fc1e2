//! The agent: one ICE session of one component ([RFC 8445]).
//!
//! [RFC 8445]: https://www.rfc-editor.org/rfc/rfc8445

#[cfg(any(test, feature = "internals"))]
mod audit;
mod checklist;
mod config;
mod connection;
mod context;
mod counters;
mod data;
mod early;
mod gathering;
mod lite;
mod local;
mod output;
mod pair;
mod policy;
mod progress;
mod receive;
mod remote;
mod request;
mod respond;
mod response;
mod restart;
mod schedule;
mod select;
mod session;
mod sockets;
mod state;
mod stats;
mod tidy;
mod upkeep;

use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use jackfield_sansio::{FiveTuple, Seed, TokenBucket};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

pub use config::{AgentConfig, CandidatePolicy, Limits, Pacing, Timing};
pub use counters::AgentCounters;
pub use data::{Outgoing, SendError};
pub use output::{ConnectionId, Event, Output, SelectedPair};
pub use pair::{PairCounters, PairState};
pub use policy::{AddressError, RemotePolicy};
pub use remote::RemoteCandidateError;
pub use restart::ParametersError;
pub use state::{Role, State};
pub use stats::{CandidateStats, PairStats, Stats};

use context::Context;
use restart::Previous;
use session::Session;

use crate::attribute::OpaqueAttribute;
use crate::candidate::Candidate;
use crate::gather::Gatherer;
use crate::parameters::IceParameters;

/// One ICE session with one component: what BUNDLE and rtcp-mux leave of the rest.
///
/// A driver gives it sockets ([`Agent::add_socket`]) and what comes in by them, the other side's
/// parameters and candidates, and the time; it does what [`Agent::poll_output`] says after each of
/// these calls, until [`Output::Wait`]. The [crate's documentation](crate) has two agents connect.
///
/// Calls on network bytes return no errors: what is not understood or not trusted is dropped and
/// counted in [`AgentCounters`].
pub struct Agent {
    context: Context,
    session: Session,
    /// The generation before a restart, while its pair carries the data.
    previous: Option<Box<Previous>>,
    state: State,
    /// Whether every server has answered or was given up.
    is_gathered: bool,
    /// When the gatherer has to be woken.
    gather_deadline: Option<Instant>,
    /// When something is to be done next.
    deadline: Option<Instant>,
}

impl Agent {
    /// Returns an agent without sockets.
    ///
    /// `seed` is for credentials, transaction ids and the tie-breaker: 32 bytes from a good source
    /// of randomness, different for each agent. The same arguments and inputs give the same
    /// outputs.
    #[must_use]
    pub fn new(config: AgentConfig, now: Instant, seed: [u8; 32]) -> Self {
        let mut random = ChaCha12Rng::from_seed(seed);
        let mut gather = config.gather.clone();
        gather.reflexive &= config.policy == CandidatePolicy::All;
        if config.lite {
            // RFC 8445 §5.2: a lite agent has host candidates alone.
            gather.servers = Arc::new([]);
        }
        let mut gather_seed = [0; 32];
        random.fill_bytes(&mut gather_seed);
        let local = restart::local_parameters(&config, &mut random);
        // RFC 8445 §6.1.1: a lite agent is controlled, unless the other side is lite, too.
        let role = if config.lite {
            Role::Controlled
        } else {
            config.role
        };
        let context = Context {
            role,
            tie_breaker: random.next_u64(),
            secret: Seed::new([random.next_u64(), random.next_u64()]),
            random,
            config,
            bases: Vec::new(),
            addresses: Vec::new(),
            listeners: Vec::new(),
            names: Vec::new(),
            locals: Vec::new(),
            next_local: 0,
            connections: Vec::new(),
            next_connection: 0,
            gatherer: Gatherer::new(gather, now, gather_seed),
            triggered: TokenBucket::default(),
            attributes: Vec::new(),
            rtt: None,
            outputs: VecDeque::new(),
            counters: AgentCounters::default(),
        };
        Self {
            context,
            session: Session::new(local),
            previous: None,
            state: State::New,
            is_gathered: false,
            gather_deadline: None,
            deadline: None,
        }
    }

    /// Returns what the other side has to know of this one: credentials and options.
    #[must_use]
    pub fn local_parameters(&self) -> &IceParameters {
        &self.session.local
    }

    /// Returns the role, which a role conflict may have changed.
    #[must_use]
    pub fn role(&self) -> Role {
        self.context.role
    }

    /// Takes a role, in place of the one of the configuration: signaling may settle it only once
    /// there are sockets, with the first offer or answer.
    ///
    /// A lite agent stays controlled, and the peer of one controlling.
    pub fn set_role(&mut self, now: Instant, role: Role) {
        self.context.config.role = role;
        let is_settled = self.context.config.lite || self.session.is_remote_lite();
        if !is_settled && self.context.role != role {
            self.context.role = role;
            self.session.forget_nominations();
            self.session.weigh_pairs(&self.context);
            self.session.select(&mut self.context, now);
        }
        self.drive(now);
    }

    /// Returns how far the agent is.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Returns the pair that data takes.
    #[must_use]
    pub fn selected_pair(&self) -> Option<SelectedPair> {
        let previous = || Some(&self.previous.as_ref()?.session);
        let selected = self.session.selected_pair(&self.context);
        selected.or_else(|| previous()?.selected_pair(&self.context))
    }

    /// Returns the counters.
    #[must_use]
    pub fn counters(&self) -> &AgentCounters {
        &self.context.counters
    }

    /// Takes a candidate of the other side.
    ///
    /// One whose username fragment belongs to parameters that have not come yet waits for them.
    ///
    /// # Errors
    /// When it is not accepted; see [`RemoteCandidateError`].
    pub fn add_remote_candidate(
        &mut self,
        now: Instant,
        candidate: Candidate,
    ) -> Result<(), RemoteCandidateError> {
        if self.state == State::Closed {
            return Err(RemoteCandidateError::Closed);
        }
        if !self.is_current(&candidate)? {
            return self.hold(candidate);
        }
        self.session.add_remote(&mut self.context, now, candidate)?;
        self.drive(now);
        Ok(())
    }

    /// Takes back a candidate of the other side: its pairs end.
    pub fn remove_remote_candidate(&mut self, now: Instant, candidate: &Candidate) {
        self.session.remove_remote(&mut self.context, candidate);
        self.session.select(&mut self.context, now);
        self.drive(now);
    }

    /// Says that the other side has no more candidates in this generation.
    pub fn end_of_remote_candidates(&mut self, now: Instant) {
        self.session.has_all_remotes = true;
        self.drive(now);
    }

    /// Takes the address of an mDNS name that [`Output::Resolve`] has asked for, or that there is
    /// none.
    pub fn handle_resolved(&mut self, now: Instant, name: &str, address: Option<IpAddr>) {
        self.session.resolved(&mut self.context, now, name, address);
        self.drive(now);
    }

    /// Sets the attributes that are added to every check from here on, in place of earlier ones.
    ///
    /// Those of a type below 0x8000 and all past 1,000 bytes are left out: checks have to be
    /// understood, and to fit into a packet.
    pub fn set_check_attributes(&mut self, attributes: Vec<OpaqueAttribute>) {
        let mut room = MAX_ATTRIBUTES;
        let mut fits = |attribute: &OpaqueAttribute| {
            let length = 4 + attribute.value.len();
            let fits = attribute.kind.value() >= 0x8000 && length <= room;
            room -= if fits { length } else { 0 };
            fits
        };
        self.context.attributes = attributes.into_iter().filter(|it| fits(it)).collect();
    }

    /// Takes a connection that [`Output::Connect`] has asked for.
    pub fn handle_connected(&mut self, now: Instant, id: ConnectionId, path: FiveTuple) {
        let (session, context) = (&mut self.session, &mut self.context);
        let is_servers = context.gatherer.handle_connected(now, id.0, path);
        if !is_servers && !session.connected(context, now, id, path) {
            context.close(path);
        }
        self.drive(now);
    }

    /// Takes the news that a connection could not be made.
    pub fn handle_connect_failed(&mut self, now: Instant, id: ConnectionId) {
        if !self.context.gatherer.handle_connect_failed(now, id.0) {
            self.session.connect_failed(&mut self.context, now, id);
        }
        self.drive(now);
    }

    /// Takes a connection that the other side has opened to a listener.
    pub fn handle_accepted(&mut self, now: Instant, path: FiveTuple) {
        self.context.accepted(now, path);
        self.drive(now);
    }

    /// Takes the end of a connection.
    pub fn handle_closed(&mut self, now: Instant, path: FiveTuple) {
        let context = &mut self.context;
        let is_known = context.gatherer.handle_closed(now, path)
            || context.forget_accepted(path)
            || self.session.closed(context, now, path);
        if !is_known && let Some(previous) = &mut self.previous {
            previous.session.closed(context, now, path);
        }
        self.drive(now);
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.drive(now);
        }
    }

    /// Returns the next thing to do; call it until it returns [`Output::Wait`].
    #[must_use]
    pub fn poll_output(&mut self) -> Output {
        match self.context.outputs.pop_front() {
            Some(output) => output,
            None => Output::Wait(self.deadline),
        }
    }

    /// Ends the session: connections are closed, and nothing is sent or answered any more.
    pub fn close(&mut self, now: Instant) {
        self.close_connections();
        self.previous = None;
        let local = restart::local_parameters(&self.context.config, &mut self.context.random);
        self.session = Session::new(local);
        self.context.locals.clear();
        self.context.bases.clear();
        self.context.addresses.clear();
        self.context.listeners.clear();
        self.context.names.clear();
        self.context.gatherer.close(now);
        self.drain_gatherer(now);
        self.set_state(State::Closed);
        self.deadline = None;
    }

    /// Does everything that is due, after any input but data.
    fn drive(&mut self, now: Instant) {
        if self.state == State::Closed {
            return;
        }
        if self.gather_deadline.is_some_and(|deadline| deadline <= now) {
            self.context.gatherer.handle_timeout(now);
        }
        self.drain_gatherer(now);
        let (session, context) = (&mut self.session, &mut self.context);
        session.expire_connections(context, now);
        session.maintain(context, now);
        session.give_up(context, now);
        session.revive(context, now);
        session.retry_lost(context, now);
        session.check(context, now);
        session.accept_all_lite(context, now);
        if session.next_choice(context, now).is_none() {
            session.select(context, now);
        }
        session.tidy(context, now);
        self.retire_previous(now);
        // Checks through relays have had the gatherer ask for permissions.
        self.drain_gatherer(now);
        let state = self.current_state(now);
        self.set_state(state);
        self.deadline = self.next_deadline(now);
    }

    fn current_state(&self, now: Instant) -> State {
        let state = self.session.state(&self.context, now, self.is_gathered);
        match &self.previous {
            // The old pair carries the data until the new one works.
            Some(previous) if !state.is_connected() => previous.state(&self.context, now, state),
            _ => state,
        }
    }

    fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let previous = self.previous.as_ref();
        let connections = self.context.connections.iter().map(|it| it.deadline).min();
        [
            self.session.next_deadline(&self.context, now),
            previous.and_then(|previous| previous.next_deadline(&self.context)),
            connections,
            self.gather_deadline,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn set_state(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.context.event(Event::StateChanged(state));
        }
    }

    fn close_connections(&mut self) {
        let sessions = std::iter::once(&self.session)
            .chain(self.previous.as_ref().map(|previous| &previous.session));
        let pairs = sessions.flat_map(|session| &session.pairs);
        let mut paths: Vec<FiveTuple> = pairs.filter_map(|pair| pair.connection).collect();
        paths.extend(self.context.take_accepted());
        for path in paths {
            self.context.close(path);
        }
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("role", &self.context.role)
            .field("state", &self.state)
            .field("counters", &self.context.counters)
            .finish_non_exhaustive()
    }
}

/// The most bytes of attributes that an application adds to a check.
const MAX_ATTRIBUTES: usize = 1_000;
