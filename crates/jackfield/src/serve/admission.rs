//! How many TCP connections there may be, in the process and from one network, and how many TLS
//! handshakes a network may begin.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use jackfield_sansio::{ClientNetwork, Rate, RateLimiter};

use crate::config::ConnectionLimits;

/// Who may connect by TCP: bounds open connections in the process and from one network.
#[derive(Debug)]
pub(super) struct Admission {
    max: usize,
    max_per_network: usize,
    open: Mutex<Open>,
    /// TLS handshakes, which cost a shard as much time as some hundred relayed packets.
    handshake_rate: Option<Rate>,
    handshakes: Mutex<RateLimiter<ClientNetwork>>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_network: HashMap<ClientNetwork, usize>,
    refused: u64,
    accepted: u64,
}

/// A place taken. Dropping it gives the place back, so it goes wherever the socket goes.
#[derive(Debug)]
pub(super) struct Admitted {
    admission: Arc<Admission>,
    network: ClientNetwork,
}

/// What [`Admission`] has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AdmissionCounts {
    /// Connections open at this moment.
    pub(super) open: usize,
    /// Connections ever admitted.
    pub(super) accepted: u64,
    /// Connections ever refused.
    pub(super) refused: u64,
}

impl Admission {
    pub(super) fn new(limits: &ConnectionLimits) -> Self {
        Self {
            max: limits.max,
            max_per_network: limits.max_per_network,
            open: Mutex::default(),
            handshake_rate: limits.tls_handshakes,
            handshakes: Mutex::new(RateLimiter::new(MAX_NETWORKS)),
        }
    }

    /// Returns whether a client may begin a TLS handshake.
    pub(super) fn admits_handshake(&self, now: Instant, ip: IpAddr) -> bool {
        let Some(rate) = self.handshake_rate else {
            return true;
        };
        let mut handshakes = self
            .handshakes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        handshakes.take(now, ClientNetwork::of(ip), rate)
    }

    /// Takes a place for a connection from `ip`, if there is one.
    pub(super) fn admit(self: &Arc<Self>, ip: IpAddr) -> Option<Admitted> {
        let network = ClientNetwork::of(ip);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let from_network = open.by_network.get(&network).copied().unwrap_or_default();
        if open.total >= self.max || from_network >= self.max_per_network {
            open.refused += 1;
            return None;
        }
        open.total += 1;
        open.accepted += 1;
        open.by_network.insert(network, from_network + 1);
        Some(Admitted {
            admission: Arc::clone(self),
            network,
        })
    }

    pub(super) fn counts(&self) -> AdmissionCounts {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        AdmissionCounts {
            open: open.total,
            accepted: open.accepted,
            refused: open.refused,
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = self
            .admission
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open.total -= 1;
        match open.by_network.get_mut(&self.network) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                open.by_network.remove(&self.network);
            }
        }
    }
}

/// How many networks have a rate; above that, new ones are refused until those are at rest.
const MAX_NETWORKS: usize = 65_536;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Config, Low};

    #[test]
    fn places_are_bounded_by_process_and_by_network_and_given_back() {
        let admission = admission(3, 2);
        let ann = IpAddr::from([192, 0, 2, 1]);
        let neighbour = "::ffff:192.0.2.200".parse().unwrap();
        let bob = IpAddr::from([192, 0, 3, 1]);
        let first = admission.admit(ann).unwrap();
        let _second = admission.admit(neighbour).unwrap();
        assert!(admission.admit(ann).is_none(), "two from one network");
        let _third = admission.admit(bob).unwrap();
        assert!(admission.admit(bob).is_none(), "three in all");
        drop(first);
        assert!(admission.admit(ann).is_some());
        let counts = admission.counts();
        assert_eq!((counts.open, counts.accepted, counts.refused), (2, 4, 2));
    }

    #[test]
    fn an_ipv6_network_has_the_places_of_one() {
        let admission = admission(300, 5);
        let places: Vec<_> = (0..300u16)
            .filter_map(|host| {
                let ip = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host + 1);
                admission.admit(ip.into())
            })
            .collect();
        assert_eq!(places.len(), 5);
    }

    #[test]
    fn a_network_has_its_rate_of_tls_handshakes() {
        let limits = ConnectionLimits {
            tls_handshakes: Some(Rate::new(1, 2)),
            ..limits()
        };
        let admission = Admission::new(&limits);
        let now = Instant::now();
        let ann = IpAddr::from([192, 0, 2, 1]);
        let neighbour = IpAddr::from([192, 0, 2, 200]);
        assert!(admission.admits_handshake(now, ann));
        assert!(admission.admits_handshake(now, neighbour));
        assert!(!admission.admits_handshake(now, ann));
        assert!(admission.admits_handshake(now, [192, 0, 3, 1].into()));
        assert!(admission.admits_handshake(now + Duration::from_secs(1), ann));
        let free = ConnectionLimits {
            tls_handshakes: None,
            ..limits
        };
        let free = Admission::new(&free);
        assert!((0..10_000).all(|_| free.admits_handshake(now, ann)));
    }

    fn limits() -> ConnectionLimits {
        Config::resolve(&Low::default()).unwrap().connections
    }

    fn admission(max: usize, max_per_network: usize) -> Arc<Admission> {
        Arc::new(Admission::new(&ConnectionLimits {
            max,
            max_per_network,
            ..limits()
        }))
    }
}
