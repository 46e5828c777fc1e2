//! The search for the lifetime of an idle mapping.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_sansio::Timers;

use super::config::LifetimeSearch;
use super::discovery::SocketId;
use super::exchange::{Exchanges, Outcome, Probe, Purpose};
use super::finding::{Finding, Reason};
use super::report::Lifetime;

/// What the lifetime test does ([RFC 5780 §4.6]).
///
/// [RFC 5780 §4.6]: https://www.rfc-editor.org/rfc/rfc5780#section-4.6
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The asking socket learns its own outside endpoint.
    Asker,
    /// It has an answer sent there by RESPONSE-PORT, to see whether the server does that.
    Support,
    /// A socket makes its mapping, and is idle from then on.
    Idle(usize),
    /// The asking socket has an answer sent to an idle one.
    Wake(usize),
}

/// Sockets are idle for different times, and then an answer is sent to each that was asked for by
/// another socket.
#[derive(Debug, Clone)]
pub(super) struct Test {
    search: LifetimeSearch,
    asker: Option<SocketId>,
    external: Option<SocketAddr>,
    idle: Vec<Idle>,
    timers: Timers<usize>,
    refined: usize,
    /// The longest time that a mapping was seen to live.
    alive: Duration,
    /// The shortest time after which one was seen to have ended.
    ended: Option<Duration>,
    /// Why there will be no result.
    failed: Option<Reason>,
    finished: bool,
}

#[derive(Debug, Clone)]
struct Idle {
    socket: SocketId,
    is_bound: bool,
    mapped: Option<SocketAddr>,
    since: Option<Instant>,
    /// How long it is to be idle.
    wait: Duration,
    resolved: bool,
}

impl Test {
    pub(super) fn new(search: LifetimeSearch) -> Self {
        Self {
            search,
            asker: None,
            external: None,
            idle: Vec::new(),
            timers: Timers::new(),
            refined: 0,
            alive: Duration::ZERO,
            ended: None,
            failed: None,
            finished: false,
        }
    }

    /// Adds an idle socket, which is to be bound.
    pub(super) fn add(&mut self, socket: SocketId) {
        self.idle.push(Idle {
            socket,
            is_bound: false,
            mapped: None,
            since: None,
            wait: Duration::ZERO,
            resolved: true,
        });
    }

    /// Notes that an idle socket is bound.
    pub(super) fn bound(&mut self, index: usize) {
        if let Some(idle) = self.idle.get_mut(index) {
            idle.is_bound = true;
        }
    }

    /// Begins, with the asking socket; it is the last to be bound.
    pub(super) fn start(
        &mut self,
        now: Instant,
        socket: SocketId,
        server: SocketAddr,
        exchanges: &mut Exchanges,
    ) {
        self.asker = Some(socket);
        exchanges.ask(
            now,
            Probe::new(socket, server, Purpose::Lifetime(Step::Asker)),
        );
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Wakes the sockets whose time has come.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        server: SocketAddr,
        exchanges: &mut Exchanges,
    ) {
        while let Some(index) = self.timers.expire(now) {
            let mapped = self.idle.get(index).and_then(|idle| idle.mapped);
            if let (Some(asker), Some(mapped)) = (self.asker, mapped) {
                let purpose = Purpose::Lifetime(Step::Wake(index));
                exchanges.ask(
                    now,
                    Probe {
                        response_port: Some(mapped.port()),
                        ..Probe::new(asker, server, purpose)
                    },
                );
            }
        }
    }

    pub(super) fn handle(
        &mut self,
        now: Instant,
        step: Step,
        outcome: Outcome,
        server: SocketAddr,
        exchanges: &mut Exchanges,
    ) {
        if self.finished {
            return;
        }
        match (step, outcome) {
            (Step::Asker, Outcome::Answered(answer)) => {
                self.external = Some(answer.mapped);
                let purpose = Purpose::Lifetime(Step::Support);
                exchanges.ask(
                    now,
                    Probe {
                        response_port: Some(answer.mapped.port()),
                        ..Probe::new(answer.from, server, purpose)
                    },
                );
            }
            (Step::Asker, Outcome::Refused) => self.fail(Reason::Refused),
            (Step::Asker, _) => self.fail(Reason::NoAnswer),
            (Step::Support, Outcome::Answered(_)) => self.begin_idling(now, server, exchanges),
            (Step::Support, _) => self.fail(Reason::Refused),
            (Step::Idle(index), Outcome::Answered(answer)) => {
                self.note_idle(now, index, answer.mapped);
            }
            (Step::Idle(index), _) => self.resolve(now, index, server, exchanges),
            (Step::Wake(index), outcome) => {
                self.note_awake(now, index, outcome);
                self.resolve(now, index, server, exchanges);
            }
        }
    }

    /// Gives every socket a time to be idle for, evenly between the bounds that are known, and a
    /// mapping.
    fn begin_idling(&mut self, now: Instant, server: SocketAddr, exchanges: &mut Exchanges) {
        let bound = self.idle.iter().filter(|idle| idle.is_bound).count();
        let parts = u32::try_from(bound).unwrap_or(u32::MAX);
        // The first search tries the limit itself; a refinement has seen its upper bound.
        let (upper, parts) = match self.ended {
            Some(ended) => (ended, parts.saturating_add(1)),
            None => (self.search.limit, parts),
        };
        let part = upper.saturating_sub(self.alive) / parts.max(1);
        let mut wait = self.alive;
        for (index, idle) in self.idle.iter_mut().enumerate() {
            if !idle.is_bound {
                continue;
            }
            wait += part;
            (idle.wait, idle.mapped, idle.since, idle.resolved) = (wait, None, None, false);
            let purpose = Purpose::Lifetime(Step::Idle(index));
            exchanges.ask(now, Probe::new(idle.socket, server, purpose));
        }
        if bound == 0 {
            self.fail(Reason::NoSocket);
        }
    }

    fn note_idle(&mut self, now: Instant, index: usize, mapped: SocketAddr) {
        if self
            .external
            .is_some_and(|external| external.ip() != mapped.ip())
        {
            return self.fail(Reason::SeveralExternalAddresses);
        }
        if let Some(idle) = self.idle.get_mut(index) {
            (idle.mapped, idle.since) = (Some(mapped), Some(now));
            self.timers.set(index, now + idle.wait);
        }
    }

    fn note_awake(&mut self, now: Instant, index: usize, outcome: Outcome) {
        let Some(idle) = self.idle.get(index) else {
            return;
        };
        let lived = matches!(outcome, Outcome::Answered(answer) if answer.at == idle.socket);
        if lived {
            self.alive = self.alive.max(idle.wait);
            // What was taken for an end before was loss.
            self.ended = self.ended.filter(|ended| *ended > self.alive);
        } else if let Some(since) = idle.since {
            let after = now.saturating_duration_since(since);
            let wait = idle.wait;
            if after > self.alive {
                self.ended = Some(self.ended.map_or(after, |ended| ended.min(after)));
            }
            self.give_up_longer(wait);
        }
    }

    /// Gives up the sockets that would be idle for longer than one whose mapping has ended.
    fn give_up_longer(&mut self, wait: Duration) {
        for (index, idle) in self.idle.iter_mut().enumerate() {
            if idle.wait > wait && !idle.resolved && self.timers.cancel(&index).is_some() {
                idle.resolved = true;
            }
        }
    }

    /// Notes that a socket has told what it can; after the last one, searches closer or ends.
    fn resolve(
        &mut self,
        now: Instant,
        index: usize,
        server: SocketAddr,
        exchanges: &mut Exchanges,
    ) {
        if let Some(idle) = self.idle.get_mut(index) {
            idle.resolved = true;
        }
        if !self.idle.iter().all(|idle| idle.resolved) {
            return;
        }
        let width = self.ended.map(|ended| ended.saturating_sub(self.alive));
        if width.is_some_and(|width| width > CLOSE) && self.refined < self.search.refinements {
            self.refined += 1;
            self.begin_idling(now, server, exchanges);
        } else {
            self.finished = true;
        }
    }

    fn fail(&mut self, reason: Reason) {
        self.failed = Some(reason);
        self.finished = true;
        self.timers = Timers::new();
    }

    pub(super) fn finding(&self) -> Finding<Lifetime> {
        if let Some(reason) = self.failed {
            return Finding::Unknown(reason);
        }
        if self.asker.is_none() {
            return Finding::Unknown(Reason::NoSocket);
        }
        if !self.finished {
            return Finding::Unknown(Reason::NotFinished);
        }
        if self.alive.is_zero() && self.ended.is_none() {
            return Finding::Unknown(Reason::NoAnswer);
        }
        Finding::Known(Lifetime {
            at_least: self.alive,
            at_most: self.ended,
        })
    }
}

/// Bounds that are as close as this are close enough.
const CLOSE: Duration = Duration::from_secs(2);
