//! How many handshakes one address may make.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;
use std::time::Instant;

use jackfield_sansio::{Rate, RateLimiter};

use crate::sync::lock;

/// A token bucket for each address.
#[derive(Debug)]
pub(super) struct Rates {
    limiter: Mutex<RateLimiter<IpAddr>>,
}

impl Rates {
    pub(super) fn new() -> Self {
        Self {
            limiter: Mutex::new(RateLimiter::new(MAX_ADDRESSES)),
        }
    }

    /// Takes a token for `address` and returns whether there was one.
    pub(super) fn allow(&self, now: Instant, address: IpAddr, rate: Rate) -> bool {
        lock(&self.limiter).take(now, network(address), rate)
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

/// How many addresses have a bucket; above that, new ones are refused until buckets are full
/// again.
const MAX_ADDRESSES: usize = 65_536;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_address_has_its_burst_and_then_its_rate() {
        let rates = Rates::new();
        let rate = Rate::new(1, 2);
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
