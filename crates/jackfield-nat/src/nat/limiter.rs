//! How many ICMP errors a NAT sends
//! ([RFC 5508 §7, REQ-10f](https://www.rfc-editor.org/rfc/rfc5508#section-7)).

use std::hash::BuildHasher;
use std::time::Instant;

use jackfield_sansio::{Rate, Seed, TokenBucket};

use super::hosts::host_of;
use super::limits::NatLimits;
use crate::Address;

/// Lets through so many ICMP errors in all, and fewer to each host, so that a host that provokes
/// errors does not keep the others from receiving theirs.
#[derive(Debug, Clone)]
pub(crate) struct ErrorLimiter {
    all: TokenBucket,
    /// Hosts share these by a secret hash, so that their number is bounded however many hosts
    /// there are.
    shares: Vec<TokenBucket>,
    seed: Seed,
}

impl ErrorLimiter {
    pub(crate) fn new(seed: Seed) -> Self {
        Self {
            all: TokenBucket::default(),
            shares: vec![TokenBucket::default(); SHARES],
            seed,
        }
    }

    pub(crate) fn passes(&mut self, now: Instant, to: Address, limits: &NatLimits) -> bool {
        let number = self.seed.hash_one(host_of(to)) as usize % SHARES;
        let host = Rate::per_second(limits.errors_per_host);
        let all = Rate::per_second(limits.errors_per_second);
        let share = self.shares.get_mut(number);
        // The share is asked first, so that a host above its rate takes no token from all.
        share.is_none_or(|share| share.take(now, host, 1)) && self.all.take(now, all, 1)
    }
}

/// How many buckets the hosts share. Two hosts that fall into one bucket share one rate, and lose
/// nothing else.
const SHARES: usize = 256;
