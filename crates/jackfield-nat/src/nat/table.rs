use std::time::Instant;

use super::config::{Forward, Protocol};
use super::index::Index;
use super::key::{FlowKey, Map, MappingKey, Scope, Seeded};
use super::slab::Slab;
use super::tcp::TcpState;
use crate::{Address, Endpoint};

/// An inside endpoint and the outside endpoint it shows as.
#[derive(Debug, Clone)]
pub(crate) struct Mapping {
    pub(crate) protocol: Protocol,
    pub(crate) internal: Endpoint,
    pub(crate) external: Endpoint,
    /// Which remotes it is for, as seen from inside.
    pub(crate) scope: Scope,
    /// Which remotes the outside endpoint is unique for.
    pub(crate) external_scope: Scope,
    /// When it was last used, apart from what its flows know; a TCP mapping ends with its last connection instead.
    pub(crate) used: Option<Instant>,
    /// The timer that is set for it.
    pub(crate) armed: Option<Instant>,
    /// It never ends by itself.
    pub(crate) permanent: bool,
    /// It lets everybody in, whatever the NAT's filtering.
    pub(crate) open: bool,
    /// It lets in only whom its filters name.
    pub(crate) limited: bool,
    /// Something has come in on it.
    pub(crate) replied: bool,
    /// It was made by a packet to a port below 1024.
    pub(crate) well_known: bool,
    /// Its port came from the pool and goes back there.
    pub(crate) pooled: bool,
    /// The first of its flows.
    first: u32,
    /// How many flows it has.
    pub(crate) flows: u32,
}

/// A mapping and one remote endpoint, with all that a packet needs: nothing else is looked at on the hit path.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    // Three endpoints in parts: each as a whole has room for three more ports, and a flow would not fit two cache lines.
    internal: Address,
    external: Address,
    remote: Address,
    internal_port: u16,
    external_port: u16,
    remote_port: u16,
    /// When a packet last kept it alive.
    pub(crate) used: Instant,
    /// The timer that is set for it, which may come too early.
    pub(crate) armed: Instant,
    pub(crate) mapping: u32,
    pub(crate) protocol: Protocol,
    /// The inside has sent to the remote, which therefore may send to the inside.
    pub(crate) permits: bool,
    /// Something has come in on it.
    pub(crate) replied: bool,
    /// The remote is an outside endpoint of this very NAT.
    pub(crate) hairpin: bool,
    /// For TCP only.
    pub(crate) tcp: Option<TcpState>,
    previous: u32,
    next: u32,
}

/// All mappings and flows, with their indexes.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) mappings: Slab<Mapping>,
    pub(crate) flows: Slab<Flow>,
    seeded: Seeded,
    flow_inside: Index,
    flow_outside: Index,
    mapping_inside: Map<MappingKey, u32>,
    mapping_outside: Map<MappingKey, u32>,
    /// How many flows let an address send to a mapping.
    permits: Map<(u32, Address), u32>,
    /// The outside endpoint that an inside endpoint used last, and by how many mappings: for connection tracking.
    sources: Map<MappingKey, (Endpoint, u32)>,
}

impl Mapping {
    pub(crate) fn new(protocol: Protocol, internal: Endpoint, external: Endpoint) -> Self {
        Self {
            protocol,
            internal,
            external,
            scope: Scope::Everybody,
            external_scope: Scope::Everybody,
            used: None,
            armed: None,
            permanent: false,
            open: false,
            limited: false,
            replied: false,
            well_known: false,
            pooled: false,
            first: NONE,
            flows: 0,
        }
    }

    /// Returns a mapping that stays and lets everybody in.
    pub(crate) fn forward(forward: Forward) -> Self {
        Self {
            permanent: true,
            open: true,
            pooled: true,
            ..Self::new(forward.protocol, forward.internal, forward.external)
        }
    }

    fn inside_key(&self) -> MappingKey {
        key(self.protocol, self.internal, self.scope)
    }

    fn outside_key(&self) -> MappingKey {
        key(self.protocol, self.external, self.external_scope)
    }

    fn source_key(&self) -> MappingKey {
        key(self.protocol, self.internal, Scope::Everybody)
    }
}

impl Flow {
    pub(crate) fn new(id: u32, mapping: &Mapping, remote: Endpoint, now: Instant) -> Self {
        Self {
            internal: mapping.internal.address,
            external: mapping.external.address,
            remote: remote.address,
            internal_port: mapping.internal.port,
            external_port: mapping.external.port,
            remote_port: remote.port,
            used: now,
            armed: now,
            mapping: id,
            protocol: mapping.protocol,
            permits: false,
            replied: false,
            hairpin: false,
            tcp: None,
            previous: NONE,
            next: NONE,
        }
    }

    /// Returns the mapping's inside endpoint.
    #[inline]
    pub(crate) fn internal(&self) -> Endpoint {
        Endpoint::new(self.internal, self.internal_port)
    }

    /// Returns the mapping's outside endpoint.
    #[inline]
    pub(crate) fn external(&self) -> Endpoint {
        Endpoint::new(self.external, self.external_port)
    }

    /// Returns the other party.
    #[inline]
    pub(crate) fn remote(&self) -> Endpoint {
        Endpoint::new(self.remote, self.remote_port)
    }

    /// Returns the flow as its inside end sees it.
    pub(crate) fn inside_key(&self) -> FlowKey {
        FlowKey {
            protocol: self.protocol,
            local: self.internal(),
            remote: self.remote(),
        }
    }

    /// Returns the flow as the remote sees it.
    pub(crate) fn outside_key(&self) -> FlowKey {
        FlowKey {
            protocol: self.protocol,
            local: self.external(),
            remote: self.remote(),
        }
    }
}

impl Table {
    pub(crate) fn new(seeded: Seeded) -> Self {
        Self {
            mappings: Slab::new(),
            flows: Slab::new(),
            seeded,
            flow_inside: Index::new(),
            flow_outside: Index::new(),
            mapping_inside: seeded.map(),
            mapping_outside: seeded.map(),
            permits: seeded.map(),
            sources: seeded.map(),
        }
    }

    /// Finds a flow by its inside endpoint.
    #[inline]
    pub(crate) fn flow_inside(&self, key: &FlowKey) -> Option<u32> {
        self.flow_inside.find(self.seeded.flow(key), |id| {
            let flow = self.flows.get(id);
            flow.is_some_and(|flow| flow.inside_key() == *key)
        })
    }

    /// Finds a flow by the outside endpoint it is mapped to.
    #[inline]
    pub(crate) fn flow_outside(&self, key: &FlowKey) -> Option<u32> {
        self.flow_outside.find(self.seeded.flow(key), |id| {
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

    /// Returns the outside endpoint that another mapping of an inside endpoint uses.
    pub(crate) fn source(&self, protocol: Protocol, internal: Endpoint) -> Option<Endpoint> {
        let key = key(protocol, internal, Scope::Everybody);
        self.sources.get(&key).map(|(external, _)| *external)
    }

    /// Returns whether the inside end of a mapping has sent to an address.
    pub(crate) fn permits(&self, mapping: u32, address: Address) -> bool {
        self.permits.contains_key(&(mapping, address))
    }

    #[cfg(any(test, feature = "fuzzing"))]
    #[expect(clippy::disallowed_methods, reason = "a sorted map forgets the order")]
    pub(crate) fn permit_counts(&self) -> std::collections::BTreeMap<(u32, Address), u32> {
        self.permits
            .iter()
            .map(|(key, count)| (*key, *count))
            .collect()
    }

    pub(crate) fn insert_mapping(&mut self, mapping: Mapping) -> u32 {
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

    /// Takes out a mapping without flows.
    pub(crate) fn remove_mapping(&mut self, id: u32) -> Option<Mapping> {
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

    /// Puts in a flow. From now on the inside's packets to the remote belong to it, even if they belonged to a flow of
    /// another mapping: who was asked at one outside endpoint answers from there, or no connection that is asked for
    /// from outside could be opened where mappings depend on the destination (RFC 5382 REQ-2).
    pub(crate) fn insert_flow(&mut self, mut flow: Flow) -> Option<u32> {
        let (inside, outside) = (flow.inside_key(), flow.outside_key());
        if let Some(earlier) = self.flow_inside(&inside) {
            self.flow_inside.remove(self.seeded.flow(&inside), earlier);
        }
        if let Some(earlier) = self.flow_outside(&outside) {
            self.flow_outside
                .remove(self.seeded.flow(&outside), earlier);
        }
        let mapping = self.mappings.get_mut(flow.mapping)?;
        flow.next = mapping.first;
        let next = flow.next;
        let permits = std::mem::take(&mut flow.permits);
        let id = self.flows.insert(flow);
        mapping.first = id;
        mapping.flows += 1;
        if let Some(next) = self.flows.get_mut(next) {
            next.previous = id;
        }
        self.flow_inside.insert(self.seeded.flow(&inside), id);
        self.flow_outside.insert(self.seeded.flow(&outside), id);
        if permits {
            self.permit(id);
        }
        Some(id)
    }

    /// Says that the inside has sent to the remote of a flow.
    pub(crate) fn permit(&mut self, id: u32) {
        if let Some(flow) = self.flows.get_mut(id)
            && !flow.permits
        {
            flow.permits = true;
            let permit = (flow.mapping, flow.remote);
            *self.permits.entry(permit).or_insert(0) += 1;
        }
    }

    /// Takes out a flow.
    pub(crate) fn remove_flow(&mut self, id: u32) -> Option<Flow> {
        let flow = self.flows.remove(id)?;
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
        self.flow_inside.remove(self.seeded.flow(&inside), id);
        self.flow_outside.remove(self.seeded.flow(&outside), id);
        if flow.permits {
            let permit = (flow.mapping, flow.remote);
            if let Some(count) = self.permits.get_mut(&permit) {
                *count -= 1;
                if *count == 0 {
                    self.permits.remove(&permit);
                }
            }
        }
        Some(flow)
    }

    /// Returns one of a mapping's flows, as long as it has any.
    pub(crate) fn any_flow(&self, mapping: u32) -> Option<u32> {
        let first = self.mappings.get(mapping)?.first;
        (first != NONE).then_some(first)
    }

    /// Returns all flows of a mapping.
    pub(crate) fn flows_of(&self, mapping: &Mapping) -> impl Iterator<Item = &Flow> {
        let first = self.flows.get(mapping.first);
        std::iter::successors(first, |flow| self.flows.get(flow.next))
    }
}

fn key(protocol: Protocol, endpoint: Endpoint, scope: Scope) -> MappingKey {
    MappingKey {
        protocol,
        endpoint,
        scope,
    }
}

/// Removes an index entry unless it points to something newer.
fn remove_if<K: Eq + std::hash::Hash>(map: &mut Map<K, u32>, key: &K, id: u32) {
    if map.get(key) == Some(&id) {
        map.remove(key);
    }
}

/// The end of a list of flows: no slab has so many places.
const NONE: u32 = u32::MAX;
