//! What the shards of a process share.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jackfield_sansio::ClientNetwork;

use crate::guesses::Guesses;
use crate::shared_bucket::SharedBucket;
use crate::{Limit, ServerLimits};

/// What all shards of a process share: which relayed addresses live, who has how many allocations
/// and how much its network relays, and which ports are reserved. A packet needs it only when its
/// peer is an address of this machine, and once in many for its network's rate.
#[derive(Default)]
pub struct Registry {
    /// The ports of each address that relay sockets were ever bound to; entries are never removed.
    ports: RwLock<BTreeMap<IpAddr, Arc<Ports>>>,
    accounts: Mutex<Accounts>,
    /// Made by the first server, which has a seed for it.
    guesses: OnceLock<Mutex<Guesses>>,
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

    /// Counts one more allocation of `user` from `network`, if the quotas allow it. Returns the
    /// bucket of bytes that all allocations of the network take from.
    pub(crate) fn admit(
        &self,
        now: Instant,
        user: &str,
        network: ClientNetwork,
        limits: &ServerLimits,
    ) -> Result<Arc<SharedBucket>, Limit> {
        let mut accounts = self.accounts();
        if accounts.total >= limits.allocations {
            return Err(Limit::Allocations);
        }
        let of_user = accounts.users.get(user).copied().unwrap_or(0);
        if of_user >= limits.allocations_per_user {
            return Err(Limit::AllocationsPerUser);
        }
        accounts.sweep_networks(now);
        let of_network = accounts.networks.entry(network);
        let of_network = of_network.or_insert_with(|| NetworkAccount {
            allocations: 0,
            bytes: Arc::new(SharedBucket::new(now)),
        });
        if of_network.allocations >= limits.allocations_per_network {
            return Err(Limit::AllocationsPerNetwork);
        }
        of_network.allocations += 1;
        let bytes = Arc::clone(&of_network.bytes);
        accounts.total += 1;
        accounts.users.insert(user.into(), of_user + 1);
        Ok(bytes)
    }

    /// Counts one allocation of `user` from `network` less.
    pub(crate) fn dismiss(&self, user: &str, network: ClientNetwork) {
        let mut accounts = self.accounts();
        accounts.total = accounts.total.saturating_sub(1);
        // The account stays until its bucket is full again: an allocation made anew would
        // otherwise begin with a full one.
        if let Some(account) = accounts.networks.get_mut(&network) {
            account.allocations = account.allocations.saturating_sub(1);
        }
        if let Some(count) = accounts.users.get_mut(user) {
            *count -= 1;
            // Time-limited names are new each time and would pile up.
            if *count == 0 {
                accounts.users.remove(user);
            }
        }
    }

    /// Keeps the claimed address for the user who shows `token` before it expires.
    pub(crate) fn reserve(
        &self,
        token: [u8; 8],
        reservation: Reservation,
        now: Instant,
        limits: &ServerLimits,
    ) -> Result<(), Limit> {
        self.expire_reservations(now);
        let mut accounts = self.accounts();
        let all = accounts.reservations.values();
        let of_network = all.filter(|known| known.network == reservation.network);
        if of_network.count() >= limits.reservations_per_network {
            return Err(Limit::ReservationsPerNetwork);
        }
        // A token that is taken is as good as no room: the client asks again.
        if accounts.reservations.len() >= limits.reservations
            || accounts.reservations.contains_key(&token)
        {
            return Err(Limit::Reservations);
        }
        accounts.reservations.insert(token, reservation);
        Ok(())
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

    /// Has wrong passwords counted from here on, unless they are already.
    pub(crate) fn count_guesses(&self, guesses: Guesses) {
        self.guesses.get_or_init(|| Mutex::new(guesses));
    }

    /// Returns the count of wrong passwords, once there is one.
    pub(crate) fn guesses(&self) -> Option<MutexGuard<'_, Guesses>> {
        let guesses = self.guesses.get()?;
        Some(guesses.lock().unwrap_or_else(PoisonError::into_inner))
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
    /// The network of the client that reserved it.
    pub(crate) network: ClientNetwork,
    pub(crate) expires: Instant,
}

/// What is looked at only when allocations begin and end.
#[derive(Default)]
struct Accounts {
    total: u32,
    users: BTreeMap<Box<str>, u32>,
    networks: BTreeMap<ClientNetwork, NetworkAccount>,
    /// When networks without allocations were last looked for.
    swept_at: Option<Instant>,
    reservations: BTreeMap<[u8; 8], Reservation>,
}

impl Accounts {
    /// Forgets networks that have no allocation and have not used their rate.
    fn sweep_networks(&mut self, now: Instant) {
        let is_early = self
            .swept_at
            .is_some_and(|at| now.saturating_duration_since(at) < SWEEP_INTERVAL);
        if !is_early {
            self.swept_at = Some(now);
            self.networks
                .retain(|_, account| account.allocations > 0 || !account.bytes.is_full(now));
        }
    }
}

/// What the allocations of one client network have together.
struct NetworkAccount {
    allocations: u32,
    bytes: Arc<SharedBucket>,
}

/// The least time between two searches for networks without allocations.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

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
    use jackfield_sansio::Rate;
    use jackfield_testing::epoch;

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
    fn quotas_count_users_networks_and_everyone() {
        let now = epoch();
        let registry = Registry::new();
        let limits = ServerLimits {
            allocations: 4,
            allocations_per_user: 2,
            allocations_per_network: 3,
            ..ServerLimits::default()
        };
        let admit = |user, network| registry.admit(now, user, network, &limits).map(|_| ());
        let (home, office) = (network("192.0.2.1"), network("2001:db8::1"));
        assert_eq!(admit("a", home), Ok(()));
        assert_eq!(admit("a", home), Ok(()));
        assert_eq!(admit("a", office), Err(Limit::AllocationsPerUser));
        assert_eq!(admit("b", home), Ok(()));
        assert_eq!(admit("c", home), Err(Limit::AllocationsPerNetwork));
        assert_eq!(admit("c", office), Ok(()));
        assert_eq!(admit("d", office), Err(Limit::Allocations));
        registry.dismiss("a", home);
        assert_eq!(admit("d", home), Ok(()));
        assert_eq!(registry.allocations(), 4);
    }

    #[test]
    fn a_network_keeps_its_bucket_of_bytes_until_it_is_full_again() {
        let now = epoch();
        let registry = Registry::new();
        let limits = ServerLimits::default();
        let rate = Rate::new(10, 100);
        let home = network("192.0.2.1");
        let admit = |now, user| registry.admit(now, user, home, &limits).unwrap();
        assert!(admit(now, "a").take(now, rate, 100));
        registry.dismiss("a", home);
        let later = now + Duration::from_secs(5);
        assert!(!admit(later, "b").take(later, rate, 51));
        registry.dismiss("b", home);
        let much_later = now + Duration::from_secs(60);
        registry
            .admit(much_later, "c", network("198.51.100.1"), &limits)
            .unwrap();
        assert_eq!(registry.accounts().networks.len(), 1);
    }

    #[test]
    fn one_network_reserves_no_more_than_its_part() {
        let now = epoch();
        let registry = Registry::new();
        let limits = ServerLimits {
            reservations: 3,
            reservations_per_network: 2,
            ..ServerLimits::default()
        };
        let reserve = |token: u8, ip| {
            let reservation = Reservation {
                address: SocketAddr::from(([192, 0, 2, 9], 50_000 + u16::from(token))),
                username: "a".into(),
                network: network(ip),
                expires: now + Duration::from_secs(30),
            };
            registry.reserve([token; 8], reservation, now, &limits)
        };
        assert_eq!(reserve(1, "198.51.100.1"), Ok(()));
        assert_eq!(reserve(2, "198.51.100.2"), Ok(()));
        assert_eq!(
            reserve(3, "198.51.100.3"),
            Err(Limit::ReservationsPerNetwork)
        );
        assert_eq!(reserve(3, "203.0.113.1"), Ok(()));
        assert_eq!(reserve(4, "2001:db8::1"), Err(Limit::Reservations));
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
            network: network("198.51.100.1"),
            expires: now + Duration::from_secs(30),
        };
        assert_eq!(registry.reserve([1; 8], reservation, now, &limits), Ok(()));
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

    fn network(ip: &str) -> ClientNetwork {
        ClientNetwork::of(ip.parse().unwrap())
    }
}
