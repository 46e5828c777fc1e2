//! What an operator sees and does: the list of mappings, reboots, renumbering.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use jackfield_sansio::Seed;
use rand_chacha::rand_core::Rng;

use super::config::{NatConfig, Protocol};
use super::entry::MappingEntry;
use super::hit::HitPath;
use super::hosts::Hosts;
use super::key::Scope;
use super::queue::Queue;
use super::syn::HeldSyns;
use super::table::Table;
use super::{Nat, pairs};
use crate::{Address, Endpoint};

/// A mapping as an operator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MappingView {
    /// The protocol.
    pub protocol: Protocol,
    /// The inside endpoint.
    pub internal: Endpoint,
    /// The outside endpoint.
    pub external: Endpoint,
    /// The remote address that the mapping is for; `None` stands for all.
    pub remote: Option<Address>,
    /// The remote port that the mapping is for; `None` stands for all.
    pub remote_port: Option<u16>,
    /// The number of its flows, that is of remote endpoints.
    pub flows: u32,
    /// When it ends unless a packet refreshes it; `None` for permanent mappings and for TCP, whose
    /// mappings end with their last connection.
    pub expires: Option<Instant>,
}

impl Nat {
    /// Returns every mapping, in the order of the table, which is not that of their age.
    pub fn mappings(&self) -> impl Iterator<Item = MappingView> {
        let mappings = self.table.mappings.iter();
        mappings.map(|(_, mapping)| self.view(mapping))
    }

    /// Returns how many mappings there are.
    #[must_use]
    pub fn mapping_count(&self) -> usize {
        self.table.mappings.len()
    }

    /// Returns how many flows there are. A flow is a mapping with one remote endpoint.
    #[must_use]
    pub fn flow_count(&self) -> usize {
        self.table.flows.len()
    }

    /// Returns how often the NAT has lost its state. A port mapping gateway compares the number to
    /// notice that its leases are void.
    #[must_use]
    pub fn resets(&self) -> u64 {
        self.resets
    }

    /// Loses all state, as a reboot does, and makes the configured forwards again. Counters
    /// continue.
    pub fn reboot(&mut self) {
        // New hash seeds: two boots of a device do not share the order of their tables either.
        let seed = Seed::new([self.rng.next_u64(), self.rng.next_u64()]);
        self.table = Table::new(seed);
        self.hosts = Hosts::new(seed);
        self.hosts_paired = 0;
        // Hold-downs are lost as well: a NAT that has lost its state does not know which ports
        // were in use.
        self.pools = BTreeMap::new();
        self.cursor = None;
        self.queue = Queue::default();
        self.resting_ports = 0;
        self.forward_filters.clear();
        self.resets += 1;
        self.held_syns = HeldSyns::new(seed);
        self.local = seed.map();
        self.transmits.clear();
        self.forget_fragments();
        self.install_forwards();
    }

    /// Reboots with other external addresses, as a forced reconnect of the provider does;
    /// configured forwards move to the new addresses.
    pub fn renumber(&mut self, externals: Vec<IpAddr>) {
        let old = std::mem::replace(&mut self.config.externals, externals);
        for forward in &mut self.config.forwards {
            let index = old
                .iter()
                // Addresses correspond by position: the first old one becomes the first new one.
                .position(|ip| Address::from(*ip) == forward.external.address);
            if let Some(new) = index.and_then(|index| self.config.externals.get(index)) {
                forward.external.address = Address::from(*new);
            }
        }
        let externals = self.config.externals.iter().copied();
        self.externals = externals.map(Address::from).collect();
        self.reboot();
    }

    /// Reboots with another configuration.
    pub fn reconfigure(&mut self, config: NatConfig) {
        self.one_to_one = pairs(&config);
        let externals = config.externals.clone();
        self.hit = HitPath::new(&config);
        self.config = config;
        self.config.externals.clone_from(&externals);
        self.renumber(externals);
    }

    pub(super) fn view(&self, mapping: &MappingEntry) -> MappingView {
        let (remote, remote_port) = match mapping.scope {
            Scope::AnyRemote => (None, None),
            Scope::Address(address) => (Some(address), None),
            Scope::Endpoint(endpoint) => (Some(endpoint.address), Some(endpoint.port)),
        };
        MappingView {
            protocol: mapping.protocol,
            internal: mapping.internal,
            external: mapping.external,
            remote,
            remote_port,
            flows: mapping.flows,
            expires: self.mapping_end(mapping),
        }
    }

    /// Makes the configured forwards. A forward is left out if its endpoint is taken by an earlier
    /// one, or if [`Nat::add_forward`] would refuse its addresses.
    pub(super) fn install_forwards(&mut self) {
        // The configuration is the operator's, so no quota of the host applies.
        for forward in self.config.forwards.clone() {
            let Ok(index) = self.forward_index(&forward) else {
                continue;
            };
            if !self.is_free(forward.protocol, forward.external) {
                continue;
            }
            let mut mapping = MappingEntry::forward(forward);
            match index {
                Some(index) => self
                    .pool(forward.protocol, index)
                    .take(forward.external.port),
                None => mapping.pooled = false,
            }
            self.hosts.entry(forward.internal.address).mappings += 1;
            self.table.insert_mapping(mapping);
        }
    }
}
