//! Deadlines by key.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Deadlines by key: at most one a key, expired in order of time and, at the same instant, of key.
#[derive(Debug, Clone)]
pub struct Timers<K> {
    /// Every deadline, soonest first.
    queue: BTreeSet<(Instant, K)>,
    /// The deadline of each key, so that a new one replaces it.
    deadlines: BTreeMap<K, Instant>,
}

impl<K: Ord + Clone> Timers<K> {
    /// Returns no deadlines.
    #[must_use]
    pub fn new() -> Self {
        Self {
            queue: BTreeSet::new(),
            deadlines: BTreeMap::new(),
        }
    }

    /// Sets the deadline of `key`, in place of an earlier one.
    pub fn set(&mut self, key: K, deadline: Instant) {
        self.cancel(&key);
        self.deadlines.insert(key.clone(), deadline);
        self.queue.insert((deadline, key));
    }

    /// Forgets the deadline of `key`; returns it if there was one.
    pub fn cancel(&mut self, key: &K) -> Option<Instant> {
        let (key, deadline) = self.deadlines.remove_entry(key)?;
        self.queue.remove(&(deadline, key));
        Some(deadline)
    }

    /// Returns the deadline of `key`.
    pub fn deadline(&self, key: &K) -> Option<Instant> {
        self.deadlines.get(key).copied()
    }

    /// Returns the soonest deadline.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(deadline, _)| *deadline)
    }

    /// Takes one key whose deadline is `now` or earlier; call it until it returns `None`.
    pub fn expire(&mut self, now: Instant) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        let (_, key) = self.queue.pop_first()?;
        self.deadlines.remove(&key);
        Some(key)
    }

    /// Returns how many deadlines are set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Returns whether no deadline is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

impl<K: Ord + Clone> Default for Timers<K> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_testing::epoch;
    use std::time::Duration;

    #[test]
    fn deadlines_expire_in_order_of_time_then_key() {
        let start = epoch();
        let mut timers = Timers::new();
        timers.set('c', start + Duration::from_secs(1));
        timers.set('b', start + Duration::from_secs(2));
        timers.set('a', start + Duration::from_secs(2));
        let mut expired = Vec::new();
        while let Some(key) = timers.expire(start + Duration::from_secs(2)) {
            expired.push(key);
        }
        assert_eq!(expired, ['c', 'a', 'b']);
    }

    #[test]
    fn a_cancelled_deadline_never_expires() {
        let start = epoch();
        let mut timers = Timers::new();
        timers.set('a', start);
        assert_eq!(timers.cancel(&'a'), Some(start));
        assert_eq!(timers.cancel(&'a'), None);
        assert_eq!(timers.expire(start + Duration::from_secs(9)), None);
        assert!(timers.is_empty());
    }
}
