//! The hub: takes what members send and says what goes where.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use jackfield_sansio::{ClientNetwork, Rate, RateLimiter, TokenBucket};

use crate::config::HubConfig;
use crate::counters::HubCounters;
use crate::envelope::{Envelope, string};
use crate::error::ErrorCode;
use crate::hold::Holds;
use crate::hooks::{Gate, IceServers, Queues};
use crate::lobby::LobbyList;
use crate::member::{Member, NewMember};
use crate::output::{AckId, CloseReason, MemberId, Output};
use crate::room::Room;
use crate::scope::Scope;
use crate::session::Sessions;
use crate::write;

/// Members, names and rooms, and the routing of messages between them.
pub struct Hub {
    pub(crate) config: HubConfig,
    pub(crate) ice: Box<dyn IceServers + Send>,
    pub(crate) gate: Option<Box<dyn Gate + Send>>,
    pub(crate) queues: Option<Box<dyn Queues + Send>>,
    pub(crate) members: BTreeMap<MemberId, Member>,
    pub(crate) rooms: BTreeMap<Arc<str>, Room>,
    /// The members that are in no room and said their name, in MDN's dialect.
    pub(crate) lobby: Scope,
    pub(crate) lobby_list: LobbyList,
    /// When whose ICE servers are minted anew. In step with `Member::refresh_at`.
    pub(crate) refreshes: BTreeSet<(Instant, MemberId)>,
    /// When who has waited long enough at which room. In step with `Room::waiting`.
    pub(crate) knock_ends: BTreeSet<(Instant, MemberId, Arc<str>)>,
    pub(crate) holds: Holds,
    pub(crate) sessions: Sessions,
    /// Outlives the members: a new connection is no new start.
    pub(crate) joins: RateLimiter<ClientNetwork>,
    pub(crate) counters: HubCounters,
    outputs: VecDeque<Output>,
    next_id: u64,
}

impl Hub {
    /// Creates an empty hub. The seed decides where member numbers begin, and is the key of the
    /// sessions: it must not be guessed.
    #[must_use]
    pub fn new(config: HubConfig, ice: Box<dyn IceServers + Send>, seed: [u8; 32]) -> Self {
        let start = seed
            .first_chunk()
            .map_or(0, |bytes| u64::from_le_bytes(*bytes));
        Self {
            config,
            ice,
            gate: None,
            queues: None,
            members: BTreeMap::new(),
            rooms: BTreeMap::new(),
            lobby: Scope::default(),
            lobby_list: LobbyList::default(),
            refreshes: BTreeSet::new(),
            knock_ends: BTreeSet::new(),
            holds: Holds::default(),
            sessions: Sessions::new(&seed),
            joins: RateLimiter::new(MOST_NETWORKS),
            counters: HubCounters::default(),
            outputs: VecDeque::new(),
            // Far below 2^53, so that a JavaScript number holds every id exactly.
            next_id: start % FIRST_ID_BELOW,
        }
    }

    /// Lets a gate decide who may join which room.
    pub fn set_gate(&mut self, gate: Box<dyn Gate + Send>) {
        self.gate = Some(gate);
    }

    /// Lets the driver say for which member too much waits already.
    pub fn set_queues(&mut self, queues: Box<dyn Queues + Send>) {
        self.queues = Some(queues);
    }

    /// Takes a new connection and tells it its `id`.
    ///
    /// If the hub is full, the connection gets the error `server-full` and is closed; its number
    /// then belongs to no member.
    pub fn handle_connect(&mut self, now: Instant, new: NewMember) -> MemberId {
        let _ = now;
        // The connection gets a number even when the hub is full, so that the driver can address
        // the error and the close.
        self.next_id += 1;
        let member = MemberId(self.next_id);
        if self.members.len() >= self.config.max_members {
            self.counters.count_refusal(ErrorCode::ServerFull);
            let json = write::error(ErrorCode::ServerFull, "");
            self.send(member, "error", json.into());
            let why = CloseReason::ServerFull;
            self.outputs.push_back(Output::Close { member, why });
            return member;
        }
        self.counters.connected += 1;
        // The client wrote this header, and it is kept for as long as the client stays.
        let host = new.host.filter(|host| host.len() <= MAX_HOST_BYTES);
        self.members.insert(
            member,
            Member {
                host: host.map(Arc::from),
                network: new.network,
                name: None,
                lobby: new.lobby,
                rooms: Vec::new(),
                waits_at: Vec::new(),
                has_session: false,
                calls: BTreeSet::new(),
                bucket: TokenBucket::default(),
                missed: BTreeSet::new(),
                refresh_at: None,
            },
        );
        self.send(member, "id", write::id(member).into());
        if new.lobby && self.lobby.len() < self.config.max_lobby_members {
            self.enter_lobby(member, None);
        }
        member
    }

    /// Takes a message that came over a WebSocket: a JSON object with its `type`.
    pub fn handle_message(&mut self, now: Instant, member: MemberId, text: &str) {
        self.handle(now, member, None, text, None);
    }

    /// Takes an event that came over Socket.IO: its name is the type, its one argument (`{}` if
    /// there was none) a JSON object.
    ///
    /// With `ack`, the answer or the error comes as [`Output::Ack`]; a message that has no answer
    /// is acknowledged with `ok`.
    pub fn handle_event(
        &mut self,
        now: Instant,
        member: MemberId,
        kind: &str,
        body: &str,
        ack: Option<AckId>,
    ) {
        self.handle(now, member, Some(kind), body, ack);
    }

    /// Takes the end of a connection, whichever side ended it.
    ///
    /// The names of a member that has a session are [held](HubConfig::name_hold) in the rooms that
    /// it did not `leave`.
    pub fn handle_disconnect(&mut self, now: Instant, member: MemberId) {
        self.forget(now, member);
        self.send_lobby_list(now);
    }

    /// Takes that the queue of a member is empty again, which had no
    /// [room for a change](Queues::have_room_for_change): the member gets the list of a room that
    /// it missed changes of.
    ///
    /// Returns whether it missed some of another room as well: then call this again when the queue
    /// is empty the next time.
    pub fn handle_drained(&mut self, now: Instant, member: MemberId) -> bool {
        let _ = now;
        self.catch_up(member)
    }

    /// Does what is due: fresh ICE servers, the end of knocks and of names that are held, the list
    /// of the lobby.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.refresh_due(now);
        self.knocks_due(now);
        self.release_due(now);
        self.send_lobby_list(now);
    }

    /// Returns what to do next; drain it after every input until [`Output::Wait`].
    #[must_use]
    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| {
            let refresh = self.refreshes.first().map(|(at, _)| *at);
            let knock = self.knock_ends.first().map(|(at, ..)| *at);
            let due = [refresh, knock, self.holds.due(), self.lobby_list.due()];
            Output::Wait(due.into_iter().flatten().min())
        })
    }

    /// Returns the counters.
    #[must_use]
    pub fn counters(&self) -> &HubCounters {
        &self.counters
    }

    /// Returns how many members there are.
    #[must_use]
    pub fn member_count(&self) -> usize {
        self.members.len()
    }

    /// Returns how many members are in the lobby.
    #[must_use]
    pub fn lobby_count(&self) -> usize {
        self.lobby.len()
    }

    /// Returns how many rooms there are; each has a member, or holds the name of one that was lost.
    #[must_use]
    pub fn room_count(&self) -> usize {
        self.rooms.len()
    }

    /// Returns the rooms by name, each with the number of its members.
    pub fn rooms(&self) -> impl Iterator<Item = (&str, usize)> {
        self.rooms
            .iter()
            .map(|(name, room)| (&**name, room.scope.len()))
    }

    /// Returns who is in a room, in the order of connection.
    pub fn members_of(&self, room: &str) -> impl Iterator<Item = (MemberId, &str)> {
        let entries = self.scope_in(room).into_iter().flat_map(Scope::entries);
        entries.map(|(member, name)| (member, name.unwrap_or_default()))
    }

    fn handle(
        &mut self,
        now: Instant,
        member: MemberId,
        kind: Option<&str>,
        text: &str,
        ack: Option<AckId>,
    ) {
        if !self.members.contains_key(&member) {
            self.counters.late += 1;
            return;
        }
        self.counters.received += 1;
        let mut origin = Origin {
            now,
            member,
            kind: kind.unwrap_or_default(),
            ack,
        };
        // The rate comes first: a flood must not even be parsed.
        if !self.takes(&origin, 1 + (text.len() / COST_UNIT) as u64) {
            return self.close_flooding(&origin);
        }
        let envelope = match self.open(kind, text) {
            Ok(envelope) => envelope,
            Err(code) => return self.refuse(&origin, code),
        };
        let Ok(written) = string(envelope.fields.kind) else {
            return self.refuse(&origin, ErrorCode::TypeMissing);
        };
        match (kind, &written) {
            (None, None) => return self.refuse(&origin, ErrorCode::TypeMissing),
            // Members over WebSocket read the type in the body: it must be the one that was
            // judged.
            (Some(event), Some(written)) if event != written => {
                return self.refuse(&origin, ErrorCode::Malformed);
            }
            (None, Some(written)) => origin.kind = written,
            (Some(_), _) => {}
        }
        // What a message costs beyond that shows only in its type.
        let done = if self.takes(&origin, extra_cost(origin.kind)) {
            self.dispatch(&origin, &envelope)
        } else {
            Err(ErrorCode::RateLimited)
        };
        match done {
            Ok(done) => self.answer(&origin, done),
            Err(code) => self.refuse(&origin, code),
        }
        self.send_lobby_list(now);
    }

    /// Takes what it costs to send `readers` members `bytes` bytes in all.
    ///
    /// # Errors
    ///
    /// The sender has not so much left; nothing is taken.
    pub(crate) fn charge(
        &mut self,
        origin: &Origin<'_>,
        readers: usize,
        bytes: usize,
    ) -> Result<(), ErrorCode> {
        let cost = (readers * READER_COST + bytes) / COST_UNIT;
        // A message that the other limits allow can be sent, if seldom.
        let most = u64::from(self.config.message_burst / 2);
        if self.takes(origin, most.min(cost as u64)) {
            Ok(())
        } else {
            Err(ErrorCode::RateLimited)
        }
    }

    fn takes(&mut self, origin: &Origin<'_>, cost: u64) -> bool {
        let (per_second, burst) = (self.config.messages_per_second, self.config.message_burst);
        let rate = Rate::new(per_second, burst);
        let state = self.members.get_mut(&origin.member);
        state.is_some_and(|state| {
            // A rate of 0 stands for no limit.
            per_second == 0 || state.bucket.take(origin.now, rate, cost)
        })
    }

    fn close_flooding(&mut self, origin: &Origin<'_>) {
        self.refuse(origin, ErrorCode::RateLimited);
        self.close(origin.now, origin.member, CloseReason::RateLimited);
        self.send_lobby_list(origin.now);
    }

    fn open<'a>(&self, kind: Option<&str>, text: &'a str) -> Result<Envelope<'a>, ErrorCode> {
        if text.len() > self.config.max_message_bytes
            || kind.is_some_and(|kind| kind.len() > MAX_KIND_BYTES)
        {
            return Err(ErrorCode::TooLarge);
        }
        Envelope::parse(text, self.config.max_depth)
    }

    fn dispatch(
        &mut self,
        origin: &Origin<'_>,
        envelope: &Envelope<'_>,
    ) -> Result<Reply, ErrorCode> {
        match origin.kind {
            "username" => self.username(origin, envelope),
            "join" => self.join(origin, envelope),
            "leave" => self.leave(origin, envelope),
            "userlist" => self.userlist(origin, envelope),
            "ice-servers" => self.ice_servers(origin),
            "message" => self.message(origin, envelope),
            "video-offer" | "video-answer" | "new-ice-candidate" => self.call(origin, envelope),
            "hang-up" => self.hang_up(origin, envelope),
            // Who is in the lobby and names no room means nothing of these by it.
            "access" | "admit" | "refuse"
                if self.lobby.has(origin.member) && envelope.fields.room.is_none() =>
            {
                self.lobby_other(origin, envelope)
            }
            "access" => self.set_access(origin, envelope),
            "admit" => self.admit(origin, envelope),
            "refuse" => self.refuse_knock(origin, envelope),
            // Only the server says these: a member could otherwise pretend that another has left.
            "id" | "rejectusername" | "joined" | "user-joined" | "user-left" | "user-renamed"
            | "waiting" | "knock" | "knock-ended" | "error" | "ok" => Err(ErrorCode::TypeReserved),
            "" => Err(ErrorCode::TypeMissing),
            _ => self.lobby_other(origin, envelope),
        }
    }

    fn answer(&mut self, origin: &Origin<'_>, done: Reply) {
        match (done, origin.ack) {
            (Reply::Ok, None) => {}
            (Reply::Ok, Some(ack)) => self.acknowledge(origin, ack, write::ok(origin.kind)),
            (Reply::Answer(_, json), Some(ack)) => self.acknowledge(origin, ack, json),
            (Reply::Answer(kind, json), None) => self.send(origin.member, kind, json.into()),
        }
    }

    fn refuse(&mut self, origin: &Origin<'_>, code: ErrorCode) {
        self.counters.count_refusal(code);
        // The echo goes to its sender alone, and is cut all the same: it could be a whole message.
        let re = if origin.kind.len() <= MAX_KIND_BYTES {
            origin.kind
        } else {
            ""
        };
        let json = write::error(code, re);
        match origin.ack {
            Some(ack) => self.acknowledge(origin, ack, json),
            None => self.send(origin.member, "error", json.into()),
        }
    }

    fn acknowledge(&mut self, origin: &Origin<'_>, ack: AckId, json: String) {
        let (to, json) = (origin.member, json.into());
        self.push(Output::Ack { to, ack, json });
    }

    pub(crate) fn close(&mut self, now: Instant, member: MemberId, why: CloseReason) {
        // The member is forgotten first: nothing more is queued for a connection that ends.
        self.forget(now, member);
        self.outputs.push_back(Output::Close { member, why });
    }

    pub(crate) fn send(&mut self, to: MemberId, kind: &'static str, json: Arc<str>) {
        let kind = Cow::Borrowed(kind);
        self.push(Output::Send {
            from: None,
            to,
            kind,
            json,
        });
    }

    pub(crate) fn push(&mut self, output: Output) {
        if let Output::Send { json, .. } | Output::Ack { json, .. } = &output {
            self.counters.sent += 1;
            self.counters.sent_bytes += json.len() as u64;
        }
        self.outputs.push_back(output);
    }

    /// Sends members what has changed in a room or, without one, in the lobby. Of a member that
    /// reads too slowly it is only noted.
    pub(crate) fn send_change(
        &mut self,
        to: &[MemberId],
        room: Option<&Arc<str>>,
        kind: &'static str,
        json: &Arc<str>,
    ) {
        let bytes = kind.len() + json.len();
        for to in to.iter().copied() {
            let Some(state) = self.members.get_mut(&to) else {
                continue;
            };
            let queues = self.queues.as_mut();
            // Once a change is missed, a later one would make no sense.
            if state.missed.contains(&room.cloned())
                || !queues.is_none_or(|queues| queues.have_room_for_change(to, bytes))
            {
                self.counters.changes_coalesced += 1;
                state.missed.insert(room.cloned());
            } else {
                self.send(to, kind, json.clone());
            }
        }
    }

    /// Sends a member the list of one scope that it missed changes of, and returns whether there
    /// are more.
    fn catch_up(&mut self, member: MemberId) -> bool {
        let Some(state) = self.members.get_mut(&member) else {
            return false;
        };
        let Some(missed) = state.missed.pop_first() else {
            return false;
        };
        let more = !state.missed.is_empty();
        let json = match &missed {
            None => write::lobby_list(&self.lobby),
            Some(room) => match self.rooms.get(room) {
                Some(kept) => write::room_list(room, kept, member),
                None => return more,
            },
        };
        self.send(member, "userlist", json.into());
        more
    }

    pub(crate) fn scope_in(&self, room: &str) -> Option<&Scope> {
        self.rooms.get(room).map(|room| &room.scope)
    }

    fn forget(&mut self, now: Instant, member: MemberId) {
        if !self.members.contains_key(&member) {
            return;
        }
        self.counters.disconnected += 1;
        self.end_every_knock(member);
        self.leave_every_room(now, member);
        self.cancel_refresh(member);
        self.leave_lobby(member);
        self.end_calls(member);
        // This comes last, as each step before looks the member up.
        self.members.remove(&member);
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("members", &self.members.len())
            .field("rooms", &self.rooms.len())
            .field("lobby", &self.lobby.len())
            .finish_non_exhaustive()
    }
}

/// The sender of the message that is being handled, and how it is answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) now: Instant,
    pub(crate) member: MemberId,
    pub(crate) kind: &'a str,
    pub(crate) ack: Option<AckId>,
}

/// What a handled message is answered with.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Nothing, unless an acknowledgement is asked for.
    Ok,
    /// A message of this type.
    Answer(&'static str, String),
}

/// How many messages more than one a message counts for: these change a list, or mint credentials.
fn extra_cost(kind: &str) -> u64 {
    match kind {
        "username" | "join" | "ice-servers" => 4,
        _ => 0,
    }
}

/// How many bytes a message of the rate stands for.
const COST_UNIT: usize = 16 << 10;
/// What waking and writing to a receiver costs, in bytes.
pub(crate) const READER_COST: usize = 1 << 10;
/// Leaves 2^52 connections before the numbers stop fitting a JavaScript number.
const FIRST_ID_BELOW: u64 = 1 << 52;
/// Networks whose joins are counted at once.
const MOST_NETWORKS: usize = 65_536;
/// A domain name has at most 253 characters, and a port with its colon 6.
const MAX_HOST_BYTES: usize = 259;
const MAX_KIND_BYTES: usize = 64;
