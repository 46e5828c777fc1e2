//! How far an agent is, and when it has to be woken ([RFC 8863]).
//!
//! [RFC 8863]: https://www.rfc-editor.org/rfc/rfc8863

use std::time::{Duration, Instant};

use super::State;
use super::context::Context;
use super::pair::{Nominated, Pair, PairId, PairState};
use super::session::Session;

impl Session {
    /// Returns how far this generation is.
    pub(super) fn state(&self, context: &Context, now: Instant, is_gathered: bool) -> State {
        if self.lost.is_some() || self.selected.is_none() && self.selected_at.is_some() {
            return match self.can_recover(context, now) {
                true => State::Disconnected,
                false => State::Failed,
            };
        }
        if let Some(selected) = self.selected() {
            let is_nominated = matches!(selected.nomination, Nominated::Yes(_));
            let has_all = is_gathered && self.has_all_remotes;
            let is_over = is_nominated && has_all && !self.has_checks(context);
            return if is_over {
                State::Completed
            } else {
                State::Connected
            };
        }
        if self.remote.is_none() || self.remotes.is_empty() && self.pairs.is_empty() {
            return match self.is_patient(context, now) {
                true => State::New,
                false => State::Failed,
            };
        }
        match self.is_patient(context, now) || self.has_checks(context) {
            true => State::Checking,
            false => State::Failed,
        }
    }

    /// Returns whether a pair may still come up after all were lost: consent holds for one, or
    /// checks are under way.
    fn can_recover(&self, context: &Context, now: Instant) -> bool {
        let expiry = context.config.timing.consent_expiry;
        let is_young = self.lost.is_some_and(|lost| now < lost + expiry);
        is_young
            || self
                .pairs
                .iter()
                .any(|pair| pair.state == PairState::Succeeded)
    }

    /// Returns whether it is too early to give up ([RFC 8863 §4]).
    ///
    /// [RFC 8863 §4]: https://www.rfc-editor.org/rfc/rfc8863#section-4
    //= https://www.rfc-editor.org/rfc/rfc8863#section-4
    //# While the timer is still running, the ICE agent MUST NOT update a
    //# checklist state from Running to Failed, even if there are no pairs
    //# left in the checklist to check.
    fn is_patient(&self, context: &Context, now: Instant) -> bool {
        self.began
            .is_none_or(|began| now < began + context.config.timing.patience)
    }

    /// Checks failed pairs once more, now and then, while the agent is patient: all while none
    /// works, as the network may have been away when they were checked, and else those that are
    /// worth it.
    pub(super) fn revive(&mut self, context: &Context, now: Instant) {
        if self.next_revival(context).is_none_or(|at| at > now) {
            return;
        }
        self.revived = Some(now);
        let once = context.config.pacing.transmissions.saturating_sub(1);
        let failed: Vec<PairId> = self.revivable(context).collect();
        for id in failed {
            if let Some(pair) = self.pair_mut(id) {
                pair.reset();
                pair.transmissions = once;
            }
        }
    }

    /// Returns the failed pairs that are checked once more.
    ///
    /// While another pair works, these are the better ones that the other side was heard by: they
    /// work in one direction at least. A stream that stalls lets all repetitions of a check go at
    /// once, and one burst of losses on the way from the relay swallows them.
    fn revivable(&self, context: &Context) -> impl Iterator<Item = PairId> {
        let selected = self.selected().filter(|pair| pair.works());
        let rank = selected.map(|pair| self.rank(context, pair));
        let is_worth_it = move |pair: &&Pair| {
            let is_better = || pair.is_authenticated && Some(self.rank(context, pair)) > rank;
            pair.state == PairState::Failed && !pair.is_revoked && (rank.is_none() || is_better())
        };
        self.pairs.iter().filter(is_worth_it).map(|pair| pair.id)
    }

    /// Asks better pairs that were lost, now and then, whether they are back: a network that
    /// swallows datagrams for a minute would else keep data on a relay until the next restart.
    ///
    /// The time between doubles up to [`LONGEST_RETRY`]: both sides ask, and what one of them sends
    /// first opens its NAT for the other's. These few checks are not among those whose sum is
    /// bounded, and the state says nothing of them.
    pub(super) fn retry_lost(&mut self, context: &Context, now: Instant) {
        let lost = self.lost_pairs(context);
        if lost.is_empty() {
            self.retry = None;
            return;
        }
        let (at, pause) = *self.retry.get_or_insert((now + REVIVAL, REVIVAL));
        if at > now {
            return;
        }
        let pause = (pause * 2).min(LONGEST_RETRY);
        self.retry = Some((now + pause, pause));
        let once = context.config.pacing.transmissions.saturating_sub(1);
        for id in lost {
            if let Some(pair) = self.pair_mut(id).filter(|it| it.state == PairState::Failed) {
                pair.reset();
                pair.transmissions = once;
                pair.is_triggered = true;
                pair.is_retried = true;
            }
        }
    }

    /// Returns the best pairs that data would be moved back to, were they not lost: as many as are
    /// kept in reserve.
    pub(super) fn lost_pairs(&self, context: &Context) -> Vec<PairId> {
        let Some(selected) = self.selected().filter(|pair| pair.works()) else {
            return Vec::new();
        };
        let rank = self.rank(context, selected);
        let is_lost = |pair: &&Pair| {
            let is_over = pair.state == PairState::Failed || pair.is_retried;
            is_over && pair.losses > 0 && !pair.is_revoked && self.rank(context, pair) > rank
        };
        let mut lost: Vec<&Pair> = self.pairs.iter().filter(is_lost).collect();
        lost.sort_by_key(|pair| std::cmp::Reverse(self.rank(context, pair)));
        let kept = context.config.limits.reserves;
        lost.into_iter().take(kept).map(|pair| pair.id).collect()
    }

    fn next_revival(&self, context: &Context) -> Option<Instant> {
        let began = self.began?;
        self.revivable(context).next()?;
        let until = match self.lost {
            Some(lost) => lost + context.config.timing.consent_expiry,
            None => began + context.config.timing.patience,
        };
        let next = self.revived.unwrap_or(began) + REVIVAL;
        (next < until).then_some(next)
    }

    /// Returns when something is to be done next.
    pub(super) fn next_deadline(&self, context: &Context, now: Instant) -> Option<Instant> {
        let patience = self
            .began
            .map(|began| began + context.config.timing.patience);
        let is_open = self.selected.is_none() && self.selected_at.is_none();
        let patience = patience.filter(|at| is_open && *at > now);
        let expiry = self
            .lost
            .map(|lost| lost + context.config.timing.consent_expiry);
        [
            self.next_check(context, now),
            self.next_upkeep(context),
            self.next_choice(context, now),
            self.next_revival(context),
            self.retry.map(|(at, _)| at),
            patience,
            expiry.filter(|at| *at > now),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

/// How often failed pairs are checked once more.
const REVIVAL: Duration = Duration::from_secs(8);

/// The most time between two checks of a lost pair: less than the 30 s for which NATs keep their
/// mapping, so that the checks of both sides meet.
const LONGEST_RETRY: Duration = Duration::from_secs(24);
