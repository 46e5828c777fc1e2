//! The client in NAT-PMP (RFC 6886).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::Client;
use super::entry::{MapError, MapId, Phase};
use super::find::{AbsenceReason, Support};
use crate::nat_pmp::{Answer, Request, Response, ResultCode};
use crate::{Dialect, TransportProtocol};

impl Client {
    /// Requests the outside address; the answer also shows that the gateway supports NAT-PMP.
    pub(super) fn ask_nat_pmp_address(&mut self) {
        self.transmit(Request::ExternalAddress.encode());
    }

    /// Requests a mapping, or its end.
    pub(super) fn ask_nat_pmp(&mut self, id: MapId) {
        let Some(entry) = self.entries.get(&id) else {
            return;
        };
        let ends = entry.phase == Phase::Ending;
        let lifetime = u32::try_from(entry.request.lifetime.as_secs()).unwrap_or(u32::MAX);
        let request = Request::Map {
            protocol: entry.request.protocol,
            internal_port: entry.request.internal_port,
            suggested_port: if ends { 0 } else { entry.port_to_request() },
            // Zero would end the mapping.
            lifetime: if ends { 0 } else { lifetime.max(1) },
        };
        if !ends {
            // The response to a mapping does not contain the outside address.
            self.ask_nat_pmp_address();
        }
        self.transmit(request.encode());
    }

    /// Takes a datagram that may be a NAT-PMP response or announcement.
    pub(super) fn handle_nat_pmp(&mut self, now: Instant, bytes: &[u8]) {
        let Ok(response) = Response::decode(bytes) else {
            return;
        };
        if response.result == ResultCode::UnsupportedVersion {
            // A gateway without PCP answers a PCP request like this, because the first byte is the
            // version.
            return self.other_version(now, Dialect::Pcp, 0);
        }
        // This error returns our own request, whose bytes are no epoch (RFC 6886 §3.5).
        if response.result != ResultCode::UnsupportedOpcode {
            self.note_epoch(now, Dialect::NatPmp, response.epoch);
        }
        match response.answer {
            Answer::ExternalAddress(ip) => self.nat_pmp_address(now, response.result, ip),
            Answer::Map {
                protocol,
                internal_port,
                external_port,
                lifetime,
            } => {
                let asked = (protocol, internal_port);
                let granted = (external_port, Duration::from_secs(lifetime.into()));
                self.nat_pmp_answered(now, response.result, asked, granted);
            }
            Answer::Refusal(_) => {}
        }
    }

    fn nat_pmp_address(&mut self, now: Instant, result: ResultCode, ip: Ipv4Addr) {
        let external = (!ip.is_unspecified()).then_some(IpAddr::V4(ip));
        let support = match result {
            ResultCode::Success => Support::Present { external },
            // The gateway exists, and has no outside network at present.
            ResultCode::NetworkFailure => Support::Present { external: None },
            result => Support::Absent(AbsenceReason::NatPmp(result)),
        };
        if self.is_probing(Dialect::NatPmp) {
            self.conclude(now, Dialect::NatPmp, support);
        } else if result == ResultCode::Success {
            self.report_address(Dialect::NatPmp, support);
            self.move_mappings(now, Dialect::NatPmp, IpAddr::V4(ip));
        }
    }

    fn nat_pmp_answered(
        &mut self,
        now: Instant,
        result: ResultCode,
        asked: (TransportProtocol, u16),
        granted: (u16, Duration),
    ) {
        let found = self.entries.iter().find(|(_, entry)| {
            entry.is_asking(Dialect::NatPmp)
                && (entry.request.protocol, entry.request.internal_port) == asked
        });
        let Some((id, phase)) = found.map(|(id, entry)| (*id, entry.phase)) else {
            return;
        };
        let (port, lifetime) = granted;
        match (phase, result) {
            (Phase::Ending, ResultCode::Success) if !lifetime.is_zero() => {
                // This answers an earlier request; the request to end the mapping is under way.
            }
            (Phase::Ending, result) => self.forget(id, result == ResultCode::Success),
            (_, ResultCode::Success) if !lifetime.is_zero() => {
                let address = match self.support(Dialect::NatPmp) {
                    Some(Support::Present { external: Some(ip) }) => ip,
                    _ => Ipv4Addr::UNSPECIFIED.into(),
                };
                let external = SocketAddr::new(address, port);
                self.granted(now, id, Dialect::NatPmp, external, lifetime);
            }
            // A mapping with no lifetime is none.
            (_, ResultCode::Success) => self.refused(now, id, MapError::Silent, None),
            (_, result) => self.refused(now, id, MapError::NatPmp(result), None),
        }
    }
}
