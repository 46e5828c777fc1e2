//! How many TCP connections there may be, in the process and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Who may connect by TCP: bounds open connections in the process and from one address.
#[derive(Debug)]
pub(super) struct Admission {
    max: usize,
    max_per_ip: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_ip: HashMap<IpAddr, usize>,
    refused: u64,
    accepted: u64,
}

/// A place taken; dropping it gives the place back.
#[derive(Debug)]
pub(super) struct Admitted {
    admission: Arc<Admission>,
    ip: IpAddr,
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
    pub(super) fn new(max: usize, max_per_ip: usize) -> Self {
        Self {
            max,
            max_per_ip,
            open: Mutex::default(),
        }
    }

    /// Takes a place for a connection from `ip`, if there is one.
    pub(super) fn admit(self: &Arc<Self>, ip: IpAddr) -> Option<Admitted> {
        let ip = ip.to_canonical();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let from_ip = open.by_ip.get(&ip).copied().unwrap_or_default();
        if open.total >= self.max || from_ip >= self.max_per_ip {
            open.refused += 1;
            return None;
        }
        open.total += 1;
        open.accepted += 1;
        open.by_ip.insert(ip, from_ip + 1);
        Some(Admitted {
            admission: Arc::clone(self),
            ip,
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
        match open.by_ip.get_mut(&self.ip) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                open.by_ip.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_by_process_and_by_address_and_given_back() {
        let admission = Arc::new(Admission::new(3, 2));
        let ann = IpAddr::from([192, 0, 2, 1]);
        let ann_mapped = "::ffff:192.0.2.1".parse().unwrap();
        let bob = IpAddr::from([192, 0, 2, 2]);
        let first = admission.admit(ann).unwrap();
        let _second = admission.admit(ann_mapped).unwrap();
        assert!(admission.admit(ann).is_none(), "two from one address");
        let _third = admission.admit(bob).unwrap();
        assert!(admission.admit(bob).is_none(), "three in all");
        drop(first);
        assert!(admission.admit(ann).is_some());
        let counts = admission.counts();
        assert_eq!((counts.open, counts.accepted, counts.refused), (2, 4, 2));
    }
}
