//! A slab: values in numbered places that are reused.

/// Values in numbered places. An empty place is reused; no order is promised.
#[derive(Debug, Clone)]
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    empty: Vec<u32>,
}

/// Places are aligned to cache lines, so that a value of up to two lines never touches a third.
#[derive(Debug, Clone)]
#[repr(align(64))]
struct Place<T> {
    /// Counts the values that were in this place. A timer compares it to see whether its value is
    /// still there.
    generation: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self {
            places: Vec::new(),
            empty: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.empty.len()
    }

    /// Returns how many places there are, empty or not.
    pub(crate) fn places(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if let Some(id) = self.empty.pop()
            && let Some(place) = self.places.get_mut(id as usize)
        {
            place.value = Some(value);
            return id;
        }
        self.places.push(Place {
            generation: 0,
            value: Some(value),
        });
        (self.places.len() - 1) as u32
    }

    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        self.places.get(id as usize)?.value.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.places.get_mut(id as usize)?.value.as_mut()
    }

    pub(crate) fn generation(&self, id: u32) -> u32 {
        self.places
            .get(id as usize)
            .map_or(0, |place| place.generation)
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<T> {
        let place = self.places.get_mut(id as usize)?;
        let value = place.value.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.empty.push(id);
        Some(value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.places
            .iter()
            .enumerate()
            .filter_map(|(id, place)| Some((id as u32, place.value.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::Flow;
    use super::*;

    #[test]
    fn a_flow_in_its_place_is_two_cache_lines() {
        assert_eq!(size_of::<Place<Flow>>(), 128);
    }
}
