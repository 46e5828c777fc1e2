//! Packets from inside: which flow they belong to, and which may start one.

use std::time::Instant;

use super::config::Protocol;
use super::key::FlowKey;
use super::{DropReason, Nat, Side, Translation, Verdict};
use crate::Endpoint;
use crate::packet::source_route::source_route;
use crate::packet::{Headers, Packet, Transport};

impl Nat {
    /// Translates a packet from inside, or returns why it is dropped.
    pub(super) fn translate_outbound(
        &mut self,
        now: Instant,
        packet: &mut Packet<'_>,
    ) -> Result<Verdict, DropReason> {
        let headers = self.admit(now, Side::Inside, packet)?;
        if let Translation::Prefixes { internal, external } = self.config.translation {
            return self.translate_prefix(Side::Inside, packet, headers, internal, external);
        }
        if self.is_untranslated(headers.destination) {
            // RFC 6888 REQ-6: destinations that the provider lists, its own servers for example,
            // see the inside address.
            return self.pass_untranslated(Side::Inside, packet, headers);
        }
        if shows_its_way(packet.bytes(), &headers) {
            return Err(DropReason::SourceRoute);
        }
        let seen = match self.with_outside_remote(Side::Inside, headers) {
            Ok(seen) => seen,
            Err(reason) => {
                self.refuse_destination(now, packet.bytes(), &headers);
                return Err(reason);
            }
        };
        self.check_way(now, Side::Inside, packet.bytes(), &headers)?;
        match headers.transport {
            Transport::Later => self.later_fragment(now, Side::Inside, packet, headers),
            // In NAT64 the packet that an error quotes changes its IP version as well, so errors
            // have code of their own.
            Transport::Error if self.pref64().is_some() => {
                self.cross_outbound_error(now, packet, headers)
            }
            Transport::Error => self.outbound_error(now, packet, headers),
            Transport::OtherIcmp => Err(DropReason::IcmpOther),
            Transport::Unknown => self.refuse_protocol(now, Side::Inside, packet.bytes()),
            Transport::Udp { .. } | Transport::Tcp { .. } | Transport::Query { .. } => {
                self.outbound_session(now, packet, seen)
            }
        }
    }

    fn outbound_session(
        &mut self,
        now: Instant,
        packet: &mut Packet<'_>,
        headers: Headers,
    ) -> Result<Verdict, DropReason> {
        let key = outbound_key(&headers).ok_or(DropReason::Malformed)?;
        let id = match self.table.flow_inside(&key) {
            Some(id) => id,
            None => self.open_outbound(now, packet.bytes(), &headers, key)?,
        };
        let (external, hairpin) = self
            .use_flow(now, id, Side::Inside, &headers)
            .ok_or(DropReason::NoMapping)?;
        if hairpin {
            self.hairpin(now, packet, headers, external)
        } else {
            self.leave_outside(now, packet, headers, external)
        }
    }

    /// Starts the flow of a packet from inside, and makes its mapping if there is none.
    #[cold]
    pub(super) fn open_outbound(
        &mut self,
        now: Instant,
        bytes: &[u8],
        headers: &Headers,
        key: FlowKey,
    ) -> Result<u32, DropReason> {
        let opened = self
            .may_start(Side::Inside, headers, key.protocol, key.remote.port)
            .and_then(|()| self.outbound_mapping(now, key))
            .and_then(|mapping| self.start_flow(now, Side::Inside, headers, mapping, key.remote));
        match opened {
            Ok(id) => {
                // The inside has now sent its own SYN, so a SYN of the peer that is being held
                // belongs to a simultaneous open and must not be refused (RFC 5382 REQ-4).
                self.forget_held_syn(id);
                Ok(id)
            }
            Err(reason) => {
                self.refuse_mapping(now, reason, bytes);
                Err(reason)
            }
        }
    }

    /// Checks whether a packet may start a flow: the firewall policy, its TCP flags and its ICMP
    /// type.
    pub(super) fn may_start(
        &self,
        from: Side,
        headers: &Headers,
        protocol: Protocol,
        port: u16,
    ) -> Result<(), DropReason> {
        if !self.config.policy.allows(from, protocol, port) {
            return Err(DropReason::Policy);
        }
        match headers.transport {
            // Only a SYN starts a connection (RFC 6146 §3.5.2, RFC 7857 §2). `tcp_loose` makes an
            // exception for connections that were open before a reboot; a RST never starts
            // anything.
            Transport::Tcp { flags, .. } if !flags.opens() => {
                if self.config.tcp_loose && !flags.resets() {
                    Ok(())
                } else {
                    Err(DropReason::TcpOutOfState)
                }
            }
            // A response belongs to the flow of its query. Without one it answers nothing.
            Transport::Query { response: true, .. } if from == Side::Inside => {
                Err(DropReason::NoMapping)
            }
            // Only a host with an outside address of its own can be pinged from outside.
            Transport::Query {
                response: false, ..
            } if from == Side::Outside
                && self.one_to_one_internal(headers.destination).is_none() =>
            {
                Err(DropReason::NoMapping)
            }
            _ => Ok(()),
        }
    }
}

/// Returns whether an ICMP message has a source route option, or the packet that it is about: both
/// show inside addresses ([RFC 5508 §7.3](https://www.rfc-editor.org/rfc/rfc5508#section-7.3)).
fn shows_its_way(bytes: &[u8], headers: &Headers) -> bool {
    let has_route = |bytes, headers: &Headers| source_route(bytes, headers).is_some();
    match headers.transport {
        // The RFC speaks of ICMP alone; other packets with a source route pass.
        Transport::Query { .. } => has_route(bytes, headers),
        Transport::Error => {
            let quote = bytes.get(headers.transport_at + 8..).unwrap_or_default();
            has_route(bytes, headers)
                || Headers::parse_quoted(quote).is_ok_and(|quoted| has_route(quote, &quoted))
        }
        _ => false,
    }
}

/// Returns the flow that a packet from inside belongs to.
pub(super) fn outbound_key(headers: &Headers) -> Option<FlowKey> {
    Some(FlowKey {
        protocol: protocol(headers)?,
        local: headers.source_endpoint()?,
        remote: remote(headers, headers.destination_endpoint()?),
    })
}

/// Returns the flow that a packet from outside belongs to.
pub(super) fn inbound_key(headers: &Headers) -> Option<FlowKey> {
    Some(FlowKey {
        protocol: protocol(headers)?,
        local: headers.destination_endpoint()?,
        remote: remote(headers, headers.source_endpoint()?),
    })
}

fn protocol(headers: &Headers) -> Option<Protocol> {
    match headers.transport {
        Transport::Udp { .. } => Some(Protocol::Udp),
        Transport::Tcp { .. } => Some(Protocol::Tcp),
        Transport::Query { .. } => Some(Protocol::Icmp),
        _ => None,
    }
}

/// Returns the remote end of a flow. An ICMP query has one identifier, which is the inside host's
/// port; the remote's port is 0.
fn remote(headers: &Headers, endpoint: Endpoint) -> Endpoint {
    match headers.transport {
        Transport::Query { .. } => Endpoint::new(endpoint.address, 0),
        _ => endpoint,
    }
}
