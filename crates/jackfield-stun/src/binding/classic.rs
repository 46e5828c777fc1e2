//! The answer to a Binding request of [RFC 3489], which has no magic cookie ([RFC 5389 §12.2]).
//!
//! libnice asks servers so, and with it GStreamer and Janus.
//!
//! [RFC 3489]: https://www.rfc-editor.org/rfc/rfc3489
//! [RFC 5389 §12.2]: https://www.rfc-editor.org/rfc/rfc5389#section-12.2

use std::net::SocketAddr;

use crate::attribute::{AttributeType, address};
use crate::{HEADER_LENGTH, MAGIC_COOKIE};

/// A Binding request of RFC 3489 without attributes.
///
/// Requests with attributes are not taken for STUN: nothing but their length would tell them from
/// another protocol, and what RFC 3489 has attributes for is no longer answered anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassicRequest {
    /// The 128 bits where later versions have the cookie and 96 bits.
    transaction: [u8; 16],
}

impl ClassicRequest {
    /// Reads one; `None` if it is anything else.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let header: &[u8; HEADER_LENGTH] = bytes.try_into().ok()?;
        let [0x00, 0x01, 0, 0, transaction @ ..] = header else {
            return None;
        };
        (!transaction.starts_with(&MAGIC_COOKIE)).then_some(Self {
            transaction: *transaction,
        })
    }

    /// Appends the answer to `out`: 32 bytes for IPv4, 44 for IPv6, as that to later requests.
    pub fn answer(&self, remote: SocketAddr, out: &mut Vec<u8>) {
        let length: u8 = if remote.is_ipv4() { 8 } else { 20 };
        out.extend_from_slice(&[0x01, 0x01, 0, 4 + length]);
        //= https://www.rfc-editor.org/rfc/rfc5389#section-12.2
        //# When the server detects an RFC 3489
        //# client, it SHOULD copy the value seen in the magic cookie field in
        //# the Binding request to the magic cookie field in the Binding response
        //# message, and insert a MAPPED-ADDRESS attribute instead of an XOR-
        //# MAPPED-ADDRESS attribute.
        out.extend_from_slice(&self.transaction);
        out.extend_from_slice(&AttributeType::MAPPED_ADDRESS.value().to_be_bytes());
        out.extend_from_slice(&[0, length]);
        address::encode(remote, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: [u8; 20] = *b"\0\x01\0\0\x3d\xba\x35\x43abcdefghijkl";

    #[test]
    fn the_answer_has_the_request_s_128_bits_and_the_address_in_the_clear() {
        let request = ClassicRequest::parse(&REQUEST).unwrap();
        let mut answer = Vec::new();
        request.answer("192.0.2.1:32853".parse().unwrap(), &mut answer);
        let expected = b"\x01\x01\0\x0c\x3d\xba\x35\x43abcdefghijkl\0\x01\0\x08\0\x01\x80\x55";
        assert_eq!(answer, [&expected[..], &[192, 0, 2, 1]].concat());
        answer.clear();
        request.answer("[2001:db8::1]:32853".parse().unwrap(), &mut answer);
        assert_eq!(answer.len(), 44);
        assert_eq!(answer[2..4], [0, 24]);
    }

    #[test]
    fn nothing_but_a_bare_request_without_the_cookie_is_taken() {
        for (at, byte) in [(0, 1), (1, 0x11), (2, 1), (3, 4)] {
            let mut other = REQUEST;
            other[at] = byte;
            assert_eq!(ClassicRequest::parse(&other), None, "{at}");
        }
        let mut newer = REQUEST;
        newer[4..8].copy_from_slice(&MAGIC_COOKIE);
        assert_eq!(ClassicRequest::parse(&newer), None);
        assert_eq!(
            ClassicRequest::parse(&[&REQUEST[..], &[0; 4]].concat()),
            None
        );
        assert_eq!(ClassicRequest::parse(&REQUEST[..19]), None);
    }
}
