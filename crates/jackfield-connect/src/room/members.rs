//! Who is in a room: those who come and go, and those who are back on another connection to the
//! server.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::actor::Actor;
use super::call::Call;
use super::member::Member;
use super::{PeerId, RoomEvent};
use crate::connection::Connector;
use crate::negotiation::text;

impl<C: Connector> Actor<C> {
    pub(super) async fn joined(&mut self, message: &Value) {
        if let Some(me) = message.get("self").and_then(Member::read) {
            self.own.insert(me.id);
            self.name = me.name;
        }
        self.session = text(message, "session").map(ToOwned::to_owned);
        self.context.is_reachable = true;
        self.has_joined = true;
        self.tell(RoomEvent::Joined {
            name: self.name.clone(),
        });
        let mut there = self.others(message);
        let known: Vec<PeerId> = self.calls.keys().copied().collect();
        for peer in known {
            let member = self.calls.get(&peer).map(|call| call.member.id);
            match member.and_then(|id| there.remove(&id)) {
                Some(member) => self.resume(peer, member, true).await,
                None => self.linger(peer),
            }
        }
        for member in there.into_values() {
            self.meet(member, true).await;
        }
    }

    /// Starts a call with a member of the room. The member that came later offers first.
    pub(super) async fn meet(&mut self, member: Member, offers: bool) {
        let earlier = self.find(|call| call.is_gone() && call.member.name == member.name);
        if let Some(peer) = earlier {
            self.resume(peer, member, offers).await;
            return;
        }
        let peer = PeerId(self.next_peer);
        self.next_peer += 1;
        let name = member.name.clone();
        let call = match Call::new(peer, member, offers, &mut self.context).await {
            Ok(call) => call,
            Err(error) => {
                tracing::warn!(%error, "There is no socket for a peer connection");
                return;
            }
        };
        self.calls.insert(peer, call);
        self.tell(RoomEvent::Found {
            peer,
            name,
            was_here: offers,
        });
        let lost: Vec<PeerId> = self.all(Call::is_lost).collect();
        let is_perhaps_known = !lost.is_empty();
        for call in lost {
            self.with_call(call, async |call, context| {
                call.resume(false, context).await
            })
            .await;
        }
        self.with_call(peer, async |call, context| {
            if is_perhaps_known {
                call.hesitate();
                Ok(())
            } else {
                call.begin(context).await
            }
        })
        .await;
    }

    pub(super) async fn resume(&mut self, peer: PeerId, member: Member, was_away: bool) {
        self.with_call(peer, async |call, context| {
            call.is_back(member);
            call.resume(was_away, context).await
        })
        .await;
    }

    pub(super) fn user_left(&mut self, message: &Value) {
        let Some(member) = message.get("user").and_then(Member::read) else {
            return;
        };
        self.replaced.remove(&member.id);
        let peer = self.find(|call| call.member.id == member.id && !call.is_gone());
        if let Some(peer) = peer {
            self.linger(peer);
        }
        let wanted = &self.context.options.name;
        if member.name == *wanted && self.name != *wanted {
            // It was held by our own earlier connection.
            let rename = json!({ "type": "username", "name": wanted });
            if self.signaling.send(&rename) {
                self.name.clone_from(wanted);
            }
        }
    }

    /// A call that works goes on for a while: perhaps only the way to the server is lost.
    pub(super) fn linger(&mut self, peer: PeerId) {
        if let Some(call) = self.calls.get_mut(&peer)
            && !call.linger()
        {
            self.drop_call(peer, false);
        }
    }

    pub(super) fn renamed(&mut self, message: &Value) {
        let Some(member) = message.get("user").and_then(Member::read) else {
            return;
        };
        let mut calls = self.calls.values_mut();
        if let Some(call) = calls.find(|call| call.member.id == member.id) {
            call.member.name = member.name;
        }
    }

    /// Takes who is there; we may have missed who came and who left.
    pub(super) async fn take_list(&mut self, message: &Value) {
        if !self.has_joined {
            return;
        }
        let mut there = self.others(message);
        let known: Vec<PeerId> = self.all(|call| !call.is_gone()).collect();
        for peer in known {
            let Some(call) = self.calls.get_mut(&peer) else {
                continue;
            };
            match there.remove(&call.member.id) {
                Some(member) => call.member = member,
                None => self.linger(peer),
            }
        }
        for member in there.into_values() {
            let offers = member.polite;
            self.meet(member, offers).await;
        }
    }

    /// Reads the members in a list, without our own connections.
    pub(super) fn others(&self, message: &Value) -> BTreeMap<u64, Member> {
        let users = message.get("users").and_then(Value::as_array);
        users
            .into_iter()
            .flatten()
            .filter_map(Member::read)
            .filter(|member| !self.own.contains(&member.id) && !self.replaced.contains(&member.id))
            .map(|member| (member.id, member))
            .collect()
    }
}
