//! What the NAT knows about each inside host.

use std::collections::BTreeSet;

use jackfield_sansio::{Seed, SeededMap, TokenBucket};

use crate::Address;

/// The state of an inside host, which exists as long as the host has a mapping.
#[derive(Debug, Clone, Default)]
pub(crate) struct Host {
    pub(crate) mappings: usize,
    pub(crate) flows: usize,
    /// Those of them that a remote has started and the host has not answered.
    pub(crate) inbound_flows: usize,
    /// How many more mappings it may ask for.
    pub(crate) new_mappings: TokenBucket,
    /// How many more flows it may start.
    pub(crate) new_flows: TokenBucket,
    /// The external address that the host is paired with.
    pub(crate) external: Option<usize>,
    /// The external address and first port of each block that only this host uses.
    pub(crate) blocks: Vec<(usize, u16)>,
    /// The last port of the host, where sequences are per host.
    pub(crate) cursor: Option<u16>,
}

/// All hosts with a mapping.
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    hosts: SeededMap<Address, Host>,
    /// The blocks that belong to a host.
    pub(crate) blocks: BTreeSet<(usize, u16)>,
}

impl Hosts {
    pub(crate) fn new(seed: Seed) -> Self {
        Self {
            hosts: seed.map(),
            blocks: BTreeSet::new(),
        }
    }

    pub(crate) fn get(&self, address: Address) -> Option<&Host> {
        self.hosts.get(&host_of(address))
    }

    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Returns the host of an address, and adds it first if need be.
    pub(crate) fn entry(&mut self, address: Address) -> &mut Host {
        self.hosts.entry(host_of(address)).or_default()
    }

    /// Forgets a host that has no mapping.
    pub(crate) fn release(&mut self, address: Address) {
        let key = host_of(address);
        if self.hosts.get(&key).is_some_and(|host| host.mappings == 0)
            && let Some(host) = self.hosts.remove(&key)
        {
            for block in host.blocks {
                self.blocks.remove(&block);
            }
        }
    }
}

/// Returns the address that stands for a host in quotas: an IPv4 address, or the /64 of an IPv6
/// address. A host may use every address of its /64, so a quota per address would limit nothing.
pub(crate) fn host_of(address: Address) -> Address {
    if address.is_v4() {
        address
    } else {
        Address::v6(address.bits() & !u128::from(u64::MAX))
    }
}
