//! What members say to each other: chat, offers, answers, candidates, hang-ups.

use std::sync::Arc;

use crate::envelope::{Envelope, string};
use crate::hub::{Hub, Origin, Reply};
use crate::scope::Scope;
use crate::write::quoted;
use crate::{ErrorCode, MemberId};

/// Where a message is sent: in which scope names are looked up and who may hear it.
#[derive(Debug, Clone)]
enum Place {
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
        match self.place(origin.member, string(fields.room)?, target.as_deref())? {
            Place::Lobby => self.lobby_message(origin, envelope),
            Place::Room(room) => {
                if string(fields.text)?.is_none() && fields.data.is_none() {
                    return Err(ErrorCode::BadField);
                }
                let scope = self.rooms.get(&room).ok_or(ErrorCode::NotInRoom)?;
                let to = match target {
                    None => scope.members().collect(),
                    Some(target) => vec![scope.find(&target).ok_or(ErrorCode::NoSuchUser)?],
                };
                let json = self.stamped(origin, envelope, &Place::Room(room))?;
                self.relay(&to, origin.kind, &json);
                Ok(Reply::Ok)
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
        let place = self.place(origin.member, string(envelope.fields.room)?, Some(&target))?;
        let to = self.find(&place, &target)?;
        if to == origin.member {
            return Err(ErrorCode::BadTarget);
        }
        let json = self.stamped(origin, envelope, &place)?;
        if origin.kind != "new-ice-candidate" {
            self.begin_call(origin.member, to);
        }
        self.relay(&[to], origin.kind, &json);
        Ok(Reply::Ok)
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
            let place = self.place(origin.member, room, Some(&target))?;
            let to = self.find(&place, &target)?;
            let json = self.stamped(origin, envelope, &place)?;
            self.end_call(origin.member, to);
            self.relay(&[to], origin.kind, &json);
            return Ok(Reply::Ok);
        }
        for (partner, place) in self.partners(origin.member, room.as_deref()) {
            let json = self.stamped(origin, envelope, &place)?;
            self.end_call(origin.member, partner);
            self.relay(&[partner], origin.kind, &json);
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
            if self.common_place(member, partner).is_none() {
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

    fn partners(&self, member: MemberId, room: Option<&str>) -> Vec<(MemberId, Place)> {
        let calls = self.members.get(&member).map(|state| &state.calls);
        let met = |partner: &MemberId| Some((*partner, self.common_place(member, *partner)?));
        let here = |(_, place): &(MemberId, Place)| match (room, place) {
            (None, _) => true,
            (Some(room), Place::Room(met)) => **met == *room,
            (Some(_), Place::Lobby) => false,
        };
        calls
            .into_iter()
            .flatten()
            .filter_map(met)
            .filter(here)
            .collect()
    }

    /// Returns where two members meet: the lobby, or the room that the first of them joined first.
    fn common_place(&self, one: MemberId, other: MemberId) -> Option<Place> {
        if self.lobby.has(one) && self.lobby.has(other) {
            return Some(Place::Lobby);
        }
        let rooms = &self.members.get(&one)?.rooms;
        let common = rooms.iter().find(|room| self.is_in(other, room));
        common.cloned().map(Place::Room)
    }

    /// Returns where a message is sent: in the room it names; else in the lobby for who is there;
    /// else in the only room, or in the one that has the target.
    fn place(
        &self,
        member: MemberId,
        room: Option<String>,
        target: Option<&str>,
    ) -> Result<Place, ErrorCode> {
        if room.is_none() && self.lobby.has(member) {
            return Ok(Place::Lobby);
        }
        match (self.meant_room(member, room), target) {
            (Err(ErrorCode::RoomRequired), Some(target)) => {
                let rooms = self.rooms_of(member);
                let has_target = |room: &Arc<str>| {
                    self.rooms
                        .get(room)
                        .is_some_and(|scope| scope.find(target).is_some())
                };
                let room = rooms.into_iter().find(has_target);
                room.map(Place::Room).ok_or(ErrorCode::NoSuchUser)
            }
            (Ok(room), _) => Ok(Place::Room(room)),
            (Err(code), _) => Err(code),
        }
    }

    fn scope(&self, place: &Place) -> Option<&Scope> {
        match place {
            Place::Lobby => Some(&self.lobby),
            Place::Room(room) => self.rooms.get(room),
        }
    }

    fn find(&self, place: &Place, name: &str) -> Result<MemberId, ErrorCode> {
        let found = self.scope(place).and_then(|scope| scope.find(name));
        found.ok_or(ErrorCode::NoSuchUser)
    }

    /// Returns the message with the sender's true name in it, and in a room with the room's.
    ///
    /// In the lobby a candidate stays without a name, as MDN's client sends it.
    fn stamped(
        &self,
        origin: &Origin<'_>,
        envelope: &Envelope<'_>,
        place: &Place,
    ) -> Result<Arc<str>, ErrorCode> {
        let fields = &envelope.fields;
        let name = self
            .scope(place)
            .and_then(|scope| scope.name_of(origin.member));
        let name = quoted(name.ok_or(ErrorCode::NameRequired)?);
        let edit = envelope.edit().kind_first(origin.kind, fields.kind);
        let edit = match place {
            Place::Lobby if origin.kind == "new-ice-candidate" => edit.replace(fields.name, &name),
            Place::Lobby => edit.set("name", fields.name, &name),
            Place::Room(room) => {
                edit.set("name", fields.name, &name)
                    .set("room", fields.room, &quoted(room))
            }
        };
        Ok(edit.finish().into())
    }
}

/// Reads the target; an empty one is none, as in MDN's sample.
fn target(envelope: &Envelope<'_>) -> Result<Option<String>, ErrorCode> {
    let target = string(envelope.fields.target)?;
    Ok(target.filter(|target| !target.is_empty()))
}
