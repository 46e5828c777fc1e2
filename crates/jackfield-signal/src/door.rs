//! Rooms that are locked, and rooms at which newcomers knock.

use std::sync::Arc;
use std::time::Instant;

use crate::envelope::{Envelope, string};
use crate::hub::{Hub, Origin, Reply};
use crate::name::Name;
use crate::relay::{Target, target};
use crate::room::{Access, Knock, Room};
use crate::scope::Scope;
use crate::{ErrorCode, MemberId, write};

impl Hub {
    /// Returns how many newcomers wait to be let into a room, over all rooms.
    #[must_use]
    pub fn waiting_count(&self) -> usize {
        self.knock_ends.len()
    }

    /// Has the sender's room be open, locked, or one at which newcomers knock. Every member may:
    /// rooms have no owner.
    pub(crate) fn set_access(
        &mut self,
        origin: &Origin<'_>,
        envelope: &Envelope<'_>,
    ) -> Result<Reply, ErrorCode> {
        let word = string(envelope.fields.access)?.ok_or(ErrorCode::BadField)?;
        let access = Access::read(&word).ok_or(ErrorCode::BadField)?;
        let room = self.meant_room(origin.member, string(envelope.fields.room)?)?;
        let kept = self.rooms.get(&room).ok_or(ErrorCode::NotInRoom)?;
        if kept.access == access {
            return Ok(Reply::Ok);
        }
        let name = kept.scope.name_of(origin.member).unwrap_or_default();
        let json = write::access(&room, access, origin.member, name);
        let readers: Vec<MemberId> = kept.scope.members().collect();
        // Each newcomer who waits comes in or is turned away, and every member is told.
        let messages = readers.len() * (1 + 2 * kept.waiting.len());
        self.charge(origin, messages, messages * json.len())?;
        if let Some(kept) = self.rooms.get_mut(&room) {
            kept.access = access;
        }
        self.send_change(&readers, Some(&room), "access", &json.into());
        match access {
            Access::Open => {
                self.shorten_holds(origin.now, &room);
                self.let_all_in(origin.now, &room);
            }
            Access::Knock => {}
            Access::Locked => {
                for knocker in self.waiting_at(&room) {
                    self.turn_away(knocker, &room, ErrorCode::RoomLocked);
                }
            }
        }
        Ok(Reply::Ok)
    }

    /// Lets one of those in who wait.
    pub(crate) fn admit(
        &mut self,
        origin: &Origin<'_>,
        envelope: &Envelope<'_>,
    ) -> Result<Reply, ErrorCode> {
        let (room, knocker) = self.meant_knock(origin, envelope)?;
        let kept = self.rooms.get(&room).ok_or(ErrorCode::NotInRoom)?;
        if kept.scope.len() >= self.config.max_room_members {
            return Err(ErrorCode::RoomFull);
        }
        self.charge(origin, 2 * kept.scope.len(), 0)?;
        self.counters.knocks_admitted += 1;
        self.let_in(origin.now, knocker, &room);
        Ok(Reply::Ok)
    }

    /// Sends one of those away who wait.
    pub(crate) fn refuse_knock(
        &mut self,
        origin: &Origin<'_>,
        envelope: &Envelope<'_>,
    ) -> Result<Reply, ErrorCode> {
        let (room, knocker) = self.meant_knock(origin, envelope)?;
        let readers = self.rooms.get(&room).map_or(0, |room| room.scope.len());
        self.charge(origin, readers, 0)?;
        self.turn_away(knocker, &room, ErrorCode::NotAdmitted);
        Ok(Reply::Ok)
    }

    /// Has the sender wait at a room until a member lets it in. It is answered again if it waits
    /// there already.
    pub(crate) fn knock(
        &mut self,
        origin: &Origin<'_>,
        room: &Arc<str>,
        wanted: &Name,
    ) -> Result<Reply, ErrorCode> {
        let (now, member) = (origin.now, origin.member);
        let kept = self.rooms.get(room).ok_or(ErrorCode::NotInRoom)?;
        if let Some(knock) = kept.waiting.get(&member) {
            let left = knock.until.saturating_duration_since(now);
            return Ok(Reply::Answer("waiting", write::waiting(room, left)));
        }
        let network = self.members.get(&member).and_then(|state| state.network);
        let is_full = kept.waiting.len() >= self.config.max_waiting_per_room;
        let yields = kept.who_yields(network);
        if is_full && yields.is_none() {
            return Err(ErrorCode::TooManyWaiting);
        }
        let max = self.config.max_name_chars;
        let shown = kept.scope.free_name(wanted, member, max).shown();
        if let Some(other) = yields.filter(|_| is_full) {
            self.turn_away(other, room, ErrorCode::TooManyWaiting);
        }
        let time = self.config.knock_timeout;
        let until = now.checked_add(time).unwrap_or(now);
        let knock = Knock {
            wanted: wanted.clone(),
            shown: shown.clone(),
            network,
            until,
        };
        if let Some(kept) = self.rooms.get_mut(room) {
            kept.waiting.insert(member, knock);
        }
        if let Some(state) = self.members.get_mut(&member) {
            state.waits_at.push(room.clone());
        }
        self.knock_ends.insert((until, member, room.clone()));
        self.counters.knocks += 1;
        let json = write::knock(room, member, &shown).into();
        let readers: Vec<MemberId> = self.members_in(room);
        self.send_change(&readers, Some(room), "knock", &json);
        Ok(Reply::Answer("waiting", write::waiting(room, time)))
    }

    /// Returns the room that the sender of a `leave` waits at, if that is what it leaves.
    pub(crate) fn waited_room(&self, member: MemberId, named: Option<&str>) -> Option<Arc<str>> {
        let state = self.members.get(&member)?;
        match (named, &state.waits_at[..]) {
            (Some(named), rooms) => rooms.iter().find(|room| ***room == *named).cloned(),
            (None, [room]) if state.rooms.is_empty() => Some(room.clone()),
            (None, _) => None,
        }
    }

    /// Has a newcomer wait no longer, and tells the members; returns whether it waited.
    pub(crate) fn end_knock(&mut self, member: MemberId, room: &Arc<str>) -> Option<Knock> {
        let knock = self.rooms.get_mut(room)?.waiting.remove(&member)?;
        self.knock_ends.remove(&(knock.until, member, room.clone()));
        if let Some(state) = self.members.get_mut(&member) {
            state.waits_at.retain(|waited| waited != room);
        }
        let json = write::knock_ended(room, member, &knock.shown).into();
        let readers = self.members_in(room);
        self.send_change(&readers, Some(room), "knock-ended", &json);
        Some(knock)
    }

    pub(crate) fn end_every_knock(&mut self, member: MemberId) {
        let waits_at = self.members.get(&member).map(|state| &state.waits_at);
        for room in waits_at.cloned().unwrap_or_default() {
            self.end_knock(member, &room);
        }
    }

    pub(crate) fn knocks_due(&mut self, now: Instant) {
        while let Some((at, member, room)) = self.knock_ends.first().cloned() {
            if at > now {
                return;
            }
            self.turn_away(member, &room, ErrorCode::KnockTimeout);
        }
    }

    /// Ends a room that nothing keeps in existence, and the lock with it. Who waits there finds an
    /// empty room, which is open.
    pub(crate) fn end_if_over(&mut self, now: Instant, room: &Arc<str>) {
        if !self.rooms.get(room).is_some_and(Room::is_over) {
            return;
        }
        if let Some(kept) = self
            .rooms
            .get_mut(room)
            .filter(|kept| !kept.waiting.is_empty())
        {
            kept.access = Access::Open;
            self.let_all_in(now, room);
        } else {
            self.rooms.remove(room);
        }
    }

    fn let_all_in(&mut self, now: Instant, room: &Arc<str>) {
        for knocker in self.waiting_at(room) {
            let there = self.rooms.get(room).map_or(0, |room| room.scope.len());
            if there < self.config.max_room_members {
                self.counters.knocks_admitted += 1;
                self.let_in(now, knocker, room);
            } else {
                self.turn_away(knocker, room, ErrorCode::RoomFull);
            }
        }
    }

    fn let_in(&mut self, now: Instant, knocker: MemberId, room: &Arc<str>) {
        let Some(knock) = self.end_knock(knocker, room) else {
            return;
        };
        self.enter_room(knocker, room.clone(), &knock.wanted);
        let (kind, json) = self.welcome(now, knocker, room);
        self.send(knocker, kind, json.into());
    }

    fn turn_away(&mut self, knocker: MemberId, room: &Arc<str>, code: ErrorCode) {
        if self.end_knock(knocker, room).is_some() {
            self.counters.count_refusal(code);
            let json = write::error_in(room, code, "join");
            self.send(knocker, "error", json.into());
        }
    }

    /// Returns the room and the newcomer that a member means. It is meant by its number, as
    /// several who wait may want one name.
    fn meant_knock(
        &self,
        origin: &Origin<'_>,
        envelope: &Envelope<'_>,
    ) -> Result<(Arc<str>, MemberId), ErrorCode> {
        let room = self.meant_room(origin.member, string(envelope.fields.room)?)?;
        let Some(Target::Id(knocker)) = target(envelope)? else {
            return Err(ErrorCode::BadTarget);
        };
        let kept = self.rooms.get(&room).ok_or(ErrorCode::NotInRoom)?;
        if kept.waiting.contains_key(&knocker) {
            Ok((room, knocker))
        } else {
            Err(ErrorCode::NoSuchUser)
        }
    }

    fn waiting_at(&self, room: &str) -> Vec<MemberId> {
        let waiting = self.rooms.get(room).map(|room| room.waiting.keys());
        waiting.into_iter().flatten().copied().collect()
    }

    fn members_in(&self, room: &str) -> Vec<MemberId> {
        let scope = self.scope_in(room);
        scope.into_iter().flat_map(Scope::members).collect()
    }
}
