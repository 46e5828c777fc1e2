//! Answers NAT-PMP requests (RFC 6886).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_nat::Nat;

use super::Gateway;
use super::grant::{PortRequest, Refused};
use super::lease::LeaseKey;
use crate::nat_pmp::{Answer, Request, RequestError, Response, ResultCode, refusal};
use crate::{Dialect, TransportProtocol};

impl Gateway {
    /// Answers a NAT-PMP request of a host.
    pub(super) fn answer_nat_pmp(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        host: SocketAddr,
        bytes: &[u8],
    ) -> Option<Vec<u8>> {
        self.counters.nat_pmp += 1;
        let request = match Request::decode(bytes) {
            Ok(request) => request,
            Err(error) => {
                self.counters.malformed += 1;
                return refusal(error, bytes, self.epoch(now));
            }
        };
        let response = match request {
            Request::ExternalAddress => self.external_address(now, nat, host.ip()),
            Request::Map {
                protocol,
                internal_port,
                suggested_port,
                lifetime,
            } => {
                let internal = SocketAddr::new(host.ip(), internal_port);
                let granted = match lifetime {
                    0 => self.unmap_nat_pmp(now, nat, protocol, internal),
                    seconds => {
                        self.map_nat_pmp(now, nat, protocol, internal, suggested_port, seconds)
                    }
                };
                let (result, external_port, lifetime) = match granted {
                    Ok((port, lifetime)) => (ResultCode::Success, port, lifetime),
                    Err(refused) => (result(refused), 0, 0),
                };
                Response {
                    result,
                    epoch: self.epoch(now),
                    answer: Answer::Map {
                        protocol,
                        internal_port,
                        external_port,
                        lifetime,
                    },
                }
            }
        };
        Some(response.encode())
    }

    /// Answers a request in a version that the gateway does not support.
    pub(super) fn refuse_version(&mut self, now: Instant, bytes: &[u8]) -> Option<Vec<u8>> {
        self.counters.malformed += 1;
        let version = bytes.first().copied()?;
        let is_response = bytes.get(1).is_none_or(|opcode| opcode & 0x80 != 0);
        // An answer to an answer could go on for ever between two gateways (RFC 6886 §3.5).
        if is_response {
            return None;
        }
        refusal(RequestError::Version(version), bytes, self.epoch(now))
    }

    fn map_nat_pmp(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        protocol: TransportProtocol,
        internal: SocketAddr,
        port: u16,
        seconds: u32,
    ) -> Result<(u16, u32), Refused> {
        let request = PortRequest {
            protocol,
            internal,
            port,
            exact: false,
            lifetime: Duration::from_secs(seconds.into()),
            dialect: Dialect::NatPmp,
            nonce: None,
            description: String::new(),
            filters: None,
        };
        let grant = self.grant(now, nat, request)?;
        Ok((grant.external.port(), grant.lifetime.as_secs() as u32))
    }

    /// Ends a mapping, or with an internal port of zero all mappings of the host
    /// ([RFC 6886 §3.4](https://www.rfc-editor.org/rfc/rfc6886#section-3.4)). To end a mapping
    /// that does not exist is a success. The mappings of PCP, which belong to a nonce, and
    /// those of the administrator stay, and that they do is an error.
    fn unmap_nat_pmp(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        protocol: TransportProtocol,
        internal: SocketAddr,
    ) -> Result<(u16, u32), Refused> {
        let any_port = internal.port() == 0;
        let fits = |at: SocketAddr| at == internal || any_port && at.ip() == internal.ip();
        let mine = self
            .leases
            .iter()
            .filter(|((of, _), lease)| *of == protocol && fits(lease.internal));
        let (others, mine): (Vec<_>, Vec<_>) = mine.partition(|(_, lease)| lease.nonce.is_some());
        let mut fixed = nat.config().forwards.iter();
        let is_fixed = fixed.any(|it| it.protocol == protocol.into() && fits(it.internal.into()));
        // The gateway ends as many mappings as it may and still reports an error (RFC 6886 §3.4).
        let refused = is_fixed || !others.is_empty();
        let mine: Vec<LeaseKey> = mine.into_iter().map(|(key, _)| *key).collect();
        for key in mine {
            self.end(now, nat, &key);
        }
        if refused {
            self.counters.count_refusal(Refused::NotAuthorized);
            return Err(Refused::NotAuthorized);
        }
        Ok((0, 0))
    }
}

fn result(refused: Refused) -> ResultCode {
    match refused {
        Refused::NotAuthorized | Refused::Nonce(_) => ResultCode::NotAuthorized,
        Refused::NoExternal => ResultCode::NetworkFailure,
        Refused::Conflict | Refused::Quota | Refused::NoResources | Refused::Filters => {
            ResultCode::OutOfResources
        }
    }
}
