//! A token bucket that all shards share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use jackfield_sansio::Rate;

/// A token bucket that threads take from at once, without a lock. It begins full.
///
/// It keeps the time at which it is full again. A price is rounded up to whole nanoseconds, so that
/// a rate is never passed. A rate of zero lets nothing through.
#[derive(Debug)]
pub(crate) struct SharedBucket {
    made_at: Instant,
    /// In nanoseconds after `made_at`.
    full_at: AtomicU64,
}

impl SharedBucket {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            made_at: now,
            full_at: AtomicU64::new(0),
        }
    }

    /// Takes `cost` tokens and returns whether they were there; if not, none is taken.
    pub(crate) fn take(&self, now: Instant, rate: Rate, cost: u64) -> bool {
        let now = self.nanos(now);
        let (Some(price), Some(burst)) = (price(cost, rate), price(rate.burst.into(), rate)) else {
            return false;
        };
        // Nothing else is published by this number, so no order is needed.
        let taken = self
            .full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
                let full_at = full_at.max(now).saturating_add(price);
                (full_at - now <= burst).then_some(full_at)
            });
        taken.is_ok()
    }

    /// Returns whether nothing is missing, so that the bucket is worth no more than a new one.
    pub(crate) fn is_full(&self, now: Instant) -> bool {
        self.full_at.load(Ordering::Relaxed) <= self.nanos(now)
    }

    fn nanos(&self, now: Instant) -> u64 {
        let age = now.saturating_duration_since(self.made_at).as_nanos();
        u64::try_from(age).unwrap_or(u64::MAX)
    }
}

/// Returns the nanoseconds in which `tokens` are added; `None` for a rate of zero.
fn price(tokens: u64, rate: Rate) -> Option<u64> {
    if rate.per_second == 0 {
        return None;
    }
    let nanos = tokens.saturating_mul(1_000_000_000);
    Some(nanos.div_ceil(rate.per_second.into()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use jackfield_sansio::TokenBucket;
    use jackfield_testing::epoch;
    use proptest::prelude::*;

    proptest! {
        /// Prices of whole nanoseconds leave nothing to round, so both kinds of bucket say the
        /// same.
        #[test]
        fn a_shared_bucket_does_what_a_token_bucket_does(
            nanos_per_token in prop::sample::select(vec![1u32, 2, 40, 1_000, 1_000_000_000]),
            burst in 1..100_000u32,
            steps in prop::collection::vec((0..3_000_000_000u64, 0..120_000u64), 1..60),
        ) {
            let rate = Rate::new(1_000_000_000 / nanos_per_token, burst);
            let (start, mut now) = (epoch(), epoch());
            let (shared, mut own) = (SharedBucket::new(start), TokenBucket::default());
            for (pause, cost) in steps {
                now += Duration::from_nanos(pause);
                prop_assert_eq!(shared.take(now, rate, cost), own.take(now, rate, cost));
                prop_assert_eq!(shared.is_full(now), own.is_full(now, rate));
            }
        }
    }

    #[test]
    fn threads_together_get_no_more_than_the_burst() {
        let (now, rate) = (epoch(), Rate::new(1, 1_000));
        let bucket = SharedBucket::new(now);
        let taken: usize = std::thread::scope(|scope| {
            let take = || (0..1_000).filter(|_| bucket.take(now, rate, 1)).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|it| it.join().unwrap()).sum()
        });
        assert_eq!(taken, 1_000);
    }

    #[test]
    fn a_rate_of_zero_lets_nothing_through() {
        let bucket = SharedBucket::new(epoch());
        assert!(!bucket.take(epoch(), Rate::new(0, 5), 1));
    }
}
