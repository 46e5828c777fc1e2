//! A slab: values in numbered slots that are reused.

/// Values in numbered slots. An empty slot is reused; no order is promised.
#[derive(Debug, Clone)]
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    empty: Vec<u32>,
}

/// Slots are aligned to cache lines, so that a value of up to two lines never touches a third.
#[derive(Debug, Clone)]
#[repr(align(64))]
struct Slot<T> {
    /// Counts the values that were in this slot. A timer compares it to see whether its value is
    /// still there.
    generation: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            empty: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.empty.len()
    }

    /// Returns how many slots there are, empty or not.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if let Some(id) = self.empty.pop()
            && let Some(slot) = self.slots.get_mut(id as usize)
        {
            slot.value = Some(value);
            return id;
        }
        self.slots.push(Slot {
            generation: 0,
            value: Some(value),
        });
        (self.slots.len() - 1) as u32
    }

    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        self.slots.get(id as usize)?.value.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.slots.get_mut(id as usize)?.value.as_mut()
    }

    pub(crate) fn generation(&self, id: u32) -> u32 {
        self.slots
            .get(id as usize)
            .map_or(0, |slot| slot.generation)
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<T> {
        let slot = self.slots.get_mut(id as usize)?;
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.empty.push(id);
        Some(value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(id, slot)| Some((id as u32, slot.value.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::Flow;
    use super::*;

    #[test]
    fn a_flow_in_its_slot_is_two_cache_lines() {
        assert_eq!(size_of::<Slot<Flow>>(), 128);
    }
}
