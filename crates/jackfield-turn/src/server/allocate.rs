//! Allocate requests ([RFC 8656 §7.2]).
//!
//! [RFC 8656 §7.2]: https://www.rfc-editor.org/rfc/rfc8656#section-7.2

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_stun::attribute::{ErrorCodeAttribute, XorMappedAddress};
use jackfield_stun::{DecodeError, ErrorCode};

use super::answer::Asked;
use super::pending::{Pending, PortWish};
use super::{Request, Server, plain};
use crate::allocation::{Allocation, Relays};
use crate::attribute::{
    AdditionalAddressFamily, AddressErrorCode, AddressFamily, EvenPort, Lifetime,
    RequestedAddressFamily, RequestedTransport, ReservationToken, XorRelayedAddress,
};
use crate::registry::QuotaError;
use crate::{DefaultFamily, DropReason, Limits, credential};

/// What an Allocate request wants, when it makes sense.
struct Wish {
    families: Vec<AddressFamily>,
    port: WishedPort,
    lifetime: Duration,
}

enum WishedPort {
    Any,
    Even(EvenPort),
    Token([u8; 8]),
}

impl Server {
    pub(super) fn allocate(&mut self, request: &Request<'_, '_>) -> Result<(), DropReason> {
        let asked = &request.asked;
        if self.pending.has_path(&asked.path) {
            return Err(DropReason::InProgress);
        }
        if let Some(existing) = self.allocations.by_path(&asked.path) {
            let repeated = existing.transaction == asked.transaction
                && *existing.username == *asked.username();
            if !repeated {
                return self.refuse(asked, ErrorCode::ALLOCATION_MISMATCH);
            }
            return self.repeat_allocated(request);
        }
        match self.wish(request) {
            Ok(wish) => self.start_allocate(request, wish),
            Err(code) => self.refuse(asked, code),
        }
    }

    /// Answers a repeated request as the first time: clients repeat what they think lost.
    fn repeat_allocated(&mut self, request: &Request<'_, '_>) -> Result<(), DropReason> {
        let Some(existing) = self.allocations.by_path(&request.asked.path) else {
            return Ok(());
        };
        let (relays, reservation) = (existing.relays, existing.reservation);
        self.answer_allocated(&request.asked, request.now, relays, reservation, None)
    }

    /// Reads and checks what is wanted, in the order of RFC 8656 §7.2.
    fn wish(&self, request: &Request<'_, '_>) -> Result<Wish, ErrorCode> {
        let message = request.message;
        let transport: RequestedTransport = message
            .get()
            .or(Err(ErrorCode::BAD_REQUEST))?
            .ok_or(ErrorCode::BAD_REQUEST)?;
        if transport != RequestedTransport(UDP) {
            return Err(ErrorCode::UNSUPPORTED_TRANSPORT_PROTOCOL);
        }
        let token: Option<ReservationToken> = message.get().or(Err(ErrorCode::BAD_REQUEST))?;
        let even_port: Option<EvenPort> = message.get().or(Err(ErrorCode::BAD_REQUEST))?;
        // A family that is neither IPv4 nor IPv6 is not supported; anything else wrong about it is a bad request.
        let requested: Option<RequestedAddressFamily> = message.get().map_err(family_error)?;
        let additional: Option<AdditionalAddressFamily> =
            message.get().or(Err(ErrorCode::BAD_REQUEST))?;
        let clashes = [
            token.is_some() && (even_port.is_some() || requested.is_some() || additional.is_some()),
            requested.is_some() && additional.is_some(),
            additional == Some(AdditionalAddressFamily(AddressFamily::V4)),
            additional.is_some() && even_port.is_some_and(|even| even.reserve_next),
        ];
        if clashes.contains(&true) {
            return Err(ErrorCode::BAD_REQUEST);
        }
        let lifetime: Option<Lifetime> = message.get().or(Err(ErrorCode::BAD_REQUEST))?;
        let port = match (token, even_port) {
            (Some(ReservationToken(token)), _) => WishedPort::Token(token),
            (None, Some(even)) => WishedPort::Even(even),
            (None, None) => WishedPort::Any,
        };
        Ok(Wish {
            families: self.families(&request.asked, requested, additional)?,
            port,
            lifetime: granted(lifetime, &self.config.limits),
        })
    }

    /// Returns the families to bind, first the one that must not fail when alone.
    fn families(
        &self,
        asked: &Asked,
        requested: Option<RequestedAddressFamily>,
        additional: Option<AdditionalAddressFamily>,
    ) -> Result<Vec<AddressFamily>, ErrorCode> {
        if additional.is_some() {
            return Ok(vec![AddressFamily::V4, AddressFamily::V6]);
        }
        let can = |family| self.relay_addresses.choose(family, asked.path).is_some();
        let family = match (requested, self.config.default_family) {
            (Some(RequestedAddressFamily(family)), _) => family,
            (None, DefaultFamily::Ipv4) => AddressFamily::V4,
            (None, DefaultFamily::Client) => {
                let came_by = AddressFamily::of(plain(asked.path.local).ip());
                if can(came_by) {
                    came_by
                } else {
                    came_by.other()
                }
            }
        };
        if can(family) {
            Ok(vec![family])
        } else {
            Err(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED)
        }
    }

    /// Counts the allocation in and asks for its first socket.
    fn start_allocate(&mut self, request: &Request<'_, '_>, wish: Wish) -> Result<(), DropReason> {
        let asked = &request.asked;
        let user = credential::quota_key(asked.username());
        match self.registry.admit(user, &self.config.limits) {
            Ok(()) => {}
            Err(QuotaError::User) => {
                return self.refuse(asked, ErrorCode::ALLOCATION_QUOTA_REACHED);
            }
            Err(QuotaError::Total) => return self.refuse(asked, ErrorCode::INSUFFICIENT_CAPACITY),
        }
        let port = self.redeem(request, wish.port);
        let (Some(port), Some(id)) = (port, self.allocations.reserve_id()) else {
            self.registry.dismiss(user);
            return self.refuse(asked, ErrorCode::INSUFFICIENT_CAPACITY);
        };
        let families = match port {
            PortWish::Reserved(address) => vec![AddressFamily::of(address.ip())],
            PortWish::Any | PortWish::Even { .. } => wish.families,
        };
        let pending = Pending {
            id,
            asked: asked.clone(),
            lifetime: wish.lifetime,
            is_dual: families.len() > 1,
            families,
            binding: None,
            attempts: self.config.limits.bind_attempts,
            port,
            next_port: None,
            probing: false,
            relays: Relays::default(),
            failure: None,
            abandoned: false,
        };
        self.bind_next(request.now, pending);
        Ok(())
    }

    /// Turns a token into the port kept under it; `None` if nothing is.
    fn redeem(&self, request: &Request<'_, '_>, port: WishedPort) -> Option<PortWish> {
        match port {
            WishedPort::Any => Some(PortWish::Any),
            WishedPort::Even(EvenPort { reserve_next }) => Some(PortWish::Even { reserve_next }),
            WishedPort::Token(token) => self
                .registry
                .redeem(token, request.asked.username(), request.now)
                .map(PortWish::Reserved),
        }
    }

    /// Tells the client what it got.
    pub(super) fn answer_allocated(
        &mut self,
        asked: &Asked,
        now: Instant,
        relays: Relays,
        reservation: Option<[u8; 8]>,
        failure: Option<AddressErrorCode<'_>>,
    ) -> Result<(), DropReason> {
        let expires = relays.iter().map(|relay| relay.expires).min();
        let lifetime = expires.map_or(Duration::ZERO, |expires| {
            expires.saturating_duration_since(now)
        });
        self.succeed(asked, |writer| {
            for relay in relays.iter() {
                writer.attribute(&XorRelayedAddress(relay.advertised));
            }
            writer.attribute(&lifetime_attribute(lifetime));
            if let Some(token) = reservation {
                writer.attribute(&ReservationToken(token));
            }
            if let Some(failure) = failure {
                writer.attribute(&failure);
            }
            writer.attribute(&XorMappedAddress(plain(asked.path.remote)));
        })
    }

    /// Puts an allocation whose sockets are bound into force.
    pub(super) fn finish_allocate(
        &mut self,
        now: Instant,
        pending: Pending,
        reservation: Option<[u8; 8]>,
    ) -> Result<(), DropReason> {
        let Pending {
            id,
            asked,
            mut relays,
            ..
        } = pending;
        // Two sockets may have been bound at different times; both live from here on.
        relays.expire_at(now + pending.lifetime);
        let username = match asked.user() {
            Some(user) => user.username.clone(),
            None => "".into(),
        };
        let allocation = Allocation {
            id,
            path: asked.path,
            username: username.clone(),
            transaction: asked.transaction,
            reservation,
            relays,
            permissions: Default::default(),
            channels: Default::default(),
            packets: Default::default(),
            bytes: Default::default(),
            traffic: Default::default(),
            used_grace: false,
        };
        self.allocations.insert(Box::new(allocation));
        self.schedule(id);
        self.stats.allocated += 1;
        self.stats.allocations = self.allocations.len();
        tracing::debug!(%id, path = %asked.path, "Created allocation");
        self.outputs
            .push_back(crate::Output::Event(crate::Event::Allocated {
                id,
                path: asked.path,
                username,
                relayed: relays.advertised(),
                lifetime: pending.lifetime,
            }));
        let failure = pending.failure.map(|(family, code)| AddressErrorCode {
            family,
            error: ErrorCodeAttribute::from(code),
        });
        self.answer_allocated(&asked, now, relays, reservation, failure)
    }
}

/// Returns the lifetime granted to a wish other than zero: between the default and the maximum.
pub(super) fn granted(wish: Option<Lifetime>, limits: &Limits) -> Duration {
    let wish = wish.map_or(Duration::ZERO, |Lifetime(seconds)| {
        Duration::from_secs(seconds.into())
    });
    wish.min(limits.max_lifetime)
        .max(limits.default_lifetime.min(limits.max_lifetime))
}

/// Returns LIFETIME for what is left of one, in whole seconds.
pub(super) fn lifetime_attribute(lifetime: Duration) -> Lifetime {
    Lifetime(u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX))
}

/// Returns the code for a REQUESTED-ADDRESS-FAMILY that cannot be read.
pub(super) fn family_error(error: DecodeError) -> ErrorCode {
    match error {
        DecodeError::Value(_) => ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED,
        _ => ErrorCode::BAD_REQUEST,
    }
}

/// Returns an address with another port.
pub(super) fn with_port(address: SocketAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address.ip(), port)
}

/// The protocol number of UDP, the one transport relayed.
const UDP: u8 = 17;
