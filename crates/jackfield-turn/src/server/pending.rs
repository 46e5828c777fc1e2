//! Allocations that wait for their sockets.

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_sansio::{FiveTuple, Seed, SeededMap};
use jackfield_stun::ErrorCode;

use super::answer::ResponseContext;
use crate::AllocationId;
use crate::allocation::{NetworkShare, Relays};
use crate::attribute::AddressFamily;

/// An allocation that waits for its sockets.
#[derive(Debug)]
pub(super) struct PendingAllocation {
    pub(super) id: AllocationId,
    pub(super) context: ResponseContext,
    pub(super) network: NetworkShare,
    pub(super) lifetime: Duration,
    /// The families still to bind; the first is being bound.
    pub(super) families: Vec<AddressFamily>,
    /// Whether both families were asked for.
    pub(super) is_dual: bool,
    /// The address being bound, which is claimed.
    pub(super) binding: Option<SocketAddr>,
    /// How often another port may be tried.
    pub(super) attempts: u8,
    pub(super) port: PortChoice,
    /// The next higher port, claimed for a reservation.
    pub(super) next_port: Option<SocketAddr>,
    /// Whether what is being bound is that next port, to see that no other process has it.
    pub(super) probing: bool,
    pub(super) relays: Relays,
    /// Why a family failed, of two that were asked for.
    pub(super) failure: Option<(AddressFamily, ErrorCode)>,
    /// Whether the client's connection has ended since.
    pub(super) abandoned: bool,
}

/// Which port is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PortChoice {
    /// Any.
    Any,
    /// An even one, and maybe the next one kept.
    Even { reserve_next: bool },
    /// The one kept for this client, already claimed.
    Reserved(SocketAddr),
}

/// Allocations that wait for their sockets, at most one for each path.
#[derive(Debug)]
pub(super) struct PendingAllocations {
    by_id: SeededMap<AllocationId, PendingAllocation>,
    by_path: SeededMap<FiveTuple, AllocationId>,
}

impl PendingAllocations {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            by_id: seed.map(),
            by_path: seed.map(),
        }
    }

    pub(super) fn insert(&mut self, pending: PendingAllocation) {
        self.by_path.insert(pending.context.path, pending.id);
        self.by_id.insert(pending.id, pending);
    }

    pub(super) fn take(&mut self, id: AllocationId) -> Option<PendingAllocation> {
        let pending = self.by_id.remove(&id)?;
        // An abandoned path may belong to a newer request by now.
        if self.by_path.get(&pending.context.path) == Some(&id) {
            self.by_path.remove(&pending.context.path);
        }
        Some(pending)
    }

    pub(super) fn has_path(&self, path: &FiveTuple) -> bool {
        self.by_path.contains_key(path)
    }

    /// Notes that the client has gone; its path may be used anew at once.
    pub(super) fn abandon(&mut self, path: &FiveTuple) {
        if let Some(id) = self.by_path.remove(path)
            && let Some(pending) = self.by_id.get_mut(&id)
        {
            pending.abandoned = true;
        }
    }
}
