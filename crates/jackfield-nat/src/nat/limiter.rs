use std::hash::BuildHasher;
use std::time::{Duration, Instant};

use super::hosts::host_of;
use super::key::Seeded;
use super::limits::NatLimits;
use crate::Address;

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

/// Lets through so many ICMP errors to everybody, and fewer to each host, so that one who asks for trouble does not
/// keep the others from hearing of theirs.
#[derive(Debug, Clone)]
pub(crate) struct ErrorLimiter {
    all: Limiter,
    /// Hosts share these by a secret hash: bounded however many there are.
    shares: Vec<Limiter>,
    seeded: Seeded,
}

impl ErrorLimiter {
    pub(crate) fn new(seeded: Seeded) -> Self {
        Self {
            all: Limiter::default(),
            shares: vec![Limiter::default(); SHARES],
            seeded,
        }
    }

    pub(crate) fn passes(&mut self, now: Instant, to: Address, limits: &NatLimits) -> bool {
        let number = self.seeded.hash_one(host_of(to)) as usize % SHARES;
        let share = self.shares.get_mut(number);
        share.is_none_or(|share| share.passes(now, limits.errors_per_host))
            && self.all.passes(now, limits.errors_per_second)
    }
}

const SHARES: usize = 256;
