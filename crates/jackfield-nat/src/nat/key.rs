//! The keys of the NAT tables, and how they are hashed.

use std::hash::{Hash, Hasher};

use jackfield_sansio::{Seed, fold};

use super::config::Protocol;
use crate::{Address, Endpoint};

/// A flow as one side of the NAT sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlowKey {
    pub(crate) protocol: Protocol,
    /// The inside endpoint, or the outside endpoint it is mapped to.
    pub(crate) local: Endpoint,
    /// The remote endpoint, as the outside knows it.
    pub(crate) remote: Endpoint,
}

/// A mapped endpoint, and the remotes that the mapping is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MappingKey {
    pub(crate) protocol: Protocol,
    pub(crate) endpoint: Endpoint,
    pub(crate) scope: Scope,
}

/// The remotes that a mapping is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    AnyRemote,
    Address(Address),
    Endpoint(Endpoint),
}

impl Scope {
    fn parts(self) -> (u128, u64) {
        match self {
            Self::AnyRemote => (0, 0),
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
    /// Returns everything but the addresses in one word.
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

/// Hashes a flow's key with three multiplications, two of which run side by side: this is most
/// of what finding a known flow costs.
#[inline]
pub(crate) fn flow_hash(seed: Seed, key: &FlowKey) -> u64 {
    let [first, second] = seed.words();
    let (local, remote) = (key.local.address.halves(), key.remote.address.halves());
    let low = fold(local.1 ^ first, remote.1 ^ second);
    let high = fold(local.0 ^ second ^ ODD, remote.0 ^ first ^ ODD);
    fold(low ^ key.rest(), high ^ second)
}

/// The fraction of the golden ratio, whose bits have no pattern. It keeps the upper halves of
/// IPv4 addresses, which are all alike, from being multiplied by the bare secret.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_hundred_thousand_neighbouring_flows_hardly_collide() {
        let seed = Seed::new([7, 11]);
        let mut low_bits = BTreeSet::new();
        for n in 0..100_000_u32 {
            let key = FlowKey {
                protocol: Protocol::Udp,
                local: Endpoint::new(Address::v4(0x0a00_0000 | n >> 8), 4000 + (n & 0xff) as u16),
                remote: Endpoint::new(Address::v4(0xc000_0201), 3478),
            };
            low_bits.insert(flow_hash(seed, &key) >> 32 & 0xff_ffff);
        }
        // 100,000 balls in 16 million bins leave 99,700 bins with a ball.
        assert!(low_bits.len() > 99_500, "{}", low_bits.len());
    }
}
