//! Fragmentation of IPv4 packets.

use super::bytes::{put, put_u16};
use super::{Headers, build};

/// Splits an IPv4 packet into fragments of at most `mtu` bytes, in order. Returns `None` when it
/// may not or cannot be split.
///
/// Every fragment repeats the options.
/// [RFC 791 §3.1](https://www.rfc-editor.org/rfc/rfc791#section-3.1) requires that of some
/// options, and the others do no harm.
#[must_use]
pub fn split(bytes: &[u8], headers: &Headers, mtu: usize) -> Option<Vec<Vec<u8>>> {
    if !headers.is_v4() || headers.dont_fragment {
        return None;
    }
    let header = bytes.get(..headers.transport_at)?;
    let data = bytes.get(headers.transport_at..headers.length)?;
    // Offsets count in units of eight bytes, so all pieces but the last are a multiple of that.
    let step = mtu.checked_sub(header.len())? & !7;
    if step == 0 {
        return None;
    }
    let (first, last_has_more) = headers
        .fragment
        .map_or((0, false), |fragment| (fragment.offset, fragment.more));
    let pieces = data.chunks(step).enumerate().map(|(index, piece)| {
        let at = index * step;
        // A fragment that is cut again keeps its flag in the last piece.
        let more = last_has_more || at + piece.len() < data.len();
        fragment(header, piece, first + at, more)
    });
    Some(pieces.collect())
}

fn fragment(header: &[u8], piece: &[u8], offset: usize, more: bool) -> Vec<u8> {
    let mut packet = header.to_vec();
    packet.extend(piece);
    let length = packet.len() as u16;
    put_u16(&mut packet, 2, length);
    let flags = if more { 0x2000 } else { 0 };
    put_u16(&mut packet, 6, flags | (offset / 8) as u16);
    fill_header_checksum(&mut packet, header.len());
    packet
}

fn fill_header_checksum(packet: &mut [u8], header: usize) {
    if header == 20 {
        build::fill_ip_checksum(packet);
        return;
    }
    put(packet, 10, &[0, 0]);
    let sum = super::checksum::sum(packet.get(..header).unwrap_or_default());
    put_u16(packet, 10, super::checksum::finish(sum));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::verify;

    #[test]
    fn fragments_fit_the_mtu_and_add_up_to_the_packet() {
        let data: Vec<u8> = (0..100).collect();
        let packet = build::udp(
            "10.0.0.1:5".parse().unwrap(),
            "192.0.2.1:7".parse().unwrap(),
            &data,
        );
        let headers = Headers::parse(&packet).unwrap();
        let pieces = split(&packet, &headers, 60).unwrap();
        let mut whole: Vec<u8> = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            assert!(piece.len() <= 60);
            verify(piece).unwrap();
            let fragment = Headers::parse(piece).unwrap().fragment.unwrap();
            assert_eq!(fragment.offset, whole.len());
            assert_eq!(fragment.more, index + 1 < pieces.len());
            whole.extend(&piece[20..]);
        }
        assert_eq!(whole, &packet[20..]);
    }
}
