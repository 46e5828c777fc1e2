//! One session of an endpoint: a core and its application.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use jackfield_ice::gather::IceServer;
use jackfield_ice::{
    Agent, Candidate, IceParameters, ParametersError, RemoteCandidateError, SelectedPair,
    SendError, State,
};
use tokio::sync::mpsc;

use super::core::Core;
use super::endpoint::Inner;
use super::udp::Blocked;

/// A session's number, never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SessionId(pub(super) u64);

/// What an endpoint keeps of a session.
#[derive(Debug)]
pub(super) struct Slot<C: Core> {
    pub(super) id: SessionId,
    /// The servers, by the index that [`CoreOutput::Connect`](super::CoreOutput::Connect) has.
    pub(super) servers: Arc<[IceServer]>,
    /// Held for single calls, never across a wait.
    locked: Mutex<Locked<C>>,
    pub(super) events: mpsc::Sender<C::Event>,
    pub(super) packets: mpsc::Sender<Bytes>,
}

/// What a session's lock guards.
#[derive(Debug)]
pub(super) struct Locked<C> {
    pub(super) core: C,
    /// The deadline that the timers know.
    pub(super) deadline: Option<Instant>,
    /// The username fragment that the routes know.
    pub(super) ufrag: String,
}

impl<C: Core> Slot<C> {
    pub(super) fn new(
        id: SessionId,
        core: C,
        servers: Arc<[IceServer]>,
        events: mpsc::Sender<C::Event>,
        packets: mpsc::Sender<Bytes>,
    ) -> Self {
        Self {
            id,
            servers,
            locked: Mutex::new(Locked {
                core,
                deadline: None,
                ufrag: String::new(),
            }),
            events,
            packets,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Locked<C>> {
        // A core that panicked is a bug; what it holds is still consistent enough to end.
        self.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session of an [`IceEndpoint`](super::IceEndpoint). Dropping it ends the session.
///
/// All methods take `&self`, so that one task can send while another receives.
pub struct Session<C: Core> {
    endpoint: Arc<Inner<C>>,
    slot: Arc<Slot<C>>,
    events: tokio::sync::Mutex<mpsc::Receiver<C::Event>>,
    packets: tokio::sync::Mutex<mpsc::Receiver<Bytes>>,
}

impl<C: Core> Session<C> {
    pub(super) fn new(
        endpoint: Arc<Inner<C>>,
        slot: Arc<Slot<C>>,
        events: mpsc::Receiver<C::Event>,
        packets: mpsc::Receiver<Bytes>,
    ) -> Self {
        Self {
            endpoint,
            slot,
            events: events.into(),
            packets: packets.into(),
        }
    }

    /// Calls the core, and does what it wants done.
    ///
    /// The session's lock is held meanwhile: the call should be short.
    pub fn with<R>(&self, call: impl FnOnce(&mut C, Instant) -> R) -> R {
        self.endpoint.shared.call(&self.slot, call)
    }

    /// Calls the core, and does what it wants done a little later, together with what further calls
    /// want.
    pub(crate) fn with_soon<R>(&self, call: impl FnOnce(&mut C, Instant) -> R) -> R {
        self.endpoint.shared.call_soon(&self.slot, call)
    }

    /// Calls the core for something that gives it nothing to do.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&mut C) -> R) -> R {
        look(&mut self.slot.lock().core)
    }

    /// Returns the next event if it is there already.
    pub(crate) fn try_event(&self) -> Option<C::Event> {
        self.events.try_lock().ok()?.try_recv().ok()
    }

    /// Drops all events from now on, uncounted: the application takes none.
    pub(crate) fn ignore_events(&self) {
        if let Ok(mut events) = self.events.try_lock() {
            events.close();
        }
    }

    /// Returns the runtime of the endpoint.
    pub(crate) fn runtime(&self) -> &tokio::runtime::Handle {
        &self.endpoint.shared.runtime
    }

    /// Waits for the next event; `None` once the session is closed. No event is lost when the wait
    /// is given up.
    pub async fn event(&self) -> Option<C::Event> {
        self.events.lock().await.recv().await
    }

    /// Waits for a packet of the other side; `None` once the session is closed. No packet is lost
    /// when the wait is given up.
    pub async fn recv(&self) -> Option<Bytes> {
        self.packets.lock().await.recv().await
    }
}

impl Session<Agent> {
    /// Returns what the other side has to know of this one.
    #[must_use]
    pub fn local_parameters(&self) -> IceParameters {
        self.with(|agent, _| agent.local_parameters().clone())
    }

    /// Takes what the other side has told of itself.
    ///
    /// # Errors
    /// As [`Agent::set_remote_parameters`].
    pub fn set_remote_parameters(&self, parameters: IceParameters) -> Result<(), ParametersError> {
        self.with(|agent, now| agent.set_remote_parameters(now, parameters))
    }

    /// Takes a candidate of the other side.
    ///
    /// # Errors
    /// As [`Agent::add_remote_candidate`].
    pub fn add_remote_candidate(&self, candidate: Candidate) -> Result<(), RemoteCandidateError> {
        self.with(|agent, now| agent.add_remote_candidate(now, candidate))
    }

    /// Says that the other side has no more candidates.
    pub fn end_of_remote_candidates(&self) {
        self.with(Agent::end_of_remote_candidates);
    }

    /// Starts over with new credentials, which [`Session::local_parameters`] returns then.
    pub fn restart(&self) {
        self.with(Agent::restart);
    }

    /// Returns how far the agent is.
    #[must_use]
    pub fn state(&self) -> State {
        self.with(|agent, _| agent.state())
    }

    /// Returns the pair that data takes.
    #[must_use]
    pub fn selected_pair(&self) -> Option<SelectedPair> {
        self.with(|agent, _| agent.selected_pair())
    }

    /// Sends a packet along the selected pair; waits while the system takes no more.
    ///
    /// # Errors
    /// When it cannot be sent; see [`SendError`].
    pub async fn send(&self, payload: &[u8]) -> Result<(), SendError> {
        loop {
            let shared = &self.endpoint.shared;
            let blocked = shared.call(&self.slot, |agent, now| {
                let outgoing = agent.send(now, payload)?;
                let header = outgoing.header.as_ref().map(|header| header.as_bytes());
                let parts = [
                    header.unwrap_or_default(),
                    outgoing.payload,
                    PADDING
                        .get(..usize::from(outgoing.padding))
                        .unwrap_or_default(),
                ];
                Ok(shared.send(self.slot.id, outgoing.path, parts))
            })?;
            match blocked {
                None => return Ok(()),
                Some(blocked) => blocked.wait().await,
            }
        }
    }

    /// Returns the local and the remote address that data takes.
    #[must_use]
    pub fn path(&self) -> Option<(SocketAddr, SocketAddr)> {
        let pair = self.selected_pair()?;
        Some((pair.path.local, pair.path.remote))
    }
}

impl<C: Core> Drop for Session<C> {
    fn drop(&mut self) {
        self.endpoint.shared.remove(&self.slot);
    }
}

impl<C: Core> fmt::Debug for Session<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.slot.id)
            .finish_non_exhaustive()
    }
}

impl Blocked {
    /// Waits until another try may succeed.
    async fn wait(self) {
        match self {
            Self::Socket(socket) => socket.writable().await,
            // The error is that the connection has ended, which the next try finds out.
            Self::Stream(stream) => drop(stream.reserve().await),
        }
    }
}

const PADDING: [u8; 3] = [0; 3];
