use std::time::Instant;

use super::config::Protocol;
use super::queue::Due;
use super::{Nat, Side};
use crate::packet::IcmpError;

impl Nat {
    /// Does everything that is due by `now`; without anything due, one comparison.
    #[inline]
    pub(super) fn expire(&mut self, now: Instant) {
        if self.queue.next().is_some_and(|at| at <= now) {
            self.expire_due(now);
        }
    }

    #[cold]
    fn expire_due(&mut self, now: Instant) {
        while let Some((at, due)) = self.queue.pop(now) {
            match due {
                Due::Flow(id, generation) => self.flow_due(now, at, id, generation),
                Due::Mapping(id, generation) => self.mapping_due(now, at, id, generation),
                Due::Port { pool, port } => self.free_port(pool, port),
                Due::Datagram(key) => self.datagram_due(now, key),
                Due::Syn(key) => {
                    if let Some(syn) = self.held_syns.take_due(&key, at) {
                        self.send_error(now, Side::Outside, IcmpError::PortUnreachable, &syn);
                    }
                }
                Due::Local(key) => {
                    if self.local.get(&key).is_some_and(|end| *end <= now) {
                        self.local.remove(&key);
                    }
                }
            }
        }
    }

    fn flow_due(&mut self, now: Instant, at: Instant, id: u32, generation: u32) {
        if self.table.flows.generation(id) != generation {
            return;
        }
        let Some(flow) = self.table.flows.get(id).filter(|flow| flow.armed == at) else {
            return;
        };
        let end = self.flow_end(flow);
        if end <= now {
            self.end_flow(now, id);
        } else if let Some(flow) = self.table.flows.get_mut(id) {
            flow.armed = end;
            self.queue.push(end, Due::Flow(id, generation));
        }
    }

    fn mapping_due(&mut self, now: Instant, at: Instant, id: u32, generation: u32) {
        if self.table.mappings.generation(id) != generation {
            return;
        }
        let mapping = self.table.mappings.get(id);
        let Some(mapping) = mapping.filter(|mapping| mapping.armed == Some(at)) else {
            return;
        };
        let Some(end) = self.mapping_end(mapping) else {
            return;
        };
        if end <= now {
            self.end_mapping(now, id);
        } else if let Some(mapping) = self.table.mappings.get_mut(id) {
            mapping.armed = Some(end);
            self.queue.push(end, Due::Mapping(id, generation));
        }
    }

    /// Ends a flow, and its mapping if that lives by its connections.
    fn end_flow(&mut self, now: Instant, id: u32) {
        let Some(mapping_id) = self.take_flow(id) else {
            return;
        };
        let last = self.table.mappings.get(mapping_id).is_some_and(|mapping| {
            mapping.flows == 0 && mapping.protocol == Protocol::Tcp && !mapping.permanent
        });
        if last {
            self.end_mapping(now, mapping_id);
        }
    }

    fn take_flow(&mut self, id: u32) -> Option<u32> {
        let flow = self.table.remove_flow(id)?;
        let host = self.hosts.entry(flow.internal().address);
        host.flows = host.flows.saturating_sub(1);
        if self.keeps_mapping(&flow)
            && let Some(mapping) = self.table.mappings.get_mut(flow.mapping)
        {
            mapping.used = mapping.used.max(Some(flow.used));
        }
        Some(flow.mapping)
    }

    /// Ends a mapping and all its flows, and gives its port back.
    pub(super) fn end_mapping(&mut self, now: Instant, id: u32) {
        while let Some(flow) = self.table.any_flow(id) {
            self.take_flow(flow);
        }
        let Some(mapping) = self.table.remove_mapping(id) else {
            return;
        };
        if mapping.pooled {
            self.release(now, mapping.protocol, mapping.external);
        }
        let host = self.hosts.entry(mapping.internal.address);
        host.mappings = host.mappings.saturating_sub(1);
        self.hosts.release(mapping.internal.address);
        tracing::debug!(protocol = ?mapping.protocol, internal = %mapping.internal, external = %mapping.external, "Ended mapping");
    }
}
