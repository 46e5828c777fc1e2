//! The ICMP errors that routers send.

use super::bytes::{put, u8_at};
use super::{Headers, Transport, build, protocol};
use crate::Address;

/// The ICMP errors that a NAT or router itself sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IcmpError {
    /// The time to live ran out in transit.
    TimeExceeded,
    /// No program listens on the port.
    PortUnreachable,
    /// The host cannot be reached; a carrier-grade NAT's answer to an exhausted quota.
    HostUnreachable,
    /// Communication is administratively prohibited; a NAT's answer when it cannot make a mapping.
    Prohibited,
    /// The protocol of the packet is not supported; in IPv6 a NAT64 sends «port unreachable»
    /// ([RFC 6146 §3.4](https://www.rfc-editor.org/rfc/rfc6146#section-3.4)).
    ProtocolUnreachable,
    /// A byte of the headers is invalid.
    ErroneousHeader {
        /// The offset of the byte in the packet.
        pointer: u8,
    },
    /// The packet cannot follow its source route; IPv6 has no such error.
    SourceRouteFailed,
    /// The packet is larger than the MTU and may not be fragmented.
    TooBig {
        /// The MTU, in bytes.
        mtu: u16,
    },
}

impl IcmpError {
    /// Builds the error about the packet `about`, from `from` to the source of the packet.
    ///
    /// Returns `None` where
    /// [RFC 1122 §3.2.2](https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2) and
    /// [RFC 4443 §2.4](https://www.rfc-editor.org/rfc/rfc4443#section-2.4) forbid an error: about
    /// ICMP errors, fragments other than the first, packets whose source is not one host, and
    /// packets to several hosts. The exception is an IPv6 multicast that is too big.
    #[must_use]
    pub fn about(self, from: Address, about: &[u8]) -> Option<Vec<u8>> {
        let headers = Headers::parse_quoted(about).ok()?;
        let silent = matches!(
            headers.transport,
            Transport::Error | Transport::Later | Transport::OtherIcmp
        );
        let to_many = is_many_hosts(headers.destination);
        let may_be_too_big = matches!(self, Self::TooBig { .. }) && !headers.is_v4();
        let refused = silent || (to_many && !may_be_too_big) || !is_one_host(headers.source);
        if refused || from.is_v4() != headers.is_v4() {
            return None;
        }
        let (kind, code) = self.type_and_code(headers.is_v4())?;
        // The longest errors that RFC 1812 §4.3.2.3 and RFC 4443 §2.4 allow, less their headers.
        let (protocol, most) = if headers.is_v4() {
            (protocol::ICMP, 576 - 28)
        } else {
            (protocol::ICMPV6, 1280 - 48)
        };
        let mut message = vec![kind, code, 0, 0];
        message.extend(self.rest_of_header(headers.is_v4()));
        let end = headers.length.min(about.len()).min(most);
        message.extend(about.get(..end)?);
        let mut packet = build::ip(from.into(), headers.source.into(), protocol, &message);
        copy_class(about, &mut packet);
        Some(packet)
    }

    fn type_and_code(self, v4: bool) -> Option<(u8, u8)> {
        Some(match (self, v4) {
            (Self::TimeExceeded, true) => (11, 0),
            (Self::PortUnreachable, true) => (3, 3),
            (Self::HostUnreachable, true) => (3, 1),
            (Self::Prohibited, true) => (3, 13),
            (Self::ProtocolUnreachable, true) => (3, 2),
            (Self::ProtocolUnreachable, false) => (1, 4),
            (Self::ErroneousHeader { .. }, true) => (12, 0),
            (Self::ErroneousHeader { .. }, false) => (4, 0),
            (Self::SourceRouteFailed, true) => (3, 5),
            (Self::SourceRouteFailed, false) => return None,
            (Self::TooBig { .. }, true) => (3, 4),
            (Self::TimeExceeded, false) => (3, 0),
            (Self::PortUnreachable, false) => (1, 4),
            (Self::HostUnreachable, false) => (1, 3),
            (Self::Prohibited, false) => (1, 1),
            (Self::TooBig { .. }, false) => (2, 0),
        })
    }

    /// Returns the last four bytes of the ICMP header. Both families keep the MTU at their end,
    /// IPv4 in 16 bits and IPv6 in 32.
    fn rest_of_header(self, v4: bool) -> [u8; 4] {
        match self {
            Self::ErroneousHeader { pointer } if v4 => [pointer, 0, 0, 0],
            Self::ErroneousHeader { pointer } => [0, 0, 0, pointer],
            Self::TooBig { mtu } => u32::from(mtu).to_be_bytes(),
            _ => [0; 4],
        }
    }
}

/// Copies the diffserv class of another packet of the same version
/// ([RFC 5508 §7.7](https://www.rfc-editor.org/rfc/rfc5508#section-7.7)); the congestion bits stay
/// clear.
fn copy_class(from: &[u8], to: &mut [u8]) {
    let Some([first, second]) = from.first_chunk::<2>().copied() else {
        return;
    };
    if first >> 4 == 4 {
        put(to, 1, &[second & 0xfc]);
        build::fill_ip_checksum(to);
    } else {
        put(to, 0, &[0x60 | first & 0x0f, second & 0xc0]);
    }
}

/// Returns whether an error may be sent to `address`: it is not unspecified, multicast, broadcast,
/// loopback, or of class E.
pub(crate) fn is_one_host(address: Address) -> bool {
    match address.to_v4() {
        Some(bits) => {
            let first = u8_at(&bits.to_be_bytes(), 0).unwrap_or(0);
            first != 0 && first != 127 && first < 224
        }
        None => address.bits() > 1 && address.bits() >> 120 != 0xff,
    }
}

/// Returns whether `address` stands for several hosts: multicast or broadcast.
fn is_many_hosts(address: Address) -> bool {
    match address.to_v4() {
        Some(bits) => bits >> 28 == 0xe || bits == u32::MAX,
        None => address.bits() >> 120 == 0xff,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::verify;

    #[test]
    fn an_error_quotes_the_packet_and_goes_back_to_its_source() {
        let about = build::udp(
            "10.0.0.1:5".parse().unwrap(),
            "192.0.2.1:7".parse().unwrap(),
            b"x",
        );
        let error = IcmpError::TooBig { mtu: 1400 }
            .about(Address::v4(0x0a00_00fe), &about)
            .unwrap();
        verify(&error).unwrap();
        assert_eq!(
            &error[20..28],
            [3, 4, error[22], error[23], 0, 0, 0x05, 0x78]
        );
        assert_eq!(&error[28..], about);
    }

    #[test]
    fn an_error_is_never_answered_by_an_error() {
        let about = build::udp(
            "10.0.0.1:5".parse().unwrap(),
            "192.0.2.1:7".parse().unwrap(),
            b"x",
        );
        let from = Address::v4(0x0a00_00fe);
        let error = IcmpError::TimeExceeded.about(from, &about).unwrap();
        assert_eq!(IcmpError::TimeExceeded.about(from, &error), None);
    }

    #[test]
    fn a_packet_for_many_hosts_is_not_answered() {
        let v4 = Address::v4(0x0a00_00fe);
        for group in ["224.0.0.251:5353", "255.255.255.255:67"] {
            let about = build::udp("10.0.0.1:5".parse().unwrap(), group.parse().unwrap(), b"x");
            assert_eq!(IcmpError::TimeExceeded.about(v4, &about), None);
            assert_eq!(IcmpError::TooBig { mtu: 600 }.about(v4, &about), None);
        }
        let v6 = Address::v6(0xfd << 120 | 1);
        let about = build::udp(
            "[fd00::2]:5".parse().unwrap(),
            "[ff02::fb]:5353".parse().unwrap(),
            b"x",
        );
        assert_eq!(IcmpError::TimeExceeded.about(v6, &about), None);
        assert!(IcmpError::TooBig { mtu: 1280 }.about(v6, &about).is_some());
    }

    #[test]
    fn a_multicast_source_gets_no_answer() {
        let about = build::udp(
            "224.0.0.5:5".parse().unwrap(),
            "192.0.2.1:7".parse().unwrap(),
            b"x",
        );
        let from = Address::v4(0x0a00_00fe);
        assert_eq!(IcmpError::TimeExceeded.about(from, &about), None);
    }
}
