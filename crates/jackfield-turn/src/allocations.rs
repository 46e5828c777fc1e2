//! All allocations of a server, by id, by path and by relayed address.

use std::net::SocketAddr;

use jackfield_sansio::{FiveTuple, Seed, SeededMap};

use crate::AllocationId;
use crate::allocation::Allocation;

/// The allocations of a server, found by id, by the client's path and by relayed address.
#[derive(Debug)]
pub(crate) struct Allocations {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_path: SeededMap<FiveTuple, u32>,
    by_relayed: SeededMap<SocketAddr, u32>,
    count: u64,
}

#[derive(Debug, Default)]
struct Slot {
    /// Grows with each use, so that ids are never used again.
    generation: u32,
    allocation: Option<Box<Allocation>>,
}

impl Allocations {
    pub(crate) fn new(seed: Seed) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_path: seed.map(),
            by_relayed: seed.map(),
            count: 0,
        }
    }

    /// Returns an id for an allocation to come; `None` when ids have run out.
    pub(crate) fn reserve_id(&mut self) -> Option<AllocationId> {
        if let Some(index) = self.free.pop() {
            let generation = self.slots.get(index as usize)?.generation;
            return Some(join(generation, index));
        }
        let index = u32::try_from(self.slots.len()).ok()?;
        self.slots.push(Slot::default());
        Some(join(0, index))
    }

    /// Gives an id back that no allocation came of.
    pub(crate) fn release_id(&mut self, id: AllocationId) {
        let (generation, index) = split(id);
        let slot = self.slots.get_mut(index as usize);
        let Some(slot) = slot.filter(|slot| slot.generation == generation) else {
            return;
        };
        // A slot whose generations ran out is never used again.
        if let Some(next) = generation.checked_add(1) {
            slot.generation = next;
            self.free.push(index);
        }
    }

    pub(crate) fn insert(&mut self, allocation: Box<Allocation>) {
        let (_, index) = split(allocation.id);
        self.by_path.insert(allocation.path, index);
        for relay in allocation.relays.iter() {
            self.by_relayed.insert(relay.local, index);
        }
        if let Some(slot) = self.slots.get_mut(index as usize) {
            slot.allocation = Some(allocation);
            self.count += 1;
        }
    }

    pub(crate) fn remove(&mut self, id: AllocationId) -> Option<Box<Allocation>> {
        let (generation, index) = split(id);
        let slot = self.slots.get_mut(index as usize)?;
        if slot.generation != generation {
            return None;
        }
        let allocation = slot.allocation.take()?;
        self.count -= 1;
        self.by_path.remove(&allocation.path);
        for relay in allocation.relays.iter() {
            self.by_relayed.remove(&relay.local);
        }
        // The slot gets another generation, as late answers still name this id.
        self.release_id(id);
        Some(allocation)
    }

    /// Forgets that a relayed address belongs to an allocation.
    pub(crate) fn remove_relayed(&mut self, local: SocketAddr) {
        self.by_relayed.remove(&local);
    }

    pub(crate) fn get_mut(&mut self, id: AllocationId) -> Option<&mut Allocation> {
        let (generation, index) = split(id);
        let slot = self.slots.get_mut(index as usize)?;
        slot.allocation
            .as_deref_mut()
            .filter(|_| slot.generation == generation)
    }

    pub(crate) fn by_path(&mut self, path: &FiveTuple) -> Option<&mut Allocation> {
        let index = *self.by_path.get(path)?;
        self.slots
            .get_mut(index as usize)?
            .allocation
            .as_deref_mut()
    }

    pub(crate) fn at_path(&self, path: &FiveTuple) -> Option<&Allocation> {
        let index = *self.by_path.get(path)?;
        self.slots.get(index as usize)?.allocation.as_deref()
    }

    pub(crate) fn has_relayed(&self, local: &SocketAddr) -> bool {
        self.by_relayed.contains_key(local)
    }

    pub(crate) fn by_relayed(&mut self, local: &SocketAddr) -> Option<&mut Allocation> {
        let index = *self.by_relayed.get(local)?;
        self.slots
            .get_mut(index as usize)?
            .allocation
            .as_deref_mut()
    }

    pub(crate) fn len(&self) -> u64 {
        self.count
    }
}

fn join(generation: u32, index: u32) -> AllocationId {
    AllocationId(u64::from(generation) << 32 | u64::from(index))
}

fn split(AllocationId(id): AllocationId) -> (u32, u32) {
    ((id >> 32) as u32, (id & 0xFFFF_FFFF) as u32)
}
