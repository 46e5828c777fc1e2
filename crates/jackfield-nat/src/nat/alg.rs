//! The application-level gateway that rewrites addresses in payloads.

use super::Nat;
use crate::Address;
use crate::packet::bytes::put;
use crate::packet::checksum::{Delta, sum};
use crate::packet::rewrite::update_transport_checksum;
use crate::packet::{Headers, Transport};

impl Nat {
    /// Replaces an IPv4 address wherever its four bytes occur in a UDP payload, as some home
    /// routers do.
    ///
    /// Such routers are why STUN has XOR-MAPPED-ADDRESS
    /// ([RFC 8489 §14.2](https://www.rfc-editor.org/rfc/rfc8489#section-14.2)): they change a
    /// plain MAPPED-ADDRESS back to the inside address.
    pub(super) fn translate_payload(
        &self,
        bytes: &mut [u8],
        headers: &Headers,
        old: Address,
        new: Address,
    ) {
        let (Some(old), Some(new)) = (old.to_v4(), new.to_v4()) else {
            return;
        };
        if !matches!(headers.transport, Transport::Udp { .. }) {
            return;
        }
        // The UDP header is left out: its ports and length may equal the address by chance.
        let start = headers.transport_at + 8;
        // The whole payload is summed before and after. A match may begin at an odd offset, and
        // its bytes then lie in three words of the checksum.
        let before = sum(bytes.get(start..headers.length).unwrap_or_default());
        let mut at = start;
        while at + 4 <= headers.length {
            let here = bytes.get(at..at + 4).unwrap_or_default();
            if here == old.to_be_bytes() {
                put(bytes, at, &new.to_be_bytes());
                at += 4;
            } else {
                at += 1;
            }
        }
        let after = sum(bytes.get(start..headers.length).unwrap_or_default());
        update_transport_checksum(bytes, headers, Delta::default().sums(before, after));
    }
}
