//! What the tasks of one shard's TURN server share: the core, its sockets, and the drain.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use jackfield_sansio::{FiveTuple, Seed, SeededMap, Transmit, Transport};
use jackfield_turn::{AllocationId, Event, Output, Relay, Server};
use tokio::sync::mpsc;

use super::queue::WriteQueue;
use super::relay::{RelaySocket, RelaySockets};
use super::{Request, TurnConfig, TurnStats};
use crate::shard::ShardContext;
use crate::udp::{RecvBatch, UdpSocket};

/// What to call with each of the core's events.
pub(super) type OnEvent = Box<dyn FnMut(&Event)>;

/// What the tasks of one shard share: the core, and every way out.
///
/// Listeners, relay sockets and connections hand the core what arrives, and queue what it relays.
/// The engine's own task runs after those that the same wake-up of the thread made ready; it drains
/// the core and flushes the queues, so that packets that arrived together leave together.
pub(super) struct Engine {
    pub(super) context: ShardContext,
    pub(super) config: TurnConfig,
    core: RefCell<Server>,
    on_event: RefCell<OnEvent>,
    stats: Arc<TurnStats>,
    /// Sockets that clients send to; a handful, so that a look at each is the fastest way to find
    /// one.
    listeners: RefCell<Vec<Rc<UdpSocket>>>,
    pub(super) relays: RefCell<RelaySockets<RelaySocket>>,
    /// The addresses that relay sockets are bound to; a packet for any other cannot take the short
    /// cut.
    relay_ips: RefCell<Vec<IpAddr>>,
    /// Looked up for each message to a client, so the hash has to be quick; and clients choose
    /// their ports, so it has to be secret.
    pub(super) streams: RefCell<SeededMap<FiveTuple, Rc<WriteQueue>>>,
    /// Sockets with datagrams to flush.
    dirty: RefCell<Vec<Rc<UdpSocket>>>,
    /// Whether the engine's task has something to do.
    pending: Cell<bool>,
    /// The engine's task, when it waits.
    waker: RefCell<Option<Waker>>,
    /// Buffers for receives; no task keeps them over a wait.
    pub(super) batch: RefCell<RecvBatch>,
    pub(super) relay_batch: RefCell<RecvBatch>,
    pub(super) stream_room: RefCell<Vec<u8>>,
}

impl Engine {
    pub(super) fn new(
        context: ShardContext,
        core: Server,
        config: TurnConfig,
        on_event: OnEvent,
    ) -> Rc<Self> {
        Rc::new(Self {
            context,
            core: RefCell::new(core),
            on_event: RefCell::new(on_event),
            stats: Arc::default(),
            listeners: RefCell::default(),
            relays: RefCell::default(),
            relay_ips: RefCell::default(),
            streams: RefCell::new(random_seed().map()),
            dirty: RefCell::default(),
            pending: Cell::new(true),
            waker: RefCell::default(),
            batch: RefCell::new(RecvBatch::new(config.batch)),
            relay_batch: RefCell::new(RecvBatch::new(config.relay_batch)),
            stream_room: RefCell::new(vec![0; STREAM_ROOM]),
            config,
        })
    }

    /// Runs until the shard stops: timers, requests, and after each round of input the drain and
    /// the flush.
    pub(super) async fn run(self: Rc<Self>, mut inbox: mpsc::UnboundedReceiver<Request>) {
        let mut shutdown = self.context.shutdown();
        let mut deadline = None;
        // Set again only when the deadline moves, which it seldom does between two packets.
        let mut alarm = pin!(tokio::time::sleep(Duration::ZERO));
        loop {
            tokio::select! {
                () = self.touched() => {}
                Some(request) = inbox.recv() => self.answer(request),
                () = alarm.as_mut(), if deadline.is_some() => {
                    self.core.borrow_mut().handle_timeout(Instant::now());
                }
                () = shutdown.requested() => break,
            }
            let next = self.drain(Instant::now());
            self.flush();
            if let Some(next) = next
                && (deadline != Some(next) || alarm.is_elapsed())
            {
                alarm.as_mut().reset(next.into());
            }
            deadline = next;
        }
        self.close();
    }

    pub(super) fn stats(&self) -> &Arc<TurnStats> {
        &self.stats
    }

    pub(super) fn is_relayed(&self, address: SocketAddr) -> bool {
        self.core.borrow().is_relayed(&address)
    }

    /// Takes what a client sent; what it relays is queued.
    pub(super) fn client(self: &Rc<Self>, now: Instant, path: FiveTuple, bytes: &[u8]) {
        let relay = self.core.borrow_mut().handle_client(now, path, bytes);
        if let Some(relay) = relay {
            self.relay(now, relay);
        }
        // The core may want something sent or bound even where it passes nothing on.
        self.touch();
    }

    /// Takes the end of a client's connection.
    pub(super) fn client_closed(&self, now: Instant, path: FiveTuple) {
        self.core.borrow_mut().handle_client_closed(now, path);
        self.touch();
    }

    /// Takes what a peer sent; what it relays is queued.
    pub(super) fn peer(&self, now: Instant, relayed: SocketAddr, peer: SocketAddr, bytes: &[u8]) {
        let relay = self
            .core
            .borrow_mut()
            .handle_peer(now, relayed, peer, bytes);
        if let Some(relay) = relay {
            self.relay(now, relay);
        }
        self.touch();
    }

    /// Adds a socket that clients send to.
    pub(super) fn add_listener(&self, socket: &Rc<UdpSocket>) {
        self.listeners.borrow_mut().push(Rc::clone(socket));
    }

    pub(super) fn remove_listener(&self, socket: &Rc<UdpSocket>) {
        self.listeners
            .borrow_mut()
            .retain(|known| !Rc::ptr_eq(known, socket));
    }

    /// Notes an address that relay sockets are bound to.
    pub(super) fn add_relay_ip(&self, ip: IpAddr) {
        let mut ips = self.relay_ips.borrow_mut();
        if !ips.contains(&ip) {
            ips.push(ip);
        }
    }

    fn relay(&self, now: Instant, relay: Relay<'_>) {
        match relay {
            Relay::ToPeer {
                allocation,
                relayed,
                peer,
                payload,
                dont_fragment,
            } => {
                if self.is_own_relay(peer) {
                    self.relay_to_relay(now, relayed, peer, payload);
                } else {
                    self.to_peer((allocation, relayed), peer, payload, dont_fragment);
                }
            }
            Relay::ToClient {
                path,
                header,
                payload,
                padding,
            } => {
                let padding = ZEROES.get(..usize::from(padding)).unwrap_or_default();
                self.to_client(&path, &[header.as_bytes(), payload, padding], Urgency::Data);
            }
        }
    }

    /// Returns whether a peer is one of this shard's own relay sockets.
    fn is_own_relay(&self, peer: SocketAddr) -> bool {
        self.relay_ips.borrow().contains(&peer.ip()) && self.is_relayed(peer)
    }

    /// Delivers a packet from one of our relay sockets to another without the kernel; the core does
    /// the second half's checks.
    fn relay_to_relay(&self, now: Instant, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        self.stats.driver.relay_to_relay.add(1);
        let onward = self.core.borrow_mut().handle_peer(now, to, from, payload);
        // What a peer sends goes to a client, so this ends here.
        if let Some(relay @ Relay::ToClient { .. }) = onward {
            self.relay(now, relay);
        }
    }

    fn to_peer(
        &self,
        (allocation, relayed): (AllocationId, SocketAddr),
        peer: SocketAddr,
        payload: &[u8],
        whole: bool,
    ) {
        let relays = self.relays.borrow();
        let Some(relay) = relays.get(allocation.slot(), relayed) else {
            return self.stats.driver.dropped_no_socket.add(1);
        };
        // `first` says that the socket was idle: it is noted for the flush once, not for each
        // packet.
        let first = if whole {
            relay.socket.send_whole(relayed, peer, &[payload])
        } else {
            relay.socket.send(relayed, peer, &[payload])
        };
        if first {
            self.dirty.borrow_mut().push(Rc::clone(&relay.socket));
        }
    }

    fn to_client(&self, path: &FiveTuple, parts: &[&[u8]], urgency: Urgency) {
        match path.transport {
            Transport::Udp => self.to_udp_client(path, parts),
            Transport::Tcp | Transport::Tls => self.to_stream_client(path, parts, urgency),
            // No listener hands the core such a path.
            Transport::Dtls => self.stats.driver.dropped_no_socket.add(1),
        }
    }

    fn to_udp_client(&self, path: &FiveTuple, parts: &[&[u8]]) {
        let listeners = self.listeners.borrow();
        let Some(socket) = listeners.iter().find(|socket| socket.answers(path.local)) else {
            return self.stats.driver.dropped_no_socket.add(1);
        };
        if socket.send(path.local, path.remote, parts) {
            self.dirty.borrow_mut().push(Rc::clone(socket));
        }
    }

    fn to_stream_client(&self, path: &FiveTuple, parts: &[&[u8]], urgency: Urgency) {
        let streams = self.streams.borrow();
        let Some(queue) = streams.get(path) else {
            return self.stats.driver.dropped_no_socket.add(1);
        };
        let added: usize = parts.iter().map(|part| part.len()).sum();
        if urgency == Urgency::Data && queue.len() + added > self.config.stream_queue {
            return self.stats.streams.tx_dropped_slow.add(1);
        }
        queue.push(parts);
        self.stats.streams.tx_messages.add(1);
    }

    /// Asks for a drain and a flush, after what else is ready.
    fn touch(&self) {
        if !self.pending.replace(true)
            && let Some(waker) = self.waker.borrow_mut().take()
        {
            waker.wake();
        }
    }

    /// Waits until something asks for a drain.
    fn touched(&self) -> impl Future<Output = ()> {
        poll_fn(|cx| {
            if self.pending.replace(false) {
                return Poll::Ready(());
            }
            *self.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
    }

    /// Does all that the core wants done; returns the time of its next deadline.
    fn drain(self: &Rc<Self>, now: Instant) -> Option<Instant> {
        loop {
            let output = self.core.borrow_mut().poll_output();
            match output {
                Output::Transmit(Transmit { path, bytes }) => {
                    self.to_client(&path, &[&bytes], Urgency::Control);
                }
                Output::Bind { id, local } => {
                    // The core hears of it within the drain, so the client's answer leaves with
                    // this flush.
                    let bound = self.bind(id, local);
                    self.core.borrow_mut().handle_bound(now, id, bound);
                }
                Output::Unbind(local) => self.unbind(local),
                Output::Event(event) => self.note(&event),
                Output::Wait(deadline) => return deadline,
            }
        }
    }

    fn flush(&self) {
        // A flush queues nothing, so the list does not change meanwhile.
        for socket in self.dirty.borrow_mut().drain(..) {
            socket.flush();
        }
    }

    fn note(&self, event: &Event) {
        match event {
            Event::Allocated { path, .. } => self.mark(path, true),
            Event::Deallocated { path, .. } => self.mark(path, false),
            _ => {}
        }
        tracing::debug!(?event, "TURN");
        (self.on_event.borrow_mut())(event);
    }

    /// Notes whether the client of a connection has an allocation.
    fn mark(&self, path: &FiveTuple, allocated: bool) {
        if let Some(queue) = self.streams.borrow().get(path) {
            queue.set_allocated(allocated);
        }
    }

    fn answer(&self, request: Request) {
        let mut core = self.core.borrow_mut();
        match request {
            Request::Stats(answer) => {
                // The asking task may have ended since.
                let _gone = answer.send(core.counters().clone());
            }
            Request::Deallocate(id) => core.deallocate(Instant::now(), id),
            Request::SetEpoch(epoch) => core.set_epoch(epoch),
            Request::SetLocalNetworks(own_addresses, connected) => {
                core.set_local_networks(own_addresses, connected);
            }
        }
    }

    /// Ends every relay socket and connection.
    fn close(&self) {
        let relayed = self.relays.borrow().addresses();
        for address in relayed {
            self.unbind(address);
        }
        for queue in self.streams.borrow().values() {
            queue.close();
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("listeners", &self.listeners.borrow().len())
            .field("relays", &self.relays.borrow().len())
            .field("streams", &self.streams.borrow().len())
            .finish_non_exhaustive()
    }
}

/// Whether a message may be dropped when its client reads too slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Urgency {
    /// It may: the application copes with loss, and latency would hurt it more.
    Data,
    /// It may not: a client waits for it.
    Control,
}

/// Returns a secret seed.
///
/// The standard library draws the keys of its own hash maps from the system's randomness; two
/// hashes under such keys are as secret.
fn random_seed() -> Seed {
    let keys = RandomState::new();
    Seed::new([keys.hash_one(0), keys.hash_one(1)])
}

/// Bytes of one read from a connection.
const STREAM_ROOM: usize = 64 * 1024;

/// Padding.
const ZEROES: [u8; 3] = [0; 3];
