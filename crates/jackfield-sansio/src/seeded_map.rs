//! Hash maps that are keyed with a core's seed.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hasher};

/// A hash map whose keys cannot be made to collide without the seed, and which behaves the same
/// each time: the same seed and the same inputs give the same core.
///
/// Its order means nothing, so a core never iterates over it; `clippy.toml` in each core's
/// folder forbids that. What has to be walked through is a `BTreeMap`.
///
/// ```
/// use jackfield_sansio::{Seed, SeededMap};
///
/// let mut ports: SeededMap<&str, u16> = Seed::new([7, 11]).map();
/// ports.insert("turn", 3478);
/// assert_eq!(ports.get("turn"), Some(&3478));
/// ```
pub type SeededMap<K, V> = HashMap<K, V, Seed>;

/// The secret that hashes depend on: 128 bits, from the seed that a core was made with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed([u64; 2]);

impl Seed {
    /// Returns a seed; the words are random and secret where a stranger can choose keys.
    #[must_use]
    pub const fn new(words: [u64; 2]) -> Self {
        let [first, second] = words;
        // A multiplication by a word of few bits, as tests give, or of a pattern mixes badly.
        Self([
            mixed(first.wrapping_add(GOLDEN)),
            mixed(second.wrapping_sub(GOLDEN)),
        ])
    }

    /// Returns an empty map.
    #[must_use]
    pub fn map<K, V>(self) -> SeededMap<K, V> {
        HashMap::with_hasher(self)
    }

    /// Returns two secret words, for a hash that knows its key's shape.
    #[must_use]
    pub const fn words(self) -> [u64; 2] {
        self.0
    }
}

// The words stay out of log lines and of panics: they are secret.
impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed")
    }
}

impl BuildHasher for Seed {
    type Hasher = SeededHasher;

    #[inline]
    fn build_hasher(&self) -> SeededHasher {
        let Self([state, key]) = *self;
        SeededHasher {
            state,
            key,
            block: 0,
            bits: 0,
        }
    }
}

/// Hashes with one multiplication for every 128 bits, by [`fold`].
#[derive(Clone)]
pub struct SeededHasher {
    state: u64,
    key: u64,
    /// What waits until there are 128 bits of it.
    block: u128,
    /// How many bits that is.
    bits: u32,
}

impl SeededHasher {
    /// Appends the `bits` lower bits of `word`; the others are zero.
    #[inline]
    fn append(&mut self, word: u128, bits: u32) {
        if self.bits + bits > u128::BITS {
            self.state = self.folded();
            self.block = word;
            self.bits = bits;
        } else {
            self.block |= word << self.bits;
            self.bits += bits;
        }
    }

    // Both factors depend on a secret of their own. With one of them public, an input that
    // makes it zero would give the same hash with whatever else it is combined.
    #[inline]
    fn folded(&self) -> u64 {
        let (low, high) = (self.block as u64, (self.block >> 64) as u64);
        fold(low ^ self.state, high ^ self.key)
    }
}

impl Hasher for SeededHasher {
    #[inline]
    fn finish(&self) -> u64 {
        // Zeros that fill the last block confuse no two keys: what `Hash` writes of one is never
        // the beginning of what it writes of another.
        self.folded()
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.append(u64::from_le_bytes(*word).into(), 64);
        }
        if !rest.is_empty() {
            let shifted = |word, byte: &u8| word << 8 | u128::from(*byte);
            self.append(rest.iter().rev().fold(0, shifted), 8 * rest.len() as u32);
        }
    }

    #[inline]
    fn write_u8(&mut self, word: u8) {
        self.append(word.into(), u8::BITS);
    }

    #[inline]
    fn write_u16(&mut self, word: u16) {
        self.append(word.into(), u16::BITS);
    }

    #[inline]
    fn write_u32(&mut self, word: u32) {
        self.append(word.into(), u32::BITS);
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.append(word.into(), u64::BITS);
    }

    #[inline]
    fn write_u128(&mut self, word: u128) {
        self.append(word, u128::BITS);
    }

    #[inline]
    fn write_usize(&mut self, word: usize) {
        self.append(word as u128, usize::BITS);
    }
}

impl fmt::Debug for SeededHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeededHasher")
    }
}

/// Returns the two halves of a product of 128 bits, combined by exclusive or: each bit of it
/// depends on every bit of both factors.
#[inline]
#[must_use]
pub const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Spreads each bit of a word over all; no two words give the same (SplitMix64's last step).
const fn mixed(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

/// The fraction of the golden ratio, whose bits have no pattern.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::net::SocketAddr;

    const SEED: Seed = Seed::new([0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210]);

    #[test]
    fn neighbouring_addresses_spread_over_a_small_table() {
        let seeds = [
            SEED,
            Seed::new([0, 0]),
            Seed::new([1, 2]),
            Seed::new([7, 11]),
        ];
        let hosts = ["127.0.0.1", "2001:db8::1"];
        for (seed, host) in seeds
            .into_iter()
            .flat_map(|seed| hosts.map(|host| (seed, host)))
        {
            let mut hashes = BTreeSet::new();
            let (mut low, mut high) = ([0u32; 64], [0u32; 64]);
            for port in 1..=4_096u16 {
                let address = SocketAddr::new(host.parse().unwrap(), port);
                let hash = seed.hash_one(address);
                hashes.insert(hash);
                low[(hash & 63) as usize] += 1;
                high[(hash >> 58) as usize] += 1;
            }
            assert_eq!(hashes.len(), 4_096);
            for counts in [low, high] {
                let is_even = counts.iter().all(|count| (24..=110).contains(count));
                assert!(is_even, "{host}: {counts:?}");
            }
        }
    }

    #[test]
    fn hashes_are_the_seeds_alone() {
        let hash = |words| Seed::new(words).hash_one("key");
        assert_eq!(hash([1, 2]), hash([1, 2]));
        assert_ne!(hash([1, 2]), hash([3, 2]));
        assert_ne!(hash([1, 2]), hash([1, 3]));
    }

    #[test]
    fn texts_that_differ_in_their_ends_or_their_borders_have_other_hashes() {
        let texts = (0..40).map(|length| "\0".repeat(length));
        let hashes: BTreeSet<u64> = texts.map(|text| SEED.hash_one(text)).collect();
        assert_eq!(hashes.len(), 40);
        assert_ne!(SEED.hash_one("ab"), SEED.hash_one("ab\0"));
        assert_ne!(SEED.hash_one(["a", "bc"]), SEED.hash_one(["ab", "c"]));
        assert_ne!(
            SEED.hash_one([0u8; 2].as_slice()),
            SEED.hash_one([0u8; 3].as_slice())
        );
    }

    #[test]
    fn secrets_are_not_printed() {
        let map: SeededMap<u8, u8> = SEED.map();
        let text = format!("{:?} {map:?} {:?}", SEED, SEED.build_hasher());
        assert_eq!(text, "Seed {} SeededHasher");
    }
}
