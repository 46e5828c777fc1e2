//! A rate limit for each source network, in a table of fixed size.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Instant;

use jackfield_sansio::{ClientNetwork, Rate, Seed, TokenBucket};

/// Token buckets by source network in a table of fixed size.
///
/// A network has eight slots where its bucket may be; when all are taken, the fullest bucket, which
/// limits least, is replaced.
#[derive(Debug)]
pub(crate) struct SourceLimiter {
    rate: Option<Rate>,
    seed: Seed,
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Absent in an empty slot.
    network: Option<ClientNetwork>,
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
        source.to_canonical().is_loopback() || self.take(now, ClientNetwork::of(source))
    }

    /// Takes a token from the bucket of `network` and returns whether there was one.
    pub(crate) fn take(&mut self, now: Instant, network: ClientNetwork) -> bool {
        let Some(rate) = self.rate else {
            return true;
        };
        let ways = self.ways(network);
        let slot = match ways.iter().position(|slot| slot.network == Some(network)) {
            Some(index) => ways.get_mut(index),
            None => {
                let fullest = ways
                    .iter_mut()
                    .min_by_key(|slot| slot.bucket.missing(now, rate));
                fullest.map(|slot| {
                    *slot = Slot {
                        network: Some(network),
                        bucket: TokenBucket::default(),
                    };
                    slot
                })
            }
        };
        slot.is_none_or(|slot| slot.bucket.take(now, rate, 1))
    }

    /// Returns whether `network` has no token left.
    pub(crate) fn is_empty(&mut self, now: Instant, network: ClientNetwork) -> bool {
        let Some(rate) = self.rate else {
            return false;
        };
        let slot = self
            .ways(network)
            .iter()
            .find(|slot| slot.network == Some(network));
        // A copy shows it, and keeps the token.
        slot.is_some_and(|slot| !slot.bucket.clone().take(now, rate, 1))
    }

    /// Returns the slots where the bucket of `network` may be.
    fn ways(&mut self, network: ClientNetwork) -> &mut [Slot] {
        let sets = (self.slots.len() / WAYS).max(1);
        let set = (self.seed.hash_one(network) as usize) % sets;
        self.slots
            .get_mut(set * WAYS..(set + 1) * WAYS)
            .unwrap_or_default()
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
    fn a_network_shares_one_bucket_and_its_neighbour_has_another() {
        let now = epoch();
        let mut limiter = limiter(64);
        let passed = (1..=9u8)
            .filter(|host| limiter.allows(now, IpAddr::from([203, 0, 113, *host])))
            .count();
        assert_eq!(passed, 3);
        assert!(limiter.allows(now, IpAddr::from([203, 0, 114, 1])));
        let passed = (1..=9u8)
            .filter(|host| limiter.allows(now, format!("2001:db8::{host}").parse().unwrap()))
            .count();
        assert_eq!(passed, 3);
        assert!(limiter.allows(now, "2001:db8:0:1::1".parse().unwrap()));
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
