//! Forwards packets that arrive at machines.

use jackfield_nat::packet::rewrite::decrement_ttl;
use jackfield_nat::packet::{Headers, IcmpError, Packet, Transport, build};
use jackfield_nat::{Address, OriginatedPacket, Side, Verdict};

use super::port_mapping::is_for_group;
use super::trace::{TraceEvent, TraceKind};
use super::world::{InterfaceId, NodeId, NodeKind, World};

impl World {
    pub(super) fn arrive(&mut self, at: InterfaceId, bytes: Vec<u8>) {
        let Some(interface) = self.interfaces.get(at.0).filter(|it| it.is_up) else {
            return;
        };
        let node = interface.node;
        match self.nodes.get(node.0).map(|node| &node.kind) {
            Some(NodeKind::Host(_)) => self.host_receives(node, at, bytes),
            Some(NodeKind::Nat { inside, .. }) => {
                let side = if *inside == at {
                    Side::Inside
                } else {
                    Side::Outside
                };
                self.nat_receives(node, side, at, bytes);
            }
            Some(NodeKind::Router { .. }) => self.route(node, at, bytes),
            None => {}
        }
        self.settle(node);
    }

    fn nat_receives(&mut self, node: NodeId, side: Side, at: InterfaceId, mut bytes: Vec<u8>) {
        // NATs forward no multicast, whether a gateway takes it or not.
        if self.gateway_receives(node, side, &bytes) || is_for_group(&bytes) {
            return;
        }
        // From outside, a query to the NAT's address may be for a host behind it, so the NAT
        // decides.
        if side == Side::Inside && self.answer_ping(at, &bytes) {
            return;
        }
        let now = self.now;
        let Some(NodeKind::Nat {
            nat,
            inside,
            outside,
        }) = self.nodes.get_mut(node.0).map(|node| &mut node.kind)
        else {
            return;
        };
        let (inside, outside) = (*inside, *outside);
        let original = bytes.clone();
        // NAT64 may write a longer header in front of the packet.
        let room = Packet::HEADROOM;
        bytes.splice(0..0, std::iter::repeat_n(0, room));
        let mut packet = Packet::with_headroom(&mut bytes, room);
        let verdict = match side {
            Side::Inside => nat.outbound(now, &mut packet),
            Side::Outside => nat.inbound(now, &mut packet),
        };
        let translated = packet.bytes().to_vec();
        let since = now - self.start;
        self.trace.record(|| TraceEvent {
            at: since,
            bytes: original,
            kind: TraceKind::Verdict {
                by: node,
                from: side,
                verdict,
            },
        });
        let other = if side == Side::Inside {
            outside
        } else {
            inside
        };
        match verdict {
            Verdict::Forward => self.put_fitting(other, translated),
            Verdict::Hairpin => self.put_fitting(inside, translated),
            Verdict::Hold(_) | Verdict::Drop(_) => {}
        }
    }

    /// Answers an echo request to one of an interface's own addresses.
    fn answer_ping(&mut self, at: InterfaceId, bytes: &[u8]) -> bool {
        let Ok(headers) = Headers::parse(bytes) else {
            return false;
        };
        let mine = self
            .interfaces
            .get(at.0)
            .is_some_and(|it| it.addresses.contains(&headers.destination));
        if !mine {
            return false;
        }
        if let Transport::Query {
            id,
            response: false,
        } = headers.transport
        {
            let data = bytes
                .get(headers.transport_at + 8..headers.length)
                .unwrap_or_default();
            let (me, them) = (headers.destination.into(), headers.source.into());
            self.put(at, build::echo(me, them, id, 0, true, data));
        }
        true
    }

    fn route(&mut self, node: NodeId, at: InterfaceId, mut bytes: Vec<u8>) {
        if self.answer_ping(at, &bytes) {
            return;
        }
        let Ok(mut headers) = Headers::parse(&bytes) else {
            return;
        };
        let own = self
            .interfaces
            .get(at.0)
            .and_then(|it| it.addresses.first().copied());
        if headers.ttl <= 1 {
            if let Some(error) = own.and_then(|own| IcmpError::TimeExceeded.about(own, &bytes)) {
                self.put(at, error);
            }
            return;
        }
        decrement_ttl(&mut bytes, &mut headers);
        if let Some(out) = self.route_to(node, at, headers.destination) {
            self.put_fitting(out, bytes);
        }
    }

    /// Returns the interface of a router that leads to an address: one on a network that knows the
    /// address, else any other that has a gateway.
    fn route_to(&self, node: NodeId, from: InterfaceId, to: Address) -> Option<InterfaceId> {
        let Some(NodeKind::Router { interfaces }) = self.nodes.get(node.0).map(|node| &node.kind)
        else {
            return None;
        };
        let others = interfaces.iter().copied().filter(|id| *id != from);
        let knows = |id: &InterfaceId| {
            let network = self.interfaces.get(id.0).map(|it| it.network);
            let network = network.and_then(|id| self.networks.get(id.0));
            network.is_some_and(|network| {
                let routed = network
                    .routes
                    .iter()
                    .any(|(prefix, via)| via != id && prefix.contains(to));
                let mut members = network.members.iter();
                routed
                    || members.any(|member| {
                        let member = self.interfaces.get(member.0);
                        member.is_some_and(|it| it.addresses.contains(&to))
                    })
            })
        };
        // A router whose own interface is the gateway of a network would send the packet to
        // itself.
        let default = others.clone().find(|id| {
            let network = self.interfaces.get(id.0).map(|it| it.network);
            let network = network.and_then(|id| self.networks.get(id.0));
            network.is_some_and(|network| network.gateway.is_some_and(|gateway| gateway != *id))
        });
        others.clone().find(knows).or(default)
    }

    /// Puts a packet on a link, fragmented if necessary, or answers its source that it is too big.
    pub(super) fn put_fitting(&mut self, out: InterfaceId, bytes: Vec<u8>) {
        let Some(interface) = self.interfaces.get(out.0) else {
            return;
        };
        let mtu = interface.up.link.mtu;
        if bytes.len() <= mtu {
            self.put(out, bytes);
            return;
        }
        let Ok(headers) = Headers::parse(&bytes) else {
            return;
        };
        match jackfield_nat::packet::fragment::split(&bytes, &headers, mtu) {
            Some(pieces) => {
                for piece in pieces {
                    self.put(out, piece);
                }
            }
            None => self.report_too_big(out, mtu, &bytes),
        }
    }

    /// Sends a «too big» error back through the machine that found it, as if the packet had
    /// arrived at `out`.
    fn report_too_big(&mut self, out: InterfaceId, mtu: usize, about: &[u8]) {
        let Some(interface) = self.interfaces.get(out.0) else {
            return;
        };
        let Some(own) = interface.addresses.first().copied() else {
            return;
        };
        let mtu = mtu.min(usize::from(u16::MAX)) as u16;
        // A NAT then translates the error for the sender behind it, as it does one from a router.
        if let Some(error) = (IcmpError::TooBig { mtu }).about(own, about) {
            self.arrive(out, error);
        }
    }

    /// Sends the packets that a machine has ready.
    pub(super) fn drain(&mut self, node: NodeId) {
        match self.nodes.get(node.0).map(|node| &node.kind) {
            Some(NodeKind::Host(_)) => self.drain_host(node),
            Some(NodeKind::Nat { .. }) => {
                self.drain_gateway(node);
                self.drain_nat(node);
            }
            Some(NodeKind::Router { .. }) | None => {}
        }
    }

    fn drain_nat(&mut self, node: NodeId) {
        while let Some((out, bytes)) = self.next_of_nat(node) {
            self.put_fitting(out, bytes);
        }
    }

    fn next_of_nat(&mut self, node: NodeId) -> Option<(InterfaceId, Vec<u8>)> {
        let Some(NodeKind::Nat {
            nat,
            inside,
            outside,
        }) = self.nodes.get_mut(node.0).map(|node| &mut node.kind)
        else {
            return None;
        };
        let OriginatedPacket { side, bytes } = nat.poll_transmit()?;
        let out = match side {
            Side::Inside => *inside,
            Side::Outside => *outside,
        };
        Some((out, bytes))
    }

    pub(super) fn node_timeout(&mut self, node: NodeId) {
        let now = self.now;
        match self.nodes.get_mut(node.0).map(|node| &mut node.kind) {
            Some(NodeKind::Host(host)) => host.app.handle_timeout(now),
            Some(NodeKind::Nat { nat, .. }) => nat.handle_timeout(now),
            Some(NodeKind::Router { .. }) | None => {}
        }
    }
}
