//! Offload: the header by which Linux leaves checksums and segmentation to the other side of an
//! interface.

use super::bytes::{put_u16, u16_at};
use super::checksum::{self, finish, fold, sum};
use super::{Headers, protocol};

/// The work that the kernel has left undone on a packet that it hands over, or is asked to do on
/// one that it takes: `struct virtio_net_hdr` (virtio 1.2 §5.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offload {
    flags: u8,
    train: u8,
    header: u16,
    segment: u16,
    sum_from: u16,
    sum_at: u16,
}

/// The protocol of a train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainKind {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP over either.
    Udp,
}

impl Offload {
    /// Nothing is left to do: a whole packet with its checksum.
    pub const NONE: Self = Self {
        flags: 0,
        train: 0,
        header: 0,
        segment: 0,
        sum_from: 0,
        sum_at: 0,
    };

    /// Describes a train: where its data starts, how much data each packet gets, and where the
    /// checksum is.
    #[must_use]
    pub fn train(
        kind: TrainKind,
        data_at: usize,
        segment: usize,
        sum_from: usize,
        sum_at: usize,
    ) -> Self {
        Self {
            flags: NEEDS_CHECKSUM,
            train: match kind {
                TrainKind::Tcp4 => TRAIN_TCP4,
                TrainKind::Tcp6 => TRAIN_TCP6,
                TrainKind::Udp => TRAIN_UDP,
            },
            header: data_at as u16,
            segment: segment as u16,
            sum_from: sum_from as u16,
            sum_at: sum_at as u16,
        }
    }

    /// Returns whether the checksum is left out.
    #[inline]
    #[must_use]
    pub fn needs_checksum(self) -> bool {
        self.flags & NEEDS_CHECKSUM != 0
    }

    /// Length of the header in front of each packet, in bytes.
    pub const LENGTH: usize = 10;

    /// Reads the header, in the byte order of this machine.
    #[inline]
    #[must_use]
    pub fn read(bytes: [u8; Self::LENGTH]) -> Self {
        let [flags, train, a, b, c, d, e, f, g, h] = bytes;
        Self {
            flags,
            train,
            header: u16::from_ne_bytes([a, b]),
            segment: u16::from_ne_bytes([c, d]),
            sum_from: u16::from_ne_bytes([e, f]),
            sum_at: u16::from_ne_bytes([g, h]),
        }
    }

    /// Returns the header's bytes, in the byte order of this machine.
    #[inline]
    #[must_use]
    pub fn bytes(self) -> [u8; Self::LENGTH] {
        let [a, b] = self.header.to_ne_bytes();
        let [c, d] = self.segment.to_ne_bytes();
        let [e, f] = self.sum_from.to_ne_bytes();
        let [g, h] = self.sum_at.to_ne_bytes();
        [self.flags, self.train, a, b, c, d, e, f, g, h]
    }

    /// Returns whether the packet is several segments under one header.
    #[inline]
    #[must_use]
    pub fn is_train(self) -> bool {
        self.train & !TRAIN_ECN != 0
    }

    /// Returns how much data each packet of a train has.
    #[cfg(test)]
    pub(crate) fn segment(self) -> usize {
        self.segment.into()
    }

    /// Returns how many packets this is on a wire.
    #[inline]
    #[must_use]
    pub fn packets(self, length: usize) -> u64 {
        let data = length.saturating_sub(usize::from(self.header));
        match usize::from(self.segment) {
            segment if segment > 0 && self.is_train() => data.div_ceil(segment).max(1) as u64,
            _ => 1,
        }
    }

    /// Computes the checksum that the kernel left out. That of a train stays out, since each of
    /// its segments gets one of its own.
    pub fn complete(&mut self, packet: &mut [u8]) {
        if self.flags & NEEDS_CHECKSUM == 0 || self.is_train() {
            return;
        }
        // The field holds the sum of the pseudo-header, so it is summed up with the rest.
        let from = usize::from(self.sum_from);
        let sum = finish(sum(packet.get(from..).unwrap_or_default()));
        // In UDP a checksum of 0 would say that there is none; in TCP 0xffff is the same number.
        let sum = if sum == 0 { 0xffff } else { sum };
        put_u16(packet, from + usize::from(self.sum_at), sum);
        *self = Self::NONE;
    }

    /// Computes the checksum that the kernel left out, as if a train were one long packet.
    pub fn finish(&mut self, packet: &mut [u8]) {
        self.train = 0;
        self.complete(packet);
    }

    /// Fits the header, and the part of the checksum that it leaves to be summed up, to a packet
    /// that was translated.
    ///
    /// The translation updated the checksum as if it were complete, over ports too; what belongs
    /// there is the sum of the pseudo-header alone.
    pub fn renew(&mut self, packet: &mut [u8]) {
        self.flags &= NEEDS_CHECKSUM;
        if self.flags == 0 {
            return;
        }
        if !self.is_train()
            && let Some((transport_at, sum)) = plain_pseudo_header(packet)
        {
            self.sum_from = transport_at;
            put_u16(
                packet,
                usize::from(transport_at) + usize::from(self.sum_at),
                sum,
            );
            return;
        }
        let Ok(headers) = Headers::parse(packet) else {
            return;
        };
        let data_at = headers.data_at(packet);
        if self.is_train() {
            self.header = data_at as u16;
            self.train = train_of_family(self.train, headers.is_v4());
        }
        self.sum_from = headers.transport_at as u16;
        let at = headers.transport_at + usize::from(self.sum_at);
        put_u16(packet, at, pseudo_header(&headers));
    }
}

/// A train of TCP says of which IP version it is; one of UDP does not.
fn train_of_family(train: u8, v4: bool) -> u8 {
    match (train & !TRAIN_ECN, v4) {
        (TRAIN_TCP4 | TRAIN_TCP6, true) => TRAIN_TCP4 | train & TRAIN_ECN,
        (TRAIN_TCP4 | TRAIN_TCP6, false) => TRAIN_TCP6 | train & TRAIN_ECN,
        _ => train,
    }
}

/// Returns the sum over a packet's pseudo-header; ICMP for IPv4 has none.
fn pseudo_header(headers: &Headers) -> u16 {
    if headers.protocol == protocol::ICMP {
        return 0;
    }
    let length = headers.length.saturating_sub(headers.transport_at);
    let (from, to) = (headers.source, headers.destination);
    let sum = checksum::pseudo_header(from, to, headers.protocol, length);
    fold(sum.into())
}

/// Returns where the transport's header starts and the sum over the pseudo-header, for the
/// plainest of packets: UDP and TCP without IP options or extension headers.
fn plain_pseudo_header(packet: &[u8]) -> Option<(u16, u16)> {
    let word = |at: usize| u16_at(packet, at).map(u32::from);
    let (transport_at, protocol, addresses, length) = match packet.first()? {
        0x45 => (
            20,
            *packet.get(9)?,
            packet.get(12..20)?,
            word(2)?.checked_sub(20)?,
        ),
        first if first >> 4 == 6 => (40, *packet.get(6)?, packet.get(8..40)?, word(4)?),
        _ => return None,
    };
    matches!(protocol, protocol::UDP | protocol::TCP).then(|| {
        (
            transport_at,
            fold((sum(addresses) + u32::from(protocol) + length).into()),
        )
    })
}

/// The checksum is to be summed up from `sum_from` on and put `sum_at` bytes behind it.
const NEEDS_CHECKSUM: u8 = 1;
const TRAIN_TCP4: u8 = 1;
const TRAIN_TCP6: u8 = 4;
const TRAIN_UDP: u8 = 5;
const TRAIN_ECN: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Packet, build, verify};
    use crate::{Nat, NatConfig, Verdict};
    use std::time::Instant;

    /// A packet as the kernel hands it over: the sum of the pseudo-header in place of the
    /// checksum.
    fn unfinished(source: &str, destination: &str) -> (Offload, Vec<u8>) {
        let mut packet = build::udp(
            source.parse().unwrap(),
            destination.parse().unwrap(),
            b"odd",
        );
        let headers = Headers::parse(&packet).unwrap();
        put_u16(
            &mut packet,
            headers.transport_at + 6,
            pseudo_header(&headers),
        );
        assert!(verify(&packet).is_err());
        let offload = Offload {
            flags: NEEDS_CHECKSUM,
            sum_from: headers.transport_at as u16,
            sum_at: 6,
            ..Offload::NONE
        };
        (offload, packet)
    }

    #[test]
    fn the_header_survives_the_round_trip() {
        let bytes = [1, 4, 54, 0, 180, 5, 34, 0, 16, 0];
        let offload = Offload::read(bytes);
        assert_eq!(offload.bytes(), bytes);
        assert!(offload.is_train());
    }

    #[test]
    fn a_checksum_that_was_left_out_is_made_up_for() {
        for (source, destination) in [
            ("10.0.0.2:5000", "192.0.2.1:7"),
            ("[2001:db8::2]:5000", "[2001:db8::7]:7"),
        ] {
            let (mut offload, mut packet) = unfinished(source, destination);
            offload.complete(&mut packet);
            assert_eq!(verify(&packet), Ok(()));
            assert_eq!(offload, Offload::NONE);
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant")]
    fn a_checksum_that_is_left_out_fits_the_translated_packet() {
        let config = NatConfig {
            externals: vec!["198.51.100.1".parse().unwrap()],
            ..NatConfig::default()
        };
        let mut nat = Nat::new(config, [7; 32]);
        let (mut offload, mut bytes) = unfinished("10.0.0.2:5000", "192.0.2.1:7");
        let verdict = nat.outbound(Instant::now(), &mut Packet::new(&mut bytes));
        assert_eq!(verdict, Verdict::Forward);
        offload.renew(&mut bytes);
        offload.complete(&mut bytes);
        assert_eq!(verify(&bytes), Ok(()));
    }

    #[test]
    fn a_train_counts_as_the_packets_that_it_becomes() {
        let train = Offload {
            train: TRAIN_TCP4,
            header: 40,
            segment: 1000,
            ..Offload::NONE
        };
        assert_eq!(train.packets(40 + 2001), 3);
        assert_eq!(Offload::NONE.packets(1500), 1);
    }
}
