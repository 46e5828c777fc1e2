//! A hash index of slab slots.

/// The slots of a slab by hash: open addressing with one word per bucket.
///
/// A bucket holds half of the hash and the number of the slot, so ten thousand entries take 128
/// KiB. A look-up reads one cache line here and then the slot itself, which holds the key.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    /// Zero if the bucket is empty, else the tag above the number plus one. The length is a power
    /// of two.
    buckets: Vec<u64>,
    len: usize,
}

impl Index {
    pub(crate) fn new() -> Self {
        Self {
            buckets: vec![0; 16],
            len: 0,
        }
    }

    /// Returns the number under `hash` for which `is` holds.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let tag = hash >> 32;
        let mut at = self.home(tag);
        loop {
            // A quarter of the buckets is empty at all times, so the search ends.
            let bucket = *self.buckets.get(at)?;
            if bucket == 0 {
                return None;
            }
            let number = (bucket as u32).wrapping_sub(1);
            if bucket >> 32 == tag && is(number) {
                return Some(number);
            }
            at = self.after(at);
        }
    }

    /// Adds a number. The caller makes sure that no other entry has the same key.
    pub(crate) fn insert(&mut self, hash: u64, number: u32) {
        if (self.len + 1) * 4 > self.buckets.len() * 3 {
            self.grow();
        }
        self.len += 1;
        self.place(hash >> 32 << 32 | u64::from(number.wrapping_add(1)));
    }

    /// Removes a number; does nothing if it is not there.
    pub(crate) fn remove(&mut self, hash: u64, number: u32) {
        let wanted = hash >> 32 << 32 | u64::from(number.wrapping_add(1));
        let mut at = self.home(hash >> 32);
        loop {
            match self.buckets.get(at).copied() {
                Some(bucket) if bucket == wanted => break,
                Some(0) | None => return,
                Some(_) => at = self.after(at),
            }
        }
        self.len -= 1;
        self.close_gap(at);
    }

    /// Moves entries back into a gap that they once had to skip, so that no search ends early.
    fn close_gap(&mut self, mut gap: usize) {
        let mut at = gap;
        loop {
            at = self.after(at);
            let bucket = self.buckets.get(at).copied().unwrap_or(0);
            if bucket == 0 {
                break;
            }
            let distance = at.wrapping_sub(self.home(bucket >> 32)) & self.mask();
            // An entry may move back to its home bucket, and not beyond it, where no search would
            // begin. There are no tombstones: under flows that come and go they would fill the
            // table.
            if distance >= (at.wrapping_sub(gap) & self.mask()) {
                self.set(gap, bucket);
                gap = at;
            }
        }
        self.set(gap, 0);
    }

    fn grow(&mut self) {
        let buckets = vec![0; self.buckets.len() * 2];
        for bucket in std::mem::replace(&mut self.buckets, buckets) {
            if bucket != 0 {
                self.place(bucket);
            }
        }
    }

    fn place(&mut self, bucket: u64) {
        let mut at = self.home(bucket >> 32);
        while self.buckets.get(at).is_some_and(|bucket| *bucket != 0) {
            at = self.after(at);
        }
        self.set(at, bucket);
    }

    fn set(&mut self, at: usize, bucket: u64) {
        if let Some(old) = self.buckets.get_mut(at) {
            *old = bucket;
        }
    }

    fn mask(&self) -> usize {
        self.buckets.len() - 1
    }

    /// Returns the bucket where the search for a tag begins. The tag alone decides, so that the
    /// table grows without a look at the keys.
    #[inline]
    fn home(&self, tag: u64) -> usize {
        tag as usize & self.mask()
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        (at + 1) & self.mask()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn an_index_finds_what_a_tree_finds(
            steps in proptest::collection::vec((any::<bool>(), 0_u32..64, 0_u64..9), 0..400),
        ) {
            let mut index = Index::new();
            let mut tree = BTreeMap::new();
            for (insert, number, few) in steps {
                // Few hashes, so that runs of buckets form and break.
                let hash = few << 32;
                if insert && !tree.contains_key(&number) {
                    tree.insert(number, hash);
                    index.insert(hash, number);
                } else if let Some(hash) = tree.remove(&number) {
                    index.remove(hash, number);
                }
                for number in 0..64 {
                    let expected = tree.get(&number).map(|_| number);
                    let hash = tree.get(&number).copied().unwrap_or(few << 32);
                    prop_assert_eq!(index.find(hash, |found| found == number), expected);
                }
                prop_assert_eq!(index.len, tree.len());
            }
        }
    }
}
