//! A token bucket.

use std::time::{Duration, Instant};

/// Lets through a burst, and then so many a second.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    tokens: u32,
    /// The moment up to which `tokens` is right. It moves by whole tokens, so nothing is lost to rounding.
    counted_to: Instant,
}

impl Bucket {
    pub(crate) fn full(now: Instant, burst: u32) -> Self {
        Self {
            tokens: burst,
            counted_to: now,
        }
    }

    /// Takes `cost` tokens and returns whether they were there.
    pub(crate) fn take(&mut self, now: Instant, per_second: u32, burst: u32, cost: u32) -> bool {
        if per_second == 0 {
            return true;
        }
        self.fill(now, per_second, burst);
        match self.tokens.checked_sub(cost) {
            Some(rest) => {
                self.tokens = rest;
                true
            }
            None => false,
        }
    }

    fn fill(&mut self, now: Instant, per_second: u32, burst: u32) {
        let interval = Duration::from_nanos(1_000_000_000 / u64::from(per_second))
            .max(Duration::from_nanos(1));
        let elapsed = now.saturating_duration_since(self.counted_to);
        let earned = elapsed.as_nanos() / interval.as_nanos();
        let missing = u128::from(burst.saturating_sub(self.tokens));
        if earned >= missing {
            self.tokens = burst;
            self.counted_to = self.counted_to.max(now);
        } else {
            // Fewer than `missing`, which is a u32.
            let earned = u32::try_from(earned).unwrap_or(u32::MAX);
            self.tokens += earned;
            self.counted_to += interval * earned;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some moment: only distances matter.
    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some moment to start from"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_burst_passes_and_then_the_steady_rate() {
        let now = start();
        let mut bucket = Bucket::full(now, 3);
        let passed = (0..5).filter(|_| bucket.take(now, 10, 3, 1)).count();
        assert_eq!(passed, 3);
        assert!(!bucket.take(now + Duration::from_millis(99), 10, 3, 1));
        assert!(bucket.take(now + Duration::from_millis(100), 10, 3, 1));
        assert!(!bucket.take(now + Duration::from_millis(199), 10, 3, 1));
        assert!(bucket.take(now + Duration::from_millis(200), 10, 3, 1));
    }

    #[test]
    fn a_long_silence_fills_no_more_than_the_burst() {
        let now = start();
        let mut bucket = Bucket::full(now, 2);
        let later = now + Duration::from_secs(1_000_000);
        let passed = (0..5).filter(|_| bucket.take(later, 10, 2, 1)).count();
        assert_eq!(passed, 2);
    }

    #[test]
    fn a_rate_of_zero_never_stops_anyone() {
        let now = start();
        let mut bucket = Bucket::full(now, 0);
        assert!((0..100).all(|_| bucket.take(now, 0, 0, 5)));
    }
}
