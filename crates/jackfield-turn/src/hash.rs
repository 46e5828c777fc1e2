use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

/// A hash map that no iteration depends on, keyed so that nobody outside can choose colliding keys.
pub(crate) type FastMap<K, V> = HashMap<K, V, Seed>;

/// What a table's hashes are keyed with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seed(pub(crate) [u64; 2]);

impl BuildHasher for Seed {
    type Hasher = Fold;

    fn build_hasher(&self) -> Fold {
        let Self([state, key]) = *self;
        Fold {
            state,
            key: key | 1,
        }
    }
}

/// Mixes words by keyed multiplication to 128 bits and folding the halves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fold {
    state: u64,
    key: u64,
}

impl Fold {
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.state ^ word).wrapping_mul(u128::from(self.key) << 1 | 1);
        let folded = (product as u64) ^ ((product >> 64) as u64);
        self.state = folded.rotate_left(23) ^ self.key;
    }
}

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        if let Some(place) = last.get_mut(..rest.len()) {
            place.copy_from_slice(rest);
        }
        // The length keeps `ab`,`c` apart from `a`,`bc`.
        self.mix(u64::from_le_bytes(last) ^ ((bytes.len() as u64) << 56));
    }

    fn write_u8(&mut self, number: u8) {
        self.mix(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.mix(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }

    fn finish(&self) -> u64 {
        let mut last = *self;
        last.mix(0x9E37_79B9_7F4A_7C15);
        last.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::net::SocketAddr;

    #[test]
    fn neighbouring_addresses_spread_over_a_small_table() {
        let seed = Seed([0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210]);
        let mut full = HashSet::new();
        let mut low = [0u32; 64];
        for port in 1..=4_096u16 {
            let address: SocketAddr = ([127, 0, 0, 1], port).into();
            let hash = seed.hash_one(address);
            full.insert(hash);
            low[(hash & 63) as usize] += 1;
        }
        assert_eq!(full.len(), 4_096);
        assert!(
            low.iter().all(|count| (24..=110).contains(count)),
            "{low:?}"
        );
    }

    #[test]
    fn another_seed_gives_other_hashes() {
        let of = |seed: u64| Seed([seed, seed]).hash_one(7u64);
        assert_ne!(of(1), of(2));
    }
}
