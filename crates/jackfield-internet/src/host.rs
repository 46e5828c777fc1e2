//! Hosts: the part of an IP stack between a link and a program.

use std::net::{IpAddr, SocketAddr};

use jackfield_nat::packet::Datagram;
use jackfield_nat::packet::{Headers, Transport, build, verify};

use super::app::App;
use super::port_mapping::is_multicast;
use super::reassembly::Reassembly;
use super::world::{InterfaceId, NodeId, NodeKind, World};

/// A host.
#[derive(Debug, Clone)]
pub(super) struct Host {
    pub(super) app: Box<dyn App>,
    pub(super) reassembly: Reassembly,
    /// Invalid packets, which an IP stack does not pass to programs.
    pub(super) refused: u64,
}

impl World {
    /// Passes a packet to the program as an IP stack does: reassembled, for an address of the
    /// host, and with correct checksums.
    pub(super) fn host_receives(&mut self, node: NodeId, at: InterfaceId, bytes: Vec<u8>) {
        let now = self.now;
        let Some(interface) = self.interfaces.get(at.0) else {
            return;
        };
        let addresses = interface.addresses.clone();
        let Some(NodeKind::Host(host)) = self.nodes.get_mut(node.0).map(|node| &mut node.kind)
        else {
            return;
        };
        let Some(bytes) = host.reassembly.take(now, bytes) else {
            return;
        };
        let headers = match Headers::parse(&bytes) {
            // A wrong checksum that a NAT writes is found here, in every test that lets a packet
            // arrive.
            Ok(headers)
                if verify(&bytes).is_ok()
                    && (addresses.contains(&headers.destination)
                        || is_multicast(headers.destination)) =>
            {
                headers
            }
            _ => {
                host.refused += 1;
                return;
            }
        };
        let data = bytes
            .get(headers.data_at(&bytes)..headers.length)
            .unwrap_or_default();
        match headers.transport {
            Transport::Udp { .. } => {
                if let (Some(source), Some(destination)) =
                    (headers.source_endpoint(), headers.destination_endpoint())
                {
                    host.app
                        .handle_datagram(now, source.into(), destination.into(), data);
                }
            }
            Transport::Query {
                id,
                response: false,
            } => {
                let (me, them) = (headers.destination.into(), headers.source.into());
                let answer = build::echo(me, them, id, 0, true, data);
                self.put_fitting(at, answer);
            }
            _ => host.app.handle_packet(now, &headers, &bytes),
        }
    }

    /// Sends the packets that the program has ready.
    pub(super) fn drain_host(&mut self, node: NodeId) {
        while let Some(bytes) = self.next_of_host(node) {
            self.send_from_host(node, bytes);
        }
    }

    fn next_of_host(&mut self, node: NodeId) -> Option<Vec<u8>> {
        let NodeKind::Host(host) = &mut self.nodes.get_mut(node.0)?.kind else {
            return None;
        };
        if let Some(packet) = host.app.poll_packet() {
            return Some(packet);
        }
        let Datagram {
            source,
            destination,
            data,
        } = host.app.poll_transmit()?;
        let source = self.own_source(node, source, destination.ip());
        Some(build::udp(source, destination, &data))
    }

    /// Replaces an unspecified source by the address of the host.
    fn own_source(&self, node: NodeId, source: SocketAddr, to: IpAddr) -> SocketAddr {
        if !source.ip().is_unspecified() {
            return source;
        }
        let mine = self
            .interfaces
            .iter()
            .filter(|it| it.node == node && it.is_up);
        let address = mine
            .flat_map(|it| it.addresses.iter())
            .find(|address| address.is_v4() == to.is_ipv4());
        address.map_or(source, |address| {
            SocketAddr::new((*address).into(), source.port())
        })
    }

    /// Sends a packet on the interface that has its source address, or else on the first that is
    /// up.
    pub(super) fn send_from_host(&mut self, node: NodeId, bytes: Vec<u8>) {
        let Ok(headers) = Headers::parse_quoted(&bytes) else {
            return;
        };
        let up = |id: &usize| {
            let interface = self.interfaces.get(*id);
            interface.is_some_and(|it| it.node == node && it.is_up)
        };
        let owns = |id: &usize| {
            let interface = self.interfaces.get(*id);
            interface.is_some_and(|it| it.addresses.contains(&headers.source))
        };
        // A program with several addresses, such as an ICE agent, chooses the path by its source
        // address.
        let mut all = (0..self.interfaces.len()).filter(up);
        let out = all.clone().find(owns).or_else(|| all.next());
        if let Some(out) = out {
            self.put_fitting(InterfaceId(out), bytes);
        }
    }
}
