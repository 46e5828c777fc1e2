//! Replaces IP headers by those of the other version.

use super::TranslateError;
use crate::Address;
use crate::packet::bytes::{put, put_u16, u8_at};
use crate::packet::source_route::{SourceRoute, segments_left, source_route};
use crate::packet::{Headers, Packet, build, protocol};

/// The fields of the new IP header that the old one does not determine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(crate) source: Address,
    pub(crate) destination: Address,
    pub(crate) ttl: u8,
    /// The identification of an IPv4 packet that is not a fragment.
    pub(crate) id: u16,
}

/// Returns the length of the IP header in the other version. An IPv4 fragment gets a fragment
/// header.
pub(crate) fn header_length(headers: &Headers) -> usize {
    match (headers.is_v4(), headers.fragment.is_some()) {
        (true, true) => 48,
        (true, false) => 40,
        (false, _) => 20,
    }
}

/// Replaces the IP header of a packet by one of the other version
/// ([RFC 7915 §4.1, §5.1](https://www.rfc-editor.org/rfc/rfc7915#section-4.1)).
pub(crate) fn header(
    packet: &mut Packet<'_>,
    headers: &Headers,
    new: Header,
) -> Result<(), TranslateError> {
    let bytes = packet.bytes();
    let built = if headers.is_v4() {
        to_v6(bytes, headers, new)
    } else {
        to_v4(bytes, headers, new)
    };
    let (buffer, length) = built.ok_or(TranslateError::Untranslatable)?;
    let header = buffer.get(..length).unwrap_or_default();
    if packet.replace_front(headers.transport_at, header) {
        Ok(())
    } else {
        Err(TranslateError::NoHeadroom)
    }
}

/// The longest header that is built: IPv6 with a fragment header.
type Buffer = ([u8; 48], usize);

fn to_v6(bytes: &[u8], headers: &Headers, new: Header) -> Option<Buffer> {
    let strays = source_route(bytes, headers) == Some(SourceRoute::Ahead);
    if strays || new.source.is_v4() || new.destination.is_v4() {
        return None;
    }
    let length = header_length(headers);
    let data = headers.length - headers.transport_at;
    let next = match headers.protocol {
        protocol::ICMP => protocol::ICMPV6,
        protocol => protocol,
    };
    // RFC 7915 §4.1 copies all eight bits of the type of service by default.
    let tos = u8_at(bytes, 1)?;
    let mut buffer = [0; 48];
    put(&mut buffer, 0, &[0x60 | tos >> 4, tos << 4]);
    put_u16(&mut buffer, 4, u16::try_from(length - 40 + data).ok()?);
    let first = if headers.fragment.is_some() {
        protocol::FRAGMENT
    } else {
        next
    };
    put(&mut buffer, 6, &[first, new.ttl]);
    put(&mut buffer, 8, &new.source.bits().to_be_bytes());
    put(&mut buffer, 24, &new.destination.bits().to_be_bytes());
    if let Some(fragment) = headers.fragment {
        put(&mut buffer, 40, &[next, 0]);
        // The offset is a multiple of eight bytes, so it leaves its low bits free for the flags.
        let place = fragment.offset as u16 | u16::from(fragment.more);
        put_u16(&mut buffer, 42, place);
        put(&mut buffer, 44, &fragment.id.to_be_bytes());
    }
    Some((buffer, length))
}

fn to_v4(bytes: &[u8], headers: &Headers, new: Header) -> Option<Buffer> {
    if segments_left(bytes, headers).is_some() || extends_fragment(headers) {
        return None;
    }
    let (Some(source), Some(destination)) = (new.source.to_v4(), new.destination.to_v4()) else {
        return None;
    };
    let length = u16::try_from(20 + headers.length - headers.transport_at).ok()?;
    let (id, flags) = match headers.fragment {
        Some(fragment) => {
            let more = if fragment.more { 0x2000 } else { 0 };
            (fragment.id as u16, more | (fragment.offset / 8) as u16)
        }
        // RFC 7915 §5.1: packets that fit every IPv6 link may be fragmented behind the translator,
        // whose sender would ignore an error about a smaller MTU than IPv6 has.
        None if length <= 1260 => (new.id, 0),
        None => (new.id, 0x4000),
    };
    let protocol = match headers.protocol {
        protocol::ICMPV6 => protocol::ICMP,
        protocol => protocol,
    };
    let traffic_class = u8_at(bytes, 0)? << 4 | u8_at(bytes, 1)? >> 4;
    let mut buffer = [0; 48];
    put(&mut buffer, 0, &[0x45, traffic_class]);
    put_u16(&mut buffer, 2, length);
    put_u16(&mut buffer, 4, id);
    put_u16(&mut buffer, 6, flags);
    put(&mut buffer, 8, &[new.ttl, protocol]);
    put(&mut buffer, 12, &source.to_be_bytes());
    put(&mut buffer, 16, &destination.to_be_bytes());
    build::fill_ip_checksum(&mut buffer);
    Some((buffer, 20))
}

/// Returns whether extension headers come after a fragment header, where IPv4 has no place for
/// them ([RFC 7915 §5.1.1](https://www.rfc-editor.org/rfc/rfc7915#section-5.1.1)).
fn extends_fragment(headers: &Headers) -> bool {
    let extension = matches!(
        headers.protocol,
        protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::DESTINATION_OPTIONS
            | protocol::AUTHENTICATION
    );
    let data_at = headers.fragment_at.map(|at| at + 8);
    data_at.is_some_and(|at| extension || at != headers.transport_at)
}
