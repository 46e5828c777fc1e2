//! The checklist: which pairs there are, and in which order they are checked
//! ([RFC 8445 §6.1.2]).
//!
//! Pairs are not checked by priority but by promise: how likely their addresses reach each other.
//! Priorities alone would have a host with ten container networks check a hundred pairs that lead
//! nowhere before the first reflexive one, or lose that one to the limit of pairs. The priority
//! decides among equals, address families take turns ([RFC 8421]), and it alone decides which
//! valid pair is the better one.
//!
//! [RFC 8421]: https://www.rfc-editor.org/rfc/rfc8421
//! [RFC 8445 §6.1.2]: https://www.rfc-editor.org/rfc/rfc8445#section-6.1.2

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::context::Context;
use super::local::{Local, LocalId};
use super::pair::{Nominated, Pair, PairId, PairState};
use super::policy::{is_link_local, is_private, share_prefix};
use super::remote::{Remote, RemoteId};
use super::session::Session;
use super::{Pacing, Role};
use crate::candidate::{CandidateKind, CandidateTransport, priority::pair_priority};

/// When the next check may go out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pacer {
    /// How many checks went out since checks began.
    sent: u32,
    next: Option<Instant>,
    /// Whether a first check was the last one, so that it is a repetition's turn.
    pub(super) was_first: bool,
}

impl Pacer {
    /// Returns when the next check may go out; `None` for at once.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| next <= now)
    }

    /// Notes that a check goes out. `proposed` is the other side's Ta.
    pub(super) fn advance(&mut self, now: Instant, pacing: &Pacing, proposed: Option<Duration>) {
        self.sent = self.sent.saturating_add(1);
        let is_quick = self.sent < pacing.quick_checks && proposed.is_none();
        let pause = match (is_quick, proposed) {
            (true, _) => pacing.quick_interval,
            (false, proposed) => pacing
                .interval
                .max(proposed.unwrap_or_default().min(MAX_TA)),
        };
        //= https://www.rfc-editor.org/rfc/rfc8445#section-14.2
        //# MUST NOT be sent more often than once
        //# every 5 ms
        self.next = Some(now + pause.max(MIN_TA));
    }

    /// Starts quickly again.
    pub(super) fn restart(&mut self) {
        self.sent = 0;
    }

    /// Returns how many checks went out.
    pub(super) fn sent(&self) -> u32 {
        self.sent
    }
}

impl Session {
    /// Pairs a new remote candidate with every local base.
    pub(super) fn pair_remote(&mut self, context: &mut Context, now: Instant, id: RemoteId) {
        self.pair_remote_quietly(context, id);
        self.permit(context, now);
    }

    /// Pairs a remote candidate with the bases that it has no pair with.
    pub(super) fn pair_remote_quietly(&mut self, context: &Context, id: RemoteId) {
        let bases: Vec<LocalId> = context
            .locals
            .iter()
            .filter(|local| local.is_base())
            .map(|local| local.id)
            .collect();
        for local in bases {
            self.add_pair(context, local, id);
        }
        self.sort(context);
    }

    /// Pairs a new local base with every remote candidate.
    pub(super) fn pair_local(&mut self, context: &Context, id: LocalId) {
        let remotes: Vec<RemoteId> = self.remotes.iter().map(|remote| remote.id).collect();
        for remote in remotes {
            self.add_pair(context, id, remote);
        }
        self.sort(context);
    }

    /// Makes every pair anew that was forgotten.
    pub(super) fn pair_all(&mut self, context: &Context) {
        let remotes: Vec<RemoteId> = self.remotes.iter().map(|remote| remote.id).collect();
        let bases = context.locals.iter().filter(|local| local.is_base());
        for local in bases.map(|local| local.id) {
            for remote in &remotes {
                self.add_pair(context, local, *remote);
            }
        }
        self.sort(context);
    }

    fn add_pair(&mut self, context: &Context, local: LocalId, remote: RemoteId) {
        let is_checked = !context.config.lite || self.are_both_lite(context);
        if !is_checked || self.pair_of(local, remote).is_some() {
            return;
        }
        let (Some(base), Some(other)) = (context.local(local), self.remote(remote)) else {
            return;
        };
        let Some(address) = other.address else { return };
        if !can_pair(context, base, other, address) {
            return;
        }
        self.make_pair(context, local, remote, address);
    }

    /// Makes a pair, whether it would be formed from the candidates or not.
    pub(super) fn make_pair(
        &mut self,
        context: &Context,
        local: LocalId,
        remote: RemoteId,
        address: SocketAddr,
    ) -> PairId {
        self.pairs_made += 1;
        let id = PairId(self.pairs_made);
        let mut pair = Pair::new(id, local, remote, address);
        self.weigh(context, &mut pair);
        self.pairs.push(pair);
        id
    }

    /// Computes all priorities anew: the role or a candidate has changed.
    pub(super) fn weigh_pairs(&mut self, context: &Context) {
        let mut pairs = std::mem::take(&mut self.pairs);
        for pair in &mut pairs {
            self.weigh(context, pair);
        }
        self.pairs = pairs;
        self.sort(context);
    }

    /// Computes a pair's priority and promise.
    pub(super) fn weigh(&self, context: &Context, pair: &mut Pair) {
        let seen_as = pair.mapped.unwrap_or(pair.local);
        let (Some(local), Some(seen), Some(remote)) = (
            context.local(pair.local),
            context.local(seen_as),
            self.remote(pair.remote),
        ) else {
            return;
        };
        let (ours, theirs) = (seen.candidate.priority, remote.candidate.priority);
        pair.priority = match context.role {
            Role::Controlling => pair_priority(ours, theirs),
            Role::Controlled => pair_priority(theirs, ours),
        };
        pair.promise = promise(local, remote, pair.address);
    }

    /// Puts the pairs into the order of their checks, and drops the last ones if there are too
    /// many.
    fn sort(&mut self, context: &Context) {
        let mut pairs = std::mem::take(&mut self.pairs);
        // Within one class, the first of each family come first, then the second ones, ...
        pairs.sort_by_key(|pair| {
            (
                pair.promise,
                pair.address.is_ipv4(),
                std::cmp::Reverse(pair.priority),
            )
        });
        let mut places: Vec<(u8, usize, bool, Pair)> = Vec::with_capacity(pairs.len());
        let mut counted = (0, false, 0);
        for pair in pairs {
            let (promise, is_v4) = (pair.promise, pair.address.is_ipv4());
            let place = match counted {
                (last_promise, last_v4, place) if (last_promise, last_v4) == (promise, is_v4) => {
                    place
                }
                _ => 0,
            };
            counted = (promise, is_v4, place + 1);
            places.push((promise, place, is_v4, pair));
        }
        places.sort_by_key(|(promise, place, is_v4, _)| (*promise, *place, *is_v4));
        self.pairs = places.into_iter().map(|(_, _, _, pair)| pair).collect();
        self.prune(context);
    }

    /// Drops the least promising pairs past the limits ([RFC 8445 §6.1.2.5]), and some of each kind
    /// stay.
    ///
    /// Two hosts with ten networks each have a hundred pairs that may all lead nowhere: those with
    /// a relay, which are less promising, would all give way to them.
    ///
    /// [RFC 8445 §6.1.2.5]: https://www.rfc-editor.org/rfc/rfc8445#section-6.1.2.5
    fn prune(&mut self, context: &Context) {
        let limits = &context.config.limits;
        let selected = self.selected;
        self.prune_addresses(limits.pairs_per_address);
        let (mut kept, mut counts) = (0, [0; CLASSES]);
        for pair in &self.pairs {
            match counts.get_mut(usize::from(pair.promise)) {
                Some(count) if !pair.is_kept(selected) => *count += 1,
                _ => kept += 1,
            }
        }
        let mut shares = shares(counts, limits.pairs.saturating_sub(kept));
        self.pairs.retain(|pair| {
            let share = shares.get_mut(usize::from(pair.promise));
            match share.filter(|_| !pair.is_kept(selected)) {
                None => true,
                Some(0) => false,
                Some(share) => {
                    *share -= 1;
                    true
                }
            }
        });
    }

    /// Drops the least promising pairs towards each address.
    fn prune_addresses(&mut self, limit: usize) {
        let selected = self.selected;
        let mut counts: Vec<(IpAddr, usize)> = Vec::new();
        self.pairs.retain(|pair| {
            let ip = pair.address.ip();
            let at = counts.iter().position(|(known, _)| *known == ip);
            let at = at.unwrap_or_else(|| {
                counts.push((ip, 0));
                counts.len() - 1
            });
            let count = counts.get_mut(at).map_or(0, |(_, count)| {
                *count += 1;
                *count
            });
            pair.is_kept(selected) || count <= limit
        });
    }

    /// Drops the least promising pair for one that the other side has checked; returns whether
    /// there was one to drop.
    pub(super) fn make_room(&mut self) -> bool {
        let selected = self.selected;
        let is_dispensable = |pair: &Pair| {
            pair.connection.is_none() && (!pair.is_kept(selected) || !pair.is_alive())
        };
        let Some(at) = self.pairs.iter().rposition(is_dispensable) else {
            return false;
        };
        self.pairs.remove(at);
        true
    }

    /// Forgets nominations: the role has changed.
    pub(super) fn forget_nominations(&mut self) {
        for pair in &mut self.pairs {
            pair.nomination = Nominated::No;
        }
    }
}

impl Pair {
    /// Returns whether the limits leave the pair alone.
    fn is_kept(&self, selected: Option<PairId>) -> bool {
        let is_of_use = self.state == PairState::Succeeded || self.is_authenticated;
        is_of_use || self.connection.is_some() || Some(self.id) == selected
    }
}

/// Returns whether two candidates make a pair ([RFC 8445 §6.1.2.2]).
///
/// [RFC 8445 §6.1.2.2]: https://www.rfc-editor.org/rfc/rfc8445#section-6.1.2.2
fn can_pair(context: &Context, local: &Local, remote: &Remote, address: SocketAddr) -> bool {
    let (ours, theirs) = (local.candidate.transport, remote.candidate.transport);
    // Only the other side opens a connection to a passive candidate of ours; its pair is made then.
    if !ours.pairs_with(theirs) || ours == CandidateTransport::TcpPassive {
        return false;
    }
    // No connection is opened to a reflexive TCP candidate's base, which is the other side's.
    let (base, address) = (local.base.ip(), address.ip());
    if base.is_ipv4() != address.is_ipv4() {
        return false;
    }
    //= https://www.rfc-editor.org/rfc/rfc8445#section-6.1.2.2
    //# IPv6 link-local addresses MUST NOT be paired with other than
    //# link-local addresses.
    if is_link_local(base) != is_link_local(address) || base.is_loopback() != address.is_loopback()
    {
        return false;
    }
    // The relay cannot reach the address behind a name, and would learn it.
    if local.is_relayed() && remote.is_mdns() {
        return false;
    }
    local.is_relayed() || context.config.policy == super::CandidatePolicy::All
}

/// Returns how likely two addresses reach each other; less is likelier.
fn promise(local: &Local, remote: &Remote, address: SocketAddr) -> u8 {
    let (base, address) = (local.base.ip(), address.ip());
    let is_relayed = local.is_relayed() || remote.candidate.kind == CandidateKind::Relayed;
    let is_direct_tcp = local.candidate.transport.is_tcp();
    let reach = match (is_private(base), is_private(address)) {
        _ if is_relayed => RELAYED,
        (true, true) if share_prefix(base, address) => SAME_NETWORK,
        (false, false) | (true, false) => PUBLIC,
        (true, true) => OTHER_NETWORK,
        (false, true) => UNREACHABLE,
    };
    if is_relayed && is_private(address) {
        return UNREACHABLE;
    }
    if is_direct_tcp {
        reach.max(RELAYED)
    } else {
        reach
    }
}

/// Divides the room for pairs among the classes of [`promise`]: each gets what it has up to an
/// equal part, the hopeless one excepted, and what is left goes to the more promising ones.
fn shares(counts: [usize; CLASSES], room: usize) -> [usize; CLASSES] {
    let [hopeful @ .., _] = counts;
    let classes = hopeful.iter().filter(|count| **count > 0).count();
    let part = room.checked_div(classes).unwrap_or(0);
    let [same, public, other, relayed] = hopeful.map(|count| count.min(part));
    let mut shares = [same, public, other, relayed, 0];
    let mut left = room - shares.iter().sum::<usize>();
    for (share, count) in shares.iter_mut().zip(counts) {
        let more = (count - *share).min(left);
        *share += more;
        left -= more;
    }
    shares
}

/// The classes of [`promise`].
const SAME_NETWORK: u8 = 0;
const PUBLIC: u8 = 1;
const OTHER_NETWORK: u8 = 2;
const RELAYED: u8 = 3;
const UNREACHABLE: u8 = 4;
const CLASSES: usize = 5;

/// The least time between two checks that RFC 8445 allows.
const MIN_TA: Duration = Duration::from_millis(5);

/// The longest Ta that the other side can ask for; a longer one would keep pairs from being
/// checked at all.
const MAX_TA: Duration = Duration::from_millis(500);
