//! Consent, keepalives, and finding out that a pair has stopped working ([RFC 7675]).
//!
//! The selected pair is checked every 4 to 6 s. RFC 7675 sends each of these checks once and lets
//! 30 s pass without an answer; an application would notice its silence long before. So an
//! unanswered check is followed by probes, half a second apart, and after four of them the pair
//! counts as lost: data moves to a pair in reserve, which was asked meanwhile whether it works, and
//! a relay that is reached by a stream is asked whether it is still there.
//! Consent itself stays what RFC 7675 says: after 30 s without an answer nothing is sent there any
//! more.
//!
//! [RFC 7675]: https://www.rfc-editor.org/rfc/rfc7675

use std::time::{Duration, Instant};

use super::context::Context;
use super::pair::{Pair, PairId, PairState};
use super::request::Purpose;
use super::session::Session;
use super::{Event, Role};

impl Session {
    /// Sends what is due to keep pairs working, and notes which do not.
    pub(super) fn maintain(&mut self, context: &mut Context, now: Instant) {
        self.expire_consent(context, now);
        let is_due = |pair: &&Pair| pair.upkeep.is_some_and(|due| due <= now);
        let due: Vec<PairId> = self
            .pairs
            .iter()
            .filter(is_due)
            .map(|pair| pair.id)
            .collect();
        for id in due {
            self.probe(context, now, id);
        }
        self.ask_restart(context, now);
    }

    /// Sends one check for consent, and plans the next.
    fn probe(&mut self, context: &mut Context, now: Instant, id: PairId) {
        let limit = context.config.timing.unanswered_probes;
        let is_selected = self.selected == Some(id);
        let Some(pair) = self.pair_mut(id) else {
            return;
        };
        let was_lost = pair.is_lost;
        if pair.unanswered >= limit && !pair.is_lost {
            pair.is_lost = true;
            pair.losses = pair.losses.saturating_add(1);
        }
        let (is_lost, is_suspect) = (pair.is_lost && !was_lost, pair.unanswered == 1);
        pair.unanswered = pair.unanswered.saturating_add(1);
        let longest = if is_selected {
            SELECTED_GAP
        } else {
            LONGEST_GAP
        };
        let gap = probe_gap(context, pair, longest);
        pair.upkeep = Some(now + gap);
        self.send_check(context, now, id, Purpose::Upkeep);
        if is_suspect {
            self.ask_after_relay(context, now, id);
        }
        if is_suspect && is_selected {
            self.ask_reserves(context, now);
        }
        if is_lost && is_selected {
            self.lose_silent(context, now);
        }
        if is_lost {
            self.dial_anew(context);
        }
        if is_lost {
            self.select(context, now);
        }
    }

    /// Counts as lost, with the selected pair, those that were asked when it fell silent and have
    /// not answered since: data would only go from one dead pair to the next.
    fn lose_silent(&mut self, context: &Context, now: Instant) {
        let Some(asked) = self.suspected else { return };
        let is_silent = |pair: &&mut Pair| pair.works() && pair.answered < Some(asked);
        for pair in self.pairs.iter_mut().filter(is_silent) {
            pair.is_lost = true;
            pair.losses = pair.losses.saturating_add(1);
            pair.unanswered = context.config.timing.unanswered_probes;
            pair.upkeep = Some(now + LONGEST_GAP);
        }
    }

    /// Has the pairs whose connection was lost open another one, where that is ours to do.
    ///
    /// A NAT or firewall that has forgotten a connection drops its segments for as long as they
    /// come; TCP itself would try for minutes.
    fn dial_anew(&mut self, context: &mut Context) {
        let mut closed = Vec::new();
        let is_lost = |pair: &&mut Pair| pair.state == PairState::Succeeded && pair.is_lost;
        for pair in self.pairs.iter_mut().filter(is_lost) {
            let local = context.local(pair.local);
            let dials = local.is_some_and(|local| local.candidate.transport.dials());
            if !dials || pair.connection.is_none() {
                continue;
            }
            closed.extend(pair.connection.take());
            pair.reset();
            pair.sent.clear();
            pair.upkeep = None;
            if self.selected == Some(pair.id) {
                self.selected = None;
            }
        }
        for path in closed {
            context.close(path);
        }
    }

    /// Asks the pairs in reserve whether they work, because the selected one may not.
    fn ask_reserves(&mut self, context: &mut Context, now: Instant) {
        self.suspected = Some(now);
        let selected = self.selected;
        let is_reserve = |pair: &&mut Pair| Some(pair.id) != selected && pair.works();
        for pair in self.pairs.iter_mut().filter(is_reserve) {
            if pair.unanswered == 0 {
                pair.is_triggered = true;
            }
        }
        self.send_triggered(context, now);
    }

    /// Asks the server of a relayed pair, reached by a stream, whether it is there: either it or
    /// the other side is gone.
    fn ask_after_relay(&self, context: &mut Context, now: Instant, id: PairId) {
        let local = self.pair(id).and_then(|pair| context.local(pair.local));
        if let Some(relayed) = local.filter(|it| it.is_relayed()).map(|it| it.base) {
            context.gatherer.ask_after(now, relayed);
        }
    }

    /// Plans the next check of a pair that was just answered.
    pub(super) fn plan_upkeep(&mut self, context: &mut Context, now: Instant, id: PairId) {
        if context.config.lite {
            return;
        }
        let is_selected = self.selected == Some(id);
        let is_kept = is_selected || self.is_reserve(context, id);
        let timing = context.config.timing;
        //= https://www.rfc-editor.org/rfc/rfc7675#section-5.1
        //# each
        //# interval MUST be randomized from between 0.8 and 1.2 times the basic
        //# period.
        let pause = match is_selected {
            true => context.randomized(timing.consent_interval.max(LEAST_CONSENT_INTERVAL)),
            false => context.randomized(timing.keepalive),
        };
        let is_new = self.selected_is_new(context);
        let rto = self.pair(id).map(|pair| self.rto(context, pair));
        let Some(pair) = self.pair_mut(id) else {
            return;
        };
        if pair.state != PairState::Succeeded || pair.is_revoked {
            return;
        }
        pair.upkeep = match (is_selected && is_new, rto) {
            // The nomination is repeated as a check is, until it is answered.
            (true, Some(rto)) => Some(now + rto),
            _ => is_kept.then(|| now + pause),
        };
    }

    /// Returns whether the selected pair's nomination was not answered yet.
    fn selected_is_new(&self, context: &Context) -> bool {
        let is_asked = |pair: &Pair| matches!(pair.nomination, super::pair::Nominated::Asked(_));
        context.role == Role::Controlling && self.selected().is_some_and(is_asked)
    }

    /// Plans the checks of all pairs anew: the selected one has changed.
    pub(super) fn plan_all_upkeep(&mut self, context: &mut Context, now: Instant) {
        let is_answered = |pair: &&Pair| pair.state == PairState::Succeeded && pair.unanswered == 0;
        let answered: Vec<PairId> = self
            .pairs
            .iter()
            .filter(is_answered)
            .map(|pair| pair.id)
            .collect();
        for id in answered {
            self.plan_upkeep(context, now, id);
        }
    }

    /// Returns whether a pair is one of those that are kept working in reserve: the best ones, but
    /// first of all one that leaves the host by another way than the selected one.
    ///
    /// The controlling side keeps them for both, as its checks and their answers refresh the NATs
    /// of both.
    fn is_reserve(&self, context: &Context, id: PairId) -> bool {
        let Some(selected) = self.selected() else {
            return true;
        };
        if context.role == Role::Controlled && !self.is_remote_lite() {
            return false;
        }
        let link = context.link(selected);
        let mut reserves: Vec<&Pair> = self
            .pairs
            .iter()
            .filter(|pair| pair.works() && pair.id != selected.id)
            .collect();
        reserves.sort_by_key(|pair| {
            let is_elsewhere = context.link(pair) != link;
            std::cmp::Reverse((is_elsewhere, self.rank(context, pair)))
        });
        let kept = context.config.limits.reserves;
        reserves.iter().take(kept).any(|pair| pair.id == id)
    }

    /// Ends the consent of pairs that were not answered for too long.
    ///
    /// Consent is lost where it is wanted: on the pair that data takes, or would take. A pair that
    /// data has left for one that works carries none, and its checks are connectivity checks again.
    /// They may go on, as those of a pair that never worked may.
    fn expire_consent(&mut self, context: &mut Context, now: Instant) {
        if self.are_both_lite(context) {
            return;
        }
        let expiry = context.config.timing.consent_expiry;
        let is_over = |pair: &&Pair| {
            let age = pair.answered.map(|at| now.saturating_duration_since(at));
            pair.state == PairState::Succeeded && age.is_some_and(|age| age >= expiry)
        };
        let over: Vec<PairId> = self
            .pairs
            .iter()
            .filter(is_over)
            .map(|pair| pair.id)
            .collect();
        for id in over {
            let is_kept = self.pair(id).is_some_and(|pair| pair.upkeep.is_some());
            let is_left = self.selected != Some(id) && self.selected().is_some_and(Pair::works);
            if context.config.lite || !is_kept || is_left {
                // Nothing was refused: the pair may be checked again.
                self.end_pair(id);
                self.select(context, now);
            } else {
                self.revoke(context, now, id);
            }
        }
    }

    /// Ends the consent of a pair for good.
    //= https://www.rfc-editor.org/rfc/rfc7675#section-5.1
    //# After consent is lost, the same ICE credentials MUST NOT be used on
    //# the affected 5-tuple again.
    pub(super) fn revoke(&mut self, context: &mut Context, now: Instant, id: PairId) {
        context.counters.consent_lost += 1;
        self.end_pair(id);
        if let Some(pair) = self.pair_mut(id) {
            pair.is_revoked = true;
        }
        self.select(context, now);
    }

    /// Fails a pair, and selects none in its place.
    fn end_pair(&mut self, id: PairId) {
        if let Some(pair) = self.pair_mut(id) {
            pair.fail();
        }
        if self.selected == Some(id) {
            self.selected = None;
        }
    }

    /// Starts looking for a pair again, because none works any more.
    pub(super) fn note_lost(&mut self, context: &mut Context, now: Instant) {
        if self.selected_at.is_none() || self.lost.is_some() {
            return;
        }
        self.lost = Some(now);
        self.pacer.restart();
        // Pairs that were forgotten while another one worked may work today.
        self.pair_all(context);
        let is_idle = |pair: &&mut Pair| {
            let is_stale = pair.works() && !pair.is_fresh(context, now);
            let is_over = matches!(pair.state, PairState::Failed | PairState::InProgress);
            !pair.is_revoked && (is_over || is_stale)
        };
        let mut closed = Vec::new();
        for pair in self.pairs.iter_mut().filter(is_idle) {
            closed.extend(pair.connection.take());
            pair.reset();
        }
        for path in closed {
            context.close(path);
        }
    }

    /// Asks the application for a restart, once no pair has worked for a while.
    fn ask_restart(&mut self, context: &mut Context, now: Instant) {
        if self.next_restart(context).is_some_and(|at| at <= now) {
            self.has_asked_restart = true;
            context.event(Event::RestartNeeded);
        }
    }

    fn next_restart(&self, context: &Context) -> Option<Instant> {
        let lost = self.lost.filter(|_| !self.has_asked_restart)?;
        Some(lost + context.config.timing.restart_after)
    }

    /// Returns when [`Session::maintain`] has something to do next.
    pub(super) fn next_upkeep(&self, context: &Context) -> Option<Instant> {
        let expiry = context.config.timing.consent_expiry;
        let are_lite = self.are_both_lite(context);
        let of_pair = |pair: &Pair| {
            if pair.state != PairState::Succeeded || are_lite {
                return None;
            }
            let expires = pair.answered.map(|at| at + expiry);
            [pair.upkeep, expires].into_iter().flatten().min()
        };
        let pairs = self.pairs.iter().filter_map(of_pair);
        pairs.chain(self.next_restart(context)).min()
    }
}

impl Pair {
    /// Notes an answer.
    pub(super) fn note_answered(&mut self, now: Instant) {
        self.answered = Some(now);
        self.unanswered = 0;
        if self.is_lost {
            self.is_lost = false;
            self.recovered = Some(now);
        }
    }
}

/// Returns how long to wait for the answer to a probe.
fn probe_gap(context: &Context, pair: &Pair, longest: Duration) -> Duration {
    let timing = &context.config.timing;
    let least = timing.probe_interval.max(3 * pair.rtt.unwrap_or_default());
    let over = pair
        .unanswered
        .saturating_sub(timing.unanswered_probes)
        .min(8);
    least
        .saturating_mul(1 << over)
        .min(longest.max(least))
        .min(LONGEST_GAP)
}

/// The least mean time between consent checks: 0.8 times that is the 4 s of RFC 7675.
const LEAST_CONSENT_INTERVAL: Duration = Duration::from_secs(5);

/// The most time between two probes of a pair that does not answer. The round trip of a stream that
/// has stalled says nothing of the next one.
const LONGEST_GAP: Duration = Duration::from_secs(3);

/// The same for the pair that data takes, which waits for the path to come back, unless three round
/// trips take longer.
const SELECTED_GAP: Duration = Duration::from_secs(1);
