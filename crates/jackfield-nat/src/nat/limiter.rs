use std::time::{Duration, Instant};

/// Lets through so many in a second and no more.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limiter {
    second: Option<Instant>,
    passed: u32,
}

impl Limiter {
    pub(crate) fn passes(&mut self, now: Instant, most: u32) -> bool {
        let fresh = self
            .second
            .is_none_or(|second| now.saturating_duration_since(second) >= Duration::from_secs(1));
        if fresh {
            self.second = Some(now);
            self.passed = 0;
        }
        self.passed += 1;
        self.passed <= most
    }
}
