//! Names of connections that were lost: each is held for a while for its owner, who takes it back
//! by a session.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_sansio::ClientNetwork;

use crate::hub::Hub;
use crate::name::Name;
use crate::output::{CloseReason, Output};
use crate::room::Access;
use crate::{HubConfig, MemberId};

/// Whose names are held where, and until when.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    owners: BTreeMap<MemberId, Owner>,
    by_network: BTreeMap<Option<ClientNetwork>, usize>,
    /// One entry for each name that is held, in step with the rooms' scopes.
    ends: BTreeSet<(Instant, MemberId, Arc<str>)>,
}

/// A connection that is gone.
#[derive(Debug)]
struct Owner {
    network: Option<ClientNetwork>,
    rooms: BTreeMap<Arc<str>, Instant>,
}

/// How a member comes to leave a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// It said so.
    Said,
    /// Its connection is lost, or is being closed.
    Lost,
    /// Another connection of its client takes its place at once.
    Replaced,
}

impl Holds {
    /// Returns when the next name is free.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.ends.first().map(|(at, ..)| *at)
    }

    fn have_room(&self, config: &HubConfig, network: Option<ClientNetwork>) -> bool {
        let of_network = self.by_network.get(&network).copied().unwrap_or_default();
        self.ends.len() < config.max_held_names && of_network < config.max_held_names_per_network
    }

    fn insert(
        &mut self,
        member: MemberId,
        network: Option<ClientNetwork>,
        room: Arc<str>,
        until: Instant,
    ) {
        let rooms = BTreeMap::new();
        let owner = self.owners.entry(member);
        let owner = owner.or_insert(Owner { network, rooms });
        owner.rooms.insert(room.clone(), until);
        *self.by_network.entry(network).or_default() += 1;
        self.ends.insert((until, member, room));
    }

    /// Forgets a name; returns whether it was the last one of its owner.
    fn remove(&mut self, member: MemberId, room: &Arc<str>) -> bool {
        let Some(owner) = self.owners.get_mut(&member) else {
            return false;
        };
        let Some(until) = owner.rooms.remove(room) else {
            return false;
        };
        self.ends.remove(&(until, member, room.clone()));
        let network = owner.network;
        let was_last = owner.rooms.is_empty();
        if was_last {
            self.owners.remove(&member);
        }
        if let Some(count) = self.by_network.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.by_network.remove(&network);
            }
        }
        was_last
    }

    fn set_end(&mut self, member: MemberId, room: &Arc<str>, until: Instant) {
        let owner = self.owners.get_mut(&member);
        if let Some(end) = owner.and_then(|owner| owner.rooms.get_mut(room)) {
            self.ends.remove(&(*end, member, room.clone()));
            *end = until;
            self.ends.insert((until, member, room.clone()));
        }
    }
}

impl Hub {
    /// Returns how many names are held for members that were lost.
    #[must_use]
    pub fn held_name_count(&self) -> usize {
        self.holds.ends.len()
    }

    /// Returns whether any name is held for the owner of a connection that has ended. The end of
    /// that is an [`Output::NamesReleased`].
    #[must_use]
    pub fn holds_names_of(&self, member: MemberId) -> bool {
        self.holds.owners.contains_key(&member)
    }

    /// Frees the names that are held for the owner of a connection that has ended.
    pub fn release_names_of(&mut self, now: Instant, member: MemberId) {
        let owner = self.holds.owners.get(&member);
        let rooms = owner.map(|owner| owner.rooms.keys().cloned().collect::<Vec<_>>());
        for room in rooms.unwrap_or_default() {
            self.release(member, &room);
            self.end_if_over(now, &room);
        }
    }

    /// Holds the name that a member has just left a room with, if its client can take it back.
    pub(crate) fn hold(
        &mut self,
        now: Instant,
        member: MemberId,
        room: &Arc<str>,
        name: &Name,
        leaving: Leaving,
    ) {
        let Some(state) = self.members.get(&member).filter(|state| state.has_session) else {
            return;
        };
        let network = state.network;
        let Some(kept) = self.rooms.get_mut(room) else {
            return;
        };
        let time = hold_time(&self.config, kept.access);
        let until = now.checked_add(time).filter(|_| !time.is_zero());
        match leaving {
            Leaving::Said => return,
            // The name is taken back before anything else happens.
            Leaving::Replaced => {}
            Leaving::Lost if until.is_none() => return,
            Leaving::Lost if !self.holds.have_room(&self.config, network) => {
                self.counters.names_not_held += 1;
                return;
            }
            Leaving::Lost => {}
        }
        kept.scope.hold(member, name.clone());
        let until = until.unwrap_or(now);
        self.holds.insert(member, network, room.clone(), until);
    }

    /// Returns whether what a connection has left behind in a room, or has there now, is its
    /// client's to take.
    pub(crate) fn is_takeable(&self, earlier: MemberId, room: &str) -> bool {
        let is_held = self
            .rooms
            .get(room)
            .is_some_and(|room| room.scope.holds_name_of(earlier));
        is_held || self.is_in(earlier, room)
    }

    /// Takes the name that an earlier connection has in a room, or had. One that still seems to be
    /// alive is closed.
    pub(crate) fn take_back(
        &mut self,
        now: Instant,
        earlier: MemberId,
        room: &Arc<str>,
    ) -> Option<Name> {
        if self.is_in(earlier, room) {
            // The room goes on with the name that is held in it, and stays locked.
            self.leave_room(now, earlier, room, Leaving::Replaced);
            self.close(now, earlier, CloseReason::Replaced);
        }
        self.counters.names_taken_back += 1;
        self.release(earlier, room)
    }

    pub(crate) fn release_due(&mut self, now: Instant) {
        while let Some((at, member, room)) = self.holds.ends.first().cloned() {
            if at > now {
                return;
            }
            self.release(member, &room);
            self.end_if_over(now, &room);
        }
    }

    /// Has the names in a room that is open again be held no longer than in any other.
    pub(crate) fn shorten_holds(&mut self, now: Instant, room: &Arc<str>) {
        let Some(until) = now.checked_add(hold_time(&self.config, Access::Open)) else {
            return;
        };
        let scope = self.rooms.get(room).map(|room| &room.scope);
        let owners = scope.into_iter().flat_map(|scope| scope.held());
        for owner in owners.collect::<Vec<_>>() {
            let ends = self.holds.owners.get(&owner);
            let end = ends.and_then(|ends| ends.rooms.get(room));
            if end.is_some_and(|end| *end > until) {
                self.holds.set_end(owner, room, until);
            }
        }
    }

    /// Frees a name. The room may be over by that.
    fn release(&mut self, member: MemberId, room: &Arc<str>) -> Option<Name> {
        let name = self.rooms.get_mut(room)?.scope.release(member)?;
        if self.holds.remove(member, room) {
            self.push(Output::NamesReleased { member });
        }
        Some(name)
    }
}

/// Nobody is kept from a name by its being held in a room that no stranger comes into.
fn hold_time(config: &HubConfig, access: Access) -> Duration {
    match access {
        Access::Open => config.name_hold,
        Access::Knock | Access::Locked => config.name_hold.max(config.place_hold),
    }
}
