//! What members say to each other: chat, offers, answers, candidates, hang-ups.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::envelope::{Envelope, string};
use crate::hub::{Hub, Origin, Reply};
use crate::output::Output;
use crate::scope::Scope;
use crate::write::quoted;
use crate::{ErrorCode, MemberId};

/// Which [`Scope`] a message belongs to: names are looked up in it, and its members may hear it.
#[derive(Debug, Clone)]
enum ScopeId {
    Lobby,
    Room(Arc<str>),
}

impl Hub {
    /// Passes on a chat message: to its target, or to all members of the room, the sender included,
    /// so that all see one order.
    pub(crate) fn message(
        &mut self,
        origin: &Origin<'_>,
        envelope: &Envelope<'_>,
    ) -> Result<Reply, ErrorCode> {
        let fields = &envelope.fields;
        let target = target(envelope)?;
        match self.scope_of(origin.member, string(fields.room)?, target.as_ref())? {
            ScopeId::Lobby => self.lobby_message(origin, envelope),
            ScopeId::Room(room) => {
                if string(fields.text)?.is_none() && fields.data.is_none() {
                    return Err(ErrorCode::BadField);
                }
                let scope = self.scope_in(&room).ok_or(ErrorCode::NotInRoom)?;
                let to = match target {
                    None => scope.members().collect(),
                    Some(target) => vec![target.find(scope).ok_or(ErrorCode::NoSuchUser)?],
                };
                let json = self.stamped(origin, envelope, &ScopeId::Room(room))?;
                self.relay(origin, &to, &json)
            }
        }
    }

    /// Passes on an offer, an answer or a candidate to its target.
    pub(crate) fn call(
        &mut self,
        origin: &Origin<'_>,
        envelope: &Envelope<'_>,
    ) -> Result<Reply, ErrorCode> {
        let target = target(envelope)?.ok_or(ErrorCode::BadTarget)?;
        let id = self.scope_of(origin.member, string(envelope.fields.room)?, Some(&target))?;
        let to = self.find(&id, &target)?;
        // A member that calls itself would answer its own offers without end.
        if to == origin.member {
            return Err(ErrorCode::BadTarget);
        }
        let json = self.stamped(origin, envelope, &id)?;
        let reply = self.relay(origin, &[to], &json)?;
        // Candidates may still come when their call is over: they must not begin it anew.
        if origin.kind != "new-ice-candidate" {
            self.begin_call(origin.member, to);
        }
        Ok(reply)
    }

    /// Ends the call with the target, or every call of the sender. Other members hear nothing of
    /// it.
    ///
    /// MDN's client forgets its target before it sends the hang-up; its server then ends the calls
    /// of all clients.
    pub(crate) fn hang_up(
        &mut self,
        origin: &Origin<'_>,
        envelope: &Envelope<'_>,
    ) -> Result<Reply, ErrorCode> {
        let room = string(envelope.fields.room)?;
        if let Some(target) = target(envelope)? {
            let id = self.scope_of(origin.member, room, Some(&target))?;
            let to = self.find(&id, &target)?;
            let json = self.stamped(origin, envelope, &id)?;
            let reply = self.relay(origin, &[to], &json)?;
            self.end_call(origin.member, to);
            return Ok(reply);
        }
        let mut done = Ok(Reply::Ok);
        let partners = self.partners(origin.member, room.as_deref());
        self.charge(origin, partners.len(), partners.len() * envelope.len())?;
        for (partner, id) in partners {
            let json = self.stamped(origin, envelope, &id)?;
            match self.pass_on(origin, &[partner], &json) {
                Ok(_) => self.end_call(origin.member, partner),
                // The call stays, so that the sender can hang up again.
                Err(code) => done = Err(code),
            }
        }
        done
    }

    /// Passes a message on at its sender's cost.
    pub(crate) fn relay(
        &mut self,
        origin: &Origin<'_>,
        to: &[MemberId],
        json: &Arc<str>,
    ) -> Result<Reply, ErrorCode> {
        self.charge(origin, to.len(), to.len() * json.len())?;
        self.pass_on(origin, to, json)
    }

    /// Passes a message on to each receiver that has room for it. It is refused if one has none.
    fn pass_on(
        &mut self,
        origin: &Origin<'_>,
        to: &[MemberId],
        json: &Arc<str>,
    ) -> Result<Reply, ErrorCode> {
        let bytes = origin.kind.len() + json.len();
        let mut busy = 0;
        for to in to.iter().copied() {
            let queues = self.queues.as_mut();
            if !queues.is_none_or(|queues| queues.have_room(origin.member, to, bytes)) {
                busy += 1;
                continue;
            }
            self.push(Output::Send {
                from: Some(origin.member),
                to,
                kind: known_kind(origin.kind),
                json: json.clone(),
            });
        }
        if busy < to.len() {
            self.counters.relayed += 1;
        }
        if busy > 0 {
            self.counters.receiver_busy += busy as u64;
            return Err(ErrorCode::ReceiverBusy);
        }
        Ok(Reply::Ok)
    }

    pub(crate) fn end_calls(&mut self, member: MemberId) {
        let partners = self.members.get(&member).map(|state| state.calls.clone());
        for partner in partners.unwrap_or_default() {
            self.end_call(member, partner);
        }
    }

    /// Ends the calls with members that share no room with this member any more.
    pub(crate) fn end_lost_calls(&mut self, member: MemberId) {
        let partners = self.members.get(&member).map(|state| state.calls.clone());
        for partner in partners.unwrap_or_default() {
            // A call lives on while any scope is shared, whichever one it was begun in.
            if self.common_scope(member, partner).is_none() {
                self.end_call(member, partner);
            }
        }
    }

    fn begin_call(&mut self, one: MemberId, other: MemberId) {
        for (member, partner) in [(one, other), (other, one)] {
            if let Some(state) = self.members.get_mut(&member) {
                state.calls.insert(partner);
            }
        }
    }

    fn end_call(&mut self, one: MemberId, other: MemberId) {
        for (member, partner) in [(one, other), (other, one)] {
            if let Some(state) = self.members.get_mut(&member) {
                state.calls.remove(&partner);
            }
        }
    }

    fn partners(&self, member: MemberId, room: Option<&str>) -> Vec<(MemberId, ScopeId)> {
        let calls = self.members.get(&member).map(|state| &state.calls);
        let met = |partner: &MemberId| Some((*partner, self.common_scope(member, *partner)?));
        let here = |(_, id): &(MemberId, ScopeId)| match (room, id) {
            (None, _) => true,
            (Some(room), ScopeId::Room(met)) => **met == *room,
            (Some(_), ScopeId::Lobby) => false,
        };
        calls
            .into_iter()
            .flatten()
            .filter_map(met)
            .filter(here)
            .collect()
    }

    /// Returns the scope that two members share: the lobby, or the first of the common rooms that
    /// `one` joined.
    fn common_scope(&self, one: MemberId, other: MemberId) -> Option<ScopeId> {
        if self.lobby.has(one) && self.lobby.has(other) {
            return Some(ScopeId::Lobby);
        }
        let rooms = &self.members.get(&one)?.rooms;
        let common = rooms.iter().find(|room| self.is_in(other, room));
        common.cloned().map(ScopeId::Room)
    }

    /// Returns the scope of a message: the room that it names; else the lobby if the sender is in
    /// it; else the sender's only room, or the one that has the target.
    fn scope_of(
        &self,
        member: MemberId,
        room: Option<String>,
        target: Option<&Target>,
    ) -> Result<ScopeId, ErrorCode> {
        if room.is_none() && self.lobby.has(member) {
            return Ok(ScopeId::Lobby);
        }
        match (self.meant_room(member, room), target) {
            (Err(ErrorCode::RoomRequired), Some(target)) => {
                let rooms = self.rooms_of(member);
                let has_target = |room: &Arc<str>| {
                    self.scope_in(room)
                        .is_some_and(|scope| target.find(scope).is_some())
                };
                let room = rooms.into_iter().find(has_target);
                room.map(ScopeId::Room).ok_or(ErrorCode::NoSuchUser)
            }
            (Ok(room), _) => Ok(ScopeId::Room(room)),
            (Err(code), _) => Err(code),
        }
    }

    fn scope(&self, id: &ScopeId) -> Option<&Scope> {
        match id {
            ScopeId::Lobby => Some(&self.lobby),
            ScopeId::Room(room) => self.scope_in(room),
        }
    }

    fn find(&self, id: &ScopeId, target: &Target) -> Result<MemberId, ErrorCode> {
        let found = self.scope(id).and_then(|scope| target.find(scope));
        found.ok_or(ErrorCode::NoSuchUser)
    }

    /// Returns the message with the sender's true name in it, and in a room with its id and the
    /// room's name.
    ///
    /// What a member writes as `user` or `from` becomes the sender's, too: a reader could take it
    /// for that. In a call a `from` that is a string is the mark of one end, which only the two
    /// ends know, and stays.
    ///
    /// In the lobby a candidate stays without a name, as MDN's client sends it.
    fn stamped(
        &self,
        origin: &Origin<'_>,
        envelope: &Envelope<'_>,
        id: &ScopeId,
    ) -> Result<Arc<str>, ErrorCode> {
        let fields = &envelope.fields;
        let name = self
            .scope(id)
            .and_then(|scope| scope.name_of(origin.member));
        let name = quoted(name.ok_or(ErrorCode::NameRequired)?);
        let number = origin.member.to_string();
        let edit = envelope.edit().kind_first(origin.kind, fields.kind);
        let edit = match id {
            // MDN's client sends no name with candidates, and the bytes stay as it sent them.
            ScopeId::Lobby if origin.kind == "new-ice-candidate" => {
                edit.replace(fields.id, &number).replace(fields.name, &name)
            }
            ScopeId::Lobby => edit
                .replace(fields.id, &number)
                .set("name", fields.name, &name),
            ScopeId::Room(room) => {
                let is_mark =
                    |from: &&RawValue| origin.kind != "message" && from.get().starts_with('"');
                let user = format!(r#"{{"name":{name},"id":{number}}}"#);
                edit.replace(fields.user, &user)
                    .replace(fields.from.filter(|from| !is_mark(from)), &number)
                    .set("name", fields.name, &name)
                    .set("room", fields.room, &quoted(room))
                    .set("id", fields.id, &number)
            }
        };
        Ok(edit.finish().into())
    }
}

/// The member that a message is for.
#[derive(Debug)]
pub(crate) enum Target {
    /// By its number: a JSON number.
    Id(MemberId),
    /// By its name, which may be another member's by the time the message is read.
    Name(String),
}

impl Target {
    pub(crate) fn find(&self, scope: &Scope) -> Option<MemberId> {
        match self {
            Self::Id(id) => scope.has(*id).then_some(*id),
            Self::Name(name) => scope.find(name),
        }
    }
}

/// Reads the target; an empty one is none, as in MDN's sample.
pub(crate) fn target(envelope: &Envelope<'_>) -> Result<Option<Target>, ErrorCode> {
    let field = envelope.fields.target;
    if let Some(id) = field.and_then(|raw| raw.get().parse().ok()) {
        return Ok(Some(Target::Id(MemberId(id))));
    }
    let name = string(field)?.filter(|name| !name.is_empty());
    Ok(name.map(Target::Name))
}

fn known_kind(kind: &str) -> Cow<'static, str> {
    const KNOWN: [&str; 5] = [
        "message",
        "new-ice-candidate",
        "video-offer",
        "video-answer",
        "hang-up",
    ];
    let known = KNOWN.into_iter().find(|known| *known == kind);
    known.map_or_else(|| Cow::Owned(kind.to_owned()), Cow::Borrowed)
}
