//! Limits per host, and what makes room in a full table.

use std::time::Instant;

use jackfield_sansio::Rate;

use super::{DropReason, Nat, Side};
use crate::Address;

impl Nat {
    /// Checks whether a host may have another mapping, and makes room for it if the table is full
    /// and the NAT evicts.
    pub(super) fn room_for_mapping(
        &mut self,
        now: Instant,
        host: Address,
    ) -> Result<(), DropReason> {
        let limits = &self.config.limits;
        let mine = self.hosts.get(host).map_or(0, |host| host.mappings);
        if mine >= limits.mappings_per_host {
            return Err(DropReason::HostMappings);
        }
        // Failed attempts count as well, because the limit protects the time of the NAT.
        if let Some(most) = limits.new_mappings_per_host
            && !self
                .hosts
                .entry(host)
                .new_mappings
                .take(now, Rate::per_second(most), 1)
        {
            return Err(DropReason::MappingRate);
        }
        if self.table.mappings.len() < limits.mappings || self.evict_mapping(now) {
            Ok(())
        } else {
            Err(DropReason::TableFull)
        }
    }

    /// Checks whether a host may have another flow, and makes room for it if the table is full and
    /// the NAT evicts.
    pub(super) fn room_for_flow(
        &mut self,
        now: Instant,
        from: Side,
        host: Address,
        mapping: u32,
    ) -> Result<(), DropReason> {
        let limits = &self.config.limits;
        if let Some(host) = self.hosts.get(host) {
            if host.flows >= limits.flows_per_host {
                return Err(DropReason::HostFlows);
            }
            // Flows that remotes start have a smaller limit of their own: a port scan of a host
            // with endpoint-independent filtering must not block what the host itself starts.
            if from == Side::Outside && host.inbound_flows >= limits.inbound_flows_per_host {
                return Err(DropReason::InboundFlows);
            }
        }
        if let Some(most) = limits.new_flows_per_host
            && from == Side::Inside
            && !self
                .hosts
                .entry(host)
                .new_flows
                .take(now, Rate::per_second(most), 1)
        {
            return Err(DropReason::FlowRate);
        }
        if self.table.flows.len() < limits.flows || self.evict_flow(now, mapping) {
            Ok(())
        } else {
            Err(DropReason::TableFull)
        }
    }

    /// Ends a mapping that has had no packet from outside; returns whether it found one.
    pub(super) fn evict_mapping(&mut self, now: Instant) -> bool {
        let found = self.find_victim(self.table.mappings.slots(), |nat, id| {
            let mapping = nat.table.mappings.get(id);
            mapping.is_some_and(|mapping| !mapping.replied && !mapping.permanent)
        });
        if let Some(id) = found {
            self.counters.evicted += 1;
            self.end_mapping(now, id);
        }
        found.is_some()
    }

    /// Ends a flow that has had no packet from outside; returns whether it found one. A TCP
    /// mapping ends with its last flow, so the flows of the mapping that needs the room are
    /// spared.
    fn evict_flow(&mut self, now: Instant, mapping: u32) -> bool {
        let found = self.find_victim(self.table.flows.slots(), |nat, id| {
            let flow = nat.table.flows.get(id);
            flow.is_some_and(|flow| !flow.replied && flow.mapping != mapping)
        });
        if let Some(id) = found {
            self.counters.evicted += 1;
            self.end_flow(now, id);
        }
        found.is_some()
    }

    /// Looks at a limited number of slots, starting at a random one. Every packet of a flood may
    /// come here, so a search of the whole table would itself be the attack.
    fn find_victim(&mut self, slots: usize, is: impl Fn(&Self, u32) -> bool) -> Option<u32> {
        // RFC 6888 REQ-11d forbids to end mappings for new ones, and RFC 5508 §6 discourages it.
        // Linux does it.
        if !self.config.limits.evict_unanswered {
            return None;
        }
        let first = self.random_below(slots);
        let ids = (0..slots.min(SLOTS_EXAMINED)).map(|n| ((first + n) % slots) as u32);
        ids.into_iter().find(|id| is(self, *id))
    }
}

/// How many slots are examined for an entry that can make room.
const SLOTS_EXAMINED: usize = 64;
