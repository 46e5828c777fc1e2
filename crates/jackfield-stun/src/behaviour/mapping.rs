//! The mapping test.

use std::net::SocketAddr;
use std::time::Instant;

use jackfield_sansio::Mapping;

use super::discovery::SocketId;
use super::exchange::{Answer, Exchanges, Outcome, Probe, Purpose};
use super::finding::{Finding, Reason};
use super::report::Stability;

/// Which destination a mapping round asks ([RFC 5780 §4.3]).
///
/// [RFC 5780 §4.3]: https://www.rfc-editor.org/rfc/rfc5780#section-4.3
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The server: test I.
    First,
    /// Its other address, or a second server: test II.
    OtherAddress,
    /// Its other address and other port: test III.
    OtherBoth,
    /// Its other port. It settles what the others leave open, and shows that the port can be
    /// reached at all.
    OtherPort,
}

/// One socket asks several destinations where it seems to send from.
#[derive(Debug, Clone, Default)]
pub(super) struct Round {
    first: Seen,
    other_address: Seen,
    other_both: Seen,
    other_port: Seen,
}

/// What one destination saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Seen {
    #[default]
    NotAsked,
    Waiting,
    From(SocketAddr),
    Refused,
    Silent,
}

impl Seen {
    fn from(self) -> Option<SocketAddr> {
        match self {
            Self::From(mapped) => Some(mapped),
            Self::NotAsked | Self::Waiting | Self::Refused | Self::Silent => None,
        }
    }
}

impl Round {
    /// Begins to ask.
    pub(super) fn start(
        &mut self,
        now: Instant,
        index: usize,
        socket: SocketId,
        server: SocketAddr,
        exchanges: &mut Exchanges,
    ) {
        self.first = Seen::Waiting;
        let purpose = Purpose::Mapping(index, Step::First);
        exchanges.ask(now, Probe::new(socket, server, purpose));
    }

    /// Takes the outcome of a step; the first one decides which servers are asked next.
    pub(super) fn handle(
        &mut self,
        now: Instant,
        index: usize,
        step: Step,
        outcome: Outcome,
        servers: &[SocketAddr],
        exchanges: &mut Exchanges,
    ) {
        *self.seen(step) = match outcome {
            Outcome::Answered(answer) => Seen::From(answer.mapped),
            Outcome::Refused => Seen::Refused,
            Outcome::Silent | Outcome::Looped => Seen::Silent,
        };
        if let (Step::First, Outcome::Answered(answer)) = (step, outcome) {
            for (step, to) in destinations(&answer, servers) {
                *self.seen(step) = Seen::Waiting;
                exchanges.ask(
                    now,
                    Probe::new(answer.from, to, Purpose::Mapping(index, step)),
                );
            }
        }
    }

    fn seen(&mut self, step: Step) -> &mut Seen {
        match step {
            Step::First => &mut self.first,
            Step::OtherAddress => &mut self.other_address,
            Step::OtherBoth => &mut self.other_both,
            Step::OtherPort => &mut self.other_port,
        }
    }

    /// Returns what the destinations saw.
    pub(super) fn mapped(&self) -> impl Iterator<Item = SocketAddr> {
        let all = [
            self.first,
            self.other_address,
            self.other_both,
            self.other_port,
        ];
        all.into_iter().filter_map(Seen::from)
    }

    /// Returns whether the server's own other address has answered.
    pub(super) fn reaches_other_address(&self) -> bool {
        let asked_both = self.other_both != Seen::NotAsked;
        let reached = [self.other_address, self.other_both].map(Seen::from);
        asked_both && reached.into_iter().flatten().next().is_some()
    }

    /// Returns whether the server's other port has answered.
    pub(super) fn reaches_other_port(&self) -> bool {
        self.other_port.from().is_some()
    }

    /// Returns what this round says.
    pub(super) fn finding(&self) -> Finding<Mapping> {
        let first = match self.first {
            Seen::NotAsked => return Finding::Unknown(Reason::NoSocket),
            Seen::Waiting => return Finding::Unknown(Reason::NotFinished),
            Seen::Silent => return Finding::Unknown(Reason::NoAnswer),
            Seen::Refused => return Finding::Unknown(Reason::Refused),
            Seen::From(first) => first,
        };
        let others = [self.other_address, self.other_both, self.other_port];
        if others.contains(&Seen::Waiting) {
            return Finding::Unknown(Reason::NotFinished);
        }
        let [address, both, port] = others.map(Seen::from);
        if port.is_some_and(|port| port != first) {
            return Finding::Known(Mapping::AddressAndPortDependent);
        }
        match (address, both) {
            (None, None) if self.other_address == Seen::NotAsked => {
                Finding::Unknown(Reason::NoOtherAddress)
            }
            (None, None) => Finding::Unknown(Reason::OtherAddressSilent),
            (Some(address), Some(both)) if address == first && both == first => {
                Finding::Known(Mapping::EndpointIndependent)
            }
            (Some(address), Some(both)) if address == both => {
                Finding::Known(Mapping::AddressDependent)
            }
            (Some(_), Some(_)) => Finding::Known(Mapping::AddressAndPortDependent),
            (Some(one), None) | (None, Some(one)) if one == first => {
                Finding::Known(Mapping::EndpointIndependent)
            }
            (Some(_), None) | (None, Some(_)) if port == Some(first) => {
                Finding::Known(Mapping::AddressDependent)
            }
            (Some(_), None) | (None, Some(_)) => Finding::Unknown(Reason::VariesByDestination),
        }
    }
}

/// Returns the steps and destinations that follow the answer of the server.
fn destinations(answer: &Answer, servers: &[SocketAddr]) -> Vec<(Step, SocketAddr)> {
    let Some(&server) = servers.first() else {
        return Vec::new();
    };
    let same_family = |other: &SocketAddr| other.is_ipv4() == server.is_ipv4();
    if let Some(other) = answer.other.filter(same_family)
        && other.ip() != server.ip()
    {
        return vec![
            (
                Step::OtherAddress,
                SocketAddr::new(other.ip(), server.port()),
            ),
            (Step::OtherBoth, other),
            (Step::OtherPort, SocketAddr::new(server.ip(), other.port())),
        ];
    }
    let second = servers
        .iter()
        .find(|second| second.ip() != server.ip() && same_family(second));
    second
        .map(|second| (Step::OtherAddress, *second))
        .into_iter()
        .collect()
}

/// Returns what most rounds say, and how many do.
pub(super) fn of_rounds(rounds: &[Round]) -> (Finding<Mapping>, Stability) {
    let findings: Vec<Finding<Mapping>> = rounds.iter().map(Round::finding).collect();
    let known: Vec<Mapping> = findings
        .iter()
        .filter_map(|finding| finding.known())
        .collect();
    let votes = |mapping: Mapping| known.iter().filter(|seen| **seen == mapping).count();
    let winner = known.iter().copied().max_by_key(|mapping| votes(*mapping));
    let Some(winner) = winner else {
        let none = Finding::Unknown(Reason::NotTested);
        return (
            findings.into_iter().next().unwrap_or(none),
            Stability::default(),
        );
    };
    let stability = Stability {
        agreeing: votes(winner),
        rounds: known.len(),
    };
    let is_tied = known
        .iter()
        .any(|other| *other != winner && votes(*other) == stability.agreeing);
    if is_tied {
        (Finding::Unknown(Reason::Unstable), stability)
    } else {
        (Finding::Known(winner), stability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Mapping::{AddressAndPortDependent, AddressDependent, EndpointIndependent};

    fn round(first: Seen, other_address: Seen, other_both: Seen, other_port: Seen) -> Round {
        Round {
            first,
            other_address,
            other_both,
            other_port,
        }
    }

    fn from(port: u16) -> Seen {
        Seen::From(SocketAddr::from(([203, 0, 113, 1], port)))
    }

    #[test]
    fn the_table_of_rfc_5780_and_what_silence_leaves_of_it() {
        use Seen::{NotAsked, Silent};
        let known = Finding::Known;
        let unknown = Finding::Unknown;
        for (seen, expected) in [
            ([1, 1, 1, 1].map(from), known(EndpointIndependent)),
            ([1, 2, 2, 1].map(from), known(AddressDependent)),
            ([1, 2, 3, 4].map(from), known(AddressAndPortDependent)),
            ([1, 1, 1, 2].map(from), known(AddressAndPortDependent)),
            (
                [from(1), from(1), Silent, Silent],
                known(EndpointIndependent),
            ),
            ([from(1), Silent, from(2), from(1)], known(AddressDependent)),
            (
                [from(1), Silent, Silent, from(2)],
                known(AddressAndPortDependent),
            ),
            (
                [from(1), from(2), NotAsked, NotAsked],
                unknown(Reason::VariesByDestination),
            ),
            (
                [from(1), Silent, Silent, from(1)],
                unknown(Reason::OtherAddressSilent),
            ),
            (
                [from(1), NotAsked, NotAsked, NotAsked],
                unknown(Reason::NoOtherAddress),
            ),
            (
                [Silent, NotAsked, NotAsked, NotAsked],
                unknown(Reason::NoAnswer),
            ),
        ] {
            let [first, address, both, port] = seen;
            assert_eq!(
                round(first, address, both, port).finding(),
                expected,
                "{seen:?}"
            );
        }
    }

    #[test]
    fn the_majority_of_rounds_counts_and_a_tie_is_unknown() {
        let eim = round(from(1), from(1), from(1), from(1));
        let adm = round(from(1), from(2), from(2), from(1));
        let (finding, stability) = of_rounds(&[eim.clone(), adm.clone(), eim.clone()]);
        assert_eq!(finding, Finding::Known(EndpointIndependent));
        assert_eq!(stability.to_string(), "2/3");
        let (finding, _) = of_rounds(&[eim, adm]);
        assert_eq!(finding, Finding::Unknown(Reason::Unstable));
    }
}
