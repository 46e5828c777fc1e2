#![doc = include_str!("docs/oracle.md")]

mod why;

use std::collections::BTreeSet;

use crate::{
    Assignment, Conflict, Filtering, Mapping, NatConfig, Pooling, Protocol, Side, Translation,
};

pub use why::why;

/// What the path between two hosts will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Path {
    /// Hole punching finds a direct path, whatever the order and timing of packets.
    Direct,
    /// Whether there is a direct path depends on who sends first or on which port or address a NAT happens to choose.
    Luck,
    /// No direct path exists; a relay is needed.
    Relay,
}

/// What matters of a NAT to the question whether hole punching works through it, for UDP or for TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Traits {
    /// How the outside endpoint depends on the destination, as seen from outside.
    pub mapping: Mapping,
    /// Who may answer.
    pub filtering: Filtering,
    /// Mappings of one host may have different external addresses.
    pub wanders: bool,
    /// A packet that comes too early makes the mapping towards its sender another one: Linux's conntrack.
    pub clashes: bool,
    /// Nothing of this protocol passes.
    pub blocked: bool,
    /// No second mapping of one inside endpoint can be made: it sends nothing new, and only answers.
    pub mute: bool,
    /// Chance decides whether the outside endpoint depends on the destination.
    pub varies: bool,
    /// A mapping has the inside port wherever that is free.
    pub preserves: bool,
    /// One port of two inside hosts may look like one endpoint from outside, as long as their destinations differ.
    pub merges: bool,
    /// A port that has to be preserved and is taken is not given, to whatever destination.
    pub refuses: bool,
    /// It refuses the ports below 1024 that a NAT further in may have chosen.
    pub narrow: bool,
}

impl Traits {
    /// A NAT with this mapping and filtering and nothing strange about it.
    pub const fn plain(mapping: Mapping, filtering: Filtering) -> Self {
        Self {
            mapping,
            filtering,
            wanders: false,
            clashes: false,
            blocked: false,
            mute: false,
            varies: false,
            preserves: false,
            merges: false,
            refuses: false,
            narrow: false,
        }
    }

    /// Returns the same NAT as a host sees it whose port is forwarded, by hand or by a port mapping protocol
    /// (PCP, NAT-PMP or UPnP): it has one outside endpoint, from which it answers, and everybody may send to it.
    #[must_use]
    pub const fn forwarded(self) -> Self {
        Self {
            blocked: self.blocked,
            ..Self::plain(Mapping::EndpointIndependent, Filtering::EndpointIndependent)
        }
    }

    /// Returns what matters of a NAT's config to UDP, for a host whose own ports are 1024 or above.
    pub fn of(config: &NatConfig) -> Self {
        Self::of_protocol(config, Protocol::Udp)
    }

    /// Returns what matters of a NAT's config to TCP, for a host whose own ports are 1024 or above.
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
            // What may not begin outside comes in only as an answer to what has been sent there.
            traits.filtering = Filtering::AddressAndPortDependent;
        }
        match config.translation {
            Translation::Ports | Translation::Nat64 { .. } => {}
            Translation::None | Translation::Prefixes { .. } => {
                traits.mapping = Mapping::EndpointIndependent;
                return traits;
            }
        }
        traits.preserves = config.ports.assignment == Assignment::Preserve;
        if let Some(conntrack) = config.conntrack {
            traits.preserves = true;
            traits.merges = true;
            traits.mapping = Mapping::EndpointIndependent;
            traits.filtering = Filtering::AddressAndPortDependent;
            traits.clashes = conntrack.accepts_input;
            return traits;
        }
        let shares = config.ports.overlap && traits.mapping != Mapping::EndpointIndependent;
        let overloads = config.ports.conflict == Conflict::Overload;
        traits.merges = traits.preserves && (shares || overloads);
        let refuses = config.ports.conflict == Conflict::Refuse;
        traits.refuses = traits.preserves && !shares && refuses;
        traits.narrow = traits.refuses && *config.ports.range.start() > 1;
        traits.wanders = config.pooling == Pooling::Arbitrary && config.externals.len() > 1;
        if traits.mapping != Mapping::EndpointIndependent {
            traits.apply_port_assignment(config);
        }
        traits
    }

    /// Mappings that depend on the destination and yet keep the port are no different from outside.
    fn apply_port_assignment(&mut self, config: &NatConfig) {
        let ports = &config.ports;
        let preserves = ports.assignment == Assignment::Preserve;
        let covers = *ports.range.start() <= 1024 && *ports.range.end() == u16::MAX;
        if ports.overlap {
            // Only the remotes that a mapping is for find it behind a shared port.
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
            _ if ports.overlap && covers && !self.wanders => {
                self.mapping = Mapping::EndpointIndependent;
            }
            _ if ports.overlap => self.varies = true,
            Conflict::Overload => self.varies = true,
            Conflict::Refuse => self.mute = true,
            Conflict::Random | Conflict::Next | Conflict::ChangeBehaviour => {}
        }
    }
}

/// Says whether a direct path must exist between two hosts, each behind a chain of NATs, innermost first.
///
/// The traits of both chains are for one protocol: [`Traits::of`] for UDP, [`Traits::of_tcp`] for TCP.
///
/// An empty chain is a host with a public address. The chains share no NAT; see [`oracle_behind`] for those that do.
pub fn oracle(a: &[Traits], b: &[Traits]) -> Path {
    let mut seen = BTreeSet::new();
    for a in alternatives(a) {
        for b in alternatives(b) {
            seen.insert(punch(&a, &b));
        }
    }
    match (seen.contains(&true), seen.contains(&false)) {
        (true, false) => Path::Direct,
        (true, true) => Path::Luck,
        _ => Path::Relay,
    }
}

/// Says whether a direct path must exist between two hosts whose chains meet in shared NATs, innermost first.
///
/// `hairpins` says whether the innermost shared NAT hairpins with the external source. Without a NAT of its own on
/// either side, two hosts are on one link and need none of this.
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
    // Further out than the meeting point a NAT is seen by nobody but the STUN server: a hairpinned packet has to
    // carry the meeting NAT's own address, so anything beyond it makes the learned address useless.
    if shared.len() > 1 {
        return Path::Relay;
    }
    let chain = |own: &[Traits]| [own, &[*meeting]].concat();
    oracle(&chain(a), &chain(b))
}

/// Returns whether a first packet gets in on either side, chance aside: the answer to it then makes the pair.
fn punch(a: &[Traits], b: &[Traits]) -> bool {
    !a.iter().chain(b).any(|nat| nat.blocked) && (gets_in(a, b) || gets_in(b, a))
}

/// Returns whether what `sender` sends to the reflexive endpoint of `receiver` gets in, once `receiver` has sent to
/// the reflexive endpoint of `sender`.
fn gets_in(sender: &[Traits], receiver: &[Traits]) -> bool {
    if is_mute(sender) {
        return false;
    }
    let same_port = !is_dependent(sender);
    let same_address = !changes_address(sender);
    (1..=receiver.len()).all(|depth| {
        let chain = receiver.get(..depth).unwrap_or_default();
        // A mapping that depends on the destination has sent to the STUN server only.
        let has_sent = !is_dependent(chain);
        match chain.last().map(|nat| nat.filtering) {
            None | Some(Filtering::EndpointIndependent) => true,
            Some(Filtering::AddressDependent) => has_sent && same_address,
            Some(Filtering::AddressAndPortDependent) => has_sent && same_port,
        }
    })
}

/// Returns whether a chain's outside endpoint depends on the destination: whether that of any of its NATs does.
fn is_dependent(chain: &[Traits]) -> bool {
    chain
        .iter()
        .any(|nat| nat.mapping != Mapping::EndpointIndependent)
}

/// Returns whether a chain's outside address may depend on the destination.
fn changes_address(chain: &[Traits]) -> bool {
    let mut nats = chain.iter().enumerate();
    nats.any(|(depth, nat)| nat.wanders && is_dependent(chain.get(..=depth).unwrap_or_default()))
}

/// Returns whether a chain lets nothing new out: whether a NAT of it, asked for a second mapping of one inside
/// endpoint, refuses.
fn is_mute(chain: &[Traits]) -> bool {
    let mut inner = chain.iter().enumerate();
    inner.any(|(depth, nat)| nat.mute && !is_dependent(chain.get(..depth).unwrap_or_default()))
}

/// Replaces what depends on chance by each of its outcomes.
fn alternatives(chain: &[Traits]) -> Vec<Vec<Traits>> {
    let mut chains = vec![Vec::new()];
    for (depth, nat) in chain.iter().enumerate() {
        let mut outcomes = outcomes(*nat);
        // A mapping that wanders to another address and keeps its port is the same again once a NAT further out has
        // given both addresses one.
        let outer = chain.get(depth + 1..).unwrap_or_default();
        if nat.wanders && nat.preserves && outer.iter().any(|nat| nat.merges) {
            outcomes.push(Traits {
                mapping: Mapping::EndpointIndependent,
                mute: false,
                ..sober(*nat)
            });
        }
        let inner = chain.get(..depth).unwrap_or_default();
        if nat.narrow && inner.iter().any(|nat| !nat.preserves) {
            outcomes.push(Traits {
                blocked: true,
                ..sober(*nat)
            });
        }
        // Or such a NAT gives the port to one of the addresses only.
        let moves = is_dependent(chain.get(..=depth).unwrap_or_default());
        if nat.wanders && nat.preserves && moves && outer.iter().any(|nat| nat.refuses) {
            outcomes.push(Traits {
                mute: true,
                ..sober(*nat)
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

/// Returns a NAT's traits without those that chance decides.
fn sober(nat: Traits) -> Traits {
    Traits {
        wanders: false,
        clashes: false,
        varies: false,
        ..nat
    }
}

fn outcomes(nat: Traits) -> Vec<Traits> {
    let sober = sober(nat);
    let mut outcomes = vec![sober];
    if nat.clashes {
        outcomes.push(Traits {
            mapping: Mapping::AddressAndPortDependent,
            ..sober
        });
    }
    if nat.varies {
        outcomes.push(Traits {
            mapping: Mapping::EndpointIndependent,
            ..sober
        });
    }
    if nat.wanders {
        // Another address may have the port free that has to be preserved.
        for wanders in [true, false] {
            outcomes.push(Traits {
                wanders,
                mute: false,
                ..sober
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
    fn a_port_that_wanders_to_another_address_may_come_together_again_further_out() {
        let strict = Filtering::AddressAndPortDependent;
        let wanderer = Traits {
            wanders: true,
            preserves: true,
            ..Traits::plain(Mapping::AddressDependent, strict)
        };
        let merger = Traits {
            merges: true,
            ..Traits::plain(Mapping::EndpointIndependent, Filtering::AddressDependent)
        };
        let peer = Traits::plain(Mapping::EndpointIndependent, strict);
        assert_eq!(oracle(&[wanderer, merger], &[peer]), Path::Luck);
        assert_eq!(oracle(&[merger, wanderer], &[peer]), Path::Relay);
    }

    #[test]
    fn the_conntrack_clash_makes_it_a_matter_of_luck() {
        let linux = Traits {
            clashes: true,
            ..Traits::plain(
                Mapping::EndpointIndependent,
                Filtering::AddressAndPortDependent,
            )
        };
        let cone = Traits::plain(Mapping::EndpointIndependent, Filtering::EndpointIndependent);
        assert_eq!(oracle(&[linux], &[linux]), Path::Luck);
        assert_eq!(oracle(&[linux], &[cone]), Path::Direct);
    }
}
