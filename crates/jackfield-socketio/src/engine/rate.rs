//! How many handshakes one address may make: a token bucket each.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;
use std::time::Instant;

use crate::config::HandshakeRate;
use crate::sync::lock;

/// Addresses that are remembered; above that, those whose bucket is full again are forgotten.
const MAX_ADDRESSES: usize = 65_536;

/// The buckets of all addresses.
#[derive(Debug, Default)]
pub(super) struct Rates {
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    updated: Instant,
}

impl Bucket {
    fn refill(&mut self, now: Instant, rate: HandshakeRate) {
        let gained =
            now.saturating_duration_since(self.updated).as_secs_f64() * f64::from(rate.per_second);
        self.tokens = (self.tokens + gained).min(f64::from(rate.burst));
        self.updated = now;
    }
}

impl Rates {
    /// Takes a token for `address`; false if there is none left.
    pub(super) fn allow(&self, now: Instant, address: IpAddr, rate: HandshakeRate) -> bool {
        let mut buckets = lock(&self.buckets);
        if buckets.len() >= MAX_ADDRESSES {
            buckets.retain(|_, bucket| {
                bucket.refill(now, rate);
                bucket.tokens < f64::from(rate.burst)
            });
            if buckets.len() >= MAX_ADDRESSES {
                return false;
            }
        }
        let bucket = buckets.entry(network(address)).or_insert_with(|| Bucket {
            tokens: f64::from(rate.burst),
            updated: now,
        });
        bucket.refill(now, rate);
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }
}

/// One customer has a whole IPv6 /64.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.into(),
            None => Ipv6Addr::from(u128::from(v6) & !(u128::MAX >> 64)).into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_address_has_its_burst_and_then_its_rate() {
        let rates = Rates::default();
        let rate = HandshakeRate {
            burst: 2,
            per_second: 1,
        };
        let now = Instant::now();
        let (a, b): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        assert!(rates.allow(now, a, rate));
        assert!(rates.allow(now, a, rate));
        assert!(!rates.allow(now, a, rate));
        assert!(rates.allow(now, b, rate), "each address has its own");
        assert!(rates.allow(now + Duration::from_secs(1), a, rate));
        assert!(!rates.allow(now + Duration::from_secs(1), a, rate));
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let a: IpAddr = "2001:db8::1".parse().unwrap();
        let b: IpAddr = "2001:db8::ffff:1".parse().unwrap();
        let c: IpAddr = "2001:db8:0:1::1".parse().unwrap();
        assert_eq!(network(a), network(b));
        assert_ne!(network(a), network(c));
        assert_eq!(
            network("::ffff:192.0.2.1".parse().unwrap()),
            IpAddr::from([192, 0, 2, 1])
        );
    }
}
