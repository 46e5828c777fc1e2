use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};

use super::config::Protocol;
use crate::{Address, Endpoint};

/// One conversation as one side of the NAT sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlowKey {
    pub(crate) protocol: Protocol,
    /// The inside endpoint, or the outside endpoint it is mapped to.
    pub(crate) local: Endpoint,
    /// The other party, as the outside knows it.
    pub(crate) remote: Endpoint,
}

/// An endpoint that is mapped, for remotes in a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MappingKey {
    pub(crate) protocol: Protocol,
    pub(crate) endpoint: Endpoint,
    pub(crate) scope: Scope,
}

/// The remotes that a mapping is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Everybody,
    Address(Address),
    Endpoint(Endpoint),
}

impl Scope {
    fn parts(self) -> (u128, u64) {
        match self {
            Self::Everybody => (0, 0),
            Self::Address(address) => (address.bits(), 1 << 16),
            Self::Endpoint(endpoint) => {
                (endpoint.address.bits(), 2 << 16 | u64::from(endpoint.port))
            }
        }
    }
}

impl Hash for FlowKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.local.address.bits());
        state.write_u128(self.remote.address.bits());
        state.write_u64(self.rest());
    }
}

impl FlowKey {
    /// Everything but the addresses.
    #[inline]
    fn rest(&self) -> u64 {
        u64::from(self.local.port) << 32 | u64::from(self.remote.port) << 16 | self.protocol as u64
    }
}

impl Hash for MappingKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (address, rest) = self.scope.parts();
        state.write_u128(self.endpoint.address.bits());
        state.write_u128(address);
        state.write_u64(rest << 32 | u64::from(self.endpoint.port) << 8 | self.protocol as u64);
    }
}

/// A map whose order never shows and whose hashes an attacker cannot foresee without the seed.
pub(crate) type Map<K, V> = HashMap<K, V, Seeded>;

/// Makes hashers from a secret seed: the same seed, the same hashes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seeded([u64; 2]);

impl Seeded {
    pub(crate) fn new(seed: [u64; 2]) -> Self {
        Self(seed)
    }

    pub(crate) fn map<K, V>(self) -> Map<K, V> {
        HashMap::with_hasher(self)
    }

    /// Hashes a flow's key with three multiplications, two of which run side by side.
    #[inline]
    pub(crate) fn flow(self, key: &FlowKey) -> u64 {
        let [first, second] = self.0;
        let (local, remote) = (key.local.address.halves(), key.remote.address.halves());
        let low = fold(local.1 ^ first, remote.1 ^ second);
        let high = fold(local.0 ^ second ^ ODD, remote.0 ^ first ^ ODD);
        fold(low ^ key.rest(), high ^ second)
    }
}

impl BuildHasher for Seeded {
    type Hasher = Folding;

    fn build_hasher(&self) -> Folding {
        let [state, secret] = self.0;
        Folding { state, secret }
    }
}

/// A hasher that folds the product of two secret-dependent words, one multiplication per 128 bits.
#[derive(Debug, Clone)]
pub(crate) struct Folding {
    state: u64,
    secret: u64,
}

impl Folding {
    fn mix(&mut self, low: u64, high: u64) {
        let folded = fold(low ^ self.state, high ^ self.secret ^ ODD);
        self.state = folded ^ self.state.rotate_left(23);
    }
}

impl Hasher for Folding {
    fn finish(&self) -> u64 {
        fold(self.state ^ ODD, self.secret | 1)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.mix(u64::from(*byte), 0);
        }
    }

    fn write_u128(&mut self, word: u128) {
        self.mix(word as u64, (word >> 64) as u64);
    }

    fn write_u32(&mut self, word: u32) {
        self.mix(u64::from(word), 0);
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word, 0);
    }
}

/// Returns both halves of a product, one over the other.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a).wrapping_mul(u128::from(b));
    (product as u64) ^ ((product >> 64) as u64)
}

/// The fraction of the golden ratio, whose bits have no pattern.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_hundred_thousand_neighbouring_flows_hardly_collide() {
        let seeded = Seeded::new([7, 11]);
        let mut low_bits = BTreeSet::new();
        for n in 0..100_000_u32 {
            let key = FlowKey {
                protocol: Protocol::Udp,
                local: Endpoint::new(Address::v4(0x0a00_0000 | n >> 8), 4000 + (n & 0xff) as u16),
                remote: Endpoint::new(Address::v4(0xc000_0201), 3478),
            };
            low_bits.insert(seeded.flow(&key) >> 32 & 0xff_ffff);
        }
        // 100,000 balls in 16 million bins leave 99,700 bins with a ball.
        assert!(low_bits.len() > 99_500, "{}", low_bits.len());
    }
}
