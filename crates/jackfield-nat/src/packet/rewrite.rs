//! Changes addresses, ports and the time to live of packets in place, with the checksums that
//! cover them.

use super::bytes::{put, put_u16, u8_at, u16_at};
use super::checksum::Delta;
use super::{Headers, Transport, protocol};
use crate::{Address, Endpoint};

/// One end of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Source,
    Destination,
}

/// Replaces the address and port of one end of a packet, in the bytes, the checksums, and
/// `headers`.
///
/// A correct checksum stays correct and a wrong one stays wrong: the NAT must not hide damage from
/// the receiver. A UDP checksum of zero means "none" in IPv4 and stays zero. In a fragment other
/// than the first only the address changes.
pub(crate) fn rewrite(bytes: &mut [u8], headers: &mut Headers, end: End, to: Endpoint) {
    let port = port(headers, end);
    let mut delta = rewrite_address_field(bytes, headers, end, to.address);
    if let Some((at, old)) = port
        && old != to.port
    {
        put_u16(bytes, headers.transport_at + at, to.port);
        delta = delta.word(old, to.port);
        set_port(headers, end, to.port);
    }
    update_transport_checksum(bytes, headers, delta);
}

/// Replaces the address of one end of a packet, and leaves the port.
pub(crate) fn rewrite_address(bytes: &mut [u8], headers: &mut Headers, end: End, to: Address) {
    let delta = rewrite_address_field(bytes, headers, end, to);
    update_transport_checksum(bytes, headers, delta);
}

/// Decrements the time to live.
pub fn decrement_ttl(bytes: &mut [u8], headers: &mut Headers) {
    let new = headers.ttl.saturating_sub(1);
    if headers.is_v4() {
        let word = u16::from_be_bytes([headers.ttl, headers_protocol_byte(bytes)]);
        let changed = u16::from_be_bytes([new, headers_protocol_byte(bytes)]);
        update_ip_checksum(bytes, Delta::default().word(word, changed));
        put(bytes, 8, &[new]);
    } else {
        put(bytes, 7, &[new]);
    }
    headers.ttl = new;
}

/// Replaces the identification of an IPv4 packet; does nothing for IPv6.
pub(crate) fn rewrite_id(bytes: &mut [u8], headers: &mut Headers, id: u16) {
    let Some(old) = u16_at(bytes, 4).filter(|_| headers.is_v4()) else {
        return;
    };
    update_ip_checksum(bytes, Delta::default().word(old, id));
    put_u16(bytes, 4, id);
    if let Some(fragment) = &mut headers.fragment {
        fragment.id = u32::from(id);
    }
}

/// Applies a change to the checksum of the transport header, which covers the changed fields.
pub(crate) fn update_transport_checksum(bytes: &mut [u8], headers: &Headers, delta: Delta) {
    let Some(at) = transport_checksum_at(headers) else {
        return;
    };
    let Some(old) = u16_at(bytes, at) else {
        return; // a quoted packet may end before its checksum
    };
    let udp = headers.protocol == protocol::UDP;
    if udp && old == 0 {
        return;
    }
    match delta.apply(old) {
        // Zero would say that the packet has no checksum.
        0 if udp => put_u16(bytes, at, 0xffff),
        new => put_u16(bytes, at, new),
    }
}

/// Returns the offset of the transport checksum; `None` if the packet has none.
pub(crate) fn transport_checksum_at(headers: &Headers) -> Option<usize> {
    let offset = match headers.transport {
        Transport::Later | Transport::Unknown => return None,
        Transport::Udp { .. } => 6,
        Transport::Tcp { .. } => 16,
        Transport::Query { .. } | Transport::Error | Transport::OtherIcmp => 2,
    };
    Some(headers.transport_at + offset)
}

/// Replaces an address and updates the checksum of the IPv4 header; returns the change that the
/// transport checksum needs.
fn rewrite_address_field(bytes: &mut [u8], headers: &mut Headers, end: End, to: Address) -> Delta {
    let (old, v4_at, v6_at) = match end {
        End::Source => (headers.source, 12, 8),
        End::Destination => (headers.destination, 16, 24),
    };
    let delta = Delta::default().address(old, to);
    match (headers.is_v4(), to.to_v4()) {
        (true, Some(bits)) => {
            put(bytes, v4_at, &bits.to_be_bytes());
            update_ip_checksum(bytes, delta);
        }
        (false, None) => put(bytes, v6_at, &to.bits().to_be_bytes()),
        _ => return Delta::default(), // families never mix here: NAT64 builds new headers
    }
    match end {
        End::Source => headers.source = to,
        End::Destination => headers.destination = to,
    }
    if headers.protocol == protocol::ICMP {
        Delta::default() // ICMP for IPv4 has no pseudo-header
    } else {
        delta
    }
}

fn update_ip_checksum(bytes: &mut [u8], delta: Delta) {
    if let Some(old) = u16_at(bytes, 10) {
        put_u16(bytes, 10, delta.apply(old));
    }
}

/// Returns the port of an end and its offset in the transport header.
fn port(headers: &Headers, end: End) -> Option<(usize, u16)> {
    match (headers.transport, end) {
        (Transport::Udp { source, .. } | Transport::Tcp { source, .. }, End::Source) => {
            Some((0, source))
        }
        (
            Transport::Udp { destination, .. } | Transport::Tcp { destination, .. },
            End::Destination,
        ) => Some((2, destination)),
        (Transport::Query { id, .. }, _) => Some((4, id)),
        _ => None,
    }
}

fn set_port(headers: &mut Headers, end: End, new: u16) {
    match (&mut headers.transport, end) {
        (Transport::Udp { source, .. } | Transport::Tcp { source, .. }, End::Source) => {
            *source = new;
        }
        (
            Transport::Udp { destination, .. } | Transport::Tcp { destination, .. },
            End::Destination,
        ) => *destination = new,
        (Transport::Query { id, .. }, _) => *id = new,
        _ => {}
    }
}

fn headers_protocol_byte(bytes: &[u8]) -> u8 {
    u8_at(bytes, 9).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{build, verify};
    use proptest::prelude::*;
    use std::net::SocketAddr;

    #[test]
    fn a_udp_packet_without_a_checksum_stays_without_one() {
        let mut bytes = build::udp(socket("10.0.0.1:5"), socket("192.0.2.1:7"), b"x");
        put_u16(&mut bytes, 26, 0);
        let mut headers = Headers::parse(&bytes).unwrap();
        let to = Endpoint::from(socket("203.0.113.9:4242"));
        rewrite(&mut bytes, &mut headers, End::Source, to);
        assert_eq!(u16_at(&bytes, 26), Some(0));
        assert_eq!(Headers::parse(&bytes).unwrap(), headers);
    }

    #[test]
    fn the_time_to_live_falls_by_one_and_the_checksum_follows() {
        let mut bytes = build::udp(socket("10.0.0.1:5"), socket("192.0.2.1:7"), b"x");
        let mut headers = Headers::parse(&bytes).unwrap();
        decrement_ttl(&mut bytes, &mut headers);
        assert_eq!(Headers::parse(&bytes).unwrap().ttl, 63);
        verify(&bytes).unwrap();
    }

    fn endpoints() -> impl Strategy<Value = (SocketAddr, SocketAddr, SocketAddr)> {
        let v4 = (any::<[u32; 3]>(), any::<[u16; 3]>()).prop_map(|(ip, port)| {
            let at = |i: usize| SocketAddr::from((std::net::Ipv4Addr::from_bits(ip[i]), port[i]));
            (at(0), at(1), at(2))
        });
        let v6 = (any::<[u128; 3]>(), any::<[u16; 3]>()).prop_map(|(ip, port)| {
            let at = |i: usize| {
                SocketAddr::from((std::net::Ipv6Addr::from_bits(ip[i] | 1 << 127), port[i]))
            };
            (at(0), at(1), at(2))
        });
        prop_oneof![v4, v6]
    }

    proptest! {
        #[test]
        fn checksums_stay_right_whatever_is_rewritten(
            (from, to, new) in endpoints(),
            data in proptest::collection::vec(any::<u8>(), 0..40),
            source in any::<bool>(),
            kind in 0..3,
        ) {
            let mut bytes = match kind {
                0 => build::udp(from, to, &data),
                1 => build::tcp(from, to, TcpFlags(2), &data),
                _ => build::echo(from.ip(), to.ip(), from.port(), 1, false, &data),
            };
            let mut headers = Headers::parse(&bytes).unwrap();
            let end = if source { End::Source } else { End::Destination };
            rewrite(&mut bytes, &mut headers, end, new.into());
            prop_assert!(verify(&bytes).is_ok());
            prop_assert_eq!(Headers::parse(&bytes).unwrap(), headers);
        }
    }

    use crate::packet::TcpFlags;

    fn socket(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }
}
