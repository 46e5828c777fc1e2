//! Hairpinning: packets between two inside hosts by way of an outside endpoint.

use std::time::Instant;

use super::config::Hairpinning;
use super::key::FlowKey;
use super::outbound::outbound_key;
use super::{DropReason, Nat, Side, Verdict};
use crate::Endpoint;
use crate::packet::rewrite::{End, rewrite};
use crate::packet::{Headers, Packet};

impl Nat {
    /// Sends a packet from inside back inside, because its destination is an outside endpoint of
    /// this NAT ([RFC 4787 §6](https://www.rfc-editor.org/rfc/rfc4787#section-6)).
    pub(super) fn hairpin(
        &mut self,
        now: Instant,
        packet: &mut Packet<'_>,
        headers: Headers,
        sender: Endpoint,
    ) -> Result<Verdict, DropReason> {
        if self.config.hairpinning == Hairpinning::Off {
            return Err(DropReason::HairpinOff);
        }
        let there = outbound_key(&headers).ok_or(DropReason::Malformed)?;
        // An ICMP query has one identifier for both ends, so the sender is known by its address
        // alone.
        let key = FlowKey {
            local: headers
                .destination_endpoint()
                .ok_or(DropReason::Malformed)?,
            remote: match there.protocol {
                super::config::Protocol::Icmp => Endpoint::new(sender.address, 0),
                _ => sender,
            },
            ..there
        };
        // The packet has to pass the filter of the receiver like any packet from outside, with the
        // outside endpoint of its sender.
        let id = self.accept(now, &headers, key)?;
        let (receiver, _) = self
            .use_flow(now, id, Side::Outside, &headers)
            .ok_or(DropReason::NoMapping)?;
        let (mut headers, sender) = if self.pref64().is_some() {
            // `headers` has the IPv4 destination that the tables need. The packet itself is still
            // IPv6, and stays it: it is never translated to IPv4 and back. Its receiver sees the
            // sender as one of the IPv4 internet, under the prefix (RFC 6146 §3.8).
            let known = Endpoint::new(self.inside_of(sender.address)?, sender.port);
            let headers = Headers::parse(packet.bytes()).map_err(|_| DropReason::Malformed)?;
            (headers, known)
        } else {
            (headers, sender)
        };
        let original = headers;
        // RFC 4787 REQ-9a: the receiver must see the outside endpoint, because its answers would
        // else go past the NAT and come from an address that the sender does not expect.
        if self.config.hairpinning == Hairpinning::ExternalSource {
            rewrite(packet.bytes_mut(), &mut headers, End::Source, sender);
            // Packets of other hosts come from the same address, and their identifications may be
            // the same.
            self.identify(packet.bytes_mut(), &mut headers);
        }
        rewrite(packet.bytes_mut(), &mut headers, End::Destination, receiver);
        self.finish(now, Side::Inside, Side::Inside, packet, &original, headers)
    }
}
