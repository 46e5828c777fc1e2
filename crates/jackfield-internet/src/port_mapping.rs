//! Port mapping gateways at the NATs of a world, and the multicast that they need.

use jackfield_nat::packet::Headers;
use jackfield_nat::{Address, Nat, Side};
use jackfield_portmap::{Gateway, GatewayConfig};
use rand_chacha::rand_core::Rng;

use super::build::NatBox;
use super::trace::{TraceEvent, TraceKind};
use super::world::{InterfaceId, NodeId, NodeKind, World};

impl World {
    /// Adds a port mapping gateway to a NAT.
    pub fn map_ports(&mut self, nat: NatBox, config: GatewayConfig) {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let now = self.now;
        if let Some(nat_core) = self.nat_of(nat) {
            let gateway = Gateway::new(now, config, nat_core, seed);
            self.gateways.insert(nat.node, gateway);
            self.settle(nat.node);
        }
    }

    /// Returns the port mapping gateway of a NAT.
    #[must_use]
    pub fn gateway_of(&self, nat: NatBox) -> Option<&Gateway> {
        self.gateways.get(&nat.node)
    }

    /// Returns a NAT with its gateway, and its inside interface.
    fn nat_and_gateway(&mut self, node: NodeId) -> Option<(&mut Nat, &mut Gateway, InterfaceId)> {
        let gateway = self.gateways.get_mut(&node)?;
        match &mut self.nodes.get_mut(node.0)?.kind {
            NodeKind::Nat { nat, inside, .. } => Some((nat, gateway, *inside)),
            NodeKind::Host(_) | NodeKind::Router { .. } => None,
        }
    }

    /// Passes a packet to the gateway; returns whether it was for the gateway.
    pub(super) fn gateway_receives(&mut self, node: NodeId, side: Side, bytes: &[u8]) -> bool {
        let now = self.now;
        let Some((nat, gateway, _)) = self.nat_and_gateway(node) else {
            return false;
        };
        if !gateway.is_for(nat, side, bytes) {
            return false;
        }
        gateway.handle_packet(now, nat, bytes);
        true
    }

    /// Does what is due at a gateway, and sends its packets.
    pub(super) fn drain_gateway(&mut self, node: NodeId) {
        let now = self.now;
        if let Some((nat, gateway, _)) = self.nat_and_gateway(node) {
            gateway.handle_timeout(now, nat);
        }
        while let Some((inside, packet)) = self.next_of_gateway(node) {
            self.put_fitting(inside, packet);
        }
    }

    fn next_of_gateway(&mut self, node: NodeId) -> Option<(InterfaceId, Vec<u8>)> {
        let (_, gateway, inside) = self.nat_and_gateway(node)?;
        Some((inside, gateway.poll_packet()?))
    }

    /// Sends a multicast packet to every machine on its network; returns `false` if the packet is
    /// unicast.
    pub(super) fn put_multicast(&mut self, from: InterfaceId, bytes: &[u8]) -> bool {
        if !is_for_group(bytes) {
            return false;
        }
        let Some(interface) = self.interfaces.get(from.0) else {
            return true;
        };
        let members = self.networks.get(interface.network.0);
        let members = members.map_or_else(Vec::new, |network| network.members.clone());
        for to in members.into_iter().filter(|to| *to != from) {
            let (outcome, arrives, _) = self.carry_to(from, to, bytes.len());
            let (at, then) = (self.now - self.start, arrives - self.start);
            self.trace.record(|| TraceEvent {
                at,
                bytes: bytes.to_vec(),
                kind: TraceKind::Hop {
                    from,
                    outcome,
                    arrives: then,
                },
            });
            if let super::HopOutcome::Arrived(to) = outcome {
                self.schedule(arrives, to, bytes.to_vec());
            }
        }
        true
    }
}

/// Returns whether the destination of a packet is a multicast group.
pub(super) fn is_for_group(bytes: &[u8]) -> bool {
    Headers::parse_quoted(bytes).is_ok_and(|headers| is_multicast(headers.destination))
}

/// Returns whether an address is multicast.
pub(super) fn is_multicast(address: Address) -> bool {
    match address.to_v4() {
        Some(bits) => bits >> 28 == 0xe,
        None => address.bits() >> 120 == 0xff,
    }
}
