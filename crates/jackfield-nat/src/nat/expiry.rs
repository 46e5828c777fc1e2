//! Ends what has been idle for too long.

use std::time::Instant;

use super::config::Protocol;
use super::key::FlowKey;
use super::queue::Timeout;
use super::tcp::TcpState;
use super::{Nat, Side};
use crate::Endpoint;
use crate::packet::{IcmpError, TcpFlags, build};

impl Nat {
    /// Does everything that is due at `now`. If nothing is, it costs one comparison, because it
    /// runs for every packet.
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
                Timeout::Flow(id, generation) => self.flow_due(now, at, id, generation),
                Timeout::Mapping(id, generation) => self.mapping_due(now, at, id, generation),
                Timeout::Port { pool, port } => {
                    self.resting_ports = self.resting_ports.saturating_sub(1);
                    self.free_port(pool, port);
                }
                Timeout::Datagram(key) => self.datagram_due(now, key),
                Timeout::Syn(key) => {
                    if let Some(syn) = self.held_syns.take_due(&key, at) {
                        self.send_error(now, Side::Outside, IcmpError::PortUnreachable, &syn);
                    }
                }
                Timeout::Local(key) => self.local_due(now, key),
            }
        }
    }

    fn flow_due(&mut self, now: Instant, at: Instant, id: u32, generation: u32) {
        if self.table.flows.generation(id) != generation {
            return;
        }
        // A flow may have several timers in the queue, since an earlier one is added and the later
        // one stays. Only the one that `armed` names counts.
        let Some(flow) = self.table.flows.get(id).filter(|flow| flow.armed == at) else {
            return;
        };
        let end = self.flow_end(flow);
        if end <= now {
            if !self.probe(now, id) {
                self.end_flow(now, id);
            }
        } else if let Some(flow) = self.table.flows.get_mut(id) {
            flow.armed = end;
            self.queue.push(end, Timeout::Flow(id, generation));
        }
    }

    /// Asks the inside end of an idle connection whether it is alive; `false` where such
    /// connections just end.
    ///
    /// A segment without data whose numbers are zero is out of every window, so a host that has
    /// the connection answers it with an acknowledgement, which passes here and keeps the
    /// connection.
    fn probe(&mut self, now: Instant, id: u32) -> bool {
        let Some(flow) = self.table.flows.get_mut(id) else {
            return false;
        };
        if !self.config.tcp_probe || flow.tcp != Some(TcpState::Established) {
            return false;
        }
        // RFC 6146 §3.5.2.2: the connection moves to TRANS, in which any segment but a RST revives
        // it. Only one end is asked, which the RFC allows.
        flow.tcp = Some(TcpState::Reset);
        flow.used = now;
        let end = now + TcpState::Reset.lifetime(&self.config.timers);
        flow.armed = end;
        let (internal, remote) = (flow.internal(), flow.remote());
        let generation = self.table.flows.generation(id);
        self.queue.push(end, Timeout::Flow(id, generation));
        // The probe pretends to come from the remote, which an inside host of a NAT64 knows under
        // the prefix.
        let seen = match self.pref64() {
            Some(_) => self.inside_of(remote.address).ok(),
            None => Some(remote.address),
        };
        if let Some(address) = seen {
            let source = Endpoint::new(address, remote.port);
            let ack = TcpFlags(TcpFlags::ACK);
            let probe = build::tcp(source.into(), internal.into(), ack, &[]);
            self.transmit(Side::Inside, probe);
        }
        true
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
            self.queue.push(end, Timeout::Mapping(id, generation));
        }
    }

    fn local_due(&mut self, now: Instant, key: FlowKey) {
        match self.local.get(&key).copied() {
            Some(end) if end > now => self.queue.push(end, Timeout::Local(key)),
            _ => {
                self.local.remove(&key);
            }
        }
    }

    /// Ends a flow, and its mapping if that was its last connection.
    pub(super) fn end_flow(&mut self, now: Instant, id: u32) {
        let Some(mapping_id) = self.take_flow(id) else {
            return;
        };
        // A TCP mapping has no timer of its own, so it ends here or never.
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
        if !flow.permits {
            host.inbound_flows = host.inbound_flows.saturating_sub(1);
        }
        // The mapping takes over the time of its flow: it lives on after the flow, as long as if
        // the flow were still there.
        if self.keeps_mapping(&flow)
            && let Some(mapping) = self.table.mappings.get_mut(flow.mapping)
        {
            mapping.used = mapping.used.max(Some(flow.used));
        }
        Some(flow.mapping)
    }

    /// Ends a mapping with all its flows, and returns its port.
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::*;
    use crate::packet::{Headers, Packet, build, fragment};
    use crate::profile::Profile;
    use jackfield_testing::epoch;

    #[test]
    fn packets_to_the_router_itself_share_a_timer_and_keep_their_conversation() {
        let (mut nat, mut now) = nat(Profile::LINUX_OPEN_INPUT);
        assert!(nat.config.conntrack.is_some_and(|it| it.accepts_input));
        let knock = build::udp(at("198.51.100.9:7"), at("203.0.113.1:9"), b"knock");
        for _ in 0..100 {
            now += Duration::from_secs(1);
            let _ = nat.inbound(now, &mut Packet::new(&mut knock.clone()));
            assert_eq!((nat.local.len(), nat.queue.len()), (1, 1));
        }
        nat.handle_timeout(now + Duration::from_secs(30));
        assert_eq!((nat.local.len(), nat.queue.len()), (0, 0));
    }

    #[test]
    fn first_fragments_of_one_datagram_share_a_timer() {
        let (mut nat, mut now) = nat(Profile::FULL_CONE);
        let large = build::udp(at("192.168.1.2:5"), at("198.51.100.9:7"), &[7; 1000]);
        let headers = Headers::parse(&large).unwrap();
        let pieces = fragment::split(&large, &headers, 576).unwrap();
        let _ = nat.outbound(now, &mut Packet::new(&mut pieces[0].clone()));
        let timers = nat.queue.len();
        for _ in 0..100 {
            now += Duration::from_secs(1);
            let _ = nat.outbound(now, &mut Packet::new(&mut pieces[0].clone()));
            assert_eq!(nat.queue.len(), timers);
        }
        let late = now + Duration::from_secs(10);
        let verdict = nat.outbound(late, &mut Packet::new(&mut pieces[1].clone()));
        assert!(matches!(verdict, crate::Verdict::Hold(_)), "{verdict}");
    }

    fn nat(profile: Profile) -> (Nat, Instant) {
        let config = profile.config(&["203.0.113.1".parse().unwrap()]);
        (Nat::new(config, [7; 32]), epoch())
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }
}
