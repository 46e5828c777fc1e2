//! The other side's parameters, and ICE restarts ([RFC 8445 §9]).
//!
//! A restart replaces the [`Session`]; the old one stays, with the pair that data takes, until a
//! pair of the new one works. So a restart costs no packet, and nothing of the old generation can
//! reach the new one.
//!
//! [RFC 8445 §9]: https://www.rfc-editor.org/rfc/rfc8445#section-9

use std::time::{Duration, Instant};

use rand_chacha::ChaCha12Rng;

use super::connection::ConnectionPurpose;
use super::context::Context;
use super::session::{RemoteSide, Session};
use super::{Agent, AgentConfig, RemoteCandidateError, Role, State};
use crate::candidate::Candidate;
use crate::parameters::{Credentials, IceOptions, IceParameters};

/// The generation before a restart.
#[derive(Debug)]
pub(super) struct Previous {
    pub(super) session: Session,
    /// When it ends, once the new generation works: until then, packets may still come by it.
    ends: Option<Instant>,
}

/// Why parameters of the other side cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ParametersError {
    /// The agent was closed.
    #[error("the agent was closed")]
    Closed,
    /// We have restarted, and the other side has not.
    #[error("the other side has not restarted: its username fragment is the old one")]
    NotRestarted,
    /// They are ours.
    #[error("these are this agent's own parameters")]
    Own,
}

impl Previous {
    /// Returns the state while the new generation is in `state` and does not work.
    pub(super) fn state(&self, context: &Context, now: Instant, state: State) -> State {
        match self.session.state(context, now, false) {
            old @ (State::Connected | State::Completed) => old,
            State::Disconnected if state != State::Failed => State::Disconnected,
            _ => state,
        }
    }

    pub(super) fn next_deadline(&self, context: &Context) -> Option<Instant> {
        let upkeep = self.session.next_upkeep(context);
        [upkeep, self.ends].into_iter().flatten().min()
    }
}

impl Agent {
    /// Takes the other side's parameters.
    ///
    /// Parameters with other credentials than the last ones are an ICE restart of the other side,
    /// and restart this one, too: [`Agent::local_parameters`] are new then, and are to be sent back
    /// with the answer. The same ones change only the options.
    ///
    /// # Errors
    /// When they cannot be of another agent, or not of this generation; nothing has changed then.
    pub fn set_remote_parameters(
        &mut self,
        now: Instant,
        parameters: IceParameters,
    ) -> Result<(), ParametersError> {
        if self.state == State::Closed {
            return Err(ParametersError::Closed);
        }
        if parameters.credentials.ufrag() == self.session.local.credentials.ufrag() {
            return Err(ParametersError::Own);
        }
        match &mut self.session.remote {
            Some(remote) if remote.parameters.credentials == parameters.credentials => {
                remote.parameters = parameters;
                return Ok(());
            }
            Some(_) => self.restart(now),
            None => {
                let old = self
                    .previous
                    .as_ref()
                    .and_then(|previous| previous.session.remote.as_ref());
                if old.is_some_and(|old| old.parameters.credentials == parameters.credentials) {
                    return Err(ParametersError::NotRestarted);
                }
            }
        }
        self.settle_lite(&parameters);
        self.session.remote = Some(RemoteSide::new(parameters));
        self.session.began = Some(now);
        for candidate in std::mem::take(&mut self.session.held) {
            // An error has no caller to go to: the calls that brought the candidates have returned.
            let _ = self.add_remote_candidate(now, candidate);
        }
        self.session.replay_early(&mut self.context, now);
        self.drive(now);
        Ok(())
    }

    /// Starts a new generation: new credentials, which have to be exchanged with the other side
    /// anew, as all candidates have. Data goes on by the old pair until a new one works.
    pub fn restart(&mut self, now: Instant) {
        if self.state == State::Closed {
            return;
        }
        let local = local_parameters(&self.context.config, &mut self.context.random);
        let mut old = std::mem::replace(&mut self.session, Session::new(local));
        self.session.held = std::mem::take(&mut old.held);
        self.drop_openings();
        if let Some(selected) = old.selected {
            old.remove_pairs(&mut self.context, |pair| pair.id != selected);
            old.has_asked_restart = true;
            let old = Previous {
                session: old,
                ends: None,
            };
            if let Some(older) = self.previous.replace(Box::new(old)) {
                self.end(older.session);
            }
        } else {
            self.end(old);
        }
        self.announce_all();
        self.is_gathered = false;
        self.context.gatherer.restart(now);
        self.drive(now);
    }

    /// Returns whether a candidate belongs to this generation; not if it has to wait for its
    /// parameters.
    pub(super) fn is_current(&self, candidate: &Candidate) -> Result<bool, RemoteCandidateError> {
        let Some(remote) = &self.session.remote else {
            let is_old = self.is_previous(candidate);
            return if is_old {
                Err(RemoteCandidateError::Outdated)
            } else {
                Ok(false)
            };
        };
        match candidate.ufrag.as_deref() {
            Some(ufrag) if ufrag != remote.parameters.credentials.ufrag() => {
                match self.is_previous(candidate) {
                    true => Err(RemoteCandidateError::Outdated),
                    false => Ok(false),
                }
            }
            Some(_) | None => Ok(true),
        }
    }

    fn is_previous(&self, candidate: &Candidate) -> bool {
        let remote = self
            .previous
            .as_ref()
            .and_then(|previous| previous.session.remote.as_ref());
        remote.is_some_and(|remote| {
            candidate.ufrag.as_deref() == Some(remote.parameters.credentials.ufrag())
        })
    }

    /// Keeps a candidate until its parameters come.
    pub(super) fn hold(&mut self, candidate: Candidate) -> Result<(), RemoteCandidateError> {
        if self.session.held.len() >= self.context.config.limits.remote_candidates {
            self.context.counters.dropped_candidates += 1;
            return Err(RemoteCandidateError::TooMany);
        }
        self.session.held.push(candidate);
        Ok(())
    }

    /// Ends the old generation some time after the new one works.
    pub(super) fn retire_previous(&mut self, now: Instant) {
        let is_replaced = self.session.selected.is_some();
        let Some(previous) = &mut self.previous else {
            return;
        };
        if is_replaced && previous.ends.is_none() {
            previous.ends = Some(now + RETIREMENT);
        }
        previous.session.maintain(&mut self.context, now);
        if previous.ends.is_some_and(|ends| ends <= now)
            && let Some(previous) = self.previous.take()
        {
            self.end(previous.session);
        }
    }

    /// Closes the connections of a generation that is over.
    fn end(&mut self, session: Session) {
        for path in session.pairs.iter().filter_map(|pair| pair.connection) {
            self.context.close(path);
        }
    }

    /// Forgets the connections that pairs of the old generation are opening; the driver closes
    /// them when they come.
    fn drop_openings(&mut self) {
        let is_accepted = |purpose| matches!(purpose, ConnectionPurpose::Accepted(_));
        self.context
            .connections
            .retain(|known| is_accepted(known.purpose));
    }

    /// Tells the application all candidates, with the new username fragment.
    fn announce_all(&mut self) {
        let ufrag = self.session.local.credentials.ufrag();
        let ids: Vec<_> = self.context.locals.iter().map(|local| local.id).collect();
        for id in ids {
            self.context.announce(id, ufrag);
        }
    }

    /// Takes the role that one or two lite agents leave ([RFC 8445 §6.1.1]).
    ///
    /// [RFC 8445 §6.1.1]: https://www.rfc-editor.org/rfc/rfc8445#section-6.1.1
    fn settle_lite(&mut self, remote: &IceParameters) {
        let role = match (self.context.config.lite, remote.lite) {
            (false, true) => Role::Controlling,
            (true, true) => self.context.config.role,
            (true, false) | (false, false) => return,
        };
        if self.context.role != role {
            self.session.switch_role(&mut self.context);
        }
    }
}

/// Returns new local parameters.
pub(super) fn local_parameters(config: &AgentConfig, random: &mut ChaCha12Rng) -> IceParameters {
    IceParameters {
        credentials: Credentials::generate(random),
        options: IceOptions {
            trickle: true,
            ice2: true,
            renomination: config.renomination,
            others: Vec::new(),
        },
        lite: config.lite,
        pacing: Some(config.pacing.interval),
    }
}

/// How long an old generation is kept after the new one works ([RFC 8445 §8.3.1]).
///
/// [RFC 8445 §8.3.1]: https://www.rfc-editor.org/rfc/rfc8445#section-8.3.1
const RETIREMENT: Duration = Duration::from_secs(3);
