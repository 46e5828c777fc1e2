//! A rate limit for each source network, in a table of fixed size.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Instant;

use jackfield_sansio::{Rate, Seed, TokenBucket};

/// Token buckets by source prefix (/24 or /56) in a table of fixed size.
///
/// A prefix has eight slots where its bucket may be; when all are taken, the fullest bucket, which
/// limits least, is replaced.
#[derive(Debug)]
pub(crate) struct SourceLimiter {
    rate: Option<Rate>,
    seed: Seed,
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// What `prefix` returns; zero, which it never is, marks an empty slot.
    prefix: u64,
    bucket: TokenBucket,
}

impl SourceLimiter {
    pub(crate) fn new(rate: Option<Rate>, sources: usize, seed: Seed) -> Self {
        let sets = sources.div_ceil(WAYS).max(1);
        Self {
            rate,
            seed,
            slots: vec![Slot::default(); if rate.is_some() { sets * WAYS } else { 0 }],
        }
    }

    /// Returns whether one more answer may go to `source`. Loopback always may.
    pub(crate) fn allows(&mut self, now: Instant, source: IpAddr) -> bool {
        let Some(rate) = self.rate else {
            return true;
        };
        let source = source.to_canonical();
        if source.is_loopback() {
            return true;
        }
        let prefix = prefix(source);
        let sets = (self.slots.len() / WAYS).max(1);
        let set = (self.seed.hash_one(prefix) as usize) % sets;
        let Some(ways) = self.slots.get_mut(set * WAYS..(set + 1) * WAYS) else {
            return true;
        };
        let slot = match ways.iter().position(|slot| slot.prefix == prefix) {
            Some(index) => ways.get_mut(index),
            None => {
                let fullest = ways
                    .iter_mut()
                    .min_by_key(|slot| slot.bucket.missing(now, rate));
                fullest.map(|slot| {
                    *slot = Slot {
                        prefix,
                        bucket: TokenBucket::default(),
                    };
                    slot
                })
            }
        };
        slot.is_none_or(|slot| slot.bucket.take(now, rate, 1))
    }
}

/// Returns the /24 or /56 as a number that is never zero.
fn prefix(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(ip) => u64::from(u32::from(ip) >> 8) + 1,
        IpAddr::V6(ip) => ((u128::from(ip) >> 72) as u64) | 1 << 63,
    }
}

const WAYS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_testing::epoch;

    fn limiter(sources: usize) -> SourceLimiter {
        SourceLimiter::new(Some(Rate::new(1, 3)), sources, Seed::new([1, 2]))
    }

    #[test]
    fn a_prefix_shares_one_bucket_and_its_neighbour_has_another() {
        let now = epoch();
        let mut limiter = limiter(64);
        let passed = (1..=9u8)
            .filter(|host| limiter.allows(now, IpAddr::from([203, 0, 113, *host])))
            .count();
        assert_eq!(passed, 3);
        assert!(limiter.allows(now, IpAddr::from([203, 0, 114, 1])));
        let passed = (1..=9u8)
            .filter(|subnet| {
                limiter.allows(now, format!("2001:db8:0:{subnet:02x}::1").parse().unwrap())
            })
            .count();
        assert_eq!(passed, 3);
        assert!(limiter.allows(now, "2001:db8:0:100::1".parse().unwrap()));
    }

    #[test]
    fn loopback_is_never_limited() {
        let now = epoch();
        let mut limiter = limiter(64);
        assert!((0..9).all(|_| limiter.allows(now, "::ffff:127.0.0.1".parse().unwrap())));
    }

    #[test]
    fn a_flood_of_sources_does_not_free_the_one_that_is_limited() {
        let now = epoch();
        let mut limiter = limiter(8);
        let source = IpAddr::from([203, 0, 113, 1]);
        while limiter.allows(now, source) {}
        for network in 0..=255u8 {
            limiter.allows(now, IpAddr::from([198, 51, network, 1]));
        }
        assert!(!limiter.allows(now, source));
        assert_eq!(limiter.slots.len(), 8);
    }
}
