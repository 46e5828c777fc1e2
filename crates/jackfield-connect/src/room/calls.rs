//! The calls with the members of a room: which one a message is for, and what is said in it.

use serde_json::{Value, json};
use tokio::time::timeout;

use super::actor::{Actor, CLOSE_WITHIN};
use super::call::{Call, Context, Internal};
use super::{PeerId, RoomEvent};
use crate::channel::Channel;
use crate::connection::{Connection, ConnectionError, ConnectionEvent, Connector};
use crate::negotiation::{Then, text};

impl<C: Connector> Actor<C> {
    pub(super) async fn handle_call(&mut self, kind: &str, message: &Value) {
        let id = sender(message);
        let from = text(message, "from");
        let mut peer = self.find(|call| Some(call.member.id) == id && !call.is_gone());
        let is_earlier = |call: &Call<_>| from.is_some() && call.remote_mark() == from;
        let earlier = self.find(is_earlier).filter(|call| Some(*call) != peer);
        if let (Some(newer), Some(older), "video-offer" | "video-answer") = (peer, earlier, kind) {
            // Back under another name: the old one was not free yet, and perhaps the server has not
            // noticed that its connection is dead.
            peer = Some(self.merge(newer, older));
        }
        let Some(peer) = peer else {
            return;
        };
        if kind == "hang-up" {
            if message.get("anew") != Some(&Value::Bool(true)) {
                self.drop_call(peer, true);
            } else if let Some(to) = text(message, "to") {
                let to = to.to_owned();
                self.with_call(peer, async |call, context| {
                    if call.mark() == to {
                        call.remake(true, context).await
                    } else {
                        Ok(())
                    }
                })
                .await;
            }
            return;
        }
        self.with_call(peer, async |call, context| {
            match call.handle(message, context).await? {
                Then::Nothing => Ok(()),
                Then::Replace => {
                    call.remake(false, context).await?;
                    call.handle(message, context).await.map(|_| ())
                }
            }
        })
        .await;
    }

    /// Makes one of two calls with the same program; returns which.
    pub(super) fn merge(&mut self, newer: PeerId, older: PeerId) -> PeerId {
        self.replaced
            .extend(self.calls.get(&older).map(|call| call.member.id));
        if self.calls.get(&newer).is_some_and(Call::is_connected) {
            self.drop_call(older, false);
            return newer;
        }
        if let Some(call) = self.calls.remove(&newer) {
            if let Some(older) = self.calls.get_mut(&older) {
                older.is_back(call.member);
            }
            self.tell(RoomEvent::Returned {
                peer: older,
                found_as: newer,
            });
        }
        older
    }

    pub(super) async fn handle_internal(&mut self, peer: PeerId, generation: u64, what: Internal) {
        let is_current = self
            .calls
            .get(&peer)
            .is_some_and(|call| call.generation == generation);
        if !is_current {
            return;
        }
        match what {
            Internal::Connection(ConnectionEvent::Channel {
                label,
                protocol,
                channel,
            }) => {
                self.tell(RoomEvent::Channel {
                    peer,
                    label,
                    protocol,
                    channel,
                });
            }
            Internal::Hello(message) => self.heard_directly(peer, &message),
            Internal::Connection(event) => {
                self.with_call(peer, async |call, context| {
                    call.handle_event(event, context).await
                })
                .await;
            }
        }
        self.report(peer);
    }

    /// What somebody says over the channel that every call has.
    pub(super) fn heard_directly(&mut self, peer: PeerId, message: &Value) {
        match text(message, "t").unwrap_or_default() {
            "bye" => self.drop_call(peer, true),
            "chat" => {
                if let (Some(text), Some(call)) = (text(message, "text"), self.calls.get(&peer)) {
                    let name = call.member.name.clone();
                    self.tell(RoomEvent::Chat {
                        name,
                        text: text.to_owned(),
                    });
                }
            }
            "program" => {
                if let Some(purpose) = text(message, "purpose") {
                    self.tell(RoomEvent::Purpose {
                        peer,
                        purpose: purpose.to_owned(),
                    });
                }
            }
            "media" => {
                if let Some(call) = self.calls.get_mut(&peer)
                    && !std::mem::replace(&mut call.is_page, true)
                {
                    self.tell(RoomEvent::Purpose {
                        peer,
                        purpose: "page".to_owned(),
                    });
                }
            }
            "path" => {
                if let Some(call) = self.calls.get_mut(&peer) {
                    call.heard_relay(text(message, "relay"), &self.context);
                }
            }
            _ => {}
        }
    }

    /// Tells what is news about a call.
    pub(super) fn report(&mut self, peer: PeerId) {
        let Some(call) = self.calls.get_mut(&peer) else {
            return;
        };
        let news = call.news(peer);
        for event in news {
            self.tell(event);
        }
    }

    pub(super) async fn open_channel(
        &mut self,
        peer: PeerId,
        label: &str,
        protocol: &str,
    ) -> Result<Channel, ConnectionError> {
        let call = self.calls.get_mut(&peer);
        let call = call.ok_or_else(|| ConnectionError("they are gone".to_owned()))?;
        call.connection.open_channel(label, protocol, None).await
    }

    pub(super) fn chat(&mut self, text: &str) {
        let message = json!({ "type": "message", "room": self.room(), "text": text });
        if !self.signaling.send(&message) {
            let direct = json!({ "t": "chat", "text": text });
            self.calls.values().for_each(|call| call.say(&direct));
        }
    }

    pub(super) fn heard_chat(&self, message: &Value) {
        let name = text(message, "name").unwrap_or_default();
        if let Some(text) = text(message, "text")
            && sender(message).is_none_or(|id| !self.own.contains(&id))
        {
            self.tell(RoomEvent::Chat {
                name: name.to_owned(),
                text: text.to_owned(),
            });
        }
    }

    pub(super) fn tell_member(&mut self, peer: PeerId, data: &Value) {
        let Some(call) = self.calls.get(&peer) else {
            return;
        };
        let message = json!({
            "type": "message",
            "room": self.room(),
            "target": call.member.id,
            "data": data,
        });
        self.signaling.send(&message);
    }

    pub(super) fn heard_data(&self, message: &Value) {
        let id = sender(message);
        let peer = self.find(|call| Some(call.member.id) == id);
        if let (Some(peer), Some(data)) = (peer, message.get("data")) {
            self.tell(RoomEvent::Told {
                peer,
                data: data.clone(),
            });
        }
    }

    /// Does something with a call, and sends what comes of it.
    pub(super) async fn with_call(
        &mut self,
        peer: PeerId,
        work: impl AsyncFnOnce(&mut Call<C::Connection>, &mut Context<C>) -> Result<(), ConnectionError>,
    ) {
        let Some(call) = self.calls.get_mut(&peer) else {
            return;
        };
        if let Err(error) = work(call, &mut self.context).await {
            tracing::debug!(%error, name = %call.member.name, "A step of a negotiation failed");
        }
        let is_in_doubt = call.take_doubt();
        let outbox = call.take_outbox();
        for target in self.targets(peer) {
            for (kind, fields) in &outbox {
                let mut fields = fields.clone();
                fields.insert("type".to_owned(), (*kind).into());
                fields.insert("target".to_owned(), target.into());
                fields.insert("room".to_owned(), self.room().into());
                self.signaling.send(&Value::Object(fields));
            }
        }
        if is_in_doubt {
            let question = json!({ "type": "userlist", "room": self.room() });
            self.signaling.check(&question);
        }
    }

    /// Returns whose messages a call's are: its member's. One that was lost may be back on another
    /// connection to the server, and then is one of the members that have said nothing yet.
    pub(super) fn targets(&self, peer: PeerId) -> Vec<u64> {
        let Some(call) = self.calls.get(&peer) else {
            return Vec::new();
        };
        let mut targets = vec![call.member.id];
        if call.is_lost() {
            let silent = self
                .calls
                .values()
                .filter(|call| call.remote_mark().is_none());
            targets.extend(silent.map(|call| call.member.id));
        }
        targets
    }

    pub(super) fn find(&self, wanted: impl Fn(&Call<C::Connection>) -> bool) -> Option<PeerId> {
        self.all(wanted).next()
    }

    pub(super) fn all(
        &self,
        wanted: impl Fn(&Call<C::Connection>) -> bool,
    ) -> impl Iterator<Item = PeerId> {
        let calls = self.calls.iter();
        calls
            .filter(move |(_, call)| wanted(call))
            .map(|(peer, _)| *peer)
    }

    pub(super) fn drop_call(&mut self, peer: PeerId, said_goodbye: bool) {
        if let Some(call) = self.calls.remove(&peer) {
            let name = call.member.name;
            if said_goodbye {
                // Their last words, such as why they leave, may come after their goodbye.
                while self.closing.try_join_next().is_some() {}
                self.closing
                    .spawn(timeout(CLOSE_WITHIN, call.connection.close()));
            }
            self.tell(RoomEvent::Left {
                peer,
                name,
                said_goodbye,
            });
        }
    }
}

/// Returns the number of the member that said something, as the server stamped it.
fn sender(message: &Value) -> Option<u64> {
    message.get("id")?.as_u64()
}
