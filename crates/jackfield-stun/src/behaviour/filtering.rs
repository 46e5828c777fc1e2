//! The filtering test.

use std::net::SocketAddr;
use std::time::Instant;

use jackfield_sansio::Filtering;

use super::discovery::SocketId;
use super::exchange::{Answer, Exchanges, Outcome, Probe, Purpose};
use super::finding::{Finding, Reason};
use super::report::Stability;
use crate::attribute::ChangeRequest;

/// Where a filtering round asks to be answered from ([RFC 5780 §4.4]).
///
/// [RFC 5780 §4.4]: https://www.rfc-editor.org/rfc/rfc5780#section-4.4
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Where it asked: test I.
    First,
    /// The other address and port: test II.
    Both,
    /// The other port: test III.
    Port,
}

/// One socket, which talks to no other destination, asks the server to answer from elsewhere.
#[derive(Debug, Clone, Default)]
pub(super) struct Round {
    first: First,
    /// Whether the server has named a second address.
    has_other: bool,
    both: Seen,
    port: Seen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum First {
    #[default]
    NotAsked,
    Waiting,
    Answered,
    Refused,
    Silent,
}

/// What became of an answer from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Seen {
    #[default]
    Waiting,
    /// It came in.
    In,
    /// It did not.
    Out,
    /// The answer came from where it was asked.
    Unchanged,
    Refused,
}

/// Which of a server's places are known to be there, so that their silence means something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reachability {
    pub(super) other_address: bool,
    pub(super) other_port: bool,
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
        self.first = First::Waiting;
        let purpose = Purpose::Filtering(index, Step::First);
        exchanges.ask(now, Probe::new(socket, server, purpose));
    }

    /// Takes the outcome of a step.
    pub(super) fn handle(
        &mut self,
        now: Instant,
        index: usize,
        step: Step,
        outcome: Outcome,
        server: SocketAddr,
        exchanges: &mut Exchanges,
    ) {
        match (step, outcome) {
            (Step::First, Outcome::Answered(answer)) => {
                self.first = First::Answered;
                self.has_other = answer.other.is_some_and(|other| other.ip() != server.ip());
                ask_for_changes(now, index, answer.from, server, exchanges);
            }
            (Step::First, Outcome::Refused) => self.first = First::Refused,
            (Step::First, _) => self.first = First::Silent,
            (Step::Both, outcome) => {
                self.both = seen(outcome, |answer| answer.source.ip() != server.ip());
            }
            (Step::Port, outcome) => {
                self.port = seen(outcome, |answer| {
                    answer.source.ip() == server.ip() && answer.source.port() != server.port()
                });
            }
        }
    }

    /// Returns what this round says.
    fn finding(&self, reached: Reachability) -> Finding<Filtering> {
        let unknown = Finding::Unknown;
        match self.first {
            First::NotAsked => return unknown(Reason::NoSocket),
            First::Waiting => return unknown(Reason::NotFinished),
            First::Silent => return unknown(Reason::NoAnswer),
            First::Refused => return unknown(Reason::Refused),
            First::Answered => {}
        }
        match (self.both, self.port) {
            (Seen::In, _) => Finding::Known(Filtering::EndpointIndependent),
            (Seen::Waiting, _) | (_, Seen::Waiting) => unknown(Reason::NotFinished),
            (Seen::Unchanged, _) | (_, Seen::Unchanged) => unknown(Reason::IgnoresChange),
            (Seen::Refused, Seen::In) => unknown(Reason::NotPortDependent),
            (Seen::Out, Seen::In) if !self.has_other => unknown(Reason::NotPortDependent),
            (_, _) if !self.has_other => unknown(Reason::NoOtherAddress),
            (Seen::Refused, _) | (_, Seen::Refused) => unknown(Reason::Refused),
            (Seen::Out, _) if !reached.other_address => unknown(Reason::OtherAddressSilent),
            (Seen::Out, Seen::In) => Finding::Known(Filtering::AddressDependent),
            (Seen::Out, Seen::Out) if !reached.other_port => unknown(Reason::OtherPortSilent),
            (Seen::Out, Seen::Out) => Finding::Known(Filtering::AddressAndPortDependent),
        }
    }
}

/// Asks for both kinds of answers at once: what comes in opens no filter.
fn ask_for_changes(
    now: Instant,
    index: usize,
    socket: SocketId,
    server: SocketAddr,
    exchanges: &mut Exchanges,
) {
    for (step, address) in [(Step::Both, true), (Step::Port, false)] {
        let change = ChangeRequest {
            address,
            port: true,
        };
        exchanges.ask(
            now,
            Probe {
                change,
                ..Probe::new(socket, server, Purpose::Filtering(index, step))
            },
        );
    }
}

fn seen(outcome: Outcome, is_changed: impl Fn(&Answer) -> bool) -> Seen {
    match outcome {
        Outcome::Answered(answer) if is_changed(&answer) => Seen::In,
        Outcome::Answered(_) => Seen::Unchanged,
        Outcome::Refused => Seen::Refused,
        Outcome::Silent | Outcome::Looped => Seen::Out,
    }
}

/// Returns the most open of what the rounds say: what came in was let in, and what did not may have
/// been lost.
pub(super) fn of_rounds(
    rounds: &[Round],
    reached: Reachability,
) -> (Finding<Filtering>, Stability) {
    let findings: Vec<Finding<Filtering>> =
        rounds.iter().map(|round| round.finding(reached)).collect();
    let known: Vec<Filtering> = findings
        .iter()
        .filter_map(|finding| finding.known())
        .collect();
    match known.iter().min() {
        Some(open) => {
            let stability = Stability {
                agreeing: known.iter().filter(|seen| *seen == open).count(),
                rounds: known.len(),
            };
            (Finding::Known(*open), stability)
        }
        None => {
            let none = Finding::Unknown(Reason::NotTested);
            (
                findings.into_iter().next().unwrap_or(none),
                Stability::default(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL_REACHABLE: Reachability = Reachability {
        other_address: true,
        other_port: true,
    };

    fn round(has_other: bool, both: Seen, port: Seen) -> Round {
        Round {
            first: First::Answered,
            has_other,
            both,
            port,
        }
    }

    #[test]
    fn the_table_of_rfc_5780_and_what_a_lesser_server_leaves_of_it() {
        use Filtering::{AddressAndPortDependent, AddressDependent, EndpointIndependent};
        use Seen::{In, Out, Refused, Unchanged};
        let (known, unknown) = (Finding::Known, Finding::Unknown);
        for (has_other, both, port, expected) in [
            (true, In, In, known(EndpointIndependent)),
            (true, In, Out, known(EndpointIndependent)),
            (true, Out, In, known(AddressDependent)),
            (true, Out, Out, known(AddressAndPortDependent)),
            (false, Refused, Refused, unknown(Reason::NoOtherAddress)),
            (false, Refused, In, unknown(Reason::NotPortDependent)),
            (false, Refused, Out, unknown(Reason::NoOtherAddress)),
            (true, Unchanged, Out, unknown(Reason::IgnoresChange)),
            (true, Out, Refused, unknown(Reason::Refused)),
        ] {
            let found = round(has_other, both, port).finding(ALL_REACHABLE);
            assert_eq!(found, expected, "{has_other} {both:?} {port:?}");
        }
    }

    #[test]
    fn silence_of_a_place_that_was_never_heard_means_nothing() {
        let silent = round(true, Seen::Out, Seen::Out);
        let reached = |other_address, other_port| Reachability {
            other_address,
            other_port,
        };
        assert_eq!(
            silent.finding(reached(false, true)),
            Finding::Unknown(Reason::OtherAddressSilent)
        );
        assert_eq!(
            silent.finding(reached(true, false)),
            Finding::Unknown(Reason::OtherPortSilent)
        );
    }

    #[test]
    fn one_round_that_was_let_in_outweighs_those_that_were_not() {
        let rounds = [
            round(true, Seen::Out, Seen::Out),
            round(true, Seen::Out, Seen::In),
            round(true, Seen::Out, Seen::Out),
        ];
        let (finding, stability) = of_rounds(&rounds, ALL_REACHABLE);
        assert_eq!(finding, Finding::Known(Filtering::AddressDependent));
        assert_eq!(stability.to_string(), "1/3");
    }
}
