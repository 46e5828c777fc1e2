//! The table of a NAT: mappings and flows, and the indexes that find them from either side.

use jackfield_sansio::{Seed, SeededMap};

use super::config::Protocol;
use super::entry::{Flow, MappingEntry, NONE, key};
use super::index::Index;
use super::key::{FlowKey, MappingKey, Scope, flow_hash};
use super::slab::Slab;
use crate::{Address, Endpoint};

/// All mappings and flows, with their indexes.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) mappings: Slab<MappingEntry>,
    pub(crate) flows: Slab<Flow>,
    seed: Seed,
    flow_inside: Index,
    flow_outside: Index,
    mapping_inside: SeededMap<MappingKey, u32>,
    mapping_outside: SeededMap<MappingKey, u32>,
    /// How many flows permit an address to send to a mapping.
    permits: SeededMap<(u32, Address), u32>,
    /// The outside endpoint that the connections of an inside endpoint used last, and how many
    /// mappings it has; for connection tracking only.
    sources: SeededMap<MappingKey, (Endpoint, u32)>,
}

impl Table {
    pub(crate) fn new(seed: Seed) -> Self {
        Self {
            mappings: Slab::new(),
            flows: Slab::new(),
            seed,
            flow_inside: Index::new(),
            flow_outside: Index::new(),
            mapping_inside: seed.map(),
            mapping_outside: seed.map(),
            permits: seed.map(),
            sources: seed.map(),
        }
    }

    /// Finds a flow by its inside endpoint.
    #[inline]
    pub(crate) fn flow_inside(&self, key: &FlowKey) -> Option<u32> {
        self.flow_inside.find(flow_hash(self.seed, key), |id| {
            let flow = self.flows.get(id);
            flow.is_some_and(|flow| flow.inside_key() == *key)
        })
    }

    /// Finds a flow by the outside endpoint it is mapped to.
    #[inline]
    pub(crate) fn flow_outside(&self, key: &FlowKey) -> Option<u32> {
        self.flow_outside.find(flow_hash(self.seed, key), |id| {
            let flow = self.flows.get(id);
            flow.is_some_and(|flow| flow.outside_key() == *key)
        })
    }

    /// Finds the mapping of an inside endpoint.
    pub(crate) fn mapping_inside(
        &self,
        protocol: Protocol,
        internal: Endpoint,
        scope: Scope,
    ) -> Option<u32> {
        self.mapping_inside
            .get(&key(protocol, internal, scope))
            .copied()
    }

    /// Finds the mapping that an outside endpoint belongs to.
    pub(crate) fn mapping_outside(
        &self,
        protocol: Protocol,
        external: Endpoint,
        scope: Scope,
    ) -> Option<u32> {
        self.mapping_outside
            .get(&key(protocol, external, scope))
            .copied()
    }

    /// Returns the outside endpoint of another mapping of an inside endpoint.
    pub(crate) fn source(&self, protocol: Protocol, internal: Endpoint) -> Option<Endpoint> {
        let key = key(protocol, internal, Scope::AnyRemote);
        self.sources.get(&key).map(|(external, _)| *external)
    }

    /// Returns whether the inside end of a mapping has sent to an address.
    pub(crate) fn permits(&self, mapping: u32, address: Address) -> bool {
        self.permits.contains_key(&(mapping, address))
    }

    #[cfg(any(test, feature = "internals"))]
    #[expect(clippy::disallowed_methods, reason = "a sorted map forgets the order")]
    pub(crate) fn permit_counts(&self) -> std::collections::BTreeMap<(u32, Address), u32> {
        self.permits
            .iter()
            .map(|(key, count)| (*key, *count))
            .collect()
    }

    pub(crate) fn insert_mapping(&mut self, mapping: MappingEntry) -> u32 {
        let inside = mapping.inside_key();
        let outside = mapping.outside_key();
        let source = mapping.source_key();
        let external = mapping.external;
        let id = self.mappings.insert(mapping);
        self.mapping_inside.insert(inside, id);
        self.mapping_outside.insert(outside, id);
        let entry = self.sources.entry(source).or_insert((external, 0));
        *entry = (external, entry.1 + 1);
        id
    }

    /// Removes a mapping that has no flows.
    pub(crate) fn remove_mapping(&mut self, id: u32) -> Option<MappingEntry> {
        let mapping = self.mappings.remove(id)?;
        remove_if(&mut self.mapping_inside, &mapping.inside_key(), id);
        remove_if(&mut self.mapping_outside, &mapping.outside_key(), id);
        if let Some((_, count)) = self.sources.get_mut(&mapping.source_key()) {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&mapping.source_key());
            }
        }
        Some(mapping)
    }

    /// Adds a flow. Packets from inside to its remote belong to it from here on, even if they
    /// belonged to a flow of another mapping: an answer has to leave from the outside endpoint
    /// that the remote has sent to. Otherwise no connection from outside could be opened where
    /// mappings depend on the destination (RFC 5382 REQ-2).
    pub(crate) fn insert_flow(&mut self, mut flow: Flow) -> Option<u32> {
        let (inside, outside) = (flow.inside_key(), flow.outside_key());
        if let Some(earlier) = self.flow_inside(&inside) {
            self.flow_inside
                .remove(flow_hash(self.seed, &inside), earlier);
        }
        if let Some(earlier) = self.flow_outside(&outside) {
            self.flow_outside
                .remove(flow_hash(self.seed, &outside), earlier);
        }
        let mapping = self.mappings.get_mut(flow.mapping)?;
        // The flows of a mapping form a list through the slab, so that a mapping ends without a
        // search and needs no allocation of its own.
        flow.next = mapping.first;
        let next = flow.next;
        // `permit` below sets the flag again and counts it, so that there is one place that
        // counts.
        let permits = std::mem::take(&mut flow.permits);
        let id = self.flows.insert(flow);
        mapping.first = id;
        mapping.flows += 1;
        if let Some(next) = self.flows.get_mut(next) {
            next.previous = id;
        }
        self.flow_inside.insert(flow_hash(self.seed, &inside), id);
        self.flow_outside.insert(flow_hash(self.seed, &outside), id);
        if permits {
            self.permit(id);
        }
        Some(id)
    }

    /// Notes that the inside has sent to the remote of a flow.
    pub(crate) fn permit(&mut self, id: u32) {
        if let Some(flow) = self.flows.get_mut(id)
            && !flow.permits
        {
            flow.permits = true;
            let permit = (flow.mapping, flow.remote().address);
            *self.permits.entry(permit).or_insert(0) += 1;
        }
    }

    /// Removes a flow.
    pub(crate) fn remove_flow(&mut self, id: u32) -> Option<Flow> {
        let flow = self.flows.remove(id)?;
        // `NONE` is no slot, so the ends of the list need no case of their own.
        if let Some(next) = self.flows.get_mut(flow.next) {
            next.previous = flow.previous;
        }
        if let Some(previous) = self.flows.get_mut(flow.previous) {
            previous.next = flow.next;
        }
        if let Some(mapping) = self.mappings.get_mut(flow.mapping) {
            mapping.flows -= 1;
            if mapping.first == id {
                mapping.first = flow.next;
            }
        }
        let (inside, outside) = (flow.inside_key(), flow.outside_key());
        self.flow_inside.remove(flow_hash(self.seed, &inside), id);
        self.flow_outside.remove(flow_hash(self.seed, &outside), id);
        if flow.permits {
            let permit = (flow.mapping, flow.remote().address);
            if let Some(count) = self.permits.get_mut(&permit) {
                *count -= 1;
                if *count == 0 {
                    self.permits.remove(&permit);
                }
            }
        }
        Some(flow)
    }

    /// Returns a flow of a mapping, if it has any.
    pub(crate) fn any_flow(&self, mapping: u32) -> Option<u32> {
        let first = self.mappings.get(mapping)?.first;
        (first != NONE).then_some(first)
    }

    /// Returns all flows of a mapping.
    pub(crate) fn flows_of(&self, mapping: &MappingEntry) -> impl Iterator<Item = &Flow> {
        let first = self.flows.get(mapping.first);
        std::iter::successors(first, |flow| self.flows.get(flow.next))
    }
}

/// Removes an index entry, unless it already points to a newer mapping.
fn remove_if<K: Eq + std::hash::Hash>(map: &mut SeededMap<K, u32>, key: &K, id: u32) {
    if map.get(key) == Some(&id) {
        map.remove(key);
    }
}
