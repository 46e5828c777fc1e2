//! Builds whole packets with correct checksums.

use std::net::{IpAddr, SocketAddr};

use super::bytes::put_u16;
use super::{TcpFlags, checksum, protocol};
use crate::Address;

/// Builds a UDP packet; both ends have to be of one family.
#[must_use]
pub fn udp(source: SocketAddr, destination: SocketAddr, data: &[u8]) -> Vec<u8> {
    let mut segment = Vec::with_capacity(8 + data.len());
    segment.extend(source.port().to_be_bytes());
    segment.extend(destination.port().to_be_bytes());
    segment.extend(((8 + data.len()) as u16).to_be_bytes());
    segment.extend([0; 2]);
    segment.extend(data);
    ip(source.ip(), destination.ip(), protocol::UDP, &segment)
}

/// Builds a TCP segment with sequence and acknowledgement numbers of zero.
#[must_use]
pub fn tcp(source: SocketAddr, destination: SocketAddr, flags: TcpFlags, data: &[u8]) -> Vec<u8> {
    let mut segment = Vec::with_capacity(20 + data.len());
    segment.extend(source.port().to_be_bytes());
    segment.extend(destination.port().to_be_bytes());
    segment.extend([0; 8]);
    segment.extend([5 << 4, flags.0]);
    segment.extend(0xffff_u16.to_be_bytes());
    segment.extend([0; 4]);
    segment.extend(data);
    ip(source.ip(), destination.ip(), protocol::TCP, &segment)
}

/// Builds an ICMP or ICMPv6 echo request or reply.
#[must_use]
pub fn echo(
    source: IpAddr,
    destination: IpAddr,
    id: u16,
    sequence: u16,
    reply: bool,
    data: &[u8],
) -> Vec<u8> {
    let (protocol, kind) = match (source.is_ipv4(), reply) {
        (true, false) => (protocol::ICMP, 8),
        (true, true) => (protocol::ICMP, 0),
        (false, false) => (protocol::ICMPV6, 128),
        (false, true) => (protocol::ICMPV6, 129),
    };
    let mut message = vec![kind, 0, 0, 0];
    message.extend(id.to_be_bytes());
    message.extend(sequence.to_be_bytes());
    message.extend(data);
    ip(source, destination, protocol, &message)
}

/// Builds an IP packet around a transport segment and fills in the segment's checksum.
#[must_use]
pub fn ip(source: IpAddr, destination: IpAddr, protocol: u8, segment: &[u8]) -> Vec<u8> {
    let (source, destination) = (Address::from(source), Address::from(destination));
    let mut packet = header(source, destination, protocol, segment.len());
    let at = packet.len();
    packet.extend(segment);
    fill_transport_checksum(&mut packet, at, source, destination, protocol);
    packet
}

/// Builds an IP header for `length` bytes of data. IPv4 packets may be fragmented.
#[must_use]
pub fn header(source: Address, destination: Address, protocol: u8, length: usize) -> Vec<u8> {
    match (source.to_v4(), destination.to_v4()) {
        (Some(source), Some(destination)) => {
            let mut header = vec![0x45, 0];
            header.extend(((20 + length) as u16).to_be_bytes());
            header.extend([0, 0, 0, 0, TTL, protocol, 0, 0]);
            header.extend(source.to_be_bytes());
            header.extend(destination.to_be_bytes());
            fill_ip_checksum(&mut header);
            header
        }
        _ => {
            let mut header = vec![0x60, 0, 0, 0];
            header.extend((length as u16).to_be_bytes());
            header.extend([protocol, TTL]);
            header.extend(source.bits().to_be_bytes());
            header.extend(destination.bits().to_be_bytes());
            header
        }
    }
}

/// Computes the checksum of an IPv4 header without options.
pub(crate) fn fill_ip_checksum(packet: &mut [u8]) {
    put_u16(packet, 10, 0);
    let sum = checksum::sum(packet.get(..20).unwrap_or_default());
    put_u16(packet, 10, checksum::finish(sum));
}

/// Computes the checksum of the transport segment that starts at `at`.
pub fn fill_transport_checksum(
    packet: &mut [u8],
    at: usize,
    source: Address,
    destination: Address,
    protocol: u8,
) {
    let (field, pseudo_header) = match protocol {
        protocol::UDP => (6, true),
        protocol::TCP => (16, true),
        protocol::ICMPV6 => (2, true),
        protocol::ICMP => (2, false),
        _ => return,
    };
    put_u16(packet, at + field, 0);
    let segment = packet.get(at..).unwrap_or_default();
    let mut sum = checksum::sum(segment);
    if pseudo_header {
        sum += checksum::pseudo_header(source, destination, protocol, segment.len());
    }
    let value = match checksum::finish(sum) {
        // In UDP, zero says that there is no checksum (RFC 768).
        0 if protocol == protocol::UDP => 0xffff,
        value => value,
    };
    put_u16(packet, at + field, value);
}

/// The time to live of packets built here.
pub const TTL: u8 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::SlicedPacket;

    #[test]
    fn what_is_built_is_what_an_independent_parser_reads() {
        let (from, to) = ("10.0.0.1:5000", "192.0.2.7:3478");
        let packet = udp(from.parse().unwrap(), to.parse().unwrap(), b"hello");
        let parsed = SlicedPacket::from_ip(&packet).unwrap();
        let Some(etherparse::TransportSlice::Udp(header)) = parsed.transport else {
            panic!("not UDP");
        };
        assert_eq!(header.payload(), b"hello");
        assert_eq!(header.source_port(), 5000);
        let ip = etherparse::Ipv4HeaderSlice::from_slice(&packet).unwrap();
        assert_eq!(ip.to_header().calc_header_checksum(), ip.header_checksum());
        let expected = header
            .to_header()
            .calc_checksum_ipv4(&ip.to_header(), b"hello")
            .unwrap();
        assert_eq!(header.checksum(), expected);
    }

    #[test]
    fn ipv6_checksums_agree_with_an_independent_implementation() {
        let (from, to) = ("[2001:db8::1]:5000", "[2001:db8::2]:3478");
        let packet = udp(from.parse().unwrap(), to.parse().unwrap(), b"hello");
        let parsed = SlicedPacket::from_ip(&packet).unwrap();
        let Some(etherparse::TransportSlice::Udp(header)) = parsed.transport else {
            panic!("not UDP");
        };
        let ip = etherparse::Ipv6HeaderSlice::from_slice(&packet).unwrap();
        let expected = header
            .to_header()
            .calc_checksum_ipv6(&ip.to_header(), b"hello")
            .unwrap();
        assert_eq!(header.checksum(), expected);
    }
}
