//! Which protocol a packet is of, by its first byte ([RFC 7983], [RFC 9443]).
//!
//! [RFC 7983]: https://www.rfc-editor.org/rfc/rfc7983#section-7
//! [RFC 9443]: https://www.rfc-editor.org/rfc/rfc9443#section-3

/// The protocol of a packet on a port that several protocols share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PacketType {
    /// STUN and TURN requests, responses and indications: 0 to 3.
    Stun,
    /// ZRTP: 16 to 19.
    Zrtp,
    /// DTLS: 20 to 63.
    Dtls,
    /// TURN's ChannelData: 64 to 79.
    ///
    /// QUIC packets with a short header may begin so, too; the two cannot share a port unless
    /// each knows its peers.
    TurnChannel,
    /// QUIC with a short header: 80 to 127.
    ///
    /// Channel numbers of RFC 5766 reach up to 0x7FFF, so that on a port without QUIC this is
    /// ChannelData as well.
    QuicShort,
    /// QUIC with a long header: 192 to 255.
    QuicLong,
    /// RTP and RTCP: 128 to 191.
    Rtp,
    /// No protocol of these: 4 to 15, or an empty packet.
    Unknown,
}

impl PacketType {
    /// Returns the protocol of a packet that starts with this byte.
    ///
    /// ```
    /// use jackfield_sansio::PacketType;
    ///
    /// assert_eq!(PacketType::from_first_byte(0x00), PacketType::Stun);
    /// assert_eq!(PacketType::from_first_byte(0x16), PacketType::Dtls); // a handshake record
    /// ```
    #[must_use]
    pub const fn from_first_byte(byte: u8) -> Self {
        match byte {
            0..=3 => Self::Stun,
            4..=15 => Self::Unknown,
            16..=19 => Self::Zrtp,
            20..=63 => Self::Dtls,
            64..=79 => Self::TurnChannel,
            80..=127 => Self::QuicShort,
            128..=191 => Self::Rtp,
            192..=255 => Self::QuicLong,
        }
    }

    /// Returns the protocol of a packet; an empty one has none.
    #[must_use]
    pub fn of(packet: &[u8]) -> Self {
        match packet.first() {
            Some(byte) => Self::from_first_byte(*byte),
            None => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_fall_into_the_ranges_of_rfc_9443() {
        use PacketType::{Dtls, QuicLong, QuicShort, Rtp, Stun, TurnChannel, Unknown, Zrtp};
        let edges = [
            (0, 3, Stun),
            (4, 15, Unknown),
            (16, 19, Zrtp),
            (20, 63, Dtls),
            (64, 79, TurnChannel),
            (80, 127, QuicShort),
            (128, 191, Rtp),
            (192, 255, QuicLong),
        ];
        for (first, last, kind) in edges {
            for byte in [first, last] {
                assert_eq!(PacketType::of(&[byte, 0]), kind, "{byte}");
            }
        }
        assert_eq!(PacketType::of(&[]), Unknown);
    }
}
