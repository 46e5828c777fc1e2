//! What a table of mappings and flows is made of.

use std::time::Instant;

use super::config::{Forward, Protocol};
use super::key::{FlowKey, MappingKey, Scope};
use super::tcp::TcpState;
use crate::{Address, Endpoint};

/// An inside endpoint and the outside endpoint it shows as.
#[derive(Debug, Clone)]
pub(crate) struct MappingEntry {
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
    pub(crate) first: u32,
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
    pub(crate) previous: u32,
    pub(crate) next: u32,
}

impl MappingEntry {
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

    pub(crate) fn inside_key(&self) -> MappingKey {
        key(self.protocol, self.internal, self.scope)
    }

    pub(crate) fn outside_key(&self) -> MappingKey {
        key(self.protocol, self.external, self.external_scope)
    }

    pub(crate) fn source_key(&self) -> MappingKey {
        key(self.protocol, self.internal, Scope::Everybody)
    }
}

impl Flow {
    pub(crate) fn new(id: u32, mapping: &MappingEntry, remote: Endpoint, now: Instant) -> Self {
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

/// Puts a key together.
pub(crate) fn key(protocol: Protocol, endpoint: Endpoint, scope: Scope) -> MappingKey {
    MappingKey {
        protocol,
        endpoint,
        scope,
    }
}

/// The end of a list of flows: no slab has so many places.
pub(crate) const NONE: u32 = u32::MAX;
