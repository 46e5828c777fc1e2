//! Grants and ends leases, for all three protocols.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_nat::{Forward, ForwardError, Nat, RemoteFilter};
use rand_chacha::rand_core::Rng;

use super::lease::{Lease, LeaseKey};
use super::{Gateway, GatewayCounters};
use crate::pcp::Nonce;
use crate::{ANNOUNCE_PORT, Dialect, SERVER_PORT, TransportProtocol};

/// A request for a port.
#[derive(Debug, Clone)]
pub(super) struct PortRequest {
    pub(super) protocol: TransportProtocol,
    pub(super) internal: SocketAddr,
    /// The outside port; zero for any.
    pub(super) port: u16,
    /// Whether no other port will do.
    pub(super) exact: bool,
    pub(super) lifetime: Duration,
    pub(super) dialect: Dialect,
    pub(super) nonce: Option<Nonce>,
    pub(super) description: String,
    /// The remotes to let in; `None` leaves them unchanged.
    pub(super) filters: Option<Vec<RemoteFilter>>,
}

/// A granted lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) external: SocketAddr,
    pub(super) lifetime: Duration,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// The host, or any host, is not authorized.
    NotAuthorized,
    /// Another client owns the lease, for this long.
    Nonce(Duration),
    /// The outside endpoint is taken.
    Conflict,
    /// The host has reached its limit of leases.
    Quota,
    /// No port is free, or the table of leases is full.
    NoResources,
    /// The NAT has no outside address of this family.
    NoExternal,
    /// The request has more filters than a lease may have.
    Filters,
}

impl GatewayCounters {
    pub(super) fn count_refusal(&mut self, refused: Refused) {
        *match refused {
            Refused::NotAuthorized | Refused::Nonce(_) => &mut self.unauthorized,
            Refused::Conflict => &mut self.conflicts,
            Refused::Quota => &mut self.over_quota,
            Refused::NoResources => &mut self.no_resources,
            Refused::NoExternal | Refused::Filters => &mut self.refused,
        } += 1;
    }
}

impl Gateway {
    /// Grants a lease, or renews the one that the inside endpoint has.
    pub(super) fn grant(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        request: PortRequest,
    ) -> Result<Grant, Refused> {
        let granted = self.try_grant(now, nat, request);
        if let Err(refused) = granted {
            self.counters.count_refusal(refused);
        }
        granted
    }

    fn try_grant(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        request: PortRequest,
    ) -> Result<Grant, Refused> {
        if !self.config.allows_internal(request.internal.port()) {
            return Err(Refused::NotAuthorized);
        }
        let most = self.config.filters_per_lease;
        if request.filters.as_ref().is_some_and(|it| it.len() > most) {
            return Err(Refused::Filters);
        }
        match self.leased(nat, &request)? {
            // A request that comes again, because its answer was lost, gets the same answer (RFC
            // 6886 §3.3).
            Some(key) => self.renew(now, nat, key, request),
            None => match self.fixed(nat, &request)? {
                Some(grant) => Ok(grant),
                None => self.begin(now, nat, request),
            },
        }
    }

    /// Returns the mapping that an administrator has given an inside endpoint: a request is
    /// answered with it, and it stays as it is
    /// ([RFC 6887 §11.3](https://www.rfc-editor.org/rfc/rfc6887#section-11.3)).
    /// UPnP names the outside port, of which an inside endpoint may have several.
    fn fixed(&self, nat: &Nat, request: &PortRequest) -> Result<Option<Grant>, Refused> {
        let lifetime = match request.dialect {
            Dialect::Upnp => return Ok(None),
            Dialect::NatPmp => self.lifetime(request.dialect, request.lifetime),
            Dialect::Pcp => FOR_EVER,
        };
        let Some(external) = fixed_external(nat, request.protocol, request.internal) else {
            return Ok(None);
        };
        if request.exact && request.port != external.port() {
            return Err(Refused::Conflict);
        }
        Ok(Some(Grant { external, lifetime }))
    }

    /// Finds the lease that a request is about. UPnP names an outside port and may map several of
    /// them to one inside endpoint; the others name the inside endpoint.
    fn leased(&self, nat: &Nat, request: &PortRequest) -> Result<Option<LeaseKey>, Refused> {
        if request.dialect != Dialect::Upnp || request.port == 0 {
            return Ok(self.leases.of_internal(request.protocol, request.internal));
        }
        let external = nat.external_of(request.internal.ip());
        let external = external.ok_or(Refused::NoExternal)?;
        let key = (request.protocol, SocketAddr::new(external, request.port));
        let lease = self.leases.get(&key);
        let fits = |lease: &&Lease| request.exact || lease.internal == request.internal;
        Ok(lease.filter(fits).map(|_| key))
    }

    fn renew(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        key: LeaseKey,
        request: PortRequest,
    ) -> Result<Grant, Refused> {
        let (protocol, external) = key;
        let mut lease = self.leases.get(&key).ok_or(Refused::Conflict)?.clone();
        if lease.internal != request.internal {
            return Err(Refused::Conflict);
        }
        if lease.nonce.is_some() && lease.nonce != request.nonce {
            return Err(Refused::Nonce(lease.expires.saturating_duration_since(now)));
        }
        if request.exact && request.port != external.port() {
            return Err(Refused::Conflict);
        }
        let lifetime = self.lifetime(request.dialect, request.lifetime);
        lease.expires = now + lifetime;
        // PCP takes over a lease of the same host that has no nonce yet.
        lease.nonce = lease.nonce.or(request.nonce);
        lease.dialect = request.dialect;
        lease.description = request.description;
        if let Some(filters) = request.filters {
            nat.filter_forward(protocol.into(), external.into(), filters.clone());
            lease.filters = filters;
        }
        self.leases.insert(key, lease);
        self.counters.renewed += 1;
        Ok(Grant { external, lifetime })
    }

    fn begin(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        request: PortRequest,
    ) -> Result<Grant, Refused> {
        self.room_for_lease(request.internal.ip())?;
        let external = self.choose_external(now, nat, &request)?;
        let filters = request.filters.unwrap_or_default();
        if !filters.is_empty() {
            nat.filter_forward(request.protocol.into(), external.into(), filters.clone());
        }
        let lifetime = self.lifetime(request.dialect, request.lifetime);
        let lease = Lease {
            internal: request.internal,
            dialect: request.dialect,
            nonce: request.nonce,
            description: request.description,
            filters,
            expires: now + lifetime,
        };
        tracing::debug!(protocol = ?request.protocol, internal = %request.internal, %external, ?lifetime, "Leased port");
        self.leases.insert((request.protocol, external), lease);
        self.counters.granted += 1;
        Ok(Grant { external, lifetime })
    }

    /// Checks the limits before a host gets one more lease. Flows that PEER keeps alive count as
    /// leases, since each occupies state of the NAT for as long.
    pub(super) fn room_for_lease(&self, host: IpAddr) -> Result<(), Refused> {
        let of_host = self.leases.of_host(host) + self.peers.of_host(host);
        if of_host >= self.config.leases_per_host {
            return Err(Refused::Quota);
        }
        if self.leases.len() + self.peers.len() >= self.config.leases {
            return Err(Refused::NoResources);
        }
        Ok(())
    }

    /// Makes the NAT forward an outside port: the requested one, else the inside one, else a
    /// random one.
    fn choose_external(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        request: &PortRequest,
    ) -> Result<SocketAddr, Refused> {
        let external = nat.external_of(request.internal.ip());
        let ip = external.ok_or(Refused::NoExternal)?;
        // The host's own packets may have a mapping already, of which the forward becomes part.
        let own = nat.mapping_from(request.protocol.into(), request.internal.into());
        let own = own
            .filter(|_| request.dialect != Dialect::Upnp)
            .map(|own| SocketAddr::from(own.external));
        if let Some(own) = own {
            if request.exact && own.port() != request.port {
                return Err(Refused::Conflict);
            }
            match self.forward(now, nat, request, own) {
                Err(Refused::Conflict | Refused::NotAuthorized) => {}
                done => return done,
            }
        }
        if request.exact {
            return self.forward(now, nat, request, SocketAddr::new(ip, request.port));
        }
        // Clients normally want the outside port to equal the inside one (RFC 6886 §3.3).
        let preserved = request.internal.port();
        for port in [request.port, preserved] {
            if port == 0 {
                continue;
            }
            match self.forward(now, nat, request, SocketAddr::new(ip, port)) {
                Err(Refused::Conflict | Refused::NotAuthorized) => {}
                done => return done,
            }
        }
        let range = self.config.external_ports.clone();
        let count = u64::from(range.end().saturating_sub(*range.start())) + 1;
        // The NAT's pool is not searched from here: the configuration denies ports that the pool
        // has.
        for _ in 0..PORTS_TRIED {
            let port = range.start() + (self.rng.next_u64() % count) as u16;
            match self.forward(now, nat, request, SocketAddr::new(ip, port)) {
                Err(Refused::Conflict | Refused::NotAuthorized) => {}
                done => return done,
            }
        }
        Err(Refused::NoResources)
    }

    fn forward(
        &self,
        now: Instant,
        nat: &mut Nat,
        request: &PortRequest,
        external: SocketAddr,
    ) -> Result<SocketAddr, Refused> {
        if !self.may_forward(request.protocol, external) {
            return Err(Refused::NotAuthorized);
        }
        // A request for exactly this port has no other to fall back to, and UPnP knows no
        // companion ports.
        if !request.exact && self.belongs_to_another(request, external) {
            return Err(Refused::Conflict);
        }
        let forward = Forward {
            protocol: request.protocol.into(),
            internal: request.internal.into(),
            external: external.into(),
        };
        match nat.add_forward(now, forward) {
            Ok(()) => Ok(external),
            Err(ForwardError::Taken) => Err(Refused::Conflict),
            Err(ForwardError::NotExternal | ForwardError::WrongFamily) => Err(Refused::NoExternal),
            Err(ForwardError::HostMappings) => Err(Refused::Quota),
        }
    }

    /// Returns whether an outside port may be given out: not by the configuration alone, for those
    /// of the gateway's own services never are ([RFC 6887
    /// §11.3](https://www.rfc-editor.org/rfc/rfc6887#section-11.3)).
    pub(super) fn may_forward(&self, protocol: TransportProtocol, external: SocketAddr) -> bool {
        let of_service = protocol == TransportProtocol::Udp
            && [ANNOUNCE_PORT, SERVER_PORT].contains(&external.port());
        !of_service && self.config.allows_external(external.port())
    }

    /// Returns whether another host has the same port of the other transport protocol. RFC 6886
    /// §3.3 reserves that companion port for the host that has one of the two.
    fn belongs_to_another(&self, request: &PortRequest, external: SocketAddr) -> bool {
        let other = match request.protocol {
            TransportProtocol::Udp => TransportProtocol::Tcp,
            TransportProtocol::Tcp => TransportProtocol::Udp,
        };
        let lease = self.leases.get(&(other, external));
        lease.is_some_and(|lease| lease.internal.ip() != request.internal.ip())
    }

    /// Ends a lease with its forward.
    pub(super) fn end(&mut self, now: Instant, nat: &mut Nat, key: &LeaseKey) -> bool {
        let found = self.leases.remove(key).is_some();
        if found {
            // The NAT keeps the mapping for flows of the host itself: a forged request must not
            // take the port from them (RFC 6887 §15).
            nat.remove_forward(now, key.0.into(), key.1.into());
            self.counters.deleted += 1;
        }
        found
    }

    /// Ends the leases that have expired.
    pub(super) fn expire(&mut self, now: Instant, nat: &mut Nat) {
        while let Some(((protocol, external), lease)) = self.leases.expire(now) {
            nat.remove_forward(now, protocol.into(), external.into());
            self.counters.expired += 1;
            tracing::debug!(?protocol, internal = %lease.internal, %external, "Lease expired");
        }
    }

    pub(super) fn lifetime(&self, dialect: Dialect, wished: Duration) -> Duration {
        let most = match dialect {
            Dialect::Upnp => self.config.max_lifetime_upnp,
            Dialect::NatPmp | Dialect::Pcp => self.config.max_lifetime,
        };
        match wished {
            // Only UPnP gets here with zero, which there means as long as possible. The others end
            // a mapping by it.
            Duration::ZERO => most,
            // NAT-PMP gives no more than was asked for, PCP may.
            wished if dialect == Dialect::NatPmp => wished.min(most),
            wished => wished.max(self.config.min_lifetime).min(most),
        }
    }
}

/// Returns the outside endpoint that the NAT's configuration gives an inside one.
pub(super) fn fixed_external(
    nat: &Nat,
    protocol: TransportProtocol,
    internal: SocketAddr,
) -> Option<SocketAddr> {
    let mut forwards = nat.config().forwards.iter();
    let fixed = forwards.find(|forward| {
        let there = nat.mapping_at(forward.protocol, forward.external);
        forward.protocol == protocol.into()
            && forward.internal == internal.into()
            && there.is_some_and(|there| there.internal == forward.internal)
    });
    fixed.map(|forward| forward.external.into())
}

/// What PCP says of a mapping that has no end.
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

/// How many random ports are tried before the pool counts as exhausted.
const PORTS_TRIED: usize = 256;
