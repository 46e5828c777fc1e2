//! Places for sessions: how many there are, in all and for one network.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use jackfield_sansio::{Account, BudgetFull, ClientNetwork};

use super::server::{Inner, Seat};
use super::{ConnectionInfo, EngineSocket, WeakSocket};
use crate::sync::lock;

/// Who has the places of a server.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    by_network: BTreeMap<ClientNetwork, usize>,
    /// Sessions that were opened by polling, the oldest first. Some have gone or have shown since
    /// that somebody is there.
    untried: VecDeque<WeakSocket>,
}

/// A session's place; dropping it gives it back.
pub(super) struct Place {
    inner: Arc<Inner>,
    network: Option<ClientNetwork>,
}

impl Places {
    /// Counts a place of `network` unless it has `limit` of them.
    fn take(&self, network: ClientNetwork, limit: usize) -> bool {
        let mut taken = lock(&self.0);
        let count = taken.by_network.entry(network).or_default();
        let is_free = *count < limit;
        if is_free {
            *count += 1;
        }
        is_free
    }

    fn give_back(&self, network: ClientNetwork) {
        let mut taken = lock(&self.0);
        if let Some(count) = taken.by_network.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                taken.by_network.remove(&network);
            }
        }
    }

    /// Notes a session that a GET has opened.
    pub(super) fn opened_by_polling(&self, socket: &EngineSocket) {
        let untried = &mut lock(&self.0).untried;
        let is_done = |it: &WeakSocket| it.upgrade().is_none_or(|it| it.is_tried());
        while untried.front().is_some_and(is_done) {
            untried.pop_front();
        }
        untried.push_back(socket.downgrade());
    }

    /// Takes out the oldest session that has asked for nothing since it was opened: of `network`,
    /// or else of the network with most places.
    fn oldest_untried(&self, network: Option<ClientNetwork>) -> Option<EngineSocket> {
        let mut taken = lock(&self.0);
        let most = taken.by_network.iter().max_by_key(|(_, count)| **count);
        let wanted = network.or_else(|| most.map(|(network, _)| *network));
        let mut found = None;
        taken.untried.retain(|it| {
            let Some(socket) = it.upgrade().filter(|_| found.is_none()) else {
                return it.is_there();
            };
            let is_it = !socket.is_tried() && socket.network() == wanted;
            if is_it {
                found = Some(socket);
            }
            !is_it
        });
        found
    }
}

impl Inner {
    /// Takes a place for a session. Where all are taken, a session that nobody uses yields.
    pub(super) fn reserve(self: &Arc<Self>, info: Option<&ConnectionInfo>) -> Option<Place> {
        let network = info.map(|info| ClientNetwork::of(info.peer.ip()));
        let place = self.try_reserve(network).or_else(|full| {
            let of_network = network.filter(|_| full == Full::Network);
            let yielding = self.places.oldest_untried(of_network).ok_or(full)?;
            self.stats.yielded.increment();
            yielding.abort(super::CloseReason::TransportClose);
            self.try_reserve(network)
        });
        if place.is_err() {
            self.stats.too_many_connections.increment();
        }
        place.ok()
    }

    fn try_reserve(self: &Arc<Self>, network: Option<ClientNetwork>) -> Result<Place, Full> {
        let config = &self.config;
        if self.is_closing() || !self.stats.sessions.add_below(config.max_connections) {
            return Err(Full::All);
        }
        let limit = config.max_connections_per_network;
        if network.is_some_and(|network| !self.places.take(network, limit)) {
            self.release();
            return Err(Full::Network);
        }
        Ok(Place {
            inner: Arc::clone(self),
            network,
        })
    }

    /// Opens the account of a session that has a place.
    pub(super) fn seat(self: &Arc<Self>, place: Place) -> Result<Seat, BudgetFull> {
        let evictable = Arc::<OnceLock<WeakSocket>>::default();
        let account = match (&self.config.budget, place.network) {
            (Some(budget), Some(network)) => {
                let (inner, session) = (Arc::downgrade(self), Arc::clone(&evictable));
                budget.open(network, SESSION_COST, move || evict(&inner, &session))
            }
            // Without a known network all sessions together would count as one.
            (None, _) | (_, None) => Ok(Account::unlimited()),
        };
        if account.is_err() {
            self.stats.out_of_budget.increment();
        }
        Ok(Seat {
            place,
            account: Arc::new(account?),
            evictable,
        })
    }
}

/// Ends a session that holds too much. That is done elsewhere: its handlers may emit, and so evict
/// another one, whose handlers may emit.
fn evict(inner: &Weak<Inner>, session: &OnceLock<WeakSocket>) {
    let session = session.get().and_then(WeakSocket::upgrade);
    if let (Some(inner), Some(session)) = (inner.upgrade(), session) {
        inner.spawn(async move {
            session.abort(super::CloseReason::SlowConsumer);
        });
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Full {
    All,
    Network,
}

impl Place {
    pub(super) const fn network(&self) -> Option<ClientNetwork> {
        self.network
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(network) = self.network {
            self.inner.places.give_back(network);
        }
        self.inner.release();
    }
}

/// What a session takes by being there, in bytes: its connection, its socket, its timers.
const SESSION_COST: usize = 8 << 10;
