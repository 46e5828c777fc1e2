#![doc = include_str!("docs/oracle.md")]

use std::collections::BTreeSet;

use crate::{
    Assignment, Config, Conflict, Filtering, Mapping, Pooling, Protocol, Side, Translation,
};

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

/// What matters of a NAT to the question whether UDP hole punching works through it.
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
    /// No UDP passes, or no second mapping of one inside endpoint can be made.
    pub blocked: bool,
    /// Chance decides whether the outside endpoint depends on the destination.
    pub varies: bool,
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
            varies: false,
        }
    }

    /// Returns what matters of a NAT's config, to a host whose own ports are 1024 or above.
    pub fn of(config: &Config) -> Self {
        let mut traits = Self::plain(config.udp.mapping, config.udp.filtering);
        traits.blocked = !config.policy.allows(Side::Inside, Protocol::Udp, 3478);
        if config.translation != Translation::Ports {
            traits.mapping = Mapping::EndpointIndependent;
            return traits;
        }
        if let Some(conntrack) = config.conntrack {
            traits.mapping = Mapping::EndpointIndependent;
            traits.filtering = Filtering::AddressAndPortDependent;
            traits.clashes = conntrack.accepts_input;
            return traits;
        }
        let depends = traits.mapping != Mapping::EndpointIndependent;
        if depends {
            traits.apply_port_assignment(config);
        }
        traits.wanders =
            depends && config.pooling == Pooling::Arbitrary && config.externals.len() > 1;
        traits
    }

    /// Mappings that depend on the destination and yet keep the port are no different from outside.
    fn apply_port_assignment(&mut self, config: &Config) {
        let ports = &config.ports;
        let preserves = ports.assignment == Assignment::Preserve;
        let covers = *ports.range.start() <= 1024 && *ports.range.end() == u16::MAX;
        if !preserves {
            return;
        }
        if ports.overlap || ports.conflict == Conflict::Overload {
            // Only the remotes that a mapping is for find it behind a shared port.
            let least = match self.mapping {
                Mapping::EndpointIndependent => Filtering::EndpointIndependent,
                Mapping::AddressDependent => Filtering::AddressDependent,
                Mapping::AddressAndPortDependent => Filtering::AddressAndPortDependent,
            };
            if ports.overlap {
                self.filtering = self.filtering.max(least);
                self.mapping = Mapping::EndpointIndependent;
            }
            self.varies = !covers || !ports.overlap;
        } else if ports.conflict == Conflict::Refuse {
            self.blocked = true;
        }
    }
}

/// Says whether a direct UDP path must exist between two hosts, each behind a chain of NATs, innermost first.
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

/// Says whether a direct UDP path must exist between two hosts whose chains meet in shared NATs, innermost first.
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

/// Returns whether ICE over two chains succeeds in finding a direct pair, chance aside.
fn punch(a: &[Traits], b: &[Traits]) -> bool {
    if a.iter().chain(b).any(|nat| nat.blocked) {
        return false;
    }
    Game::new(&facing(a, b), &facing(b, a)).play()
}

/// Returns a chain as it behaves towards a peer: when the peer's address changes from mapping to mapping, what
/// depends on the address changes as often as what depends on the port.
fn facing(chain: &[Traits], peer: &[Traits]) -> Vec<Traits> {
    let wanders = peer.iter().any(|nat| nat.wanders);
    let mut chain = chain.to_vec();
    for nat in &mut chain {
        if wanders && nat.mapping == Mapping::AddressDependent {
            nat.mapping = Mapping::AddressAndPortDependent;
        }
    }
    chain
}

/// Replaces what depends on chance by each of its outcomes.
fn alternatives(chain: &[Traits]) -> Vec<Vec<Traits>> {
    let mut chains = vec![Vec::new()];
    for nat in chain {
        let outcomes = outcomes(*nat);
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

fn outcomes(nat: Traits) -> Vec<Traits> {
    let sober = Traits {
        wanders: false,
        clashes: false,
        varies: false,
        ..nat
    };
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
        outcomes.push(Traits {
            wanders: true,
            ..sober
        });
    }
    outcomes
}

/// An outside endpoint of a host, named by what made the NATs choose it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    /// The one that the STUN server saw, and everybody if the mapping is endpoint-independent.
    Reflexive,
    /// The one towards every port of the peer's address.
    Peer,
    /// The one towards one endpoint of the peer.
    Towards(Box<Self>),
}

impl Name {
    fn depth(&self) -> usize {
        match self {
            Self::Reflexive | Self::Peer => 1,
            Self::Towards(name) => 1 + name.depth(),
        }
    }
}

/// One host with its chain, in the game of finding a pair of endpoints.
#[derive(Debug)]
struct Player<'a> {
    chain: &'a [Traits],
    /// The peer's endpoints it has heard of, each of which it sends to.
    known: BTreeSet<Name>,
}

/// The game of learning endpoints until nothing new can be learned.
struct Game<'a> {
    players: [Player<'a>; 2],
}

impl<'a> Game<'a> {
    fn new(a: &'a [Traits], b: &'a [Traits]) -> Self {
        let player = |chain| Player {
            chain,
            known: BTreeSet::from([Name::Reflexive]),
        };
        Self {
            players: [player(a), player(b)],
        }
    }

    fn play(mut self) -> bool {
        loop {
            if self.pair_exists() {
                return true;
            }
            let [a, b] = &self.players;
            let to_b = learned(a, b);
            let to_a = learned(b, a);
            let [a, b] = &mut self.players;
            let before = a.known.len() + b.known.len();
            b.known.extend(to_b);
            a.known.extend(to_a);
            if a.known.len() + b.known.len() == before {
                return false;
            }
        }
    }

    /// Returns whether both sides know a pair of endpoints that are each other's destination.
    fn pair_exists(&self) -> bool {
        let [a, b] = &self.players;
        a.known.iter().any(|y| {
            let x = source(a.chain, y);
            b.known.contains(&x) && source(b.chain, &x) == *y
        })
    }
}

/// Returns the endpoints of `from` that `to` hears from, once both have sent to everything they know.
fn learned(from: &Player<'_>, to: &Player<'_>) -> Vec<Name> {
    from.known
        .iter()
        .filter_map(|y| {
            let x = source(from.chain, y);
            (x.depth() <= DEEPEST && admits(to, y, &x, from.chain)).then_some(x)
        })
        .collect()
}

/// Returns the outside endpoint from which packets to the peer's endpoint `y` leave a chain.
fn source(chain: &[Traits], y: &Name) -> Name {
    key(mapping(chain), y)
}

fn key(mapping: Mapping, y: &Name) -> Name {
    match mapping {
        Mapping::EndpointIndependent => Name::Reflexive,
        Mapping::AddressDependent => Name::Peer,
        Mapping::AddressAndPortDependent => Name::Towards(Box::new(y.clone())),
    }
}

/// Returns how a chain maps as a whole: as its most dependent NAT does.
fn mapping(chain: &[Traits]) -> Mapping {
    chain
        .iter()
        .map(|nat| nat.mapping)
        .max()
        .unwrap_or(Mapping::EndpointIndependent)
}

/// Returns whether every NAT of `to` lets a packet from `x` in that is sent to the endpoint `y` of `to`.
fn admits(to: &Player<'_>, y: &Name, x: &Name, senders: &[Traits]) -> bool {
    (0..to.chain.len()).all(|index| {
        let inner = to.chain.get(..=index).unwrap_or_default();
        let Some(nat) = inner.last() else {
            return true;
        };
        // What the host has sent to through the mapping of this NAT that `y` leads to.
        let contacts = to.known.iter().filter(|z| at_level(mapping(inner), y, z));
        match nat.filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => {
                contacts.into_iter().any(|z| same_address(senders, x, z))
            }
            Filtering::AddressAndPortDependent => contacts.into_iter().any(|z| z == x),
        }
    })
}

/// Returns whether packets to `z` share the mapping of a NAT, whose chain so far maps by `level`, with those that
/// leave from `y`.
fn at_level(level: Mapping, y: &Name, z: &Name) -> bool {
    match level {
        Mapping::EndpointIndependent => true,
        // What the STUN server sees has only ever sent to the STUN server.
        Mapping::AddressDependent => *y != Name::Reflexive,
        Mapping::AddressAndPortDependent => *y == key(level, z),
    }
}

/// Returns whether two endpoints of a chain have one address.
fn same_address(chain: &[Traits], x: &Name, z: &Name) -> bool {
    x == z || !chain.iter().any(|nat| nat.wanders)
}

/// Two endpoint-and-port-dependent sides go on naming new endpoints for ever; no pair is found deeper than this.
const DEEPEST: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule for one NAT on each side, as the documentation derives it.
    fn rule(a: Traits, b: Traits) -> Path {
        let dependent = |nat: Traits| nat.mapping != Mapping::EndpointIndependent;
        let strictest = Filtering::AddressAndPortDependent;
        let direct = match (dependent(a), dependent(b)) {
            (false, false) => true,
            (true, false) => b.filtering != strictest,
            (false, true) => a.filtering != strictest,
            (true, true) => {
                let open = Filtering::EndpointIndependent;
                let both_change_per_port =
                    a.mapping == b.mapping && a.mapping == Mapping::AddressAndPortDependent;
                !both_change_per_port
                    && a.filtering != strictest
                    && b.filtering != strictest
                    && (a.filtering == open || b.filtering == open)
            }
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
    fn the_game_agrees_with_the_rule_for_all_81_pairs() {
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
