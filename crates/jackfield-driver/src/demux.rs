//! What a datagram is, by its first byte ([RFC 7983], [RFC 9443]).
//!
//! [RFC 7983]: https://www.rfc-editor.org/rfc/rfc7983
//! [RFC 9443]: https://www.rfc-editor.org/rfc/rfc9443

/// The protocol of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DatagramKind {
    /// STUN and TURN requests, responses and indications.
    Stun,
    /// TURN's ChannelData.
    ChannelData,
    /// DTLS.
    Dtls,
    /// QUIC, with a short or a long header.
    Quic,
    /// RTP or RTCP.
    Rtp,
    /// ZRTP, or nothing that has a name.
    Other,
}

/// Returns what a datagram that starts with this byte is.
///
/// ```
/// use jackfield_driver::demux::{DatagramKind, classify};
///
/// assert_eq!(classify(&[0x00, 0x01, 0x00, 0x00]), DatagramKind::Stun);
/// assert_eq!(classify(&[]), DatagramKind::Other);
/// ```
pub fn classify(datagram: &[u8]) -> DatagramKind {
    match datagram.first() {
        Some(0..=3) => DatagramKind::Stun,
        Some(20..=63) => DatagramKind::Dtls,
        Some(64..=79) => DatagramKind::ChannelData,
        Some(80..=127 | 192..=255) => DatagramKind::Quic,
        Some(128..=191) => DatagramKind::Rtp,
        Some(4..=19) | None => DatagramKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_fall_into_the_ranges_of_rfc_9443() {
        use DatagramKind::{ChannelData, Dtls, Other, Quic, Rtp, Stun};
        let edges = [
            (0, Stun),
            (3, Stun),
            (4, Other),
            (19, Other),
            (20, Dtls),
            (63, Dtls),
            (64, ChannelData),
            (79, ChannelData),
            (80, Quic),
            (127, Quic),
            (128, Rtp),
            (191, Rtp),
            (192, Quic),
            (255, Quic),
        ];
        for (byte, kind) in edges {
            assert_eq!(classify(&[byte, 0]), kind, "{byte}");
        }
    }
}
