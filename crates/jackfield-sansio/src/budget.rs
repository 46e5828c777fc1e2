//! Memory that waits for others, counted in one place.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ClientNetwork;

/// How much memory may wait, in all and for the clients of one [`ClientNetwork`].
///
/// Everything that waits for somebody is charged to the [`Account`] of the connection that it waits
/// for, with what it costs: an item holds its bytes and its place in a queue. Limits of single
/// queues bound one connection; a budget bounds all of them together, however many there are.
///
/// Where a network holds more than its share, the account in it that holds most is evicted: its
/// connection has to end. Where all together hold too much, that happens to the network that holds
/// most. So a client that takes much never costs a client of another network its place.
///
/// Clones are the same budget.
///
/// ```
/// use jackfield_sansio::{Budget, BudgetLimits, ClientNetwork};
///
/// let budget = Budget::new(BudgetLimits { total: 1 << 20, per_network: 256 << 10 });
/// let network = ClientNetwork::of("192.0.2.1".parse().expect("an address"));
/// let account = budget.open(network, 4096, || println!("end the connection"))?;
/// account.add(300 << 10);
/// account.settle(); // prints: the network's share is 256 KiB
/// assert!(account.is_evicted());
/// # Ok::<(), jackfield_sansio::BudgetFull>(())
/// ```
#[derive(Debug, Clone)]
pub struct Budget(Arc<Shared>);

/// The limits of a [`Budget`], in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetLimits {
    /// What all accounts may hold together.
    pub total: usize,
    /// What the accounts of one network may hold together.
    pub per_network: usize,
}

/// What a [`Budget`] has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetStats {
    /// Bytes that are held, as far as they are settled.
    pub held: usize,
    /// Accounts that are open.
    pub accounts: usize,
    /// Accounts that were evicted.
    pub evicted: u64,
    /// Accounts that were not opened.
    pub refused: u64,
}

/// There is no room for another account of this network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetFull;

impl fmt::Display for BudgetFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the memory for the connections of this network is used up")
    }
}

impl std::error::Error for BudgetFull {}

/// What one connection holds; dropping it gives everything back.
///
/// [`add`](Self::add) and [`remove`](Self::remove) are cheap and may be called under any lock.
/// [`settle`](Self::settle) carries the sum over into the books of the budget, in steps of
/// [`STEP`](Self::STEP) bytes, and ends connections where that is too much.
#[derive(Debug)]
pub struct Account {
    entry: Arc<Entry>,
    budget: Option<Budget>,
    key: Key,
}

/// A part of what an [`Account`] holds; dropping it gives the part back.
#[derive(Debug)]
pub struct Charge {
    account: Arc<Account>,
    bytes: usize,
}

type Key = (ClientNetwork, u64);

#[derive(Debug)]
struct Shared {
    limits: BudgetLimits,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    held: usize,
    networks: BTreeMap<ClientNetwork, Network>,
    next: u64,
    accounts: usize,
    evicted: u64,
    refused: u64,
}

#[derive(Debug, Default)]
struct Network {
    held: usize,
    accounts: BTreeMap<u64, Arc<Entry>>,
}

struct Entry {
    held: AtomicUsize,
    /// What the books have of it; changed with the books locked.
    settled: AtomicUsize,
    is_evicted: AtomicBool,
    evict: Box<dyn Fn() + Send + Sync>,
}

impl Budget {
    /// Makes a budget of which nothing is used.
    #[must_use]
    pub fn new(limits: BudgetLimits) -> Self {
        Self(Arc::new(Shared {
            limits,
            books: Mutex::default(),
        }))
    }

    /// Returns the limits.
    #[must_use]
    pub fn limits(&self) -> BudgetLimits {
        self.0.limits
    }

    /// Returns what was counted so far.
    #[must_use]
    pub fn stats(&self) -> BudgetStats {
        let books = self.books();
        BudgetStats {
            held: books.held,
            accounts: books.accounts,
            evicted: books.evicted,
            refused: books.refused,
        }
    }

    /// Opens the account of a connection that costs `base` bytes by being there. `evict` is called
    /// at most once, by [`settle`](Account::settle) of this or of another account, when the
    /// connection has to end.
    ///
    /// Where there is no room, a connection that holds much more yields to it.
    ///
    /// # Errors
    /// Fails when neither the network nor, if it is the process that is full, the network that
    /// holds most has an account that would be worth its end: connections that hold no more than
    /// this one stay.
    pub fn open(
        &self,
        network: ClientNetwork,
        base: usize,
        evict: impl Fn() + Send + Sync + 'static,
    ) -> Result<Account, BudgetFull> {
        let mut books = self.books();
        let limits = self.0.limits;
        if !books.have_room(limits, network, base) {
            books.refused += 1;
            return Err(BudgetFull);
        }
        let entry = Arc::new(Entry {
            held: AtomicUsize::new(base),
            settled: AtomicUsize::new(base),
            is_evicted: AtomicBool::new(false),
            evict: Box::new(evict),
        });
        let number = books.next;
        books.next += 1;
        books.held += base;
        books.accounts += 1;
        let of_network = books.networks.entry(network).or_default();
        of_network.held += base;
        of_network.accounts.insert(number, Arc::clone(&entry));
        let evicted = books.evict_down_to(limits, network);
        drop(books);
        end(&evicted);
        Ok(Account {
            entry,
            budget: Some(self.clone()),
            key: (network, number),
        })
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    /// Returns the network that holds most, and how much.
    fn worst(&self) -> Option<(ClientNetwork, usize)> {
        let networks = self.networks.iter().map(|(key, it)| (*key, it.held));
        networks.max_by_key(|(_, held)| *held)
    }

    /// Returns whether a connection of `network` may come, though others may have to end for it.
    fn have_room(&self, limits: BudgetLimits, network: ClientNetwork, base: usize) -> bool {
        let own = self.networks.get(&network).map_or(0, |it| it.held) + base;
        let is_worth_it = |network| {
            let biggest = self.biggest_of(network);
            biggest.is_some_and(|(_, it)| it.settled.load(Ordering::Relaxed) >= WORTH * base)
        };
        if own > limits.per_network {
            return is_worth_it(network);
        }
        let worst = self.worst().filter(|_| self.held + base > limits.total);
        worst.is_none_or(|(worst, held)| held > own || is_worth_it(worst))
    }

    /// Takes accounts out until `changed` and all together are within their limits; returns them.
    fn evict_down_to(&mut self, limits: BudgetLimits, changed: ClientNetwork) -> Vec<Arc<Entry>> {
        let mut evicted = Vec::new();
        loop {
            let of_network = self.networks.get(&changed).map_or(0, |it| it.held);
            let victim = if of_network > limits.per_network {
                self.biggest_of(changed)
            } else if self.held > limits.total {
                self.worst()
                    .and_then(|(network, _)| self.biggest_of(network))
            } else {
                None
            };
            let Some((network, entry)) = victim else {
                return evicted;
            };
            // It is on its way out, so what it holds counts no more: else others would follow it.
            entry.is_evicted.store(true, Ordering::Release);
            self.settle(network, &entry, 0);
            self.evicted += 1;
            evicted.push(entry);
        }
    }

    fn biggest_of(&self, network: ClientNetwork) -> Option<(ClientNetwork, Arc<Entry>)> {
        let accounts = self.networks.get(&network)?.accounts.values();
        let biggest = accounts
            .filter(|it| !it.is_evicted.load(Ordering::Acquire))
            .max_by_key(|it| it.settled.load(Ordering::Relaxed))?;
        Some((network, Arc::clone(biggest)))
    }

    fn settle(&mut self, network: ClientNetwork, entry: &Entry, held: usize) {
        let before = entry.settled.swap(held, Ordering::Relaxed);
        self.held = self.held + held - before;
        if let Some(of_network) = self.networks.get_mut(&network) {
            of_network.held = of_network.held + held - before;
        }
    }
}

impl Account {
    /// What an account may hold beyond what the books have of it, in bytes.
    pub const STEP: usize = 16 << 10;

    /// Returns an account that belongs to no budget.
    #[must_use]
    pub fn unlimited() -> Self {
        Self {
            entry: Arc::new(Entry {
                held: AtomicUsize::new(0),
                settled: AtomicUsize::new(0),
                is_evicted: AtomicBool::new(false),
                evict: Box::new(|| ()),
            }),
            budget: None,
            key: (ClientNetwork::of([0, 0, 0, 0].into()), 0),
        }
    }

    /// Charges bytes that begin to wait.
    pub fn add(&self, bytes: usize) {
        self.entry.held.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives back bytes that do not wait any more.
    pub fn remove(&self, bytes: usize) {
        self.entry.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Returns how many bytes are charged.
    #[must_use]
    pub fn held(&self) -> usize {
        self.entry.held.load(Ordering::Relaxed)
    }

    /// Returns whether the connection has to end.
    #[must_use]
    pub fn is_evicted(&self) -> bool {
        self.entry.is_evicted.load(Ordering::Acquire)
    }

    /// Returns whether [`settle`](Self::settle) has something to do.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        let settled = self.entry.settled.load(Ordering::Relaxed);
        self.budget.is_some() && self.held().abs_diff(settled) >= Self::STEP && !self.is_evicted()
    }

    /// Carries what is charged over into the budget's books if that differs much, and evicts where
    /// it is too much. Call it after [`add`](Self::add) and [`remove`](Self::remove), without a
    /// lock that an eviction takes: it may end this connection and others.
    pub fn settle(&self) {
        let Some(budget) = &self.budget else {
            return;
        };
        if !self.is_unsettled() {
            return;
        }
        let mut books = budget.books();
        // Another thread may have settled or evicted in the meantime.
        if self.is_evicted() {
            return;
        }
        books.settle(self.key.0, &self.entry, self.held());
        let evicted = books.evict_down_to(budget.0.limits, self.key.0);
        drop(books);
        end(&evicted);
    }
}

impl Charge {
    /// Returns a charge of nothing.
    #[must_use]
    pub fn new(account: &Arc<Account>) -> Self {
        Self {
            account: Arc::clone(account),
            bytes: 0,
        }
    }

    /// Charges `bytes` in place of what was charged before, and settles the account.
    pub fn set(&mut self, bytes: usize) {
        self.account.add(bytes.saturating_sub(self.bytes));
        self.account.remove(self.bytes.saturating_sub(bytes));
        self.bytes = bytes;
        self.account.settle();
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let Some(budget) = &self.budget else {
            return;
        };
        let (network, number) = self.key;
        let mut books = budget.books();
        books.settle(network, &self.entry, 0);
        books.accounts -= 1;
        if let Some(of_network) = books.networks.get_mut(&network) {
            of_network.accounts.remove(&number);
            if of_network.accounts.is_empty() {
                books.networks.remove(&network);
            }
        }
    }
}

/// An account that holds so many times what a newcomer takes yields to one of its own network.
const WORTH: usize = 4;

fn end(evicted: &[Arc<Entry>]) {
    for entry in evicted {
        (entry.evict)();
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("held", &self.held)
            .field("settled", &self.settled)
            .field("is_evicted", &self.is_evicted)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;

    #[test]
    fn a_network_that_holds_too_much_loses_its_biggest_account_and_no_other_network_does() {
        let budget = budget(1000, 250);
        let honest = open(&budget, "198.51.100.1");
        honest.hold(240);
        let small = open(&budget, "192.0.2.1");
        let big = open(&budget, "192.0.2.2");
        small.hold(100);
        big.hold(140);
        assert!(!small.ended() && !big.ended());
        // The one that goes over is not the one that holds most.
        small.hold(20);
        assert!(!small.ended() && big.ended() && !honest.ended());
        assert_eq!(budget.stats().evicted, 1);
        // What the evicted one still holds is not counted, and never evicts a second one.
        big.hold(500);
        assert!(!small.ended());
        assert_eq!(budget.stats().held, (240 + 120 + 2) * KIB);
    }

    #[test]
    fn where_all_hold_too_much_the_worst_network_pays() {
        let budget = budget(1000, 400);
        let tests: Vec<_> = (0..3)
            .map(|n| open(&budget, &format!("192.0.{n}.1")))
            .collect();
        for (number, account) in tests.iter().enumerate() {
            account.hold(300 + 10 * number);
        }
        let newcomer = open(&budget, "203.0.113.1");
        newcomer.hold(80);
        assert_eq!(
            tests.iter().map(Ended::ended).collect::<Vec<_>>(),
            [false, false, true]
        );
        assert!(!newcomer.ended());
    }

    #[test]
    fn a_newcomer_is_refused_by_its_own_network_and_never_by_others() {
        let budget = budget(1000, 250);
        let crowd: Vec<_> = (0..4)
            .map(|n| {
                let account = open(&budget, &format!("192.0.{n}.1"));
                account.hold(249);
                account
            })
            .collect();
        let refused = try_open(&budget, "192.0.0.2", 100);
        assert!(
            refused.is_err(),
            "its network is full of what is not bigger"
        );
        assert_eq!(budget.stats().refused, 1);
        // The process is full as well, and another network holds more.
        let newcomer = try_open(&budget, "203.0.113.1", 8).unwrap();
        assert!(!newcomer.ended());
        assert_eq!(crowd.iter().filter(|account| account.ended()).count(), 1);
    }

    #[test]
    fn a_connection_that_holds_much_yields_to_a_newcomer_of_its_network() {
        let budget = budget(1000, 250);
        let greedy = open(&budget, "192.0.2.1");
        greedy.hold(249);
        let newcomer = try_open(&budget, "192.0.2.2", 8).unwrap();
        assert!(greedy.ended() && !newcomer.ended());
    }

    #[test]
    fn what_is_dropped_is_given_back() {
        let budget = budget(1000, 250);
        let account = open(&budget, "192.0.2.1");
        account.hold(100);
        assert_eq!(budget.stats().held, 101 * KIB);
        account.account.remove(90 * KIB);
        account.account.settle();
        assert_eq!(budget.stats().held, 11 * KIB);
        drop(account);
        assert_eq!(budget.stats(), BudgetStats::default());
        assert!(budget.books().networks.is_empty());
    }

    #[test]
    fn a_charge_stands_for_what_it_was_set_to_last() {
        let budget = budget(1000, 250);
        let network = ClientNetwork::of([192, 0, 2, 1].into());
        let account = Arc::new(budget.open(network, KIB, || ()).unwrap());
        let mut charge = Charge::new(&account);
        for kib in [100, 40, 70] {
            charge.set(kib * KIB);
            assert_eq!(account.held(), (1 + kib) * KIB);
            assert_eq!(budget.stats().held, (1 + kib) * KIB);
        }
        drop(charge);
        assert_eq!(account.held(), KIB);
    }

    #[test]
    fn small_changes_do_not_touch_the_books() {
        let budget = budget(1000, 250);
        let account = open(&budget, "192.0.2.1");
        account.account.add(Account::STEP - 1);
        account.account.settle();
        assert_eq!(budget.stats().held, KIB);
        account.account.add(1);
        account.account.settle();
        assert_eq!(budget.stats().held, KIB + Account::STEP);
    }

    #[test]
    fn an_account_of_no_budget_is_never_evicted() {
        let account = Account::unlimited();
        account.add(usize::MAX / 2);
        account.settle();
        assert!(!account.is_evicted());
    }

    #[test]
    fn the_books_are_right_after_many_threads() {
        let budget = budget(100_000, 100_000);
        std::thread::scope(|scope| {
            for number in 0..4 {
                let budget = &budget;
                scope.spawn(move || {
                    for round in 0..500 {
                        let account = open(budget, &format!("192.0.{number}.1"));
                        account.hold(round % 90);
                        account.account.remove(round % 90 * KIB);
                        account.account.settle();
                    }
                });
            }
        });
        assert_eq!(budget.stats(), BudgetStats::default());
    }

    struct Ended {
        account: Account,
        ended: Arc<AtomicBool>,
    }

    impl Ended {
        fn hold(&self, kib: usize) {
            self.account.add(kib * KIB);
            self.account.settle();
        }

        fn ended(&self) -> bool {
            let ended = self.ended.load(Ordering::Relaxed);
            assert_eq!(ended, self.account.is_evicted());
            ended
        }
    }

    fn budget(total: usize, per_network: usize) -> Budget {
        Budget::new(BudgetLimits {
            total: total * KIB,
            per_network: per_network * KIB,
        })
    }

    fn open(budget: &Budget, address: &str) -> Ended {
        try_open(budget, address, 1).unwrap()
    }

    fn try_open(budget: &Budget, address: &str, kib: usize) -> Result<Ended, BudgetFull> {
        let ended = Arc::<AtomicBool>::default();
        let by_budget = Arc::clone(&ended);
        let network = ClientNetwork::of(address.parse().unwrap());
        let account = budget.open(network, kib * KIB, move || {
            assert!(!by_budget.swap(true, Ordering::Relaxed), "evicted twice");
        })?;
        Ok(Ended { account, ended })
    }
}
