use std::time::Instant;

use super::config::{Forward, Protocol};
use super::key::{FlowKey, Map, MappingKey, PackedFlow, Scope, Seeded};
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
    /// When it ends, once it has been used; a TCP mapping ends with its last connection instead.
    pub(crate) expires: Option<Instant>,
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
    first: Option<u32>,
    /// How many flows it has.
    pub(crate) flows: u32,
}

/// A mapping and one remote endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    pub(crate) mapping: u32,
    pub(crate) remote: Endpoint,
    pub(crate) expires: Instant,
    pub(crate) armed: Instant,
    /// The inside has sent to the remote, which therefore may send to the inside.
    pub(crate) permits: bool,
    /// The remote is an outside endpoint of this very NAT.
    pub(crate) hairpin: bool,
    /// For TCP only.
    pub(crate) tcp: Option<TcpState>,
    previous: Option<u32>,
    next: Option<u32>,
}

/// All mappings and flows, with their indexes.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) mappings: Slab<Mapping>,
    pub(crate) flows: Slab<Flow>,
    flow_inside: Map<PackedFlow, u32>,
    flow_outside: Map<PackedFlow, u32>,
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
            expires: None,
            armed: None,
            permanent: false,
            open: false,
            limited: false,
            replied: false,
            well_known: false,
            pooled: false,
            first: None,
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
    pub(crate) fn new(mapping: u32, remote: Endpoint, expires: Instant) -> Self {
        Self {
            mapping,
            remote,
            expires,
            armed: expires,
            permits: false,
            hairpin: false,
            tcp: None,
            previous: None,
            next: None,
        }
    }
}

impl Table {
    pub(crate) fn new(seeded: Seeded) -> Self {
        Self {
            mappings: Slab::new(),
            flows: Slab::new(),
            flow_inside: seeded.map(),
            flow_outside: seeded.map(),
            mapping_inside: seeded.map(),
            mapping_outside: seeded.map(),
            permits: seeded.map(),
            sources: seeded.map(),
        }
    }

    /// Finds a flow by its inside endpoint.
    pub(crate) fn flow_inside(&self, key: &FlowKey) -> Option<u32> {
        self.flow_inside.get(&key.pack()).copied()
    }

    /// Finds a flow by the outside endpoint it is mapped to.
    pub(crate) fn flow_outside(&self, key: &FlowKey) -> Option<u32> {
        self.flow_outside.get(&key.pack()).copied()
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
        let mapping_id = flow.mapping;
        let remote = flow.remote;
        let mapping = self.mappings.get_mut(mapping_id)?;
        let (inside, outside) = flow_keys(mapping, remote);
        flow.next = mapping.first;
        let next = flow.next;
        let permits = std::mem::take(&mut flow.permits);
        let id = self.flows.insert(flow);
        mapping.first = Some(id);
        mapping.flows += 1;
        if let Some(next) = next.and_then(|next| self.flows.get_mut(next)) {
            next.previous = Some(id);
        }
        self.flow_inside.insert(inside, id);
        self.flow_outside.insert(outside, id);
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
            let permit = (flow.mapping, flow.remote.address);
            *self.permits.entry(permit).or_insert(0) += 1;
        }
    }

    /// Takes out a flow; returns the mapping it belonged to.
    pub(crate) fn remove_flow(&mut self, id: u32) -> Option<u32> {
        let flow = self.flows.remove(id)?;
        if let Some(next) = flow.next.and_then(|next| self.flows.get_mut(next)) {
            next.previous = flow.previous;
        }
        if let Some(previous) = flow.previous.and_then(|id| self.flows.get_mut(id)) {
            previous.next = flow.next;
        }
        let mapping = self.mappings.get_mut(flow.mapping)?;
        mapping.flows -= 1;
        if mapping.first == Some(id) {
            mapping.first = flow.next;
        }
        let (inside, outside) = flow_keys(mapping, flow.remote);
        remove_if(&mut self.flow_inside, &inside, id);
        remove_if(&mut self.flow_outside, &outside, id);
        if flow.permits {
            let permit = (flow.mapping, flow.remote.address);
            if let Some(count) = self.permits.get_mut(&permit) {
                *count -= 1;
                if *count == 0 {
                    self.permits.remove(&permit);
                }
            }
        }
        Some(flow.mapping)
    }

    /// Returns one of a mapping's flows, as long as it has any.
    pub(crate) fn any_flow(&self, mapping: u32) -> Option<u32> {
        self.mappings.get(mapping)?.first
    }
}

fn key(protocol: Protocol, endpoint: Endpoint, scope: Scope) -> MappingKey {
    MappingKey {
        protocol,
        endpoint,
        scope,
    }
}

fn flow_keys(mapping: &Mapping, remote: Endpoint) -> (PackedFlow, PackedFlow) {
    let inside = FlowKey {
        protocol: mapping.protocol,
        local: mapping.internal,
        remote,
    };
    let outside = FlowKey {
        local: mapping.external,
        ..inside
    };
    (inside.pack(), outside.pack())
}

/// Removes an index entry unless it points to something newer.
fn remove_if<K: Eq + std::hash::Hash>(map: &mut Map<K, u32>, key: &K, id: u32) {
    if map.get(key) == Some(&id) {
        map.remove(key);
    }
}
