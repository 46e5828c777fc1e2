//! HEARTBEATs that probe how large packets on the path may be ([RFC 8899 §6.2.1.2]).
//!
//! The RFC fills a probe up with a PAD chunk, which comes back small. `sctp-proto` drops a packet
//! with a chunk that it does not know, so the Heartbeat Information is as long as the probe here:
//! it comes back in the HEARTBEAT ACK ([RFC 9260 §8.3]), and packets of its size have then passed
//! in both directions.
//!
//! [RFC 8899 §6.2.1.2]: https://www.rfc-editor.org/rfc/rfc8899#section-6.2.1.2
//! [RFC 9260 §8.3]: https://www.rfc-editor.org/rfc/rfc9260#section-8.3

/// Returns a packet of `size` bytes, rounded down to a multiple of four, with one HEARTBEAT.
pub(super) fn heartbeat(ports: [u16; 2], tag: [u8; 4], number: u32, size: usize) -> Vec<u8> {
    let size = size.max(SMALLEST) & !3;
    let chunk = (size - COMMON_HEADER) as u16;
    let mut packet = Vec::with_capacity(size);
    packet.extend(ports.map(u16::to_be_bytes).concat());
    packet.extend(tag);
    packet.extend([0; 4]);
    packet.extend([HEARTBEAT, 0]);
    packet.extend(chunk.to_be_bytes());
    packet.extend(HEARTBEAT_INFO.to_be_bytes());
    packet.extend((chunk - 4).to_be_bytes());
    packet.extend(MARK);
    packet.extend(number.to_be_bytes());
    packet.resize(size, 0);
    let checksum = crc32c(&packet).to_le_bytes();
    for (byte, value) in packet.iter_mut().skip(8).zip(checksum) {
        *byte = value;
    }
    packet
}

/// Returns the number of our HEARTBEAT that a packet answers, if it answers one.
pub(super) fn answered(packet: &[u8]) -> Option<u32> {
    let (&[kind, _, _, _, i0, i1, _, _, ref mark @ ..], _) = packet
        .get(COMMON_HEADER..)?
        .split_first_chunk::<{ 8 + MARK.len() }>()?;
    let is_ours = kind == HEARTBEAT_ACK && [i0, i1] == HEARTBEAT_INFO.to_be_bytes();
    let number = packet
        .get(COMMON_HEADER + 8 + MARK.len()..)?
        .first_chunk()?;
    (is_ours && *mark == MARK).then_some(u32::from_be_bytes(*number))
}

/// Returns the tag of the other side, which every packet to it carries but an INIT.
pub(super) fn tag_of(packet: &[u8]) -> Option<[u8; 4]> {
    let is_init = packet.get(COMMON_HEADER) == Some(&INIT);
    let tag = packet.get(4..)?.first_chunk::<4>()?;
    (!is_init).then_some(*tag)
}

/// CRC-32C, bit by bit: a probe is rare.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

const COMMON_HEADER: usize = 12;
const INIT: u8 = 1;
const HEARTBEAT: u8 = 4;
const HEARTBEAT_ACK: u8 = 5;
const HEARTBEAT_INFO: u16 = 1;
const MARK: [u8; 8] = *b"path MTU";
const SMALLEST: usize = COMMON_HEADER + 8 + MARK.len() + 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_has_its_size_and_the_right_checksum() {
        // RFC 3720 §B.4 has the CRC-32C of 32 zero bytes.
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        let packet = heartbeat([5000, 5001], [1, 2, 3, 4], 7, 1203);
        assert_eq!(packet.len(), 1200);
        assert_eq!(packet[..8], [0x13, 0x88, 0x13, 0x89, 1, 2, 3, 4]);
        assert_eq!(packet[12..20], [4, 0, 0x04, 0xA4, 0, 1, 0x04, 0xA0]);
        assert_eq!(answered(&packet), None);
        let mut answer = packet;
        answer[12] = HEARTBEAT_ACK;
        assert_eq!(answered(&answer), Some(7));
        assert_eq!(answered(&answer[..20]), None);
    }

    #[test]
    fn the_tag_is_that_of_any_packet_but_an_init() {
        let mut packet = heartbeat([1, 2], [9, 8, 7, 6], 0, 100);
        assert_eq!(tag_of(&packet), Some([9, 8, 7, 6]));
        packet[12] = INIT;
        assert_eq!(tag_of(&packet), None);
        assert_eq!(tag_of(&[]), None);
    }
}
