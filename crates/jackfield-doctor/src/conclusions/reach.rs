//! Which peers are reached without a relay: the oracle of `jackfield-nat` says so.

use jackfield_nat::oracle::{Path, Traits, oracle};
use jackfield_nat::{Behaviour, Filtering, Mapping};
use jackfield_stun::behaviour::Report;

use crate::peer::NatSight;

/// The peers that are reached without a relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Peers behind every kind of NAT.
    All,
    /// All whose own NAT keeps one outside address and port, as most do.
    Most {
        /// The kinds of NAT that the others are behind.
        except: Vec<Behaviour>,
    },
    /// Only peers behind lenient filters.
    Few {
        /// The kinds of NAT that the others are behind.
        except: Vec<Behaviour>,
    },
    /// Too little is known of the own NAT.
    Unknown,
}

impl Reach {
    /// Asks the oracle about each kind of peer, with what was found of the own NAT.
    pub fn of(report: Option<&Report>) -> Self {
        let sight = report.and_then(NatSight::of);
        match sight.and_then(|sight| sight.chain()) {
            Some(own) => Self::behind(&own),
            None => Self::Unknown,
        }
    }

    /// Returns the reach of a host behind this chain of NATs.
    fn behind(own: &[Traits]) -> Self {
        let is_direct = |peer: &Behaviour| {
            let peer = [Traits::plain(peer.mapping, peer.filtering)];
            oracle(own, &peer) == Path::Direct
        };
        let except: Vec<Behaviour> = kinds().filter(|peer| !is_direct(peer)).collect();
        let keeps_endpoint = |peer: &Behaviour| peer.mapping == Mapping::EndpointIndependent;
        if except.is_empty() {
            Self::All
        } else if except.iter().any(keeps_endpoint) {
            Self::Few { except }
        } else {
            Self::Most { except }
        }
    }

    /// Returns the kinds of NAT whose hosts are not reached directly.
    #[must_use]
    pub fn except(&self) -> &[Behaviour] {
        match self {
            Self::Most { except } | Self::Few { except } => except,
            Self::All | Self::Unknown => &[],
        }
    }

    /// Returns the name that programs know it by.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::All => "all-peers",
            Self::Most { .. } => "most-peers",
            Self::Few { .. } => "few-peers",
            Self::Unknown => "unknown-peers",
        }
    }
}

/// The nine kinds of RFC 4787.
fn kinds() -> impl Iterator<Item = Behaviour> {
    let pair = |mapping| Filtering::ALL.map(|filtering| Behaviour { mapping, filtering });
    Mapping::ALL.into_iter().flat_map(pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(mapping: Mapping, filtering: Filtering) -> &'static str {
        Reach::behind(&[Traits::plain(mapping, filtering)]).kind()
    }

    #[test]
    fn each_of_the_nine_kinds_of_nat_has_its_reach() {
        use {Filtering as F, Mapping as M};
        for (mapping, filtering, kind) in [
            (M::EndpointIndependent, F::EndpointIndependent, "all-peers"),
            (M::EndpointIndependent, F::AddressDependent, "all-peers"),
            (
                M::EndpointIndependent,
                F::AddressAndPortDependent,
                "most-peers",
            ),
            // One filter that lets all peers in is enough, whatever the mapping.
            (M::AddressDependent, F::EndpointIndependent, "all-peers"),
            (
                M::AddressAndPortDependent,
                F::EndpointIndependent,
                "all-peers",
            ),
            (M::AddressDependent, F::AddressDependent, "few-peers"),
            (M::AddressDependent, F::AddressAndPortDependent, "few-peers"),
            (M::AddressAndPortDependent, F::AddressDependent, "few-peers"),
            (
                M::AddressAndPortDependent,
                F::AddressAndPortDependent,
                "few-peers",
            ),
        ] {
            assert_eq!(
                kind_of(mapping, filtering),
                kind,
                "{mapping:?} {filtering:?}"
            );
        }
    }

    #[test]
    fn without_a_nat_all_peers_are_reached() {
        assert_eq!(Reach::behind(&[]), Reach::All);
    }
}
