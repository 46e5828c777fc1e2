//! Which protocol speaks, told from its first bytes alone.
//!
//! One port serves everything, in the clear and once more inside TLS. On TCP the first bytes
//! tell a TLS record from an HTTP method from a STUN message. Datagrams are told apart by
//! [`PacketType`] in the TURN driver, since it alone sees them.

use jackfield_sansio::PacketType;

/// A protocol that a TCP or TLS connection may begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// A TLS ClientHello.
    Tls,
    /// HTTP/1.1 or HTTP/2, with WebSocket and Socket.IO inside.
    Http,
    /// STUN and TURN messages.
    Stun,
    /// None of ours.
    Unknown,
}

/// Tells the protocol from the first bytes of a stream; `None` asks for more of them.
///
/// Eight bytes always decide.
#[must_use]
pub fn classify(first_bytes: &[u8]) -> Option<Protocol> {
    match *first_bytes {
        [] => None,
        // A record of type handshake (22), version 3.x: RFC 8446 §5.1.
        [22] => None,
        [22, 3, ..] => Some(Protocol::Tls),
        // The two leading zero bits of STUN (RFC 8489 §5); the magic cookie is the fifth to eighth
        // byte.
        [first, ..] if PacketType::from_first_byte(first) == PacketType::Stun => {
            stun_so_far(first_bytes)
        }
        // A method is upper-case letters; so is the HTTP/2 preface.
        [b'A'..=b'Z', ..] => Some(Protocol::Http),
        _ => Some(Protocol::Unknown),
    }
}

/// Waits for the cookie only while what came could still be STUN.
fn stun_so_far(first_bytes: &[u8]) -> Option<Protocol> {
    const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
    let after_length = first_bytes.get(4..).unwrap_or_default();
    if after_length.starts_with(&COOKIE) {
        Some(Protocol::Stun)
    } else if COOKIE.starts_with(after_length) {
        None
    } else {
        Some(Protocol::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BINDING: [u8; 8] = [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];

    #[test]
    fn first_bytes_tell_the_protocol() {
        let table: &[(&[u8], Protocol)] = &[
            (&[22, 3, 1, 2, 0], Protocol::Tls),
            (&[22, 3], Protocol::Tls),
            (b"GET / HTTP/1.1\r\n", Protocol::Http),
            (b"OPTIONS * HTTP/1.1\r\n", Protocol::Http),
            (b"PRI * HTTP/2.0\r\n", Protocol::Http),
            (b"P", Protocol::Http),
            (&BINDING, Protocol::Stun),
            (&[1, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 9, 9], Protocol::Stun),
            (&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x43], Protocol::Unknown),
            (&[0, 1, 0, 0, 0x99], Protocol::Unknown),
            (&[22, 9], Protocol::Unknown),
            (&[0x40, 0, 0, 4], Protocol::Unknown), // ChannelData cannot come first
            (b"get / http/1.1", Protocol::Unknown),
            (&[0xFF], Protocol::Unknown),
            (&[0x80, 0x80, 1], Protocol::Unknown), // SSL 2
        ];
        for (bytes, protocol) in table {
            assert_eq!(classify(bytes), Some(*protocol), "{bytes:?}");
        }
    }

    #[test]
    fn more_bytes_are_asked_for_while_they_could_decide() {
        assert_eq!(classify(&[]), None);
        assert_eq!(classify(&[22]), None);
        for length in 1..8 {
            assert_eq!(classify(&BINDING[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn eight_bytes_always_decide() {
        for first in 0..=255 {
            for rest in [0, 3, 0x21, 0xFF] {
                assert!(classify(&[first, rest, rest, rest, rest, rest, rest, rest]).is_some());
            }
        }
    }
}
