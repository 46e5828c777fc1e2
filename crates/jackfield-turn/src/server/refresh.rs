//! Refresh requests ([RFC 8656 §8.2]).
//!
//! [RFC 8656 §8.2]: https://www.rfc-editor.org/rfc/rfc8656#section-8.2

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_stun::ErrorCode;

use super::allocate::{family_error, granted, lifetime_attribute};
use super::{Request, Server};
use crate::attribute::{AddressFamily, Lifetime, RequestedAddressFamily};
use crate::{AllocationId, DropReason, EndReason, Event, Output};

impl Server {
    /// Prolongs or deletes an allocation, or one family of it.
    ///
    /// A lifetime above the maximum is lowered, never refused; zero deletes.
    pub(super) fn refresh(&mut self, request: &Request<'_, '_>) -> Result<(), DropReason> {
        let context = &request.context;
        let Some(id) = self.own_allocation(request)? else {
            return Ok(());
        };
        let wish = request.message.get::<Lifetime>();
        let family = request.message.get::<RequestedAddressFamily>();
        let (wish, family) = match (wish, family) {
            (Ok(wish), Ok(family)) => (wish, family.map(|RequestedAddressFamily(family)| family)),
            (Err(_), _) => return self.refuse(context, ErrorCode::BAD_REQUEST),
            (_, Err(error)) => {
                let code = match family_error(error) {
                    ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED => {
                        ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH
                    }
                    code => code,
                };
                return self.refuse(context, code);
            }
        };
        let chosen = self.chosen_relays(id, family);
        if chosen.is_empty() {
            return self.refuse(context, ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH);
        }
        let lifetime = if wish == Some(Lifetime(0)) {
            self.delete(id, &chosen);
            Duration::ZERO
        } else {
            let lifetime = granted(wish, context, &self.config.limits);
            self.prolong(request, id, &chosen, lifetime);
            lifetime
        };
        self.succeed(context, |writer| {
            writer.attribute(&lifetime_attribute(lifetime));
        })
    }

    /// Returns the allocation of the request's path, or answers why the client may not touch it
    /// (437, 441).
    pub(super) fn own_allocation(
        &mut self,
        request: &Request<'_, '_>,
    ) -> Result<Option<AllocationId>, DropReason> {
        let now = request.now;
        let allocation = self.allocations.by_path(&request.context.path);
        let living = allocation
            // The sweep may come a moment later than the end.
            .filter(|allocation| allocation.relays.iter().any(|relay| relay.expires > now));
        let code = match living {
            Some(allocation) if *allocation.username == *request.context.username() => {
                return Ok(Some(allocation.id));
            }
            Some(_) => ErrorCode::WRONG_CREDENTIALS,
            None => ErrorCode::ALLOCATION_MISMATCH,
        };
        self.refuse(&request.context, code).map(|()| None)
    }

    /// Returns the relay sockets that a Refresh is about: those of one family, or all.
    fn chosen_relays(
        &mut self,
        id: AllocationId,
        family: Option<AddressFamily>,
    ) -> Vec<SocketAddr> {
        let Some(allocation) = self.allocations.get_mut(id) else {
            return Vec::new();
        };
        allocation
            .relays
            .iter()
            .map(|relay| relay.local)
            .filter(|local| family.is_none_or(|family| AddressFamily::of(local.ip()) == family))
            .collect()
    }

    fn delete(&mut self, id: AllocationId, chosen: &[SocketAddr]) {
        let Some(allocation) = self.allocations.get_mut(id) else {
            return;
        };
        if chosen.len() == allocation.relays.iter().count() {
            self.end_allocation(id, EndReason::Deleted);
            return;
        }
        for local in chosen {
            self.end_relay(id, *local);
        }
        self.schedule(id);
    }

    fn prolong(
        &mut self,
        request: &Request<'_, '_>,
        id: AllocationId,
        chosen: &[SocketAddr],
        lifetime: Duration,
    ) {
        let Some(allocation) = self.allocations.get_mut(id) else {
            return;
        };
        for local in chosen {
            let slot = allocation.relays.slot(AddressFamily::of(local.ip()));
            if let Some(relay) = slot {
                relay.expires = request.now + lifetime;
            }
        }
        // An expired credential prolongs an allocation once, or it would never end.
        allocation.used_grace |= request.context.user().is_some_and(|user| user.expired);
        self.schedule(id);
        self.outputs
            .push_back(Output::Event(Event::Refreshed { id, lifetime }));
    }
}
