//! How many TCP connections there may be, in the process and from one network.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use jackfield_sansio::ClientNetwork;

/// Who may connect by TCP: bounds open connections in the process and from one network.
#[derive(Debug)]
pub(super) struct Admission {
    max: usize,
    max_per_network: usize,
    open: Mutex<Open>,
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
    pub(super) fn new(max: usize, max_per_network: usize) -> Self {
        Self {
            max,
            max_per_network,
            open: Mutex::default(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_by_process_and_by_network_and_given_back() {
        let admission = Arc::new(Admission::new(3, 2));
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
        let admission = Arc::new(Admission::new(300, 5));
        let places: Vec<_> = (0..300u16)
            .filter_map(|host| {
                let ip = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host + 1);
                admission.admit(ip.into())
            })
            .collect();
        assert_eq!(places.len(), 5);
    }
}
