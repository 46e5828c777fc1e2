//! What the tasks of an endpoint and its sessions share: the sessions, and what their cores want.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use bytes::Bytes;
use jackfield_ice::gather::Gatherer;
use jackfield_sansio::{FiveTuple, Timers};
use rustls::ClientConfig;
use tokio::sync::{Notify, OnceCell, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::config::EndpointConfig;
use super::core::{Core, CoreOutput};
use super::counters::EndpointCounters;
use super::endpoint::OpenError;
use super::own::OwnSocket;
use super::routes::Routes;
use super::session::{Locked, SessionId, Slot};
use super::stream::Wanted;
use super::topology::Topology;
use super::udp::SharedSocket;

/// What tasks and sessions share.
#[derive(Debug)]
pub(super) struct Shared<C: Core> {
    pub(super) config: EndpointConfig,
    pub(super) topology: Mutex<Topology>,
    pub(super) sockets: RwLock<HashMap<SocketAddr, Arc<SharedSocket>>>,
    pub(super) own_sockets: Mutex<HashMap<(SessionId, IpAddr), OwnSocket>>,
    pub(super) sessions: RwLock<HashMap<SessionId, Arc<Slot<C>>>>,
    pub(super) routes: RwLock<Routes>,
    pub(super) timers: Mutex<Timers<SessionId>>,
    pub(super) timers_changed: Notify,
    pub(super) connections: Mutex<Connections>,
    /// Asks the STUN servers, for all sessions.
    pub(super) gatherer: Mutex<Gatherer>,
    pub(super) gatherer_changed: Notify,
    /// The sockets may be others; for the task that maps ports.
    pub(super) sockets_changed: Notify,
    pub(super) strangers: Arc<Semaphore>,
    pub(super) resolutions: Arc<Semaphore>,
    /// What TLS is made by where the configuration does not say.
    pub(super) system_tls: OnceCell<Arc<ClientConfig>>,
    pub(super) next_session: AtomicU64,
    pub(super) counters: EndpointCounters,
    pub(super) runtime: tokio::runtime::Handle,
    /// For tasks that a session asks for.
    pub(super) this: std::sync::Weak<Self>,
}

/// What is to be written to each connection.
pub(super) type Connections = HashMap<(SessionId, FiveTuple), mpsc::Sender<Vec<u8>>>;

impl<C: Core> Shared<C> {
    /// Adds a session, and tells its core of the sockets.
    pub(super) fn add(&self, slot: &Arc<Slot<C>>) -> Result<(), OpenError> {
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
            for (address, name) in &topology.names {
                core.show_name(*address, name);
            }
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
    pub(super) fn pass_on(&self, slot: &Slot<C>, data: Bytes) {
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

    pub(super) fn all_sessions(&self) -> Vec<Arc<Slot<C>>> {
        read(&self.sessions).values().cloned().collect()
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

    /// Looks up an mDNS name.
    fn resolve(&self, id: SessionId, name: String) {
        let this = self.this.clone();
        let limit = self.config.limits.resolve_timeout;
        let resolutions = Arc::clone(&self.resolutions);
        self.runtime.spawn(async move {
            let looked_up = async {
                let _permit = resolutions.acquire_owned().await.ok()?;
                this.upgrade()?.look_up(&name).await
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
    pub(super) async fn run_timers(self: Arc<Self>) {
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
}

pub(super) async fn sleep_until(until: Option<Instant>) {
    match until {
        // A timer of tokio would add up to a millisecond.
        Some(until) if until <= Instant::now() => {}
        Some(until) => tokio::time::sleep_until(until.into()).await,
        None => std::future::pending().await,
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No guard is held while code that could panic runs, but for a core, which is a bug then.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
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

/// Sessions that are woken before other tasks get a turn.
const TIMER_BATCH: usize = 256;
