//! The client in PCP (RFC 6887).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::entry::{MapError, MapId, Phase};
use super::find::{AbsenceReason, Support};
use super::{Client, Event};
use crate::pcp::{Body, Map, Request, Response, ResponseError, ResultCode, VERSION, any_like};
use crate::{Dialect, TransportProtocol};

impl Client {
    /// Sends ANNOUNCE, to see whether the gateway supports PCP.
    pub(super) fn ask_pcp_presence(&mut self) {
        self.transmit_pcp(Body::Announce, Duration::ZERO);
    }

    /// Requests a mapping only to learn the outside address.
    pub(super) fn ask_pcp_for_address(&mut self) {
        if let Some(port) = self.config.learn_external {
            self.transmit_pcp(Body::Map(self.learning_map(port)), LEARNING_LIFETIME);
        }
    }

    /// Requests a mapping, or its end.
    pub(super) fn ask_pcp(&mut self, id: MapId) {
        let Some(entry) = self.entries.get(&id) else {
            return;
        };
        let ends = entry.phase == Phase::Ending;
        // The suggested endpoint is zero in a request to end a mapping (RFC 6887 §15.1).
        let external = entry.mapping.filter(|_| !ends).map(|it| it.external.ip());
        let map = Map {
            nonce: entry.nonce,
            protocol: entry.request.protocol.number(),
            internal_port: entry.request.internal_port,
            external_port: if ends { 0 } else { entry.port_to_request() },
            external_address: external.unwrap_or_else(|| any_like(self.config.local)),
        };
        let lifetime = if ends {
            Duration::ZERO
        } else {
            entry.request.lifetime
        };
        self.transmit_pcp(Body::Map(map), lifetime);
    }

    fn transmit_pcp(&mut self, body: Body, lifetime: Duration) {
        let request = Request {
            lifetime: u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX),
            client: self.config.local,
            body,
            options: Vec::new(),
        };
        self.transmit(request.encode());
    }

    fn learning_map(&self, port: u16) -> Map {
        Map {
            nonce: self.learning,
            protocol: TransportProtocol::Udp.number(),
            internal_port: port,
            external_port: port,
            external_address: any_like(self.config.local),
        }
    }

    /// Takes a datagram that may be a PCP response or announcement.
    pub(super) fn handle_pcp(&mut self, now: Instant, bytes: &[u8]) {
        let response = match Response::decode(bytes) {
            Ok(response) => response,
            Err(ResponseError::Version(version)) => {
                return self.other_version(now, Dialect::Pcp, version);
            }
            Err(ResponseError::Malformed) => return,
        };
        if response.result == ResultCode::UnsuppVersion {
            // A gateway that says so in PCP supports PCP: the version that it does not support is
            // that of our NAT-PMP request.
            return self.other_version(now, Dialect::NatPmp, VERSION);
        }
        self.note_epoch(now, Dialect::Pcp, response.epoch);
        match response.body {
            Body::Announce => match response.result {
                ResultCode::Success => self.pcp_answered_probe(now),
                // A gateway that does not support the opcode still supports PCP.
                ResultCode::UnsuppOpcode => self.pcp_answered_probe(now),
                result if self.is_probing(Dialect::Pcp) => {
                    self.conclude(
                        now,
                        Dialect::Pcp,
                        Support::Absent(AbsenceReason::Pcp(result)),
                    );
                }
                _ => {}
            },
            Body::Map(map) if map.nonce == self.learning => {
                self.address_learned(now, &response, map);
            }
            Body::Map(map) => self.pcp_answered(now, &response, map),
            Body::Peer(_) => {}
        }
    }

    /// Handles an answer in another version than that of the request
    /// ([RFC 6887 §9](https://www.rfc-editor.org/rfc/rfc6887#section-9)).
    pub(super) fn other_version(&mut self, now: Instant, dialect: Dialect, version: u8) {
        if self.is_probing(dialect) {
            let absence = AbsenceReason::Version(version);
            self.conclude(now, dialect, Support::Absent(absence));
        }
    }

    fn address_learned(&mut self, now: Instant, response: &Response, map: Map) {
        if !self.is_probing(Dialect::Pcp) {
            return;
        }
        let success = response.result == ResultCode::Success;
        if success && response.lifetime > 0 {
            // The mapping was made to learn the address, and a port left open would be of no use.
            let ended = Map {
                external_port: 0,
                external_address: any_like(self.config.local),
                ..map
            };
            self.transmit_pcp(Body::Map(ended), Duration::ZERO);
        }
        let support = match response.result {
            ResultCode::Success => Support::Present {
                external: Some(map.external_address).filter(|ip| !ip.is_unspecified()),
            },
            ResultCode::NotAuthorized | ResultCode::AddressMismatch => {
                Support::Absent(AbsenceReason::Pcp(response.result))
            }
            _ => Support::Present { external: None },
        };
        self.conclude(now, Dialect::Pcp, support);
    }

    fn pcp_answered(&mut self, now: Instant, response: &Response, map: Map) {
        let asked = self.entries.iter().find(|(_, entry)| {
            // A gateway may also send an answer unasked when a mapping has moved (RFC 6887 §8.3).
            let moved = entry.phase == Phase::Active && response.result == ResultCode::Success;
            entry.nonce == map.nonce
                && entry.dialect == Some(Dialect::Pcp)
                && (moved || entry.is_asking(Dialect::Pcp))
                && entry.request.internal_port == map.internal_port
                && entry.request.protocol.number() == map.protocol
        });
        let Some((id, phase)) = asked.map(|(id, entry)| (*id, entry.phase)) else {
            return;
        };
        let lifetime = Duration::from_secs(response.lifetime.into());
        match (phase, response.result) {
            (Phase::Ending, ResultCode::Success) if response.lifetime > 0 => {
                // This answers an earlier request; the request to end the mapping is under way.
            }
            (Phase::Ending, result) => self.forget(id, result == ResultCode::Success),
            (_, ResultCode::Success) if response.lifetime > 0 => {
                let external = SocketAddr::new(map.external_address, map.external_port);
                self.granted(now, id, Dialect::Pcp, external, lifetime);
            }
            (_, ResultCode::Success) => self.refused(now, id, MapError::Silent, None),
            (_, result) => self.refused(
                now,
                id,
                MapError::Pcp(result),
                Some(lifetime.min(LONGEST_ERROR)),
            ),
        }
    }

    /// Reports the outside address of the gateway if it is new.
    pub(super) fn report_address(&mut self, dialect: Dialect, support: Support) {
        if let Some(service) = self.services.get_mut(&dialect)
            && service.support.is_some()
            && service.support != Some(support)
        {
            service.support = Some(support);
            self.emit(Event::Probed(dialect, support));
        }
    }
}

/// The lifetime of the mapping that is made to learn the address; the client ends it long before.
const LEARNING_LIFETIME: Duration = Duration::from_secs(120);
/// The longest time for which the client believes an error. It is the time after which RFC 6887 §9
/// lets a client ask again.
const LONGEST_ERROR: Duration = Duration::from_secs(30 * 60);
