//! When which check goes out ([RFC 8445 §6.1.4], §14).
//!
//! [RFC 8445 §6.1.4]: https://www.rfc-editor.org/rfc/rfc8445#section-6.1.4

use std::time::{Duration, Instant};

use super::context::Context;
use super::pair::{Pair, PairId, PairState};
use super::request::Purpose;
use super::session::Session;
use crate::candidate::CandidateTransport;

impl Session {
    /// Sends what is due, and gives up what has not been answered.
    pub(super) fn check(&mut self, context: &mut Context, now: Instant) {
        if self.remote.is_none() || context.config.lite {
            return;
        }
        self.send_triggered(context, now);
        while self.pacer.is_ready(now) {
            let Some(id) = self.next_paced(context, now) else {
                break;
            };
            let proposed = self.proposed_ta(context);
            self.pacer.advance(now, &context.config.pacing, proposed);
            self.send_or_connect(context, now, id);
        }
    }

    /// Sends the checks that were triggered, as far as their bucket allows.
    pub(super) fn send_triggered(&mut self, context: &mut Context, now: Instant) {
        if self.remote.is_none() {
            return;
        }
        let ids: Vec<PairId> = self
            .pairs
            .iter()
            .filter(|pair| pair.is_triggered && pair.is_alive())
            .map(|pair| pair.id)
            .collect();
        for id in ids {
            if !context
                .triggered
                .take(now, context.config.pacing.triggered, 1)
            {
                return;
            }
            if let Some(pair) = self.pair_mut(id) {
                pair.is_triggered = false;
            }
            self.send_or_connect(context, now, id);
        }
    }

    /// Sends a check, or opens the connection that it needs first.
    fn send_or_connect(&mut self, context: &mut Context, now: Instant, id: PairId) {
        let Some(pair) = self.pair(id) else { return };
        let transport = context
            .local(pair.local)
            .map(|local| local.candidate.transport);
        let needs_connection = transport.is_some_and(CandidateTransport::is_tcp);
        if needs_connection && pair.connection.is_none() {
            self.connect(context, now, id);
            return;
        }
        let purpose = match pair.state {
            PairState::Succeeded => Purpose::Upkeep,
            PairState::Waiting | PairState::InProgress | PairState::Failed => Purpose::Check,
        };
        self.send_check(context, now, id, purpose);
    }

    /// Returns the pair whose turn it is: first checks and repetitions alternate, and repetitions
    /// by which the other side was heard come before both. Such a pair works in one direction at
    /// least, so what it waits for is most likely a packet that was lost.
    fn next_paced(&mut self, context: &Context, now: Instant) -> Option<PairId> {
        if self.is_spent(context) {
            return None;
        }
        let is_first = |pair: &&Pair| {
            pair.state == PairState::Waiting && self.is_worth_checking(context, pair)
        };
        let is_due = |pair: &&Pair| {
            self.is_to_be_repeated(context, pair) && pair.due.is_some_and(|due| due <= now)
        };
        let first = self.pairs.iter().find(is_first).map(|pair| pair.id);
        let due = self.pairs.iter().filter(is_due);
        let again = due.min_by_key(|pair| (!pair.is_authenticated, pair.due));
        let is_urgent = again.is_some_and(|pair| pair.is_authenticated);
        let again = again.map(|pair| pair.id);
        let next = match self.pacer.was_first || is_urgent {
            true => again.or(first),
            false => first.or(again),
        };
        self.pacer.was_first = next.is_some() && next == first;
        next
    }

    /// Returns whether an unanswered check is to be repeated when its time has come.
    fn is_to_be_repeated(&self, context: &Context, pair: &Pair) -> bool {
        pair.state == PairState::InProgress
            && pair.transmissions < context.config.pacing.transmissions
            && pair.connection.is_none()
            && self.is_worth_checking(context, pair)
    }

    /// Returns whether as many checks were sent as RFC 8445 has a full checklist take: that bounds
    /// what an ICE generation can cost, however its pairs come and go.
    fn is_spent(&self, context: &Context) -> bool {
        let transmissions = u64::from(context.config.pacing.transmissions);
        let most = transmissions.saturating_mul(context.config.limits.pairs as u64);
        u64::from(self.pacer.sent()) >= most
    }

    /// Fails the pairs whose last check was not answered in time.
    pub(super) fn give_up(&mut self, context: &mut Context, now: Instant) {
        let is_over = |pair: &&mut Pair| {
            pair.state == PairState::InProgress
                && pair.transmissions >= context.config.pacing.transmissions
                && pair.due.is_some_and(|due| due <= now)
        };
        let mut has_failed = false;
        let mut over = Vec::new();
        for pair in self.pairs.iter_mut().filter(is_over) {
            over.extend(pair.connection.take());
            pair.fail();
            has_failed = true;
        }
        for path in over {
            context.close(path);
        }
        if has_failed {
            self.select(context, now);
        }
    }

    /// Returns the Ta that the other side has proposed, if it is more than ours.
    fn proposed_ta(&self, context: &Context) -> Option<Duration> {
        let proposed = self.remote.as_ref()?.parameters.pacing;
        proposed.filter(|proposed| *proposed > context.config.pacing.interval)
    }

    /// Returns whether some pair may yet turn out to work, or to be better.
    pub(super) fn has_checks(&self, context: &Context) -> bool {
        let checked = self.pairs.iter().filter(|pair| !pair.is_retried);
        checked.clone().any(|pair| match pair.state {
            PairState::Waiting => !self.is_spent(context) && self.is_worth_checking(context, pair),
            PairState::InProgress => self.is_worth_checking(context, pair),
            PairState::Succeeded | PairState::Failed => false,
        })
    }

    /// Returns when [`Session::check`] has something to do next.
    pub(super) fn next_check(&self, context: &Context, now: Instant) -> Option<Instant> {
        if self.remote.is_none() || context.config.lite {
            return None;
        }
        let ready = self.pacer.next().unwrap_or(now);
        let of_pair = |pair: &Pair| {
            if pair.is_triggered && pair.is_alive() {
                // A token of the bucket comes before that.
                return Some(now + TRIGGERED_RETRY);
            }
            match pair.state {
                PairState::Waiting if self.is_worth_checking(context, pair) => {
                    (!self.is_spent(context)).then_some(ready)
                }
                PairState::InProgress if self.is_to_be_repeated(context, pair) => {
                    let due = pair.due?;
                    (!self.is_spent(context)).then_some(due.max(ready))
                }
                PairState::InProgress
                    if pair.transmissions >= context.config.pacing.transmissions =>
                {
                    pair.due
                }
                PairState::Waiting
                | PairState::InProgress
                | PairState::Succeeded
                | PairState::Failed => None,
            }
        };
        self.pairs.iter().filter_map(of_pair).min()
    }
}

/// When triggered checks that found their bucket empty are tried again.
const TRIGGERED_RETRY: Duration = Duration::from_millis(20);
