//! Stateful NAT64 ([RFC 6146](https://www.rfc-editor.org/rfc/rfc6146)): IPv6 hosts inside, IPv4
//! outside.
//!
//! Mappings, filters, ports and timers work as in every other NAT: the inside endpoint is IPv6;
//! the outside endpoint and the remotes are IPv4. This file has what differs: which remote an IPv6
//! destination stands for, and that a packet gets another IP header instead of another address.

use std::time::Instant;

use super::config::{Hairpinning, Refusal};
use super::{DropReason, HoldReason, Nat, Side, Translation, Verdict};
use crate::packet::fragment::split;
use crate::packet::source_route::{SourceRoute, segments_left, source_route};
use crate::packet::translate::{
    Header, Quote, TranslateError, error, header, header_length, transport,
};
use crate::packet::{Headers, IcmpError, Packet, Transport, is_one_host};
use crate::{Address, Endpoint, Prefix};

/// The source and destination of a packet in the other IP version.
#[derive(Debug, Clone, Copy)]
pub(super) struct EndpointPair {
    pub(super) source: Endpoint,
    pub(super) destination: Endpoint,
}

impl From<TranslateError> for DropReason {
    fn from(error: TranslateError) -> Self {
        match error {
            TranslateError::Untranslatable => Self::Untranslatable,
            TranslateError::NoHeadroom => Self::NoHeadroom,
        }
    }
}

impl Nat {
    /// Returns the prefix that stands for IPv4, if this NAT is a NAT64.
    #[inline]
    pub(super) fn pref64(&self) -> Option<Prefix> {
        match self.config.translation {
            Translation::Nat64 { prefix } => Some(prefix),
            Translation::Ports | Translation::None | Translation::Prefixes { .. } => None,
        }
    }

    /// Returns the headers of a packet with the remote address as the outside knows it, which is
    /// how tables store it.
    ///
    /// Fails for packets of the wrong IP version, for sources under the prefix, which pretend to
    /// be outside, and for destinations that
    /// [RFC 6052 §3.1](https://www.rfc-editor.org/rfc/rfc6052#section-3.1) forbids under the
    /// well-known prefix.
    pub(super) fn with_outside_remote(
        &self,
        from: Side,
        headers: Headers,
    ) -> Result<Headers, DropReason> {
        let Some(prefix) = self.pref64() else {
            return Ok(headers);
        };
        if headers.is_v4() != (from == Side::Outside) {
            return Err(DropReason::WrongFamily);
        }
        let may_be_said = |remote| prefix != Prefix::WELL_KNOWN_64 || is_global(remote);
        if from == Side::Outside {
            // An ICMP error passes whatever its source, because the address of the router helps to
            // find a fault.
            let right = is_one_host(headers.source) && may_be_said(headers.source);
            return if right || headers.transport == Transport::Error {
                Ok(headers)
            } else {
                Err(DropReason::Untranslatable)
            };
        }
        let remote = outside_of(prefix, headers.destination);
        // RFC 6146 §3.5: a source under the prefix is dropped, because its answers could loop
        // through hairpinning.
        let honest = !prefix.contains(headers.source) && is_one_host(headers.source);
        match remote.filter(|remote| honest && may_be_said(*remote)) {
            Some(remote) => Ok(Headers {
                destination: remote,
                ..headers
            }),
            None => Err(DropReason::Untranslatable),
        }
    }

    /// Refuses a packet whose source route is not complete, which the other version cannot express
    /// ([RFC 7915 §4.1, §5.1](https://www.rfc-editor.org/rfc/rfc7915#section-4.1)).
    pub(super) fn check_way(
        &mut self,
        now: Instant,
        from: Side,
        bytes: &[u8],
        headers: &Headers,
    ) -> Result<(), DropReason> {
        if self.pref64().is_none() {
            return Ok(());
        }
        let error = if let Some(at) = segments_left(bytes, headers) {
            let pointer = u8::try_from(at).unwrap_or(u8::MAX);
            IcmpError::ErroneousHeader { pointer }
        } else if source_route(bytes, headers) == Some(SourceRoute::Ahead) {
            IcmpError::SourceRouteFailed
        } else {
            return Ok(());
        };
        self.send_error(now, from, error, bytes);
        Err(DropReason::SourceRoute)
    }

    /// Drops a packet of a protocol without ports, and answers with an error where
    /// [RFC 6146 §3.4](https://www.rfc-editor.org/rfc/rfc6146#section-3.4) asks for it.
    pub(super) fn refuse_protocol(
        &mut self,
        now: Instant,
        from: Side,
        bytes: &[u8],
    ) -> Result<Verdict, DropReason> {
        if self.pref64().is_some() && self.config.refusal != Refusal::Silent {
            self.send_error(now, from, IcmpError::ProtocolUnreachable, bytes);
        }
        Err(DropReason::UnknownProtocol)
    }

    /// Answers a packet to a destination that the well-known prefix must not stand for
    /// ([RFC 7915 §5.4](https://www.rfc-editor.org/rfc/rfc7915#section-5.4)).
    pub(super) fn refuse_destination(&mut self, now: Instant, bytes: &[u8], headers: &Headers) {
        // A source under the prefix gets no answer: RFC 6146 §3.5 wants such packets dropped
        // silently.
        let leads_out = self.pref64().is_some_and(|prefix| {
            prefix.contains(headers.destination) && !prefix.contains(headers.source)
        });
        let answered = matches!(
            headers.transport,
            Transport::Udp { .. } | Transport::Tcp { .. }
        );
        if leads_out && answered && self.config.refusal != Refusal::Silent {
            self.send_error(now, Side::Inside, IcmpError::Prohibited, bytes);
        }
    }

    /// Returns the IPv6 address that stands for an outside address inside.
    pub(super) fn inside_of(&self, outside: Address) -> Result<Address, DropReason> {
        let bits = outside.to_v4().ok_or(DropReason::WrongFamily)?;
        let embedded = self.pref64().and_then(|prefix| prefix.embed(bits.into()));
        embedded
            .map(Address::from)
            .ok_or(DropReason::Untranslatable)
    }

    /// Replaces the header, ports and checksum of a packet by those of the other IP version, and
    /// sends it on.
    pub(super) fn cross(
        &mut self,
        now: Instant,
        from: Side,
        packet: &mut Packet<'_>,
        ends: EndpointPair,
    ) -> Result<Verdict, DropReason> {
        let headers = Headers::parse(packet.bytes()).map_err(|_| DropReason::Malformed)?;
        // The size is checked before anything is written, since the error quotes the packet as it
        // came.
        self.check_size(now, from, packet.bytes(), &headers)?;
        transport(packet.bytes_mut(), &headers, ends.source, ends.destination)?;
        let to = from.other();
        // RFC 7915 §5.1: a whole IPv4 packet gets an identification of the translator; a fragment
        // keeps the lower half of its own (§5.1.1).
        let id = self.next_id();
        if headers.fragment.is_some() && headers.transport != Transport::Later {
            let translated = Headers {
                source: ends.source.address,
                destination: ends.destination.address,
                ..headers
            };
            self.first_fragment(now, from, to, &headers, &translated);
        }
        let new = Header {
            source: ends.source.address,
            destination: ends.destination.address,
            ttl: self.ttl_after(&headers),
            id,
        };
        self.change_version(packet, &headers, new, to)
    }

    /// Replaces the IP header of a packet whose transport header is already right, and fragments
    /// it if necessary.
    pub(super) fn change_version(
        &mut self,
        packet: &mut Packet<'_>,
        headers: &Headers,
        new: Header,
        to: Side,
    ) -> Result<Verdict, DropReason> {
        let Some(most) = self.most_of_fragment(headers) else {
            header(packet, headers, new)?;
            let headers = Headers::parse(packet.bytes()).map_err(|_| DropReason::Malformed)?;
            return Ok(self.leave(to.other(), to, packet, &headers));
        };
        let pieces = split(packet.bytes(), headers, most).ok_or(DropReason::Untranslatable)?;
        for piece in pieces {
            let mut buffer = vec![0; Packet::HEADROOM];
            buffer.extend(piece);
            let mut piece = Packet::with_headroom(&mut buffer, Packet::HEADROOM);
            let headers =
                // A piece may end inside a TCP header, which `parse` refuses.
                Headers::parse_quoted(piece.bytes()).map_err(|_| DropReason::Malformed)?;
            header(&mut piece, &headers, new)?;
            self.transmit(to, piece.bytes().to_vec());
        }
        Ok(Verdict::Hold(HoldReason::Fragmented))
    }

    /// Returns how long the fragments of an IPv4 packet may be so that IPv6 carries them; `None`
    /// if the packet fits.
    ///
    /// The sender of a packet that may be fragmented does not discover the path MTU, so the packet
    /// has to fit every IPv6 link
    /// ([RFC 7915 §4](https://www.rfc-editor.org/rfc/rfc7915#section-4)).
    fn most_of_fragment(&self, headers: &Headers) -> Option<usize> {
        if !headers.is_v4() || headers.dont_fragment {
            return None;
        }
        let most = self.config.mtu.map_or(LEAST_MTU, usize::from);
        let length = headers.length - headers.transport_at + header_length(headers);
        // 48 bytes are the IPv6 header and the fragment header (RFC 7915 §4.1).
        (length > most).then(|| most.saturating_sub(48) + headers.transport_at)
    }

    /// Refuses a packet that is too large for the other side and may not be fragmented there.
    fn check_size(
        &mut self,
        now: Instant,
        from: Side,
        bytes: &[u8],
        headers: &Headers,
    ) -> Result<(), DropReason> {
        let Some(mtu) = self.config.mtu else {
            return Ok(());
        };
        let length = headers.length - headers.transport_at + header_length(headers);
        if length <= usize::from(mtu) || headers.fragment.is_some() || !headers.dont_fragment {
            return Ok(());
        }
        // IPv6 hosts need not send less than every IPv6 link carries: such packets are cut where
        // IPv4 links carry less.
        if !headers.is_v4() && headers.length <= LEAST_MTU {
            return Ok(());
        }
        // The error states the size before translation: an IPv6 header is 20 bytes longer than an
        // IPv4 one. IPv6 hosts never see an MTU below 1280 (RFC 7915 §4.2, §5).
        let mtu = if headers.is_v4() {
            mtu.saturating_sub(20)
        } else {
            mtu.saturating_add(20).max(LEAST_MTU as u16)
        };
        self.send_error(now, from, IcmpError::TooBig { mtu }, bytes);
        Err(DropReason::TooBig)
    }

    pub(super) fn ttl_after(&self, headers: &Headers) -> u8 {
        headers.ttl - u8::from(self.config.decrement_ttl && headers.ttl > 0)
    }

    pub(super) fn next_id(&mut self) -> u16 {
        self.last_id = self.last_id.wrapping_add(1);
        self.last_id
    }

    /// Translates an error from inside about a packet that came in.
    pub(super) fn cross_outbound_error(
        &mut self,
        now: Instant,
        packet: &mut Packet<'_>,
        headers: Headers,
    ) -> Result<Verdict, DropReason> {
        let prefix = self.pref64().ok_or(DropReason::Untranslatable)?;
        let quoted = self.check_error(packet.bytes(), &headers)?;
        let remote = outside_of(prefix, quoted.source).ok_or(DropReason::IcmpNoFlow)?;
        let seen = Headers {
            source: remote,
            ..quoted
        };
        let found = self.quoted_destination(&seen);
        let (mapping, external) = found.ok_or(DropReason::IcmpNoFlow)?;
        self.end_if_configured(now, mapping);
        let destination = outside_of(prefix, headers.destination).ok_or(DropReason::IcmpNoFlow)?;
        let turns_around = self.is_external(destination);
        let outer = Header {
            source: external.address,
            destination,
            // A hairpinned packet is translated twice but passes one router, so its time to live
            // falls once.
            ttl: match turns_around {
                true => headers.ttl,
                false => self.ttl_after(&headers),
            },
            id: 0,
        };
        let source = seen.source_endpoint().ok_or(DropReason::IcmpNoFlow)?;
        let quote = Quote {
            headers: quoted,
            source: Endpoint::new(source.address, query_or(external.port, source, &seen)),
            destination: external,
        };
        error(packet, &headers, outer, quote, self.config.mtu)?;
        if !turns_around {
            return Ok(Verdict::Forward);
        }
        if self.config.hairpinning == Hairpinning::Off {
            return Err(DropReason::HairpinOff);
        }
        let headers = Headers::parse(packet.bytes()).map_err(|_| DropReason::Malformed)?;
        self.cross_inbound_error(now, packet, headers)
            .map(|_| Verdict::Hairpin)
    }

    /// Translates an error from outside about a packet that left.
    pub(super) fn cross_inbound_error(
        &mut self,
        now: Instant,
        packet: &mut Packet<'_>,
        headers: Headers,
    ) -> Result<Verdict, DropReason> {
        let quoted = self.check_error(packet.bytes(), &headers)?;
        let (mapping, internal) = self.quoted_source(&quoted).ok_or(DropReason::IcmpNoFlow)?;
        self.end_if_configured(now, mapping);
        let outer = Header {
            source: self.inside_of(headers.source)?,
            destination: internal.address,
            ttl: self.ttl_after(&headers),
            id: 0,
        };
        let remote = quoted.destination_endpoint();
        let remote = remote.ok_or(DropReason::IcmpNoFlow)?;
        let port = query_or(internal.port, remote, &quoted);
        let quote = Quote {
            headers: quoted,
            source: internal,
            destination: Endpoint::new(self.inside_of(remote.address)?, port),
        };
        error(packet, &headers, outer, quote, self.config.mtu)?;
        Ok(Verdict::Forward)
    }
}

/// Returns the IPv4 address that an IPv6 address stands for.
fn outside_of(prefix: Prefix, inside: Address) -> Option<Address> {
    if inside.is_v4() {
        return None;
    }
    let v4 = prefix.extract(std::net::Ipv6Addr::from_bits(inside.bits()))?;
    Some(v4.into())
}

/// Returns the port of a remote; for ICMP queries, which have one identifier for both ends, `id`.
fn query_or(id: u16, remote: Endpoint, quoted: &Headers) -> u16 {
    match quoted.transport {
        Transport::Query { .. } => id,
        _ => remote.port,
    }
}

/// Returns whether an IPv4 address may be embedded in the well-known prefix: it is not private,
/// link-local, loopback or multicast.
///
/// The documentation ranges are allowed although the RFC excludes them: in tests they are the
/// public internet.
fn is_global(address: Address) -> bool {
    let Some(bits) = address.to_v4() else {
        return false;
    };
    let ip = std::net::Ipv4Addr::from_bits(bits);
    // 100.64.0.0/10, which carriers use behind their NATs (RFC 6598).
    let shared = bits >> 22 == 0x6440_0000 >> 22;
    !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || shared)
        && bits >> 24 != 0
        && bits < 0xe000_0000
}

/// The MTU that every IPv6 link has
/// ([RFC 8200 §5](https://www.rfc-editor.org/rfc/rfc8200#section-5)).
const LEAST_MTU: usize = 1280;
