//! Answers PCP requests (RFC 6887).

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_nat::{Forward, Nat, Prefix, RemoteFilter};

use super::Gateway;
use super::grant::{Grant, PortRequest, Refused, fixed_external};
use super::peer::Flow;
use crate::pcp::{
    Body, Filter, Map, PcpOption, Peer, Request, RequestError, Response, ResultCode, refusal,
};
use crate::{Dialect, TransportProtocol};

/// An error, and how long it will stay the same.
struct Refusal {
    result: ResultCode,
    lifetime: Duration,
}

impl From<ResultCode> for Refusal {
    fn from(result: ResultCode) -> Self {
        Self {
            result,
            lifetime: result.lifetime(),
        }
    }
}

/// The options of a request.
#[derive(Default)]
struct Options {
    third_party: Option<IpAddr>,
    prefer_failure: bool,
    filters: Option<Vec<RemoteFilter>>,
    /// The options that were understood, which the response repeats.
    known: Vec<PcpOption>,
    /// Filters that the mapping has from earlier are to go.
    forgets_filters: bool,
}

impl Gateway {
    /// Answers a PCP request of a host
    /// ([RFC 6887 §8.2](https://www.rfc-editor.org/rfc/rfc6887#section-8.2)).
    pub(super) fn answer_pcp(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        host: SocketAddr,
        bytes: &[u8],
    ) -> Option<Vec<u8>> {
        self.counters.pcp += 1;
        let answer = match Request::decode(bytes) {
            Ok(request) => self.serve_pcp(now, nat, host.ip(), &request),
            Err(RequestError::Silent) => {
                self.counters.malformed += 1;
                return None;
            }
            Err(RequestError::Refuse(result)) => {
                self.counters.malformed += 1;
                Err(result.into())
            }
        };
        let epoch = self.epoch(now);
        Some(match answer {
            Ok((lifetime, body, options)) => Response {
                result: ResultCode::Success,
                lifetime: lifetime.as_secs() as u32,
                epoch,
                body,
                options,
            }
            .encode(),
            Err(Refusal { result, lifetime }) => {
                tracing::debug!(result = result.name(), "Refused PCP request");
                refusal(bytes, result, lifetime.as_secs() as u32, epoch)
            }
        })
    }

    fn serve_pcp(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        host: IpAddr,
        request: &Request,
    ) -> Result<(Duration, Body, Vec<PcpOption>), Refusal> {
        // The field holds the client's own address, so a difference shows a NAT in between (RFC
        // 6887 §8.3).
        if request.client != host {
            self.counters.unauthorized += 1;
            return Err(ResultCode::AddressMismatch.into());
        }
        let options = self.read_options(host, request)?;
        let host = options.third_party.unwrap_or(host);
        let wished = Duration::from_secs(request.lifetime.into());
        let (lifetime, body) = match request.body {
            Body::Announce => (Duration::ZERO, Body::Announce),
            Body::Map(map) => {
                let grant = self.map_pcp(now, nat, host, map, wished, &options)?;
                let map = Map {
                    external_port: grant.external.port(),
                    external_address: grant.external.ip(),
                    ..map
                };
                (grant.lifetime, Body::Map(map))
            }
            Body::Peer(peer) => {
                let grant = self.peer_pcp(now, nat, host, peer, wished)?;
                let map = Map {
                    external_port: grant.external.port(),
                    external_address: grant.external.ip(),
                    ..peer.map
                };
                (grant.lifetime, Body::Peer(Peer { map, ..peer }))
            }
        };
        Ok((lifetime, body, options.known))
    }

    /// Checks the options ([RFC 6887 §7.3](https://www.rfc-editor.org/rfc/rfc6887#section-7.3)).
    fn read_options(&self, host: IpAddr, request: &Request) -> Result<Options, ResultCode> {
        let mut options = Options::default();
        let is_map = matches!(request.body, Body::Map(_));
        let is_announce = matches!(request.body, Body::Announce);
        for option in &request.options {
            match option {
                PcpOption::ThirdParty(_) if !self.config.third_parties || is_announce => {
                    return Err(ResultCode::UnsuppOption);
                }
                PcpOption::ThirdParty(_) if options.third_party.is_some() => {
                    return Err(ResultCode::MalformedOption);
                }
                PcpOption::ThirdParty(party) if *party == host => {
                    return Err(ResultCode::MalformedRequest);
                }
                PcpOption::ThirdParty(party) => options.third_party = Some(*party),
                PcpOption::PreferFailure if !is_map => return Err(ResultCode::UnsuppOption),
                PcpOption::PreferFailure if options.prefer_failure => {
                    return Err(ResultCode::MalformedOption);
                }
                PcpOption::PreferFailure => options.prefer_failure = true,
                PcpOption::Filter(_) if !is_map => return Err(ResultCode::UnsuppOption),
                PcpOption::Filter(filter) => {
                    options.forgets_filters |= filter.prefix_length == 0;
                    add_filter(options.filters.get_or_insert_default(), filter)?;
                }
                PcpOption::Unknown { .. } if option.is_mandatory() => {
                    return Err(ResultCode::UnsuppOption);
                }
                PcpOption::Unknown { .. } => continue,
            }
            options.known.push(option.clone());
        }
        Ok(options)
    }

    fn map_pcp(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        host: IpAddr,
        map: Map,
        wished: Duration,
        options: &Options,
    ) -> Result<Grant, Refusal> {
        if wished.is_zero() {
            return self.unmap_pcp(now, nat, host, map, options);
        }
        let protocol = mapped_protocol(&map)?;
        let internal = SocketAddr::new(host, map.internal_port);
        let exact = options.prefer_failure;
        if exact && map.external_port == 0 {
            return Err(ResultCode::MalformedOption.into());
        }
        let own = nat.external_of(host);
        let wanted = map.external_address;
        if exact && !wanted.is_unspecified() && own != Some(wanted) {
            self.counters.count_refusal(Refused::Conflict);
            return Err(ResultCode::CannotProvideExternal.into());
        }
        let request = PortRequest {
            protocol,
            internal,
            port: map.external_port,
            exact,
            lifetime: wished,
            dialect: Dialect::Pcp,
            nonce: Some(map.nonce),
            description: String::new(),
            filters: self.all_filters(protocol, internal, options),
        };
        let granted = self.grant(now, nat, request);
        granted.map_err(|refused| refusal_of(refused, exact))
    }

    /// Returns the filters that a mapping shall have: those of the request, after those that it
    /// has unless the request forgets them ([RFC 6887
    /// §13.3](https://www.rfc-editor.org/rfc/rfc6887#section-13.3)).
    fn all_filters(
        &self,
        protocol: TransportProtocol,
        internal: SocketAddr,
        options: &Options,
    ) -> Option<Vec<RemoteFilter>> {
        let new = options.filters.as_ref()?;
        let key = self.leases.of_internal(protocol, internal);
        let lease = key.and_then(|key| self.leases.get(&key));
        let mut all = match lease {
            Some(lease) if !options.forgets_filters => lease.filters.clone(),
            _ => Vec::new(),
        };
        for filter in new {
            // A request that is sent again adds nothing.
            if !all.contains(filter) {
                all.push(*filter);
            }
        }
        Some(all)
    }

    /// Ends a mapping ([RFC 6887 §15.1](https://www.rfc-editor.org/rfc/rfc6887#section-15.1)). To
    /// end a mapping that does not exist is a success. A mapping that no MAP request has made
    /// is not for PCP to end.
    fn unmap_pcp(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        host: IpAddr,
        map: Map,
        options: &Options,
    ) -> Result<Grant, Refusal> {
        if map.protocol == 0 && map.internal_port != 0 {
            return Err(ResultCode::MalformedRequest.into());
        }
        // Both options describe a mapping, which makes no sense at its end (RFC 6887 §11.3).
        if options.prefer_failure || options.filters.is_some() {
            return Err(ResultCode::MalformedOption.into());
        }
        // The response repeats the suggested endpoint of the request (RFC 6887 §15.1).
        let ended = Grant {
            external: SocketAddr::new(map.external_address, map.external_port),
            lifetime: Duration::ZERO,
        };
        let known = TransportProtocol::from_number(map.protocol).filter(|_| map.internal_port != 0);
        let Some(protocol) = known else {
            return Ok(ended);
        };
        let internal = SocketAddr::new(host, map.internal_port);
        let Some(key) = self.leases.of_internal(protocol, internal) else {
            let others = nat.mapping_from(protocol.into(), internal.into()).is_some()
                || fixed_external(nat, protocol, internal).is_some();
            if others {
                self.counters.count_refusal(Refused::NotAuthorized);
                return Err(ResultCode::NotAuthorized.into());
            }
            return Ok(ended);
        };
        let lease = self.leases.get(&key);
        let stranger = lease.filter(|it| it.nonce.is_some_and(|nonce| nonce != map.nonce));
        if let Some(lease) = stranger {
            let refused = Refused::Nonce(lease.expires.saturating_duration_since(now));
            self.counters.count_refusal(refused);
            return Err(refusal_of(refused, false));
        }
        self.end(now, nat, &key);
        Ok(ended)
    }

    fn peer_pcp(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        host: IpAddr,
        peer: Peer,
        wished: Duration,
    ) -> Result<Grant, Refusal> {
        let protocol = mapped_protocol(&peer.map)?;
        let internal = SocketAddr::new(host, peer.map.internal_port);
        let remote = SocketAddr::new(peer.remote_address, peer.remote_port);
        let same_family = internal.is_ipv4() == remote.is_ipv4();
        if remote.port() == 0 || remote.ip().is_unspecified() || !same_family {
            return Err(ResultCode::MalformedRequest.into());
        }
        let flow = (protocol, internal, remote);
        if wished.is_zero() {
            let released = self.release_flow(now, &flow, peer.map.nonce);
            released.map_err(|refused| refusal_of(refused, false))?;
            return Ok(Grant {
                external: SocketAddr::new(peer.map.external_address, peer.map.external_port),
                lifetime: Duration::ZERO,
            });
        }
        let suggested = SocketAddr::new(peer.map.external_address, peer.map.external_port);
        // The NAT chooses ports by its own rules. A forward that exists for a moment makes it
        // choose the suggested one.
        let held = self.hold_suggested(now, nat, flow, suggested)?;
        let kept = self.keep_flow(now, nat, flow, peer.map.nonce, wished);
        // The flow exists or was refused, so the forward that held its endpoint can go.
        if let Some(held) = held {
            nat.remove_forward(now, protocol.into(), held.into());
        }
        kept.map_err(|refused| refusal_of(refused, false))
    }

    /// Reserves the suggested outside endpoint for a flow that does not exist yet. A host suggests
    /// one when it recreates a flow that a restart has ended ([RFC 6887
    /// §12.3](https://www.rfc-editor.org/rfc/rfc6887#section-12.3)). Returns the endpoint that a
    /// forward holds for the flow, if one does.
    fn hold_suggested(
        &self,
        now: Instant,
        nat: &mut Nat,
        (protocol, internal, remote): Flow,
        suggested: SocketAddr,
    ) -> Result<Option<SocketAddr>, Refusal> {
        let known = nat.has_flow(protocol.into(), internal.into(), remote.into());
        if known || suggested.port() == 0 {
            return Ok(None);
        }
        let own = nat.external_of(internal.ip());
        let ip = own.ok_or(ResultCode::NetworkFailure)?;
        let external = SocketAddr::new(ip, suggested.port());
        let elsewhere = !suggested.ip().is_unspecified() && suggested.ip() != ip;
        let mapping = nat.mapping_from(protocol.into(), internal.into());
        let fits = match mapping {
            _ if elsewhere => false,
            // The flow will use this mapping, which has the suggested endpoint already.
            Some(mapping) if SocketAddr::from(mapping.external) == external => return Ok(None),
            Some(_) => false,
            None => self.may_forward(protocol, external),
        };
        let forward = Forward {
            protocol: protocol.into(),
            internal: internal.into(),
            external: external.into(),
        };
        if fits && nat.add_forward(now, forward).is_ok() {
            Ok(Some(external))
        } else {
            Err(ResultCode::CannotProvideExternal.into())
        }
    }
}

/// Returns the protocol of a mapping. Mappings of all protocols or all ports are refused: only a
/// NAT with an address per host could make them
/// ([RFC 6887 §11.1](https://www.rfc-editor.org/rfc/rfc6887#section-11.1)).
fn mapped_protocol(map: &Map) -> Result<TransportProtocol, ResultCode> {
    match (map.protocol, map.internal_port) {
        (0, port) if port != 0 => Err(ResultCode::MalformedRequest),
        (_, 0) => Err(ResultCode::UnsuppProtocol),
        (number, _) => TransportProtocol::from_number(number).ok_or(ResultCode::UnsuppProtocol),
    }
}

/// Adds a filter. One with a prefix length of zero removes all filters before it.
fn add_filter(filters: &mut Vec<RemoteFilter>, filter: &Filter) -> Result<(), ResultCode> {
    if filter.prefix_length == 0 {
        filters.clear();
        return Ok(());
    }
    let length = match filter.remote_address {
        // IPv4 addresses are written as IPv4-mapped ones, so their prefixes are 96 bits longer
        // (RFC 6887 §13.3).
        IpAddr::V4(_) => filter.prefix_length.saturating_sub(96),
        IpAddr::V6(_) => filter.prefix_length,
    };
    let prefix = Prefix::new(filter.remote_address, length).ok_or(ResultCode::MalformedOption)?;
    filters.push(RemoteFilter {
        prefix,
        port: (filter.remote_port != 0).then_some(filter.remote_port),
    });
    Ok(())
}

fn refusal_of(refused: Refused, exact: bool) -> Refusal {
    let result = match refused {
        Refused::Nonce(lifetime) => {
            return Refusal {
                result: ResultCode::NotAuthorized,
                lifetime,
            };
        }
        Refused::NotAuthorized if exact => ResultCode::CannotProvideExternal,
        Refused::NotAuthorized => ResultCode::NotAuthorized,
        Refused::Conflict => ResultCode::CannotProvideExternal,
        Refused::Quota => ResultCode::UserExQuota,
        Refused::NoResources => ResultCode::NoResources,
        Refused::NoExternal => ResultCode::NetworkFailure,
        Refused::Filters => ResultCode::ExcessiveRemotePeers,
    };
    result.into()
}
