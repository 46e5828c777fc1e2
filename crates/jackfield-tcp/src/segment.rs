//! Reads and changes segments on their way to and from smoltcp.

use std::net::SocketAddr;

use jackfield_nat::packet::build::{self, fill_transport_checksum};
use jackfield_nat::packet::{Headers, TcpFlags, Transport, bytes, protocol};

/// The numbers of a segment with an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AckNumbers {
    /// The sequence number after the segment.
    pub(super) next: u32,
    pub(super) acknowledged: u32,
    pub(super) window: u16,
}

impl AckNumbers {
    /// Reads the numbers of a segment that has an acknowledgement and is not a reset.
    pub(super) fn of(packet: &[u8]) -> Option<Self> {
        let headers = Headers::parse(packet).ok()?;
        let Transport::Tcp { flags, .. } = headers.transport else {
            return None;
        };
        if !flags.has(TcpFlags::ACK) || flags.has(TcpFlags::RST) {
            return None;
        }
        let at = headers.transport_at;
        let data = headers.length - headers.data_at(packet);
        let controls = u32::from(flags.has(TcpFlags::SYN)) + u32::from(flags.has(TcpFlags::FIN));
        let sequence = bytes::u32_at(packet, at + 4)?;
        Some(Self {
            next: sequence.wrapping_add(data as u32).wrapping_add(controls),
            acknowledged: bytes::u32_at(packet, at + 8)?,
            window: bytes::u16_at(packet, at + 14)?,
        })
    }

    /// Builds a bare acknowledgement with these numbers.
    pub(super) fn acknowledgement(self, local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
        let mut segment = Vec::with_capacity(20);
        segment.extend(local.port().to_be_bytes());
        segment.extend(remote.port().to_be_bytes());
        segment.extend(self.next.to_be_bytes());
        segment.extend(self.acknowledged.to_be_bytes());
        segment.extend([5 << 4, TcpFlags::ACK]);
        segment.extend(self.window.to_be_bytes());
        segment.extend([0; 4]);
        build::ip(local.ip(), remote.ip(), protocol::TCP, &segment)
    }
}

/// Returns whether a packet is a segment with a SYN.
pub(super) fn is_syn(packet: &[u8]) -> bool {
    Headers::parse(packet).is_ok_and(|headers| {
        matches!(headers.transport, Transport::Tcp { flags, .. } if flags.has(TcpFlags::SYN))
    })
}

/// Removes the SYN of a segment, so that it starts one sequence number later.
pub(super) fn without_syn(packet: &[u8], headers: &Headers) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let at = headers.transport_at;
    let sequence = bytes::u32_at(&packet, at + 4).unwrap_or(0).wrapping_add(1);
    if let Some(place) = packet.get_mut(at + 4..at + 8) {
        place.copy_from_slice(&sequence.to_be_bytes());
    }
    if let Some(flags) = packet.get_mut(at + 13) {
        *flags &= !TcpFlags::SYN;
    }
    let (source, destination) = (headers.source, headers.destination);
    fill_transport_checksum(&mut packet, at, source, destination, protocol::TCP);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_nat::packet::verify;

    #[test]
    fn a_segment_without_its_syn_is_right_and_starts_one_later() {
        let (from, to) = ("192.0.2.1:80", "192.0.2.2:5000");
        let flags = TcpFlags(TcpFlags::SYN | TcpFlags::ACK);
        let packet = build::tcp(from.parse().unwrap(), to.parse().unwrap(), flags, b"");
        let headers = Headers::parse(&packet).unwrap();
        assert_eq!(AckNumbers::of(&packet).unwrap().next, 1);
        let bare = without_syn(&packet, &headers);
        verify(&bare).unwrap();
        assert_eq!(AckNumbers::of(&bare).unwrap().next, 1);
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        let numbers = AckNumbers::of(&bare).unwrap();
        let again = numbers.acknowledgement(from, to);
        verify(&again).unwrap();
        assert_eq!(AckNumbers::of(&again), Some(numbers));
    }
}
