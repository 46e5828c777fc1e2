//! A session's handle: shared by requests, WebSocket tasks, timers and the application.

mod drain;
mod transport;

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use jackfield_sansio::{Account, ClientNetwork};
use jackfield_socketio_proto::engine::{
    self as core, CloseReason, LinkId, Message, Outgoing, RequestId, Response, SendError,
    Transport, Version,
};
use tokio::sync::{Notify, oneshot};

use super::places::Place;
use super::server::{Inner, Seat};
use super::{Peer, RequestInfo, Wire};
use crate::config::SlowConsumer;
use crate::id::Id;
use crate::sync::lock;

/// An Engine.IO session. Clones are the same session.
#[derive(Clone)]
pub struct EngineSocket(Arc<Shared>);

/// An [`EngineSocket`] that does not keep its session.
#[derive(Clone)]
pub(crate) struct WeakSocket(Weak<Shared>);

struct Shared {
    sid: Id,
    version: Version,
    server: Arc<Inner>,
    request: Arc<RequestInfo>,
    state: Mutex<State>,
    inbox: Mutex<Inbox>,
    /// Bytes of events that wait for handlers; above the limit nothing more is read from the
    /// client.
    inbound: AtomicUsize,
    /// Acknowledgements that the server waits for, and namespaces beyond the first.
    awaited: AtomicUsize,
    /// Whether nothing is read from the client, as the core knows it.
    unread: AtomicBool,
    /// Wakes the tasks that wait for `inbound` to fall.
    drained: Notify,
    /// What waits, for the client and for handlers, as the server's budget counts it.
    account: Arc<Account>,
    network: Option<ClientNetwork>,
    place: Mutex<Option<Place>>,
    /// Whether a request has followed the one that opened the session.
    tried: AtomicBool,
    /// WebSockets that try to take the session over, or tried in vain and are closing.
    probes: AtomicUsize,
}

/// A WebSocket's attempt to take a session over.
pub(super) struct Probing(EngineSocket);

struct State {
    core: core::ServerSession,
    next_request: u64,
    /// Requests that wait for their answer.
    waiting: Vec<(RequestId, oneshot::Sender<Response>)>,
    links: Vec<(LinkId, Arc<Link>)>,
    /// When the peer wants to be called.
    peer_deadline: Option<Instant>,
    /// The earliest entry among the server's timers.
    scheduled: Option<Instant>,
    /// What the account has of what the core holds for the client.
    charged: usize,
}

/// What a session tells the task that serves one of its WebSockets.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) wake: Notify,
    pub(super) closing: AtomicBool,
}

/// What waits for the peer, and the peer itself while no call of it runs.
#[derive(Default)]
struct Inbox {
    queue: VecDeque<Inbound>,
    peer: Option<Box<dyn Peer>>,
}

enum Inbound {
    Message(Message),
    Deadline,
    Close(CloseReason),
}

/// What the session's lock must be free for.
#[derive(Default)]
struct After {
    deliver: bool,
    closed: bool,
}

impl EngineSocket {
    /// Registers a session; its peer gets nothing before [`Self::start`].
    pub(super) fn new(
        server: Arc<Inner>,
        sid: Id,
        core: core::ServerSession,
        request: RequestInfo,
        seat: Seat,
    ) -> Self {
        let Seat {
            place,
            account,
            evictable,
        } = seat;
        account.add(request.cost());
        let socket = Self(Arc::new(Shared {
            sid,
            version: core.version(),
            server,
            request: Arc::new(request),
            state: Mutex::new(State {
                core,
                next_request: 0,
                waiting: Vec::new(),
                links: Vec::new(),
                peer_deadline: None,
                scheduled: None,
                charged: 0,
            }),
            inbox: Mutex::default(),
            inbound: AtomicUsize::new(0),
            awaited: AtomicUsize::new(0),
            unread: AtomicBool::new(false),
            drained: Notify::new(),
            account,
            network: place.network(),
            place: Mutex::new(Some(place)),
            tried: AtomicBool::new(false),
            probes: AtomicUsize::new(0),
        }));
        // It is set once: the seat is this session's alone.
        let _first = evictable.set(socket.downgrade());
        socket
    }

    pub(super) fn downgrade(&self) -> WeakSocket {
        WeakSocket(Arc::downgrade(&self.0))
    }

    pub(super) fn network(&self) -> Option<ClientNetwork> {
        self.0.network
    }

    pub(super) fn account(&self) -> &Arc<Account> {
        &self.0.account
    }

    pub(super) fn take_place(&self) -> Option<Place> {
        lock(&self.0.place).take()
    }

    /// Lets a WebSocket try; `None` while others are at it already. The core lets one of them
    /// through and tells the others that they are too late, which takes each a task and a socket.
    pub(super) fn begin_probe(&self) -> Option<Probing> {
        let probing = Probing(self.clone());
        let others = self.0.probes.fetch_add(1, Ordering::AcqRel);
        (others < MAX_PROBES).then_some(probing)
    }

    /// Notes that the client has come back after its handshake.
    pub(super) fn note_tried(&self) {
        self.0.tried.store(true, Ordering::Release);
    }

    pub(super) fn is_tried(&self) -> bool {
        self.0.tried.load(Ordering::Acquire)
    }

    /// Gives the session its peer.
    pub(super) fn start(&self, peer: Box<dyn Peer>) {
        // What came before has waited in the queue, so it is delivered in order.
        lock(&self.0.inbox).peer = Some(peer);
        self.with(|_, _| ());
        self.deliver();
    }

    pub(super) fn sid(&self) -> Id {
        self.0.sid
    }

    /// Returns the session's id, which is a secret between the server and this client.
    #[must_use]
    pub fn id(&self) -> String {
        self.0.sid.to_string()
    }

    /// Returns the request that opened the session.
    #[must_use]
    pub fn request(&self) -> &Arc<RequestInfo> {
        &self.0.request
    }

    /// Returns the protocol revision that the client speaks.
    #[must_use]
    pub fn version(&self) -> Version {
        self.0.version
    }

    /// Returns the transport that carries the session at the moment.
    #[must_use]
    pub fn transport(&self) -> Transport {
        lock(&self.0.state).core.transport()
    }

    /// Returns whether messages can be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        lock(&self.0.state).core.is_open()
    }

    /// Returns how many bytes of memory wait for the client to read them.
    #[must_use]
    pub fn buffered(&self) -> usize {
        lock(&self.0.state).core.buffered()
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the session is closed or its buffer is full; what a full buffer means for the session
    /// is [`IoConfig::slow_consumer`](crate::IoConfig::slow_consumer).
    pub fn send(&self, message: Message) -> Result<(), SendError> {
        let wire = match message {
            Message::Text(text) => Wire::text(&text),
            Message::Binary(bytes) => {
                let packet = super::wire::frame_binary(self.version(), &bytes);
                return self.send_packets(std::iter::once(&packet), 1);
            }
        };
        self.send_wire(&wire)
    }

    /// Sends a message and its attachments: all or nothing.
    pub(crate) fn send_wire(&self, wire: &Wire) -> Result<(), SendError> {
        self.send_packets(wire.packets(self.version()), wire.len())
    }

    /// Sends a packet if it can leave at once; else counts it as dropped.
    pub(crate) fn send_volatile(&self, wire: &Wire) -> Result<(), SendError> {
        // A packet that loses the race for the transport between these two locks waits like any
        // other, which a volatile packet may.
        let writable = lock(&self.0.state).core.is_writable();
        if writable {
            self.send_wire(wire)
        } else {
            self.0.server.stats.volatile_dropped.increment();
            Ok(())
        }
    }

    fn send_packets<'a>(
        &self,
        packets: impl Iterator<Item = &'a Outgoing> + Clone,
        count: usize,
    ) -> Result<(), SendError> {
        let result = self.with(|core, _| core.send(packets));
        let stats = &self.0.server.stats;
        match result {
            Ok(()) => stats.sent_packets.add(count),
            Err(SendError::Closed) => {}
            Err(SendError::Full) => {
                stats.buffer_full.increment();
                if self.0.server.config.slow_consumer == SlowConsumer::Disconnect {
                    self.abort(CloseReason::SlowConsumer);
                }
            }
        }
        result
    }

    /// Closes the session once the client has taken what was sent before.
    pub fn close(&self) {
        self.with(|core, now| core.close(now));
    }

    /// Ends the session at once.
    pub(crate) fn abort(&self, reason: CloseReason) {
        self.with(|core, _| core.abort(reason));
    }

    /// Has [`Peer::deadline`] called at `at`; `None` takes that back.
    pub fn set_deadline(&self, at: Option<Instant>) {
        lock(&self.0.state).peer_deadline = at;
        self.with(|_, _| ());
    }

    /// Runs a future on this thread's runtime, or on the server's.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.0.server.spawn(future);
    }

    /// Counts bytes that begin to wait for handlers.
    pub(crate) fn add_inbound(&self, bytes: usize) {
        self.0.inbound.fetch_add(bytes, Ordering::AcqRel);
        self.0.account.add(bytes);
        self.0.account.settle();
    }

    /// Counts bytes that handlers are done with.
    pub(crate) fn remove_inbound(&self, bytes: usize) {
        let before = self.0.inbound.fetch_sub(bytes, Ordering::AcqRel);
        self.0.account.remove(bytes);
        self.0.account.settle();
        let limit = self.inbound_limit();
        // Only the call that crosses the limit wakes readers, not every one below it.
        if before > limit && before.saturating_sub(bytes) <= limit {
            self.0.drained.notify_waiters();
        }
    }

    /// Notes that something of the client is waited for that may stand behind its events.
    pub(crate) fn add_awaited(&self) {
        // The first one raises the limit, and a reader may have stopped at the lower one.
        if self.0.awaited.fetch_add(1, Ordering::AcqRel) == 0 {
            self.0.drained.notify_waiters();
        }
    }

    pub(crate) fn remove_awaited(&self) {
        self.0.awaited.fetch_sub(1, Ordering::AcqRel);
    }

    fn inbound_limit(&self) -> usize {
        let limit = self.0.server.config.max_inbound;
        match self.0.awaited.load(Ordering::Acquire) {
            0 => limit,
            _ => limit.saturating_mul(AWAITED_LIMIT),
        }
    }

    /// Returns whether nothing more shall be read from the client for now.
    pub(super) fn is_paused(&self) -> bool {
        self.0.inbound.load(Ordering::Acquire) > self.inbound_limit()
    }

    /// Waits until handlers have caught up.
    pub(super) async fn caught_up(&self) {
        if !self.is_paused() {
            return;
        }
        self.0.server.stats.inbound_paused.increment();
        self.note_reading(false);
        loop {
            // The wait is set up before the look: handlers that catch up in between would
            // otherwise notify before this task waits.
            let drained = self.0.drained.notified();
            if !self.is_paused() || !self.is_open() {
                break;
            }
            drained.await;
        }
        self.note_reading(true);
    }

    /// Has the heartbeat know whether the client's answers are read: handlers may be slower than
    /// it.
    pub(super) fn note_reading(&self, reading: bool) {
        let unread = &self.0.unread;
        if unread.load(Ordering::Acquire) == reading {
            unread.store(!reading, Ordering::Release);
            self.with(|core, now| core.set_reading(now, reading));
        }
    }

    pub(super) fn handle_timeout(&self, entry: Instant) {
        let mut due = false;
        {
            let mut state = lock(&self.0.state);
            // This may be an entry that an earlier one has replaced: one that is due later stays.
            if state.scheduled.is_some_and(|scheduled| scheduled <= entry) {
                state.scheduled = None;
            }
            if state.peer_deadline.is_some_and(|at| at <= entry) {
                state.peer_deadline = None;
                due = true;
            }
        }
        if due {
            lock(&self.0.inbox).queue.push_back(Inbound::Deadline);
        }
        self.with(|core, now| core.handle_timeout(now));
        if due {
            self.deliver();
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut core::ServerSession, Instant) -> T) -> T {
        self.with_state(|state, now| act(&mut state.core, now))
    }

    /// Acts on the session under its lock, does what it puts out, and delivers what came for the
    /// peer.
    fn with_state<T>(&self, act: impl FnOnce(&mut State, Instant) -> T) -> T {
        let (value, after) = {
            // The answers are queued under the same lock, so that two threads cannot swap them.
            let mut state = lock(&self.0.state);
            let value = act(&mut state, Instant::now());
            let after = self.0.drain(&mut state);
            self.0.charge(&mut state);
            (value, after)
        };
        self.0.account.settle();
        if after.closed {
            self.0.server.forget(self);
            self.0.drained.notify_waiters();
        }
        if after.deliver {
            self.deliver();
        }
        value
    }

    /// Calls the peer with what waits for it, unless another thread does so already: then that one
    /// goes on with it.
    fn deliver(&self) {
        let mut inbox = lock(&self.0.inbox);
        // The peer is taken out rather than locked: it may send, and so come back here itself.
        let Some(mut peer) = inbox.peer.take() else {
            return;
        };
        while let Some(inbound) = inbox.next() {
            drop(inbox);
            let last = matches!(inbound, Inbound::Close(_));
            let result = catch_unwind(AssertUnwindSafe(|| match inbound {
                Inbound::Message(message) => peer.message(message),
                Inbound::Deadline => peer.deadline(),
                Inbound::Close(reason) => peer.close(reason),
            }));
            // A panic must not leave the inbox without its peer: the session would take
            // messages for ever and hand on none.
            if result.is_err() {
                self.0.server.stats.handler_panics.increment();
                tracing::error!("A session's handler panicked");
                if !last {
                    self.abort(CloseReason::ForcedClose);
                }
            }
            if last {
                return;
            }
            inbox = lock(&self.0.inbox);
        }
        inbox.peer = Some(peer);
    }
}

impl WeakSocket {
    pub(super) fn upgrade(&self) -> Option<EngineSocket> {
        self.0.upgrade().map(EngineSocket)
    }

    /// Returns whether somebody still has the session.
    pub(super) fn is_there(&self) -> bool {
        self.0.strong_count() > 0
    }
}

impl fmt::Debug for WeakSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakSocket").finish_non_exhaustive()
    }
}

impl Drop for Probing {
    fn drop(&mut self) {
        self.0.0.probes.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Shared {
    /// Has the account know what the core holds for the client.
    fn charge(&self, state: &mut State) {
        let held = state.core.buffered();
        self.account.add(held.saturating_sub(state.charged));
        self.account.remove(state.charged.saturating_sub(held));
        state.charged = held;
    }
}

impl Inbox {
    fn next(&mut self) -> Option<Inbound> {
        let next = self.queue.pop_front();
        // One burst must not cost an idle session its memory for ever.
        if next.is_none() && self.queue.capacity() > 16 {
            self.queue = VecDeque::new();
        }
        next
    }
}

/// So many times more may wait for handlers where one of them waits for the client.
const AWAITED_LIMIT: usize = 8;

/// A client has one; a second one may come while the first is given up.
const MAX_PROBES: usize = 3;

impl fmt::Debug for EngineSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineSocket").finish_non_exhaustive()
    }
}
