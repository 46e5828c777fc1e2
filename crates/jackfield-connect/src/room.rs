//! A room as a native program is in it: who is there, and a peer connection with each of them.
//!
//! What `web/assets/sdk-room.js` and `sdk-peer.js` do for browsers, so that a program is a member
//! like a page. A [`Room`] is a handle; a task does the work, and ends when the room is left.

mod call;
mod member;
mod queue;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jackfield_proxy::ProxyRules;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep_until, timeout};

use crate::channel::Channel;
use crate::connection::{Connection, ConnectionError, ConnectionEvent, Connector, Path, Relay};
use crate::negotiation::{Then, text};
use crate::server::{RoomName, Server};
use crate::signaling::{Incoming, Signaling, SignalingError};
use crate::trust::Trust;

use call::{Call, Context, Internal, Tagged};
use member::Member;
use queue::{EventReceiver, EventSender, Permit, Permits};

/// Where to go, and how to appear there.
#[derive(Debug, Clone)]
pub struct RoomOptions {
    /// The server.
    pub server: Server,
    /// Which of its certificates are trusted.
    pub trust: Trust,
    /// By which proxy the server is reached, if by any. One on this machine is reached directly.
    pub proxies: ProxyRules,
    /// The room.
    pub room: RoomName,
    /// What others see; the server adds a number to one that is taken.
    pub name: String,
    /// What a server that asks for one lets in by.
    pub token: Option<String>,
    /// The program's purpose: `pipe`, `send`, `receive` or `forward`. The others in the room see
    /// it.
    pub purpose: &'static str,
    /// Seeds marks and retries.
    pub seed: [u8; 16],
}

/// A person or program of the room, for as long as there is a call with them: coming back on
/// another connection to the server does not change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub(crate) u64);

/// What happens in a room.
#[derive(Debug)]
#[non_exhaustive]
pub enum RoomEvent {
    /// We are in, for the first time or again after the server was out of reach.
    Joined {
        /// What we are called here.
        name: String,
    },
    /// The server is out of reach; calls go on, and it is tried again.
    ServerLost(SignalingError),
    /// The server does not let us in, for good.
    Refused {
        /// The server's word for it, such as `room-full`.
        code: String,
        /// Its sentence.
        message: String,
    },
    /// Somebody is there, and a connection is being made.
    Found {
        /// The call.
        peer: PeerId,
        /// What they are called.
        name: String,
        /// Whether they were in the room before us.
        was_here: bool,
    },
    /// Somebody who was [found](Self::Found) is not new: they are back on another connection to the
    /// server, and the call with them goes on.
    Returned {
        /// The call that goes on.
        peer: PeerId,
        /// What they were found as; it names no call from here on.
        found_as: PeerId,
    },
    /// Channels work. With `anew`, channels of an earlier connection have ended.
    Connected {
        /// The call.
        peer: PeerId,
        /// Whether this is another connection than before.
        anew: bool,
    },
    /// Nothing comes from them, for the moment.
    Interrupted {
        /// The call.
        peer: PeerId,
    },
    /// They have said what they are here for.
    Purpose {
        /// The call.
        peer: PeerId,
        /// A [purpose](RoomOptions::purpose), or `page` for a browser with the room's page.
        purpose: String,
    },
    /// They have opened a channel.
    Channel {
        /// The call.
        peer: PeerId,
        /// What they call it.
        label: String,
        /// The protocol that is spoken on it.
        protocol: String,
        /// Our end.
        channel: Channel,
    },
    /// Packets take another way, or the first one is known.
    Path {
        /// The call.
        peer: PeerId,
        /// The way, as this side sees it.
        path: Path,
        /// The worse of the relays on both sides; `None` for a direct path.
        relay: Option<Relay>,
    },
    /// They wrote something in the chat.
    Chat {
        /// Who.
        name: String,
        /// What.
        text: String,
    },
    /// They told this program something through the server, which works without a connection.
    Told {
        /// The call.
        peer: PeerId,
        /// What, as their program means it.
        data: Value,
    },
    /// They are gone.
    Left {
        /// The call.
        peer: PeerId,
        /// What they were called.
        name: String,
        /// Whether they said so, rather than being lost.
        said_goodbye: bool,
    },
}

/// A room that this program is in.
#[derive(Debug)]
pub struct Room {
    events: EventReceiver,
    handle: RoomHandle,
    task: JoinHandle<()>,
}

/// A way to say something in a room; as many as wanted.
#[derive(Debug, Clone)]
pub struct RoomHandle(mpsc::UnboundedSender<Command>);

#[derive(Debug)]
enum Command {
    Open {
        peer: PeerId,
        label: String,
        protocol: String,
        reply: oneshot::Sender<Result<Channel, ConnectionError>>,
    },
    Chat(String),
    Tell(PeerId, Value),
    Leave,
}

impl Room {
    /// Enters a room. What comes of it is in [`Room::next`].
    pub fn enter<C: Connector>(options: RoomOptions, connector: C) -> Self {
        let (commands, to_do) = mpsc::unbounded_channel();
        let (happened, events) = queue::queue();
        let (actor, internals) = Actor::new(options, connector, happened);
        let task = tokio::spawn(actor.run(to_do, internals));
        Self {
            events,
            handle: RoomHandle(commands),
            task,
        }
    }

    /// Returns what happens next; `None` when the room was left. Dropping the future loses nothing.
    ///
    /// Of a program that does not call it, the members and the server are slowed down: a bounded
    /// number of events waits. Commands of a [`RoomHandle`] are carried out all the same.
    pub async fn next(&mut self) -> Option<RoomEvent> {
        self.events.next().await
    }

    /// Returns a handle.
    #[must_use]
    pub fn handle(&self) -> RoomHandle {
        self.handle.clone()
    }

    /// Says goodbye to everybody and leaves; resolves when that is done.
    pub async fn leave(self) {
        // A task that has ended has left.
        let _ended = self.handle.0.send(Command::Leave);
        drop(self.events);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "The task of a room failed");
        }
    }
}

impl RoomHandle {
    /// Opens a reliable, ordered channel to somebody.
    ///
    /// # Errors
    /// When they are gone, or the connection is not one that takes a channel now.
    pub async fn open_channel(
        &self,
        peer: PeerId,
        label: &str,
        protocol: &str,
    ) -> Result<Channel, ConnectionError> {
        let (reply, answer) = oneshot::channel();
        let gone = || ConnectionError("the room was left".to_owned());
        let (label, protocol) = (label.to_owned(), protocol.to_owned());
        self.0
            .send(Command::Open {
                peer,
                label,
                protocol,
                reply,
            })
            .map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Says something in the chat.
    pub fn chat(&self, text: impl Into<String>) {
        // A room that was left has no chat.
        let _left = self.0.send(Command::Chat(text.into()));
    }

    /// Tells one member something through the server, byte for byte; lost while the server is out
    /// of reach, or when they are gone.
    pub fn tell(&self, peer: PeerId, data: Value) {
        // A room that was left has no member to tell.
        let _left = self.0.send(Command::Tell(peer, data));
    }
}

struct Actor<C: Connector> {
    context: Context<C>,
    signaling: Signaling,
    calls: BTreeMap<PeerId, Call<C::Connection>>,
    happened: EventSender,
    permits: Permits,
    /// The permit of what is being handled, for the events that come of it.
    permit: Option<Permit>,
    name: String,
    /// The numbers of all our connections to the server so far: it may not know yet that the
    /// earlier ones are dead.
    own: BTreeSet<u64>,
    /// The numbers of others' connections in whose place they have come by another one: lists may
    /// have the dead one for a while.
    replaced: BTreeSet<u64>,
    next_peer: u64,
    has_joined: bool,
    is_over: bool,
    /// When the server is asked again to let us in.
    join_again_at: Option<Instant>,
    preparing: Option<Preparing>,
    /// Whether any ICE servers were prepared, so that calls can be made.
    is_prepared: bool,
    /// What the server said while the first ones are being prepared: calls come of it.
    deferred: VecDeque<(Option<Permit>, Incoming)>,
    /// Connections with members that have said goodbye.
    closing: JoinSet<Result<(), Elapsed>>,
}

/// ICE servers that the connector prepares for.
struct Preparing {
    servers: Value,
    task: JoinHandle<()>,
}

impl Preparing {
    /// Waits until that is done; for ever if there is nothing. Dropping the future loses nothing.
    async fn done(preparing: &mut Option<Self>) {
        match preparing {
            Some(preparing) => {
                if let Err(error) = (&mut preparing.task).await {
                    tracing::error!(%error, "The task that prepares for ICE servers failed");
                }
            }
            None => std::future::pending().await,
        }
    }
}

impl Drop for Preparing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<C: Connector> Actor<C> {
    fn new(
        options: RoomOptions,
        connector: C,
        happened: EventSender,
    ) -> (Self, mpsc::UnboundedReceiver<Tagged>) {
        // It is bounded by the permits, too: each of its senders has one.
        let (internal, internals) = mpsc::unbounded_channel();
        let permits = Permits::new();
        let (server, trust) = (options.server.clone(), options.trust.clone());
        let proxies = options.proxies.clone();
        let name = options.name.clone();
        let context = Context::new(options, connector, internal, permits.clone());
        let signaling = Signaling::new(server, trust, proxies, context.first_random());
        let actor = Self {
            context,
            signaling,
            calls: BTreeMap::new(),
            happened,
            permits,
            permit: None,
            name,
            own: BTreeSet::new(),
            replaced: BTreeSet::new(),
            next_peer: 0,
            has_joined: false,
            is_over: false,
            join_again_at: None,
            preparing: None,
            is_prepared: false,
            deferred: VecDeque::new(),
            closing: JoinSet::new(),
        };
        (actor, internals)
    }

    async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        mut internals: mpsc::UnboundedReceiver<Tagged>,
    ) {
        while !self.is_over {
            let deadline = self.deadline();
            let (permits, signaling) = (&self.permits, &mut self.signaling);
            let from_server = async { (permits.server().await, signaling.next().await) };
            tokio::select! {
                (permit, incoming) = from_server => {
                    self.permit = Some(permit);
                    self.handle_signaling(incoming).await;
                }
                () = Preparing::done(&mut self.preparing) => self.finish_preparing().await,
                Some(tagged) = internals.recv() => {
                    let Tagged { peer, generation, what, permit } = tagged;
                    self.permit = Some(permit);
                    self.handle_internal(peer, generation, what).await;
                }
                command = commands.recv() => match command {
                    Some(Command::Open { peer, label, protocol, reply }) => {
                        let opened = self.open_channel(peer, &label, &protocol).await;
                        // The caller may have stopped waiting.
                        let _dropped = reply.send(opened);
                    }
                    Some(Command::Chat(text)) => self.chat(&text),
                    Some(Command::Tell(peer, data)) => self.tell_member(peer, &data),
                    Some(Command::Leave) | None => break,
                },
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    self.handle_timeout(Instant::now()).await;
                }
            }
            self.permit = None;
        }
        self.leave().await;
    }

    fn tell(&self, event: RoomEvent) {
        self.happened.send(event, self.permit.clone());
    }

    fn room(&self) -> &str {
        self.context.options.room.as_str()
    }

    fn deadline(&self) -> Option<Instant> {
        let calls = self.calls.values().filter_map(Call::deadline);
        calls.chain(self.join_again_at).min()
    }

    /// Takes what comes from the server: at once, or when calls can be made.
    async fn handle_signaling(&mut self, incoming: Incoming) {
        match &incoming {
            Incoming::Open => self.join(),
            Incoming::Message(message) => self.take_ice_servers(message),
            Incoming::Lost(_) => {}
        }
        if self.preparing.is_some() && !self.is_prepared {
            self.deferred.push_back((self.permit.clone(), incoming));
        } else {
            self.handle_incoming(incoming).await;
        }
    }

    async fn finish_preparing(&mut self) {
        if let Some(mut done) = self.preparing.take() {
            self.context.ice_servers = done.servers.take();
        }
        self.is_prepared = true;
        while let Some((permit, incoming)) = self.deferred.pop_front() {
            self.permit = permit;
            self.handle_incoming(incoming).await;
        }
    }

    fn join(&mut self) {
        self.join_again_at = None;
        let mut join = json!({
            "type": "join",
            "room": self.room(),
            "name": self.context.options.name,
        });
        if let (Some(token), Some(join)) = (&self.context.options.token, join.as_object_mut()) {
            join.insert("token".to_owned(), token.as_str().into());
        }
        self.signaling.send(&join);
    }

    async fn handle_incoming(&mut self, incoming: Incoming) {
        match incoming {
            // It was acted on when it came.
            Incoming::Open => {}
            Incoming::Lost(error) => {
                self.context.is_reachable = false;
                self.tell(RoomEvent::ServerLost(error));
            }
            Incoming::Message(message) => self.handle_message(&message).await,
        }
    }

    async fn handle_message(&mut self, message: &Value) {
        let kind = text(message, "type").unwrap_or_default();
        match kind {
            "error"
                if text(message, "re") == Some("join")
                    && text(message, "code") == Some("rate-limited") =>
            {
                // Too many of our network joined of late.
                self.join_again_at = Some(Instant::now() + JOIN_AGAIN);
            }
            "error" if text(message, "re") == Some("join") => {
                self.is_over = true;
                self.tell(RoomEvent::Refused {
                    code: text(message, "code").unwrap_or_default().to_owned(),
                    message: text(message, "message").unwrap_or_default().to_owned(),
                });
            }
            _ if text(message, "room") != Some(self.room()) => {}
            "joined" => self.joined(message).await,
            "user-joined" => {
                if let Some(member) = message.get("user").and_then(Member::read)
                    && !self.own.contains(&member.id)
                {
                    self.meet(member, false).await;
                }
            }
            "user-left" => self.user_left(message),
            "userlist" => self.take_list(message).await,
            "user-renamed" => self.renamed(message),
            "rejectusername" => {
                if let Some(name) = text(message, "name") {
                    name.clone_into(&mut self.name);
                }
            }
            "message" if message.get("data").is_some() => self.heard_data(message),
            "message" => self.heard_chat(message),
            "video-offer" | "video-answer" | "new-ice-candidate" | "hang-up" => {
                self.handle_call(kind, message).await;
            }
            _ => {}
        }
    }

    /// Prepares for the ICE servers that a message names, if it is one that does.
    fn take_ice_servers(&mut self, message: &Value) {
        let is_ours = match text(message, "type") {
            Some("ice-servers") => true,
            Some("joined") => text(message, "room") == Some(self.room()),
            _ => false,
        };
        let Some(servers) = message.get("iceServers").filter(|_| is_ours) else {
            return;
        };
        let known = match &self.preparing {
            Some(preparing) => &preparing.servers,
            None => &self.context.ice_servers,
        };
        if known != servers {
            let task = tokio::spawn(self.context.prepare(servers));
            let servers = servers.clone();
            self.preparing = Some(Preparing { servers, task });
        }
    }

    async fn joined(&mut self, message: &Value) {
        if let Some(me) = message.get("self").and_then(Member::read) {
            self.own.insert(me.id);
            self.name = me.name;
        }
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
    async fn meet(&mut self, member: Member, offers: bool) {
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

    async fn resume(&mut self, peer: PeerId, member: Member, was_away: bool) {
        self.with_call(peer, async |call, context| {
            call.is_back(member);
            call.resume(was_away, context).await
        })
        .await;
    }

    fn user_left(&mut self, message: &Value) {
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
    fn linger(&mut self, peer: PeerId) {
        if let Some(call) = self.calls.get_mut(&peer)
            && !call.linger()
        {
            self.drop_call(peer, false);
        }
    }

    fn renamed(&mut self, message: &Value) {
        let Some(member) = message.get("user").and_then(Member::read) else {
            return;
        };
        let mut calls = self.calls.values_mut();
        if let Some(call) = calls.find(|call| call.member.id == member.id) {
            call.member.name = member.name;
        }
    }

    /// Takes who is there; we may have missed who came and who left.
    async fn take_list(&mut self, message: &Value) {
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
    fn others(&self, message: &Value) -> BTreeMap<u64, Member> {
        let users = message.get("users").and_then(Value::as_array);
        users
            .into_iter()
            .flatten()
            .filter_map(Member::read)
            .filter(|member| !self.own.contains(&member.id) && !self.replaced.contains(&member.id))
            .map(|member| (member.id, member))
            .collect()
    }

    fn heard_chat(&self, message: &Value) {
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

    fn tell_member(&mut self, peer: PeerId, data: &Value) {
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

    fn heard_data(&self, message: &Value) {
        let id = sender(message);
        let peer = self.find(|call| Some(call.member.id) == id);
        if let (Some(peer), Some(data)) = (peer, message.get("data")) {
            self.tell(RoomEvent::Told {
                peer,
                data: data.clone(),
            });
        }
    }

    async fn handle_call(&mut self, kind: &str, message: &Value) {
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
    fn merge(&mut self, newer: PeerId, older: PeerId) -> PeerId {
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

    async fn handle_internal(&mut self, peer: PeerId, generation: u64, what: Internal) {
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
    fn heard_directly(&mut self, peer: PeerId, message: &Value) {
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
    fn report(&mut self, peer: PeerId) {
        let Some(call) = self.calls.get_mut(&peer) else {
            return;
        };
        let news = call.news(peer);
        for event in news {
            self.tell(event);
        }
    }

    async fn handle_timeout(&mut self, now: Instant) {
        if self.join_again_at.is_some_and(|at| at <= now) {
            self.join();
        }
        let due: Vec<PeerId> = self
            .calls
            .iter()
            .filter(|(_, call)| call.deadline().is_some_and(|deadline| deadline <= now))
            .map(|(peer, _)| *peer)
            .collect();
        for peer in due {
            if self
                .calls
                .get(&peer)
                .is_some_and(|call| call.is_given_up(now))
            {
                self.drop_call(peer, false);
                continue;
            }
            self.with_call(peer, async |call, context| {
                call.handle_timeout(now, context).await
            })
            .await;
            self.report(peer);
        }
    }

    async fn open_channel(
        &mut self,
        peer: PeerId,
        label: &str,
        protocol: &str,
    ) -> Result<Channel, ConnectionError> {
        let call = self.calls.get_mut(&peer);
        let call = call.ok_or_else(|| ConnectionError("they are gone".to_owned()))?;
        call.connection.open_channel(label, protocol, None).await
    }

    fn chat(&mut self, text: &str) {
        let message = json!({ "type": "message", "room": self.room(), "text": text });
        if !self.signaling.send(&message) {
            let direct = json!({ "t": "chat", "text": text });
            self.calls.values().for_each(|call| call.say(&direct));
        }
    }

    /// Does something with a call, and sends what comes of it.
    async fn with_call(
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
    fn targets(&self, peer: PeerId) -> Vec<u64> {
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

    fn find(&self, wanted: impl Fn(&Call<C::Connection>) -> bool) -> Option<PeerId> {
        self.all(wanted).next()
    }

    fn all(&self, wanted: impl Fn(&Call<C::Connection>) -> bool) -> impl Iterator<Item = PeerId> {
        let calls = self.calls.iter();
        calls
            .filter(move |(_, call)| wanted(call))
            .map(|(peer, _)| *peer)
    }

    fn drop_call(&mut self, peer: PeerId, said_goodbye: bool) {
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

    async fn leave(mut self) {
        let goodbye = json!({ "t": "bye" });
        self.calls.values().for_each(|call| call.say(&goodbye));
        if self.has_joined {
            let room = self.room().to_owned();
            self.signaling
                .send(&json!({ "type": "hang-up", "room": room }));
            self.signaling
                .send(&json!({ "type": "leave", "room": room }));
        }
        self.signaling.close().await;
        let mut closing = self.closing;
        for call in self.calls.into_values() {
            closing.spawn(timeout(CLOSE_WITHIN, call.connection.close()));
        }
        // Who does not answer in time is not waited for.
        while closing.join_next().await.is_some() {}
    }
}

/// How long closing all connections may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);

/// How long to wait after too many joins.
const JOIN_AGAIN: Duration = Duration::from_secs(3);

/// Returns the number of the member that said something, as the server stamped it.
fn sender(message: &Value) -> Option<u64> {
    message.get("id")?.as_u64()
}
