//! What follows from what two machines have seen of each other, without a word of prose.

use std::time::Duration;

use jackfield_connect::Relay;
use jackfield_nat::oracle::{self, oracle};

use super::{PeerFacts, Sight, Throughput};
use crate::conclusions::Health;

/// The conclusions from a meeting.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerConclusions {
    /// What they follow from.
    pub facts: PeerFacts,
    /// How well the two do, all in all.
    pub health: Health,
    /// The most important thing to say.
    pub verdict: PeerVerdict,
    /// The path that the two NATs allow; nothing if too little is known of either.
    pub expected: Option<oracle::Path>,
    /// Why there is no better path; nothing if there is none.
    pub cause: Option<Cause>,
    /// What is wrong with the path itself.
    pub problems: Vec<PeerProblem>,
}

/// The most important thing to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerVerdict {
    /// Packets go from one machine to the other.
    Direct,
    /// A relay passes them on.
    Relayed(Relay),
    /// No path came about.
    NoPath,
}

/// One of the two machines, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// This one.
    Here,
    /// The other one.
    There,
    /// Both.
    Both,
}

/// Why there is no better path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No UDP gets out of a network.
    UdpBlocked(Who),
    /// The two NATs do not let each other's packets in.
    Nats,
    /// It depends on chance whether the two NATs let each other's packets in.
    Chance,
    /// The two NATs would, and it did not come about: a firewall, or packets that were lost.
    Unexpected,
    /// Too little is known of a network.
    Unknown(Who),
}

/// What is wrong with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerProblem {
    /// A network has no relay that works, where one is needed.
    NoRelay(Who),
    /// Packets get lost: so many of a thousand.
    Loss(u32),
    /// Round trips take long.
    Slow(Duration),
    /// Little gets through: so many bytes a second, in the worse direction.
    Narrow(u64),
    /// Large packets do not get through.
    SmallPackets(u16),
}

impl PeerConclusions {
    /// Draws the conclusions.
    #[must_use]
    pub fn of(facts: PeerFacts) -> Self {
        let verdict = match &facts.route {
            None => PeerVerdict::NoPath,
            Some(route) => route
                .relay
                .map_or(PeerVerdict::Direct, PeerVerdict::Relayed),
        };
        let expected = expected(&facts);
        let cause = (verdict != PeerVerdict::Direct).then(|| Cause::of(&facts, expected));
        let problems = problems(&facts, verdict);
        let health = problems.iter().map(|problem| problem.health());
        let health = health.chain([verdict.health()]).max();
        Self {
            health: health.unwrap_or(Health::Ok),
            verdict,
            expected,
            cause,
            problems,
            facts,
        }
    }

    /// Returns whether people should do something about it: then a command ends with 1.
    #[must_use]
    pub fn is_problem_found(&self) -> bool {
        self.health >= Health::Degraded
    }
}

impl PeerVerdict {
    fn health(self) -> Health {
        match self {
            Self::Direct => Health::Ok,
            Self::Relayed(_) => Health::Degraded,
            Self::NoPath => Health::Broken,
        }
    }

    /// Returns the name that programs know it by.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relayed(Relay::Udp) => "relay-udp",
            Self::Relayed(Relay::Tcp) => "relay-tcp",
            Self::Relayed(Relay::Tls) => "relay-tls",
            Self::NoPath => "no-path",
        }
    }
}

impl Who {
    /// Returns those for which it holds; nothing if it holds for neither.
    fn of(here: bool, there: bool) -> Option<Self> {
        match (here, there) {
            (true, true) => Some(Self::Both),
            (true, false) => Some(Self::Here),
            (false, true) => Some(Self::There),
            (false, false) => None,
        }
    }

    /// Returns the name that programs know it by.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::There => "there",
            Self::Both => "both",
        }
    }
}

impl Cause {
    fn of(facts: &PeerFacts, expected: Option<oracle::Path>) -> Self {
        let is_blocked = |sight: Option<&Sight>| sight.is_some_and(|sight| !sight.udp);
        let (here, there) = (Some(&facts.here), facts.there.as_ref());
        if let Some(who) = Who::of(is_blocked(here), is_blocked(there)) {
            return Self::UdpBlocked(who);
        }
        let is_unknown = |sight: Option<&Sight>| sight.and_then(Sight::chain).is_none();
        match (expected, Who::of(is_unknown(here), is_unknown(there))) {
            (Some(oracle::Path::Relay), _) => Self::Nats,
            (Some(oracle::Path::Nondeterministic), _) => Self::Chance,
            (Some(oracle::Path::Direct), _) => Self::Unexpected,
            (None, who) => Self::Unknown(who.unwrap_or(Who::Both)),
        }
    }

    /// Returns the name that programs know it by.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::UdpBlocked(_) => "udp-blocked",
            Self::Nats => "nats",
            Self::Chance => "chance",
            Self::Unexpected => "unexpected",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Returns which network it lies with, if it is one in particular.
    #[must_use]
    pub fn who(self) -> Option<Who> {
        match self {
            Self::UdpBlocked(who) | Self::Unknown(who) => Some(who),
            Self::Nats | Self::Chance | Self::Unexpected => None,
        }
    }
}

impl PeerProblem {
    /// Returns how bad it is.
    #[must_use]
    pub fn health(self) -> Health {
        match self {
            Self::NoRelay(_) => Health::Broken,
            Self::Loss(_) | Self::Slow(_) | Self::Narrow(_) => Health::Degraded,
            Self::SmallPackets(_) => Health::Note,
        }
    }

    /// Returns the name that programs know it by.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::NoRelay(_) => "no-relay",
            Self::Loss(_) => "loss",
            Self::Slow(_) => "slow",
            Self::Narrow(_) => "narrow",
            Self::SmallPackets(_) => "small-packets",
        }
    }
}

fn expected(facts: &PeerFacts) -> Option<oracle::Path> {
    let (here, there) = (facts.here.chain()?, facts.there.as_ref()?.chain()?);
    if here.iter().chain(&there).any(|nat| nat.blocked) {
        return Some(oracle::Path::Relay);
    }
    Some(oracle(&here, &there))
}

fn problems(facts: &PeerFacts, verdict: PeerVerdict) -> Vec<PeerProblem> {
    let mut problems = Vec::new();
    if verdict == PeerVerdict::NoPath {
        let is_without = |sight: &Sight| !sight.relay_udp && !sight.relay_stream;
        let there = facts.there.as_ref().is_some_and(is_without);
        problems.extend(Who::of(is_without(&facts.here), there).map(PeerProblem::NoRelay));
    }
    let loss = facts.loss.map(|loss| loss.per_mille());
    problems.extend(
        loss.filter(|loss| *loss >= MUCH_LOSS)
            .map(PeerProblem::Loss),
    );
    let delay = facts.delay.map(|delay| delay.median);
    problems.extend(delay.filter(|delay| *delay >= LONG).map(PeerProblem::Slow));
    let Throughput { to_peer, from_peer } = facts.throughput;
    let least = [to_peer, from_peer].into_iter().flatten().min();
    problems.extend(least.filter(|it| *it < NARROW).map(PeerProblem::Narrow));
    let mtu = facts.mtu.filter(|mtu| *mtu < SMALL);
    problems.extend(mtu.map(PeerProblem::SmallPackets));
    problems
}

/// One of a hundred packets: voices begin to break up, and TCP becomes slow.
const MUCH_LOSS: u32 = 10;
/// ITU-T G.114 asks for 150 ms one way.
const LONG: Duration = Duration::from_millis(300);
/// A megabit a second, which one video of low resolution takes.
const NARROW: u64 = 125_000;
/// WebRTC's datagrams of 1,200 bytes, with the headers of IPv6.
const SMALL: u16 = 1248;

#[cfg(test)]
mod tests;
