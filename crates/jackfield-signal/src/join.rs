//! Coming and going: `join`, `leave`, `username`, `userlist`.

use std::sync::Arc;

use jackfield_sansio::Rate;

use crate::envelope::{Envelope, string};
use crate::hooks::IceServerList;
use crate::hub::{Hub, Origin, Reply};
use crate::name::Name;
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
        if !self.is_in(origin.member, &room) {
            // A room that is full is found by its name, too.
            self.count_join(origin)?;
            self.check_place(origin.member, &room)?;
            self.charge_join(origin, &room, wanted.as_str())?;
            // The gate is asked last, about joins alone that would succeed.
            if let Some(gate) = &mut self.gate
                && !gate.admits(origin.now, &room, wanted.as_str(), token.as_deref())
            {
                return Err(ErrorCode::Refused);
            }
            self.enter_room(origin.member, room.as_str().into(), &wanted);
        }
        let scope = self.rooms.get(room.as_str());
        let name = scope.and_then(|scope| scope.name_of(origin.member));
        let name = name.unwrap_or_default().to_owned();
        let ice = self.mint(origin.now, origin.member, &name);
        self.caught_up(origin.member, Some(room.as_str().into()));
        Ok(self.joined(origin.member, &room, &ice))
    }

    /// Takes the sender out of a room. The sender gets `user-left`, too, as the others do.
    pub(crate) fn leave(
        &mut self,
        origin: &Origin<'_>,
        envelope: &Envelope<'_>,
    ) -> Result<Reply, ErrorCode> {
        let room = self.meant_room(origin.member, string(envelope.fields.room)?)?;
        self.leave_room(origin.member, &room, true);
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
        let scope = self.rooms.get(&room).ok_or(ErrorCode::NotInRoom)?;
        let json = write::room_list(&room, scope, origin.member);
        self.charge(origin, 1, json.len())?;
        self.caught_up(origin.member, Some(room));
        Ok(Reply::Answer("userlist", json))
    }

    pub(crate) fn leave_every_room(&mut self, member: MemberId) {
        for room in self.rooms_of(member) {
            self.leave_room(member, &room, false);
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

    fn count_join(&mut self, origin: &Origin<'_>) -> Result<(), ErrorCode> {
        let rate = Rate::new(self.config.joins_per_second, self.config.join_burst);
        let network = self.members.get(&origin.member);
        let Some(network) = network.and_then(|member| member.network) else {
            return Ok(());
        };
        // A rate of 0 stands for no limit.
        if rate.per_second == 0 || self.joins.take(origin.now, network, rate) {
            return Ok(());
        }
        self.counters.joins_limited += 1;
        Err(ErrorCode::RateLimited)
    }

    fn check_place(&self, member: MemberId, room: &str) -> Result<(), ErrorCode> {
        let joined = self
            .members
            .get(&member)
            .map_or(0, |member| member.rooms.len());
        if joined >= self.config.max_rooms_per_member {
            return Err(ErrorCode::TooManyRooms);
        }
        match self.rooms.get(room) {
            None if self.rooms.len() >= self.config.max_rooms => Err(ErrorCode::ServerFull),
            Some(scope) if scope.len() >= self.config.max_room_members => Err(ErrorCode::RoomFull),
            _ => Ok(()),
        }
    }

    fn enter_room(&mut self, member: MemberId, room: Arc<str>, wanted: &Name) {
        // Calls with members of the lobby end, unless both share a room.
        self.leave_lobby(member);
        self.end_lost_calls(member);
        let scope = self.rooms.entry(room.clone()).or_default();
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
        let readers = self.rooms.get(room).map_or(0, Scope::len);
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
            let name = self.rooms.get(&room)?.free_name(wanted, member, max);
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
            let there = self.rooms.get(room).map_or(0, Scope::len);
            readers += there;
            bytes += there * (room.len() + name.as_str().len() + USER_BYTES);
        }
        self.charge(origin, readers, bytes)
    }

    fn joined(&self, member: MemberId, room: &str, ice: &IceServerList) -> Reply {
        let json = self
            .rooms
            .get(room)
            .map(|scope| write::joined(room, scope, member, ice));
        json.map_or(Reply::Ok, |json| Reply::Answer("joined", json))
    }

    fn leave_room(&mut self, member: MemberId, room: &Arc<str>, tell: bool) {
        let Some(scope) = self.rooms.get_mut(room) else {
            return;
        };
        let Some(name) = scope.remove(member) else {
            return;
        };
        let readers: Vec<MemberId> = scope.members().collect();
        if readers.is_empty() {
            // A room exists by its members alone, so made-up names leave nothing behind.
            self.rooms.remove(room);
        }
        if let Some(state) = self.members.get_mut(&member) {
            state.rooms.retain(|joined| joined != room);
        }
        self.counters.left += 1;
        self.end_lost_calls(member);
        let json = write::user_left(room, member, name.as_deref().unwrap_or_default()).into();
        self.send_change(&readers, Some(room), "user-left", &json);
        self.caught_up(member, Some(room.clone()));
        if tell {
            self.send(member, "user-left", json);
        }
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
        let Some(scope) = self.rooms.get_mut(room) else {
            return;
        };
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
        let readers = self.rooms.get(room).into_iter().flat_map(Scope::members);
        let readers: Vec<MemberId> = readers.filter(|reader| *reader != but).collect();
        self.send_change(&readers, Some(room), kind, json);
    }
}

/// What a message about one user has beside names, about.
const USER_BYTES: usize = 80;
/// The name of a member who gave none.
const NAMELESS: &str = "guest";
