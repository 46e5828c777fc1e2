//! Translates ICMP errors and the packets quoted in them
//! ([RFC 7915 §4.2, §5.2](https://www.rfc-editor.org/rfc/rfc7915#section-4.2)).

use super::{Header, TranslateError, header, transport};
use crate::Endpoint;
use crate::packet::bytes::{put, u8_at, u16_at, u32_at};
use crate::packet::{Headers, Packet, build, protocol};

/// A packet quoted in an error, with its ends in the other IP version.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quote {
    pub(crate) headers: Headers,
    pub(crate) source: Endpoint,
    pub(crate) destination: Endpoint,
}

/// Replaces an error by that of the other IP version, with its quoted packet.
///
/// `mtu` is that of the links on both sides; the error never states a larger one. Extensions
/// ([RFC 4884](https://www.rfc-editor.org/rfc/rfc4884)) are kept where the error of the
/// other version has a place for them and they fit.
///
/// # Errors
/// Fails when the other version has no such error, and when the buffer has no room for it.
pub(crate) fn error(
    packet: &mut Packet<'_>,
    headers: &Headers,
    outer: Header,
    quote: Quote,
    mtu: Option<u16>,
) -> Result<(), TranslateError> {
    let built = build_error(packet.bytes(), headers, outer, quote, mtu);
    if packet.replace(&built.ok_or(TranslateError::Untranslatable)?) {
        Ok(())
    } else {
        Err(TranslateError::NoHeadroom)
    }
}

fn build_error(
    bytes: &[u8],
    headers: &Headers,
    outer: Header,
    quote: Quote,
    mtu: Option<u16>,
) -> Option<Vec<u8>> {
    let v4 = headers.is_v4();
    let start = bytes.get(headers.transport_at..headers.length)?;
    let limit = u32::from(mtu.unwrap_or(u16::MAX));
    let message = if v4 {
        start_of_v6(start, limit)?
    } else {
        // The IPv4 sender of the quoted packet counts without the longer IPv6 header, and without
        // a fragment header.
        let difference = 40 - 20 + u32::from(quote.headers.fragment.is_some()) * 8;
        start_of_v4(start, limit, difference)?
    };
    let (original, extension) = parts(start, v4);
    let original = quoted(original, quote).ok()?;
    let (protocol, most) = if v4 {
        // RFC 4443 §2.4 and RFC 1812 §4.3.2.3 limit an error to these lengths, so that it needs no
        // fragments.
        (protocol::ICMPV6, 1280 - 40)
    } else {
        (protocol::ICMP, 576 - 20)
    };
    let message = join(message, original, extension, !v4, most);
    let (source, destination) = (outer.source.into(), outer.destination.into());
    let mut packet = build::ip(source, destination, protocol, &message);
    set_ttl(&mut packet, outer.ttl);
    Some(packet)
}

/// Returns the quoted packet of an error, as long as the length field states, and the extension
/// behind it.
fn parts(message: &[u8], v4: bool) -> (&[u8], &[u8]) {
    let kind = u8_at(message, 0).unwrap_or(0);
    let length = match (v4, kind) {
        (true, 3 | 11 | 12) => usize::from(u8_at(message, 5).unwrap_or(0)) * 4,
        (false, 1 | 3) => usize::from(u8_at(message, 4).unwrap_or(0)) * 8,
        _ => 0,
    };
    let quote = message.get(8..).unwrap_or_default();
    match quote.split_at_checked(length) {
        Some(parts) if length > 0 => parts,
        _ => (quote, &[]),
    }
}

/// Puts an error together, no longer than `most`. An extension comes after at least 128 bytes,
/// which the length field counts in words of 4 bytes, in ICMPv6 of 8.
fn join(
    mut start: [u8; 8],
    mut original: Vec<u8>,
    extension: &[u8],
    to_v4: bool,
    most: usize,
) -> Vec<u8> {
    let [kind, ..] = start;
    let (word, length_at, extensible) = if to_v4 {
        (4, 5, matches!(kind, 3 | 11 | 12))
    } else {
        (8, 4, matches!(kind, 1 | 3))
    };
    let room = most.saturating_sub(start.len() + extension.len()) / word * word;
    let mut tail: &[u8] = &[];
    if extensible && !extension.is_empty() && room >= LEAST_ORIGINAL {
        original.truncate(room);
        let padded = original.len().next_multiple_of(word).max(LEAST_ORIGINAL);
        original.resize(padded, 0);
        put(&mut start, length_at, &[(padded / word) as u8]);
        tail = extension;
    }
    let mut message = [&start[..], &original, tail].concat();
    message.truncate(most);
    message
}

fn quoted(bytes: &[u8], quote: Quote) -> Result<Vec<u8>, TranslateError> {
    let Quote {
        headers,
        source,
        destination,
    } = quote;
    let mut buffer = vec![0; Packet::HEADROOM];
    buffer.extend(bytes);
    let mut packet = Packet::with_headroom(&mut buffer, Packet::HEADROOM);
    transport(packet.bytes_mut(), &headers, source, destination)?;
    let new = Header {
        source: source.address,
        destination: destination.address,
        ttl: headers.ttl,
        id: 0,
    };
    header(&mut packet, &headers, new)?;
    Ok(packet.bytes().to_vec())
}

fn set_ttl(packet: &mut [u8], ttl: u8) {
    if u8_at(packet, 0).map(|byte| byte >> 4) == Some(4) {
        put(packet, 8, &[ttl]);
        build::fill_ip_checksum(packet);
    } else {
        put(packet, 7, &[ttl]);
    }
}

/// Returns the first eight bytes of the ICMPv6 error that an ICMP error becomes.
fn start_of_v6(message: &[u8], limit: u32) -> Option<[u8; 8]> {
    let (kind, code) = (u8_at(message, 0)?, u8_at(message, 1)?);
    match (kind, code) {
        (3, 0 | 1 | 5..=8 | 11 | 12) => Some(start(1, 0, 0)),
        (3, 2) => Some(start(4, 1, 6)),
        (3, 3) => Some(start(1, 4, 0)),
        (3, 4) => {
            let mtu = match u16_at(message, 6)? {
                0 => plateau(u16_at(message, 10).unwrap_or(0)),
                mtu => u32::from(mtu),
            };
            Some(start(2, 0, (mtu + 20).min(limit).max(1280)))
        }
        (3, 9 | 10 | 13 | 15) => Some(start(1, 1, 0)),
        (11, code) => Some(start(3, code, 0)),
        (12, 0 | 2) => Some(start(4, 0, pointer_in_v6(u8_at(message, 4)?)?)),
        _ => None,
    }
}

/// Returns the first eight bytes of the ICMP error that an ICMPv6 error becomes.
fn start_of_v4(message: &[u8], limit: u32, difference: u32) -> Option<[u8; 8]> {
    let (kind, code) = (u8_at(message, 0)?, u8_at(message, 1)?);
    match (kind, code) {
        (1, 0 | 2 | 3) => Some(start(3, 1, 0)),
        (1, 1) => Some(start(3, 10, 0)),
        (1, 4) => Some(start(3, 3, 0)),
        (2, _) => {
            let mtu = u32_at(message, 4)?.min(limit);
            Some(start(3, 4, mtu.saturating_sub(difference)))
        }
        (3, code) => Some(start(11, code, 0)),
        (4, 0) => {
            let pointer = pointer_in_v4(u32_at(message, 4)?)?;
            Some(start(12, 0, u32::from(pointer) << 24))
        }
        (4, 1) => Some(start(3, 2, 0)),
        _ => None,
    }
}

fn start(kind: u8, code: u8, rest: u32) -> [u8; 8] {
    let [a, b, c, d] = rest.to_be_bytes();
    [kind, code, 0, 0, a, b, c, d]
}

/// Returns the MTU to try when a router does not state the one that a packet of `length` bytes
/// exceeded ([RFC 1191 §7](https://www.rfc-editor.org/rfc/rfc1191#section-7)).
fn plateau(length: u16) -> u32 {
    const PLATEAUS: [u32; 10] = [32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68];
    let fits = |mtu: &u32| *mtu < u32::from(length);
    PLATEAUS.into_iter().find(|mtu| fits(mtu)).unwrap_or(68)
}

/// Returns the offset in an IPv6 header of the field at an offset in an IPv4 header
/// ([RFC 7915 §4.2](https://www.rfc-editor.org/rfc/rfc7915#section-4.2), figure 3).
fn pointer_in_v6(pointer: u8) -> Option<u32> {
    match pointer {
        0 | 1 => Some(u32::from(pointer)),
        2 | 3 => Some(4),
        8 => Some(7),
        9 => Some(6),
        12..=15 => Some(8),
        16..=19 => Some(24),
        _ => None,
    }
}

/// Returns the offset in an IPv4 header of the field at an offset in an IPv6 header
/// ([RFC 7915 §5.2](https://www.rfc-editor.org/rfc/rfc7915#section-5.2), figure 6).
fn pointer_in_v4(pointer: u32) -> Option<u8> {
    match pointer {
        0 => Some(0),
        1 => Some(1),
        4 | 5 => Some(2),
        6 => Some(9),
        7 => Some(8),
        8..=23 => Some(12),
        24..=39 => Some(16),
        _ => None,
    }
}

/// How much of a packet an error with an extension quotes at least, in bytes
/// ([RFC 4884 §4](https://www.rfc-editor.org/rfc/rfc4884#section-4)).
const LEAST_ORIGINAL: usize = 128;
