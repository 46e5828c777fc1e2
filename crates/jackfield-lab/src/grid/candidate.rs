//! The types of candidates, as RFC 8445 has them.

use serde::{Serialize, Serializer};

/// The type of a candidate, an address that a host may be reached at (RFC 8445 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CandidateType {
    /// The host's own address.
    Host,
    /// The address that a STUN server sees.
    ServerReflexive,
    /// An address that the other host sees and no server told of, since the NAT maps each
    /// destination differently.
    PeerReflexive,
    /// An address of a TURN server.
    Relayed,
}

impl CandidateType {
    /// Returns the letter that the grid shows.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Host => 'H',
            Self::ServerReflexive => 'S',
            Self::PeerReflexive => 'P',
            Self::Relayed => 'R',
        }
    }

    /// Returns the type preference that RFC 8445 §5.1.2.2 recommends.
    const fn preference(self) -> u64 {
        match self {
            Self::Host => 126,
            Self::PeerReflexive => 110,
            Self::ServerReflexive => 100,
            Self::Relayed => 0,
        }
    }

    /// Returns the priority of a pair (RFC 8445 §6.1.2.3), from the types alone.
    pub(super) const fn pair_priority(controlling: Self, controlled: Self) -> u64 {
        let (g, d) = (
            controlling.preference() << 24,
            controlled.preference() << 24,
        );
        let (low, high) = if g < d { (g, d) } else { (d, g) };
        (low << 32) + 2 * high + if g > d { 1 } else { 0 }
    }
}

impl Serialize for CandidateType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_char(self.letter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn direct_pairs_come_before_relayed_ones_and_the_controlling_agents_choice_first() {
        let direct = CandidateType::pair_priority(
            CandidateType::ServerReflexive,
            CandidateType::PeerReflexive,
        );
        let theirs =
            CandidateType::pair_priority(CandidateType::PeerReflexive, CandidateType::Relayed);
        let ours =
            CandidateType::pair_priority(CandidateType::Relayed, CandidateType::PeerReflexive);
        let both = CandidateType::pair_priority(CandidateType::Relayed, CandidateType::Relayed);
        assert!(direct > theirs && theirs > ours && ours > both);
    }
}
