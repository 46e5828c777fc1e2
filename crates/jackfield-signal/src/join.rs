//! Coming and going: `join`, `leave`, `username`, `userlist`.

use std::sync::Arc;
use std::time::Instant;

use jackfield_sansio::Rate;

use crate::envelope::{Envelope, string};
use crate::hold::Leaving;
use crate::hub::{Hub, Origin, Reply};
use crate::name::Name;
use crate::room::Access;
use crate::scope::Scope;
use crate::{ErrorCode, MemberId, name, write};

impl Hub {
    /// Seats the sender in a room. Asked again for a room one is in, it answers again, with fresh
    /// ICE servers.
    pub(crate) fn join(
        &mut self,
        origin: &Origin<'_>,
        envelope: &Envelope<'_>,
    ) -> Result<Reply, ErrorCode> {
        let room = string(envelope.fields.room)?.ok_or(ErrorCode::BadRoom)?;
        name::room(&room, self.config.max_room_chars)?;
        let wanted = self.wanted_name(origin.member, envelope)?;
        let token = string(envelope.fields.token)?;
        if token
            .as_ref()
            .is_some_and(|token| token.len() > self.config.max_token_bytes)
        {
            return Err(ErrorCode::TooLarge);
        }
        let earlier = self.earlier(origin.member, &room, envelope)?;
        let room = Arc::<str>::from(room);
        if !self.is_in(origin.member, &room) {
            // A room that is full is found by its name, too.
            self.count_join(origin, 1)?;
            self.check_place(origin.member, &room, earlier)?;
            let access = self.rooms.get(&room).map(|room| room.access);
            let has_to_knock = access == Some(Access::Knock) && earlier.is_none();
            if has_to_knock && !self.waits_at(origin.member, &room) {
                self.count_join(origin, KNOCK_COST - 1)?;
            }
            self.charge_join(origin, &room, wanted.as_str())?;
            // The gate is asked last, about joins alone that would succeed.
            if let Some(gate) = &mut self.gate
                && !gate.admits(origin.now, &room, wanted.as_str(), token.as_deref())
            {
                return Err(ErrorCode::Refused);
            }
            if has_to_knock {
                return self.knock(origin, &room, &wanted);
            }
            let held = earlier.and_then(|earlier| self.take_back(origin.now, earlier, &room));
            // Who does not say how it wants to be called is called what it was.
            let is_named = envelope.fields.name.is_some();
            let wanted = held.filter(|_| !is_named).unwrap_or(wanted);
            self.enter_room(origin.member, room.clone(), &wanted);
        }
        let (kind, json) = self.welcome(origin.now, origin.member, &room);
        Ok(Reply::Answer(kind, json))
    }

    /// Returns what a member gets that has come in, with fresh ICE servers.
    pub(crate) fn welcome(
        &mut self,
        now: Instant,
        member: MemberId,
        room: &Arc<str>,
    ) -> (&'static str, String) {
        let scope = self.scope_in(room);
        let name = scope.and_then(|scope| scope.name_of(member));
        let name = name.unwrap_or_default().to_owned();
        let ice = self.mint(now, member, &name);
        self.caught_up(member, Some(room.clone()));
        let state = self.members.get(&member);
        let session = state.filter(|state| state.has_session);
        let session = session.map(|_| self.sessions.of(member));
        let kept = self.rooms.get(room);
        let json = kept.map(|kept| write::joined(room, kept, member, &ice, session.as_deref()));
        ("joined", json.unwrap_or_default())
    }

    /// Takes the sender out of a room. The sender gets `user-left`, too, as the others do. One that
    /// waits at the room waits no longer.
    pub(crate) fn leave(
        &mut self,
        origin: &Origin<'_>,
        envelope: &Envelope<'_>,
    ) -> Result<Reply, ErrorCode> {
        let named = string(envelope.fields.room)?;
        if let Some(room) = self.waited_room(origin.member, named.as_deref()) {
            self.end_knock(origin.member, &room);
            return Ok(Reply::Ok);
        }
        let room = self.meant_room(origin.member, named)?;
        self.leave_room(origin.now, origin.member, &room, Leaving::Said);
        // Credentials are for calls, and those need a room.
        if self.rooms_of(origin.member).is_empty() {
            self.cancel_refresh(origin.member);
            self.return_to_lobby(origin.member);
        }
        Ok(Reply::Ok)
    }

    /// Gives the sender a name: in the rooms it is in, or else in the lobby, which it enters by
    /// that.
    pub(crate) fn username(
        &mut self,
        origin: &Origin<'_>,
        envelope: &Envelope<'_>,
    ) -> Result<Reply, ErrorCode> {
        let wanted = string(envelope.fields.name)?.ok_or(ErrorCode::BadName)?;
        let wanted = name::name(&wanted, self.config.max_name_chars)?;
        let rooms = self.rooms_of(origin.member);
        let lobby_is_full = self.lobby.len() >= self.config.max_lobby_members;
        if rooms.is_empty() && !self.lobby.has(origin.member) && lobby_is_full {
            return Err(ErrorCode::LobbyFull);
        }
        let names = self.names_in(origin.member, rooms, &wanted);
        self.charge_renames(origin, &names)?;
        if let Some(member) = self.members.get_mut(&origin.member) {
            // A client that names itself outside of rooms speaks MDN's dialect, and is sent back
            // to the lobby when it leaves its last room.
            member.name = Some(wanted.clone());
            member.lobby = true;
        }
        if names.is_empty() {
            self.enter_lobby(origin.member, Some(&wanted));
            self.notify_lobby();
        }
        for (room, name) in names {
            self.rename_in(origin.member, &room, &wanted, name);
        }
        Ok(Reply::Ok)
    }

    /// Answers with who is in the room, or in the lobby.
    pub(crate) fn userlist(
        &mut self,
        origin: &Origin<'_>,
        envelope: &Envelope<'_>,
    ) -> Result<Reply, ErrorCode> {
        if self.lobby.has(origin.member) && envelope.fields.room.is_none() {
            let json = write::lobby_list(&self.lobby);
            self.charge(origin, 1, json.len())?;
            self.caught_up(origin.member, None);
            return Ok(Reply::Answer("userlist", json));
        }
        let room = self.meant_room(origin.member, string(envelope.fields.room)?)?;
        let kept = self.rooms.get(&room).ok_or(ErrorCode::NotInRoom)?;
        let json = write::room_list(&room, kept, origin.member);
        self.charge(origin, 1, json.len())?;
        self.caught_up(origin.member, Some(room));
        Ok(Reply::Answer("userlist", json))
    }

    pub(crate) fn leave_every_room(&mut self, now: Instant, member: MemberId) {
        for room in self.rooms_of(member) {
            self.leave_room(now, member, &room, Leaving::Lost);
        }
    }

    /// Returns the room that is meant: the named one, or the only one.
    pub(crate) fn meant_room(
        &self,
        member: MemberId,
        named: Option<String>,
    ) -> Result<Arc<str>, ErrorCode> {
        let rooms = self
            .members
            .get(&member)
            .map_or(&[][..], |member| &member.rooms);
        match (named, rooms) {
            (Some(named), rooms) => {
                let room = rooms.iter().find(|room| ***room == *named);
                room.cloned().ok_or(ErrorCode::NotInRoom)
            }
            (None, []) => Err(ErrorCode::NotInRoom),
            (None, [room]) => Ok(room.clone()),
            (None, _) => Err(ErrorCode::RoomRequired),
        }
    }

    /// Notes that the member has, or no longer needs, the list of a room or of the lobby.
    pub(crate) fn caught_up(&mut self, member: MemberId, room: Option<Arc<str>>) {
        if let Some(state) = self.members.get_mut(&member) {
            state.missed.remove(&room);
        }
    }

    pub(crate) fn is_in(&self, member: MemberId, room: &str) -> bool {
        self.members
            .get(&member)
            .is_some_and(|member| member.is_in(room))
    }

    pub(crate) fn rooms_of(&self, member: MemberId) -> Vec<Arc<str>> {
        self.members
            .get(&member)
            .map_or_else(Vec::new, |member| member.rooms.clone())
    }

    fn wanted_name(&self, member: MemberId, envelope: &Envelope<'_>) -> Result<Name, ErrorCode> {
        if let Some(wanted) = string(envelope.fields.name)? {
            return name::name(&wanted, self.config.max_name_chars);
        }
        let known = self
            .members
            .get(&member)
            .and_then(|member| member.name.clone());
        Ok(known.unwrap_or_else(|| Name::of(NAMELESS)))
    }

    /// Returns the earlier connection whose place in a room the sender's session gives it. One that
    /// gives it none, such as one of before a restart of the server, is as good as no session.
    fn earlier(
        &mut self,
        member: MemberId,
        room: &str,
        envelope: &Envelope<'_>,
    ) -> Result<Option<MemberId>, ErrorCode> {
        let field = envelope.fields.session;
        let session = string(field)?;
        if let Some(state) = self.members.get_mut(&member) {
            state.has_session |= field.is_some();
        }
        let earlier = session.and_then(|session| self.sessions.member_of(&session));
        Ok(earlier.filter(|earlier| *earlier != member && self.is_takeable(*earlier, room)))
    }

    fn waits_at(&self, member: MemberId, room: &str) -> bool {
        let kept = self.rooms.get(room);
        kept.is_some_and(|kept| kept.waiting.contains_key(&member))
    }

    fn count_join(&mut self, origin: &Origin<'_>, cost: u32) -> Result<(), ErrorCode> {
        let rate = Rate::new(self.config.joins_per_second, self.config.join_burst);
        let network = self.members.get(&origin.member);
        let Some(network) = network.and_then(|member| member.network) else {
            return Ok(());
        };
        // A rate of 0 stands for no limit.
        // What the other limits allow is possible, if seldom.
        let cost = u64::from(cost.min(self.config.join_burst / 2).max(1));
        if rate.per_second == 0 || self.joins.take_many(origin.now, network, rate, cost) {
            return Ok(());
        }
        self.counters.joins_limited += 1;
        Err(ErrorCode::RateLimited)
    }

    fn check_place(
        &self,
        member: MemberId,
        room: &str,
        earlier: Option<MemberId>,
    ) -> Result<(), ErrorCode> {
        let state = self.members.get(&member);
        let waits_here = self.waits_at(member, room);
        let taken = state.map_or(0, |state| state.rooms.len() + state.waits_at.len());
        if taken - usize::from(waits_here) >= self.config.max_rooms_per_member {
            return Err(ErrorCode::TooManyRooms);
        }
        let Some(kept) = self.rooms.get(room) else {
            if self.rooms.len() >= self.config.max_rooms {
                return Err(ErrorCode::ServerFull);
            }
            return Ok(());
        };
        if kept.access == Access::Locked && earlier.is_none() {
            return Err(ErrorCode::RoomLocked);
        }
        // A connection that is replaced gives its place up.
        let gives_up = earlier.is_some_and(|earlier| kept.scope.has(earlier));
        // Who knocks takes no place before it is let in.
        let is_full = kept.scope.len() - usize::from(gives_up) >= self.config.max_room_members;
        if is_full && (kept.access == Access::Open || earlier.is_some()) {
            return Err(ErrorCode::RoomFull);
        }
        Ok(())
    }

    pub(crate) fn enter_room(&mut self, member: MemberId, room: Arc<str>, wanted: &Name) {
        // Calls with members of the lobby end, unless both share a room.
        self.leave_lobby(member);
        self.end_lost_calls(member);
        self.end_knock(member, &room);
        let scope = &mut self.rooms.entry(room.clone()).or_default().scope;
        let name = scope.free_name(wanted, member, self.config.max_name_chars);
        scope.insert(member, Some(name.clone()));
        if let Some(state) = self.members.get_mut(&member) {
            state.rooms.push(room.clone());
            state.name.get_or_insert_with(|| wanted.clone());
        }
        self.counters.joined += 1;
        self.notify_if_renamed(member, &room, wanted, &name);
        let json = write::user_joined(&room, member, name.as_str());
        self.notify_others(&room, member, "user-joined", &json.into());
    }

    /// Takes what the member's coming costs, and its going: that one is not refused.
    fn charge_join(
        &mut self,
        origin: &Origin<'_>,
        room: &str,
        name: &str,
    ) -> Result<(), ErrorCode> {
        let readers = self.scope_in(room).map_or(0, Scope::len);
        // The newcomer gets as many names as others get its own.
        let bytes = 3 * readers * (room.len() + name.len() + USER_BYTES);
        self.charge(origin, 2 * readers + 1, bytes)
    }

    /// Returns what a member would be called in its rooms if it were called `wanted`.
    fn names_in(
        &self,
        member: MemberId,
        rooms: Vec<Arc<str>>,
        wanted: &Name,
    ) -> Vec<(Arc<str>, Name)> {
        let max = self.config.max_name_chars;
        let name = |room: Arc<str>| {
            let name = self.scope_in(&room)?.free_name(wanted, member, max);
            Some((room, name))
        };
        rooms.into_iter().filter_map(name).collect()
    }

    fn charge_renames(
        &mut self,
        origin: &Origin<'_>,
        names: &[(Arc<str>, Name)],
    ) -> Result<(), ErrorCode> {
        let (mut readers, mut bytes) = (0, 0);
        for (room, name) in names {
            let there = self.scope_in(room).map_or(0, Scope::len);
            readers += there;
            bytes += there * (room.len() + name.as_str().len() + USER_BYTES);
        }
        self.charge(origin, readers, bytes)
    }

    pub(crate) fn leave_room(
        &mut self,
        now: Instant,
        member: MemberId,
        room: &Arc<str>,
        leaving: Leaving,
    ) {
        let Some(kept) = self.rooms.get_mut(room) else {
            return;
        };
        let Some(name) = kept.scope.remove(member) else {
            return;
        };
        let readers: Vec<MemberId> = kept.scope.members().collect();
        if let Some(name) = &name {
            self.hold(now, member, room, name, leaving);
        }
        if let Some(state) = self.members.get_mut(&member) {
            state.rooms.retain(|joined| joined != room);
        }
        self.counters.left += 1;
        self.end_lost_calls(member);
        let name = name.as_ref().map_or("", Name::as_str);
        let json = write::user_left(room, member, name).into();
        self.send_change(&readers, Some(room), "user-left", &json);
        self.caught_up(member, Some(room.clone()));
        if leaving == Leaving::Said {
            self.send(member, "user-left", json);
        }
        // A room exists by its members alone, so made-up names leave nothing behind.
        self.end_if_over(now, room);
    }

    fn return_to_lobby(&mut self, member: MemberId) {
        let Some(state) = self.members.get(&member) else {
            return;
        };
        if state.lobby && self.lobby.len() < self.config.max_lobby_members {
            let name = state.name.clone();
            self.enter_lobby(member, name.as_ref());
            self.notify_lobby();
        }
    }

    fn rename_in(&mut self, member: MemberId, room: &Arc<str>, wanted: &Name, name: Name) {
        let Some(kept) = self.rooms.get_mut(room) else {
            return;
        };
        let scope = &mut kept.scope;
        let is_new = scope.name_of(member) != Some(name.as_str());
        scope.rename(member, name.clone());
        self.notify_if_renamed(member, room, wanted, &name);
        if is_new {
            let json = write::user_renamed(room, member, name.as_str());
            self.notify_others(room, member, "user-renamed", &json.into());
        }
    }

    fn notify_if_renamed(&mut self, member: MemberId, room: &str, wanted: &Name, name: &Name) {
        if name != wanted {
            self.counters.renamed += 1;
            let json = write::reject_username(member, Some(room), name.as_str());
            self.send(member, "rejectusername", json.into());
        }
    }

    /// Sends all members of a room but one a message.
    fn notify_others(
        &mut self,
        room: &Arc<str>,
        but: MemberId,
        kind: &'static str,
        json: &Arc<str>,
    ) {
        let readers = self.scope_in(room).into_iter().flat_map(Scope::members);
        let readers: Vec<MemberId> = readers.filter(|reader| *reader != but).collect();
        self.send_change(&readers, Some(room), kind, json);
    }
}

/// How many joins a knock counts as.
const KNOCK_COST: u32 = 10;
/// What a message about one user has beside names, about.
const USER_BYTES: usize = 80;
/// The name of a member who gave none.
const NAMELESS: &str = "guest";
