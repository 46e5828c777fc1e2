//! Checks of the NAT tables: what must hold at any time, counted from scratch. Fuzz targets and
//! tests call them.

use std::collections::BTreeMap;

use super::Nat;
use super::config::{Conflict, Protocol};
use super::entry::MappingEntry;
use super::queue::Timeout;
use crate::Address;

impl Nat {
    /// Panics if a count, an index, a pool or a timer does not match the mappings and flows.
    #[doc(hidden)]
    pub fn audit(&self) {
        self.audit_flows();
        self.audit_mappings();
        self.audit_hosts();
        self.audit_pools();
        self.audit_limits();
    }

    /// Panics unless only forwards are left, as after a long silence.
    #[doc(hidden)]
    pub fn audit_silence(&self) {
        self.audit();
        assert_eq!(self.table.flows.len(), 0, "flows outlive a silence");
        for (_, mapping) in self.table.mappings.iter() {
            assert!(mapping.permanent, "{mapping:?} outlives a silence");
        }
        assert_eq!(self.queue.len(), 0, "timers outlive a silence");
        assert_eq!(self.datagrams.held(), (0, 0));
        assert_eq!(self.held_syns.len(), 0);
        assert_eq!(self.local.len(), 0);
    }

    fn audit_flows(&self) {
        let mut permits: BTreeMap<(u32, Address), u32> = BTreeMap::new();
        for (id, flow) in self.table.flows.iter() {
            let mapping = self.table.mappings.get(flow.mapping);
            let mapping = mapping.expect("a flow has a mapping");
            assert_eq!(flow.internal(), mapping.internal);
            assert_eq!(flow.external(), mapping.external);
            assert_eq!(flow.protocol, mapping.protocol);
            let due = Timeout::Flow(id, self.table.flows.generation(id));
            assert!(self.queue.has(flow.armed, due), "{flow:?} has no timer");
            if flow.permits {
                *permits
                    .entry((flow.mapping, flow.remote().address))
                    .or_default() += 1;
            }
            for known in [
                self.table.flow_inside(&flow.inside_key()),
                self.table.flow_outside(&flow.outside_key()),
            ] {
                assert!(
                    known.is_none_or(|known| self.table.flows.get(known).is_some()),
                    "an index leads to an empty slot"
                );
            }
        }
        assert_eq!(self.table.permit_counts(), permits, "permissions");
    }

    fn audit_mappings(&self) {
        for (id, mapping) in self.table.mappings.iter() {
            let flows = self.table.flows.iter();
            let count = flows.filter(|(_, flow)| flow.mapping == id).count();
            assert_eq!(mapping.flows as usize, count);
            assert_eq!(self.table.flows_of(mapping).count(), count);
            if mapping.permanent {
                continue;
            }
            if mapping.protocol == Protocol::Tcp {
                assert!(count > 0, "{mapping:?} has nothing that would end it");
            } else {
                let due = Timeout::Mapping(id, self.table.mappings.generation(id));
                let armed = mapping.armed.expect("a mapping has a timer");
                assert!(self.queue.has(armed, due), "{mapping:?} has no timer");
            }
            self.audit_uniqueness(id, mapping);
        }
    }

    /// Checks that no two mappings have one outside endpoint for the same remotes, unless the NAT
    /// overloads ports on purpose.
    fn audit_uniqueness(&self, id: u32, mapping: &MappingEntry) {
        if self.config.ports.conflict == Conflict::Overload || !self.translates_ports() {
            return;
        }
        for (other, it) in self.table.mappings.iter().filter(|(it, _)| *it != id) {
            let same = it.protocol == mapping.protocol
                && it.external == mapping.external
                && it.external_scope == mapping.external_scope;
            assert!(!same, "{mapping:?} ({id}) and {it:?} ({other})");
        }
    }

    fn audit_hosts(&self) {
        let mut counts: BTreeMap<Address, [usize; 3]> = BTreeMap::new();
        for (_, mapping) in self.table.mappings.iter() {
            let host = super::hosts::host_of(mapping.internal.address);
            let count = counts.entry(host).or_default();
            let flows = self.table.flows_of(mapping);
            count[0] += 1;
            count[1] += mapping.flows as usize;
            count[2] += flows.filter(|flow| !flow.permits).count();
        }
        assert_eq!(self.hosts.len(), counts.len(), "hosts without a mapping");
        for (address, counts) in counts {
            let host = self.hosts.get(address).expect("a host with a mapping");
            let known = [host.mappings, host.flows, host.inbound_flows];
            assert_eq!(known, counts, "{address}");
        }
    }

    fn audit_pools(&self) {
        let mut taken = self.queue.ports_on_hold();
        for (_, mapping) in self.table.mappings.iter().filter(|(_, it)| it.pooled) {
            let index = self.external_index(mapping.external.address);
            let index = index.expect("a pooled port is of an external address");
            let pool = index * super::ports::PROTOCOLS + mapping.protocol as usize;
            let pool = self.pools.get(&pool).expect("a pool");
            assert!(!pool.is_free(mapping.external.port), "{mapping:?} is free");
            taken += 1;
        }
        let in_pools: usize = self.pools.values().map(super::pool::Pool::taken).sum();
        assert_eq!(in_pools, taken, "ports without a mapping");
    }

    fn audit_limits(&self) {
        let limits = &self.config.limits;
        let mortal = self.table.mappings.iter().filter(|(_, it)| !it.permanent);
        assert!(mortal.count() <= limits.mappings);
        assert!(self.table.flows.len() <= limits.flows);
        let (datagrams, bytes) = self.datagrams.held();
        assert!(datagrams <= limits.datagrams && bytes <= limits.held_bytes);
        assert!(self.held_syns.len() <= limits.held_syns);
        assert!(self.local.len() <= limits.flows_per_host);
    }
}
