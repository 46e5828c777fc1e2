//! Makes mappings and flows, and keeps them alive.

use std::time::{Duration, Instant};

use super::assign::MappingRequest;
use super::config::{Conflict, Protocol, Refresh, Refusal};
use super::entry::{Flow, MappingEntry};
use super::key::{FlowKey, Scope};
use super::queue::Timeout;
use super::tcp::TcpState;
use super::{DropReason, Nat, Side};
use crate::Endpoint;
use crate::packet::{Headers, IcmpError, Transport};

impl Nat {
    /// Notes a packet of a flow; returns the endpoint that it gets on the other side, and whether
    /// the remote is an outside endpoint of this NAT.
    ///
    /// A packet keeps a flow alive by writing the time into it. The timer is not touched, which
    /// would cost a heap operation per packet; it is set again when it fires too early. A mapping
    /// lives as long as the flows that keep it alive, so it is touched only for packets that keep
    /// no flow alive.
    #[inline]
    pub(super) fn use_flow(
        &mut self,
        now: Instant,
        id: u32,
        from: Side,
        headers: &Headers,
    ) -> Option<(Endpoint, bool)> {
        self.note_direction(id, from)?;
        let flow = self.table.flows.get_mut(id)?;
        match (flow.tcp, headers.transport) {
            (Some(before), Transport::Tcp { flags, .. }) => {
                let state = before.step(from, flags);
                flow.tcp = Some(state);
                if state.is_refreshed(before, flags) {
                    flow.used = now;
                }
                if state != before {
                    self.arm_earlier(now, id, state);
                }
            }
            _ if refreshes(self.config.refresh, from) => {
                // A flow in which the inside has never sent ends on time, whatever comes in:
                // strangers must not fill the table for good. Its packets count for the mapping
                // alone.
                if flow.permits {
                    flow.used = now;
                }
                if !flow.permits || self.config.refresh == Refresh::Inbound {
                    let mapping = flow.mapping;
                    self.table.mappings.get_mut(mapping)?.used = Some(now);
                }
            }
            _ => {}
        }
        let flow = self.table.flows.get(id)?;
        let endpoint = match from {
            Side::Inside => flow.external(),
            Side::Outside => flow.internal(),
        };
        Some((endpoint, flow.hairpin))
    }

    /// Notes the first packet of a flow in each direction.
    #[inline]
    fn note_direction(&mut self, id: u32, from: Side) -> Option<()> {
        let flow = self.table.flows.get_mut(id)?;
        match from {
            Side::Inside if !flow.permits => {
                // The inside has answered, so the flow leaves the account of those that strangers
                // have started.
                let host = self.hosts.entry(flow.internal().address);
                host.inbound_flows = host.inbound_flows.saturating_sub(1);
                self.table.permit(id);
            }
            Side::Outside if !flow.replied => {
                flow.replied = true;
                self.table.mappings.get_mut(flow.mapping)?.replied = true;
            }
            Side::Inside | Side::Outside => {}
        }
        Some(())
    }

    /// Sets a connection's timer anew if its new state lives shorter than the old one. A timer
    /// that is merely too early corrects itself; one that is too late would not.
    #[cold]
    fn arm_earlier(&mut self, now: Instant, id: u32, state: TcpState) {
        let expires = now + state.lifetime(&self.config.timers);
        let generation = self.table.flows.generation(id);
        if let Some(flow) = self.table.flows.get_mut(id)
            && expires < flow.armed
        {
            flow.armed = expires;
            self.queue.push(expires, Timeout::Flow(id, generation));
        }
    }

    /// Returns when a flow ends unless another packet keeps it alive.
    pub(super) fn flow_end(&self, flow: &Flow) -> Instant {
        let timers = &self.config.timers;
        let idle = match (flow.tcp, flow.protocol) {
            (Some(state), _) => state.lifetime(timers),
            (None, Protocol::Icmp) => timers.icmp,
            (None, Protocol::Udp | Protocol::Tcp) => timers.udp_filter,
        };
        flow.used + idle
    }

    /// Returns when a mapping ends unless another packet keeps it alive; `None` for forwards,
    /// which stay, and for TCP, whose mappings end with their last connection.
    pub(super) fn mapping_end(&self, mapping: &MappingEntry) -> Option<Instant> {
        if mapping.permanent || mapping.protocol == Protocol::Tcp {
            return None;
        }
        let flows = self.table.flows_of(mapping);
        let used = flows
            .filter(|flow| self.keeps_mapping(flow))
            .map(|flow| flow.used)
            .chain(mapping.used)
            .max()?;
        Some(used + self.mapping_idle(mapping))
    }

    /// Returns whether packets that keep a flow alive keep its mapping alive as well.
    pub(super) fn keeps_mapping(&self, flow: &Flow) -> bool {
        flow.permits && flow.tcp.is_none() && self.config.refresh != Refresh::Inbound
    }

    /// Returns how long a mapping may stay idle.
    fn mapping_idle(&self, mapping: &MappingEntry) -> Duration {
        let timers = &self.config.timers;
        match mapping.protocol {
            Protocol::Icmp => timers.icmp,
            Protocol::Udp | Protocol::Tcp => {
                let well_known = timers.udp_well_known.filter(|_| mapping.well_known);
                let unreplied = timers.udp_unreplied.filter(|_| !mapping.replied);
                well_known.or(unreplied).unwrap_or(timers.udp)
            }
        }
    }

    /// Finds or makes the mapping for a flow from inside.
    pub(super) fn outbound_mapping(
        &mut self,
        now: Instant,
        key: FlowKey,
    ) -> Result<u32, DropReason> {
        let (protocol, internal) = (key.protocol, key.local);
        let scope = self.scope(protocol, internal.address, key.remote);
        let mut found = self
            .table
            .mapping_inside(protocol, internal, scope)
            .or_else(|| {
                // A forward is a mapping for all remotes, whatever the mapping behaviour: the host
                // answers and sends from the port that it was promised.
                self.table
                    .mapping_inside(protocol, internal, Scope::AnyRemote)
            });
        if found.is_none() && self.config.ports.conflict == Conflict::ChangeBehaviour {
            // An earlier port conflict may have made this host's mapping for one remote only.
            let one_remote = Scope::Endpoint(key.remote);
            found = self.table.mapping_inside(protocol, internal, one_remote);
        }
        match found {
            Some(id) => Ok(id),
            None => self.make_mapping(now, protocol, internal, key.remote),
        }
    }

    /// Makes a mapping, within the limits.
    pub(super) fn make_mapping(
        &mut self,
        now: Instant,
        protocol: Protocol,
        internal: Endpoint,
        remote: Endpoint,
    ) -> Result<u32, DropReason> {
        // The quota is checked before a port is taken, and the host is released again if it has no
        // other mapping: a flood of refused packets must leave nothing behind.
        if let Err(reason) = self.room_for_mapping(now, internal.address) {
            self.hosts.release(internal.address);
            return Err(reason);
        }
        let scope = self.scope(protocol, internal.address, remote);
        let request = MappingRequest {
            protocol,
            internal,
            unique_for: self.external_scope(scope),
        };
        let choice = match self.assign(request) {
            // Ports can run out before the table is full. One mapping without an answer then makes
            // room, and one more attempt is enough: its port is free at once or is held down.
            Err(DropReason::PortExhausted) if self.evict_mapping(now) => self.assign(request),
            choice => choice,
        };
        let choice = match choice {
            Ok(choice) => choice,
            Err(reason) => {
                self.hosts.release(internal.address);
                return Err(reason);
            }
        };
        let mut mapping = MappingEntry::new(protocol, internal, choice.external);
        mapping.scope = if choice.one_remote {
            Scope::Endpoint(remote)
        } else {
            scope
        };
        mapping.external_scope = request.unique_for;
        mapping.pooled = choice.pooled;
        // RFC 4787 REQ-5a: only mappings to well-known ports, such as DNS, may time out earlier.
        mapping.well_known = remote.port < 1024;
        Ok(self.add_mapping(now, mapping))
    }

    /// Puts a mapping into the table and sets its timer.
    pub(super) fn add_mapping(&mut self, now: Instant, mut mapping: MappingEntry) -> u32 {
        let expires = now + self.mapping_idle(&mapping);
        mapping.used = Some(now);
        mapping.armed = Some(expires);
        let timed = self.mapping_end(&mapping).is_some();
        self.hosts.entry(mapping.internal.address).mappings += 1;
        tracing::debug!(protocol = ?mapping.protocol, internal = %mapping.internal, external = %mapping.external, "Made mapping");
        let id = self.table.insert_mapping(mapping);
        if timed {
            let due = Timeout::Mapping(id, self.table.mappings.generation(id));
            self.queue.push(expires, due);
        }
        id
    }

    /// Starts a flow of a mapping, within the limits.
    pub(super) fn start_flow(
        &mut self,
        now: Instant,
        from: Side,
        headers: &Headers,
        mapping_id: u32,
        remote: Endpoint,
    ) -> Result<u32, DropReason> {
        let mapping = self
            .table
            .mappings
            .get(mapping_id)
            .ok_or(DropReason::NoMapping)?;
        let internal = mapping.internal.address;
        let mut flow = Flow::new(mapping_id, mapping, remote, now);
        if let Err(reason) = self.room_for_flow(now, from, internal, mapping_id) {
            self.drop_mapping_if_unused(now, mapping_id);
            return Err(reason);
        }
        flow.permits = from == Side::Inside;
        // This is decided once per flow, so that no packet needs a search of the external
        // addresses.
        flow.hairpin = self.is_external(remote.address);
        if let Transport::Tcp { flags, .. } = headers.transport {
            // A segment of a connection that was open before the NAT rebooted starts as
            // established: the handshake will not come again.
            let state = if flags.opens() {
                TcpState::Opening(from)
            } else {
                TcpState::Established
            };
            flow.tcp = Some(state);
        }
        let expires = self.flow_end(&flow);
        flow.armed = expires;
        let id = self.table.insert_flow(flow).ok_or(DropReason::NoMapping)?;
        let host = self.hosts.entry(internal);
        host.flows += 1;
        host.inbound_flows += usize::from(from == Side::Outside);
        let due = Timeout::Flow(id, self.table.flows.generation(id));
        self.queue.push(expires, due);
        Ok(id)
    }

    /// Ends a TCP mapping that has no connection. Nothing else would: TCP mappings have no timer.
    fn drop_mapping_if_unused(&mut self, now: Instant, id: u32) {
        let unused = self.table.mappings.get(id).is_some_and(|mapping| {
            mapping.flows == 0 && !mapping.permanent && mapping.protocol == Protocol::Tcp
        });
        if unused {
            self.end_mapping(now, id);
        }
    }

    /// Answers an inside host whose packet got no mapping with the configured ICMP error.
    pub(super) fn refuse_mapping(&mut self, now: Instant, reason: DropReason, about: &[u8]) {
        // RFC 5508 REQ-8 asks for an error where resources are missing. A packet that is dropped
        // for what it is, an RST without a connection for example, gets no answer.
        let scarce = matches!(
            reason,
            DropReason::PortExhausted
                | DropReason::PortConflict
                | DropReason::HostMappings
                | DropReason::MappingRate
                | DropReason::HostFlows
                | DropReason::FlowRate
                | DropReason::TableFull
        );
        // A rule is an administrative restriction, and gets code 13 in either configuration.
        let prohibited = reason == DropReason::Policy && !self.config.policy.silent;
        let error = match self.config.refusal {
            Refusal::Silent => return,
            Refusal::Prohibited if scarce => IcmpError::Prohibited,
            Refusal::HostUnreachable if scarce => IcmpError::HostUnreachable,
            Refusal::Prohibited | Refusal::HostUnreachable if prohibited => IcmpError::Prohibited,
            Refusal::Prohibited | Refusal::HostUnreachable => return,
        };
        self.send_error(now, Side::Inside, error, about);
    }
}

fn refreshes(refresh: Refresh, from: Side) -> bool {
    match refresh {
        Refresh::Outbound => from == Side::Inside,
        Refresh::Inbound => from == Side::Outside,
        Refresh::Both => true,
    }
}
