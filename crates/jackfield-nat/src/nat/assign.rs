//! Chooses external addresses and ports
//! ([RFC 4787 §4.1, §4.2](https://www.rfc-editor.org/rfc/rfc4787#section-4.2)).

use std::ops::RangeInclusive;

use jackfield_sansio::Mapping;

use super::config::{Assignment, Conflict, Pooling, Protocol};
use super::key::Scope;
use super::pool::Parity;
use super::{DropReason, Nat};
use crate::{Address, Endpoint};

/// The mapping for which an external endpoint is to be chosen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MappingRequest {
    pub(crate) protocol: Protocol,
    pub(crate) internal: Endpoint,
    /// The remotes for which the external endpoint has to be unique.
    pub(crate) unique_for: Scope,
}

/// The external endpoint that was chosen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExternalChoice {
    pub(crate) external: Endpoint,
    /// Whether the port is taken from a pool and has to be returned to it.
    pub(crate) pooled: bool,
    /// Whether the mapping is for this one remote endpoint only, whatever the mapping behaviour of
    /// the NAT.
    pub(crate) one_remote: bool,
}

impl ExternalChoice {
    fn plain(external: Endpoint) -> Self {
        Self {
            external,
            pooled: false,
            one_remote: false,
        }
    }

    pub(super) fn pooled(external: Endpoint) -> Self {
        Self {
            external,
            pooled: true,
            one_remote: false,
        }
    }
}

impl Nat {
    /// Chooses an external endpoint by the configured address pooling and port assignment.
    pub(crate) fn assign(&mut self, request: MappingRequest) -> Result<ExternalChoice, DropReason> {
        // A one-to-one host owns every port of its outside address, so no pool is asked.
        if let Some(external) = self.one_to_one_external(request.internal.address) {
            return Ok(ExternalChoice::plain(Endpoint::new(
                external,
                request.internal.port,
            )));
        }
        if !self.translates_ports() {
            return Ok(ExternalChoice::plain(request.internal));
        }
        if self.config.conntrack.is_some() {
            return self.assign_tracked(request);
        }
        match self.config.pooling {
            Pooling::Paired => {
                let index = self.paired_external(request.internal.address)?;
                self.assign_at(request, index)
            }
            Pooling::Arbitrary => self.assign_anywhere(request),
        }
    }

    /// Tries all external addresses, starting at a random one.
    fn assign_anywhere(&mut self, request: MappingRequest) -> Result<ExternalChoice, DropReason> {
        let usable = self.usable_externals(request.internal.address);
        let first = self.random_below(usable.len());
        let mut reason = DropReason::WrongFamily;
        for offset in 0..usable.len() {
            let Some(index) = usable.get((first + offset) % usable.len()) else {
                break;
            };
            match self.assign_at(request, *index) {
                Ok(choice) => return Ok(choice),
                Err(why) => reason = why,
            }
        }
        Err(reason)
    }

    /// Returns the external address that a host is paired with, and pairs it first if need be (RFC
    /// 4787 REQ-2).
    fn paired_external(&mut self, internal: Address) -> Result<usize, DropReason> {
        if let Some(index) = self.hosts.get(internal).and_then(|host| host.external) {
            return Ok(index);
        }
        let usable = self.usable_externals(internal);
        // Hosts take the addresses in turn rather than at random: with few hosts, chance would
        // load one address and exhaust its ports.
        let turn = self.hosts_paired % usable.len().max(1);
        let index = *usable.get(turn).ok_or(DropReason::WrongFamily)?;
        self.hosts_paired += 1;
        self.hosts.entry(internal).external = Some(index);
        Ok(index)
    }

    /// Chooses a port of one external address.
    fn assign_at(
        &mut self,
        request: MappingRequest,
        index: usize,
    ) -> Result<ExternalChoice, DropReason> {
        let address = self.external(index)?;
        let range = self.range_for(request.internal.port);
        let parity = self.parity_for(request.internal.port);
        // A pool has one bit per port, which cannot say for which remotes the port is taken.
        // Shared ports are therefore looked up in the table.
        let shared = self.config.ports.overlap && request.unique_for != Scope::AnyRemote;
        if shared {
            return self.assign_shared(request, address, &range, parity);
        }
        let port = match self.config.ports.assignment {
            Assignment::Preserve => {
                let port = request.internal.port;
                if range.contains(&port) && self.pool(request.protocol, index).is_free(port) {
                    Some(port)
                } else {
                    return self.resolve_conflict(request, index, &range, parity);
                }
            }
            Assignment::Sequential { step, per_host } => {
                self.next_in_sequence(request, index, step.max(1), per_host, &range, parity)
            }
            Assignment::Random => self.random_free(request.protocol, index, &range, parity),
            Assignment::Block { size } => {
                let block = self.block(request.internal.address, index, size.max(1))?;
                self.random_free(request.protocol, index, &block, parity)
            }
        };
        self.take(request.protocol, index, port)
    }

    /// Chooses another port when the one to preserve is taken.
    fn resolve_conflict(
        &mut self,
        request: MappingRequest,
        index: usize,
        range: &RangeInclusive<u16>,
        parity: Parity,
    ) -> Result<ExternalChoice, DropReason> {
        let port = match self.config.ports.conflict {
            Conflict::Refuse => return Err(DropReason::PortConflict),
            // The endpoint is not `pooled`: when one of its two mappings ends, the other still
            // uses the port.
            Conflict::Overload => {
                let address = self.external(index)?;
                return Ok(ExternalChoice::plain(Endpoint::new(
                    address,
                    request.internal.port,
                )));
            }
            Conflict::Next => {
                let start = request.internal.port.wrapping_add(1);
                self.pool(request.protocol, index)
                    .next_free(start, range, parity)
            }
            Conflict::Random | Conflict::ChangeBehaviour => {
                self.random_free(request.protocol, index, range, parity)
            }
        };
        // RFC 4787 §8 describes such NATs: the mapping behaviour of a host depends on whether
        // another host had the port first.
        let one_remote = self.config.ports.conflict == Conflict::ChangeBehaviour;
        let choice = self.take(request.protocol, index, port)?;
        Ok(ExternalChoice {
            one_remote,
            ..choice
        })
    }

    /// Chooses a port that has to be unique for some remotes only.
    fn assign_shared(
        &mut self,
        request: MappingRequest,
        address: Address,
        range: &RangeInclusive<u16>,
        parity: Parity,
    ) -> Result<ExternalChoice, DropReason> {
        let is_free = |nat: &Self, port| {
            let external = Endpoint::new(address, port);
            nat.table
                .mapping_outside(request.protocol, external, request.unique_for)
                .is_none()
        };
        let preserved = request.internal.port;
        if self.config.ports.assignment == Assignment::Preserve
            && range.contains(&preserved)
            && is_free(self, preserved)
        {
            return Ok(ExternalChoice::plain(Endpoint::new(address, preserved)));
        }
        for _ in 0..SHARED_PORT_TRIES {
            let port = self.random_in(range);
            if parity.fits(port) && is_free(self, port) {
                return Ok(ExternalChoice::plain(Endpoint::new(address, port)));
            }
        }
        Err(DropReason::PortExhausted)
    }

    /// Chooses as Linux does: the endpoint that other connections of this source use, else the
    /// same port, else a random one.
    ///
    /// Linux's connection tracking is a kind of NAT of its own and no combination of mapping and
    /// filtering: a connection keeps its port exactly as long as no other connection has the same
    /// pair of endpoints, so whether a port is kept depends on what came first. `nf_nat_core.c`
    /// chooses in this order.
    fn assign_tracked(&mut self, request: MappingRequest) -> Result<ExternalChoice, DropReason> {
        let index = self.paired_external(request.internal.address)?;
        let address = self.external(index)?;
        // The earlier endpoint comes first, because Linux prefers it; that is why its mappings
        // look endpoint-independent to most peers.
        let earlier = self.table.source(request.protocol, request.internal);
        let preserved = Endpoint::new(address, request.internal.port);
        for external in earlier.into_iter().chain([preserved]) {
            if self.is_untracked(request, external) {
                return Ok(ExternalChoice::plain(external));
            }
        }
        let range = self.range_for(request.internal.port);
        for _ in 0..SHARED_PORT_TRIES {
            let external = Endpoint::new(address, self.random_in(&range));
            if self.is_untracked(request, external) {
                return Ok(ExternalChoice::plain(external));
            }
        }
        Err(DropReason::PortExhausted)
    }

    /// Returns whether no connection, neither of a host nor of the router itself, has this pair of
    /// endpoints.
    fn is_untracked(&self, request: MappingRequest, external: Endpoint) -> bool {
        self.table
            .mapping_outside(request.protocol, external, request.unique_for)
            .is_none()
            && !self.is_local_connection(request.protocol, external, request.unique_for)
    }

    /// Returns the remotes that a mapping of an inside address is for.
    pub(crate) fn scope(&self, protocol: Protocol, internal: Address, remote: Endpoint) -> Scope {
        if !self.translates_ports() {
            return Scope::AnyRemote;
        }
        if self.config.conntrack.is_some() {
            return Scope::Endpoint(remote);
        }
        // A one-to-one address has one outside endpoint for all remotes. That has to be one
        // mapping: several would each know only some of the remotes that may answer.
        if self.one_to_one_external(internal).is_some() {
            return Scope::AnyRemote;
        }
        let mapping = match protocol {
            Protocol::Udp => self.config.udp.mapping,
            Protocol::Tcp => self.config.tcp.mapping,
            // RFC 5508 REQ-1a: the mapping of a query identifier does not depend on the remote.
            Protocol::Icmp => Mapping::EndpointIndependent,
        };
        match mapping {
            Mapping::EndpointIndependent => Scope::AnyRemote,
            Mapping::AddressDependent => Scope::Address(remote.address),
            Mapping::AddressAndPortDependent => Scope::Endpoint(remote),
        }
    }

    /// Returns the remotes for which an external endpoint has to be unique when a mapping has
    /// `scope`.
    pub(crate) fn external_scope(&self, scope: Scope) -> Scope {
        let shared = self.config.ports.overlap || self.config.conntrack.is_some();
        if shared && self.translates_ports() {
            scope
        } else {
            Scope::AnyRemote
        }
    }
}

/// How many random ports are tried where a port is shared and no bitmap says which are free. Linux
/// tries 128 ports from a random one on and 120 more from four others (`nf_nat_core.c`): a search
/// of all ports for each packet would be a way to keep the router busy.
const SHARED_PORT_TRIES: usize = 128;
