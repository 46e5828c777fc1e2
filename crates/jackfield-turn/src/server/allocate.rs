//! Allocate requests ([RFC 8656 §7.2]).
//!
//! [RFC 8656 §7.2]: https://www.rfc-editor.org/rfc/rfc8656#section-7.2

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_stun::attribute::{ErrorCodeAttribute, XorMappedAddress};
use jackfield_stun::{DecodeError, ErrorCode};

use super::answer::ResponseContext;
use super::pending::{PendingAllocation, PortChoice};
use super::{Request, Server, plain};
use crate::allocation::{Allocation, NetworkShare, Relays};
use crate::attribute::{
    AdditionalAddressFamily, AddressErrorCode, AddressFamily, EvenPort, Lifetime,
    RequestedAddressFamily, RequestedTransport, ReservationToken, XorRelayedAddress,
};
use crate::{DefaultFamily, DropReason, ServerLimits, credential};

/// What an Allocate request wants, when it makes sense.
struct AllocateParameters {
    families: Vec<AddressFamily>,
    port: RequestedPort,
    lifetime: Duration,
}

enum RequestedPort {
    Any,
    Even(EvenPort),
    Token([u8; 8]),
}

impl Server {
    pub(super) fn allocate(&mut self, request: &Request<'_, '_>) -> Result<(), DropReason> {
        let context = &request.context;
        // The answer to the first copy of this request is on its way.
        if self.pending.has_path(&context.path) {
            return Err(DropReason::InProgress);
        }
        if let Some(existing) = self.allocations.by_path(&context.path) {
            // RFC 8656 §7.2 wants 437 for a path in use. A retransmission is no new request,
            // though, and its client has not seen the first answer.
            let repeated = existing.transaction == context.transaction
                && *existing.username == *context.username();
            if !repeated {
                return self.refuse(context, ErrorCode::ALLOCATION_MISMATCH);
            }
            return self.repeat_allocated(request);
        }
        match self.wish(request) {
            Ok(wish) => self.start_allocate(request, wish),
            Err(code) => self.refuse(context, code),
        }
    }

    /// Answers a repeated request as the first time: clients repeat what they think lost.
    fn repeat_allocated(&mut self, request: &Request<'_, '_>) -> Result<(), DropReason> {
        let Some(existing) = self.allocations.by_path(&request.context.path) else {
            return Ok(());
        };
        let (relays, reservation) = (existing.relays, existing.reservation);
        self.answer_allocated(&request.context, request.now, relays, reservation, None)
    }

    /// Reads and checks what is wanted, in the order of RFC 8656 §7.2.
    fn wish(&self, request: &Request<'_, '_>) -> Result<AllocateParameters, ErrorCode> {
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
        // A family that is neither IPv4 nor IPv6 is not supported; anything else wrong about it is
        // a bad request.
        let requested: Option<RequestedAddressFamily> = message.get().map_err(family_error)?;
        let additional: Option<AdditionalAddressFamily> =
            message.get().or(Err(ErrorCode::BAD_REQUEST))?;
        // RFC 8656 §7.2, steps 5, 6, 9 and 8.
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
            (Some(ReservationToken(token)), _) => RequestedPort::Token(token),
            (None, Some(even)) => RequestedPort::Even(even),
            (None, None) => RequestedPort::Any,
        };
        Ok(AllocateParameters {
            families: self.families(&request.context, requested, additional)?,
            port,
            lifetime: granted(lifetime, &request.context, &self.config.limits),
        })
    }

    /// Returns the families to bind, first the one that must not fail when alone.
    fn families(
        &self,
        context: &ResponseContext,
        requested: Option<RequestedAddressFamily>,
        additional: Option<AdditionalAddressFamily>,
    ) -> Result<Vec<AddressFamily>, ErrorCode> {
        if additional.is_some() {
            return Ok(vec![AddressFamily::V4, AddressFamily::V6]);
        }
        let can = |family| self.relay_addresses.choose(family, context.path).is_some();
        let family = match (requested, self.config.default_family) {
            (Some(RequestedAddressFamily(family)), _) => family,
            (None, DefaultFamily::Ipv4) => AddressFamily::V4,
            // Step 7 would give IPv4. Browsers never name a family, and in an IPv6-only network
            // IPv4 always fails.
            (None, DefaultFamily::Client) => {
                let came_by = AddressFamily::of(plain(context.path.local).ip());
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
    fn start_allocate(
        &mut self,
        request: &Request<'_, '_>,
        wish: AllocateParameters,
    ) -> Result<(), DropReason> {
        let context = &request.context;
        let user = credential::quota_key(context.username());
        let network = context.network();
        // The allocation counts before a socket is asked for: shards would otherwise pass the
        // quota together.
        let admitted = self
            .registry
            .admit(request.now, user, network, &self.config.limits);
        let bytes = match admitted {
            Ok(bytes) => bytes,
            Err(limit) => return self.refuse_over(context, limit),
        };
        let port = self.redeem(request, wish.port);
        let (Some(port), Some(id)) = (port, self.allocations.reserve_id()) else {
            self.registry.dismiss(user, network);
            return self.refuse(context, ErrorCode::INSUFFICIENT_CAPACITY);
        };
        let families = match port {
            PortChoice::Reserved(address) => vec![AddressFamily::of(address.ip())],
            PortChoice::Any | PortChoice::Even { .. } => wish.families,
        };
        let pending = PendingAllocation {
            id,
            context: context.clone(),
            network: NetworkShare::new(bytes),
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
    fn redeem(&self, request: &Request<'_, '_>, port: RequestedPort) -> Option<PortChoice> {
        match port {
            RequestedPort::Any => Some(PortChoice::Any),
            RequestedPort::Even(EvenPort { reserve_next }) => {
                Some(PortChoice::Even { reserve_next })
            }
            RequestedPort::Token(token) => self
                .registry
                .redeem(token, request.context.username(), request.now)
                .map(PortChoice::Reserved),
        }
    }

    /// Tells the client what it got.
    pub(super) fn answer_allocated(
        &mut self,
        context: &ResponseContext,
        now: Instant,
        relays: Relays,
        reservation: Option<[u8; 8]>,
        failure: Option<AddressErrorCode<'_>>,
    ) -> Result<(), DropReason> {
        // The answer to a repeated request says what is left, not what was granted.
        let expires = relays.iter().map(|relay| relay.expires).min();
        let lifetime = expires.map_or(Duration::ZERO, |expires| {
            expires.saturating_duration_since(now)
        });
        self.succeed(context, |writer| {
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
            writer.attribute(&XorMappedAddress(plain(context.path.remote)));
        })
    }

    /// Puts an allocation whose sockets are bound into force.
    pub(super) fn finish_allocate(
        &mut self,
        now: Instant,
        pending: PendingAllocation,
        reservation: Option<[u8; 8]>,
    ) -> Result<(), DropReason> {
        let PendingAllocation {
            id,
            context,
            network,
            mut relays,
            ..
        } = pending;
        // Two sockets may have been bound at different times; both live from here on.
        relays.expire_at(now + pending.lifetime);
        let username = match context.user() {
            Some(user) => user.username.clone(),
            None => "".into(),
        };
        let allocation = Allocation {
            id,
            path: context.path,
            username: username.clone(),
            transaction: context.transaction,
            reservation,
            relays,
            permissions: Default::default(),
            channels: Default::default(),
            packets: Default::default(),
            bytes: Default::default(),
            network,
            traffic: Default::default(),
            used_grace: false,
        };
        self.allocations.insert(Box::new(allocation));
        self.schedule(id);
        self.counters.allocated += 1;
        self.counters.allocations = self.allocations.len();
        tracing::debug!(%id, path = %context.path, "Created allocation");
        self.outputs
            .push_back(crate::Output::Event(crate::Event::Allocated {
                id,
                path: context.path,
                username,
                relayed: relays.advertised(),
                lifetime: pending.lifetime,
            }));
        let failure = pending.failure.map(|(family, code)| AddressErrorCode {
            family,
            error: ErrorCodeAttribute::from(code),
        });
        self.answer_allocated(&context, now, relays, reservation, failure)
    }
}

/// Returns the lifetime granted to a wish other than zero: between the default and the maximum.
pub(super) fn granted(
    wish: Option<Lifetime>,
    context: &ResponseContext,
    limits: &ServerLimits,
) -> Duration {
    //= https://www.rfc-editor.org/rfc/rfc8656#section-7.2
    //# Servers that implement allocation quotas or charge users for
    //# allocations in some way may wish to use a smaller maximum allowed
    //# lifetime (perhaps as small as the default lifetime) to more quickly
    //# remove orphaned allocations
    let max = match context.is_minted() {
        true => limits.max_lifetime.min(limits.max_lifetime_minted),
        false => limits.max_lifetime,
    };
    let wish = wish.map_or(Duration::ZERO, |Lifetime(seconds)| {
        Duration::from_secs(seconds.into())
    });
    wish.min(max).max(limits.default_lifetime.min(max))
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
