//! One ICE generation: credentials, remote candidates, pairs.

use std::time::{Duration, Instant};

use jackfield_stun::Key;

use super::checklist::Pacer;
use super::context::Context;
use super::early::{EarlyCheck, EarlyDatagram};
use super::local::LocalId;
use super::pair::{Pair, PairId};
use super::remote::{Remote, RemoteId};
use crate::candidate::{Candidate, MdnsName};
use crate::parameters::IceParameters;

/// One ICE generation.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) local: IceParameters,
    pub(super) local_key: Key,
    /// The other side's parameters and what their password is as a key, once they came.
    pub(super) remote: Option<RemoteSide>,
    pub(super) remotes: Vec<Remote>,
    pub(super) remotes_made: u32,
    /// Candidates of a generation that the other side has not announced yet.
    pub(super) held: Vec<Candidate>,
    /// The mDNS names that were looked up.
    pub(super) names: Vec<MdnsName>,
    /// Checks that came before the other side's parameters.
    pub(super) early: Vec<EarlyCheck>,
    /// Datagrams of the application that came with them.
    pub(super) early_data: Vec<EarlyDatagram>,
    /// Whether the other side has no more candidates.
    pub(super) has_all_remotes: bool,
    pub(super) pairs: Vec<Pair>,
    pub(super) pairs_made: u32,
    pub(super) pacer: Pacer,
    /// The pair that data takes.
    pub(super) selected: Option<PairId>,
    /// When the selected pair became that.
    pub(super) selected_at: Option<Instant>,
    /// The last value of NOMINATION.
    pub(super) nominations: u32,
    /// When checks began: both sides' parameters are known (RFC 8863 §4).
    pub(super) began: Option<Instant>,
    /// Since when no pair works, after one did.
    pub(super) lost: Option<Instant>,
    /// When the selected pair last missed an answer, and all others were asked.
    pub(super) suspected: Option<Instant>,
    /// When failed pairs were last checked once more.
    pub(super) revived: Option<Instant>,
    /// When better pairs that were lost are asked next whether they are back, if there are any, and
    /// after what time.
    pub(super) retry: Option<(Instant, Duration)>,
    /// Whether the application was asked for a restart.
    pub(super) has_asked_restart: bool,
}

/// The other side of a generation.
#[derive(Debug)]
pub(super) struct RemoteSide {
    pub(super) parameters: IceParameters,
    pub(super) key: Key,
}

impl RemoteSide {
    pub(super) fn new(parameters: IceParameters) -> Self {
        let key = Key::short_term(parameters.credentials.password());
        Self { parameters, key }
    }
}

impl Session {
    pub(super) fn new(local: IceParameters) -> Self {
        Self {
            local_key: Key::short_term(local.credentials.password()),
            local,
            remote: None,
            remotes: Vec::new(),
            remotes_made: 0,
            held: Vec::new(),
            names: Vec::new(),
            early: Vec::new(),
            early_data: Vec::new(),
            has_all_remotes: false,
            pairs: Vec::new(),
            pairs_made: 0,
            pacer: Pacer::default(),
            selected: None,
            selected_at: None,
            nominations: 0,
            began: None,
            lost: None,
            suspected: None,
            revived: None,
            retry: None,
            has_asked_restart: false,
        }
    }

    pub(super) fn pair(&self, id: PairId) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.id == id)
    }

    pub(super) fn pair_mut(&mut self, id: PairId) -> Option<&mut Pair> {
        self.pairs.iter_mut().find(|pair| pair.id == id)
    }

    pub(super) fn selected(&self) -> Option<&Pair> {
        self.pair(self.selected?)
    }

    /// Returns the pair of a base and a remote candidate.
    pub(super) fn pair_of(&self, local: LocalId, remote: RemoteId) -> Option<PairId> {
        let is_it = |pair: &&Pair| pair.local == local && pair.remote == remote;
        self.pairs.iter().find(is_it).map(|pair| pair.id)
    }

    /// Removes pairs and closes their connections; selects none in place of the selected one.
    pub(super) fn remove_pairs(&mut self, context: &mut Context, is_gone: impl Fn(&Pair) -> bool) {
        let pairs = std::mem::take(&mut self.pairs).into_iter();
        let (gone, kept): (Vec<Pair>, Vec<Pair>) = pairs.partition(is_gone);
        self.pairs = kept;
        for pair in gone {
            if let Some(path) = pair.connection {
                context.close(path);
            }
            if self.selected == Some(pair.id) {
                self.selected = None;
            }
        }
    }

    /// Returns whether the other side is a lite agent.
    pub(super) fn is_remote_lite(&self) -> bool {
        self.remote
            .as_ref()
            .is_some_and(|remote| remote.parameters.lite)
    }
}
