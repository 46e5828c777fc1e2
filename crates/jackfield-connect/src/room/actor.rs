//! The task of a room: what it hears from the server, from members and from the program, one thing
//! after the other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep_until, timeout};

use super::call::{Call, Context, Tagged};
use super::member::Member;
use super::preparing::Preparing;
use super::queue::{EventSender, Permit, Permits};
use super::{Command, PeerId, RoomEvent, RoomOptions};
use crate::connection::{Connection, Connector};
use crate::negotiation::text;
use crate::signaling::{Incoming, Signaling};

pub(super) struct Actor<C: Connector> {
    pub(super) context: Context<C>,
    pub(super) signaling: Signaling,
    pub(super) calls: BTreeMap<PeerId, Call<C::Connection>>,
    pub(super) happened: EventSender,
    pub(super) permits: Permits,
    /// The permit of what is being handled, for the events that come of it.
    pub(super) permit: Option<Permit>,
    pub(super) name: String,
    /// The numbers of all our connections to the server so far: it may not know yet that the
    /// earlier ones are dead.
    pub(super) own: BTreeSet<u64>,
    /// The numbers of others' connections in whose place they have come by another one: lists may
    /// have the dead one for a while.
    pub(super) replaced: BTreeSet<u64>,
    /// By this we come back as who we were, into a room that is locked, too.
    pub(super) session: Option<String>,
    pub(super) next_peer: u64,
    pub(super) has_joined: bool,
    pub(super) is_over: bool,
    /// When the server is asked again to let us in.
    pub(super) join_again_at: Option<Instant>,
    pub(super) preparing: Option<Preparing>,
    /// Whether any ICE servers were prepared, so that calls can be made.
    pub(super) is_prepared: bool,
    /// What the server said while the first ones are being prepared: calls come of it.
    pub(super) deferred: VecDeque<(Option<Permit>, Incoming)>,
    /// Connections with members that have said goodbye.
    pub(super) closing: JoinSet<Result<(), Elapsed>>,
}

impl<C: Connector> Actor<C> {
    pub(super) fn new(
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
            session: None,
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

    pub(super) async fn run(
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

    pub(super) fn tell(&self, event: RoomEvent) {
        self.happened.send(event, self.permit.clone());
    }

    pub(super) fn room(&self) -> &str {
        self.context.options.room.as_str()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let calls = self.calls.values().filter_map(Call::deadline);
        calls.chain(self.join_again_at).min()
    }

    /// Takes what comes from the server: at once, or when calls can be made.
    pub(super) async fn handle_signaling(&mut self, incoming: Incoming) {
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

    pub(super) async fn finish_preparing(&mut self) {
        if let Some(mut done) = self.preparing.take() {
            self.context.ice_servers = done.servers.take();
        }
        self.is_prepared = true;
        while let Some((permit, incoming)) = self.deferred.pop_front() {
            self.permit = permit;
            self.handle_incoming(incoming).await;
        }
    }

    pub(super) fn join(&mut self) {
        self.join_again_at = None;
        let join = self.join_message();
        self.signaling.send(&join);
    }

    pub(super) fn join_message(&self) -> Value {
        let mut join = json!({
            "type": "join",
            "room": self.room(),
            "name": self.context.options.name,
        });
        let Some(fields) = join.as_object_mut() else {
            return join;
        };
        if let Some(token) = &self.context.options.token {
            fields.insert("token".to_owned(), token.as_str().into());
        }
        // Files go on when a program that was killed is started again, which has no session: the
        // other side knows it by its name, so that must not be held for the one that is dead.
        if !matches!(self.context.options.purpose, "send" | "receive") {
            // `null` asks for one.
            let session = self.session.as_deref().map_or(Value::Null, Value::from);
            fields.insert("session".to_owned(), session);
        }
        join
    }

    pub(super) async fn handle_incoming(&mut self, incoming: Incoming) {
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

    pub(super) async fn handle_message(&mut self, message: &Value) {
        let kind = text(message, "type").unwrap_or_default();
        match kind {
            "error"
                if text(message, "re") == Some("join")
                    && text(message, "code") == Some("rate-limited") =>
            {
                // Too many of our network joined of late.
                self.join_again_at = Some(Instant::now() + JOIN_AGAIN);
            }
            // Some of them come late, and say which room they mean.
            "error"
                if text(message, "re") == Some("join")
                    && text(message, "room").is_none_or(|room| room == self.room()) =>
            {
                self.is_over = true;
                self.tell(RoomEvent::Refused {
                    code: text(message, "code").unwrap_or_default().to_owned(),
                    message: text(message, "message").unwrap_or_default().to_owned(),
                });
            }
            _ if text(message, "room") != Some(self.room()) => {}
            "joined" => self.joined(message).await,
            "waiting" => {
                let seconds = message.get("timeout").and_then(Value::as_u64);
                let within = Duration::from_secs(seconds.unwrap_or_default());
                self.tell(RoomEvent::Knocking { within });
            }
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
    pub(super) fn take_ice_servers(&mut self, message: &Value) {
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

    pub(super) async fn handle_timeout(&mut self, now: Instant) {
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

    pub(super) async fn leave(mut self) {
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
pub(super) const CLOSE_WITHIN: Duration = Duration::from_secs(3);

/// How long to wait after too many joins.
const JOIN_AGAIN: Duration = Duration::from_secs(3);
