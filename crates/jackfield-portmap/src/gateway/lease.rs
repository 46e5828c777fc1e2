//! The leases of a gateway.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use jackfield_nat::RemoteFilter;
use jackfield_sansio::Timers;

use crate::pcp::Nonce;
use crate::{Dialect, TransportProtocol};

/// A lease as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseView {
    /// The transport protocol.
    pub protocol: TransportProtocol,
    /// The inside endpoint.
    pub internal: SocketAddr,
    /// The outside endpoint.
    pub external: SocketAddr,
    /// The only remote of a flow that a PCP PEER request made.
    pub peer: Option<SocketAddr>,
    /// The protocol in which the host asked for it.
    pub dialect: Dialect,
    /// The description that the client gave; untrusted text.
    pub description: String,
    /// The remotes that it lets in; all remotes when empty.
    pub filters: Vec<RemoteFilter>,
    /// When it ends unless it is renewed.
    pub expires: Instant,
}

/// The key of a lease: its outside endpoint.
pub(super) type LeaseKey = (TransportProtocol, SocketAddr);

/// A mapping that a host has asked for.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    pub(super) internal: SocketAddr,
    pub(super) dialect: Dialect,
    /// The PCP nonce of the lease
    /// ([RFC 6887 §11.3](https://www.rfc-editor.org/rfc/rfc6887#section-11.3)). A PCP mapping
    /// belongs to its nonce, so NAT-PMP and UPnP, which have none, cannot change it. A lease
    /// without a nonce belongs to its host by address alone.
    pub(super) nonce: Option<Nonce>,
    pub(super) description: String,
    pub(super) filters: Vec<RemoteFilter>,
    pub(super) expires: Instant,
}

/// All leases with their timers.
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

    /// Adds or replaces a lease.
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

    /// Removes one lease that has expired.
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
