//! Getting relay sockets bound: which port to try, and what to do when it is taken.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use jackfield_stun::ErrorCode;
use rand_chacha::rand_core::Rng;

use super::allocate::with_port;
use super::pending::{PendingAllocation, PortChoice};
use super::{Server, Timer};
use crate::allocation::{RelaySocket, Relays};
use crate::attribute::AddressFamily;
use crate::registry::Reservation;
use crate::{AllocationId, BindError, DropReason, Limit, Output, credential};

impl Server {
    /// Asks for the socket of the next family, or ends the request when there is none left.
    pub(super) fn bind_next(&mut self, now: Instant, mut pending: PendingAllocation) {
        while let Some(family) = pending.families.first().copied() {
            match self.claim(family, &mut pending) {
                Ok(local) => return self.ask_to_bind(pending, local),
                Err(code) => {
                    pending.failure = Some((family, code));
                    pending.families.remove(0);
                }
            }
        }
        let answered = if pending.relays.iter().next().is_some() {
            if let Some(next) = pending.next_port.filter(|_| !pending.probing) {
                // Whether another process has the next port shows only when it is bound; it is
                // closed again at once.
                pending.probing = true;
                return self.ask_to_bind(pending, next);
            }
            self.reserve_and_finish(now, pending)
        } else {
            self.give_up(pending)
        };
        if let Err(reason) = answered {
            self.counters.count_drop(reason);
        }
    }

    fn ask_to_bind(&mut self, mut pending: PendingAllocation, local: SocketAddr) {
        pending.binding = Some(local);
        self.outputs.push_back(Output::Bind {
            id: pending.id,
            local,
        });
        self.pending.insert(pending);
    }

    /// Takes the answer to [`Output::Bind`].
    pub(super) fn continue_allocate(
        &mut self,
        now: Instant,
        id: AllocationId,
        bound: Result<SocketAddr, BindError>,
    ) {
        let Some(mut pending) = self.pending.take(id) else {
            return;
        };
        let asked_for = pending.binding.take();
        match bound {
            Ok(local) if pending.probing => self.outputs.push_back(Output::Unbind(local)),
            Err(error) if pending.probing => self.probe_failed(&mut pending, error),
            Ok(local) => {
                if let Some(asked_for) = asked_for.filter(|asked_for| *asked_for != local) {
                    self.registry.release(asked_for);
                    self.registry.claim(local);
                }
                self.add_relay(now, &mut pending, local);
            }
            Err(error) => self.note_failure(&mut pending, asked_for, error),
        }
        // The client's connection ended in the meantime, so no answer would arrive.
        if pending.abandoned {
            self.drop_pending(pending);
            return;
        }
        self.bind_next(now, pending);
    }

    fn add_relay(&self, now: Instant, pending: &mut PendingAllocation, local: SocketAddr) {
        self.registry.set_live(local);
        let family = AddressFamily::of(local.ip());
        *pending.relays.slot(family) = Some(RelaySocket {
            local,
            advertised: self.relay_addresses.advertised(local),
            expires: now + pending.lifetime,
        });
        pending.families.retain(|wanted| *wanted != family);
    }

    /// Lets go of a pair of ports of which another process has the second, and tries another pair.
    fn probe_failed(&mut self, pending: &mut PendingAllocation, error: BindError) {
        pending.probing = false;
        for relay in pending.relays.iter() {
            self.unbind(relay.local);
            pending.families.push(AddressFamily::of(relay.local.ip()));
        }
        pending.relays = Relays::default();
        self.note_failure(pending, None, error);
    }

    /// Gives the ports back, and the family up when another try is not worth it.
    fn note_failure(
        &self,
        pending: &mut PendingAllocation,
        asked_for: Option<SocketAddr>,
        error: BindError,
    ) {
        tracing::debug!(id = %pending.id, %error, "Could not bind a relay socket");
        for address in [asked_for, pending.next_port.take()].into_iter().flatten() {
            self.registry.release(address);
        }
        pending.attempts = pending.attempts.saturating_sub(1);
        // Another port helps only where this one was taken; other errors come again.
        let again = error == BindError::InUse
            && pending.attempts > 0
            && !matches!(pending.port, PortChoice::Reserved(_));
        if !again && !pending.families.is_empty() {
            pending.failure = Some((pending.families.remove(0), ErrorCode::INSUFFICIENT_CAPACITY));
        }
    }

    /// Claims a port for a socket of this family; the error is the code to refuse with.
    fn claim(
        &mut self,
        family: AddressFamily,
        pending: &mut PendingAllocation,
    ) -> Result<SocketAddr, ErrorCode> {
        if let PortChoice::Reserved(address) = pending.port {
            return Ok(address); // claimed since it was reserved
        }
        let relay = self
            .relay_addresses
            .choose(family, pending.context.path)
            .ok_or(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED)?;
        let wish = pending.port;
        let (address, next) = self
            .claim_port(relay.local, wish)
            .ok_or(ErrorCode::INSUFFICIENT_CAPACITY)?;
        pending.next_port = next;
        Ok(address)
    }

    /// Claims a random free port, and the one above it if that is to be reserved.
    fn claim_port(
        &mut self,
        ip: IpAddr,
        wish: PortChoice,
    ) -> Option<(SocketAddr, Option<SocketAddr>)> {
        let (low, high) = self.config.relay_ports.clone().into_inner();
        let size = u32::from(high.checked_sub(low)?) + 1;
        // RFC 8656 §7.2 recommends random ports (RFC 6056): strangers cannot foresee the next
        // relay.
        for _ in 0..RANDOM_TRIES {
            let offset = self.random_below(size);
            if let Some(claimed) = self.try_port(ip, low, size, offset, wish) {
                return Some(claimed);
            }
        }
        // Nearly all are taken: look at each, from a random one on.
        let start = self.random_below(size);
        (0..size).find_map(|step| self.try_port(ip, low, size, (start + step) % size, wish))
    }

    fn try_port(
        &self,
        ip: IpAddr,
        low: u16,
        size: u32,
        offset: u32,
        wish: PortChoice,
    ) -> Option<(SocketAddr, Option<SocketAddr>)> {
        let port = low.checked_add(u16::try_from(offset).ok()?)?;
        let address = SocketAddr::new(ip, port);
        let (even, reserve_next) = match wish {
            PortChoice::Any | PortChoice::Reserved(_) => (false, false),
            PortChoice::Even { reserve_next } => (true, reserve_next),
        };
        if port == 0 || even && port % 2 != 0 || reserve_next && offset + 1 >= size {
            return None;
        }
        if !self.registry.claim(address) {
            return None;
        }
        if !reserve_next {
            return Some((address, None));
        }
        let next = with_port(address, port.checked_add(1)?);
        // EVEN-PORT wants both or none.
        if !self.registry.claim(next) {
            self.registry.release(address);
            return None;
        }
        Some((address, Some(next)))
    }

    /// Returns a uniform number below `size`, which is at most 65,536.
    fn random_below(&mut self, size: u32) -> u32 {
        // Ports differ in likelihood by less than 2^-16, and there is no division.
        let wide = u64::from(self.random.next_u32()) * u64::from(size.max(1));
        (wide >> 32) as u32
    }

    /// Keeps the next port under a token if that was asked, and puts the allocation into force.
    fn reserve_and_finish(
        &mut self,
        now: Instant,
        mut pending: PendingAllocation,
    ) -> Result<(), DropReason> {
        let Some(next) = pending.next_port.take() else {
            return self.finish_allocate(now, pending, None);
        };
        let mut token = [0; 8];
        self.random.fill_bytes(&mut token);
        let expires = now + self.config.limits.reservation_lifetime;
        let reservation = Reservation {
            address: next,
            username: pending.context.username().into(),
            network: pending.context.network(),
            expires,
        };
        let reserved = self
            .registry
            .reserve(token, reservation, now, &self.config.limits);
        if let Err(limit) = reserved {
            self.registry.release(next);
            let context = pending.context.clone();
            self.drop_pending(pending);
            return self.refuse_over(&context, limit);
        }
        // One deadline suffices: when it has come, the next one is set.
        if self.timers.deadline(&Timer::Reservations).is_none() {
            self.timers.set(Timer::Reservations, expires);
        }
        self.finish_allocate(now, pending, Some(token))
    }

    /// Refuses a request for which no socket could be bound.
    fn give_up(&mut self, pending: PendingAllocation) -> Result<(), DropReason> {
        let code = match pending.failure {
            //= https://www.rfc-editor.org/rfc/rfc8656#section-7.2
            //# Otherwise, the server checks if it can
            //# allocate relayed transport addresses of both address types.  If
            //# the server cannot satisfy the request, then the server rejects
            //# the request with a 508 (Insufficient Capacity) error.
            Some((_, code)) if !pending.is_dual => code,
            _ => ErrorCode::INSUFFICIENT_CAPACITY,
        };
        let context = pending.context.clone();
        self.drop_pending(pending);
        if code == ErrorCode::INSUFFICIENT_CAPACITY {
            self.refuse_over(&context, Limit::RelaySockets)
        } else {
            self.refuse(&context, code)
        }
    }

    /// Undoes what was done for a request that came to nothing.
    fn drop_pending(&mut self, pending: PendingAllocation) {
        for relay in pending.relays.iter() {
            self.unbind(relay.local);
        }
        for claimed in [pending.binding, pending.next_port].into_iter().flatten() {
            self.registry.release(claimed);
        }
        self.registry.dismiss(
            credential::quota_key(pending.context.username()),
            pending.context.network(),
        );
        self.allocations.release_id(pending.id);
    }
}

/// How many random ports are tried before the free ones are searched in order.
const RANDOM_TRIES: usize = 32;
