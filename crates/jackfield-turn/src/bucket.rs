use crate::Rate;

/// A token bucket in one number: the time at which it would be full again (GCRA).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Bucket {
    /// In nanoseconds of the server's own time.
    full_at: u64,
}

impl Bucket {
    /// Takes `cost` tokens if they are there.
    pub(crate) fn take(&mut self, now: u64, rate: Rate, cost: u64) -> bool {
        let full_at = self.full_at.max(now).saturating_add(nanos(cost, rate));
        if full_at - now > nanos(rate.burst.into(), rate) {
            return false;
        }
        self.full_at = full_at;
        true
    }

    /// Returns how far from full it is: zero is full.
    pub(crate) fn debt(&self, now: u64) -> u64 {
        self.full_at.saturating_sub(now)
    }
}

/// Returns how long a rate needs for so many tokens.
fn nanos(tokens: u64, rate: Rate) -> u64 {
    let nanos = u128::from(tokens) * 1_000_000_000 / u128::from(rate.per_second.max(1));
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let rate = Rate::new(10, 5);
        let mut bucket = Bucket::default();
        let taken =
            |bucket: &mut Bucket, now| (0..100).filter(|_| bucket.take(now, rate, 1)).count();
        assert_eq!(taken(&mut bucket, 0), 5);
        assert_eq!(taken(&mut bucket, SECOND / 10), 1);
        assert_eq!(taken(&mut bucket, SECOND / 2), 4);
        assert_eq!(taken(&mut bucket, 60 * SECOND), 5);
    }

    #[test]
    fn what_costs_more_than_the_burst_never_passes() {
        let mut bucket = Bucket::default();
        assert!(!bucket.take(0, Rate::new(10, 5), 6));
        assert!(bucket.take(0, Rate::new(10, 5), 5));
    }
}
