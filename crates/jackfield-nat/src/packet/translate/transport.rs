//! Translates transport headers to the other IP version.

use super::TranslateError;
use crate::Endpoint;
use crate::packet::bytes::{put, put_u16, u16_at};
use crate::packet::checksum::{self, Delta};
use crate::packet::rewrite::{transport_checksum_at, update_transport_checksum};
use crate::packet::{Headers, Transport, build, protocol};

/// Writes the ports, the ICMP type and the checksum that a packet has between two endpoints of the
/// other IP version. Its IP header stays as it is.
///
/// The identifier of an ICMP query is the port of its inside end: the source in IPv6, the
/// destination in IPv4.
pub(crate) fn transport(
    bytes: &mut [u8],
    headers: &Headers,
    source: Endpoint,
    destination: Endpoint,
) -> Result<(), TranslateError> {
    match headers.transport {
        Transport::Udp { .. } | Transport::Tcp { .. } => ports(bytes, headers, source, destination),
        Transport::Query { .. } => query(bytes, headers, source, destination),
        Transport::Later => Ok(()),
        // A protocol without ports goes on as it is, but for IGMP, which ends at the next router.
        Transport::Unknown if headers.protocol != protocol::IGMP => Ok(()),
        Transport::Error | Transport::OtherIcmp | Transport::Unknown => {
            Err(TranslateError::Untranslatable)
        }
    }
}

fn ports(
    bytes: &mut [u8],
    headers: &Headers,
    source: Endpoint,
    destination: Endpoint,
) -> Result<(), TranslateError> {
    let (Some(old_source), Some(old_destination)) =
        (headers.source_endpoint(), headers.destination_endpoint())
    else {
        return Err(TranslateError::Untranslatable);
    };
    put_u16(bytes, headers.transport_at, source.port);
    put_u16(bytes, headers.transport_at + 2, destination.port);
    // IPv6 has no checksum in its header, so UDP must have one there.
    if lacks_checksum(bytes, headers) {
        return compute(bytes, headers, source, destination);
    }
    let delta = Delta::default()
        .address(old_source.address, source.address)
        .address(old_destination.address, destination.address)
        .word(old_source.port, source.port)
        .word(old_destination.port, destination.port);
    update_transport_checksum(bytes, headers, delta);
    Ok(())
}

/// Returns whether a UDP packet over IPv4 has no checksum, which IPv6 does not allow.
fn lacks_checksum(bytes: &[u8], headers: &Headers) -> bool {
    let udp = matches!(headers.transport, Transport::Udp { .. });
    udp && headers.is_v4() && u16_at(bytes, headers.transport_at + 6) == Some(0)
}

/// Computes a missing checksum, which needs the whole datagram
/// ([RFC 7915 §4.5](https://www.rfc-editor.org/rfc/rfc7915#section-4.5)).
fn compute(
    bytes: &mut [u8],
    headers: &Headers,
    source: Endpoint,
    destination: Endpoint,
) -> Result<(), TranslateError> {
    if headers.fragment.is_some() {
        return Err(TranslateError::Untranslatable);
    }
    // A packet quoted in an error is cut short, and its receiver does not check the checksum, so
    // the field stays as it is.
    if let Some(packet) = bytes.get_mut(..headers.length) {
        build::fill_transport_checksum(
            packet,
            headers.transport_at,
            source.address,
            destination.address,
            protocol::UDP,
        );
    }
    Ok(())
}

/// Translates an echo message. The other queries exist in IPv4 only.
fn query(
    bytes: &mut [u8],
    headers: &Headers,
    source: Endpoint,
    destination: Endpoint,
) -> Result<(), TranslateError> {
    let partial = headers
        .fragment
        .is_some_and(|fragment| fragment.more || fragment.offset > 0);
    let at = headers.transport_at;
    let (Some(old_type), Some(old_id), false) = (u16_at(bytes, at), u16_at(bytes, at + 4), partial)
    else {
        // The ICMPv6 checksum covers the length of the message, which a fragment does not know.
        return Err(TranslateError::Untranslatable);
    };
    let [kind, code] = old_type.to_be_bytes();
    let new_kind = match (headers.is_v4(), kind) {
        (true, 8) => 128,
        (true, 0) => 129,
        (false, 128) => 8,
        (false, 129) => 0,
        _ => return Err(TranslateError::Untranslatable),
    };
    let id = if headers.is_v4() {
        destination.port
    } else {
        source.port
    };
    let length = headers.length - at;
    let pseudo_header = |source, destination| {
        checksum::pseudo_header(source, destination, protocol::ICMPV6, length)
    };
    // ICMPv6 covers a pseudo-header and ICMP for IPv4 does not, so it is added or taken away.
    let (before, after) = if headers.is_v4() {
        (0, pseudo_header(source.address, destination.address))
    } else {
        (pseudo_header(headers.source, headers.destination), 0)
    };
    let delta = Delta::default()
        .word(old_type, u16::from_be_bytes([new_kind, code]))
        .word(old_id, id)
        .sums(before, after);
    put(bytes, at, &[new_kind]);
    put_u16(bytes, at + 4, id);
    if let Some(field) = transport_checksum_at(headers)
        && let Some(old) = u16_at(bytes, field)
    {
        put_u16(bytes, field, delta.apply(old));
    }
    Ok(())
}
