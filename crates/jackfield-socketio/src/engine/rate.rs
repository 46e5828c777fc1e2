//! How many handshakes one network may make.

use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Instant;

use jackfield_sansio::{ClientNetwork, Rate, RateLimiter};

use crate::sync::lock;

/// A token bucket for each network.
#[derive(Debug)]
pub(super) struct Rates {
    limiter: Mutex<RateLimiter<ClientNetwork>>,
}

impl Rates {
    pub(super) fn new() -> Self {
        Self {
            limiter: Mutex::new(RateLimiter::new(MAX_NETWORKS)),
        }
    }

    /// Takes a token for the network of `address` and returns whether there was one.
    pub(super) fn allow(&self, now: Instant, address: IpAddr, rate: Rate) -> bool {
        lock(&self.limiter).take(now, ClientNetwork::of(address), rate)
    }
}

/// How many networks have a bucket; above that, new ones are refused until buckets are full
/// again.
const MAX_NETWORKS: usize = 65_536;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_network_has_its_burst_and_then_its_rate() {
        let rates = Rates::new();
        let rate = Rate::new(1, 2);
        let now = Instant::now();
        let (a, b): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 3, 1].into());
        assert!(rates.allow(now, a, rate));
        assert!(rates.allow(now, a, rate));
        assert!(!rates.allow(now, a, rate));
        assert!(rates.allow(now, b, rate), "each network has its own");
        assert!(rates.allow(now + Duration::from_secs(1), a, rate));
        assert!(!rates.allow(now + Duration::from_secs(1), a, rate));
    }
}
