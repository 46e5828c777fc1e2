//! Packets from outside: which mapping they belong to, and which ones its filter lets in.

use std::time::Instant;

use jackfield_sansio::Filtering;

use super::config::{Protocol, UnsolicitedSyn};
use super::entry::MappingEntry;
use super::key::{FlowKey, Scope};
use super::outbound::inbound_key;
use super::{DropReason, HoldReason, Nat, Side, Translation, Verdict};
use crate::Endpoint;
use crate::packet::{Headers, IcmpError, Packet, TcpFlags, Transport};

impl Nat {
    /// Translates a packet from outside, or returns why it is dropped.
    pub(super) fn translate_inbound(
        &mut self,
        now: Instant,
        packet: &mut Packet<'_>,
    ) -> Result<Verdict, DropReason> {
        let headers = self.admit(now, Side::Outside, packet)?;
        if let Translation::Prefixes { internal, external } = self.config.translation {
            return self.translate_prefix(Side::Outside, packet, headers, internal, external);
        }
        if self.is_untranslated(headers.source) {
            return self.pass_untranslated(Side::Outside, packet, headers);
        }
        let headers = self.with_outside_remote(Side::Outside, headers)?;
        self.check_way(now, Side::Outside, packet.bytes(), &headers)?;
        if self.translates_ports() && !self.is_external(headers.destination) {
            return Err(DropReason::NotForUs);
        }
        match headers.transport {
            Transport::Later => self.later_fragment(now, Side::Outside, packet, headers),
            Transport::Error if self.pref64().is_some() => {
                self.cross_inbound_error(now, packet, headers)
            }
            Transport::Error => self.inbound_error(now, packet, headers),
            Transport::OtherIcmp => Err(DropReason::IcmpOther),
            Transport::Unknown => self.refuse_protocol(now, Side::Outside, packet.bytes()),
            Transport::Udp { .. } | Transport::Tcp { .. } | Transport::Query { .. } => {
                self.inbound_session(now, packet, headers)
            }
        }
    }

    fn inbound_session(
        &mut self,
        now: Instant,
        packet: &mut Packet<'_>,
        headers: Headers,
    ) -> Result<Verdict, DropReason> {
        let key = inbound_key(&headers).ok_or(DropReason::Malformed)?;
        match self.accept(now, &headers, key) {
            Ok(id) => {
                let (internal, _) = self
                    .use_flow(now, id, Side::Outside, &headers)
                    .ok_or(DropReason::NoMapping)?;
                self.leave_inside(now, packet, headers, internal)
            }
            Err(reason) => self.unsolicited(now, packet, &headers, key, reason),
        }
    }

    /// Returns the flow of a packet from outside, or of one that comes back by hairpinning, if the
    /// filter lets it in.
    pub(super) fn accept(
        &mut self,
        now: Instant,
        headers: &Headers,
        key: FlowKey,
    ) -> Result<u32, DropReason> {
        match self.table.flow_outside(&key) {
            Some(id) if self.still_permitted(id) => Ok(id),
            Some(_) => Err(DropReason::Filtered),
            None => self.open_inbound(now, headers, key),
        }
    }

    /// Returns whether packets from the remote of a flow are still let in. A flow that the remote
    /// started has no permission of its own: it lasts only while the mapping filters admit the
    /// remote.
    fn still_permitted(&self, id: u32) -> bool {
        let Some(flow) = self.table.flows.get(id) else {
            return false;
        };
        flow.permits
            || self
                .table
                .mappings
                .get(flow.mapping)
                .is_some_and(|mapping| self.permits(flow.mapping, mapping, flow.remote()))
    }

    /// Starts the flow of a packet from outside, if the mapping's filter lets the packet in.
    #[cold]
    fn open_inbound(
        &mut self,
        now: Instant,
        headers: &Headers,
        key: FlowKey,
    ) -> Result<u32, DropReason> {
        let known = self.inbound_mapping(key);
        let internal = match known {
            Some(id) => {
                let mapping = self.table.mappings.get(id).ok_or(DropReason::NoMapping)?;
                if !self.permits(id, mapping, key.remote) {
                    return Err(DropReason::Filtered);
                }
                mapping.internal
            }
            None => self.always_mapped(key)?,
        };
        self.may_start(Side::Outside, headers, key.protocol, internal.port)?;
        let id = match known {
            Some(id) => id,
            None => self.make_mapping(now, key.protocol, internal, key.remote)?,
        };
        self.start_flow(now, Side::Outside, headers, id, key.remote)
    }

    /// Finds the mapping of an outside endpoint, for the remote that sends to it.
    fn inbound_mapping(&self, key: FlowKey) -> Option<u32> {
        let (protocol, external) = (key.protocol, key.local);
        let internal = self.one_to_one_internal(external.address);
        let internal = internal.unwrap_or(external.address);
        let scope = self.external_scope(self.scope(protocol, internal, key.remote));
        self.table
            .mapping_outside(protocol, external, scope)
            .or_else(|| {
                self.table
                    // Forwards are for all remotes, whatever the mapping behaviour.
                    .mapping_outside(protocol, external, Scope::AnyRemote)
            })
    }

    /// Returns the inside endpoint of an outside endpoint that has no mapping but is always
    /// mapped: every port of a one-to-one address is.
    ///
    /// The mapping itself is made only for a packet that is let in; otherwise a port scan would
    /// fill the quota of the host.
    fn always_mapped(&self, key: FlowKey) -> Result<Endpoint, DropReason> {
        match self.one_to_one_internal(key.local.address) {
            Some(internal) => match self.filtering(key.protocol) {
                // Without a mapping the host has sent to no remote, so only an open filter lets
                // one in.
                Filtering::EndpointIndependent => Ok(Endpoint::new(internal, key.local.port)),
                Filtering::AddressDependent | Filtering::AddressAndPortDependent => {
                    Err(DropReason::Filtered)
                }
            },
            None if self.translates_ports() => Err(DropReason::NoMapping),
            None => Err(DropReason::Filtered),
        }
    }

    /// Returns whether the filter of a mapping lets in a remote endpoint with which it has no
    /// flow.
    fn permits(&self, id: u32, mapping: &MappingEntry, remote: Endpoint) -> bool {
        if mapping.limited {
            return self.filters_admit(id, mapping, remote);
        }
        mapping.open
            || match self.filtering(mapping.protocol) {
                Filtering::EndpointIndependent => true,
                Filtering::AddressDependent => self.table.permits(id, remote.address),
                // Such a filter admits remotes that have a flow, and this one has none.
                Filtering::AddressAndPortDependent => false,
            }
    }

    pub(super) fn filtering(&self, protocol: Protocol) -> Filtering {
        match protocol {
            Protocol::Udp => self.config.udp.filtering,
            Protocol::Tcp => self.config.tcp.filtering,
            Protocol::Icmp => self.config.icmp_filtering,
        }
    }

    /// Handles a packet from outside that no mapping lets in.
    #[cold]
    fn unsolicited(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        headers: &Headers,
        key: FlowKey,
        reason: DropReason,
    ) -> Result<Verdict, DropReason> {
        // A packet to a port that nothing maps is one to the router itself; Linux tracks it as a
        // connection of its own if the firewall accepts it.
        if reason == DropReason::NoMapping {
            self.note_local_connection(now, key);
        }
        let filtered = matches!(reason, DropReason::NoMapping | DropReason::Filtered);
        match headers.transport {
            Transport::Tcp { flags, .. } if flags.opens() && filtered => {
                self.unsolicited_syn(now, packet, key, reason)
            }
            _ => Err(reason),
        }
    }

    fn unsolicited_syn(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        key: FlowKey,
        reason: DropReason,
    ) -> Result<Verdict, DropReason> {
        // RFC 5382 REQ-4: the answer has to wait six seconds, because an early refusal would end a
        // simultaneous open whose second SYN is still on its way.
        match self.config.unsolicited_syn {
            UnsolicitedSyn::Drop => Err(reason),
            UnsolicitedSyn::Refuse => {
                let about = packet.bytes();
                self.send_error(now, Side::Outside, IcmpError::PortUnreachable, about);
                Err(DropReason::TcpUnsolicited)
            }
            UnsolicitedSyn::Wait(wait) => {
                if self.hold_syn(now + wait, key, packet.bytes()) {
                    Ok(Verdict::Hold(HoldReason::UnsolicitedSyn))
                } else {
                    Err(reason)
                }
            }
        }
    }
}

impl TcpFlags {
    /// Returns whether a segment asks for a new connection.
    pub(super) fn opens(self) -> bool {
        self.has(Self::SYN) && !self.has(Self::ACK) && !self.has(Self::RST)
    }

    /// Returns whether a segment ends a connection at once.
    pub(super) fn resets(self) -> bool {
        self.has(Self::RST)
    }
}
