//! The steps that every packet goes through before and after translation.

use std::time::Instant;

use super::config::Fragments;
use super::nat64::EndpointPair;
use super::{DropReason, HoldReason, Nat, Side, Verdict};
use crate::packet::fragment::split;
use crate::packet::rewrite::{End, decrement_ttl, rewrite, rewrite_id};
use crate::packet::{Headers, IcmpError, Packet, Transport};
use crate::{Address, Endpoint};

impl Nat {
    /// Parses a packet's headers and refuses packets that no router forwards.
    #[inline]
    pub(super) fn admit(
        &mut self,
        now: Instant,
        from: Side,
        packet: &mut Packet<'_>,
    ) -> Result<Headers, DropReason> {
        let headers = Headers::parse(packet.bytes()).map_err(|_| DropReason::Malformed)?;
        // What follows the IP packet is padding of the link layer. It must not be forwarded, nor
        // counted as payload when the packet is fragmented.
        packet.truncate(headers.length);
        if headers.fragment.is_some() && self.config.fragments == Fragments::Drop {
            return Err(DropReason::FragmentPolicy);
        }
        // The check comes before translation, so that the error quotes the packet as its sender
        // knows it.
        if self.config.decrement_ttl && headers.ttl <= 1 {
            self.send_error(now, from, IcmpError::TimeExceeded, packet.bytes());
            return Err(DropReason::TtlExpired);
        }
        // RFC 4787 REQ-13: a packet with DF set is answered with an error. One without is
        // fragmented in `leave`.
        if let Some(mtu) = self.config.mtu
            && headers.length > usize::from(mtu)
            && headers.dont_fragment
            // NAT64 compares lengths after the change of the header, see `check_size`.
            && self.pref64().is_none()
        {
            self.send_error(now, from, IcmpError::TooBig { mtu }, packet.bytes());
            return Err(DropReason::TooBig);
        }
        Ok(headers)
    }

    /// Writes the outside source into a packet from inside and sends it on.
    #[inline]
    pub(super) fn leave_outside(
        &mut self,
        now: Instant,
        packet: &mut Packet<'_>,
        headers: Headers,
        external: Endpoint,
    ) -> Result<Verdict, DropReason> {
        if self.pref64().is_some() {
            let destination = headers.destination_endpoint();
            let ends = EndpointPair {
                source: external,
                destination: destination.ok_or(DropReason::Malformed)?,
            };
            return self.cross(now, Side::Inside, packet, ends);
        }
        let original = headers;
        let mut headers = headers;
        if self.config.alg {
            self.translate_payload(
                packet.bytes_mut(),
                &headers,
                original.source,
                external.address,
            );
        }
        rewrite(packet.bytes_mut(), &mut headers, End::Source, external);
        self.identify(packet.bytes_mut(), &mut headers);
        self.finish(now, Side::Inside, Side::Outside, packet, &original, headers)
    }

    /// Writes an identification of the NAT into a packet that may be fragmented. Two hosts may use
    /// one identification at the same time; behind one address, a receiver would join fragments of
    /// both (RFC 7857 §10).
    #[inline]
    pub(super) fn identify(&mut self, bytes: &mut [u8], headers: &mut Headers) {
        if self.config.rewrite_ip_id && headers.is_v4() && !headers.dont_fragment {
            let id = self.next_id();
            rewrite_id(bytes, headers, id);
        }
    }

    /// Writes the inside destination into a packet from outside and sends it on.
    #[inline]
    pub(super) fn leave_inside(
        &mut self,
        now: Instant,
        packet: &mut Packet<'_>,
        headers: Headers,
        internal: Endpoint,
    ) -> Result<Verdict, DropReason> {
        if self.pref64().is_some() {
            let remote = headers.source_endpoint().ok_or(DropReason::Malformed)?;
            let ends = EndpointPair {
                source: Endpoint::new(self.inside_of(remote.address)?, remote.port),
                destination: internal,
            };
            return self.cross(now, Side::Outside, packet, ends);
        }
        let original = headers;
        let mut headers = headers;
        if self.config.alg {
            let external = original.destination;
            self.translate_payload(packet.bytes_mut(), &headers, external, internal.address);
        }
        rewrite(packet.bytes_mut(), &mut headers, End::Destination, internal);
        self.finish(now, Side::Outside, Side::Inside, packet, &original, headers)
    }

    /// Lowers the time to live, releases the fragments that waited for this one, and fragments a
    /// packet that is too large.
    #[inline]
    pub(super) fn finish(
        &mut self,
        now: Instant,
        from: Side,
        to: Side,
        packet: &mut Packet<'_>,
        original: &Headers,
        mut headers: Headers,
    ) -> Result<Verdict, DropReason> {
        if self.config.decrement_ttl {
            decrement_ttl(packet.bytes_mut(), &mut headers);
        }
        // Only the first fragment has ports. It leaves its translation for the fragments that
        // follow.
        if headers.fragment.is_some() && headers.transport != Transport::Later {
            self.first_fragment(now, from, to, original, &headers);
        }
        Ok(self.leave(from, to, packet, &headers))
    }

    /// Returns the verdict for a translated packet, and fragments it if it is larger than the MTU.
    #[inline]
    pub(super) fn leave(
        &mut self,
        from: Side,
        to: Side,
        packet: &Packet<'_>,
        headers: &Headers,
    ) -> Verdict {
        if let Some(mtu) = self.config.mtu
            && headers.length > usize::from(mtu)
            && let Some(pieces) = split(packet.bytes(), headers, usize::from(mtu))
        {
            for piece in pieces {
                self.transmit(to, piece);
            }
            return Verdict::Hold(HoldReason::Fragmented);
        }
        if from == to {
            Verdict::Hairpin
        } else {
            Verdict::Forward
        }
    }

    /// Returns whether packets to and from a remote address pass without translation (RFC 6888
    /// REQ-6).
    #[inline]
    pub(super) fn is_untranslated(&self, remote: Address) -> bool {
        !self.config.untranslated.is_empty()
            && self
                .config
                .untranslated
                .iter()
                .any(|prefix| prefix.contains(remote))
    }

    pub(super) fn pass_untranslated(
        &mut self,
        from: Side,
        packet: &mut Packet<'_>,
        mut headers: Headers,
    ) -> Result<Verdict, DropReason> {
        if self.config.decrement_ttl {
            decrement_ttl(packet.bytes_mut(), &mut headers);
        }
        // No flow is made and no filter asked: for these destinations the NAT is a plain router.
        Ok(self.leave(from, from.other(), packet, &headers))
    }
}
