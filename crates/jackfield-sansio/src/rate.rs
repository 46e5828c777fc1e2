//! Token buckets: how often something may happen.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How fast a [`TokenBucket`] fills, and how much it holds.
///
/// What a token stands for is the caller's choice: a packet, a byte, an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Tokens that are added each second. Zero adds none, so that nothing passes after the burst.
    pub per_second: u32,
    /// Tokens that a full bucket holds. Zero lets nothing pass.
    pub burst: u32,
}

impl Rate {
    /// Returns a rate of `per_second` tokens that lets up to `burst` of them through at once.
    #[must_use]
    pub const fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second, burst }
    }

    /// Returns a rate of `per_second` tokens, all of which may be taken at once.
    #[must_use]
    pub const fn per_second(per_second: u32) -> Self {
        Self::new(per_second, per_second)
    }
}

/// A token bucket without a clock. It begins full.
///
/// The [`Rate`] is given with each call and not stored: thousands of buckets share one, and a
/// changed configuration holds at once. Arithmetic is exact, so no rate drifts, however small
/// the tokens or the pauses are.
///
/// ```
/// use std::time::{Duration, Instant};
/// use jackfield_sansio::{Rate, TokenBucket};
///
/// # let now = Instant::now();
/// let rate = Rate::new(10, 2); // two at once, then one in 100 ms
/// let mut bucket = TokenBucket::default();
/// assert!(bucket.take(now, rate, 1));
/// assert!(bucket.take(now, rate, 1));
/// assert!(!bucket.take(now, rate, 1));
/// assert!(bucket.take(now + Duration::from_millis(100), rate, 1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenBucket {
    /// What was missing from a full bucket at `counted_at`, in billionths of a token: in a
    /// nanosecond a rate of n tokens a second adds exactly n of them.
    missing: u64,
    /// Absent as long as nothing was taken.
    counted_at: Option<Instant>,
}

impl TokenBucket {
    /// Takes `cost` tokens and returns whether they were there; if not, none is taken.
    ///
    /// A cost above the burst never passes. Time that goes backwards adds nothing.
    #[must_use]
    pub fn take(&mut self, now: Instant, rate: Rate, cost: u64) -> bool {
        let missing = self
            .missing(now, rate)
            .saturating_add(cost.saturating_mul(TOKEN));
        if missing > u64::from(rate.burst) * TOKEN {
            return false;
        }
        self.missing = missing;
        self.counted_at = self.counted_at.max(Some(now));
        true
    }

    /// Returns whether nothing is missing, so that the bucket is worth no more than a new one.
    #[must_use]
    pub fn is_full(&self, now: Instant, rate: Rate) -> bool {
        self.missing(now, rate) == 0
    }

    /// Returns how much is missing from a full bucket, in billionths of a token.
    #[must_use]
    pub fn missing(&self, now: Instant, rate: Rate) -> u64 {
        let Some(counted_at) = self.counted_at else {
            return 0;
        };
        let elapsed = now.saturating_duration_since(counted_at).as_nanos();
        // u64 nanoseconds are 584 years; any rate above zero has filled the bucket before.
        let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
        let added = elapsed.saturating_mul(rate.per_second.into());
        self.missing.saturating_sub(added)
    }
}

/// A token bucket for each key, such as a host's address, for a bounded number of keys.
///
/// Full buckets are forgotten when room is needed. Where all are in use, new keys are refused:
/// forgetting one that is not full would let its owner start afresh.
///
/// ```
/// use std::time::Instant;
/// use jackfield_sansio::{Rate, RateLimiter};
///
/// # let now = Instant::now();
/// let mut limiter = RateLimiter::new(1_000);
/// let rate = Rate::per_second(1);
/// assert!(limiter.take(now, "ann", rate));
/// assert!(!limiter.take(now, "ann", rate));
/// assert!(limiter.take(now, "ben", rate));
/// ```
#[derive(Debug, Clone)]
pub struct RateLimiter<K> {
    buckets: BTreeMap<K, TokenBucket>,
    /// The largest number of buckets.
    capacity: usize,
    /// When full buckets were last looked for.
    swept_at: Option<Instant>,
}

impl<K: Ord> RateLimiter<K> {
    /// Returns a limiter that tells up to `capacity` keys apart.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self {
            buckets: BTreeMap::new(),
            capacity,
            swept_at: None,
        }
    }

    /// Takes a token from the bucket of `key` and returns whether there was one.
    #[must_use]
    pub fn take(&mut self, now: Instant, key: K, rate: Rate) -> bool {
        self.take_many(now, key, rate, 1)
    }

    /// Takes `cost` tokens from the bucket of `key` and returns whether there were as many; none is
    /// taken otherwise.
    #[must_use]
    pub fn take_many(&mut self, now: Instant, key: K, rate: Rate, cost: u64) -> bool {
        if let Some(bucket) = self.buckets.get_mut(&key) {
            return bucket.take(now, rate, cost);
        }
        if self.buckets.len() >= self.capacity {
            self.sweep(now, rate);
            if self.buckets.len() >= self.capacity {
                return false;
            }
        }
        let mut bucket = TokenBucket::default();
        let passes = bucket.take(now, rate, cost);
        self.buckets.insert(key, bucket);
        passes
    }

    /// Returns how many keys have a bucket.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Returns whether no key has a bucket.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    fn sweep(&mut self, now: Instant, rate: Rate) {
        // A flood of new keys would otherwise walk through all buckets with each of them.
        let is_early = self
            .swept_at
            .is_some_and(|at| now.saturating_duration_since(at) < SWEEP_INTERVAL);
        if !is_early {
            self.swept_at = Some(now);
            self.buckets.retain(|_, bucket| !bucket.is_full(now, rate));
        }
    }
}

/// A token, in what [`TokenBucket`] counts.
const TOKEN: u64 = 1_000_000_000;

/// The least time between two searches for full buckets.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_testing::epoch;
    use proptest::prelude::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let (start, rate) = (epoch(), Rate::new(10, 5));
        let mut bucket = TokenBucket::default();
        let mut taken = |millis| {
            let now = start + Duration::from_millis(millis);
            (0..100).filter(|_| bucket.take(now, rate, 1)).count()
        };
        assert_eq!(taken(0), 5);
        assert_eq!(taken(99), 0);
        assert_eq!(taken(100), 1);
        assert_eq!(taken(500), 4);
        assert_eq!(taken(60_000), 5);
    }

    #[test]
    fn a_rate_that_does_not_divide_a_second_does_not_drift() {
        let (start, rate) = (epoch(), Rate::new(3, 1));
        let mut bucket = TokenBucket::default();
        let mut taken = 0;
        for millis in 0..1_000_000 {
            let now = start + Duration::from_millis(millis);
            taken += u32::from(bucket.take(now, rate, 1));
        }
        // One at the start, and then one whenever a third of a second is over, in whole
        // milliseconds.
        assert_eq!(taken, 1 + 999_999 / 334);
        let fast = Rate::new(u32::MAX, 1);
        let mut bucket = TokenBucket::default();
        assert!(bucket.take(start, fast, 1));
        assert!(!bucket.take(start, fast, 1), "no time, no tokens");
        assert!(bucket.take(start + Duration::from_nanos(1), fast, 1));
    }

    #[test]
    fn a_cost_above_the_burst_never_passes_and_takes_nothing() {
        let (start, rate) = (epoch(), Rate::new(10, 5));
        let mut bucket = TokenBucket::default();
        assert!(!bucket.take(start, rate, 6));
        assert!(!bucket.take(start, rate, u64::MAX));
        assert!(bucket.is_full(start, rate));
        assert!(bucket.take(start, rate, 5));
    }

    #[test]
    fn a_rate_of_zero_ends_with_the_burst() {
        let (start, rate) = (epoch(), Rate::new(0, 2));
        let later = start + Duration::from_secs(1 << 40);
        let mut bucket = TokenBucket::default();
        assert!(bucket.take(start, rate, 2));
        assert!(!bucket.take(later, rate, 1));
        assert!(!TokenBucket::default().take(start, Rate::per_second(0), 1));
    }

    #[test]
    fn time_that_goes_backwards_adds_nothing() {
        let (start, rate) = (epoch(), Rate::new(1, 1));
        let mut bucket = TokenBucket::default();
        let second = Duration::from_secs(1);
        assert!(bucket.take(start + second, rate, 1));
        assert!(!bucket.take(start, rate, 1));
        assert!(!bucket.take(start + second, rate, 1));
        assert!(bucket.take(start + second * 2, rate, 1));
    }

    #[test]
    fn each_key_has_a_bucket_of_its_own() {
        let (start, rate) = (epoch(), Rate::new(1, 2));
        let mut limiter = RateLimiter::new(10);
        let passed = (0..5).filter(|_| limiter.take(start, 'a', rate)).count();
        assert_eq!(passed, 2);
        assert!(limiter.take(start, 'b', rate));
        assert!(limiter.take(start + Duration::from_secs(1), 'a', rate));
    }

    #[test]
    fn a_flood_of_keys_neither_frees_a_limited_key_nor_takes_more_room() {
        let (start, rate) = (epoch(), Rate::new(1, 3));
        let mut limiter = RateLimiter::new(8);
        while limiter.take(start, 0, rate) {}
        for key in 1..100 {
            assert_eq!(limiter.take(start, key, rate), key < 8, "{key}");
        }
        assert_eq!(limiter.len(), 8);
        assert!(!limiter.take(start, 0, rate));
        // The seven have their one token back; key 0 misses two still.
        let later = start + Duration::from_secs(1);
        assert!(limiter.take(later, 100, rate));
        assert_eq!(limiter.len(), 2);
        assert!(limiter.take(later, 0, rate));
        assert!(!limiter.take(later, 0, rate));
    }

    proptest! {
        /// The definition of a token bucket, without any state but the history: a cost passes
        /// if no stretch of time that ends with it has seen more than the burst and what was
        /// added in that time.
        #[test]
        fn buckets_follow_their_definition(
            per_second in prop_oneof![0..20u32, 1_000..5_000u32, any::<u32>()],
            burst in prop_oneof![0..20u32, any::<u32>()],
            steps in prop::collection::vec(
                (prop_oneof![Just(0u64), 0..2_000_000_000u64], prop_oneof![0..4u64, 0..1u64 << 32]),
                0..60,
            ),
        ) {
            let rate = Rate::new(per_second, burst);
            let (start, mut nanos) = (epoch(), 0);
            let mut bucket = TokenBucket::default();
            let mut history: Vec<(u64, u64)> = Vec::new();
            for (pause, cost) in steps {
                nanos += pause;
                let mut taken = u128::from(cost);
                let mut passes = cost <= u64::from(burst);
                for (at, earlier) in history.iter().rev() {
                    taken += u128::from(*earlier);
                    let added = u128::from(nanos - at) * u128::from(per_second);
                    passes &= taken * 1_000_000_000 <= u128::from(burst) * 1_000_000_000 + added;
                }
                let now = start + Duration::from_nanos(nanos);
                prop_assert_eq!(bucket.take(now, rate, cost), passes);
                if passes {
                    history.push((nanos, cost));
                }
            }
        }
    }
}
