//! Forgetting what a session has found out and will not use.
//!
//! Twenty candidates a side make a hundred pairs of half a kilobyte. Once one is nominated and
//! nothing is left to check, those that have failed are of no use: candidates are kept, and a pair
//! is made again from them when all others are lost, when the other side checks it (which is how it
//! nominates one), or when a restart begins. Pairs that work stay for as long as their consent
//! does, a few that were lost and are better than the selected one until they work again, and those
//! whose consent has ended for good so that they are not checked again.

use std::time::{Duration, Instant};

use super::context::Context;
use super::pair::{Nominated, Pair, PairState};
use super::session::Session;

impl Session {
    /// Forgets pairs that are neither selected nor in reserve, and gives memory back, once there
    /// is nothing left to check.
    pub(super) fn tidy(&mut self, context: &mut Context, now: Instant) {
        let lost = self.lost_pairs(context);
        let is_idle = |pair: &Pair| {
            pair.is_idle(now) && self.selected != Some(pair.id) && !lost.contains(&pair.id)
        };
        let has_idle = self.pairs.iter().any(is_idle);
        let is_roomy = self.pairs.capacity() > self.pairs.len() || context.is_roomy();
        if !has_idle && !is_roomy || !self.is_settled(context) {
            return;
        }
        let selected = self.selected;
        self.pairs.retain(|pair| {
            !pair.is_idle(now) || selected == Some(pair.id) || lost.contains(&pair.id)
        });
        self.shrink();
        context.shrink();
    }

    /// Returns whether the selected pair works, is nominated, and no other one is checked.
    fn is_settled(&self, context: &Context) -> bool {
        let is_nominated = |pair: &Pair| matches!(pair.nomination, Nominated::Yes(_));
        let is_good = |pair: &Pair| pair.works() && is_nominated(pair);
        self.selected().is_some_and(is_good) && !self.has_checks(context)
    }

    fn shrink(&mut self) {
        self.pairs.shrink_to_fit();
        for pair in &mut self.pairs {
            pair.sent.shrink_to_fit();
        }
        self.remotes.shrink_to_fit();
        self.names.shrink_to_fit();
        self.early.shrink_to_fit();
        self.held.shrink_to_fit();
    }
}

impl Context {
    /// Returns whether the queue of outputs is as long as it was while many checks went out.
    fn is_roomy(&self) -> bool {
        self.outputs.capacity() > USUAL_OUTPUTS && self.outputs.len() <= USUAL_OUTPUTS
    }

    fn shrink(&mut self) {
        self.locals.shrink_to_fit();
        self.bases.shrink_to_fit();
        self.addresses.shrink_to_fit();
        self.names.shrink_to_fit();
        self.listeners.shrink_to_fit();
        self.connections.shrink_to_fit();
        self.outputs.shrink_to(USUAL_OUTPUTS);
        self.gatherer.shrink();
    }
}

impl Pair {
    /// Returns whether nothing would be lost with the pair.
    fn is_idle(&self, now: Instant) -> bool {
        let is_over = match self.state {
            PairState::Succeeded => false,
            PairState::Failed => true,
            // An answer may still be on its way.
            PairState::Waiting | PairState::InProgress => self.due.is_none_or(|due| due <= now),
        };
        let is_used = self.is_revoked
            || self.is_triggered
            || self.connection.is_some()
            || self.nomination != Nominated::No && self.state != PairState::Failed;
        let is_heard = self.heard.is_some_and(|at| now < at + HEARD);
        is_over && !is_used && !is_heard
    }
}

/// How many outputs one input has, once there is nothing left to check.
const USUAL_OUTPUTS: usize = 2;

/// How long a pair is kept after the other side was heard by it: longer than the time between the
/// checks of a pair that the other side has in reserve.
const HEARD: Duration = Duration::from_secs(40);
