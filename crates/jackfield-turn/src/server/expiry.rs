//! How allocations, their relayed addresses, permissions and channels end.

use std::net::SocketAddr;
use std::time::Instant;

use jackfield_sansio::ClientNetwork;

use super::{Server, Timer};
use crate::attribute::AddressFamily;
use crate::{AllocationId, EndReason, Event, Output, credential};

impl Server {
    /// Ends an allocation and all it has; returns whether there was one.
    pub(super) fn end_allocation(&mut self, id: AllocationId, reason: EndReason) -> bool {
        let Some(allocation) = self.allocations.remove(id) else {
            return false;
        };
        self.timers.cancel(&Timer::Allocation(id));
        for relay in allocation.relays.iter() {
            self.unbind(relay.local);
        }
        self.registry.dismiss(
            credential::quota_key(&allocation.username),
            ClientNetwork::of(allocation.path.remote.ip()),
        );
        self.counters.allocations = self.allocations.len();
        tracing::debug!(%id, ?reason, "Ended allocation");
        self.outputs.push_back(Output::Event(Event::Deallocated {
            id,
            path: allocation.path,
            username: allocation.username,
            reason,
            traffic: allocation.traffic,
        }));
        true
    }

    /// Closes a relay socket and lets others have its address.
    pub(super) fn unbind(&mut self, local: SocketAddr) {
        // The address is marked dead before its port is free: packets for the old allocation must
        // not reach the next socket that binds the port.
        self.registry.set_dead(local);
        self.outputs.push_back(Output::Unbind(local));
        self.registry.release(local);
    }

    /// Forgets what of an allocation has run out, and sets its next deadline.
    pub(super) fn sweep_allocation(&mut self, now: Instant, id: AllocationId) {
        let Some(allocation) = self.allocations.get_mut(id) else {
            return;
        };
        allocation.permissions.expire(now);
        let outputs = &mut self.outputs;
        allocation.channels.expire(now, |number| {
            outputs.push_back(Output::Event(Event::ChannelUnbound { id, number }));
        });
        let expired: Vec<SocketAddr> = allocation
            .relays
            .iter()
            .filter(|relay| relay.expires <= now)
            .map(|relay| relay.local)
            .collect();
        // Without a relayed address nothing is left of an allocation.
        if expired.len() == allocation.relays.iter().count() {
            self.end_allocation(id, EndReason::Expired);
            return;
        }
        for local in expired {
            self.end_relay(id, local);
        }
        self.schedule(id);
    }

    /// Ends one relayed address of an allocation that has another.
    pub(super) fn end_relay(&mut self, id: AllocationId, local: SocketAddr) {
        let Some(allocation) = self.allocations.get_mut(id) else {
            return;
        };
        let family = AddressFamily::of(local.ip());
        *allocation.relays.slot(family) = None;
        //= https://www.rfc-editor.org/rfc/rfc8656#section-8.1
        //# Deleting a single
        //# allocation destroys any permissions or channels associated with that
        //# particular allocation; it MUST NOT affect any permissions or channels
        //# associated with allocations for the other address family.
        allocation
            .permissions
            .remove(|ip| AddressFamily::of(ip) == family);
        let outputs = &mut self.outputs;
        allocation.channels.remove_peers(
            |peer| peer.is_ipv4() == local.is_ipv4(),
            |number| outputs.push_back(Output::Event(Event::ChannelUnbound { id, number })),
        );
        self.allocations.remove_relayed(local);
        self.unbind(local);
    }

    /// Sets the deadline of an allocation to when something of it ends next.
    pub(super) fn schedule(&mut self, id: AllocationId) {
        let next = self
            .allocations
            .get_mut(id)
            .and_then(|allocation| allocation.next_expiry());
        match next {
            Some(deadline) => self.timers.set(Timer::Allocation(id), deadline),
            None => {
                self.timers.cancel(&Timer::Allocation(id));
            }
        }
    }
}
