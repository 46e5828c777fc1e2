//! An endpoint: the sockets that sessions share, and what drives all of them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use bytes::Bytes;
use jackfield_ice::gather::{self, GatherConfig, Gatherer, Handled, IceServer, RelaySockets};
use jackfield_ice::{Agent, AgentConfig, username};
use jackfield_sansio::{FiveTuple, PacketType, Timers, Transport};
use rustls::ClientConfig;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Notify, OnceCell, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::config::EndpointConfig;
use super::core::{Core, CoreOutput};
use super::counters::EndpointCounters;
use super::interfaces::interface_addresses;
use super::own::OwnSocket;
use super::routes::Routes;
use super::session::{Locked, Session, SessionId, Slot};
use super::stream::Wanted;
use super::udp::{Blocked, SharedSocket};
use crate::watch::Watch;

/// Ports that any number of ICE sessions share, on every interface of this machine.
///
/// The endpoint's tasks run for as long as it or one of its sessions lives: two, and one for each
/// socket, listener and connection; none for a session.
pub struct IceEndpoint<C: Core = Agent> {
    inner: Arc<Inner<C>>,
}

/// What an endpoint and its sessions hold together.
pub(super) struct Inner<C: Core> {
    pub(super) shared: Arc<Shared<C>>,
    tasks: Vec<Task>,
}

/// What tasks and sessions share.
#[derive(Debug)]
pub(super) struct Shared<C: Core> {
    pub(super) config: EndpointConfig,
    topology: Mutex<Topology>,
    pub(super) sockets: RwLock<HashMap<SocketAddr, Arc<SharedSocket>>>,
    pub(super) own_sockets: Mutex<HashMap<(SessionId, IpAddr), OwnSocket>>,
    sessions: RwLock<HashMap<SessionId, Arc<Slot<C>>>>,
    routes: RwLock<Routes>,
    timers: Mutex<Timers<SessionId>>,
    timers_changed: Notify,
    connections: Mutex<Connections>,
    /// Asks the STUN servers, for all sessions.
    gatherer: Mutex<Gatherer>,
    gatherer_changed: Notify,
    /// The sockets may be others; for the task that maps ports.
    pub(super) sockets_changed: Notify,
    pub(super) strangers: Arc<Semaphore>,
    resolutions: Arc<Semaphore>,
    /// What TLS is made by where the configuration does not say.
    pub(super) system_tls: OnceCell<Arc<ClientConfig>>,
    next_session: AtomicU64,
    pub(super) counters: EndpointCounters,
    pub(super) runtime: tokio::runtime::Handle,
    /// For tasks that a session asks for.
    pub(super) this: std::sync::Weak<Self>,
}

/// What is to be written to each connection.
type Connections = HashMap<(SessionId, FiveTuple), mpsc::Sender<Vec<u8>>>;

/// The addresses that every core gets to know. It is locked before a session's core, never after.
#[derive(Debug, Default)]
struct Topology {
    sockets: Vec<SocketAddr>,
    listeners: Vec<SocketAddr>,
    /// Addresses without a UDP socket.
    addresses: Vec<IpAddr>,
    /// Where STUN servers see sockets.
    mapped: Vec<(SocketAddr, SocketAddr)>,
    /// Whether every STUN server has answered or was given up.
    is_gathered: bool,
}

/// Why a session cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There are as many as allowed ([`EndpointLimits::sessions`](super::EndpointLimits::sessions)).
    #[error("the endpoint has as many sessions as allowed")]
    TooMany,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

impl<C: Core> IceEndpoint<C> {
    /// Binds sockets to the addresses of this machine, and follows their changes.
    ///
    /// # Errors
    /// When there is no address to bind to, or the system refuses each.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn bind(config: EndpointConfig) -> io::Result<Self> {
        let seed = random()?;
        let servers = config.stun.iter().cloned().collect();
        let gather = GatherConfig {
            servers,
            ..GatherConfig::default()
        };
        let now = Instant::now();
        let shared = Arc::new_cyclic(|this| Shared {
            topology: Mutex::default(),
            sockets: RwLock::default(),
            own_sockets: Mutex::default(),
            sessions: RwLock::default(),
            routes: RwLock::new(Routes::new(config.limits.routes)),
            timers: Mutex::new(Timers::new()),
            timers_changed: Notify::new(),
            connections: Mutex::default(),
            gatherer: Mutex::new(Gatherer::new(gather, now, seed)),
            gatherer_changed: Notify::new(),
            sockets_changed: Notify::new(),
            strangers: Arc::new(Semaphore::new(config.limits.strangers)),
            resolutions: Arc::new(Semaphore::new(config.limits.resolutions)),
            system_tls: OnceCell::new(),
            next_session: AtomicU64::new(0),
            counters: EndpointCounters::default(),
            runtime: tokio::runtime::Handle::current(),
            this: this.clone(),
            config,
        });
        let mut bindings = Bindings::default();
        let watch = Watch::new(shared.config.poll);
        let refused = bindings.refresh(&shared)?;
        if bindings.sockets.is_empty() {
            return Err(refused.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()));
        }
        let mut tasks = vec![
            Task(tokio::spawn(Arc::clone(&shared).run_timers())),
            Task(tokio::spawn(Arc::clone(&shared).run_gatherer())),
            Task(tokio::spawn(bindings.run(Arc::clone(&shared), watch))),
        ];
        if let Some(config) = shared.config.port_mapping.clone() {
            let shared = Arc::clone(&shared);
            tasks.push(Task(tokio::spawn(async move {
                shared.run_mapper(config).await;
            })));
        }
        Ok(Self {
            inner: Arc::new(Inner { shared, tasks }),
        })
    }

    /// Opens a session for a core, whose [`CoreOutput::Connect`] names a server by its index in
    /// `servers`.
    ///
    /// # Errors
    /// When there are too many.
    pub fn open(&self, core: C, servers: Arc<[IceServer]>) -> Result<Session<C>, OpenError> {
        let shared = &self.inner.shared;
        let limits = &shared.config.limits;
        let (events, event_receiver) = mpsc::channel(limits.events.max(1));
        let (packets, packet_receiver) = mpsc::channel(limits.packets.max(1));
        let id = SessionId(shared.next_session.fetch_add(1, Ordering::Relaxed));
        let slot = Arc::new(Slot::new(id, core, servers, events, packets));
        shared.add(&slot)?;
        Ok(Session::new(
            Arc::clone(&self.inner),
            slot,
            event_receiver,
            packet_receiver,
        ))
    }

    /// Returns the addresses of the UDP sockets, the preferred ones first.
    #[must_use]
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.inner.shared.local_sockets()
    }

    /// Returns whether all its addresses are loopback ones.
    pub(crate) fn is_on_loopback(&self) -> bool {
        let topology = self.inner.shared.topology();
        let with_port = topology.sockets.iter().chain(&topology.listeners);
        let mut with_port = with_port.map(SocketAddr::ip);
        with_port.all(|ip| ip.is_loopback()) && topology.addresses.iter().all(IpAddr::is_loopback)
    }

    /// Returns how many sessions there are.
    #[must_use]
    pub fn sessions(&self) -> usize {
        read(&self.inner.shared.sessions).len()
    }

    /// Returns the counters.
    #[must_use]
    pub fn counters(&self) -> &EndpointCounters {
        &self.inner.shared.counters
    }
}

impl IceEndpoint<Agent> {
    /// Opens a session for a new agent.
    ///
    /// Its allocations over UDP are made from sockets of its own, whatever the configuration says:
    /// a TURN server knows an allocation by the addresses of both ends, and the port is shared.
    ///
    /// # Errors
    /// When there are too many, or the system gives no random bytes.
    pub fn agent(&self, mut config: AgentConfig) -> Result<Session<Agent>, OpenError> {
        config.gather.relay_sockets = RelaySockets::Own;
        let servers = Arc::clone(&config.gather.servers);
        let seed = random().map_err(|_| OpenError::Random)?;
        let agent = Agent::new(config, Instant::now(), seed);
        self.open(agent, servers)
    }
}

impl<C: Core> Clone for IceEndpoint<C> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<C: Core> Shared<C> {
    /// Adds a session, and tells its core of the sockets.
    fn add(&self, slot: &Arc<Slot<C>>) -> Result<(), OpenError> {
        // Held until the core knows all sockets, so that no change of them is missed or told twice.
        let topology = self.topology();
        {
            let mut sessions = write(&self.sessions);
            if sessions.len() >= self.config.limits.sessions {
                self.counters.refused_sessions.add();
                return Err(OpenError::TooMany);
            }
            sessions.insert(slot.id, Arc::clone(slot));
        }
        self.call(slot, |core, now| {
            for socket in &topology.sockets {
                core.add_socket(now, *socket);
            }
            for listener in &topology.listeners {
                core.add_listener(now, *listener);
            }
            for address in &topology.addresses {
                core.add_address(now, *address);
            }
            for (local, outside) in &topology.mapped {
                core.add_mapped_address(now, *local, *outside);
            }
            if topology.is_gathered {
                core.end_of_sockets(now);
            }
        });
        Ok(())
    }

    /// Ends a session.
    pub(super) fn remove(&self, slot: &Slot<C>) {
        self.call(slot, |core, now| core.close(now));
        write(&self.sessions).remove(&slot.id);
        write(&self.routes).remove(slot.id);
        lock(&self.timers).cancel(&slot.id);
        self.end_own_sockets(slot.id);
        // Each connection's task ends with its queue.
        lock(&self.connections).retain(|(session, _), _| *session != slot.id);
    }

    /// Calls a core, and does what it wants done.
    pub(super) fn call<R>(&self, slot: &Slot<C>, call: impl FnOnce(&mut C, Instant) -> R) -> R {
        let mut locked = slot.lock();
        let result = call(&mut locked.core, Instant::now());
        self.drain(slot, &mut locked);
        result
    }

    /// Calls a core, and does what it wants done as soon as the timers' task gets to it: what
    /// several calls want leaves together then.
    pub(super) fn call_soon<R>(
        &self,
        slot: &Slot<C>,
        call: impl FnOnce(&mut C, Instant) -> R,
    ) -> R {
        let mut locked = slot.lock();
        let now = Instant::now();
        let result = call(&mut locked.core, now);
        if locked.deadline.is_none_or(|deadline| deadline > now) {
            self.set_timer(slot.id, &mut locked, Some(now));
        }
        result
    }

    /// Gives a packet to a session; [`Shared::flush`] has to follow.
    pub(super) fn deliver(&self, slot: &Slot<C>, path: FiveTuple, bytes: &[u8]) {
        let mut locked = slot.lock();
        let data = locked.core.handle_datagram(Instant::now(), path, bytes);
        if let Some(data) = data {
            self.pass_on(slot, Bytes::copy_from_slice(data));
        }
    }

    /// Does what a core wants done after the packets that were delivered to it.
    pub(super) fn flush(&self, slot: &Slot<C>) {
        self.drain(slot, &mut slot.lock());
    }

    /// Gives a packet to the application of a session.
    fn pass_on(&self, slot: &Slot<C>, data: Bytes) {
        if slot.packets.try_send(data).is_err() {
            self.counters.dropped_packets.add();
        }
    }

    /// Returns the session that a username fragment belongs to.
    pub(super) fn by_ufrag(&self, ufrag: &str) -> Option<Arc<Slot<C>>> {
        let id = read(&self.routes).by_ufrag(ufrag)?;
        self.session(id)
    }

    pub(super) fn session(&self, id: SessionId) -> Option<Arc<Slot<C>>> {
        read(&self.sessions).get(&id).cloned()
    }

    fn all_sessions(&self) -> Vec<Arc<Slot<C>>> {
        read(&self.sessions).values().cloned().collect()
    }

    /// Gives a datagram to the sessions that it is for, and adds these to `touched`.
    fn dispatch(&self, path: FiveTuple, bytes: &[u8], touched: &mut Touched<C>) {
        if let Some((ufrag, _)) = username(bytes) {
            match self.by_ufrag(ufrag) {
                // Data along this path is another session's.
                Some(slot) if self.is_taken(slot.id, path) => {
                    self.want_own_socket(slot.id, path.local.ip());
                }
                Some(slot) => {
                    self.deliver(&slot, path, bytes);
                    touched.add(slot);
                }
                None => self.counters.unknown_datagrams.add(),
            }
            return;
        }
        let sessions = read(&self.routes)
            .by_path((path.local, path.remote))
            .to_vec();
        for session in &sessions {
            if let Some(slot) = self.session(*session) {
                self.deliver(&slot, path, bytes);
                touched.add(slot);
            }
        }
        if PacketType::of(bytes) == PacketType::Stun {
            let now = Instant::now();
            let handled = lock(&self.gatherer).handle_datagram(now, path, bytes);
            if handled != Handled::NotOurs {
                self.gatherer_changed.notify_one();
                return;
            }
        }
        if sessions.is_empty() {
            self.counters.unknown_datagrams.add();
        }
    }

    /// Does what a core wants done.
    fn drain(&self, slot: &Slot<C>, locked: &mut Locked<C>) {
        loop {
            match locked.core.poll_output() {
                CoreOutput::Transmit(transmit) => {
                    self.transmit(slot.id, transmit.path, transmit.bytes);
                }
                CoreOutput::Connect {
                    id,
                    transport,
                    local,
                    remote,
                    server,
                    domain,
                } => {
                    let wanted = Wanted {
                        id,
                        transport,
                        local,
                        remote,
                        server,
                        domain,
                    };
                    self.spawn_connect(slot.id, wanted);
                }
                CoreOutput::Close(path) => self.remove_connection(slot.id, path),
                CoreOutput::Resolve(name) => self.resolve(slot.id, name),
                CoreOutput::Data(data) => self.pass_on(slot, data.into()),
                CoreOutput::Event(event) => {
                    let sent = slot.events.try_send(event);
                    if let Err(mpsc::error::TrySendError::Full(_)) = sent {
                        self.counters.dropped_events.add();
                    }
                }
                CoreOutput::Wait(until) => {
                    self.set_timer(slot.id, locked, until);
                    self.note_ufrag(slot.id, locked);
                    return;
                }
            }
        }
    }

    fn set_timer(&self, id: SessionId, locked: &mut Locked<C>, until: Option<Instant>) {
        if locked.deadline == until {
            return;
        }
        locked.deadline = until;
        let mut timers = lock(&self.timers);
        let before = timers.next();
        match until {
            Some(until) => timers.set(id, until),
            None => drop(timers.cancel(&id)),
        }
        if timers.next() != before {
            self.timers_changed.notify_one();
        }
    }

    fn note_ufrag(&self, id: SessionId, locked: &mut Locked<C>) {
        let ufrag = locked.core.agent().local_parameters().credentials.ufrag();
        if locked.ufrag != ufrag {
            locked.ufrag = ufrag.to_owned();
            write(&self.routes).add_ufrag(id, &locked.ufrag);
        }
    }

    /// Sends a packet of a session at once; returns what it waits for if that takes no more.
    pub(super) fn send(
        &self,
        id: SessionId,
        path: FiveTuple,
        parts: [&[u8]; 3],
    ) -> Option<Blocked> {
        if let Some(socket) = self.socket(path) {
            let is_sent = socket.try_send(path.remote, parts);
            return (!is_sent).then_some(Blocked::Socket(socket));
        }
        let connection = lock(&self.connections).get(&(id, path)).cloned()?;
        match connection.try_send(parts.concat()) {
            Err(mpsc::error::TrySendError::Full(_)) => Some(Blocked::Stream(connection)),
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => None,
        }
    }

    fn transmit(&self, id: SessionId, path: FiveTuple, bytes: Vec<u8>) {
        let has_room = match self.socket(path) {
            Some(socket) => {
                if !self.claim(id, path, &bytes) {
                    self.want_own_socket(id, path.local.ip());
                    return;
                }
                socket.send(path.remote, bytes)
            }
            None => {
                let connection = lock(&self.connections).get(&(id, path)).cloned();
                connection.is_some_and(|connection| connection.try_send(bytes).is_ok())
            }
        };
        if !has_room {
            self.counters.dropped_transmits.add();
        }
    }

    /// Notes that a session sends along a path; returns whether it may. Paths to STUN servers are
    /// shared: answers have the number of a transaction. One to a candidate has one session.
    fn claim(&self, id: SessionId, path: FiveTuple, bytes: &[u8]) -> bool {
        let path = (path.local, path.remote);
        if read(&self.routes).knows(id, path) {
            return true;
        }
        let mut routes = write(&self.routes);
        let is_free = routes.by_path(path).is_empty() || username(bytes).is_none();
        if is_free {
            routes.add_path(id, path);
        }
        is_free
    }

    /// Returns whether a path belongs to other sessions.
    fn is_taken(&self, id: SessionId, path: FiveTuple) -> bool {
        let routes = read(&self.routes);
        let sessions = routes.by_path((path.local, path.remote));
        !sessions.is_empty() && !sessions.contains(&id)
    }

    fn socket(&self, path: FiveTuple) -> Option<Arc<SharedSocket>> {
        if path.transport != Transport::Udp {
            return None;
        }
        read(&self.sockets).get(&path.local).cloned()
    }

    /// Makes room for a connection; returns what is to be written to it.
    pub(super) fn add_connection(&self, id: SessionId, path: FiveTuple) -> mpsc::Receiver<Vec<u8>> {
        let (sender, receiver) = mpsc::channel(self.config.limits.stream_packets.max(1));
        lock(&self.connections).insert((id, path), sender);
        receiver
    }

    /// Closes a connection, once what waits for it is written.
    pub(super) fn remove_connection(&self, id: SessionId, path: FiveTuple) {
        lock(&self.connections).remove(&(id, path));
    }

    fn spawn_connect(&self, id: SessionId, wanted: Wanted) {
        let this = self.this.clone();
        self.runtime.spawn(async move {
            let shared = this.upgrade();
            let found = shared.and_then(|shared| shared.session(id).map(|slot| (shared, slot)));
            if let Some((shared, slot)) = found {
                shared.connect(slot, wanted).await;
            }
        });
    }

    /// Looks up an mDNS name by the system's resolver.
    fn resolve(&self, id: SessionId, name: String) {
        let this = self.this.clone();
        let limit = self.config.limits.resolve_timeout;
        let resolutions = Arc::clone(&self.resolutions);
        self.runtime.spawn(async move {
            let looked_up = async {
                let _permit = resolutions.acquire_owned().await.ok()?;
                let mut found = tokio::net::lookup_host((name.as_str(), 0)).await.ok()?;
                found.next().map(|address| address.ip())
            };
            let address: Option<IpAddr> =
                tokio::time::timeout(limit, looked_up).await.ok().flatten();
            let Some(shared) = this.upgrade() else { return };
            if let Some(slot) = shared.session(id) {
                shared.call(&slot, |core, now| core.handle_resolved(now, &name, address));
            }
        });
    }

    /// Wakes each session when its time has come.
    async fn run_timers(self: Arc<Self>) {
        loop {
            let next = lock(&self.timers).next();
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.timers_changed.notified() => continue,
            }
            let now = Instant::now();
            // Those that are due by now, and none that these set anew.
            let due: Vec<SessionId> = {
                let mut timers = lock(&self.timers);
                std::iter::from_fn(|| timers.expire(now))
                    .take(TIMER_BATCH)
                    .collect()
            };
            for id in due {
                let Some(slot) = self.session(id) else {
                    continue;
                };
                let mut locked = slot.lock();
                locked.deadline = None;
                locked.core.handle_timeout(Instant::now());
                self.drain(&slot, &mut locked);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Asks the STUN servers.
    async fn run_gatherer(self: Arc<Self>) {
        loop {
            let until = self.drain_gatherer();
            tokio::select! {
                () = sleep_until(until) => lock(&self.gatherer).handle_timeout(Instant::now()),
                () = self.gatherer_changed.notified() => {}
            }
        }
    }

    fn drain_gatherer(&self) -> Option<Instant> {
        loop {
            let output = lock(&self.gatherer).poll_output();
            match output {
                gather::Output::Transmit(transmit) => {
                    if let Some(socket) = self.socket(transmit.path)
                        && !socket.send(transmit.path.remote, transmit.bytes)
                    {
                        self.counters.dropped_transmits.add();
                    }
                }
                // It has no TURN servers.
                gather::Output::Connect { .. } | gather::Output::Close(_) => {}
                gather::Output::Event(event) => self.gathered(&event),
                gather::Output::Wait(until) => return until,
            }
        }
    }

    fn gathered(&self, event: &gather::Event) {
        match event {
            gather::Event::Reflexive { base, address, .. } => self.add_mapped(*base, *address),
            gather::Event::ReflexiveLost { base, address } => self.remove_mapped(*base, *address),
            gather::Event::Complete => {
                let mut topology = self.topology();
                topology.is_gathered = true;
                for slot in self.all_sessions() {
                    self.call(&slot, Core::end_of_sockets);
                }
            }
            gather::Event::Error(error) => {
                tracing::info!(
                    server = error.url,
                    code = error.code,
                    text = error.text,
                    "STUN server gave no address"
                );
                self.counters.stun_errors.add();
            }
            _ => {}
        }
    }

    /// Takes where a socket is seen outside, and tells every session.
    pub(super) fn add_mapped(&self, local: SocketAddr, outside: SocketAddr) {
        let mut topology = self.topology();
        topology.mapped.push((local, outside));
        for slot in self.all_sessions() {
            self.call(&slot, |core, now| {
                core.add_mapped_address(now, local, outside);
            });
        }
    }

    /// Takes that a socket is no longer seen there, and tells every session.
    pub(super) fn remove_mapped(&self, local: SocketAddr, outside: SocketAddr) {
        let mut topology = self.topology();
        let mapped = &mut topology.mapped;
        let known = mapped.iter().position(|mapped| *mapped == (local, outside));
        if let Some(known) = known {
            mapped.remove(known);
        }
        let left = mapped.iter().filter(|(socket, _)| *socket == local);
        let left: Vec<SocketAddr> = left.map(|(_, outside)| *outside).collect();
        if known.is_none() || left.contains(&outside) {
            return;
        }
        for slot in self.all_sessions() {
            self.call(&slot, |core, now| {
                core.remove_mapped_address(now, local);
                for outside in &left {
                    core.add_mapped_address(now, local, *outside);
                }
            });
        }
    }

    /// Returns the addresses of the UDP sockets, the preferred ones first.
    pub(super) fn local_sockets(&self) -> Vec<SocketAddr> {
        self.topology().sockets.clone()
    }

    fn topology(&self) -> MutexGuard<'_, Topology> {
        lock(&self.topology)
    }
}

/// What is bound to the addresses of this machine; owned by the task that follows their changes.
#[derive(Debug, Default)]
struct Bindings {
    sockets: BTreeMap<IpAddr, Binding>,
    /// The port that was chosen first, which other addresses get if they can.
    port: u16,
}

#[derive(Debug)]
struct Binding {
    socket: Option<SocketAddr>,
    listener: Option<SocketAddr>,
    _tasks: Vec<Task>,
}

impl Bindings {
    /// Follows changes of interfaces.
    async fn run<C: Core>(mut self, shared: Arc<Shared<C>>, watch: Watch) {
        loop {
            watch.changed().await;
            match self.refresh(&shared) {
                Ok(None) => {}
                Ok(Some(error)) => {
                    tracing::debug!(%error, "An address cannot be bound to, yet");
                }
                Err(error) => tracing::debug!(%error, "Interfaces cannot be read"),
            }
        }
    }

    /// Binds to new addresses and lets go of old ones; returns why one could not be bound to.
    fn refresh<C: Core>(&mut self, shared: &Arc<Shared<C>>) -> io::Result<Option<io::Error>> {
        let mut chosen = shared.config.interfaces.choose(interface_addresses()?);
        chosen.truncate(shared.config.limits.addresses);
        let order: Vec<IpAddr> = chosen.into_iter().map(|address| address.ip).collect();
        let gone: Vec<IpAddr> = self.sockets.keys().copied().collect();
        for ip in gone.into_iter().filter(|ip| !order.contains(ip)) {
            self.unbind(shared, ip);
        }
        let mut refused = None;
        for ip in &order {
            if !self.sockets.contains_key(ip)
                && let Err(error) = self.bind(shared, *ip)
            {
                refused = Some(error);
            }
        }
        let mut topology = shared.topology();
        let place = |local: &SocketAddr| order.iter().position(|ip| *ip == local.ip());
        topology.sockets.sort_by_key(place);
        topology.listeners.sort_by_key(place);
        let place = |address: &IpAddr| order.iter().position(|ip| ip == address);
        topology.addresses.sort_by_key(place);
        drop(topology);
        lock(&shared.gatherer).end_of_sockets(Instant::now());
        shared.gatherer_changed.notify_one();
        shared.sockets_changed.notify_one();
        Ok(refused)
    }

    fn bind<C: Core>(&mut self, shared: &Arc<Shared<C>>, ip: IpAddr) -> io::Result<()> {
        let mut tasks = Vec::new();
        let socket = match shared.config.udp {
            true => Some(self.bind_udp(shared, ip, &mut tasks)?),
            false => None,
        };
        let listener = match shared.config.tcp {
            true => match self.listen(shared, ip, &mut tasks) {
                Ok(listener) => Some(listener),
                Err(error) if socket.is_none() => return Err(error),
                Err(error) => {
                    tracing::debug!(%error, %ip, "Not listening");
                    None
                }
            },
            false => None,
        };
        tracing::debug!(?socket, ?listener, "ICE endpoint bound");
        let address = socket.is_none().then_some(ip);
        let mut topology = shared.topology();
        topology.sockets.extend(socket);
        topology.listeners.extend(listener);
        topology.addresses.extend(address);
        for slot in shared.all_sessions() {
            shared.call(&slot, |core, now| {
                if let Some(socket) = socket {
                    core.add_socket(now, socket);
                }
                if let Some(listener) = listener {
                    core.add_listener(now, listener);
                }
                if let Some(address) = address {
                    core.add_address(now, address);
                }
            });
        }
        drop(topology);
        if let Some(socket) = socket {
            lock(&shared.gatherer).add_socket(Instant::now(), socket);
        }
        let binding = Binding {
            socket,
            listener,
            _tasks: tasks,
        };
        self.sockets.insert(ip, binding);
        Ok(())
    }

    fn bind_udp<C: Core>(
        &mut self,
        shared: &Arc<Shared<C>>,
        ip: IpAddr,
        tasks: &mut Vec<Task>,
    ) -> io::Result<SocketAddr> {
        let socket = SharedSocket::bind(SocketAddr::new(ip, self.wanted_port(shared)))
            .or_else(|error| self.elsewhere(shared, ip, error, SharedSocket::bind))?;
        let socket = Arc::new(socket);
        let local = socket.local_addr();
        self.note_port(local);
        write(&shared.sockets).insert(local, Arc::clone(&socket));
        tasks.push(Task(tokio::spawn(receive(Arc::clone(shared), socket))));
        Ok(local)
    }

    fn listen<C: Core>(
        &mut self,
        shared: &Arc<Shared<C>>,
        ip: IpAddr,
        tasks: &mut Vec<Task>,
    ) -> io::Result<SocketAddr> {
        let listener = listen(SocketAddr::new(ip, self.wanted_port(shared)))
            .or_else(|error| self.elsewhere(shared, ip, error, listen))?;
        let local = listener.local_addr()?;
        self.note_port(local);
        tasks.push(Task(tokio::spawn(Arc::clone(shared).accept(listener))));
        Ok(local)
    }

    fn wanted_port<C: Core>(&self, shared: &Shared<C>) -> u16 {
        match shared.config.port {
            0 => self.port,
            port => port,
        }
    }

    /// Binds to another port, where the port of the first address is taken on this one.
    fn elsewhere<C: Core, T>(
        &self,
        shared: &Shared<C>,
        ip: IpAddr,
        error: io::Error,
        bind: impl FnOnce(SocketAddr) -> io::Result<T>,
    ) -> io::Result<T> {
        match shared.config.port {
            0 if self.port != 0 => bind(SocketAddr::new(ip, 0)),
            _ => Err(error),
        }
    }

    fn note_port(&mut self, local: SocketAddr) {
        if self.port == 0 {
            self.port = local.port();
        }
    }

    fn unbind<C: Core>(&mut self, shared: &Shared<C>, ip: IpAddr) {
        let Some(binding) = self.sockets.remove(&ip) else {
            return;
        };
        tracing::debug!(%ip, "ICE endpoint lost an address");
        shared.lose_own_sockets(ip);
        let (socket, listener) = (binding.socket, binding.listener);
        let address = socket.is_none().then_some(ip);
        if let Some(socket) = socket {
            write(&shared.sockets).remove(&socket);
        }
        let mut topology = shared.topology();
        topology.sockets.retain(|local| Some(*local) != socket);
        topology.listeners.retain(|local| Some(*local) != listener);
        topology.addresses.retain(|local| Some(*local) != address);
        topology.mapped.retain(|(local, _)| Some(*local) != socket);
        for slot in shared.all_sessions() {
            shared.call(&slot, |core, now| {
                if let Some(socket) = socket {
                    core.remove_socket(now, socket);
                }
                if let Some(listener) = listener {
                    core.remove_listener(now, listener);
                }
                if let Some(address) = address {
                    core.remove_address(now, address);
                }
            });
        }
        drop(topology);
        if let Some(socket) = socket {
            lock(&shared.gatherer).remove_socket(Instant::now(), socket);
        }
    }
}

/// Sessions that have got packets and may have something to send because of them.
struct Touched<C: Core>(Vec<Arc<Slot<C>>>);

impl<C: Core> Touched<C> {
    fn add(&mut self, slot: Arc<Slot<C>>) {
        if !self.0.iter().any(|known| known.id == slot.id) {
            self.0.push(slot);
        }
    }
}

/// Receives datagrams of a socket and gives them to the sessions that they are for.
async fn receive<C: Core>(shared: Arc<Shared<C>>, socket: Arc<SharedSocket>) {
    let mut room = vec![0; MAX_DATAGRAM];
    let mut touched = Touched(Vec::new());
    let local = socket.local_addr();
    loop {
        let packet = |remote, bytes: &[u8]| {
            let path = FiveTuple {
                transport: Transport::Udp,
                local,
                remote,
            };
            shared.dispatch(path, bytes, &mut touched);
        };
        socket.receive(&mut room, packet).await;
        for slot in touched.0.drain(..) {
            shared.flush(&slot);
        }
        tokio::task::yield_now().await;
    }
}

fn listen(local: SocketAddr) -> io::Result<TcpListener> {
    let socket = match local {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // Connections of an earlier life in TIME_WAIT do not keep the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(local)?;
    socket.listen(LISTEN_BACKLOG)
}

async fn sleep_until(until: Option<Instant>) {
    match until {
        // A timer of tokio would add up to a millisecond.
        Some(until) if until <= Instant::now() => {}
        Some(until) => tokio::time::sleep_until(until.into()).await,
        None => std::future::pending().await,
    }
}

fn random() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    Ok(seed)
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No guard is held while code that could panic runs, but for a core, which is a bug then.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// A task that ends with its owner.
#[derive(Debug)]
pub(super) struct Task(pub(super) JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<C: Core> fmt::Debug for IceEndpoint<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<C: Core> fmt::Debug for Inner<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceEndpoint")
            .field("topology", &self.shared.topology)
            .field("tasks", &self.tasks.len())
            .finish_non_exhaustive()
    }
}

pub(super) const MAX_DATAGRAM: usize = 65_536;
const LISTEN_BACKLOG: u32 = 1_024;

/// Sessions that are woken before other tasks get a turn.
const TIMER_BATCH: usize = 256;
