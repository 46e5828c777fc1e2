//! The two kinds of entries in the NAT table: mappings, and flows.

use std::time::Instant;

use super::config::{Forward, Protocol};
use super::key::{FlowKey, MappingKey, Scope};
use super::tcp::TcpState;
use crate::{Address, Endpoint};

/// An inside endpoint and the outside endpoint that stands for it.
#[derive(Debug, Clone)]
pub(crate) struct MappingEntry {
    pub(crate) protocol: Protocol,
    pub(crate) internal: Endpoint,
    pub(crate) external: Endpoint,
    /// The remotes that it is for, as seen from inside.
    pub(crate) scope: Scope,
    /// The remotes that the outside endpoint is unique for. It differs from `scope` where ports
    /// are not shared: then no other mapping has the endpoint.
    pub(crate) external_scope: Scope,
    /// When it was last used by packets that keep none of its flows alive. For TCP the time is not
    /// used: a TCP mapping ends with its last connection.
    pub(crate) used: Option<Instant>,
    /// When its timer fires.
    pub(crate) armed: Option<Instant>,
    /// Whether it stays until it is removed.
    pub(crate) permanent: bool,
    /// Whether it lets all remotes in, whatever the filtering of the NAT.
    pub(crate) open: bool,
    /// Whether it is a forward that lets in only the remotes that its filters name.
    pub(crate) limited: bool,
    /// Whether a packet has come in on it.
    pub(crate) replied: bool,
    /// Whether a packet to a port below 1024 made it.
    pub(crate) well_known: bool,
    /// Whether its port is taken from a pool and has to be returned.
    pub(crate) pooled: bool,
    /// The first flow of its list.
    pub(crate) first: u32,
    /// How many flows its list has.
    pub(crate) flows: u32,
}

/// A mapping and one remote endpoint, with everything that the fast path needs, which looks at
/// nothing else.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    // Three endpoints are stored in parts. An `Endpoint` is padded with room for three more ports,
    // and with three of them a flow would not fit two cache lines.
    internal: Address,
    external: Address,
    remote: Address,
    internal_port: u16,
    external_port: u16,
    remote_port: u16,
    /// When a packet last kept it alive.
    pub(crate) used: Instant,
    /// When its timer fires, which may be before it ends.
    pub(crate) armed: Instant,
    pub(crate) mapping: u32,
    pub(crate) protocol: Protocol,
    /// Whether the inside has sent to the remote, which therefore may send to the inside.
    pub(crate) permits: bool,
    /// Whether a packet has come in on it.
    pub(crate) replied: bool,
    /// Whether the remote is an outside endpoint of this NAT, so that packets to it are
    /// hairpinned.
    pub(crate) hairpin: bool,
    /// The state of the connection; `None` for UDP and ICMP.
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
            scope: Scope::AnyRemote,
            external_scope: Scope::AnyRemote,
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

    /// Returns a permanent mapping that lets all remotes in.
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
        key(self.protocol, self.internal, Scope::AnyRemote)
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

    /// Returns the key under which packets from inside find the flow.
    pub(crate) fn inside_key(&self) -> FlowKey {
        FlowKey {
            protocol: self.protocol,
            local: self.internal(),
            remote: self.remote(),
        }
    }

    /// Returns the key under which packets from outside find the flow.
    pub(crate) fn outside_key(&self) -> FlowKey {
        FlowKey {
            protocol: self.protocol,
            local: self.external(),
            remote: self.remote(),
        }
    }
}

pub(crate) fn key(protocol: Protocol, endpoint: Endpoint, scope: Scope) -> MappingKey {
    MappingKey {
        protocol,
        endpoint,
        scope,
    }
}

/// Marks the end of a list of flows; no slab has this many slots.
pub(crate) const NONE: u32 = u32::MAX;
