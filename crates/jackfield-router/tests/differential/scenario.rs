//! Scenarios for a NAT: the steps, and what can come of each.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use jackfield_nat::profile::Profile;
use jackfield_nat::{Assignment, Filtering, Hairpinning, Mapping, NatConfig};
use jackfield_testing::SplitMix64;

/// The NAT's outside address.
pub(crate) const EXTERNAL: Ipv4Addr = Ipv4Addr::new(198, 18, 9, 1);

/// The network behind it and its own address there.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

const HOSTS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3)];
const PEERS: [Ipv4Addr; 2] = [Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 18, 0, 2)];
const PEER_PORTS: [u16; 2] = [7000, 7001];

/// A NAT to ask about.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) config: NatConfig,
    /// The rules that make Linux such a NAT, if there are any.
    pub(crate) nftables: Option<Rules>,
    /// Whether the hosts behind it use different ports: the rules that make Linux a full cone need
    /// that.
    distinct_ports: bool,
    /// Whether the scenarios let its mappings end: idle ones do so after [`SHORT_LIFE`].
    pub(crate) expires: bool,
}

/// The nftables rules that make Linux such a NAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    Masquerade,
    MasqueradeOpenInput,
    MasqueradeRandom,
    FullCone,
    RestrictedCone,
}

/// A socket inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Inside(pub(crate) usize);

/// A socket outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Peer(pub(crate) usize);

pub(crate) const INSIDERS: usize = 4;
pub(crate) const OUTSIDERS: usize = 4;

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// From inside to a peer.
    Out(Inside, Peer),
    /// From a peer to the outside endpoint at which another peer last saw an inside socket.
    In {
        from: Peer,
        to: Inside,
        seen_by: Peer,
    },
    /// From a peer to the outside port that equals the port of an inside socket, whether that
    /// socket has sent anything or not.
    Early { from: Peer, to: Inside },
    /// Silence, for longer than an idle mapping lives.
    Wait,
    /// From inside to the outside endpoint at which a peer last saw an inside socket.
    Hairpin {
        from: Inside,
        to: Inside,
        seen_by: Peer,
    },
}

/// What packets are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// A datagram.
    Udp,
    /// A connection, which stays open. Each socket listens at the port that it connects from.
    Tcp,
}

/// Packets, one after the other.
pub(crate) struct Scenario {
    pub(crate) protocol: Protocol,
    pub(crate) seed: u64,
    pub(crate) steps: Vec<Step>,
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The destination is not known yet, or the connection exists.
    Skipped,
    /// It did not arrive.
    Lost,
    /// It arrived.
    Arrived { at: Who, from: Who },
}

/// An endpoint by what it stands for, since ports may be chosen at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Inside(usize),
    Peer(usize),
    /// An outside endpoint of the NAT, numbered in the order in which they were first seen.
    External(usize),
    Unknown,
}

impl Subject {
    fn new(name: &'static str, config: NatConfig, nftables: Option<Rules>) -> Self {
        Self {
            name,
            config: NatConfig {
                inside: Some(GATEWAY.into()),
                ..config
            },
            nftables,
            distinct_ports: matches!(nftables, Some(Rules::FullCone | Rules::RestrictedCone)),
            expires: false,
        }
    }

    /// Lets idle mappings end early, so that scenarios can wait for it.
    fn short_lived(mut self, name: &'static str) -> Self {
        self.name = name;
        self.expires = true;
        let timers = &mut self.config.timers;
        timers.udp = SHORT_LIFE;
        timers.udp_filter = SHORT_LIFE;
        timers.udp_unreplied = None;
        timers.udp_well_known = None;
        self
    }

    /// Returns the endpoint of an inside socket.
    pub(crate) fn inside(&self, Inside(number): Inside) -> SocketAddrV4 {
        let (host, port) = (number / 2, number as u16 % 2);
        let apart = if self.distinct_ports {
            100 * host as u16
        } else {
            0
        };
        SocketAddrV4::new(HOSTS[host], 5000 + apart + port)
    }

    /// Returns what has an endpoint. An unknown port of the NAT is a new external endpoint.
    fn who(&self, endpoint: SocketAddr, externals: &mut Vec<SocketAddr>) -> Who {
        let inside = (0..INSIDERS).find(|n| SocketAddr::from(self.inside(Inside(*n))) == endpoint);
        let outside = (0..OUTSIDERS).find(|n| SocketAddr::from(peer(Peer(*n))) == endpoint);
        match (inside, outside) {
            (Some(n), _) => Who::Inside(n),
            (None, Some(n)) => Who::Peer(n),
            (None, None) if endpoint.ip() == EXTERNAL => {
                let known = externals.iter().position(|known| *known == endpoint);
                Who::External(known.unwrap_or_else(|| {
                    externals.push(endpoint);
                    externals.len() - 1
                }))
            }
            (None, None) => Who::Unknown,
        }
    }

    fn sender_at(&self, endpoint: SocketAddr) -> Option<Sender> {
        match self.who(endpoint, &mut Vec::new()) {
            Who::Inside(n) => Some(Sender::Inside(Inside(n))),
            Who::Peer(n) => Some(Sender::Peer(Peer(n))),
            Who::External(_) | Who::Unknown => None,
        }
    }

    /// Runs a scenario in a lab.
    pub(crate) fn play(&self, scenario: &Scenario, lab: &mut impl Lab) -> Vec<Verdict> {
        let mut seen: HashMap<(Inside, Peer), SocketAddr> = HashMap::new();
        let mut externals = Vec::new();
        // No two connections have the same ends.
        let mut connected = HashSet::new();
        let mut verdicts = Vec::new();
        for (number, step) in scenario.steps.iter().enumerate() {
            if *step == Step::Wait {
                lab.wait();
            }
            let ends = self.ends(*step, &seen);
            let Some((from, to)) = ends.filter(|ends| !connected.contains(ends)) else {
                verdicts.push(Verdict::Skipped);
                continue;
            };
            let arrival = lab.send(number as u32, from, to);
            if let (Protocol::Tcp, Some(arrival)) = (scenario.protocol, arrival) {
                connected.insert((from, to));
                connected.extend(self.sender_at(arrival.at).map(|at| (at, arrival.source)));
            }
            if let (Step::Out(inside, peer), Some(arrival)) = (*step, arrival) {
                seen.insert((inside, peer), arrival.source);
            }
            verdicts.push(arrival.map_or(Verdict::Lost, |arrival| Verdict::Arrived {
                at: self.who(arrival.at, &mut externals),
                from: self.who(arrival.source, &mut externals),
            }));
        }
        verdicts
    }

    fn ends(
        &self,
        step: Step,
        seen: &HashMap<(Inside, Peer), SocketAddr>,
    ) -> Option<(Sender, SocketAddr)> {
        Some(match step {
            Step::Wait => return None,
            Step::Out(from, to) => (Sender::Inside(from), peer(to).into()),
            Step::In { from, to, seen_by } => (Sender::Peer(from), *seen.get(&(to, seen_by))?),
            Step::Early { from, to } => {
                let port = self.inside(to).port();
                (Sender::Peer(from), SocketAddr::from((EXTERNAL, port)))
            }
            Step::Hairpin { from, to, seen_by } => {
                (Sender::Inside(from), *seen.get(&(to, seen_by))?)
            }
        })
    }

    /// Returns the scenarios for this NAT: stories that tell NATs apart, and random ones.
    pub(crate) fn scenarios(&self) -> Vec<Scenario> {
        let scenario = |protocol, seed, steps| Scenario {
            protocol,
            seed,
            steps,
        };
        if self.expires {
            return vec![scenario(Protocol::Udp, 0, expiry())];
        }
        // Where the NAT chooses ports at random, an early packet meets a mapping by chance only.
        let early =
            self.config.conntrack.is_some() || self.config.ports.assignment == Assignment::Preserve;
        let mut scenarios = Vec::new();
        for protocol in [Protocol::Udp, Protocol::Tcp] {
            if protocol == Protocol::Tcp && self.distinct_ports {
                // The rules that make Linux a full cone are for UDP.
                continue;
            }
            scenarios.push(scenario(protocol, 0, story()));
            scenarios
                .extend((1..=RANDOM).map(|seed| scenario(protocol, seed, random(seed, early))));
        }
        scenarios
    }
}

/// Returns the endpoint of an outside socket.
pub(crate) fn peer(Peer(number): Peer) -> SocketAddrV4 {
    SocketAddrV4::new(PEERS[number / 2], PEER_PORTS[number % 2])
}

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Sender {
    Inside(Inside),
    Peer(Peer),
}

/// A packet that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) at: SocketAddr,
    pub(crate) source: SocketAddr,
}

/// Where scenarios are run.
pub(crate) trait Lab {
    /// Lets time pass until every idle mapping has ended.
    fn wait(&mut self);

    /// Sends a packet and says what becomes of it.
    fn send(&mut self, tag: u32, from: Sender, to: SocketAddr) -> Option<Arrival>;
}

/// Returns the NATs that are compared.
pub(crate) fn subjects() -> Vec<Subject> {
    let external = [EXTERNAL.into()];
    let profile = |profile: Profile| profile.config(&external);
    let mut restricted = profile(Profile::RESTRICTED_CONE);
    restricted.ports.assignment = Assignment::Preserve;
    restricted.hairpinning = Hairpinning::Off;
    let mut subjects = vec![
        Subject::new("linux", profile(Profile::LINUX), Some(Rules::Masquerade)),
        Subject::new(
            "linux-open-input",
            profile(Profile::LINUX_OPEN_INPUT),
            Some(Rules::MasqueradeOpenInput),
        ),
        Subject::new(
            "linux-random",
            profile(Profile::LINUX_RANDOM),
            Some(Rules::MasqueradeRandom),
        ),
        Subject::new(
            "openwrt-full-cone",
            profile(Profile::OPENWRT_FULL_CONE),
            Some(Rules::FullCone),
        ),
        Subject::new("restricted-cone", restricted, Some(Rules::RestrictedCone)),
    ];
    let short_lived = [
        Subject::new("", profile(Profile::LINUX), Some(Rules::Masquerade))
            .short_lived("linux, idle"),
        Subject::new("", profile(Profile::FULL_CONE), None).short_lived("full-cone, idle"),
    ];
    subjects.extend(short_lived);
    for (index, mapping) in Mapping::ALL.into_iter().enumerate() {
        for (filter, filtering) in Filtering::ALL.into_iter().enumerate() {
            let mut config = profile(Profile::FULL_CONE);
            config.udp.mapping = mapping;
            config.udp.filtering = filtering;
            subjects.push(Subject::new(NINE[index][filter], config, None));
        }
    }
    subjects
}

/// What tells NATs apart, from the first packet to the hairpin.
fn story() -> Vec<Step> {
    let (a, b) = (Inside(0), Inside(2));
    let [here, other_port, other_address, both] = [Peer(0), Peer(1), Peer(2), Peer(3)];
    let sees = |from| Step::In {
        from,
        to: a,
        seen_by: here,
    };
    vec![
        Step::Early { from: here, to: a },
        Step::Out(a, here),
        sees(here),
        sees(other_port),
        sees(other_address),
        Step::Out(a, other_address),
        sees(other_address),
        sees(both),
        Step::Out(a, both),
        sees(both),
        Step::Out(a, other_port),
        Step::Out(b, here),
        Step::In {
            from: here,
            to: b,
            seen_by: here,
        },
        Step::In {
            from: other_address,
            to: b,
            seen_by: here,
        },
        Step::Hairpin {
            from: a,
            to: b,
            seen_by: here,
        },
        Step::Hairpin {
            from: b,
            to: a,
            seen_by: here,
        },
        sees(here),
    ]
}

/// How an idle mapping ends, and begins again.
fn expiry() -> Vec<Step> {
    let (a, here) = (Inside(0), Peer(0));
    let answer = Step::In {
        from: here,
        to: a,
        seen_by: here,
    };
    vec![
        Step::Out(a, here),
        answer,
        Step::Wait,
        answer,
        Step::Out(a, here),
        answer,
        Step::Wait,
        Step::Out(Inside(2), here),
        answer,
    ]
}

fn random(seed: u64, early: bool) -> Vec<Step> {
    let mut random = SplitMix64::new(seed);
    let mut below = |end| random.below(end);
    let mut steps = Vec::new();
    while steps.len() < STEPS {
        let (from, to) = (Peer(below(4)), Inside(below(4)));
        let (seen_by, host) = (Peer(below(4)), Inside(below(4)));
        steps.push(match below(10) {
            0..=3 => Step::Out(host, from),
            4..=7 => Step::In { from, to, seen_by },
            8 if early => Step::Early { from, to },
            8 => continue,
            _ if host.0 / 2 == to.0 / 2 => continue,
            _ => Step::Hairpin {
                from: host,
                to,
                seen_by,
            },
        });
    }
    steps
}

/// How long an idle mapping lives where it is to end.
pub(crate) const SHORT_LIFE: Duration = Duration::from_secs(2);

const RANDOM: u64 = 5;
const STEPS: usize = 40;

const NINE: [[&str; 3]; 3] = [
    ["eim/eif", "eim/adf", "eim/apdf"],
    ["adm/eif", "adm/adf", "adm/apdf"],
    ["apdm/eif", "apdm/adf", "apdm/apdf"],
];
