//! One member of a room, and the connection with it: mended when it breaks, made anew when that
//! does not help.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::member::Member;
use super::queue::{self, Permit, Permits};
use super::{PeerId, RoomEvent, RoomOptions};
use crate::channel::{ChannelSender, Message};
use crate::connection::{
    Connection, ConnectionError, ConnectionEvent, ConnectionState, Connector, Events, Path,
    Preparation, Relay,
};
use crate::control;
use crate::negotiation::{Negotiation, Outbox, Then};

/// What all calls of a room share.
pub(super) struct Context<C> {
    pub(super) options: RoomOptions,
    pub(super) ice_servers: Value,
    /// Whether the server is within reach: nothing can be agreed on without it.
    pub(super) is_reachable: bool,
    connector: C,
    internal: mpsc::UnboundedSender<Tagged>,
    permits: Permits,
    random: u128,
    generation: u64,
}

/// Something of a connection.
#[derive(Debug)]
pub(super) struct Tagged {
    pub(super) peer: PeerId,
    pub(super) generation: u64,
    pub(super) what: Internal,
    pub(super) permit: Permit,
}

#[derive(Debug)]
pub(super) enum Internal {
    Connection(ConnectionEvent),
    /// An object that came on the channel `jackfield`.
    Hello(Value),
}

/// Says of which connection something is.
#[derive(Debug, Clone)]
struct Tagger {
    peer: PeerId,
    generation: u64,
    internal: mpsc::UnboundedSender<Tagged>,
    permits: Permits,
}

impl Tagger {
    /// Passes something on once there is a permit for the events that may come of it.
    async fn tell(&self, what: Internal) {
        let weight = match what {
            Internal::Connection(ConnectionEvent::Channel { .. }) => queue::CHANNEL,
            Internal::Connection(_) | Internal::Hello(_) => 1,
        };
        let tagged = Tagged {
            peer: self.peer,
            generation: self.generation,
            what,
            permit: self.permits.member(weight).await,
        };
        // A room that was left wants to hear nothing.
        let _left = self.internal.send(tagged);
    }
}

impl<C: Connector> Context<C> {
    pub(super) fn new(
        options: RoomOptions,
        connector: C,
        internal: mpsc::UnboundedSender<Tagged>,
        permits: Permits,
    ) -> Self {
        let random = u128::from_be_bytes(options.seed);
        let ice_servers = Value::Array(Vec::new());
        Self {
            options,
            ice_servers,
            is_reachable: false,
            connector,
            internal,
            permits,
            random,
            generation: 0,
        }
    }

    pub(super) fn prepare(&mut self, ice_servers: &Value) -> Preparation {
        self.connector.prepare(ice_servers)
    }

    pub(super) fn is_relay_only(&self) -> bool {
        self.connector.is_relay_only()
    }

    pub(super) fn first_random(&self) -> u64 {
        u64::try_from(self.random >> 64).unwrap_or_default()
    }

    /// Returns a mark that no other connection has: it need not be secret. It is less than any of a
    /// page, which therefore gives way when two offers cross.
    fn mark(&mut self) -> String {
        // Knuth's multiplier; the halves are mixed by the shift.
        self.random = self
            .random
            .wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645)
            | 1;
        let mixed = self.random ^ self.random >> 67;
        format!("!{}-{}", mixed >> 32 & 0xffff_ffff, mixed & 0xffff_ffff)
    }

    async fn connect(&mut self, peer: PeerId) -> io::Result<(C::Connection, u64, Hello)> {
        self.generation += 1;
        let generation = self.generation;
        let tagger = Tagger {
            peer,
            generation,
            internal: self.internal.clone(),
            permits: self.permits.clone(),
        };
        let events = {
            let tagger = tagger.clone();
            Events::new(move |event| {
                let tagger = tagger.clone();
                async move { tagger.tell(Internal::Connection(event)).await }
            })
        };
        let mut connection = self.connector.connect(&self.ice_servers, events).await?;
        let opened = connection.open_channel("jackfield", "", Some(0)).await;
        let mut hello = opened.map_err(io::Error::other)?;
        let reading = tokio::spawn(async move {
            while let Some(message) = hello.receiver.recv().await {
                if let Message::Text(text) = message
                    && let Ok(object) = control::parse(&text, LONGEST_HELLO)
                {
                    tagger.tell(Internal::Hello(object)).await;
                }
            }
        });
        let hello = Hello {
            sender: hello.sender,
            reading: reading.abort_handle(),
        };
        Ok((connection, generation, hello))
    }
}

/// The channel that every call has. Nothing of it is read after it is dropped: what a member left
/// behind would otherwise wait for permits as long as the program reads no events.
struct Hello {
    sender: ChannelSender,
    reading: AbortHandle,
}

impl Drop for Hello {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

pub(super) struct Call<C> {
    pub(super) member: Member,
    pub(super) connection: C,
    pub(super) generation: u64,
    pub(super) is_page: bool,
    peer: PeerId,
    negotiation: Negotiation,
    outbox: Outbox,
    hello: Hello,
    state: ConnectionState,
    /// The generation that was last reported as connected.
    reported: Option<u64>,
    is_interrupted: bool,
    /// When it is given up, if the member is not back.
    gone_until: Option<Instant>,
    restarts: u32,
    mend_at: Option<Instant>,
    /// Whether the connection to the server may have broken with this one.
    is_server_in_doubt: bool,
    /// When we offer although the other side was to do it.
    offer_at: Option<Instant>,
    path: Option<Path>,
    said_relay: Option<Option<Relay>>,
    their_relay: Option<Option<Relay>>,
    /// Until when a path is not reported, as the other side may still name its relay.
    word_until: Option<Instant>,
    reported_path: Option<(Path, Option<Relay>)>,
    /// When a direct path is looked for again, while a relay is in use.
    seek_at: Option<Instant>,
    seek_after: Duration,
}

impl<C: Connection> Call<C> {
    pub(super) async fn new<K: Connector<Connection = C>>(
        peer: PeerId,
        member: Member,
        offers: bool,
        context: &mut Context<K>,
    ) -> io::Result<Self> {
        let (connection, generation, hello) = context.connect(peer).await?;
        let negotiation = Negotiation::new(context.mark(), offers, member.polite);
        Ok(Self {
            member,
            connection,
            generation,
            is_page: false,
            peer,
            negotiation,
            outbox: Vec::new(),
            hello,
            state: ConnectionState::Connecting,
            reported: None,
            is_interrupted: false,
            gone_until: None,
            restarts: 0,
            mend_at: None,
            is_server_in_doubt: false,
            offer_at: (!offers).then(|| Instant::now() + OFFER_WITHIN),
            path: None,
            said_relay: None,
            their_relay: None,
            word_until: None,
            reported_path: None,
            seek_at: None,
            seek_after: SEEK_FIRST,
        })
    }

    pub(super) fn mark(&self) -> &str {
        &self.negotiation.mark
    }

    pub(super) fn remote_mark(&self) -> Option<&str> {
        self.negotiation.remote.as_deref()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.state == ConnectionState::Connected
    }

    /// Returns whether there was a connection, which works no longer.
    pub(super) fn is_lost(&self) -> bool {
        !self.is_connected() && self.remote_mark().is_some()
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone_until.is_some()
    }

    pub(super) fn take_outbox(&mut self) -> Outbox {
        std::mem::take(&mut self.outbox)
    }

    /// Returns whether the connection to the server is to be checked.
    pub(super) fn take_doubt(&mut self) -> bool {
        std::mem::take(&mut self.is_server_in_doubt)
    }

    /// Says something over the channel that every call has; it is lost when that is not open.
    pub(super) fn say(&self, message: &Value) {
        let _closed = self
            .hello
            .sender
            .try_send(Message::Text(message.to_string()));
    }

    pub(super) async fn begin<K: Connector<Connection = C>>(
        &mut self,
        _: &mut Context<K>,
    ) -> Result<(), ConnectionError> {
        self.negotiation
            .negotiate(&mut self.connection, &mut self.outbox)
            .await
    }

    /// Begins later, unless the member turns out to be one that a call was lost with.
    pub(super) fn hesitate(&mut self) {
        self.offer_at
            .get_or_insert_with(|| Instant::now() + HESITATION);
    }

    /// The member has a connection to the server again.
    pub(super) fn is_back(&mut self, member: Member) {
        self.gone_until = None;
        if member.id != self.member.id {
            self.negotiation.lose_offer();
        }
        self.negotiation.is_polite_by_server = member.polite;
        self.member = member;
    }

    /// Goes on after signaling was interrupted, with messages perhaps lost.
    pub(super) async fn resume<K: Connector<Connection = C>>(
        &mut self,
        was_away: bool,
        _: &mut Context<K>,
    ) -> Result<(), ConnectionError> {
        if self.negotiation.resend(&mut self.outbox) {
            return Ok(());
        }
        if !self.is_connected() {
            self.negotiation
                .restart(&mut self.connection, &mut self.outbox)
                .await
        } else if was_away {
            self.negotiation
                .negotiate(&mut self.connection, &mut self.outbox)
                .await
        } else {
            Ok(())
        }
    }

    /// Keeps a call that works for a while without its member; returns whether there is one.
    pub(super) fn linger(&mut self) -> bool {
        if self.is_connected() && self.gone_until.is_none() {
            self.gone_until = Some(Instant::now() + LINGER);
        }
        self.is_connected()
    }

    /// Returns whether a call without its member has nothing to wait for.
    pub(super) fn is_given_up(&self, now: Instant) -> bool {
        let is_over = |until| until <= now || !self.is_connected();
        self.gone_until.is_some_and(is_over)
    }

    pub(super) async fn handle<K: Connector<Connection = C>>(
        &mut self,
        message: &Value,
        _: &mut Context<K>,
    ) -> Result<Then, ConnectionError> {
        self.negotiation
            .handle(message, &mut self.connection, &mut self.outbox)
            .await
    }

    /// Begins again with a new connection.
    pub(super) async fn remake<K: Connector<Connection = C>>(
        &mut self,
        offers: bool,
        context: &mut Context<K>,
    ) -> Result<(), ConnectionError> {
        let made = context.connect(self.peer).await;
        let (connection, generation, hello) =
            made.map_err(|error| ConnectionError(error.to_string()))?;
        self.connection = connection;
        self.generation = generation;
        self.hello = hello;
        self.negotiation = Negotiation::new(context.mark(), offers, self.member.polite);
        self.state = ConnectionState::Connecting;
        self.mend_at = None;
        self.restarts = 0;
        self.is_page = false;
        self.offer_at = (!offers).then(|| Instant::now() + OFFER_WITHIN);
        (self.path, self.said_relay, self.their_relay) = (None, None, None);
        self.reported_path = None;
        self.negotiation
            .negotiate(&mut self.connection, &mut self.outbox)
            .await
    }

    pub(super) async fn handle_event<K: Connector<Connection = C>>(
        &mut self,
        event: ConnectionEvent,
        context: &mut Context<K>,
    ) -> Result<(), ConnectionError> {
        match event {
            ConnectionEvent::Candidate { candidate, ufrag } => {
                self.negotiation
                    .send_candidate(&candidate, &ufrag, &mut self.outbox);
                Ok(())
            }
            ConnectionEvent::Path(path) => {
                self.take_path(path);
                self.plan_seeking(context);
                Ok(())
            }
            ConnectionEvent::State(state) => self.become_state(state, context).await,
            // The room has taken it.
            ConnectionEvent::Channel { .. } => Ok(()),
        }
    }

    fn take_path(&mut self, path: Path) {
        if self
            .path
            .as_ref()
            .is_some_and(|before| !before.is_same_way(&path))
        {
            // Where one way has changed, others may have.
            self.is_server_in_doubt = true;
            self.seek_after = SEEK_FIRST;
            self.seek_at = None;
        }
        self.path = Some(path);
        self.say_relay();
    }

    /// Looks for a direct path again and again while a relay is in use: what was in the way of one
    /// may be gone, and a path that was lost to a NAT that forgot it comes back no other way.
    fn plan_seeking<K: Connector<Connection = C>>(&mut self, context: &Context<K>) {
        let seeks = self.is_connected() && self.relay().is_some() && !context.is_relay_only();
        // One side is enough.
        if !seeks || self.negotiation.is_polite() {
            self.seek_at = None;
        } else if self.seek_at.is_none() {
            self.seek_at = Some(Instant::now() + self.seek_after);
        }
    }

    /// Plans the next search, and returns whether one can begin.
    fn begin_seeking<K: Connector<Connection = C>>(&mut self, context: &Context<K>) -> bool {
        self.seek_at = None;
        self.seek_after = (2 * self.seek_after).min(SEEK_LAST);
        self.plan_seeking(context);
        self.seek_at.is_some() && context.is_reachable && !self.is_gone()
    }

    async fn become_state<K: Connector<Connection = C>>(
        &mut self,
        state: ConnectionState,
        context: &mut Context<K>,
    ) -> Result<(), ConnectionError> {
        let before = std::mem::replace(&mut self.state, state);
        match state {
            ConnectionState::Connecting => Ok(()),
            ConnectionState::Connected => {
                (self.restarts, self.mend_at, self.offer_at) = (0, None, None);
                if before != state && self.reported != Some(self.generation) {
                    self.say(&json!({ "t": "program", "purpose": context.options.purpose }));
                    self.word_until = Some(Instant::now() + WORD_WITHIN);
                }
                self.say_relay();
                self.plan_seeking(context);
                Ok(())
            }
            ConnectionState::Disconnected => {
                // The polite end leaves the first attempt to the other: two restarts that cross
                // cost a round trip.
                let patience = if self.negotiation.is_polite() {
                    LEAVE_FIRST
                } else {
                    Duration::ZERO
                };
                self.is_server_in_doubt = true;
                self.mend_at
                    .get_or_insert_with(|| Instant::now() + patience);
                Ok(())
            }
            ConnectionState::Failed => self.mend(context).await,
            ConnectionState::Closed => self.mend(context).await,
        }
    }

    /// Restarts ICE, each time with more patience; when that does not help, makes the connection
    /// anew.
    async fn mend<K: Connector<Connection = C>>(
        &mut self,
        context: &mut Context<K>,
    ) -> Result<(), ConnectionError> {
        if self.is_connected() {
            self.mend_at = None;
            return Ok(());
        }
        self.is_server_in_doubt = true;
        self.mend_at = Some(Instant::now() + MEND_WITHIN * (2 + self.restarts));
        if !context.is_reachable || self.is_gone() {
            return Ok(());
        }
        self.restarts += 1;
        if self.restarts > RESTARTS || self.state == ConnectionState::Closed {
            self.remake(true, context).await
        } else {
            self.negotiation
                .restart(&mut self.connection, &mut self.outbox)
                .await
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let word = self.word_until.filter(|_| self.path.is_some());
        let is_lost = self.is_gone() && !self.is_connected();
        let given_up = match is_lost {
            true => Some(Instant::now()),
            false => self.gone_until,
        };
        let all = [
            self.negotiation.deadline(),
            self.mend_at,
            self.offer_at,
            given_up,
            self.seek_at,
            word,
        ];
        all.into_iter().flatten().min()
    }

    pub(super) async fn handle_timeout<K: Connector<Connection = C>>(
        &mut self,
        now: Instant,
        context: &mut Context<K>,
    ) -> Result<(), ConnectionError> {
        if self.word_until.is_some_and(|until| until <= now) {
            self.word_until = None;
        }
        self.negotiation.handle_timeout(now, &mut self.outbox);
        if self.offer_at.is_some_and(|at| at <= now) {
            self.offer_at = None;
            self.negotiation
                .offer_first(&mut self.connection, &mut self.outbox)
                .await?;
        }
        if self.seek_at.is_some_and(|at| at <= now) && self.begin_seeking(context) {
            self.negotiation
                .restart(&mut self.connection, &mut self.outbox)
                .await?;
        }
        if self.mend_at.is_some_and(|at| at <= now) {
            self.mend(context).await?;
        }
        Ok(())
    }

    pub(super) fn heard_relay<K: Connector<Connection = C>>(
        &mut self,
        relay: Option<&str>,
        context: &Context<K>,
    ) {
        self.their_relay = Some(match relay {
            Some("udp") => Some(Relay::Udp),
            Some("tcp") => Some(Relay::Tcp),
            Some("tls") => Some(Relay::Tls),
            _ => None,
        });
        self.word_until = None;
        self.plan_seeking(context);
    }

    /// Tells the other side which relay of ours is used: it cannot see how we reach it.
    fn say_relay(&mut self) {
        let Some(path) = &self.path else {
            return;
        };
        if self.is_connected() && self.said_relay != Some(path.relay) {
            self.said_relay = Some(path.relay);
            self.say(&json!({ "t": "path", "relay": path.relay.map(Relay::as_str) }));
        }
    }

    /// Returns the worse of the relays on both sides.
    fn relay(&self) -> Option<Relay> {
        let path = self.path.as_ref()?;
        // A relay over TCP shows as one over UDP until its owner says more. What the owner said of
        // an earlier path does not hide a relay that is seen on this one.
        let seen = (path.remote == "relay").then_some(Relay::Udp);
        path.relay.max(self.their_relay.flatten()).max(seen)
    }

    /// Returns what has changed since the last time.
    pub(super) fn news(&mut self, peer: PeerId) -> Vec<RoomEvent> {
        let mut news = Vec::new();
        match self.state {
            ConnectionState::Connected if self.reported != Some(self.generation) => {
                self.reported = Some(self.generation);
                self.is_interrupted = false;
                news.push(RoomEvent::Connected { peer, anew: true });
            }
            ConnectionState::Connected if self.is_interrupted => {
                self.is_interrupted = false;
                news.push(RoomEvent::Connected { peer, anew: false });
            }
            ConnectionState::Connected => {}
            _ if self.reported.is_some() && !self.is_interrupted => {
                self.is_interrupted = true;
                news.push(RoomEvent::Interrupted { peer });
            }
            _ => {}
        }
        if let Some(path) = &self.path
            && self.is_connected()
            && (self.word_until.is_none() || is_surely_direct(path))
        {
            let relay = self.relay();
            let is_known = self
                .reported_path
                .as_ref()
                .is_some_and(|(known, known_relay)| {
                    known.is_same_way(path) && *known_relay == relay
                });
            if !is_known {
                let path = path.clone();
                self.reported_path = Some((path.clone(), relay));
                news.push(RoomEvent::Path { peer, path, relay });
            }
        }
        news
    }
}

/// Returns whether no relay is on a path, whatever the other side says. A candidate that was not
/// signaled may be the other side's relay.
fn is_surely_direct(path: &Path) -> bool {
    path.relay.is_none() && matches!(path.remote, "host" | "srflx")
}

/// Who came earlier waits this long for the newcomer's offer.
const OFFER_WITHIN: Duration = Duration::from_secs(6);
/// How long a newcomer has to show that they are known.
const HESITATION: Duration = Duration::from_millis(1500);
/// How long a call outlives its member's place in the room: time enough to reconnect to the server.
const LINGER: Duration = Duration::from_secs(15);
/// From one attempt to mend a connection to the next; each takes that much longer than the last.
const MEND_WITHIN: Duration = Duration::from_secs(3);
/// The end that gives way leaves the first attempt to the other for so long.
const LEAVE_FIRST: Duration = Duration::from_millis(300);
/// After so many fruitless ICE restarts the connection is made anew.
const RESTARTS: u32 = 2;
/// How long after a relay was chosen a direct path is looked for, first and at most; the time
/// doubles in between.
const SEEK_FIRST: Duration = Duration::from_secs(2);
const SEEK_LAST: Duration = Duration::from_secs(300);
/// How long to wait for the other side's word on its relay before its candidates alone decide.
const WORD_WITHIN: Duration = Duration::from_secs(4);
/// Most bytes of a message on the channel that every call has; a longer one is left out.
const LONGEST_HELLO: usize = 64 << 10;
