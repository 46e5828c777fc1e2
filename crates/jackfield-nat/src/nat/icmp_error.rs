//! ICMP errors and the packets quoted in them
//! ([RFC 5508 §4](https://www.rfc-editor.org/rfc/rfc5508#section-4)).
//!
//! An error neither refreshes nor ends a mapping (REQ-6 for queries, RFC 4787 REQ-12 for UDP, RFC
//! 5382 REQ-10 for TCP), unless the NAT is configured to violate that.

use std::time::Instant;

use super::config::{Hairpinning, IcmpErrors};
use super::key::Scope;
use super::outbound::{inbound_key, outbound_key};
use super::{DropReason, Nat, Side, Verdict};
use crate::packet::bytes::{put_u16, u16_at};
use crate::packet::checksum::{Delta, sum};
use crate::packet::rewrite::{End, decrement_ttl, rewrite, rewrite_address};
use crate::packet::verify::{ip_header_is_right, transport_is_right};
use crate::packet::{Headers, Packet};
use crate::{Address, Endpoint};

impl Nat {
    /// Translates an error from outside about a packet that left.
    pub(super) fn inbound_error(
        &mut self,
        now: Instant,
        packet: &mut Packet<'_>,
        headers: Headers,
    ) -> Result<Verdict, DropReason> {
        let quoted = self.check_error(packet.bytes(), &headers)?;
        self.error_to_inside(now, Side::Outside, packet, headers, quoted)
    }

    /// Translates an error from inside about a packet that came in.
    pub(super) fn outbound_error(
        &mut self,
        now: Instant,
        packet: &mut Packet<'_>,
        headers: Headers,
    ) -> Result<Verdict, DropReason> {
        let quoted = self.check_error(packet.bytes(), &headers)?;
        let found = self.quoted_destination(&quoted);
        let (mapping, external) = found.ok_or(DropReason::IcmpNoFlow)?;
        self.end_if_configured(now, mapping);
        let mut headers = headers;
        let mut quoted = quoted;
        let source = self.error_source(headers.source, external.address);
        let bytes = packet.bytes_mut();
        rewrite_quoted(bytes, &headers, &mut quoted, End::Destination, external);
        rewrite_address(bytes, &mut headers, End::Source, source);
        if self.is_external(headers.destination) {
            if self.config.hairpinning == Hairpinning::Off {
                return Err(DropReason::HairpinOff);
            }
            return self.error_to_inside(now, Side::Inside, packet, headers, quoted);
        }
        Ok(self.age(Side::Inside, Side::Outside, packet, headers))
    }

    /// Returns the outside source of an error from inside about a packet to `external` (REQ-5):
    /// the outside address of its sender, or else that of the mapping, because a router inside has
    /// none. Behind a firewall, which translates nothing, the source stays.
    fn error_source(&self, sender: Address, external: Address) -> Address {
        if !self.translates_ports() {
            return sender;
        }
        let own = self.one_to_one_external(sender);
        let mut externals = self.externals.iter().copied();
        own.or_else(|| externals.clone().find(|mine| *mine == external))
            .or_else(|| externals.find(|mine| mine.is_v4() == external.is_v4()))
            .unwrap_or(external)
    }

    /// Writes into an error the inside destination: the sender of the quoted packet.
    fn error_to_inside(
        &mut self,
        now: Instant,
        from: Side,
        packet: &mut Packet<'_>,
        mut headers: Headers,
        mut quoted: Headers,
    ) -> Result<Verdict, DropReason> {
        let (mapping, internal) = self.quoted_source(&quoted).ok_or(DropReason::IcmpNoFlow)?;
        self.end_if_configured(now, mapping);
        let bytes = packet.bytes_mut();
        rewrite_quoted(bytes, &headers, &mut quoted, End::Source, internal);
        rewrite_address(bytes, &mut headers, End::Destination, internal.address);
        Ok(self.age(from, Side::Inside, packet, headers))
    }

    /// Returns the mapping and the inside endpoint for the outside source of a quoted packet.
    pub(super) fn quoted_source(&self, quoted: &Headers) -> Option<(u32, Endpoint)> {
        let key = outbound_key(quoted)?;
        let mapping = match self.table.flow_outside(&key) {
            Some(flow) => self.mapping_of(flow)?,
            // The flow may have ended before its mapping.
            None => self
                .table
                .mapping_outside(key.protocol, key.local, Scope::AnyRemote)?,
        };
        Some((mapping, self.table.mappings.get(mapping)?.internal))
    }

    /// Returns the mapping and the outside endpoint for the inside destination of a quoted packet,
    /// which came in. The endpoint is copied, because an error may end the mapping.
    pub(super) fn quoted_destination(&self, quoted: &Headers) -> Option<(u32, Endpoint)> {
        let flow = self.table.flow_inside(&inbound_key(quoted)?)?;
        let flow = self.table.flows.get(flow)?;
        Some((flow.mapping, flow.external()))
    }

    fn mapping_of(&self, flow: u32) -> Option<u32> {
        self.table.flows.get(flow).map(|flow| flow.mapping)
    }

    /// Parses the packet quoted in an error, if the error is valid (REQ-3).
    pub(super) fn check_error(
        &self,
        bytes: &[u8],
        headers: &Headers,
    ) -> Result<Headers, DropReason> {
        if self.config.icmp_errors == IcmpErrors::Drop {
            return Err(DropReason::IcmpPolicy);
        }
        // The checksum of an error covers all its fragments, so a single one cannot be checked.
        if headers.fragment.is_some() {
            return Err(DropReason::FragmentPolicy);
        }
        let quote = bytes
            .get(headers.transport_at + 8..headers.length)
            .unwrap_or_default();
        let quoted = Headers::parse_quoted(quote).map_err(|_| DropReason::Malformed)?;
        if quoted.is_v4() != headers.is_v4() {
            return Err(DropReason::Malformed);
        }
        // An error goes to the sender of the quoted packet. An error to another host is forged.
        if headers.destination != quoted.source {
            return Err(DropReason::IcmpNoFlow);
        }
        // The quoted transport checksum is not looked at (REQ-3c): most quotes are too short for
        // it.
        if !transport_is_right(bytes, headers) || !ip_header_is_right(quote, &quoted) {
            return Err(DropReason::IcmpChecksum);
        }
        Ok(quoted)
    }

    /// Ends a mapping because of an error, in NATs that violate RFC 4787 REQ-12.
    pub(super) fn end_if_configured(&mut self, now: Instant, id: u32) {
        let mapping = self.table.mappings.get(id);
        let mortal = mapping.is_some_and(|mapping| !mapping.permanent);
        if self.config.icmp_errors == IcmpErrors::KillMapping && mortal {
            self.end_mapping(now, id);
        }
    }

    fn age(
        &mut self,
        from: Side,
        to: Side,
        packet: &mut Packet<'_>,
        mut headers: Headers,
    ) -> Verdict {
        if self.config.decrement_ttl {
            decrement_ttl(packet.bytes_mut(), &mut headers);
        }
        self.leave(from, to, packet, &headers)
    }
}

/// Changes one end of a quoted packet, and updates the checksum of the error, which covers the
/// quote.
fn rewrite_quoted(
    bytes: &mut [u8],
    headers: &Headers,
    quoted: &mut Headers,
    end: End,
    to: Endpoint,
) {
    let at = headers.transport_at + 8;
    let Some(quote) = bytes.get_mut(at..headers.length) else {
        return;
    };
    // The addresses, the ports and the quote's own checksums all change, and the error's checksum
    // covers them all.
    let before = sum(quote);
    rewrite(quote, quoted, end, to);
    let after = sum(quote);
    let field = headers.transport_at + 2;
    if let Some(old) = u16_at(bytes, field) {
        put_u16(
            bytes,
            field,
            Delta::default().sums(before, after).apply(old),
        );
    }
}
