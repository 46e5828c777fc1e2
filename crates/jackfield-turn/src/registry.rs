//! What the shards of a process share.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use crate::ServerLimits;

/// What all shards of a process share: which relayed addresses live, who has how many allocations,
/// and which ports are reserved. A packet needs it only when its peer is an address of this
/// machine.
#[derive(Default)]
pub struct Registry {
    /// The ports of each address that relay sockets were ever bound to; entries are never removed.
    ports: RwLock<BTreeMap<IpAddr, Arc<Ports>>>,
    accounts: Mutex<Accounts>,
}

impl Registry {
    /// Returns an empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns whether a relay socket of this process is bound to `address`.
    pub fn is_live(&self, address: SocketAddr) -> bool {
        let ports = self.ports.read().unwrap_or_else(PoisonError::into_inner);
        ports
            .get(&address.ip())
            .is_some_and(|ports| ports.live.contains(address.port()))
    }

    /// Returns whether relay sockets of this process are, or were, bound to this address.
    pub fn hosts_relays(&self, ip: IpAddr) -> bool {
        self.find(ip).is_some()
    }

    /// Returns how many allocations all shards have together.
    pub fn allocations(&self) -> u32 {
        self.accounts().total
    }

    /// Takes a port for one relay socket, bound or to be bound; returns whether it was free.
    pub(crate) fn claim(&self, address: SocketAddr) -> bool {
        self.ports_of(address.ip()).claimed.insert(address.port())
    }

    /// Says that the socket on a claimed address is bound.
    pub(crate) fn set_live(&self, address: SocketAddr) {
        self.ports_of(address.ip()).live.insert(address.port());
    }

    /// Says that the socket on a claimed address is about to be closed.
    pub(crate) fn set_dead(&self, address: SocketAddr) {
        if let Some(ports) = self.find(address.ip()) {
            ports.live.remove(address.port());
        }
    }

    /// Gives a claimed address back.
    pub(crate) fn release(&self, address: SocketAddr) {
        if let Some(ports) = self.find(address.ip()) {
            ports.live.remove(address.port());
            ports.claimed.remove(address.port());
        }
    }

    /// Counts one more allocation of `user`, if the quotas allow it.
    pub(crate) fn admit(&self, user: &str, limits: &ServerLimits) -> Result<(), QuotaError> {
        let mut accounts = self.accounts();
        if accounts.total >= limits.allocations {
            return Err(QuotaError::Total);
        }
        let count = accounts.users.get(user).copied().unwrap_or(0);
        if count >= limits.allocations_per_user {
            return Err(QuotaError::User);
        }
        accounts.total += 1;
        accounts.users.insert(user.into(), count + 1);
        Ok(())
    }

    /// Counts one allocation of `user` less.
    pub(crate) fn dismiss(&self, user: &str) {
        let mut accounts = self.accounts();
        accounts.total = accounts.total.saturating_sub(1);
        if let Some(count) = accounts.users.get_mut(user) {
            *count -= 1;
            // Time-limited names are new each time and would pile up.
            if *count == 0 {
                accounts.users.remove(user);
            }
        }
    }

    /// Keeps the claimed `address` for the user who shows `token` before `expires`; returns whether
    /// there was room.
    pub(crate) fn reserve(
        &self,
        token: [u8; 8],
        reservation: Reservation,
        now: Instant,
        limits: &ServerLimits,
    ) -> bool {
        self.expire_reservations(now);
        let mut accounts = self.accounts();
        if accounts.reservations.len() >= limits.reservations {
            return false;
        }
        accounts.reservations.insert(token, reservation).is_none()
    }

    /// Takes what is reserved under `token`, if it is this user's and not expired. The address
    /// stays claimed.
    pub(crate) fn redeem(
        &self,
        token: [u8; 8],
        username: &str,
        now: Instant,
    ) -> Option<SocketAddr> {
        self.expire_reservations(now);
        let mut accounts = self.accounts();
        // The name is checked first: a user who guesses a token must not destroy it.
        if &*accounts.reservations.get(&token)?.username != username {
            return None;
        }
        accounts
            .reservations
            .remove(&token)
            .map(|reservation| reservation.address)
    }

    /// Gives back the ports whose reservations ran out; returns when the next one will.
    pub(crate) fn expire_reservations(&self, now: Instant) -> Option<Instant> {
        let mut expired = Vec::new();
        let mut next = None;
        self.accounts().reservations.retain(|_, reservation| {
            let keep = reservation.expires > now;
            if keep {
                next = Some(next.map_or(reservation.expires, |next: Instant| {
                    next.min(reservation.expires)
                }));
            } else {
                expired.push(reservation.address);
            }
            keep
        });
        for address in expired {
            self.release(address);
        }
        next
    }

    fn find(&self, ip: IpAddr) -> Option<Arc<Ports>> {
        self.ports
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&ip)
            .cloned()
    }

    fn ports_of(&self, ip: IpAddr) -> Arc<Ports> {
        if let Some(ports) = self.find(ip) {
            return ports;
        }
        // Another shard may have made the entry since the look.
        let mut ports = self.ports.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(ports.entry(ip).or_default())
    }

    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("allocations", &self.allocations())
            .finish_non_exhaustive()
    }
}

/// A port kept for a later Allocate request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reservation {
    pub(crate) address: SocketAddr,
    pub(crate) username: Arc<str>,
    pub(crate) expires: Instant,
}

/// Which quota is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QuotaError {
    User,
    Total,
}

/// What is looked at only when allocations begin and end.
#[derive(Default)]
struct Accounts {
    total: u32,
    users: BTreeMap<Box<str>, u32>,
    reservations: BTreeMap<[u8; 8], Reservation>,
}

/// The relay ports of one address.
#[derive(Default)]
struct Ports {
    /// Taken, so that no other shard tries them.
    claimed: PortSet,
    /// Bound, so that peers may be reached there.
    live: PortSet,
}

/// A set of ports that threads may use at once.
///
/// A bit a port: 8 KiB for an address, set and read without a lock.
struct PortSet([AtomicU64; 1024]);

impl PortSet {
    fn insert(&self, port: u16) -> bool {
        let (word, bit) = self.at(port);
        word.is_some_and(|word| word.fetch_or(bit, Ordering::AcqRel) & bit == 0)
    }

    fn remove(&self, port: u16) {
        let (word, bit) = self.at(port);
        if let Some(word) = word {
            word.fetch_and(!bit, Ordering::AcqRel);
        }
    }

    fn contains(&self, port: u16) -> bool {
        let (word, bit) = self.at(port);
        word.is_some_and(|word| word.load(Ordering::Acquire) & bit != 0)
    }

    fn at(&self, port: u16) -> (Option<&AtomicU64>, u64) {
        (self.0.get(usize::from(port) / 64), 1 << (port % 64))
    }
}

impl Default for PortSet {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; 1024])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_testing::epoch;
    use std::time::Duration;

    #[test]
    fn a_port_is_claimed_once_and_lives_only_when_bound() {
        let registry = Registry::new();
        let address: SocketAddr = "192.0.2.1:50000".parse().unwrap();
        assert!(registry.claim(address));
        assert!(!registry.claim(address));
        assert!(
            !registry.is_live(address),
            "a claimed port may be another process's"
        );
        registry.set_live(address);
        assert!(registry.is_live(address));
        registry.release(address);
        assert!(!registry.is_live(address));
        assert!(registry.claim(address));
    }

    #[test]
    fn quotas_count_users_and_everyone() {
        let registry = Registry::new();
        let limits = ServerLimits {
            allocations: 3,
            allocations_per_user: 2,
            ..ServerLimits::default()
        };
        assert_eq!(registry.admit("a", &limits), Ok(()));
        assert_eq!(registry.admit("a", &limits), Ok(()));
        assert_eq!(registry.admit("a", &limits), Err(QuotaError::User));
        assert_eq!(registry.admit("b", &limits), Ok(()));
        assert_eq!(registry.admit("c", &limits), Err(QuotaError::Total));
        registry.dismiss("a");
        assert_eq!(registry.admit("c", &limits), Ok(()));
        assert_eq!(registry.allocations(), 3);
    }

    #[test]
    fn a_reservation_is_its_users_and_ends_with_its_time() {
        let now = epoch();
        let registry = Registry::new();
        let limits = ServerLimits::default();
        let address: SocketAddr = "192.0.2.1:50001".parse().unwrap();
        assert!(registry.claim(address));
        let reservation = Reservation {
            address,
            username: "a".into(),
            expires: now + Duration::from_secs(30),
        };
        assert!(registry.reserve([1; 8], reservation, now, &limits));
        assert_eq!(registry.redeem([1; 8], "b", now), None);
        assert_eq!(registry.redeem([2; 8], "a", now), None);
        assert!(!registry.claim(address));
        assert_eq!(
            registry.redeem([1; 8], "a", now + Duration::from_secs(30)),
            None
        );
        assert!(
            registry.claim(address),
            "an expired reservation gives its port back"
        );
    }
}
