#![doc = include_str!("docs/oracle.md")]

mod pair;
mod why;

use std::collections::BTreeSet;

use crate::{
    Assignment, Conflict, Filtering, Mapping, NatConfig, Pooling, Protocol, Side, Translation,
};

pub use pair::{Access, CandidateType, Pair, pairs};
pub use why::why;

/// The path between two hosts that the oracle predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Path {
    /// Hole punching finds a direct path, in whatever order packets arrive.
    Direct,
    /// A direct path exists or not depending on which host sends first, or on the port or address
    /// that a NAT happens to choose (a non-deterministic NAT, RFC 4787 §8).
    Nondeterministic,
    /// No direct path exists; a relay is needed.
    Relay,
}

/// The properties of a NAT that decide whether hole punching works through it, for UDP or for TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Traits {
    /// How the outside endpoint depends on the destination, as seen from outside.
    pub mapping: Mapping,
    /// Which remotes may send to it.
    pub filtering: Filtering,
    /// Whether mappings of one host may have different external addresses (IP address pooling
    /// behaviour "arbitrary", RFC 4787 §4.1).
    pub arbitrary_pooling: bool,
    /// Whether a packet of the peer that comes too early gives the mapping towards it another
    /// port, as Linux's connection tracking does.
    pub remaps_on_early_inbound: bool,
    /// Whether a firewall blocks the protocol.
    pub blocked: bool,
    /// Whether an inside endpoint can have only one mapping: it can answer, but cannot send to a
    /// second destination.
    pub single_mapping: bool,
    /// Whether chance decides if the outside endpoint depends on the destination.
    pub mapping_varies: bool,
    /// Whether a mapping has the inside port if that is free (port preservation, RFC 4787 §4.2.1).
    pub preserves_port: bool,
    /// Whether two inside hosts can share one outside endpoint as long as their destinations
    /// differ (port overloading, RFC 4787 §4.2.1).
    pub overloads_ports: bool,
    /// Whether a mapping is refused when the port to preserve is taken, whatever the destination.
    pub refuses_taken_port: bool,
    /// Whether it refuses inside ports below 1024, which a NAT further in may have chosen.
    pub refuses_low_ports: bool,
}

impl Traits {
    /// Returns the traits of a NAT with this mapping and filtering and no other peculiarity.
    #[must_use]
    pub const fn plain(mapping: Mapping, filtering: Filtering) -> Self {
        Self {
            mapping,
            filtering,
            arbitrary_pooling: false,
            remaps_on_early_inbound: false,
            blocked: false,
            single_mapping: false,
            mapping_varies: false,
            preserves_port: false,
            overloads_ports: false,
            refuses_taken_port: false,
            refuses_low_ports: false,
        }
    }

    /// Returns the traits of the same NAT for a host whose port is forwarded, by hand or by a port
    /// mapping protocol (PCP, NAT-PMP or UPnP). The host has one outside endpoint, answers from
    /// it, and every remote may send to it.
    #[must_use]
    pub const fn forwarded(self) -> Self {
        Self {
            blocked: self.blocked,
            ..Self::plain(Mapping::EndpointIndependent, Filtering::EndpointIndependent)
        }
    }

    /// Returns the traits of a NAT for UDP, for a host whose own ports are 1024 or above.
    #[must_use]
    pub fn of(config: &NatConfig) -> Self {
        Self::of_protocol(config, Protocol::Udp)
    }

    /// Returns the traits of a NAT for TCP, for a host whose own ports are 1024 or above.
    #[must_use]
    pub fn of_tcp(config: &NatConfig) -> Self {
        Self::of_protocol(config, Protocol::Tcp)
    }

    fn of_protocol(config: &NatConfig, protocol: Protocol) -> Self {
        let behaviour = match protocol {
            Protocol::Tcp => config.tcp,
            Protocol::Udp | Protocol::Icmp => config.udp,
        };
        let mut traits = Self::plain(behaviour.mapping, behaviour.filtering);
        traits.blocked = !config.policy.allows(Side::Inside, protocol, 3478);
        if !config.policy.allows(Side::Outside, protocol, 3478) {
            // What may not start outside comes in only as an answer, so the filter is as strict as
            // can be.
            traits.filtering = Filtering::AddressAndPortDependent;
        }
        match config.translation {
            Translation::Ports | Translation::Nat64 { .. } => {}
            Translation::None | Translation::Prefixes { .. } => {
                traits.mapping = Mapping::EndpointIndependent;
                return traits;
            }
        }
        traits.preserves_port = config.ports.assignment == Assignment::Preserve;
        if let Some(conntrack) = config.conntrack {
            // Linux keeps a port and shares it among destinations (`assign_tracked`), so its
            // mappings look endpoint-independent.
            traits.preserves_port = true;
            traits.overloads_ports = true;
            traits.mapping = Mapping::EndpointIndependent;
            traits.filtering = Filtering::AddressAndPortDependent;
            traits.remaps_on_early_inbound = conntrack.accepts_input;
            return traits;
        }
        let shares = config.ports.overlap && traits.mapping != Mapping::EndpointIndependent;
        let overloads = config.ports.conflict == Conflict::Overload;
        traits.overloads_ports = traits.preserves_port && (shares || overloads);
        let refuses = config.ports.conflict == Conflict::Refuse;
        traits.refuses_taken_port = traits.preserves_port && !shares && refuses;
        traits.refuses_low_ports = traits.refuses_taken_port && *config.ports.range.start() > 1;
        traits.arbitrary_pooling =
            config.pooling == Pooling::Arbitrary && config.externals.len() > 1;
        if traits.mapping != Mapping::EndpointIndependent {
            traits.apply_port_assignment(config);
        }
        traits
    }

    /// Applies the port assignment to a mapping that depends on the destination: one that keeps
    /// the port looks endpoint-independent from outside.
    fn apply_port_assignment(&mut self, config: &NatConfig) {
        let ports = &config.ports;
        let preserves = ports.assignment == Assignment::Preserve;
        let covers = *ports.range.start() <= 1024 && *ports.range.end() == u16::MAX;
        if ports.overlap {
            // A shared port leads to a mapping only from the remotes that the mapping is for.
            self.filtering = self.filtering.max(match self.mapping {
                Mapping::EndpointIndependent => Filtering::EndpointIndependent,
                Mapping::AddressDependent => Filtering::AddressDependent,
                Mapping::AddressAndPortDependent => Filtering::AddressAndPortDependent,
            });
        }
        if !preserves {
            return;
        }
        match ports.conflict {
            _ if ports.overlap && covers && !self.arbitrary_pooling => {
                self.mapping = Mapping::EndpointIndependent;
            }
            _ if ports.overlap => self.mapping_varies = true,
            Conflict::Overload => self.mapping_varies = true,
            Conflict::Refuse => self.single_mapping = true,
            Conflict::Random | Conflict::Next | Conflict::ChangeBehaviour => {}
        }
    }
}

/// Predicts the path between two hosts, each behind a chain of NATs, innermost first.
///
/// The traits of both chains are for one protocol: [`Traits::of`] for UDP, [`Traits::of_tcp`] for
/// TCP.
///
/// An empty chain is a host with a public address. The chains share no NAT; see [`oracle_behind`]
/// for those that do.
#[must_use]
pub fn oracle(a: &[Traits], b: &[Traits]) -> Path {
    let mut seen = BTreeSet::new();
    for a in alternatives(a) {
        for b in alternatives(b) {
            seen.insert(punch(&a, &b));
        }
    }
    match (seen.contains(&true), seen.contains(&false)) {
        (true, false) => Path::Direct,
        (true, true) => Path::Nondeterministic,
        _ => Path::Relay,
    }
}

/// Predicts the path between two hosts whose chains end in shared NATs, innermost first.
///
/// `hairpins` says whether the innermost shared NAT hairpins with the external source. Two hosts
/// without a NAT of their own are on one link, and their path is direct.
#[must_use]
pub fn oracle_behind(a: &[Traits], b: &[Traits], shared: &[Traits], hairpins: bool) -> Path {
    let Some(meeting) = shared.first() else {
        return oracle(a, b);
    };
    if a.is_empty() && b.is_empty() {
        return Path::Direct;
    }
    if !hairpins {
        return Path::Relay;
    }
    // Beyond the meeting point a NAT is seen by the STUN server only. A hairpinned packet has to
    // carry the address of the meeting NAT itself, so with a NAT beyond it the learned address is
    // useless.
    if shared.len() > 1 {
        return Path::Relay;
    }
    let chain = |own: &[Traits]| [own, &[*meeting]].concat();
    oracle(&chain(a), &chain(b))
}

/// Returns whether a first packet gets in on either side, chance aside. The answer to it then
/// makes the pair of candidates.
fn punch(a: &[Traits], b: &[Traits]) -> bool {
    !a.iter().chain(b).any(|nat| nat.blocked) && (gets_in(a, b) || gets_in(b, a))
}

/// Returns whether packets from `sender` to the reflexive endpoint of `receiver` get in, once
/// `receiver` has sent to the reflexive endpoint of `sender`.
fn gets_in(sender: &[Traits], receiver: &[Traits]) -> bool {
    if refuses_new_destinations(sender) {
        return false;
    }
    let same_port = !is_dependent(sender);
    let same_address = !changes_address(sender);
    (1..=receiver.len()).all(|depth| {
        let chain = receiver.get(..depth).unwrap_or_default();
        // A mapping that depends on the destination has only sent to the STUN server.
        let has_sent = !is_dependent(chain);
        match chain.last().map(|nat| nat.filtering) {
            None | Some(Filtering::EndpointIndependent) => true,
            Some(Filtering::AddressDependent) => has_sent && same_address,
            Some(Filtering::AddressAndPortDependent) => has_sent && same_port,
        }
    })
}

/// Returns whether the outside endpoint of a chain depends on the destination, because that of one
/// of its NATs does.
fn is_dependent(chain: &[Traits]) -> bool {
    chain
        .iter()
        .any(|nat| nat.mapping != Mapping::EndpointIndependent)
}

/// Returns whether the outside address of a chain may depend on the destination.
fn changes_address(chain: &[Traits]) -> bool {
    let mut nats = chain.iter().enumerate();
    nats.any(|(depth, nat)| {
        nat.arbitrary_pooling && is_dependent(chain.get(..=depth).unwrap_or_default())
    })
}

/// Returns whether a chain lets nothing new out, because a NAT of it refuses a second mapping of
/// one inside endpoint.
fn refuses_new_destinations(chain: &[Traits]) -> bool {
    let mut inner = chain.iter().enumerate();
    inner.any(|(depth, nat)| {
        nat.single_mapping && !is_dependent(chain.get(..depth).unwrap_or_default())
    })
}

/// Returns the chain once for each outcome of what depends on chance.
fn alternatives(chain: &[Traits]) -> Vec<Vec<Traits>> {
    let mut chains = vec![Vec::new()];
    for (depth, nat) in chain.iter().enumerate() {
        let mut outcomes = outcomes(*nat);
        // A mapping that gets another address and keeps its port is the same again once a NAT
        // further out gives both addresses one.
        let outer = chain.get(depth + 1..).unwrap_or_default();
        if nat.arbitrary_pooling
            && nat.preserves_port
            && outer.iter().any(|nat| nat.overloads_ports)
        {
            outcomes.push(Traits {
                mapping: Mapping::EndpointIndependent,
                single_mapping: false,
                ..without_chance(*nat)
            });
        }
        let inner = chain.get(..depth).unwrap_or_default();
        if nat.refuses_low_ports && inner.iter().any(|nat| !nat.preserves_port) {
            outcomes.push(Traits {
                blocked: true,
                ..without_chance(*nat)
            });
        }
        // Or the NAT further out gives the port to only one of the addresses.
        let moves = is_dependent(chain.get(..=depth).unwrap_or_default());
        if nat.arbitrary_pooling
            && nat.preserves_port
            && moves
            && outer.iter().any(|nat| nat.refuses_taken_port)
        {
            outcomes.push(Traits {
                single_mapping: true,
                ..without_chance(*nat)
            });
        }
        chains = chains
            .iter()
            .flat_map(|chain: &Vec<Traits>| {
                outcomes
                    .iter()
                    .map(move |outcome| [chain.as_slice(), &[*outcome]].concat())
            })
            .collect();
    }
    chains
}

/// Returns the traits of a NAT without those that depend on chance.
fn without_chance(nat: Traits) -> Traits {
    Traits {
        arbitrary_pooling: false,
        remaps_on_early_inbound: false,
        mapping_varies: false,
        ..nat
    }
}

fn outcomes(nat: Traits) -> Vec<Traits> {
    let without_chance = without_chance(nat);
    let mut outcomes = vec![without_chance];
    if nat.remaps_on_early_inbound {
        outcomes.push(Traits {
            mapping: Mapping::AddressAndPortDependent,
            ..without_chance
        });
    }
    if nat.mapping_varies {
        outcomes.push(Traits {
            mapping: Mapping::EndpointIndependent,
            ..without_chance
        });
    }
    if nat.arbitrary_pooling {
        // The port to preserve may be free at another address.
        for arbitrary_pooling in [true, false] {
            outcomes.push(Traits {
                arbitrary_pooling,
                single_mapping: false,
                ..without_chance
            });
        }
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule for one NAT on each side, as the documentation derives it.
    fn rule(a: Traits, b: Traits) -> Path {
        let dependent = |nat: Traits| nat.mapping != Mapping::EndpointIndependent;
        let strictest = Filtering::AddressAndPortDependent;
        let open = Filtering::EndpointIndependent;
        let direct = a.filtering == open
            || b.filtering == open
            || match (dependent(a), dependent(b)) {
                (false, false) => true,
                (true, false) => b.filtering != strictest,
                (false, true) => a.filtering != strictest,
                (true, true) => false,
            };
        if direct { Path::Direct } else { Path::Relay }
    }

    fn all() -> impl Iterator<Item = Traits> {
        Mapping::ALL.into_iter().flat_map(|mapping| {
            Filtering::ALL
                .into_iter()
                .map(move |filtering| Traits::plain(mapping, filtering))
        })
    }

    #[test]
    fn the_oracle_agrees_with_the_rule_for_all_81_pairs() {
        for a in all() {
            for b in all() {
                assert_eq!(oracle(&[a], &[b]), rule(a, b), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn the_oracle_does_not_care_who_is_who() {
        for a in all() {
            for b in all() {
                for c in all() {
                    assert_eq!(oracle(&[a, b], &[c]), oracle(&[c], &[a, b]));
                }
            }
        }
    }

    #[test]
    fn a_cone_around_a_cone_is_a_cone() {
        for a in all() {
            for b in all() {
                let open =
                    Traits::plain(Mapping::EndpointIndependent, Filtering::EndpointIndependent);
                assert_eq!(oracle(&[a, open], &[b]), oracle(&[a], &[b]));
            }
        }
    }

    #[test]
    fn a_public_host_is_reached_from_everywhere() {
        for a in all() {
            assert_eq!(oracle(&[a], &[]), Path::Direct);
        }
    }

    #[test]
    fn two_addresses_of_arbitrary_pooling_may_become_one_again_further_out() {
        let strict = Filtering::AddressAndPortDependent;
        let pooling = Traits {
            arbitrary_pooling: true,
            preserves_port: true,
            ..Traits::plain(Mapping::AddressDependent, strict)
        };
        let overloading = Traits {
            overloads_ports: true,
            ..Traits::plain(Mapping::EndpointIndependent, Filtering::AddressDependent)
        };
        let peer = Traits::plain(Mapping::EndpointIndependent, strict);
        assert_eq!(
            oracle(&[pooling, overloading], &[peer]),
            Path::Nondeterministic
        );
        assert_eq!(oracle(&[overloading, pooling], &[peer]), Path::Relay);
    }

    #[test]
    fn the_conntrack_clash_makes_it_nondeterministic() {
        let linux = Traits {
            remaps_on_early_inbound: true,
            ..Traits::plain(
                Mapping::EndpointIndependent,
                Filtering::AddressAndPortDependent,
            )
        };
        let cone = Traits::plain(Mapping::EndpointIndependent, Filtering::EndpointIndependent);
        assert_eq!(oracle(&[linux], &[linux]), Path::Nondeterministic);
        assert_eq!(oracle(&[linux], &[cone]), Path::Direct);
    }
}
