//! The candidate pairs that two ICE agents may end with, from what stands in front of each.

use std::collections::BTreeSet;
use std::fmt;

use super::{Traits, alternatives, changes_address, is_dependent, punch};
use crate::{Filtering, NatConfig, Translation};

/// The type of a candidate, as the agent at the other end sees it in the end ([RFC 8445 §5.1.1]).
///
/// [RFC 8445 §5.1.1]: https://www.rfc-editor.org/rfc/rfc8445#section-5.1.1
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CandidateType {
    /// The host's own address.
    Host,
    /// The address that a STUN server sees.
    ServerReflexive,
    /// An address that only the other agent sees: of a mapping towards it alone, or of the end of
    /// a TCP connection that dialed.
    PeerReflexive,
    /// An address of a TURN server.
    Relayed,
}

/// A pair of candidates, one of each agent; as text `S-P`, and `Pt-Ht` over TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// The candidate of the first agent.
    pub a: CandidateType,
    /// The candidate of the second agent.
    pub b: CandidateType,
    /// Whether the pair is a TCP connection between the two ([RFC 6544]). A relay that is reached
    /// over TCP passes on datagrams, so its pairs are not.
    ///
    /// [RFC 6544]: https://www.rfc-editor.org/rfc/rfc6544
    pub tcp: bool,
}

/// What stands in front of an ICE agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The chain for UDP, innermost first.
    pub udp: Vec<Traits>,
    /// The chain for TCP, innermost first.
    pub tcp: Vec<Traits>,
    /// Whether the outside can send to the host's own address, as far as the filters let it.
    pub is_public: bool,
    /// Whether the agent can open TCP connections to any port, directly or by a proxy.
    pub dials: bool,
    /// Whether the agent reaches a TURN server in some way. The relay takes UDP from peers.
    pub has_relay: bool,
}

impl Access {
    /// Returns the access of a host behind a chain of NATs and firewalls, innermost first, with a
    /// TURN server that it can reach.
    #[must_use]
    pub fn of(chain: &[NatConfig]) -> Self {
        let tcp: Vec<Traits> = chain.iter().map(Traits::of_tcp).collect();
        Self {
            udp: chain.iter().map(Traits::of).collect(),
            is_public: chain
                .iter()
                .all(|config| matches!(config.translation, Translation::None)),
            dials: !tcp.iter().any(|nat| nat.blocked),
            tcp,
            has_relay: true,
        }
    }

    /// Returns whether a TCP connection to the host's own address gets in. Nothing has gone out
    /// before that would open a filter: agents dial passive candidates, and do not punch for TCP.
    fn answers(&self) -> bool {
        let open = Filtering::EndpointIndependent;
        self.is_public && self.tcp.iter().all(|nat| nat.filtering == open)
    }

    fn sends_udp(&self) -> bool {
        !self.udp.iter().any(|nat| nat.blocked)
    }

    /// Returns the type of the candidate that the other agent sees over UDP, with this chain.
    fn candidate(&self, chain: &[Traits]) -> CandidateType {
        if self.is_public {
            CandidateType::Host
        } else if is_dependent(chain) || changes_address(chain) {
            CandidateType::PeerReflexive
        } else {
            CandidateType::ServerReflexive
        }
    }
}

/// Returns every pair that two ICE agents may end with; none if there is no path.
///
/// The agents prefer UDP between the two to a TCP connection, and that to a relay, as the
/// priorities of RFC 8445 and RFC 6544 do. There is more than one pair where chance decides, where
/// either agent can dial the other, and where one relay is enough and both have one.
///
/// ```
/// use jackfield_nat::oracle::{Access, pairs};
/// use jackfield_nat::profile::Profile;
///
/// let access = |profile: Profile| Access::of(&[profile.config(&[])]);
/// let found = pairs(&access(Profile::FULL_CONE), &access(Profile::SYMMETRIC));
/// assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["S-P"]);
/// ```
#[must_use]
pub fn pairs(a: &Access, b: &Access) -> BTreeSet<Pair> {
    let mut found = BTreeSet::new();
    for of_a in alternatives(&a.udp) {
        for of_b in alternatives(&b.udp) {
            let ends = (a.candidate(&of_a), b.candidate(&of_b));
            if punch(&of_a, &of_b) {
                found.insert(Pair::udp(ends.0, ends.1));
                continue;
            }
            let mut others = dialed(a, b);
            if others.is_empty() {
                others = relayed(a, b, ends);
            }
            found.extend(others);
        }
    }
    found
}

fn dialed(a: &Access, b: &Access) -> Vec<Pair> {
    let (dialer, answerer) = (CandidateType::PeerReflexive, CandidateType::Host);
    let pair = |a, b| Pair { a, b, tcp: true };
    let by_a = (a.dials && b.answers()).then(|| pair(dialer, answerer));
    let by_b = (b.dials && a.answers()).then(|| pair(answerer, dialer));
    by_a.into_iter().chain(by_b).collect()
}

fn relayed(a: &Access, b: &Access, ends: (CandidateType, CandidateType)) -> Vec<Pair> {
    let relay = CandidateType::Relayed;
    let of_a = (a.has_relay && b.sends_udp()).then(|| Pair::udp(relay, ends.1));
    let of_b = (b.has_relay && a.sends_udp()).then(|| Pair::udp(ends.0, relay));
    let one: Vec<Pair> = of_a.into_iter().chain(of_b).collect();
    match one.is_empty() && a.has_relay && b.has_relay {
        true => vec![Pair::udp(relay, relay)],
        false => one,
    }
}

impl Pair {
    const fn udp(a: CandidateType, b: CandidateType) -> Self {
        Self { a, b, tcp: false }
    }

    /// Returns whether a relay carries the packets.
    #[must_use]
    pub fn is_relayed(&self) -> bool {
        [self.a, self.b].contains(&CandidateType::Relayed)
    }
}

impl CandidateType {
    /// Returns the letter by which tables show the type: `H`, `S`, `P` or `R`.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Host => 'H',
            Self::ServerReflexive => 'S',
            Self::PeerReflexive => 'P',
            Self::Relayed => 'R',
        }
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = if self.tcp { "t" } else { "" };
        write!(f, "{}{t}-{}{t}", self.a.letter(), self.b.letter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::{Path, oracle};
    use crate::profile::Profile;

    fn access(profile: Profile) -> Access {
        Access::of(&[profile.config(&[])])
    }

    #[test]
    fn a_pair_is_relayed_exactly_where_there_is_no_direct_path() {
        for a in Profile::ALL {
            for b in Profile::ALL {
                let (a, b) = (access(*a), access(*b));
                let found = pairs(&a, &b);
                let relayed = found.iter().filter(|pair| pair.is_relayed()).count();
                match oracle(&a.udp, &b.udp) {
                    Path::Direct => assert_eq!(relayed, 0, "{a:?} {b:?}"),
                    Path::Relay => assert_eq!(relayed, found.len(), "{a:?} {b:?}"),
                    Path::Nondeterministic => assert!(relayed > 0 && relayed < found.len()),
                }
            }
        }
    }

    #[test]
    fn the_pairs_of_the_other_side_are_the_same_the_other_way_round() {
        let mirrored = |pair: &Pair| Pair {
            a: pair.b,
            b: pair.a,
            ..*pair
        };
        for a in Profile::ALL {
            for b in Profile::ALL {
                let (a, b) = (access(*a), access(*b));
                let there: BTreeSet<Pair> = pairs(&b, &a).iter().map(mirrored).collect();
                assert_eq!(pairs(&a, &b), there);
            }
        }
    }

    #[test]
    fn hosts_without_udp_and_without_a_relay_have_no_pair_unless_one_can_dial() {
        let mut wall = access(Profile::FULL_CONE);
        for nat in wall.udp.iter_mut().chain(&mut wall.tcp) {
            nat.blocked = true;
        }
        wall.dials = false;
        wall.has_relay = false;
        assert!(pairs(&wall, &wall).is_empty());
        let open = Access::of(&[]);
        assert!(pairs(&wall, &open).is_empty());
        wall.dials = true;
        let text: Vec<String> = pairs(&wall, &open).iter().map(Pair::to_string).collect();
        assert_eq!(text, ["Pt-Ht"]);
    }
}
