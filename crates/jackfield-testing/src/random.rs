//! Numbers that look random and are the same each time.

/// SplitMix64, by Steele, Lea and Flood: eight bytes of state, and a seed of any kind will do.
///
/// It chooses what a test does. It keeps no secrets: cores draw theirs from ChaCha.
///
/// ```
/// use jackfield_testing::SplitMix64;
///
/// let mut random = SplitMix64::new(7);
/// let choices: Vec<usize> = (0..3).map(|_| random.below(10)).collect();
/// let mut again = SplitMix64::new(7);
/// assert_eq!(choices, [again.below(10), again.below(10), again.below(10)]);
/// ```
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// Returns a generator; the same seed gives the same numbers.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`; zero if `end` is zero.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next_u64() % (end as u64).max(1)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_reference() {
        // The first three of Vigna's splitmix64.c for the seed 1234567.
        let mut random = SplitMix64::new(1_234_567);
        let numbers = [random.next_u64(), random.next_u64(), random.next_u64()];
        assert_eq!(
            numbers,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn nothing_is_below_zero() {
        let mut random = SplitMix64::new(0);
        assert_eq!((random.below(0), random.below(1)), (0, 0));
        assert!((0..1_000).all(|_| random.below(3) < 3));
    }
}
