//! What a gateway gives and takes away, whichever protocol asks.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::rand_core::Rng;

use super::lease::{Key, Lease};
use super::{Counters, Gateway};
use crate::pcp::Nonce;
use crate::{Dialect, Protocol};
use jackfield_nat::{Forward, ForwardError, Nat, RemoteFilter};

/// What a host would like to have.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) protocol: Protocol,
    pub(super) internal: SocketAddr,
    /// The outside port; zero for any.
    pub(super) port: u16,
    /// It is to be that port or none.
    pub(super) exact: bool,
    pub(super) lifetime: Duration,
    pub(super) dialect: Dialect,
    pub(super) nonce: Option<Nonce>,
    pub(super) description: String,
    /// Whom it shall let in; absent for no change.
    pub(super) filters: Option<Vec<RemoteFilter>>,
}

/// What a host got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) external: SocketAddr,
    pub(super) lifetime: Duration,
}

/// Why a host does not get what it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is not for this host to ask, or not for anybody.
    NotAuthorized,
    /// The lease is another program's, for this long.
    Nonce(Duration),
    /// The outside endpoint is taken.
    Conflict,
    /// The host has all it may have.
    Quota,
    /// No port is free, or no more leases can be kept.
    NoResources,
    /// The NAT has no address outside, of this family.
    NoExternal,
    /// More filters than a lease has.
    Filters,
}

impl Counters {
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
    /// Gives a lease, or prolongs the one that the inside endpoint has.
    pub(super) fn grant(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        wish: Wish,
    ) -> Result<Grant, Refused> {
        let granted = self.try_grant(now, nat, wish);
        if let Err(refused) = granted {
            self.counters.count_refusal(refused);
        }
        granted
    }

    fn try_grant(&mut self, now: Instant, nat: &mut Nat, wish: Wish) -> Result<Grant, Refused> {
        if !self.config.allows_internal(wish.internal.port()) {
            return Err(Refused::NotAuthorized);
        }
        let most = self.config.filters_per_lease;
        if wish.filters.as_ref().is_some_and(|it| it.len() > most) {
            return Err(Refused::Filters);
        }
        match self.leased(nat, &wish)? {
            Some(key) => self.renew(now, nat, key, wish),
            None => self.begin(now, nat, wish),
        }
    }

    /// Finds the lease that a wish is about. UPnP names an outside port and may map several to one inside endpoint;
    /// the others name the inside endpoint.
    fn leased(&self, nat: &Nat, wish: &Wish) -> Result<Option<Key>, Refused> {
        if wish.dialect != Dialect::Upnp || wish.port == 0 {
            return Ok(self.leases.of_internal(wish.protocol, wish.internal));
        }
        let external = nat.external_of(wish.internal.ip());
        let external = external.ok_or(Refused::NoExternal)?;
        let key = (wish.protocol, SocketAddr::new(external, wish.port));
        let lease = self.leases.get(&key);
        let fits = |lease: &&Lease| wish.exact || lease.internal == wish.internal;
        Ok(lease.filter(fits).map(|_| key))
    }

    fn renew(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        key: Key,
        wish: Wish,
    ) -> Result<Grant, Refused> {
        let (protocol, external) = key;
        let mut lease = self.leases.get(&key).ok_or(Refused::Conflict)?.clone();
        if lease.internal != wish.internal {
            return Err(Refused::Conflict);
        }
        if lease.nonce.is_some() && lease.nonce != wish.nonce {
            return Err(Refused::Nonce(lease.expires.saturating_duration_since(now)));
        }
        if wish.exact && wish.port != external.port() {
            return Err(Refused::Conflict);
        }
        let lifetime = self.lifetime(wish.dialect, wish.lifetime);
        lease.expires = now + lifetime;
        lease.nonce = lease.nonce.or(wish.nonce);
        lease.dialect = wish.dialect;
        lease.description = wish.description;
        if let Some(filters) = wish.filters {
            nat.filter_forward(protocol.into(), external.into(), filters.clone());
            lease.filters = filters;
        }
        self.leases.insert(key, lease);
        self.counters.renewed += 1;
        Ok(Grant { external, lifetime })
    }

    fn begin(&mut self, now: Instant, nat: &mut Nat, wish: Wish) -> Result<Grant, Refused> {
        if self.leases.of_host(wish.internal.ip()) + self.peers.of_host(wish.internal.ip())
            >= self.config.leases_per_host
        {
            return Err(Refused::Quota);
        }
        if self.leases.len() + self.peers.len() >= self.config.leases {
            return Err(Refused::NoResources);
        }
        let external = self.place(now, nat, &wish)?;
        let filters = wish.filters.unwrap_or_default();
        if !filters.is_empty() {
            nat.filter_forward(wish.protocol.into(), external.into(), filters.clone());
        }
        let lifetime = self.lifetime(wish.dialect, wish.lifetime);
        let lease = Lease {
            internal: wish.internal,
            dialect: wish.dialect,
            nonce: wish.nonce,
            description: wish.description,
            filters,
            expires: now + lifetime,
        };
        tracing::debug!(protocol = ?wish.protocol, internal = %wish.internal, %external, ?lifetime, "Leased port");
        self.leases.insert((wish.protocol, external), lease);
        self.counters.granted += 1;
        Ok(Grant { external, lifetime })
    }

    /// Has the NAT forward an outside port: the one asked for, else the inside one, else any.
    fn place(&mut self, now: Instant, nat: &mut Nat, wish: &Wish) -> Result<SocketAddr, Refused> {
        let external = nat.external_of(wish.internal.ip());
        let ip = external.ok_or(Refused::NoExternal)?;
        if wish.exact {
            return self.forward(now, nat, wish, SocketAddr::new(ip, wish.port));
        }
        let preserved = wish.internal.port();
        for port in [wish.port, preserved] {
            if port == 0 {
                continue;
            }
            match self.forward(now, nat, wish, SocketAddr::new(ip, port)) {
                Err(Refused::Conflict | Refused::NotAuthorized) => {}
                done => return done,
            }
        }
        let range = self.config.external_ports.clone();
        let count = u64::from(range.end().saturating_sub(*range.start())) + 1;
        for _ in 0..PORTS_TRIED {
            let port = range.start() + (self.rng.next_u64() % count) as u16;
            match self.forward(now, nat, wish, SocketAddr::new(ip, port)) {
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
        wish: &Wish,
        external: SocketAddr,
    ) -> Result<SocketAddr, Refused> {
        if !self.config.allows_external(external.port()) {
            return Err(Refused::NotAuthorized);
        }
        if !wish.exact && self.is_anothers(wish, external) {
            return Err(Refused::Conflict);
        }
        let forward = Forward {
            protocol: wish.protocol.into(),
            internal: wish.internal.into(),
            external: external.into(),
        };
        match nat.add_forward(now, forward) {
            Ok(()) => Ok(external),
            Err(ForwardError::Taken) => Err(Refused::Conflict),
            Err(ForwardError::NotExternal | ForwardError::WrongFamily) => Err(Refused::NoExternal),
            Err(ForwardError::HostMappings) => Err(Refused::Quota),
        }
    }

    /// Returns whether the same port of the other protocol is another host's: a port of which one host has UDP and
    /// another one TCP confuses everybody, and NAT-PMP wants it avoided.
    fn is_anothers(&self, wish: &Wish, external: SocketAddr) -> bool {
        let other = match wish.protocol {
            Protocol::Udp => Protocol::Tcp,
            Protocol::Tcp => Protocol::Udp,
        };
        let lease = self.leases.get(&(other, external));
        lease.is_some_and(|lease| lease.internal.ip() != wish.internal.ip())
    }

    /// Ends a lease and the NAT's forward.
    pub(super) fn end(&mut self, now: Instant, nat: &mut Nat, key: &Key) -> bool {
        let found = self.leases.remove(key).is_some();
        if found {
            nat.remove_forward(now, key.0.into(), key.1.into());
            self.counters.deleted += 1;
        }
        found
    }

    /// Ends the leases that are due.
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
            Duration::ZERO => most,
            wished => wished.max(self.config.min_lifetime).min(most),
        }
    }
}

/// How many random ports are tried before none counts as free.
const PORTS_TRIED: usize = 256;
