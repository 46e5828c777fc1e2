//! Whole packets to and from the inside address of the gateway.

use std::net::IpAddr;
use std::time::Instant;

use jackfield_nat::packet::bytes::{u16_at, u32_at, u128_at};
use jackfield_nat::packet::{Headers, IcmpError, Transport, build, protocol, verify};
use jackfield_nat::{Address, Nat, Side};

use super::Gateway;
use crate::SERVER_PORT;
use crate::upnp::{self, SSDP_PORT};

impl Gateway {
    /// Returns whether a packet is for the gateway and not for the NAT to translate: it comes from
    /// inside and its destination is the inside address of the NAT or the multicast group of UPnP.
    ///
    /// Packets from outside never are. Those to the ports of the gateway are counted and left to
    /// the NAT, which drops them.
    #[must_use]
    #[inline]
    pub fn is_for(&mut self, nat: &Nat, from: Side, bytes: &[u8]) -> bool {
        match from {
            Side::Inside => {
                let destination = destination(bytes);
                let own = nat.config().inside.map(Address::from);
                destination.is_some() && destination == own
                    || self.config.dialects.upnp && destination == Some(SSDP_GROUP)
            }
            Side::Outside => {
                self.count_outsider(nat, bytes);
                false
            }
        }
    }

    /// Takes a whole packet that is for the gateway.
    pub fn handle_packet(&mut self, now: Instant, nat: &mut Nat, bytes: &[u8]) {
        self.handle_timeout(now, nat);
        let headers = match Headers::parse(bytes) {
            // Requests fit one packet, so nothing is reassembled here.
            Ok(headers) if headers.fragment.is_none() && verify(bytes).is_ok() => headers,
            _ => {
                self.counters.ignored += 1;
                return;
            }
        };
        let data = bytes
            .get(headers.data_at(bytes)..headers.length)
            .unwrap_or_default();
        match headers.transport {
            Transport::Udp { destination, .. } if self.listens_to(nat, destination) => {
                if let (Some(source), Some(to)) =
                    (headers.source_endpoint(), headers.destination_endpoint())
                {
                    self.handle_datagram(now, nat, source.into(), to.into(), data);
                }
            }
            Transport::Query {
                id,
                response: false,
            } => self.answer_ping(&headers, id, bytes),
            Transport::Tcp { .. } if headers.destination != SSDP_GROUP => {
                self.handle_segment(now, nat, bytes);
            }
            Transport::Udp { .. } if headers.destination != SSDP_GROUP => {
                self.counters.ignored += 1;
                let error = IcmpError::PortUnreachable.about(headers.destination, bytes);
                self.packets.extend(error);
            }
            _ => self.counters.ignored += 1,
        }
    }

    /// Takes the next whole packet to send inside. Call it until it returns `None` after every
    /// other call.
    #[must_use]
    pub fn poll_packet(&mut self) -> Option<Vec<u8>> {
        if let Some(packet) = self.packets.pop_front() {
            return Some(packet);
        }
        if let Some(packet) = self.stack.poll_packet() {
            return Some(packet);
        }
        let datagram = self.poll_transmit()?;
        Some(build::udp(
            datagram.source,
            datagram.destination,
            &datagram.data,
        ))
    }

    fn listens_to(&self, nat: &Nat, port: u16) -> bool {
        let dialects = self.config.dialects;
        match port {
            SERVER_PORT => self.speaks_nat_pmp(nat) || dialects.pcp,
            SSDP_PORT => dialects.upnp,
            _ => false,
        }
    }

    fn answer_ping(&mut self, headers: &Headers, id: u16, bytes: &[u8]) {
        let data = bytes.get(headers.transport_at + 8..headers.length);
        let sequence = u16_at(bytes, headers.transport_at + 6);
        let (me, them): (IpAddr, IpAddr) = (headers.destination.into(), headers.source.into());
        // An answer from a group address would be invalid, and every gateway of the link would
        // send one.
        if headers.destination != SSDP_GROUP {
            let answer = build::echo(
                me,
                them,
                id,
                sequence.unwrap_or(0),
                true,
                data.unwrap_or_default(),
            );
            self.packets.push_back(answer);
        }
    }

    fn count_outsider(&mut self, nat: &Nat, bytes: &[u8]) {
        if udp_port(bytes).is_some_and(|port| self.listens_to(nat, port)) {
            self.counters.from_outside += 1;
        }
    }
}

/// Returns the destination port of a datagram whose header has no options; others are not for the
/// gateway.
fn udp_port(bytes: &[u8]) -> Option<u16> {
    let (protocol_at, port_at) = match bytes.first()? {
        0x45 => (9, 22),
        0x60..=0x6f => (6, 42),
        _ => return None,
    };
    let is_udp = bytes.get(protocol_at) == Some(&protocol::UDP);
    u16_at(bytes, port_at).filter(|_| is_udp)
}

/// Returns the destination of a packet.
fn destination(bytes: &[u8]) -> Option<Address> {
    match bytes.first()? >> 4 {
        4 => u32_at(bytes, 16).map(Address::v4),
        6 => u128_at(bytes, 24).map(Address::v6),
        _ => None,
    }
}

/// The multicast group of UPnP searches.
const SSDP_GROUP: Address = Address::v4(upnp::SSDP_GROUP.to_bits());
