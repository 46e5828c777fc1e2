//! Which pair data takes, and its nomination ([RFC 8445 §8]).
//!
//! Data may take any valid pair until one is selected (RFC 8445 §12.1), so it never waits for a
//! nomination. The controlling side nominates the first pair that works, and a better one when it
//! finds one: with NOMINATION where both sides know it, with USE-CANDIDATE alone where not.
//! RFC 8445 §8.1.1 lets it nominate once, but has the other side take the pair of the highest
//! priority where several are nominated, as RFC 5245 allowed. The other agents in use (libwebrtc,
//! pion, libnice, libjuice, str0m) do that or take the last one, and a better pair is both. To
//! wait for the best pair before the first nomination, as the RFC has it, costs other agents
//! seconds.
//!
//! Between pairs of one kind the priority decides, which says what the other side prefers, unless
//! a round trip is much shorter: the same two hosts may be 20 ms apart by one network and 200 ms
//! by another. That counts for direct paths of datagrams alone. A stream's round trips are the
//! times of its retransmissions, also on the way to a relay, and one relay is better than two.
//!
//! [RFC 8445 §8]: https://www.rfc-editor.org/rfc/rfc8445#section-8

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::context::Context;
use super::pair::{Nominated, Nomination, Pair, PairId, PairState};
use super::session::Session;
use super::{Event, Role, SelectedPair};
use crate::candidate::CandidateKind;

/// What makes one valid pair better than another: first that it is direct, then that it is UDP,
/// then its priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    is_direct: bool,
    is_udp: bool,
    priority: u64,
}

impl Rank {
    /// Returns whether two pairs are of one kind, so that there is no hurry to move.
    fn is_alike(self, other: Self) -> bool {
        (self.is_direct, self.is_udp) == (other.is_direct, other.is_udp)
    }
}

impl Session {
    /// Chooses the pair that data takes.
    pub(super) fn select(&mut self, context: &mut Context, now: Instant) {
        let chosen = match context.role {
            Role::Controlling => self.choose(context, now),
            Role::Controlled => self.obey(context, now),
        };
        match chosen {
            Some(id) if self.selected != Some(id) => self.switch(context, now, id),
            Some(_) => {}
            None => self.note_lost(context, now),
        }
        if chosen.is_some() {
            self.lost = None;
        }
    }

    /// Returns the pair that the controlling side uses.
    fn choose(&self, context: &Context, now: Instant) -> Option<PairId> {
        let best = self.best(context, now)?;
        let Some(current) = self.selected().filter(|pair| pair.works()) else {
            return Some(best.id);
        };
        let (best_rank, rank) = (self.rank(context, best), self.rank(context, current));
        if !rank.is_alike(best_rank) {
            return Some(if best_rank > rank {
                best.id
            } else {
                current.id
            });
        }
        if self.settled_at(context) > Some(now) {
            return Some(current.id);
        }
        let counts_time = rank.is_direct && rank.is_udp;
        if let Some(quicker) = self.quickest(context, now, current)
            && counts_time
        {
            return Some(quicker.id);
        }
        let is_kept = counts_time && current.is_quicker(best, KEPT);
        let is_better = best_rank > rank && !is_kept;
        Some(if is_better { best.id } else { current.id })
    }

    /// Returns the pair of the shortest round trip among those that are as good as the current
    /// one, if it is so much shorter that data should move there.
    fn quickest(&self, context: &Context, now: Instant, current: &Pair) -> Option<&Pair> {
        let rank = self.rank(context, current);
        let is_quicker = |pair: &&Pair| {
            pair.works()
                && pair.is_fresh(context, now)
                && pair.is_steady(now)
                && self.rank(context, pair).is_alike(rank)
                && pair.is_quicker(current, MOVED)
        };
        self.pairs
            .iter()
            .filter(is_quicker)
            .min_by_key(|pair| pair.rtt)
    }

    /// Returns the pair that the controlled side uses: the one that was nominated last by
    /// NOMINATION, else the nominated one of the highest priority, else any that works.
    fn obey(&self, context: &Context, now: Instant) -> Option<PairId> {
        let nominated = self.pairs.iter().filter_map(|pair| match pair.nomination {
            Nominated::Yes(nomination) if pair.works() => Some((pair, nomination)),
            Nominated::Yes(_) | Nominated::Asked(_) | Nominated::No => None,
        });
        // A later nomination replaces one on a pair that the other side has left without a word:
        // it nominates the pair that it uses with each consent check.
        let latest = nominated.clone().map(|(_, nomination)| nomination.at).max();
        let left_before = latest.and_then(|at| at.checked_sub(LEFT));
        let is_kept =
            |nomination: &Nomination| left_before.is_none_or(|left| nomination.at >= left);
        let best = nominated
            .filter(|(_, nomination)| is_kept(nomination))
            .max_by_key(|(pair, nomination)| (nomination.value, pair.priority));
        match best {
            Some((pair, _)) => Some(pair.id),
            None => {
                let current = self.selected().filter(|pair| pair.works());
                let best = self.best(context, now)?;
                let is_better =
                    current.is_none_or(|pair| self.rank(context, best) > self.rank(context, pair));
                Some(if is_better { best.id } else { current?.id })
            }
        }
    }

    /// Returns the best pair that works.
    fn best(&self, context: &Context, now: Instant) -> Option<&Pair> {
        let usable = |pair: &&Pair| pair.works() && pair.is_fresh(context, now);
        let pairs = self.pairs.iter().filter(usable);
        let settled = pairs.clone().filter(|pair| pair.is_steady(now));
        let best = |pair: &&Pair| self.rank(context, pair);
        settled.max_by_key(best).or_else(|| pairs.max_by_key(best))
    }

    pub(super) fn rank(&self, context: &Context, pair: &Pair) -> Rank {
        let is_relayed = context
            .local(pair.local)
            .is_some_and(super::local::Local::is_relayed);
        let remote = self.remote(pair.remote);
        let is_remote_relayed =
            remote.is_some_and(|remote| remote.candidate.kind == CandidateKind::Relayed);
        Rank {
            is_direct: !is_relayed && !is_remote_relayed,
            is_udp: pair.connection.is_none() && !context.link(pair).0,
            priority: pair.priority,
        }
    }

    /// Returns whether a check of this pair may still be of use: none works yet, the pair would be
    /// better than the selected one, or one more in reserve is wanted.
    pub(super) fn is_worth_checking(&self, context: &Context, pair: &Pair) -> bool {
        if pair.is_revoked {
            return false;
        }
        let Some(selected) = self.selected().filter(|pair| pair.works()) else {
            return true;
        };
        self.rank(context, pair) > self.rank(context, selected)
            || self.reserves_found(context) < context.config.limits.reserves
            || !self.has_link(context, context.link(pair))
    }

    /// Returns whether a pair that works leaves the host on this way.
    fn has_link(&self, context: &Context, link: (bool, IpAddr)) -> bool {
        let mut working = self.pairs.iter().filter(|pair| pair.works());
        working.any(|pair| context.link(pair) == link)
    }

    fn reserves_found(&self, context: &Context) -> usize {
        let is_reserve = |pair: &&Pair| pair.works() && Some(pair.id) != self.selected;
        let found = self.pairs.iter().filter(is_reserve).count();
        found.min(context.config.limits.reserves)
    }

    /// Moves data to another pair, and nominates it if that is ours to do.
    fn switch(&mut self, context: &mut Context, now: Instant, id: PairId) {
        self.selected = Some(id);
        self.selected_at = Some(now);
        if context.role == Role::Controlling && !context.config.lite {
            self.nominate(context, now, id);
        }
        self.bind_channel(context, now, id);
        self.announce_selected(context);
        self.plan_all_upkeep(context, now);
    }

    /// Gives a relayed pair a channel, which saves 32 bytes a packet.
    fn bind_channel(&self, context: &mut Context, now: Instant, id: PairId) {
        let Some(pair) = self.pair(id) else { return };
        let relayed = context.local(pair.local).filter(|local| local.is_relayed());
        if let Some(relayed) = relayed.map(|local| local.base) {
            context.gatherer.bind_channel(now, relayed, pair.address);
        }
    }

    fn nominate(&mut self, context: &mut Context, now: Instant, id: PairId) {
        self.nominations = self.nominations.saturating_add(1);
        let theirs = self
            .remote
            .as_ref()
            .map(|remote| &remote.parameters.options);
        let is_known =
            context.config.renomination && theirs.is_some_and(|theirs| theirs.renomination);
        let value = if is_known { self.nominations } else { 0 };
        let Some(pair) = self.pair_mut(id) else {
            return;
        };
        pair.nomination = Nominated::Asked(Nomination { value, at: now });
        pair.is_triggered = true;
        self.send_triggered(context, now);
    }

    /// Tells the application which pair data takes.
    pub(super) fn announce_selected(&self, context: &mut Context) {
        if let Some(selected) = self.selected_pair(context) {
            context.event(Event::SelectedPairChanged(Box::new(selected)));
        }
    }

    /// Returns the pair that data takes, as candidates.
    pub(super) fn selected_pair(&self, context: &Context) -> Option<SelectedPair> {
        let pair = self.selected()?;
        let local = pair.mapped.and_then(|id| context.local(id));
        Some(SelectedPair {
            local: local
                .or_else(|| context.local(pair.local))?
                .candidate
                .clone(),
            remote: self.remote(pair.remote)?.candidate.clone(),
            path: context.path(pair)?,
            rtt: pair.rtt,
        })
    }

    /// Returns when the selected pair may be left for another one of its kind.
    fn settled_at(&self, context: &Context) -> Option<Instant> {
        Some(self.selected_at? + context.config.timing.dampening)
    }

    /// Returns when a choice may turn out another way although nothing happens.
    pub(super) fn next_choice(&self, context: &Context, now: Instant) -> Option<Instant> {
        let selected = self.selected()?;
        let rank = self.rank(context, selected);
        let better = self.pairs.iter().filter(|pair| {
            pair.works() && pair.is_fresh(context, now) && self.rank(context, pair) > rank
        });
        if context.role == Role::Controlled {
            return None;
        }
        let settled = self.settled_at(context);
        better
            .filter_map(|pair| settled.max(pair.steady_at()))
            .filter(|at| *at > now)
            .min()
    }
}

impl Pair {
    /// Returns whether data may take the pair: it was answered, and still is.
    pub(super) fn works(&self) -> bool {
        self.state == PairState::Succeeded && !self.is_lost && !self.is_revoked
    }

    /// Returns whether an answer came so lately that NATs on the way still know the pair.
    pub(super) fn is_fresh(&self, context: &Context, now: Instant) -> bool {
        let timing = &context.config.timing;
        let age = self.answered.map(|at| now.saturating_duration_since(at));
        context.config.lite || age.is_some_and(|age| age <= timing.keepalive * 3 / 2)
    }

    /// Returns whether the round trip of this pair is shorter than that of another one by more than
    /// a margin. It takes some measurements of both: one says more about that moment.
    fn is_quicker(&self, other: &Self, margin: Margin) -> bool {
        let is_known = |pair: &Self| pair.counters.responses_received >= MEASUREMENTS;
        let (Some(ours), Some(theirs)) = (self.rtt, other.rtt) else {
            return false;
        };
        is_known(self) && is_known(other) && ours * margin.percent / 100 + margin.time < theirs
    }

    /// Returns when a pair that was lost is trusted again: the oftener it was lost, the later.
    fn steady_at(&self) -> Option<Instant> {
        let doublings = self.losses.saturating_sub(1).min(5);
        self.recovered
            .map(|at| at + FIRST_DISTRUST * (1 << doublings))
    }

    fn is_steady(&self, now: Instant) -> bool {
        self.steady_at().is_none_or(|at| at <= now)
    }
}

/// By how much a round trip has to be shorter.
#[derive(Debug, Clone, Copy)]
struct Margin {
    /// The other one is longer than this part of the shorter one, in percent, ...
    percent: u32,
    /// ... and this time.
    time: Duration,
}

/// When data moves to a pair of the same kind for its round trip, whatever the priorities say.
const MOVED: Margin = Margin {
    percent: 150,
    time: Duration::from_millis(20),
};

/// When data stays on a pair for its round trip although another one has a higher priority. It is
/// less than [`MOVED`], so that a pair which data has moved to is not left at the next measurement.
const KEPT: Margin = Margin {
    percent: 125,
    time: Duration::from_millis(10),
};

/// How many answers a pair has to have before its round trip counts.
const MEASUREMENTS: u64 = 3;

/// How long a nominated pair may get no nomination while another one gets some: longer than the
/// time between two consent checks.
const LEFT: Duration = Duration::from_secs(8);

/// How long a pair that was lost once is not moved back to; it doubles with each loss, up to 64 s.
const FIRST_DISTRUST: Duration = Duration::from_secs(2);
