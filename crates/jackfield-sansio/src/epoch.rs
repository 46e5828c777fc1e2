//! Calendar time, from monotonic time.

use std::time::{Duration, Instant};

/// Ties a core's monotonic time to calendar time, so that a core can judge expiry stamps without
/// reading a clock.
///
/// A driver makes one from its two clocks when it starts a core, and a new one when the wall clock
/// was stepped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    instant: Instant,
    unix: Duration,
}

impl Epoch {
    /// Says that `instant` was `unix` after 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn new(instant: Instant, unix: Duration) -> Self {
        Self { instant, unix }
    }

    /// Returns the time since 1970-01-01T00:00:00Z at `now`; saturates at zero.
    #[must_use]
    pub fn unix(&self, now: Instant) -> Duration {
        match now.checked_duration_since(self.instant) {
            Some(later) => self.unix.saturating_add(later),
            None => self
                .unix
                .saturating_sub(self.instant.saturating_duration_since(now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_testing::epoch;

    #[test]
    fn calendar_time_advances_with_the_monotonic_clock_both_ways() {
        let start = epoch() + Duration::from_secs(100);
        let epoch = Epoch::new(start, Duration::from_secs(1_000));
        let later = start + Duration::from_secs(5);
        let earlier = start - Duration::from_secs(5);
        assert_eq!(epoch.unix(later), Duration::from_secs(1_005));
        assert_eq!(epoch.unix(earlier), Duration::from_secs(995));
    }
}
