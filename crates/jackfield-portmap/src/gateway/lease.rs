use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use jackfield_sansio::Timers;

use crate::pcp::Nonce;
use crate::{Dialect, TransportProtocol};
use jackfield_nat::RemoteFilter;

/// A lease, for people to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseView {
    /// Which protocol's port is mapped.
    pub protocol: TransportProtocol,
    /// The inside endpoint.
    pub internal: SocketAddr,
    /// The outside endpoint.
    pub external: SocketAddr,
    /// The only remote it is for, when PCP's PEER made it.
    pub peer: Option<SocketAddr>,
    /// How it was asked for.
    pub dialect: Dialect,
    /// What whoever asked for it calls it; bytes of a stranger.
    pub description: String,
    /// Whom it lets in; everybody when empty.
    pub filters: Vec<RemoteFilter>,
    /// When it ends unless it is renewed.
    pub expires: Instant,
}

/// What a lease is known by: an outside endpoint.
pub(super) type LeaseKey = (TransportProtocol, SocketAddr);

/// A mapping that a host has asked for.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    pub(super) internal: SocketAddr,
    pub(super) dialect: Dialect,
    /// Whoever changes it over PCP has to know this; without one it is its host's by address alone.
    pub(super) nonce: Option<Nonce>,
    pub(super) description: String,
    pub(super) filters: Vec<RemoteFilter>,
    pub(super) expires: Instant,
}

/// All leases, with their deadlines.
#[derive(Debug, Clone, Default)]
pub(super) struct Leases {
    by_external: BTreeMap<LeaseKey, Lease>,
    /// How many leases each host has.
    hosts: BTreeMap<IpAddr, usize>,
    timers: Timers<LeaseKey>,
}

impl Leases {
    pub(super) fn len(&self) -> usize {
        self.by_external.len()
    }

    /// Returns how many leases a host has.
    pub(super) fn of_host(&self, host: IpAddr) -> usize {
        self.hosts.get(&host).copied().unwrap_or(0)
    }

    pub(super) fn get(&self, key: &LeaseKey) -> Option<&Lease> {
        self.by_external.get(key)
    }

    /// Finds the lease of an inside endpoint; with several, that of the lowest outside endpoint.
    pub(super) fn of_internal(
        &self,
        protocol: TransportProtocol,
        internal: SocketAddr,
    ) -> Option<LeaseKey> {
        let mut all = self.by_external.iter();
        all.find(|((at, _), lease)| *at == protocol && lease.internal == internal)
            .map(|(key, _)| *key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&LeaseKey, &Lease)> {
        self.by_external.iter()
    }

    /// Puts in a lease, or another one in its place.
    pub(super) fn insert(&mut self, key: LeaseKey, lease: Lease) {
        self.timers.set(key, lease.expires);
        *self.hosts.entry(lease.internal.ip()).or_insert(0) += 1;
        let before = self.by_external.insert(key, lease);
        if let Some(before) = before {
            self.forget_one_of(before.internal.ip());
        }
    }

    pub(super) fn remove(&mut self, key: &LeaseKey) -> Option<Lease> {
        let lease = self.by_external.remove(key)?;
        self.timers.cancel(key);
        self.forget_one_of(lease.internal.ip());
        Some(lease)
    }

    /// Takes one lease out that has ended by `now`.
    pub(super) fn expire(&mut self, now: Instant) -> Option<(LeaseKey, Lease)> {
        let key = self.timers.expire(now)?;
        let lease = self.by_external.remove(&key)?;
        self.forget_one_of(lease.internal.ip());
        Some((key, lease))
    }

    /// Returns when the next lease ends.
    pub(super) fn next(&self) -> Option<Instant> {
        self.timers.next()
    }

    fn forget_one_of(&mut self, host: IpAddr) {
        if let Some(count) = self.hosts.get_mut(&host) {
            *count -= 1;
            if *count == 0 {
                self.hosts.remove(&host);
            }
        }
    }
}
